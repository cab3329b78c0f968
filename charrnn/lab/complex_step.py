"""Derivatives of the vanilla network's loss by a complex step (Squire & Trapp 1998), for gradients that differences leave in doubt."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from charrnn.gradients.report import relative_errors
from charrnn.lab.mistakes import NAMES
from charrnn.network.arrays import Array

LANES = 64  # entries whose complex steps are taken side by side


def settle(
    parameters: Mapping[str, Array],
    inputs: Array,
    targets: Array,
    state: Array,
    name: str,
    analytic: Array,
    numeric: Array,
    eps: float,
    threshold: float,
) -> Array:
    """numeric, with the entries that exceed the threshold measured again by a complex step (note c).

    The worst come first, and it ends with the first lot that stays above the threshold: then the gradient is wrong anyway.
    """
    errors = relative_errors(analytic, numeric, eps)
    order = np.argsort(-errors, axis=None, kind="stable")[: np.count_nonzero(~(errors < threshold))]
    again = numeric.copy()
    for start in range(0, len(order), LANES):
        lot = np.unravel_index(order[start : start + LANES], numeric.shape)
        again[lot] = complex_step(parameters, inputs, targets, state, name, lot)
        if not (relative_errors(analytic[lot], again[lot], eps) < threshold).all():
            break
    return again


def complex_step(
    parameters: Mapping[str, Array], inputs: Array, targets: Array, state: Array, name: str, entries: tuple[Array, ...], h: float = 1e-30
) -> Array:
    """(n,): the derivatives of the summed loss by n entries of one parameter, Im loss(x + ih) / h, from NumPy alone.

    entries: n row indices and, for a matrix, n column indices. All n networks run side by side: lane l of n has its own entry
    moved by ih, which adds ih times that entry's factor to one of its units or symbols.

    >>> p = {"U": np.zeros((3, 2)), "W": np.zeros((3, 3)), "V": np.zeros((2, 3)), "b": np.zeros(3), "c": np.zeros(2)}
    >>> complex_step(p, np.array([[0]]), np.array([[1]]), np.zeros((1, 3)), "c", (np.array([0, 1]),)).round(3)
    array([ 0.5, -0.5])
    """
    U, W, V, b, c = (parameters[each].astype(complex) for each in NAMES)
    row, column, n = entries[0], entries[-1], len(entries[0])
    B, m = state.shape
    lanes = np.arange(n)
    hidden: Array = np.repeat(state[None].astype(complex), n, axis=0)  # (n, B, m)
    loss: Array = np.zeros(n, np.complex128)
    for x, y in zip(inputs, targets, strict=True):
        a = (hidden.reshape(-1, m) @ W.T).reshape(n, B, m) + U.T[x] + b  # one flat product: BLAS is slow on many small ones
        if name in ("U", "W", "b"):
            factor: Any = {"W": hidden[lanes, :, column % m], "U": x == column[:, None], "b": 1}[name]
            a[lanes, :, row] += 1j * h * factor
        hidden = np.tanh(a)
        o = (hidden.reshape(-1, m) @ V.T).reshape(n, B, -1) + c
        if name in ("V", "c"):
            o[lanes, :, row] += 1j * h * (hidden[lanes, :, column] if name == "V" else 1)
        o -= o.real.max(-1, keepdims=True)
        loss += (np.log(np.exp(o).sum(-1)) - o[:, np.arange(B), y]).sum(-1)
    return loss.imag / h
