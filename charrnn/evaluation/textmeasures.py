"""Measures of a generated text beside its loss. Extras: they say how a text looks, not how good a model is.

A word is a run of letters, with apostrophes inside; upper and lower case are one. The text that a passage is
compared with is read in blocks, and only what the passages hold is kept, so that it may be of any length.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from charrnn.errors import TextError
from charrnn.text.corpus import Corpus

NGRAMS = (1, 2, 3, 4)
BLOCK = 1 << 22  # characters of the text that are looked at together

LONGEST_WORD = 1000

_WORD = re.compile(r"[^\W\d_]+(?:['\N{RIGHT SINGLE QUOTATION MARK}][^\W\d_]+)*")
_LAST_WORD = re.compile(r"[\w'\N{RIGHT SINGLE QUOTATION MARK}]*\Z")


@dataclass(frozen=True)
class TextMeasures:
    """What `measure` finds in one passage.

    words: how many. ngram_overlap: for n = 1..4, the share (0..1) of its word n-grams that occur in the text.
    distinct: for n = 1..4, its different word n-grams over all of them (Li et al. 2016). None where it is too short
    to have any.
    """

    words: int
    ngram_overlap: tuple[float | None, ...]
    distinct: tuple[float | None, ...]

    @property
    def known_words(self) -> float | None:
        """The share of known words: words that occur in the training text."""
        return self.ngram_overlap[0]


def interval(share: float | None, count: int) -> tuple[float, float] | None:
    """The 95 % interval (Wilson 1927) of a share found among `count` words, taken as if they were drawn independently.

    >>> low, high = interval(0.5, 40)
    >>> round(low, 2), round(high, 2), interval(None, 0)
    (0.35, 0.65, None)
    """
    if share is None or not count:
        return None
    z2 = 1.959964**2
    middle, half = share + z2 / (2 * count), math.sqrt(z2 * (share * (1 - share) + z2 / (4 * count)) / count)
    return max(0.0, (middle - half) / (1 + z2 / count)), min(1.0, (middle + half) / (1 + z2 / count))


def words(text: str, cut: bool = False) -> list[str]:
    """The words of a text. cut: without one that touches either end, where the passage may begin or end inside it.

    >>> words("Don't panic, 42 times")
    ["don't", 'panic', 'times']
    >>> words("on't panic, it's onl", cut=True)
    ['panic', "it's"]
    """
    found = list(_WORD.finditer(text))
    if cut and found and found[0].start() == 0:
        del found[0]
    if cut and found and found[-1].end() == len(text):
        del found[-1]
    return [match.group().casefold() for match in found]


def measure(passages: Sequence[str | bytes], text: str | bytes | Corpus, cut: bool = True) -> list[TextMeasures]:
    """Compare each passage with the text, which is read once for all of them.

    cut: the passages begin and end anywhere, perhaps inside a word; such words are not counted. Raises `TextError`
    where bytes meet characters.

    >>> [found] = measure(["the cat ate the moon"], "The cat sat. The moon rose.", cut=False)
    >>> found.words, found.known_words, found.ngram_overlap[1]
    (5, 0.8, 0.5)
    """
    of_passage = [words(_readable(passage, text), cut) for passage in passages]
    wanted = {n: {gram for some in of_passage for gram in _grams(some, n)} for n in NGRAMS}
    known: dict[int, set[tuple[str, ...]]] = {n: set() for n in NGRAMS}
    tail: list[str] = []  # the last words of the blocks before, for n-grams that span two
    unfinished = ""
    for offset, block in _blocks(text):
        joined = unfinished + block
        at_end = offset + len(block) == len(text)
        last = None if at_end else _LAST_WORD.search(joined, max(0, len(joined) - LONGEST_WORD))
        edge = last.start() if last else len(joined)
        fresh, unfinished = tail + words(joined[:edge]), joined[edge:]
        for n in NGRAMS:
            known[n] |= wanted[n].intersection(_grams(fresh, n))
        tail = fresh[-(max(NGRAMS) - 1) :]
    return [
        TextMeasures(
            len(some),
            tuple(_share(sum(g in known[n] for g in _grams(some, n)), len(some) - n + 1) for n in NGRAMS),
            tuple(_share(len(set(_grams(some, n))), len(some) - n + 1) for n in NGRAMS),
        )
        for some in of_passage
    ]


def longest_copy(passage: str | bytes, text: str | bytes | Corpus) -> tuple[Any, int]:
    """The longest stretch of characters of the passage that the text holds too, and its offset in the text.

    Empty and -1 if they have no character in common. Raises `TextError` where bytes meet characters.

    >>> longest_copy("the cat ate the moon", "The cat sat. The moon rose.")
    ('he cat ', 1)
    """
    plain = _readable(passage, text)
    length, at, source = 0, 0, -1
    before = ""
    for offset, fresh in _blocks(text):
        block, offset = before + fresh, offset - len(before)
        i = 0
        # From each place of the passage one search for something longer than the best so far: str.find is so fast
        # that this takes less time than building any index of the text would.
        while i + length < len(plain):
            where = block.find(plain[i : i + length + 1])
            if where < 0:
                i += 1
                continue
            end = length + 1
            while i + end < len(plain) and where + end < len(block) and plain[i + end] == block[where + end]:
                end += 1
            length, at, source = end, i, offset + where
        before = block[max(0, len(block) - len(plain)) :]
    return passage[at : at + length], source


def _readable(passage: str | bytes, text: str | bytes | Corpus) -> str:
    """The passage as str, if it is of the same kind as the text."""
    raw = text.vocabulary.raw_bytes if isinstance(text, Corpus) else not isinstance(text, str)
    if isinstance(passage, str) is raw:
        kinds = "str and a text of bytes" if raw else "bytes and a text of characters"
        raise TextError(f"passage and text must be of one kind, got a passage of {kinds}; decode the bytes first")
    return passage if isinstance(passage, str) else bytes(passage).decode("latin-1")


def _blocks(text: str | bytes | Corpus) -> Iterator[tuple[int, str]]:
    """A text in blocks, bytes as Latin-1, and where each begins."""
    for start in range(0, len(text), BLOCK):
        stop = min(start + BLOCK, len(text))
        block = text.text(start, stop) if isinstance(text, Corpus) else text[start:stop]
        yield start, block if isinstance(block, str) else bytes(block).decode("latin-1")


def _grams(some: Sequence[str], n: int) -> Iterable[tuple[str, ...]]:
    return zip(*(some[i:] for i in range(n)), strict=False)


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole > 0 else None
