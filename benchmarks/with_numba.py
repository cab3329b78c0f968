"""Numba on the same work: one compiled function for any number of updates, reassociation allowed (fastmath).

The products are either the loops that one writes for Numba, or calls of the BLAS that it finds through SciPy.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

Array = np.ndarray[Any, Any]


# Under "python", Numba tests every division for a zero, and loops with one do not vectorise.
compiled = njit(fastmath=True, error_model="numpy")


@compiled
def product(out, a, b, blas):  # type: ignore
    """out = a b."""
    if blas:
        np.dot(a, b, out)
        return
    out[:] = 0
    for i in range(a.shape[0]):
        for k in range(a.shape[1]):
            for j in range(b.shape[1]):
                out[i, j] += a[i, k] * b[k, j]


@compiled
def product_right_transposed(out, a, b, blas):  # type: ignore
    """out = a b^T."""
    if blas:
        np.dot(a, b.T, out)
        return
    for i in range(a.shape[0]):
        for j in range(b.shape[0]):
            total = out.dtype.type(0)
            for k in range(a.shape[1]):
                total += a[i, k] * b[j, k]
            out[i, j] = total


@compiled
def product_left_transposed(out, a, b, blas):  # type: ignore
    """out = a^T b."""
    if blas:
        np.dot(a.T, b, out)
        return
    out[:] = 0
    for k in range(a.shape[0]):
        for i in range(a.shape[1]):
            for j in range(b.shape[1]):
                out[i, j] += a[k, i] * b[k, j]


@compiled
def updates(
    UT,
    W,
    V,
    b,
    c,
    flat,
    first,
    second,
    gradient,
    dUT,
    dW,
    dV,
    db,
    dc,
    state,
    inputs,
    targets,  # type: ignore
    losses,
    step,
    adam,
    learning_rate,
    clip,
    scale,
    blas,
):
    """One update per window. flat, gradient, first and second hold UT, W, V, b, c one after the other."""
    n, T, B = inputs.shape
    m, K = W.shape[0], V.shape[0]
    h, da = np.empty((T + 1, B, m), W.dtype), np.empty((T, B, m), W.dtype)
    p, from_next = np.empty((T * B, K), W.dtype), np.empty((B, m), W.dtype)
    rows, before, flat_da = h[1:].reshape(T * B, m), h[:-1].reshape(T * B, m), da.reshape(T * B, m)
    one = W.dtype.type(1)
    small = W.dtype.type(1e-8)
    h[0] = state
    for update in range(n):
        x, y = inputs[update], targets[update]
        for t in range(T):
            product_right_transposed(h[t + 1], h[t], W, blas)
            for lane in range(B):
                for i in range(m):
                    h[t + 1, lane, i] = np.tanh(h[t + 1, lane, i] + UT[x[t, lane], i] + b[i])
        product_right_transposed(p, rows, V, blas)
        loss = 0.0
        for t in range(T):
            for lane in range(B):
                o = p[t * B + lane]
                highest = -np.inf
                for k in range(K):
                    o[k] += c[k]
                    highest = max(highest, o[k])
                target = y[t, lane]
                chosen = o[target] - highest
                total = W.dtype.type(0)
                for k in range(K):
                    o[k] = np.exp(o[k] - W.dtype.type(highest))
                    total += o[k]
                loss += np.log(total) - chosen
                for k in range(K):
                    o[k] *= scale / total
                o[target] -= scale
        losses[update] = loss
        product_left_transposed(dV, p, rows, blas)
        product(flat_da, p, V, blas)
        dc[:] = 0
        for row in range(T * B):
            for k in range(K):
                dc[k] += p[row, k]
        for t in range(T - 1, -1, -1):
            if t < T - 1:
                product(from_next, da[t + 1], W, blas)
                da[t] += from_next
            for lane in range(B):
                for i in range(m):
                    da[t, lane, i] *= one - h[t + 1, lane, i] * h[t + 1, lane, i]
        product_left_transposed(dW, flat_da, before, blas)
        dUT[:] = 0
        db[:] = 0
        for t in range(T):
            for lane in range(B):
                for i in range(m):
                    dUT[x[t, lane], i] += da[t, lane, i]
                    db[i] += da[t, lane, i]
        step += 1
        if adam:
            root = np.sqrt(1.0 - 0.999**step)
            rate, shift = W.dtype.type(learning_rate * root / (1.0 - 0.9**step)), W.dtype.type(1e-8 * root)
            beta1, beta2 = W.dtype.type(0.9), W.dtype.type(0.999)
            for i in range(flat.size):
                g = min(max(gradient[i], -clip), clip)
                first[i] = beta1 * first[i] + (one - beta1) * g
                second[i] = beta2 * second[i] + (one - beta2) * g * g
                flat[i] -= rate * first[i] / (np.sqrt(second[i]) + shift)
        else:
            rate = W.dtype.type(learning_rate)
            for i in range(flat.size):
                g = min(max(gradient[i], -clip), clip)
                second[i] += g * g
                flat[i] -= rate * g / np.sqrt(second[i] + small)
        h[0] = h[T]
    state[:] = h[0]


class Numba:
    """Arguments as charrnn.bench.baselines.Vectorised; blas: products by BLAS, not by loops."""

    def __init__(
        self,
        parameters: dict[str, Array],
        *,
        seq_length: int,
        batch_size: int,
        optimizer: str,
        learning_rate: float,
        clip: float | None,
        reduction: str,
        dtype: str = "float32",
        blas: bool = True,
    ) -> None:
        real = np.dtype(dtype).type
        m = len(parameters["W"])
        values = {"UT": parameters["U"].T} | {name: parameters[name] for name in "WVbc"}
        self.flat = np.concatenate([value.ravel() for value in values.values()]).astype(real)
        self.gradient, self.first, self.second = (np.zeros_like(self.flat) for _ in range(3))
        ends = np.cumsum([value.size for value in values.values()])[:-1]
        self.views, self.gradients = (
            [part.reshape(value.shape) for part, value in zip(np.split(flat, ends), values.values(), strict=True)]
            for flat in (self.flat, self.gradient)
        )
        self.state = np.zeros((batch_size, m), real)
        self.step, self.adam = 0, optimizer == "adam"
        scale = 1.0 / (seq_length * batch_size) if reduction == "mean" else 1.0
        self.settings = learning_rate, real(np.inf if clip is None else clip), real(scale), blas

    def run(self, inputs: Array, targets: Array) -> Array:
        """One update per window of inputs and targets (n, T, B); returns the summed losses."""
        losses = np.empty(len(inputs))
        updates(
            *self.views,
            self.flat,
            self.first,
            self.second,
            self.gradient,
            *self.gradients,
            self.state,
            inputs,
            targets,
            losses,
            self.step,
            self.adam,
            *self.settings,
        )
        self.step += len(inputs)
        return losses
