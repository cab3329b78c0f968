"""The vanilla cell (Elman 1990; Goodfellow et al. 2016, 10.2): torch.nn.RNN."""

from __future__ import annotations

import numpy as np

from charrnn.network.arrays import Array
from charrnn.network.cells.cell import Cell, States


def forward(a: Array, before: States) -> States:
    """h = tanh(a)."""
    np.tanh(a[0], out=a[0])
    return (a[0].copy(),)


def backward(a: Array, before: States, after: States, d_after: States) -> States:
    """da = dh (1 - h^2)."""
    a[0] = d_after[0] * (1 - after[0] ** 2)
    return (np.zeros_like(before[0]),)


RNN = Cell("rnn", ("",), ("h",), "RNN", forward, backward)
