"""Which characters a text has, how often, and where each occurs first."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from typing import Any

import numpy as np

from charrnn.doctor.raw import Cursor, Place
from charrnn.doctor.signs import PLACES


@dataclass(frozen=True)
class Character:
    """A character, how often it occurs, and its first places."""

    character: str
    count: int
    places: list[Place]

    @property
    def name(self) -> str:
        """Unicode's name for it, or its code."""
        return unicodedata.name(self.character, f"U+{ord(self.character):04X}")


class Alphabet:
    """The characters of a text that comes in blocks of ids, which count characters as they first appear."""

    def __init__(self) -> None:
        self.codes = np.zeros(0, np.uint32)  # (K,) by id
        self.counts = np.zeros(0, np.int64)
        self._places: list[list[Place]] = []

    def look(self, codes: np.ndarray[Any, np.dtype[Any]], ids: np.ndarray[Any, np.dtype[Any]], size: int, cursor: Cursor) -> None:
        """Count a block, which the cursor has taken; size: how many ids were given out by now."""
        if size > len(self.codes):
            new, first = np.unique(ids[ids >= len(self.codes)], return_index=True)
            assert len(new) == size - len(self.codes)
            self.codes = np.append(self.codes, codes[ids >= len(self.codes)][first])
            self.counts = np.append(self.counts, np.zeros(len(new), np.int64))
            self._places += [[] for _ in new]
        seldom = np.flatnonzero((self.counts < PLACES)[ids])
        order = seldom[np.argsort(ids[seldom], kind="stable")]
        found = ids[order]
        starts = np.flatnonzero(np.append(True, found[1:] != found[:-1])) if len(found) else np.zeros(0, np.intp)
        rank = np.arange(len(found)) - np.repeat(starts, np.diff(np.append(starts, len(found))))
        for id, index in zip(found[rank < PLACES].tolist(), order[rank < PLACES].tolist(), strict=True):
            if len(self._places[id]) < PLACES:
                self._places[id].append(cursor.place(index))
        self.counts += np.bincount(ids, minlength=size)

    def rare(self, min_count: int) -> list[Character]:
        """Those that occur fewer times, the rarest first."""
        chosen = np.flatnonzero(self.counts < min_count)
        chosen = chosen[np.lexsort((self.codes[chosen], self.counts[chosen]))]
        return [Character(chr(self.codes[i]), int(self.counts[i]), self._places[i]) for i in chosen.tolist()]

    @property
    def composed(self) -> int:
        """How many characters are letters with a mark for which Unicode has a second spelling of two characters (NFD)."""
        letters = [i for i, code in enumerate(self.codes.tolist()) if code > 127 and unicodedata.decomposition(chr(code))]
        return sum(int(self.counts[i]) for i in letters if unicodedata.normalize("NFD", chr(self.codes[i])) != chr(self.codes[i]))
