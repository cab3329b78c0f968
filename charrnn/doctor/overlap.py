"""How much of the text for validation occurs in the text that is trained on: then its loss says less about new text."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from charrnn.text.corpus import Corpus
from charrnn.text.vocabulary import code_points

Array = np.ndarray[Any, np.dtype[Any]]
WINDOW = 50  # characters that are unlikely to be equal by chance
MOST = 1 << 20  # hashes of validation that are remembered; of a longer one, those that end in so many zeros that they fit
PIECE = 1 << 18  # characters at a time
_FILTER = (1 << 22) - 1
_FACTOR = np.uint64(0x9E3779B97F4A7C15)  # odd, so that it has an inverse modulo 2^64
_INVERSE = np.uint64(pow(int(_FACTOR), -1, 1 << 64))


@dataclass(frozen=True)
class Overlap:
    """What of the validation text (`characters` of it) occurs in the training text. name: a file's, or "" for a part of the text.

    windows: the share of its windows of 50 characters; lines: of its lines that are not empty. unknown: its characters that do not occur in
    the training text. contiguous: whether it is the end of the text. estimated: from a sample, as there are more than are remembered.
    """

    name: str
    characters: int
    windows: float | None
    lines: float | None
    unknown: str
    estimated: bool
    contiguous: bool = False


def overlap(training: Corpus, validation: Corpus, name: str = "", told: Callable[[int], object] = lambda count: None) -> Overlap:
    """The overlap of two texts; told: is told how many characters, or lines, were compared.

    >>> text = "the quick brown fox jumps over the lazy dog, and then the dog wakes up\\n"
    >>> found = overlap(Corpus.from_text(text), Corpus.from_text(text))
    >>> found.windows, found.lines
    (1.0, 1.0)
    """
    shares: list[float | None] = []
    estimated = False
    for items in (windows, lines):
        wanted, counts, zeros = remembered(items(validation))
        estimated |= zeros > 0
        if not len(wanted):
            shares.append(None)
            continue
        shares.append(float(counts[_found(wanted, items(training), zeros, told)].sum() / counts.sum()))
    unknown = "".join(sorted(_occurring(validation) - _occurring(training)))
    return Overlap(name, len(validation), shares[0], shares[1], unknown, estimated)


def remembered(hashes: Iterator[Array], most: int = MOST) -> tuple[Array, Array, int]:
    """The different hashes (n,), sorted, how often each comes (n,), and in how many zeros those end that are remembered."""
    known, counts, zeros = np.zeros(0, np.uint64), np.zeros(0, np.int64), 0
    for block in hashes:
        new, times = np.unique(_ending(block, zeros), return_counts=True)
        known, where = np.unique(np.concatenate([known, new]), return_inverse=True)
        counts = np.bincount(where, np.concatenate([counts, times]), len(known)).astype(np.int64)
        while len(known) > most:
            zeros += 1
            keep = (known & np.uint64((1 << zeros) - 1)) == 0
            known, counts = known[keep], counts[keep]
    return known, counts, zeros


def _found(wanted: Array, hashes: Iterator[Array], zeros: int, told: Callable[[int], object]) -> Array:
    """Which of the wanted hashes, sorted, come among the others."""
    maybe = np.zeros(_FILTER + 1, bool)  # most of the others are ruled out by one look here
    maybe[(wanted >> np.uint64(40)) & np.uint64(_FILTER)] = True
    found = np.zeros(len(wanted), bool)
    for block in hashes:
        told(len(block))
        block = _ending(block, zeros)
        block = block[maybe[(block >> np.uint64(40)) & np.uint64(_FILTER)]]
        at = np.searchsorted(wanted, block).clip(0, len(wanted) - 1)
        found[at[wanted[at] == block]] = True
    return found


def _ending(hashes: Array, zeros: int) -> Array:
    return hashes if not zeros else hashes[(hashes & np.uint64((1 << zeros) - 1)) == 0]


def windows(corpus: Corpus) -> Iterator[Array]:
    """Hashes of all windows of WINDOW characters, one for each place where one begins."""
    table = _numbers(corpus)
    for at in range(0, len(corpus) - WINDOW + 1, PIECE):
        single = table[corpus.read(at, min(at + PIECE + WINDOW - 1, len(corpus)))]
        # hash(x + y) = hash(x) f^|y| + hash(y): windows of 50 = 32 + 16 + 2 from ones of half the length
        whole, length, size, have = single, 1, WINDOW, None
        done = 0
        while True:
            if size & length:
                have = whole if have is None else _joined(have, whole, done, length)
                done += length
            if 2 * length > size:
                break
            whole, length = _joined(whole, whole, length, length), 2 * length
        assert have is not None
        yield _mixed(have[: len(single) - WINDOW + 1])


def _joined(first: Array, second: Array, size: int, other: int) -> Array:
    """Hashes of what begins with `size` characters of which first has the hash, and goes on with `other` of which second has it."""
    power = np.uint64(pow(int(_FACTOR), other, 1 << 64))
    count = min(len(first), len(second) - size)
    return np.asarray(first[:count] * power + second[size : size + count])


def lines(corpus: Corpus) -> Iterator[Array]:
    """Hashes of all lines that are not empty; what is longer than a piece is cut there."""
    table, newline, at = _numbers(corpus), corpus.vocabulary.characters.find("\n"), 0
    while at < len(corpus):
        ids = corpus.read(at, min(at + PIECE, len(corpus)))
        ends = np.flatnonzero(ids == newline)
        last = len(ids) if at + len(ids) == len(corpus) or not len(ends) else int(ends[-1]) + 1
        ids, ends = ids[:last], np.append(ends[ends < last], last)
        starts = np.append(0, ends[:-1] + 1)
        powers = np.cumprod(np.full(last + 1, _FACTOR, np.uint64))
        sums = np.append(np.uint64(0), np.cumsum(table[ids] * powers[:last], dtype=np.uint64))
        inverse = np.cumprod(np.full(last + 1, _INVERSE, np.uint64))
        full = ends > starts
        yield _mixed((sums[ends[full]] - sums[starts[full]]) * inverse[starts[full]])
        at += last


def _numbers(corpus: Corpus) -> Array:
    """(K,) uint64: a number for each character that depends on its code alone, so that texts of different vocabularies compare."""
    return _mixed((code_points(corpus.vocabulary.characters).astype(np.uint64) + np.uint64(1)) * _FACTOR)


def _mixed(numbers: Array) -> Array:
    """Numbers whose bits all depend on all bits (the end of splitmix64, Steele et al. 2014)."""
    numbers = (numbers ^ (numbers >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    numbers = (numbers ^ (numbers >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(numbers ^ (numbers >> np.uint64(31)))


def _occurring(corpus: Corpus) -> set[str]:
    """The characters that occur in a text, of which the vocabulary may have more."""
    counts = np.zeros(len(corpus.vocabulary), np.int64)
    for at in range(0, len(corpus), PIECE):
        counts += np.bincount(corpus.read(at, min(at + PIECE, len(corpus))), minlength=len(counts))
    return {corpus.vocabulary.characters[i] for i in np.flatnonzero(counts).tolist()}
