"""The way of training through a text: window after window, in parallel streams, begun anew when no whole window is left."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from charrnn.network.arrays import Array
from charrnn.text.corpus import Corpus
from charrnn.training.plan import windows_per_epoch


def next_windows(cursor: int | None, n: int, stream: int, T: int) -> tuple[Array, Array]:
    """(n,): where the next n windows of T characters start in each stream, and 1 for those that begin an epoch.

    cursor: where the last window ended, None before the first. stream: how many characters each of the streams has.

    >>> next_windows(None, 4, 11, 4)
    (array([0, 4, 0, 4]), array([1, 0, 1, 0], dtype=uint8))
    """
    left = 0 if cursor is None else max(0, windows_per_epoch(stream - cursor, T))  # of this epoch
    later = np.arange(n) - left
    of_epoch = later % windows_per_epoch(stream, T)
    starts = np.where(later < 0, (cursor or 0) + np.arange(n) * T, of_epoch * T)
    return starts, ((later >= 0) & (of_epoch == 0)).astype(np.uint8)


def windows_at(corpus: Corpus, starts: Array, offsets: Array, T: int) -> tuple[Array, Array]:
    """inputs and targets (n, T, B): in each of B equal streams of the text, the windows that start so far after where their epoch
    begins, offsets (n, B). At its end a stream goes on with its beginning.
    """
    n, B = offsets.shape
    stream = len(corpus) // B
    inputs, targets = np.empty((n, T, B), np.intc), np.empty((n, T, B), np.intc)
    jumps = np.flatnonzero(np.diff(starts) != T) + 1
    for first, last in pairwise([0, *jumps.tolist(), n]):  # windows one after the other are read at once
        length = (last - first) * T + 1
        for lane in range(B):
            origin, begin = lane * stream, int(starts[first] + offsets[first, lane]) % stream
            ids = corpus.read(origin + begin, origin + min(begin + length, stream))
            if begin + length > stream:
                ids = np.concatenate([ids, corpus.read(origin, origin + begin + length - stream)])
            inputs[first:last, :, lane] = ids[:-1].reshape(-1, T)
            targets[first:last, :, lane] = ids[1:].reshape(-1, T)
    return inputs, targets
