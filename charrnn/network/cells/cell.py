"""What a cell is: everything by which one kind of recurrent layer differs from another.

A layer of m units keeps, for each step of time, the pre-activations of its gates, a sum of what comes from below and what comes
from the step before::

    a_g = U_g x_t + W_g h_{t-1} + b_g            for each gate g, in PyTorch's order

A cell whose last gate multiplies its recurrent part by another gate before the two are added (the GRU's n) has that part apart, as
one more row of pre-activations with a bias of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from charrnn.network.arrays import Array

States = tuple[Array, ...]


@dataclass(frozen=True)
class Cell:
    """One kind of recurrent layer.

    Attributes:
        name: as in ``CharRNN(cell=...)``.
        gates: a letter for each, in PyTorch's order.
        states: a letter for each array that is carried from step to step; the first is h, which goes up as well.
        apart: whether the last gate's recurrent part stands apart.
        torch: the name of the class in torch.nn; empty where there is none.
        bias: where a gate's bias does not start at 0.
        forward: ``(a, before) -> after``: from the pre-activations a (rows, B, m), which become the gates, in place, and the
            states (B, m) before the step, the states after it.
        backward: ``(a, before, after, d_after) -> d_before``: from the gates, both states and the derivatives by the states after
            the step; a becomes the derivatives by the pre-activations, in place. What goes back through W is not in d_before.
        candidate: the gate that is what a step may write into the state, if the cell has one. Then forward and backward take one more
            argument, `kept` (B, m), by which the candidate is multiplied where it is used: what recurrent dropout leaves of it.
    """

    name: str
    gates: tuple[str, ...]
    states: tuple[str, ...]
    torch: str
    forward: Callable[..., States]
    backward: Callable[..., States]
    apart: bool = False
    bias: dict[str, float] = field(default_factory=dict)
    candidate: str = ""

    @property
    def rows(self) -> int:
        """How many rows of pre-activations a layer has for each step and unit."""
        return len(self.gates) + self.apart

    def recurrent_row(self, gate: int) -> int:
        """The row that W's part of a gate is added to; U's part of gate g is always added to row g."""
        return self.rows - 1 if gate == len(self.gates) - 1 else gate


def sigmoid(x: Array) -> Array:
    """1 / (1 + exp(-x)), written so that nothing overflows; for complex numbers too.

    >>> sigmoid(np.array([-1000.0, 0.0, 1000.0]))
    array([0. , 0.5, 1. ])
    """
    return 0.5 + 0.5 * np.tanh(0.5 * x)
