"""The ways in which programs keep a text and a state: ids or one-hot, time first or last, columns or rows, with or without lanes.

T steps, B lanes, K symbols, m units; ids are (T, B), states (B, m).
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np

from charrnn.lab.window import Array

Text = Callable[[Array, int], Any]  # (ids (T, B), K) -> how a program has it


def hot(ids: Array, K: int) -> Array:
    """(T, B, K)."""
    return np.eye(K)[ids]


TEXTS: dict[str, Text] = {  # of one lane
    "indices (T,)": lambda ids, K: ids[:, 0].copy(),
    "a list of indices": lambda ids, K: ids[:, 0].tolist(),
    "one-hot (K, T)": lambda ids, K: hot(ids[:, 0], K).T.copy(),
    "one-hot (T, K)": lambda ids, K: hot(ids[:, 0], K),
    "one-hot (T, K, 1)": lambda ids, K: hot(ids[:, 0], K)[:, :, None],
    "a list of one-hot columns (K, 1)": lambda ids, K: list(hot(ids[:, 0], K)[:, :, None]),
    "a list of one-hot vectors (K,)": lambda ids, K: list(hot(ids[:, 0], K)),
    "a list of one-hot rows (1, K)": lambda ids, K: list(hot(ids[:, 0], K)[:, None, :]),
    "one-hot (T, 1, K)": lambda ids, K: hot(ids[:, 0], K)[:, None, :],
    "indices (T, 1)": lambda ids, K: ids[:, :1].copy(),
    "a list of one sequence of indices": lambda ids, K: [ids[:, 0].copy()],
    "one-hot (1, T, K)": lambda ids, K: hot(ids[:, 0], K)[None],
    "indices (1, T)": lambda ids, K: ids[:, 0][None].copy(),
    "one-hot (K, T, 1)": lambda ids, K: hot(ids[:, 0], K).T[:, :, None].copy(),
}
LANES: dict[str, Text] = {  # of several
    "indices (T, B)": lambda ids, K: ids.copy(),
    "indices (B, T)": lambda ids, K: ids.T.copy(),
    "one-hot (T, B, K)": lambda ids, K: hot(ids, K),
    "one-hot (B, T, K)": lambda ids, K: hot(ids, K).swapaxes(0, 1).copy(),
    "one-hot (K, B, T)": lambda ids, K: hot(ids, K).transpose(2, 1, 0).copy(),
    "one-hot (T, K, B)": lambda ids, K: hot(ids, K).transpose(0, 2, 1).copy(),
    "one-hot (B, K, T)": lambda ids, K: hot(ids, K).transpose(1, 2, 0).copy(),
    "one-hot (K, T, B)": lambda ids, K: hot(ids, K).transpose(2, 0, 1).copy(),
    "a list of one-hot arrays (B, K)": lambda ids, K: list(hot(ids, K)),
    "a list of one-hot arrays (K, B)": lambda ids, K: [rows.T.copy() for rows in hot(ids, K)],
}
LAST: dict[str, Text] = {  # the last label alone, of one lane
    "the last index": lambda ids, K: int(ids[-1, 0]),
    "the last one-hot column (K, 1)": lambda ids, K: hot(ids[-1], K).T.copy(),
    "the last one-hot vector (K,)": lambda ids, K: hot(ids[-1, 0], K),
}
STATES: dict[str, Callable[[Array], Array]] = {
    "(m, 1)": lambda h: h[0][:, None].copy(),
    "(m,)": lambda h: h[0].copy(),
    "(1, m)": lambda h: h[:1].copy(),
}
LANE_STATES: dict[str, Callable[[Array], Array]] = {
    "(B, m)": lambda h: h.copy(),
    "(m, B)": lambda h: h.T.copy(),
    "(1, B, m)": lambda h: h[None].copy(),
}
STRING = "a string"  # of the characters that the program has indices for
ALL_TEXTS = TEXTS | LANES | LAST
ALL_STATES = STATES | LANE_STATES


def state_format(shape: tuple[int, ...], m: int) -> str | None:
    """The format of a state that has this shape.

    >>> state_format((5, 1), 5), state_format((3, 5), 5)
    ('(m, 1)', '(B, m)')
    """
    if shape == (m, 1):
        return "(m, 1)"
    if shape == (m,):
        return "(m,)"
    if shape == (1, m):
        return "(1, m)"
    if len(shape) == 2 and m in shape:
        return "(B, m)" if shape[1] == m else "(m, B)"
    return "(1, B, m)" if len(shape) == 3 and shape[2] == m and shape[0] == 1 else None


def tried() -> list[tuple[int, str, str, str]]:
    """(how unusual, inputs, targets, state) as they are tried in turn: both alike first, one lane before several, odd ones last."""
    every: list[tuple[int, str, str, str]] = []
    for lanes, (texts, states, more) in enumerate(((TEXTS, STATES, LAST), (LANES, LANE_STATES, {}))):
        names = list(texts)
        for i, j in itertools.product(range(len(names)), range(len(names) + len(more))):
            inputs, targets = names[i], (names + list(more))[j]
            odd = "1," in inputs + targets.replace("K, 1", "") or "one sequence" in inputs + targets or "T, 1" in inputs + targets
            indices = "indices (T" in targets or "indices (B" in targets or targets == "a list of indices"
            usual = i == j or (indices and _lane_order(inputs) == _lane_order(targets)) or targets in LAST
            tier = 3 * odd + 2 * (not usual) + lanes
            every += [(tier, inputs, targets, state) for state in states]
    every.sort(key=lambda item: item[0])
    return every


def _lane_order(name: str) -> str:
    axes = [letter for letter in name.partition("(")[2] if letter in "TB"] if "list" not in name else ["T"]
    return "".join(axes) if len(axes) == 2 or "list" not in name else "T"
