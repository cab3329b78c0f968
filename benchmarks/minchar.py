"""The lab update in the style of min-char-rnn: column vectors, one-hot inputs, a dictionary entry per time step.

Written anew after the well-known program's way of doing it, which many reports start from.
"""

from __future__ import annotations

from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


class MinChar:
    """One lane, AdaGrad, float64; arguments as charrnn.bench.baselines.Student."""

    def __init__(
        self,
        parameters: dict[str, Array],
        *,
        seq_length: int,
        batch_size: int,
        optimizer: str,
        learning_rate: float,
        clip: float,
        reduction: str,
        dtype: str = "float64",
    ) -> None:
        if (batch_size, optimizer, reduction, dtype) != (1, "adagrad", "sum", "float64"):
            raise ValueError("min-char-rnn trains one lane in float64 with AdaGrad on the summed loss")
        self.U, self.W, self.V = (np.array(parameters[name]) for name in "UWV")
        self.b, self.c = parameters["b"][:, None].copy(), parameters["c"][:, None].copy()
        self.memory = [np.zeros_like(value) for value in (self.U, self.W, self.V, self.b, self.c)]
        self.state = np.zeros_like(self.b)
        self.learning_rate, self.clip = learning_rate, clip

    def run(self, inputs: Array, targets: Array) -> Array:
        """One update per window of inputs and targets (n, T, 1); returns the summed losses."""
        windows = zip(inputs[:, :, 0].tolist(), targets[:, :, 0].tolist(), strict=True)
        return np.array([self._update(x, y) for x, y in windows])

    def _update(self, inputs: list[int], targets: list[int]) -> float:
        loss, gradients = self._gradients(inputs, targets)
        values = [self.U, self.W, self.V, self.b, self.c]
        for value, gradient, total in zip(values, gradients, self.memory, strict=True):
            np.clip(gradient, -self.clip, self.clip, out=gradient)
            total += gradient * gradient
            value -= self.learning_rate * gradient / np.sqrt(total + 1e-8)
        return loss

    def _gradients(self, inputs: list[int], targets: list[int]) -> tuple[float, list[Array]]:
        x: dict[int, Array] = {}
        h: dict[int, Array] = {-1: self.state.copy()}
        p: dict[int, Array] = {}
        loss = 0.0
        for t, symbol in enumerate(inputs):
            x[t] = np.zeros_like(self.c)
            x[t][symbol] = 1
            h[t] = np.tanh(np.dot(self.U, x[t]) + np.dot(self.W, h[t - 1]) + self.b)
            o = np.dot(self.V, h[t]) + self.c
            p[t] = np.exp(o) / np.sum(np.exp(o))
            loss -= float(np.log(p[t][targets[t], 0]))
        dU, dW, dV, db, dc = (np.zeros_like(value) for value in (self.U, self.W, self.V, self.b, self.c))
        carried = np.zeros_like(self.b)
        for t in range(len(inputs) - 1, -1, -1):
            g = np.copy(p[t])
            g[targets[t]] -= 1
            dV += np.dot(g, h[t].T)
            dc += g
            dh = np.dot(self.V.T, g) + carried
            da = (1 - h[t] * h[t]) * dh
            db += da
            dU += np.dot(da, x[t].T)
            dW += np.dot(da, h[t - 1].T)
            carried = np.dot(self.W.T, da)
        self.state = h[len(inputs) - 1]
        return loss, [dU, dW, dV, db, dc]
