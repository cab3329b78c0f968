"""The arrays of a network and their layout: parameters, what a window of text needs to be worked on, the update's settings.

The layout is described in csrc/kernels.pxi, note (b). Every array starts on a 64-byte line and every row is a whole number of
lines, so that compiled loops have no remainder.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]

LINE = 64  # bytes
ABANDONED = 17  # the word of the barrier that says that a thread will not come (csrc/barrier.h)
NEVER = -1e30  # the padding of c: a logit that softmax turns into probability 0
SLOTS = {"adagrad": 1, "adam": 2, "rmsprop": 1, "sgd": 1}  # memories that each optimiser keeps per parameter
OPTIMIZERS = tuple(SLOTS)  # their order is the number that kernels know them by


def padded(length: int, dtype: Any) -> int:
    """The row length for `length` elements: whole 64-byte lines, an odd number of them.

    Odd, because rows that are a power of two apart fall into one set of a processor's cache and push each other out.

    >>> padded(100, "float32"), padded(256, "float32"), padded(100, "float64")
    (112, 272, 104)
    """
    per_line = LINE // int(np.dtype(dtype).itemsize)
    return (-(-length // per_line) | 1) * per_line


def aligned_zeros(shape: tuple[int, ...], dtype: Any) -> Array:
    """Zeros, of which the first starts on a 64-byte line."""
    size = math.prod(shape) * int(np.dtype(dtype).itemsize)
    block = np.zeros(size + LINE, np.uint8)
    start = -block.ctypes.data % LINE
    lines: Array = block[start : start + size].view(dtype).reshape(shape)
    return lines


def aligned_copy(array: Array) -> Array:
    """The same numbers, starting on a 64-byte line."""
    copy = aligned_zeros(array.shape, array.dtype)
    copy[:] = array
    return copy


def rows_of(m: int, K: int, dtype: Any) -> int:
    """How many rows theta has: W, V, U transposed, b, and as many as c needs."""
    return m + 2 * K + 1 + -(-padded(K, dtype) // padded(m, dtype))


def parameter_count(m: int, K: int) -> int:
    """How many numbers a network learns: W, U and V, b and c."""
    return m * m + 2 * m * K + m + K


def named_views(theta: Array, m: int, K: int) -> dict[str, Array]:
    """The parameters inside theta as the mathematics writes them: U (m, K), W (m, m), V (K, m), b (m,), c (K,). Views, no copies."""
    return {
        "U": theta[m + K : m + 2 * K, :m].T,
        "W": theta[:m, :m],
        "V": theta[m : m + K, :m],
        "b": theta[m + 2 * K, :m],
        "c": theta[m + 2 * K + 1 :].reshape(-1)[:K],
    }


def new_theta(m: int, K: int, dtype: Any) -> Array:
    """All parameters of a network, zero: one allocation (R, m_)."""
    theta = aligned_zeros((rows_of(m, K, dtype), padded(m, dtype)), dtype)
    theta[m + 2 * K + 1 :].reshape(-1)[K:] = NEVER
    return theta


class Workspace:
    """What the kernels need beside the parameters to work on windows of T steps in B lanes.

    hidden (T+1, B, m_): h, of which hidden[0] is the carried state; error (T, B, K_): p, then g; delta (T, B, m_): da;
    losses (T, B): nats; WT, VT: the transposed weights; gradients: like theta; the rest is bookkeeping of the kernels.
    """

    def __init__(self, m: int, K: int, T: int, B: int, dtype: Any) -> None:
        m_, K_ = padded(m, dtype), padded(K, dtype)
        self.m, self.K, self.T, self.B, self.dtype = m, K, T, B, np.dtype(dtype)
        self.hidden = aligned_zeros((T + 1, B, m_), dtype)
        self.error = aligned_zeros((T, B, K_), dtype)
        self.delta = aligned_zeros((T, B, m_), dtype)
        self.losses = np.zeros((T, B))
        self.WT = aligned_zeros((m, m_), dtype)
        self.VT = aligned_zeros((m, K_), dtype)
        self.gradients = aligned_zeros((rows_of(m, K, dtype), m_), dtype)
        self.kept = aligned_zeros((K_,), dtype)
        self.seen = np.zeros(K, np.uint8)
        self.squares = np.zeros(m + 2 * K + 2)
        self.barrier = aligned_zeros((32,), np.intc)


@dataclass
class Rule:
    """How gradients become an update: the optimiser and its constants (see csrc/rows.h for the formulas).

    scale multiplies the loss and so every gradient (1 for a sum, 1/(T B) for a mean); clip bounds each element,
    clip_norm the Euclidean norm of all of them together.
    """

    optimizer: str = "adagrad"
    clip: float = math.inf
    clip_norm: float = math.inf
    eps: float = 1e-8
    beta1: float = 0.9  # Adam's first moment; SGD's momentum
    beta2: float = 0.999  # Adam's second moment; RMSProp's decay
    input_rate: float = 1.0  # U's learning rate, as a multiple of the others'
    scale: float = 1.0
    kind: int = field(init=False)

    def __post_init__(self) -> None:
        self.kind = OPTIMIZERS.index(self.optimizer)

    def rates(self, learning_rates: Array, first_step: int) -> Array:
        """(n, 2): for the updates first_step, first_step+1, ... the rate and the factor on Adam's root, bias corrections included."""
        out = np.ones((len(learning_rates), 2))
        out[:, 0] = learning_rates
        if self.optimizer == "adam":
            for i in range(len(out)):  # math's power, not NumPy's, whose last bit depends on the processor
                step = first_step + i
                out[i, 0] /= 1 - math.pow(self.beta1, step)
                out[i, 1] = 1 / math.sqrt(1 - math.pow(self.beta2, step))
        return out
