"""Wrong steps of a backward pass, for the table of `charrnn.lab.mistakes`: slopes, errors and sums over time as people get them wrong."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from charrnn.lab.window import RIGHT, Array, Sum, Window, outer, slope

Slope = Callable[[Window, int], Array]


def sigmoid(a: Array) -> Array:
    """1 / (1 + exp(-a))."""
    return 1 / (1 + np.exp(-a))


# ---- slopes --------------------------------------------------------------------------------------------------------------


def but_at_the_last(wrong: Slope) -> Slope:
    """A slope that is wrong at all steps but the last."""
    return lambda w, t: wrong(w, t) if t < len(w.a) - 1 else slope(w, t)


def at_the_last(wrong: Slope) -> Slope:
    """A slope that is wrong at the last step only."""
    return lambda w, t: wrong(w, t) if t == len(w.a) - 1 else slope(w, t)


def everywhere_or_nearly(*slopes: Slope) -> tuple[Mapping[str, Any], ...]:
    """Options for each slope at all steps, at all but the last, and at the last alone."""
    return tuple({"slope": where(wrong)} for where in (lambda wrong: wrong, but_at_the_last, at_the_last) for wrong in slopes)


# ---- errors --------------------------------------------------------------------------------------------------------------


def labels(w: Window) -> Array:
    """y one-hot, (T, B, K)."""
    return np.eye(w.p.shape[2])[w.y]


def at_steps(first: int | None, last: int | None) -> Callable[[Window], Array]:
    """The error of the steps first:last only."""

    def some(w: Window) -> Array:
        keep = np.zeros_like(w.p)
        keep[first:last] = 1
        return keep * (w.p - labels(w))  # type: ignore[no-any-return]

    return some


def labels_as_indices(w: Window) -> Array:
    """The derivative by o of sum over k of -log p_t[Y_tk], Y one-hot: K p_t - (K-1) e_0 - e_1."""
    K = w.p.shape[2]
    unit = np.eye(K)
    return K * w.p - (K - 1) * unit[0] - unit[1]  # type: ignore[no-any-return]


# ---- sums ----------------------------------------------------------------------------------------------------------------


def previous(w: Window, first: Array) -> Array:
    """h_0 .. h_{T-1}, with something else in the place of h_0."""
    return np.concatenate([first[None], w.h[1:-1]])


def everywhere(h: Array, w: Window) -> Array:
    """One state (B, m) for every step."""
    return np.broadcast_to(h, w.h[1:].shape)


def nothing(right: Sum) -> Sum:
    """Zeros."""
    return lambda w, g, da: 0 * right(w, g, da)


def over_steps(first: int | None, last: int | None) -> dict[str, Sequence[Sum]]:
    """Each gradient with the terms of the steps first:last alone."""

    def only(right: Sum) -> Sum:
        def total(w: Window, g: Array, da: Array) -> Array:
            keep = np.zeros((len(da), 1, 1))
            keep[first:last] = 1
            return right(w, g * keep, da * keep)

        return total

    return {name: (only(right),) for name, right in RIGHT.items()}


def without_slope(w: Window, da: Array) -> Array:
    """dh_t = da_t / (1 - h_t^2)."""
    with np.errstate(all="ignore"):
        return np.stack([da[t] / slope(w, t) for t in range(len(da))])


def of_dh(right: Sum) -> Sum:
    """A sum of dh in the place of da."""
    return lambda w, g, da: right(w, g, without_slope(w, da))


def last_of_equal(w: Window, da: Array) -> Array:
    """dU (m, K) as dU[:, x] += da gives it."""
    dU = np.zeros((w.p.shape[2], da.shape[2]))
    dU[w.x.reshape(-1)] += da.reshape(-1, da.shape[2])
    return dU.T


def last_of_equal_lanes(w: Window, da: Array) -> Array:
    """dU (m, K) as dU[:, x_t] += da_t gives it in a loop over t, x_t being the symbols of all lanes."""
    dU = np.zeros((w.p.shape[2], da.shape[2]))
    for t in range(len(da)):
        dU[w.x[t]] += da[t]
    return dU.T


def shifted(w: Window, da: Array, by: int) -> Array:
    """dU with the symbol of step t + by in the place of x_t; the first stands in for what is before it."""
    K = w.p.shape[2]
    return outer(da, np.eye(K)[np.roll(w.x, -by, axis=0)])
