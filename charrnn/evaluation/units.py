"""Which hidden units follow something that a reader can see: quotation marks, the place in a line, the ends of words.

For every property of the characters and every unit, the Pearson correlation r between the property and the unit's
activation after reading the character; for a yes-or-no property this is the point-biserial correlation. The best of
many units is good by chance alone, so the unit is chosen on the first half of the text and its r measured on the
second. The same search is also made with the property moved along the text to where it does not belong: a unit that
does no better than that follows nothing.
"""

from __future__ import annotations

import itertools
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from charrnn.network.arrays import Array
from charrnn.text.vocabulary import Vocabulary

RAREST = 10  # times that a property must hold, and must not hold, in each half
SHIFTS = (0.2, 0.4, 0.6, 0.8)  # parts of a half by which a property is moved for the comparison
VOWELS = frozenset("aeiouæøœаеёиоуыэюяіїєαεηιουω")
MANY = 1 << 13  # rows multiplied at once: small products cost more in waking NumPy's threads than in arithmetic
OPENING, CLOSING = "“«„", "”»"


@dataclass(frozen=True)
class Property:
    """Something visible about each character: values (N,), True or False, or a count."""

    name: str
    values: Array

    @property
    def is_count(self) -> bool:
        """Whether it counts rather than says yes or no."""
        return self.values.dtype != bool


@dataclass(frozen=True)
class Follower:
    """The unit that follows something best on the first half of the text.

    chosen and r are its correlations on the first and on the second half; chance is the largest |r|, on the second
    half, of units found alike for the same property moved elsewhere.
    """

    what: Property
    unit: int
    chosen: float
    r: float
    chance: float

    @property
    def follows(self) -> bool:
        """Whether r is beyond chance, and of one sign on both halves."""
        return abs(self.r) > self.chance and self.r * self.chosen > 0


def visible_properties(ids: Array, vocabulary: Vocabulary) -> list[Property]:
    """What can be seen at each of the characters before the last, of ids (N,): properties of N-1 values.

    Raw bytes count as letters, spaces and so on where they are ASCII.

    >>> vocabulary = Vocabulary.from_text('A "bc" d.')
    >>> found = {p.name: p.values.astype(int) for p in visible_properties(vocabulary.encode('A "bc" d.'), vocabulary)}
    >>> found["inside quotation marks"], found["last letter of a word"]
    (array([0, 0, 1, 1, 1, 0, 0, 0]), array([1, 0, 0, 0, 1, 0, 0, 1]))
    """
    n = len(ids)

    def those(test: Callable[[str], bool]) -> Array:
        """Where the characters pass a test, (N,): asked once for each symbol."""
        ascii_only = vocabulary.raw_bytes
        return np.array([bool(test(c)) and (c.isascii() or not ascii_only) for c in vocabulary.characters])[ids]

    def since(reset: Array, counted: Array | None = None) -> Array:
        """How many of the `counted` (N,), by default of all, came after the last reset, this character included."""
        total = np.cumsum(np.ones(n, np.int32) if counted is None else counted, dtype=np.int32)
        last = np.maximum.accumulate(np.where(reset, np.arange(n), -1))
        return total - np.where(last >= 0, total[last], 0)

    letter, line_end = those(str.isalpha), those(lambda c: c == "\n")
    following, before = np.append(letter[1:], False), np.append(False, letter[:-1])
    blank = line_end & np.append(True, line_end[:-1])
    # Speech may go on over the ends of lines, but a forgotten mark must not turn the rest of the text inside out.
    paragraph_end = blank if blank[1:].any() else line_end

    def among(marks: str) -> Array:
        """How many of these marks have come in this paragraph."""
        return since(paragraph_end, those(lambda c: c in marks))

    quoted = (among('"') % 2 == 1) | (among(OPENING) > among(CLOSING))
    full_stop = those(lambda c: c in ".!?…")
    early = ~line_end & (since(paragraph_end) <= 20) & (np.cumsum(paragraph_end) > 0)
    properties = {
        "inside quotation marks": quoted,
        "inside brackets": among("([{") > among(")]}"),
        "first letter of a word": letter & ~before,
        "last letter of a word": letter & ~following,
        "letters": letter,
        "letters of the word so far": np.where(letter, since(~letter), 0),
        "vowels": those(lambda c: unicodedata.normalize("NFD", c.lower())[0] in VOWELS),
        "capital letters": those(str.isupper),
        "digits": those(str.isdigit),
        "spaces": those(lambda c: c.isspace() and c != "\n"),
        "punctuation": those(lambda c: unicodedata.category(c)[0] == "P"),
        "from a sentence's end to a letter": full_stop.cumsum().astype(bool) & (since(full_stop) < since(letter)),
        "line ends": line_end,
        "characters since the line began": np.where(line_end, 0, since(line_end)),
        "first ten characters of a line": ~line_end & (since(line_end) <= 10),
        "first twenty characters of a paragraph": early,
    }
    return [Property(name, values[:-1]) for name, values in properties.items()]


