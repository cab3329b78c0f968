"""Many sequences of different lengths, read side by side in lanes, each from a state of its own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from charrnn.network.arrays import Array
from charrnn.network.network import Network
from charrnn.network.start import start_states
from charrnn.network.workspace import Workspace

LANES = 128  # at most, side by side: more make a window that no cache holds
STEPS = 256  # at most, of a window
CELLS = 8192  # steps times lanes


def windows_of_lanes(
    network: Network, sequences: Sequence[Array], carried: Array | None = None
) -> Iterator[tuple[Array, int, Array, Workspace]]:
    """The sequences of ids, each at least one id long, window by window; all but the last id of each are read. carried: the state that
    they begin with, see `charrnn.network.start`, by default 0.

    Yields which sequences are in the lanes; the step at which the window begins; how many of its steps belong to each lane; and the
    workspace, valid until the next window is asked for, with states, error (the probabilities) and losses. The longest come first.
    """
    lengths = np.array([len(ids) for ids in sequences], np.intp) - 1
    order = np.argsort(-lengths, kind="stable")
    start = start_states(network, carried, sequences)
    work: Workspace | None = None
    for first in range(0, len(order), LANES):
        group = order[first : first + LANES]
        padded = np.zeros((lengths[group[0]] + 1, len(group)), np.intc)
        for lane, number in enumerate(group):
            padded[: lengths[number] + 1, lane] = sequences[number]
        state, at = None if start is None else start[:, :, group], 0
        while at < lengths[group[0]]:
            B = int(np.count_nonzero(lengths[group] > at))
            T = int(min(lengths[group[0]] - at, STEPS, max(1, CELLS // B)))
            if work is None or (T, B) != (work.T, work.B):
                work = network.workspace(T, B, backward=False)
            work.states[:, :, 0, :, : work.m] = 0 if state is None else state[:, :, :B]
            ids = np.ascontiguousarray(padded[at : at + T + 1, :B])
            network.kernels.forward(network.theta, work, ids[:-1], ids[1:], gradient=False)
            yield group[:B], at, np.minimum(lengths[group[:B]] - at, T), work
            state = work.states[:, :, T, :, : work.m].copy()
            at += T


def states_after(network: Network, sequences: Sequence[Array], carried: Array | None = None) -> Array:
    """(layers, states, n, m): the state of each of n sequences when all but its last id are read."""
    start = start_states(network, carried, sequences)
    states = np.zeros(network.architecture.state_shape(len(sequences)), network.dtype) if start is None else start
    for lanes, _, steps, work in windows_of_lanes(network, sequences, carried):
        states[:, :, lanes] = work.states[:, :, steps, np.arange(len(lanes)), : work.m]
    return states


def log_probabilities(network: Network, sequences: Sequence[Array], carried: Array | None = None) -> tuple[Array, Array]:
    """ln p of each id but the first of each sequence, given those before it, in one row; and where each sequence begins in it, (n,)."""
    lengths = np.array([len(ids) - 1 for ids in sequences], np.intp)
    starts = np.cumsum(lengths) - lengths
    found = np.empty(int(lengths.sum()))
    for lanes, at, steps, work in windows_of_lanes(network, sequences, carried):
        t = np.arange(work.T)
        there = t < steps[:, None]
        found[(starts[lanes, None] + at + t)[there]] = -work.losses.T[there]
    return found, starts
