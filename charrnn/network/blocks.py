"""The parameters of a network: a table of blocks, the only place that knows where each lies, and what follows from it.

All parameters are rows of one array theta (R, m_). Layer after layer, then the output layer::

    W    G m rows                 W[g m + i, :]   from unit j of the step before to gate g of unit i
    U    G K rows in layer 1      U[x G + g, :]   from symbol x to gate g, so that U x_t is G rows that lie side by side
         G m rows above           U[g m + i, :]   from unit j of the layer below to gate g of unit i
    b    one row a gate, and one more where the last gate's recurrent part stands apart (see `charrnn.network.cells.cell`)
    V    K rows                   V[k, :]         from the last layer's units to symbol k
    c    as many rows as its padded length needs; its padding is NEVER

Gradients and each array of the optimiser's state have theta's shape, so that row r of one belongs to row r of the others.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from charrnn.network.architecture import Architecture
from charrnn.network.arrays import Array, aligned_zeros, padded

NEVER = -1e30  # the padding of c: a logit that softmax turns into probability 0


@dataclass(frozen=True)
class Block:
    """One parameter: a matrix or a bias, of one gate of one layer or of the output layer.

    Attributes:
        name: "W", "U_f", "layer2.b_hn", "V" ...
        letter: W, U, b, V or c.
        layer: from 0; the number of layers for the output layer.
        gate: its number in the cell's order; b_hn has the number of the gate that it belongs to.
        shape: as the mathematics writes it: U (m, K), W (m, m), V (K, m), b (m,), c (K,).
        rows: of theta.
        transposed: whether the rows of theta are the columns of the matrix.
        tensor, part: its name in PyTorch, and which part of that tensor's rows it is, all being of one size.
    """

    name: str
    letter: str
    layer: int
    gate: int
    shape: tuple[int, ...]
    rows: slice
    transposed: bool
    tensor: str
    part: int = 0

    def view(self, array: Array) -> Array:
        """The block inside theta, or inside anything shaped like it: a view in `shape`."""
        size = self.shape[0]
        if self.letter == "c":
            return array[self.rows].reshape(-1)[:size]
        if self.letter == "b":
            return array[self.rows.start, :size]
        rows = array[self.rows, : size if self.transposed else self.shape[1]]
        return rows.T if self.transposed else rows


@lru_cache(maxsize=64)
def blocks(architecture: Architecture) -> tuple[Block, ...]:
    """Every parameter of a network, from the bottom layer to the output: U, W and b of each layer's gates, then V and c.

    >>> [block.name for block in blocks(Architecture("gru", 10, 1, 5))]
    ['U_r', 'U_z', 'U_n', 'W_r', 'W_z', 'W_n', 'b_r', 'b_z', 'b_n', 'b_hn', 'V', 'c']
    """
    cell, m, K, L = architecture.kind, architecture.hidden_size, architecture.symbols, architecture.layers
    G, found, row = len(cell.gates), [], 0
    for layer in range(L):
        first = f"layer{layer + 1}." if L > 1 else ""
        n = K if layer == 0 else m
        w, u, b = row, row + G * m, row + G * m + G * n
        names = [f"_{gate}" if gate else "" for gate in cell.gates]
        for g, gate in enumerate(names):
            rows = slice(u + g, b, G) if layer == 0 else slice(u + g * m, u + (g + 1) * m)
            found.append(Block(f"{first}U{gate}", "U", layer, g, (m, n), rows, layer == 0, f"rnn.weight_ih_l{layer}", g))
        for g, gate in enumerate(names):
            rows = slice(w + g * m, w + (g + 1) * m)
            found.append(Block(f"{first}W{gate}", "W", layer, g, (m, m), rows, False, f"rnn.weight_hh_l{layer}", g))
        for g, gate in enumerate(names):
            found.append(Block(f"{first}b{gate}", "b", layer, g, (m,), slice(b + g, b + g + 1), False, f"rnn.bias_ih_l{layer}", g))
        if cell.apart:
            name, last = f"{first}b_h{cell.gates[-1]}", slice(b + G, b + G + 1)
            found.append(Block(name, "b", layer, G - 1, (m,), last, False, f"rnn.bias_hh_l{layer}", G - 1))
        row = b + cell.rows
    found.append(Block("V", "V", L, 0, (K, m), slice(row, row + K), False, "head.weight"))
    found.append(Block("c", "c", L, 0, (K,), slice(row + K, None), False, "head.bias"))
    return tuple(found)


def views(array: Array, architecture: Architecture) -> dict[str, Array]:
    """The blocks inside theta, or inside anything shaped like it, by name, as the mathematics writes them. Views, no copies."""
    return {block.name: block.view(array) for block in blocks(architecture)}


def row_count(architecture: Architecture, dtype: Any) -> int:
    """How many rows theta has."""
    m_, K_ = padded(architecture.hidden_size, dtype), padded(architecture.symbols, dtype)
    return int(blocks(architecture)[-1].rows.start) + -(-K_ // m_)


def theta_bytes(architecture: Architecture, dtype: Any) -> int:
    """The memory that one array of theta's shape takes."""
    return row_count(architecture, dtype) * padded(architecture.hidden_size, dtype) * int(np.dtype(dtype).itemsize)


def parameter_count(architecture: Architecture) -> int:
    """How many numbers a network learns.

    >>> parameter_count(Architecture("rnn", 100, 1, 80)), parameter_count(Architecture("lstm", 100, 2, 80))
    (26180, 160880)
    """
    return sum(math.prod(block.shape) for block in blocks(architecture))


def new_theta(architecture: Architecture, dtype: Any) -> Array:
    """All parameters of a network, zero: one allocation (R, m_)."""
    theta = aligned_zeros((row_count(architecture, dtype), padded(architecture.hidden_size, dtype)), dtype)
    theta[blocks(architecture)[-1].rows].reshape(-1)[architecture.symbols :] = NEVER
    return theta


def clear_padding(array: Array, architecture: Architecture, after_c: float = 0.0) -> None:
    """Make what lies between the blocks of theta, or of anything shaped like it, what it was at first: 0, and after_c behind c.

    Nothing reads it, but numbers that are infinite may have been written there.
    """
    clean = np.zeros_like(array)
    clean[blocks(architecture)[-1].rows].reshape(-1)[architecture.symbols :] = after_c
    for block in blocks(architecture):
        block.view(clean)[:] = block.view(array)
    array[:] = clean


class Layer(NamedTuple):
    """The parameters of one layer, all gates side by side, as views."""

    U: Array  # (G, m, n)
    W: Array  # (G, m, m)
    b: Array  # (G or G + 1, m)


def layer_views(array: Array, architecture: Architecture) -> list[Layer]:
    """The same views gathered by layer, for whoever computes with them."""
    m, G, found = architecture.hidden_size, len(architecture.kind.gates), []
    for layer in range(architecture.layers):
        of = [block for block in blocks(architecture) if block.layer == layer]
        first = {letter: next(block.rows.start for block in of if block.letter == letter) for letter in "UWb"}
        u, w, b = first["U"], first["W"], first["b"]
        U = array[u:b].reshape(-1, G, array.shape[1]).transpose(1, 2, 0)[:, :m] if layer == 0 else _by_gate(array[u:b], G, m)
        found.append(Layer(U, _by_gate(array[w:u], G, m), array[b : b + architecture.kind.rows, :m]))
    return found


def _by_gate(rows: Array, gates: int, m: int) -> Array:
    return rows.reshape(gates, -1, rows.shape[1])[:, :, :m]
