"""The smooth loss of the lab, and which update left the best model."""

from __future__ import annotations

import math

import numpy as np

from charrnn.network.arrays import Array


class SmoothLoss:
    """smooth = 0.999 smooth + 0.001 loss, beginning with the first loss; its lowest value, and the parameters that had it.

    The parameters after the update of a lowest window are those that the next window meets, so they are copied then, and only if
    that window is no new lowest: seldom enough to cost nothing. Until then the copy is pending.

    The numbers stand in one array (5,), which kernels change: the smooth loss (NaN before the first window), its lowest value, the
    number of windows so far, the number of the lowest, and 1 while its copy is pending.
    """

    def __init__(self, numbers: Array | None = None) -> None:
        self.numbers = np.array([math.nan, math.inf, 0.0, 0.0, 0.0]) if numbers is None else numbers

    @property
    def value(self) -> float:
        return float(self.numbers[0])

    @property
    def lowest(self) -> float:
        return float(self.numbers[1])

    @property
    def best_step(self) -> int:
        return int(self.numbers[3])

    @property
    def pending(self) -> bool:
        return bool(self.numbers[4])

    def add(self, loss: float, theta: Array, best: Array) -> float:
        """The next window's loss; best = theta where a copy was pending. Returns the smooth loss."""
        n = self.numbers
        n[2] += 1
        n[0] = loss if math.isnan(n[0]) else 0.999 * n[0] + 0.001 * loss
        if n[0] < n[1]:
            n[1], n[3], n[4] = n[0], n[2], 1
        else:
            self.settle(theta, best)
        return float(n[0])

    def settle(self, theta: Array, best: Array) -> None:
        """Make the copy that is pending."""
        if self.pending:
            best[:] = theta
            self.numbers[4] = 0

    def copy(self) -> SmoothLoss:
        return SmoothLoss(self.numbers.copy())

    def take(self, other: SmoothLoss) -> None:
        """Become equal to another one."""
        self.numbers[:] = other.numbers

    def begin_text(self) -> None:
        """Forget the losses, of another text than the one to come; the count goes on."""
        self.numbers[[0, 1, 3, 4]] = math.nan, math.inf, 0, 0
