"""Arrays as the compiled loops want them: every one starts on a 64-byte line, and every row is a whole number of lines."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]

LINE = 64  # bytes


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
