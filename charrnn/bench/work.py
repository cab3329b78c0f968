"""The work that is compared: sizes of training, windows of a text, and the parameters that every program starts from."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from charrnn.network.architecture import Architecture
from charrnn.network.arrays import Array
from charrnn.network.blocks import blocks


@dataclass(frozen=True)
class Work:
    """One size of training: the update that is timed, on windows of the bundled story."""

    title: str
    m: int
    T: int
    B: int
    optimizer: str
    learning_rate: float
    clip: float | None
    reduction: str
    cell: str = "rnn"
    layers: int = 1

    @property
    def architecture(self) -> tuple[str, int, int]:
        """Cell, hidden units and layers."""
        return self.cell, self.m, self.layers

    def flops(self, K: int) -> int:
        """Multiplications and additions in the matrix products of one update: two for each weight that is multiplied, three times over.

        The first layer's U is not: its columns are gathered.
        """
        table = blocks(Architecture(*self.architecture, K))
        weights = sum(math.prod(block.shape) for block in table if block.letter in "WV" or (block.letter == "U" and block.layer))
        return 6 * self.T * self.B * weights


LAB = Work("lab: m=100, T=25, B=1, AdaGrad", 100, 25, 1, "adagrad", 0.1, 5.0, "sum")
MANY = [Work(f"large batch: m={m}, T=50, B=50, Adam", m, 50, 50, "adam", 1e-3, None, "mean") for m in (128, 256, 512)]
GATED = [
    Work(f"{name}: m={m}, T=50, B=50, Adam", m, 50, 50, "adam", 1e-3, None, "mean", cell, layers)
    for name, cell, m, layers in (("LSTM", "lstm", 256, 1), ("GRU", "gru", 256, 1), ("two layers of LSTM", "lstm", 256, 2))
]
SIZES = {"lab": [LAB], "many": MANY, "gated": GATED, "synthesis": [], "scoring": []}
READ = [("rnn", 100, 1), ("lstm", 512, 1)]  # the networks that write and score: cell, hidden units, layers


def start(architecture: tuple[str, int, int], K: int, std: float = 0.01) -> dict[str, Array]:
    """Parameters to start from, by the names of their blocks: N(0, std^2) weights, zero biases, float64."""
    rng, table = np.random.default_rng(0), blocks(Architecture(*architecture, K))
    return {block.name: std * rng.standard_normal(block.shape) if block.letter in "UWV" else np.zeros(block.shape) for block in table}


def windows(ids: Array, work: Work, n: int) -> tuple[Array, Array]:
    """The first n windows of the text in B streams: inputs and targets (n, T, B)."""
    stream = (len(ids) - 1) // work.B
    n = min(n, stream // work.T)
    at = np.arange(n * work.T)[:, None] + stream * np.arange(work.B)
    shape = (n, work.T, work.B)
    return ids[at].astype(np.intc).reshape(shape), ids[at + 1].astype(np.intc).reshape(shape)
