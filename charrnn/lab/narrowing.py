"""Where a mistake that has no name shows: from how many steps on, in which parameters, in which rows or columns, and by what ratio."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from charrnn.lab.explanation import deviation
from charrnn.lab.window import Array

NUMBERS = {1: "one step", 2: "two steps", 3: "three steps"}
PLACES = {
    "c": "dc = sum g_t, and g_t itself",
    "V": "dV = sum g_t h_t^T",
    "b": "db = sum da_t, and da_t itself",
    "W": "dW = sum da_t h_{t-1}^T",
    "U": "dU[:, x_t] += da_t",
}


def by_steps(wrong: Mapping[int, Sequence[str]], unexplained: Sequence[str]) -> str:
    """What windows of T = 1, 2, 3 steps say; wrong: by T, the names of wrong gradients.

    >>> by_steps({1: [], 2: [], 3: ["W"]}, ["W"])
    'Windows of one step and of two steps are right; from three steps on, dW is wrong.'
    """
    seen = {T: [name for name in names if name in unexplained] for T, names in sorted(wrong.items())}
    first = next((T for T, names in seen.items() if names), None)
    if first is None:
        return f"Windows of {', '.join(map(str, seen))} steps are right: it shows in longer ones only." if seen else ""
    names = ", ".join("d" + name for name in seen[first])
    verb = "is" if len(seen[first]) == 1 else "are"
    if first == min(seen):
        later = [name for name in unexplained if name not in seen[first]]
        more = f"; {', '.join('d' + name for name in later)} only in longer ones" if later else ""
        return f"A window of one step is wrong already: {names}{more}." if first == 1 else f"{names} {verb} wrong from {NUMBERS[first]} on."
    right = " and of ".join(NUMBERS[T] for T in seen if first > T)
    return f"Windows of {right} are right; from {NUMBERS[first]} on, {names} {verb} wrong."


def pattern(name: str, given: Array, right: Array, equal: float) -> str:
    """Which rows or columns of a gradient are wrong, and what its ratio to the right one looks like; both in the author's orientation.

    >>> right = np.arange(1.0, 7).reshape(2, 3)
    >>> pattern("W", right * np.array([[1, 2, 1]]), right, 1e-8)
    'dW is wrong in column 1 only, where it is 2 times the right one.'
    """
    if given.shape != right.shape:
        return f"d{name} has shape {given.shape}, the right one {right.shape}."
    if not np.isfinite(given).all():
        return f"d{name} holds what is no number (nan or inf)."
    largest = float(np.abs(right).max()) or 1.0
    off = np.abs(given - right) > equal * largest
    if not off.any():
        return ""
    if not given.any():
        return f"d{name} is 0 throughout."
    where = ""
    if right.ndim == 2 and min(right.shape) > 1:
        for axis, word in ((1, "row"), (0, "column")):
            lines = np.flatnonzero(off.any(axis))
            if 0 < len(lines) <= max(1, off.shape[1 - axis] // 2):
                where = f"{word}{'s' if len(lines) > 1 else ''} {', '.join(map(str, lines[:8]))} only"
                break
    elif off.sum() <= off.size // 2:
        where = f"{'entries' if off.sum() > 1 else 'entry'} {', '.join(str(int(i)) for i in np.flatnonzero(off)[:8])} only"
    ratio = ratio_in_words(given[off], right[off], equal * largest)
    if where:
        return f"d{name} is wrong in {where}" + (f", where it is {ratio}." if ratio else ".")
    if ratio:
        return f"d{name} is {ratio}."
    for axis, word in ((1, "row"), (0, "column")):
        if right.ndim == 2 and min(right.shape) > 1 and constant_along(given, right, axis, equal):
            return f"d{name} is right up to a factor of its own for each {word}."
    if right.ndim == 2 and right.shape[0] == right.shape[1] and deviation(given, right.T.copy(), right) < equal:
        return f"d{name} is the transpose of the right one."
    cosine = float((given * right).sum() / (np.linalg.norm(given) * np.linalg.norm(right) or 1.0))
    length = float(np.linalg.norm(given) / (np.linalg.norm(right) or 1.0))
    return f"d{name} is wrong in all rows and columns: {length:.3g} times as long as the right one, with a cosine of {cosine:.3g} to it."


def ratio_in_words(given: Array, right: Array, tiny: float) -> str:
    """The constant ratio of two arrays, in words; "" if there is none."""
    if (np.abs(given) <= tiny).all():
        return "0"
    known = np.abs(right) > tiny
    if not known.all():
        return ""
    ratios = given / right
    ratio = float(np.median(ratios))
    return f"{ratio:.6g} times the right one" if np.abs(ratios - ratio).max() < 1e-6 * abs(ratio) else ""


def constant_along(given: Array, right: Array, axis: int, equal: float) -> bool:
    """Whether each row (axis 1) or column (axis 0) is a constant times the right one."""
    squares = (right**2).sum(axis, keepdims=True)
    with np.errstate(all="ignore"):
        factors = np.where(squares > 0, (given * right).sum(axis, keepdims=True) / squares, 0)
    return deviation(given, factors * right, right) < equal


def where_to_look(wrong: Sequence[str], unexplained: Sequence[str], names: Sequence[str]) -> str:
    """What the right gradients say about a mistake that is in no table."""
    listed = ", ".join("d" + name for name in unexplained)
    fine = [name for name in names if name not in wrong]
    said = f"{listed} {'is' if len(unexplained) == 1 else 'are'} wrong in a way that is in no table"
    if not set(unexplained) <= set(PLACES):
        return said + (f"; {', '.join('d' + name for name in fine)} {'is' if len(fine) == 1 else 'are'} right." if fine else ".")
    if not fine:
        return said + ", and no gradient is right: begin with g_t = p_t - y_t and dc = sum g_t, on which all others stand."
    first = next(name for name in ("c", "V", "b", "W", "U") if name in unexplained)
    return f"{said}; {', '.join('d' + name for name in fine)} {'is' if len(fine) == 1 else 'are'} right. Look first at {PLACES[first]}."
