"""Signs that a text was decoded wrongly, or is not the text that it was meant to be."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from charrnn.doctor.raw import Cursor, Place

PLACES = 3  # that are named
# What UTF-8 becomes where it is read as Windows-1252: the first bytes of its characters, then what the others become.
_LATER = "\x80-\xbf" + bytes(range(0x80, 0xA0)).decode("cp1252", "ignore")
INVALID, REPLACEMENT, MOJIBAKE, MARK, NUL, CONTROL = "invalid", "replacement", "mojibake", "byte_order_mark", "nul", "control"
SIGNS = {
    INVALID: "[\udc80-\udcff]",
    REPLACEMENT: "\ufffd",
    MOJIBAKE: f"[\xc2\xc3\xd0\xd1][{_LATER}]|\xe2[\u20ac\u201a\u201e\u2026\x80\x82\x84\x85]|\xef[\xbf\xbb]|\xf0\u0178",
    MARK: "\ufeff",
    NUL: "\0",
    CONTROL: "[\x01-\x08\x0b\x0e-\x1f\x7f-\x84\x86-\x9f]",
}
_PATTERNS = {name: re.compile(pattern) for name, pattern in SIGNS.items()}
_ANY = re.compile("[\0-\x08\x0b\x0e-\x1f\x7f-\x9f\xc2\xc3\xd0\xd1\xe2\xef\xf0\ufeff\ufffd\udc80-\udcff]")  # where one may begin
_ESCAPED = re.compile("[\udc80-\udcff]")


@dataclass
class Sign:
    """Something that was met: how often, the first places, and what stands at the first of them."""

    count: int = 0
    places: list[Place] = field(default_factory=list)
    example: str = ""

    def add(self, place: Place, example: str) -> None:
        """One more."""
        self.count += 1
        if len(self.places) < PLACES:
            self.places.append(place)
            self.example = self.example or example


class Signs:
    """All signs in a text that comes in blocks."""

    def __init__(self) -> None:
        self.found = {name: Sign() for name in SIGNS}
        self.escaped = bytearray()  # the first bytes that are no characters, for advice about what they are
        self._before = ""

    def begin_file(self) -> None:
        """What comes next does not go on with what came before."""
        self._before = ""

    def look(self, text: str, cursor: Cursor) -> str:
        """Count what is in a block, which the cursor has taken; the block with U+FFFD for bytes that are no characters."""
        whole, extra = self._before + text, len(self._before)
        self._before = text[-1:]
        if not _ANY.search(whole):
            return text
        for name, pattern in _PATTERNS.items():
            sign = self.found[name]
            for match in pattern.finditer(whole):
                if match.end() > extra:  # else it was counted with the block before
                    example = whole[max(0, match.start() - 10) : match.end() + 10]
                    sign.add(cursor.place(match.start() - extra), _ESCAPED.sub("\ufffd", example))
                    if name == INVALID and len(self.escaped) < 1 << 10:
                        self.escaped.append(ord(match[0]) - 0xDC00)
        return _ESCAPED.sub("\ufffd", text)


def repaired(example: str) -> str:
    """What mojibake was before UTF-8 was read as Windows-1252; "" where that is not what it is.

    >>> repaired("donâ€™t")
    'don’t'
    """
    for encoding in ("cp1252", "latin-1"):
        for size in range(len(example), 1, -1):  # an example may be cut within a character
            for start in range(len(example) - size + 1):
                try:
                    found = example[start : start + size].encode(encoding).decode("utf-8")
                except ValueError:
                    continue
                if len(found) < size:
                    return found
    return ""


class Marks:
    """Letters that are written as two characters, a letter and a combining mark, though Unicode has one for them (NFC)."""

    def __init__(self) -> None:
        self.decomposed = Sign()
        self._before = 0
        self._composes: dict[int, bool] = {}  # (letter << 21 | mark): whether NFC makes one character of them

    def begin_file(self) -> None:
        """What comes next does not go on with what came before."""
        self._before = 0

    def look(self, codes: np.ndarray[Any, np.dtype[Any]], cursor: Cursor) -> None:
        """Count what is in a block, which the cursor has taken; codes (N,) uint32."""
        before, self._before = self._before, int(codes[-1])
        if codes.max() < 0x300:  # the first combining mark
            return
        places = np.flatnonzero(codes >= 0x300)
        letters = np.where(places > 0, codes[places - 1], before).astype(np.uint64)
        pairs, which = np.unique(letters << np.uint64(21) | codes[places], return_inverse=True)
        composing = np.array([self._is_one(int(pair)) for pair in pairs])[which]
        for index in places[composing][:PLACES].tolist() if len(self.decomposed.places) < PLACES else ():
            self.decomposed.add(cursor.place(index), chr(int(codes[index - 1]) if index else before) + chr(int(codes[index])))
            self.decomposed.count -= 1
        self.decomposed.count += int(composing.sum())

    def _is_one(self, pair: int) -> bool:
        if pair not in self._composes:
            letter, mark = chr(pair >> 21), chr(pair & 0x1FFFFF)
            self._composes[pair] = bool(unicodedata.combining(mark)) and len(unicodedata.normalize("NFC", letter + mark)) == 1
        return self._composes[pair]
