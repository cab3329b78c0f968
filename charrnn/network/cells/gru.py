"""The gated recurrent unit (Cho et al. 2014), as torch.nn.GRU has it: the reset gate multiplies W_n h + b_hn."""

from __future__ import annotations

import numpy as np

from charrnn.network.arrays import Array
from charrnn.network.cells.cell import Cell, States, sigmoid


def forward(a: Array, before: States, kept: float | Array = 1.0) -> States:
    """r = sigmoid(a_r)   z = sigmoid(a_z)   n = tanh(a_n + r q)   h = (1 - z) k n + z h',   with q = W_n h' + b_hn and k = kept."""
    r, z, n, q = a
    r[:], z[:] = sigmoid(r), sigmoid(z)
    np.tanh(n + r * q, out=n)
    return (kept * n + z * (before[0] - kept * n),)


def backward(a: Array, before: States, after: States, d_after: States, kept: float | Array = 1.0) -> States:
    """da_n = dh (1 - z) k (1 - n^2)   da_z = dh (h' - k n) z (1 - z)   da_r = da_n q r (1 - r)   dq = da_n r   dh' = dh z."""
    (r, z, n, q), dh = a, d_after[0]
    d_before = dh * z
    da_n = dh * (1 - z) * kept * (1 - n**2)
    z[:] = dh * (before[0] - kept * n) * z * (1 - z)
    n[:] = da_n
    da_r = da_n * q * r * (1 - r)
    q[:] = da_n * r
    r[:] = da_r
    return (d_before,)


GRU = Cell("gru", ("r", "z", "n"), ("h",), "GRU", forward, backward, apart=True, candidate="n")
