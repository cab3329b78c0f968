"""The NumPy programs that charrnn is compared with: the same updates, without anything compiled for the purpose.

- `Vectorised` is the fastest NumPy we could write: nothing is allocated while it runs, everything that does not recur
  is one product over the whole window, and the optimiser touches only the columns of U that were seen.
- `Student` is what a good student hands in: float64, one-hot matrices, a loop over time, a dictionary of parameters.

Both compute what ``reference.py`` computes, for any number of lanes, and agree with it and with each other to rounding
error; how they get there is their own. Both are used the same way: building one sets everything up, ``run`` is what a
comparison times, and the hidden state goes from window to window and from call to call, starting at 0.

Shapes: m hidden units, K symbols, T time steps, B lanes; parameters U (m, K), W (m, m), V (K, m), b (m,), c (K,).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

ADAGRAD_EPSILON = 1e-8  # inside the root
ADAM_BETAS, ADAM_EPSILON = (0.9, 0.999), 1e-8  # outside the root


class Vectorised:
    """Training in the most careful NumPy: float32 or float64, AdaGrad or Adam, one lane or many.

    parameters: name -> array, copied. clip: each gradient is limited to ±clip; None leaves it. reduction: "sum", or
    "mean", which divides the gradients (not the reported losses) by T·B.

    >>> rng = np.random.default_rng(0)
    >>> shapes = {"U": (4, 3), "W": (4, 4), "V": (3, 4), "b": (4,), "c": (3,)}
    >>> start = {name: 0.01 * rng.standard_normal(shape) for name, shape in shapes.items()}
    >>> text = np.tile([0, 1, 2], 100)
    >>> program = Vectorised(start, seq_length=6, batch_size=1)
    >>> losses = program.run(text[:-6].reshape(49, 6, 1), text[1:-5].reshape(49, 6, 1))
    >>> bool(losses[-1] < 0.1 * losses[0])
    True
    """

    def __init__(
        self,
        parameters: Mapping[str, Array],
        *,
        seq_length: int,
        batch_size: int,
        optimizer: str = "adagrad",
        learning_rate: float = 0.1,
        clip: float | None = 5.0,
        reduction: str = "sum",
        dtype: str = "float32",
    ) -> None:
        T, B = seq_length, batch_size
        m, K = parameters["U"].shape
        self.sizes = m, K, T, B
        self.optimizer, self.learning_rate, self.clip, self.step = optimizer, learning_rate, clip, 0
        self.scale = 1.0 / (T * B) if reduction == "mean" else 1.0
        real = np.dtype(dtype).type
        # U lies transposed, so that a symbol's column is one contiguous row. It comes first in the flat arrays: AdaGrad
        # treats it apart, and the rest is then one stretch.
        shapes = {"UT": (K, m), "W": (m, m), "V": (K, m), "b": (m,), "c": (K,)}
        size = sum(int(np.prod(shape)) for shape in shapes.values())
        self.flat, self.flat_gradient = np.empty(size, real), np.zeros(size, real)
        self.first, self.second = np.zeros(size, real), np.zeros(size, real)  # Adam's moments; AdaGrad uses the second
        self.scratch = np.empty(size, real)
        self.values, self.gradients = _views(self.flat, shapes), _views(self.flat_gradient, shapes)
        for name, value in self.values.items():
            value[...] = parameters["U"].T if name == "UT" else parameters[name]
        self.WT = self.values["W"].T
        # One lane's state is a vector, many lanes' a matrix with a row per lane: np.dot takes both.
        lanes = (m,) if B == 1 else (B, m)
        self.h = np.zeros((T + 1, *lanes), real)  # h[0] is carried in, h[t + 1] follows input t
        self.a, self.da, self.slope = (np.empty((T, *lanes), real) for _ in range(3))
        self.product = np.empty(lanes, real)
        self.p, self.row = np.empty((T * B, K), real), np.empty((T * B, 1), real)
        self.onehot = np.zeros((K, T * B), real)
        self.rows = np.arange(T * B)
        self.same = np.empty((T * B, T * B), real) if self._lazy else None
        # Indexing costs as much as a short operation: the views of every time step are made once.
        self.forward_steps = list(zip(self.a, self.h[:-1], self.h[1:], strict=True))
        self.backward_steps = list(zip(self.da[-2::-1], self.da[:0:-1], self.slope[-2::-1], strict=True))

    @property
    def _lazy(self) -> bool:
        """Whether only the seen columns of U are updated: exact for AdaGrad, worth it while a window is short."""
        _, K, T, B = self.sizes
        return self.optimizer == "adagrad" and T * B <= K

    def parameters(self) -> dict[str, Array]:
        """Copies of the parameters as they are now, U as (m, K)."""
        return {name.removesuffix("T"): (value.T if name == "UT" else value).copy() for name, value in self.values.items()}

    def run(self, inputs: Array, targets: Array) -> npt.NDArray[np.float64]:
        """One update for each window of inputs and targets, both (n, T, B); returns the n losses, summed, in nats."""
        losses = np.empty(len(inputs))
        for i, (x, y) in enumerate(zip(inputs.reshape(len(inputs), -1), targets.reshape(len(inputs), -1), strict=True)):
            losses[i] = self._forward(x, y)
            self._backward(x, y)
            self._clip_and_update(x)
            self.h[0] = self.h[-1]
        return losses

    def _forward(self, x: Array, y: Array) -> float:
        """Leaves the states in h and the probabilities in p; returns the loss."""
        m, _, T, B = self.sizes
        UT, V, b, c = (self.values[name] for name in ("UT", "V", "b", "c"))
        dot, add, tanh, product, WT = np.dot, np.add, np.tanh, self.product, self.WT
        a = self.a.reshape(T * B, m)
        np.take(UT, x, axis=0, out=a, mode="clip")  # "clip" writes straight to out; "raise" would buffer
        a += b
        for a_t, h_before, h_after in self.forward_steps:
            dot(h_before, WT, out=product)
            add(product, a_t, out=product)
            tanh(product, out=h_after)
        p, row = self.p, self.row
        np.dot(self.h[1:].reshape(T * B, m), V.T, out=p)
        p += c
        np.max(p, axis=1, keepdims=True, out=row)
        p -= row
        chosen = p[self.rows, y]
        np.exp(p, out=p)
        np.sum(p, axis=1, keepdims=True, out=row)
        loss = float(np.log(row).sum() - chosen.sum())
        p /= row
        return loss

    def _backward(self, x: Array, y: Array) -> None:
        """Fills the gradients; p becomes g = p - onehot(y)."""
        m, _, T, B = self.sizes
        W, V = self.values["W"], self.values["V"]
        gradients = self.gradients
        dot, add, multiply, product = np.dot, np.add, np.multiply, self.product
        h, g = self.h[1:].reshape(T * B, m), self.p
        g[self.rows, y] -= 1.0
        if self.scale != 1.0:
            g *= self.scale
        np.dot(g.T, h, out=gradients["V"])
        np.sum(g, axis=0, out=gradients["c"])
        da = self.da.reshape(T * B, m)
        np.dot(g, V, out=da)  # da holds V^T g until its time step is reached
        slope = self.slope
        np.multiply(self.h[1:], self.h[1:], out=slope)
        np.subtract(1.0, slope, out=slope)
        self.da[-1] *= slope[-1]
        for da_t, da_after, slope_t in self.backward_steps:
            dot(da_after, W, out=product)
            add(product, da_t, out=product)
            multiply(product, slope_t, out=da_t)
        np.dot(da.T, self.h[:-1].reshape(T * B, m), out=gradients["W"])
        np.sum(da, axis=0, out=gradients["b"])
        if not self._lazy:
            self.onehot[x, self.rows] = 1.0
            np.dot(self.onehot, da, out=gradients["UT"])
            self.onehot[x, self.rows] = 0.0

    def _clip_and_update(self, x: Array) -> None:
        """One step of the optimiser on everything, by flat arrays."""
        start = self.values["UT"].size if self._lazy else 0
        g, value, scratch = self.flat_gradient[start:], self.flat[start:], self.scratch[start:]
        self._limit(g)
        if self.optimizer == "adam":
            self.step += 1
            self._adam(value, g, self.first, self.second, scratch)
            return
        self._adagrad(value, g, self.second[start:], scratch)
        if self._lazy:
            self._adagrad_seen_columns(x)

    def _limit(self, g: Array) -> None:
        if self.clip is not None:
            np.maximum(g, -self.clip, out=g)
            np.minimum(g, self.clip, out=g)

    def _adagrad(self, value: Array, g: Array, total: Array, scratch: Array) -> None:
        """s += g²; value -= learning_rate g / sqrt(s + epsilon). Overwrites g."""
        np.multiply(g, g, out=scratch)
        total += scratch
        np.add(total, ADAGRAD_EPSILON, out=scratch)
        np.sqrt(scratch, out=scratch)
        g /= scratch
        g *= self.learning_rate
        value -= g

    def _adagrad_seen_columns(self, x: Array) -> None:
        """The same for U, where only the columns x can have a gradient.

        The row of every time step is given the sum over all steps with its symbol, so repeated symbols carry equal
        rows, and writing them back twice does no harm. This is cheaper than finding the distinct symbols.
        """
        m, K, T, B = self.sizes
        assert self.same is not None
        UT, total = self.values["UT"], self.second[: K * m].reshape(K, m)
        self.same[...] = x[:, None] == x
        g = np.dot(self.same, self.da.reshape(T * B, m))
        self._limit(g)
        value, seen = UT[x], total[x]
        self._adagrad(value, g, seen, self.scratch[: g.size].reshape(g.shape))
        UT[x], total[x] = value, seen

    def _adam(self, value: Array, g: Array, first: Array, second: Array, scratch: Array) -> None:
        """first, second = running means of g and g²; value -= rate first / (sqrt(second) + epsilon), both unbiased."""
        beta1, beta2 = ADAM_BETAS
        np.multiply(g, g, out=scratch)
        scratch *= 1.0 - beta2
        second *= beta2
        second += scratch
        g *= 1.0 - beta1
        first *= beta1
        first += g
        # The corrections for the zero start move onto the rate and epsilon, which saves two sweeps.
        root = float(np.sqrt(1.0 - beta2**self.step))
        np.sqrt(second, out=scratch)
        scratch += ADAM_EPSILON * root
        np.divide(first, scratch, out=g)
        g *= self.learning_rate * root / (1.0 - beta1**self.step)
        value -= g


class Student:
    """Training as a good student writes it in NumPy: float64, one-hot rows, products over the window where possible.

    The arguments are those of `Vectorised`.
    """

    def __init__(
        self,
        parameters: Mapping[str, Array],
        *,
        seq_length: int,
        batch_size: int,
        optimizer: str = "adagrad",
        learning_rate: float = 0.1,
        clip: float | None = 5.0,
        reduction: str = "sum",
        dtype: str = "float64",
    ) -> None:
        self.values = {name: np.array(value, dtype) for name, value in parameters.items()}
        self.first = {name: np.zeros_like(value) for name, value in self.values.items()}
        self.second = {name: np.zeros_like(value) for name, value in self.values.items()}
        self.optimizer, self.learning_rate, self.clip, self.step = optimizer, learning_rate, clip, 0
        self.scale = 1.0 / (seq_length * batch_size) if reduction == "mean" else 1.0
        self.state = np.zeros((batch_size, self.values["W"].shape[0]), dtype)

    def parameters(self) -> dict[str, Array]:
        """Copies of the parameters as they are now."""
        return {name: value.copy() for name, value in self.values.items()}

    def run(self, inputs: Array, targets: Array) -> npt.NDArray[np.float64]:
        """One update for each window of inputs and targets, both (n, T, B); returns the n losses, summed, in nats."""
        losses = np.empty(len(inputs))
        identity = np.eye(len(self.values["c"]), dtype=self.state.dtype)
        for i, (x, y) in enumerate(zip(inputs, targets, strict=True)):
            losses[i], gradients = self._gradients(identity[x], identity[y])
            self._update(gradients)
        return losses

    def _gradients(self, X: Array, Y: Array) -> tuple[float, dict[str, Array]]:
        """Loss and gradients for one-hot X and Y (T, B, K)."""
        T, B, K = X.shape
        U, W, V, b, c = (self.values[name] for name in "UWVbc")
        m = len(b)
        xU = X @ U.T + b
        h = np.zeros((T + 1, B, m), X.dtype)
        h[0] = self.state
        for t in range(T):
            h[t + 1] = np.tanh(h[t] @ W.T + xU[t])
        o = h[1:] @ V.T + c
        e = np.exp(o - np.max(o, axis=2, keepdims=True))
        p = e / np.sum(e, axis=2, keepdims=True)
        loss = -np.sum(np.log(np.sum(Y * p, axis=2)))

        g = (p - Y) * self.scale
        dh = g @ V
        da = np.zeros((T, B, m), X.dtype)
        da_next = np.zeros((B, m), X.dtype)
        for t in reversed(range(T)):
            da_next = da[t] = (dh[t] + da_next @ W) * (1.0 - h[t + 1] ** 2)
        gradients = {
            "U": da.reshape(T * B, m).T @ X.reshape(T * B, K),
            "W": da.reshape(T * B, m).T @ h[:-1].reshape(T * B, m),
            "V": g.reshape(T * B, K).T @ h[1:].reshape(T * B, m),
            "b": np.sum(da, axis=(0, 1)),
            "c": np.sum(g, axis=(0, 1)),
        }
        self.state = h[-1]
        return float(loss), gradients

    def _update(self, gradients: dict[str, Array]) -> None:
        self.step += 1
        for name, g in gradients.items():
            if self.clip is not None:
                g = np.clip(g, -self.clip, self.clip)
            if self.optimizer == "adagrad":
                self.second[name] += g * g
                self.values[name] -= self.learning_rate * g / np.sqrt(self.second[name] + ADAGRAD_EPSILON)
            else:
                beta1, beta2 = ADAM_BETAS
                self.first[name] = beta1 * self.first[name] + (1.0 - beta1) * g
                self.second[name] = beta2 * self.second[name] + (1.0 - beta2) * g * g
                mean = self.first[name] / (1.0 - beta1**self.step)
                root = np.sqrt(self.second[name] / (1.0 - beta2**self.step))
                self.values[name] -= self.learning_rate * mean / (root + ADAM_EPSILON)


def sample(parameters: Mapping[str, Array], uniforms: Array, dtype: str = "float32") -> npt.NDArray[np.int32]:
    """Synthesis in NumPy, one character after another; starts at state 0 and symbol 0.

    uniforms (n,): a random number in [0, 1) per character. The character is the first whose cumulated probability
    exceeds it, so programs that are given the same numbers write the same text. Returns n ids.
    """
    U, W, V, b, c = (np.ascontiguousarray(parameters[name], dtype) for name in "UWVbc")
    columns = np.ascontiguousarray(U.T) + b
    VT = np.ascontiguousarray(V.T)
    h, a, o = np.zeros_like(b), np.empty_like(b), np.empty_like(c)
    WT = np.ascontiguousarray(W.T)
    ids, last, symbol = np.empty(len(uniforms), np.int32), len(c) - 1, 0
    for i, uniform in enumerate(uniforms.tolist()):
        np.dot(h, WT, out=a)
        a += columns[symbol]
        np.tanh(a, out=h)
        np.dot(h, VT, out=o)
        o += c
        o -= o.max()
        np.exp(o, out=o)
        np.cumsum(o, out=o)
        symbol = ids[i] = min(int(o.searchsorted(uniform * o[last], side="right")), last)
    return ids


def _views(flat: Array, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Array]:
    """Named views of consecutive stretches of a flat array."""
    views, start = {}, 0
    for name, shape in shapes.items():
        stop = start + int(np.prod(shape))
        views[name] = flat[start:stop].reshape(shape)
        start = stop
    return views
