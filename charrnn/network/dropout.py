"""Dropout (Srivastava et al. 2014). Of what a layer hands up, not of what it carries on in time (Zaremba et al. 2014); of the elements
of W (weight drop, Merity et al. 2018); of what a step writes into the state (recurrent dropout, Semeniuta et al. 2016).

Whether a unit is dropped is a hash of (seed, update, layer, t, lane, unit) and of nothing else: no generator runs along, so that
masks are the same for any number of threads, any chunks and after any stop. The same hash stands in csrc/dropout.h.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from charrnn.errors import SettingsError
from charrnn.network.architecture import Architecture
from charrnn.network.arrays import Array
from charrnn.network.blocks import blocks
from charrnn.network.cells import CELLS

GOLDEN = 0x9E3779B97F4A7C15


class Masks(NamedTuple):
    """What is dropped in a window: the share of the units that each layer hands up, and of the candidates, chosen by (seed, update)."""

    dropout: float = 0.0
    seed: int = 0
    update: int = 0
    recurrent_dropout: float = 0.0


NO_MASKS = Masks()


def dropout_mask(rate: float, seed: int, update: int, layer: int, shape: tuple[int, int, int], dtype: Any = np.float64) -> Array:
    """(T, B, m): 0 with probability `rate`, else 1 / (1 - rate).

    >>> mask = dropout_mask(0.25, seed=0, update=1, layer=0, shape=(100, 10, 100))
    >>> round(float((mask == 0).mean()), 2), round(float(mask.mean()), 2)
    (0.25, 1.0)
    """
    T, B, m = shape
    key = _mixed(np.full((T, B, 1), seed, np.uint64))  # mixed first: seed 1 in update 2 is not seed 2 in update 1
    for part in (update, layer, np.arange(T)[:, None, None], np.arange(B)[None, :, None]):
        key = _mixed(key ^ np.asarray(part, np.uint64))
    low, high = (key & 0xFFFFFFFF).astype(np.uint32), (key >> np.uint64(32)).astype(np.uint32)
    x = np.arange(m, dtype=np.uint32) * np.uint32(GOLDEN >> 32) + low  # the finaliser "lowbias32" by C. Wellons, keyed in between
    x = (x ^ (x >> np.uint32(16))) * np.uint32(0x7FEB352D)
    x = ((x ^ (x >> np.uint32(15))) + high) * np.uint32(0x846CA68B)
    x ^= x >> np.uint32(16)
    kept: Array = np.where((x >> np.uint32(8)) < int(rate * (1 << 24)), 0, np.asarray(1 / (1 - rate), dtype))
    return kept


def candidates_kept(masks: Masks, layer: int, architecture: Architecture, T: int, B: int, dtype: Any = np.float64) -> Array | None:
    """(T, B, m): what the candidate of each step is multiplied by; None where nothing is dropped or the cell has no candidate.

    Only what would be written into the state is dropped: what is there stays, so that nothing is forgotten (Semeniuta, Severyn & Barth
    2016, "Recurrent Dropout without Memory Loss").
    """
    if not masks.recurrent_dropout or not architecture.kind.candidate:
        return None
    place = 2 * architecture.layers + layer
    return dropout_mask(masks.recurrent_dropout, masks.seed, masks.update, place, (T, B, architecture.hidden_size), dtype)


def require_candidate(cell: str, recurrent_dropout: float) -> None:
    """SettingsError for recurrent dropout in a cell that has nothing for it."""
    if recurrent_dropout and not CELLS[cell].candidate:
        have = " or ".join(repr(each.name) for each in CELLS.values() if each.candidate)
        raise SettingsError(
            f"recurrent_dropout {recurrent_dropout:g} drops what a gated cell would write into its state, and cell {cell!r} has no gates: "
            f"take cell {have}, or recurrent_dropout 0 and perhaps weight_drop"
        )


def weight_dropped(theta: Array, architecture: Architecture, rate: float, seed: int, update: int) -> Array:
    """theta with each element of every W dropped with probability `rate`, else divided by 1 - rate: weight drop (Merity et al. 2018).

    One mask serves all steps and sequences of a window, so that the state itself is never cut off. Its gradient by theta is the
    gradient by what is returned, dropped in the same way.
    """
    G, m, L = len(architecture.kind.gates), architecture.hidden_size, architecture.layers
    out = theta.copy()
    for block in blocks(architecture):
        if block.letter == "W":
            mask = dropout_mask(rate, seed, update, L + block.layer, (G * m, 1, m), theta.dtype)[:, 0]
            block.view(out)[:] *= mask[block.gate * m : (block.gate + 1) * m]
    return out


def uniforms(seed: int, *numbers: Array) -> Array:
    """Numbers in [0, 1), each of which depends on the seed and on the elements of these arrays in its place, broadcast, alone.

    >>> bool((uniforms(0, np.arange(5)) == uniforms(0, np.arange(9))[:5]).all())
    True
    """
    key = _mixed(np.array([seed], np.uint64))
    for number in numbers:
        key = _mixed(key ^ number.astype(np.uint64))
    drawn: Array = (key >> np.uint64(11)) * 2.0**-53
    return drawn


def _mixed(x: Array) -> Array:
    """One step of SplitMix64 (Steele, Lea & Flood 2014)."""
    x = x + np.uint64(GOLDEN)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed: Array = x ^ (x >> np.uint64(31))
    return mixed
