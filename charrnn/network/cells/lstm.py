"""Long short-term memory (Hochreiter & Schmidhuber 1997; with a forget gate, Gers et al. 2000): torch.nn.LSTM."""

from __future__ import annotations

import numpy as np

from charrnn.network.arrays import Array
from charrnn.network.cells.cell import Cell, States, sigmoid


def forward(a: Array, before: States, kept: float | Array = 1.0) -> States:
    """i, f, o = sigmoid(a)   g = tanh(a_g)   c = f c' + i k g   h = o tanh(c),   with k = kept."""
    i, f, g, o = a
    i[:], f[:], o[:] = sigmoid(i), sigmoid(f), sigmoid(o)
    np.tanh(g, out=g)
    c = f * before[1] + i * (kept * g)
    return o * np.tanh(c), c


def backward(a: Array, before: States, after: States, d_after: States, kept: float | Array = 1.0) -> States:
    """dc += dh o (1 - tanh^2 c)   da_o = dh tanh(c) o (1 - o)   da_i = dc k g i (1 - i)   da_f = dc c' f (1 - f)
    da_g = dc i k (1 - g^2)   dc' = dc f.
    """
    (i, f, g, o), dh = a, d_after[0]
    tanh_c = np.tanh(after[1])
    dc = d_after[1] + dh * o * (1 - tanh_c**2)
    o[:] = dh * tanh_c * o * (1 - o)
    d_before = dc * f
    da_i = dc * kept * g * i * (1 - i)
    f[:] = dc * before[1] * f * (1 - f)
    g[:] = dc * i * kept * (1 - g**2)
    i[:] = da_i
    return np.zeros_like(dh), d_before


# The forget gate starts open (Jozefowicz et al. 2015), so that the first gradients reach back through c.
LSTM = Cell("lstm", ("i", "f", "g", "o"), ("h", "c"), "LSTM", forward, backward, bias={"f": 1.0}, candidate="g")
