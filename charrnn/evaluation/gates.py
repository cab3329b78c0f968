"""What the gates of a GRU or LSTM do while it reads: how often each is open or closed (Karpathy, Johnson & Fei-Fei 2015, figure 4)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from charrnn.network.arrays import Array
from charrnn.network.cells import Cell

OPEN, CLOSED = 0.9, 0.1
NAMES = {
    ("lstm", "i"): "input gate i: how much of g goes into c",
    ("lstm", "f"): "forget gate f: how much of c stays",
    ("lstm", "g"): "candidate g: what could go into c",
    ("lstm", "o"): "output gate o: how much of tanh c is shown in h",
    ("gru", "r"): "reset gate r: how much of the old state the candidate sees",
    ("gru", "z"): "update gate z: how much of the old h stays",
    ("gru", "n"): "candidate n: what could replace the old h",
}
CANDIDATES = ("g", "n")  # which lie in -1..1; all others are sigmoids, in 0..1


def name_of(cell: Cell, gate: str) -> str:
    """A gate in words."""
    return NAMES.get((cell.name, gate), f"gate {gate}")


def gates_of(cell: Cell) -> list[tuple[int, str]]:
    """The number and letter of each gate that a cell has beside its state.

    >>> from charrnn.network.cells import CELLS
    >>> gates_of(CELLS["gru"]), gates_of(CELLS["rnn"])
    ([(0, 'r'), (1, 'z'), (2, 'n')], [])
    """
    return [(g, gate) for g, gate in enumerate(cell.gates) if gate]


@dataclass(frozen=True)
class Share:
    """How open a sigmoid gate is, over all units of a layer (from 0) and all characters: its mean, and which share of its values is above
    0.9 and below 0.1."""

    layer: int
    gate: str
    mean: float
    open: float
    closed: float


class Shares:
    """Gathers `Share` of every sigmoid gate from one block after the other."""

    def __init__(self, cell: Cell, layers: int) -> None:
        self.gates = [(g, gate) for g, gate in gates_of(cell) if gate not in CANDIDATES]
        self.layers, self.count = layers, 0
        self.sums = np.zeros((3, layers, len(self.gates)))

    def add(self, gates: Array) -> None:
        """Take in the gates (L, R, T, m) of T characters."""
        self.count += gates.shape[2] * gates.shape[3]
        for i, (g, _) in enumerate(self.gates):
            values = gates[:, g]
            self.sums[0, :, i] += values.sum((1, 2), dtype=np.float64)
            self.sums[1, :, i] += np.count_nonzero(values > OPEN, axis=(1, 2))
            self.sums[2, :, i] += np.count_nonzero(values < CLOSED, axis=(1, 2))

    def result(self) -> list[Share]:
        """Layer after layer, each gate in the cell's order."""
        means = self.sums / max(1, self.count)
        return [Share(layer, gate, *means[:, layer, i].tolist()) for layer in range(self.layers) for i, (_, gate) in enumerate(self.gates)]