class Search:
    """Gathers the sums and products from which the correlations of m units with properties of characters come."""

    def __init__(self, properties: list[Property], m: int) -> None:
        n = len(properties[0].values)
        self.half = n // 2
        values = np.stack([p.values for p in properties], axis=1).astype(np.float32)
        varied = [_varies(column[: self.half]) and _varies(column[self.half :]) for column in values.T]
        self.properties = list(itertools.compress(properties, varied))
        self.left_out = [p.name for p, kept in zip(properties, varied, strict=True) if not kept]
        kept = values[:, varied]
        # Centred once and for all: sums of large counts would lose the digits that matter.
        centred = [half - half.sum(0, np.float64) / max(1, len(half)) for half in (kept[: self.half], kept[self.half :])]
        self.columns = np.concatenate([_with_shifts(half.astype(np.float32)) for half in centred])
        self.products = np.zeros((2, self.columns.shape[1], m))
        self.sums, self.squares = np.zeros((2, m)), np.zeros((2, m))
        self.waiting = np.empty((MANY, m), np.float32)
        self.start, self.filled = 0, 0

    def add(self, hidden: Array) -> None:
        """Take in the activations (T, m), T <= MANY, after the next T characters."""
        if self.filled + len(hidden) > MANY:
            self._use()
        self.waiting[self.filled : self.filled + len(hidden)] = hidden
        self.filled += len(hidden)

    def _use(self) -> None:
        """Multiply what is waiting."""
        stop = self.start + self.filled
        for half, (begin, end) in enumerate([(0, self.half), (self.half, len(self.columns))]):
            a, b = max(self.start, begin), min(stop, end)
            if a < b:
                h = self.waiting[a - self.start : b - self.start]
                self.products[half] += self.columns[a:b].T @ h
                self.sums[half] += h.sum(0, dtype=np.float64)
                self.squares[half] += (h * h).sum(0, dtype=np.float64)
        self.start, self.filled = stop, 0

    def result(self) -> list[Follower]:
        """For each property that is not too rare its best unit: those that follow it first, by |r|, then the others."""
        if not self.properties:
            return []
        self._use()
        first, second = (self._correlations(half) for half in (0, 1))
        F = len(self.properties)
        units = np.abs(first).argmax(1)
        here = np.arange(len(units))
        chosen, r = first[here, units], second[here, units]
        found = [
            Follower(p, int(units[i]), float(chosen[i]), float(r[i]), float(np.abs(r[i + F :: F]).max()))
            for i, p in enumerate(self.properties)
        ]
        return sorted(found, key=lambda f: (f.follows, abs(f.r)), reverse=True)

    def _correlations(self, half: int) -> Array:
        """(F, m): r of each column with each unit; 0 where a unit never changes."""
        part = self.columns[: self.half] if half == 0 else self.columns[self.half :]
        n = len(part)
        spread = np.sqrt(np.maximum(self.squares[half] - self.sums[half] ** 2 / n, 0))
        scale = np.sqrt(np.square(part, dtype=np.float64).sum(0))[:, None] * spread
        means = part.sum(0, dtype=np.float64)[:, None] * self.sums[half] / n  # what rounding left of the columns' means
        moved = self.products[half] - means
        r: Array = np.divide(moved, scale, out=np.zeros_like(moved), where=scale > 1e-6)
        return r


def _varies(values: Array) -> bool:
    """Whether a property (n,) is neither too rare nor too common to be followed."""
    counts = np.unique(values, return_counts=True)[1]
    return len(values) > 0 and len(values) - int(counts.max()) >= RAREST


def _with_shifts(values: Array) -> Array:
    """(n, F) and to its right the same moved along by each of SHIFTS; what falls off the end comes in at the front."""
    return np.concatenate([values, *(np.roll(values, int(shift * len(values)), axis=0) for shift in SHIFTS)], axis=1)
