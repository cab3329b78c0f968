"""What computing needs beside the parameters."""

from __future__ import annotations

from typing import Any

import numpy as np

from charrnn.network.architecture import Architecture
from charrnn.network.arrays import aligned_zeros, padded
from charrnn.network.blocks import row_count

ABANDONED = 17  # the word of the barrier that says that a thread will not come (csrc/barrier.h)


class Workspace:
    """The arrays in which windows of T steps in B lanes are computed.

    Attributes, with L layers, N states, R rows of pre-activations (`charrnn.network.cells.cell`) and rows padded to m_ and K_:
        states: (L, N, T+1, B, m_); states[:, :, 0] is the carried state.
        gates: (L, T, B, R, m_): pre-activations, then gates, then, going back, the derivatives by the pre-activations.
        error: (T, B, K_): the probabilities p, or scale (p - y).
        losses: (T, B), nats.
        dropped: (L, T, B, m_) with dropout, else (L, 0, B, m_): what each layer hands up.
        used: with weight drop like theta, else (0, m_): the parameters of the window, of which some elements of W are dropped.
        delta: (T+1, B, m_): the derivatives by h of the layer that is being worked on. Only with `backward`, like
        d_cell: (B, m_), by the second state, at the step that is being worked on.
        gradients: like theta.
        scratch: the kernels' own, whatever they keep of the weights from call to call; `Kernels.pack` renews it.
    """

    def __init__(
        self,
        kernels: Any,
        architecture: Architecture,
        T: int,
        B: int,
        dtype: Any,
        *,
        backward: bool = True,
        dropout: bool = False,
        weight_drop: bool = False,
        threads: int = 1,
    ) -> None:
        m_, K_, L = padded(architecture.hidden_size, dtype), padded(architecture.symbols, dtype), architecture.layers
        self.architecture, self.T, self.B, self.dtype, self.threads = architecture, T, B, np.dtype(dtype), threads
        self.m, self.K = architecture.hidden_size, architecture.symbols
        self.cell, self.layers = architecture.cell, L
        self.states = aligned_zeros((L, len(architecture.kind.states), T + 1, B, m_), dtype)
        self.gates = aligned_zeros((L, T, B, architecture.kind.rows, m_), dtype)
        self.error = aligned_zeros((T, B, K_), dtype)
        self.losses = np.zeros((T, B))
        self.dropped = aligned_zeros((L, T if dropout else 0, B, m_), dtype)
        rows = row_count(architecture, dtype) if backward else 0
        self.used = aligned_zeros((rows if weight_drop else 0, m_), dtype)
        self.delta = aligned_zeros((T + 1 if backward else 0, B, m_), dtype)
        self.d_cell = aligned_zeros((B if backward else 0, m_), dtype)
        self.gradients = aligned_zeros((rows, m_), dtype)
        self.scratch = aligned_zeros((kernels.scratch_size(self),), dtype)
        self.seen = np.zeros(self.K, np.uint8)
        self.squares = np.zeros(rows)
        self.barrier = aligned_zeros((32,), np.intc)

    @staticmethod
    def bytes(architecture: Architecture, T: int, B: int, dtype: Any, *, backward: bool = True, dropout: bool = False) -> int:
        """About how much memory one takes, the kernels' own aside."""
        cell, L = architecture.kind, architecture.layers
        m_, K_, size = padded(architecture.hidden_size, dtype), padded(architecture.symbols, dtype), int(np.dtype(dtype).itemsize)
        layer = len(cell.states) + cell.rows + bool(dropout)
        window = T * B * (((L * layer + bool(backward)) * m_ + K_) * size + 8)
        return window + (row_count(architecture, dtype) * m_ * size if backward else 0)
