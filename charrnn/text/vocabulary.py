"""Characters and their ids: the alphabet that a network reads and writes.

A vocabulary is sorted by code point, so the same set of characters always gets the same ids. What counts as a
character is one Unicode code point (a combining mark, an astral character and NUL are ordinary ones) or, for raw
bytes, one byte value. Lone surrogates are refused: they are halves of characters, which no file could hold.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from charrnn import arguments
from charrnn.errors import SettingsError, TextError, brief

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

BLOCK = 1 << 16  # characters handled at once: temporaries fit the processor's cache and are nothing beside a text


def id_type(size: int) -> np.dtype[Any]:
    """The smallest unsigned type that holds the ids 0 .. size-1; little-endian, so that fingerprints are portable.

    >>> [id_type(size).name for size in (256, 257, 65_537)]
    ['uint8', 'uint16', 'uint32']
    """
    return np.dtype("<u1" if size <= 1 << 8 else "<u2" if size <= 1 << 16 else "<u4")


class Vocabulary:
    """The K distinct characters of a text, sorted by code point; a character's id is its place.

    Args:
        characters: at least two single characters, sorted and distinct (a string will do); for raw bytes, the
            characters of code points 0 to 255 stand for the byte values.
        raw_bytes: texts are ``bytes`` rather than ``str``.

    Raises `TextError` for characters that are too few, unsorted, repeated, or no characters.

    >>> vocabulary = Vocabulary.from_text("hello")
    >>> vocabulary.characters, len(vocabulary)
    ('ehlo', 4)
    >>> vocabulary.encode("hole")
    array([1, 3, 2, 0], dtype=int32)
    >>> vocabulary.decode([1, 0, 2, 2, 3])
    'hello'
    """

    characters: str
    raw_bytes: bool

    def __init__(self, characters: Sequence[str] | NDArray[np.str_], raw_bytes: bool = False) -> None:
        given: Any = characters.tolist() if isinstance(characters, np.ndarray) else characters
        if not (isinstance(given, Sequence) and all(isinstance(character, str) and len(character) == 1 for character in given)):
            raise TextError("a vocabulary is made of single characters, got something else among them")
        self.characters = "".join(given)
        self.raw_bytes = arguments.yes_or_no("raw_bytes", raw_bytes)
        codes = code_points(self.characters)
        if len(codes) < 2:
            found = f"only {_spelled(int(codes[0]), self.raw_bytes)}" if len(codes) else "none"
            noun = "byte values" if self.raw_bytes else "characters"
            raise TextError(f"a text needs at least two distinct {noun}, found {found}")
        if not (codes[1:] > codes[:-1]).all():
            raise TextError("the characters of a vocabulary must be sorted and distinct: use Vocabulary.from_text")
        if self.raw_bytes and codes[-1] > 255:
            raise TextError(f"bytes go up to 255, got {_spelled(int(codes[-1]), False)}")
        self._codes = codes.astype(np.uint8) if self.raw_bytes else codes
        # code point -> id + 1, or 0 for a stranger; the last entry stays 0, and take(mode="clip") goes there
        # for every code point beyond.
        self._table = np.zeros(int(codes[-1]) + 2, np.uint32)
        self._table[codes] = np.arange(1, len(codes) + 1)

    @classmethod
    def from_text(cls, text: str | bytes) -> Vocabulary:
        """The vocabulary of a text; of raw bytes, if bytes are given.

        >>> Vocabulary.from_text(b"\\x00\\xff\\x00").decode([1, 0])
        b'\\xff\\x00'
        """
        encoder = Encoder(None, is_raw(text))
        for block in blocks_of(text):
            encoder.encode(block)
        return encoder.finish()[0]

    def __len__(self) -> int:
        return len(self.characters)

    def __contains__(self, character: object) -> bool:
        """Whether a character (for raw bytes: a single byte, as ``bytes`` or whole number) has an id."""
        if self.raw_bytes:
            if isinstance(character, bytes) and len(character) == 1:
                character = character[0]
            return isinstance(character, int) and character in self._codes
        return isinstance(character, str) and len(character) == 1 and character in self.characters

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Vocabulary):
            return NotImplemented
        return (self.characters, self.raw_bytes) == (other.characters, other.raw_bytes)

    def __hash__(self) -> int:
        return hash((self.characters, self.raw_bytes))

    def __repr__(self) -> str:
        shown = self.characters if len(self) <= 100 else self.characters[:100] + "…"
        return f"<Vocabulary of {len(self):,} {'byte values' if self.raw_bytes else 'characters'}: {shown!r}>"

    def encode(self, text: str | bytes) -> NDArray[np.int32]:
        """The ids (N,) of a text's N characters, or bytes.

        Raises `TextError` when characters are not in the vocabulary, naming each with the offset where it first
        appears, in characters (bytes for raw bytes).

        >>> Vocabulary("ab").encode("abba!")
        Traceback (most recent call last):
        charrnn.errors.TextError: 1 character is not in the vocabulary of 2: '!' (U+0021) at offset 4
        """
        encoder = Encoder(self, is_raw(text))
        blocks = [encoder.encode(block).astype(np.int32) for block in blocks_of(text)]
        encoder.finish()
        return np.concatenate([np.zeros(0, np.int32), *blocks])

    def decode(self, ids: ArrayLike) -> Any:
        """The text of the ids (N,): ``str``, or ``bytes`` for raw bytes. Ids outside 0 .. K-1 raise `TextError`."""
        ids = arguments.array("ids", ids)
        if ids.size == 0:
            return b"" if self.raw_bytes else ""
        if ids.ndim != 1 or ids.dtype.kind not in "iu":
            raise TextError(f"ids must be whole numbers in one row, got shape {ids.shape} of {ids.dtype}")
        if ids.min() < 0 or ids.max() >= len(self):
            wrong = ids.min() if ids.min() < 0 else ids.max()
            raise TextError(f"ids must be from 0 to {len(self) - 1}, got {wrong}")
        blocks = (self._codes[ids[start : start + BLOCK]].tobytes() for start in range(0, len(ids), BLOCK))
        return b"".join(blocks) if self.raw_bytes else "".join(block.decode("utf-32-le") for block in blocks)

    def to_json(self) -> dict[str, Any]:
        """What a model file keeps: ``{"characters": str, "raw_bytes": bool}``."""
        return {"characters": self.characters, "raw_bytes": self.raw_bytes}

    @classmethod
    def from_json(cls, value: Any) -> Vocabulary:
        """The vocabulary that `to_json` described; `TextError` for anything else.

        >>> Vocabulary.from_json(Vocabulary("ab").to_json()) == Vocabulary("ab")
        True
        """
        if not (isinstance(value, Mapping) and isinstance(value.get("characters"), str) and isinstance(value.get("raw_bytes"), bool)):
            raise TextError('a stored vocabulary needs "characters" (a string) and "raw_bytes" (true or false)')
        return cls(value["characters"], raw_bytes=value["raw_bytes"])


class Encoder:
    """Numbers the characters of a text that comes in blocks, cut anywhere.

    With a vocabulary the ids are the vocabulary's. Without one they count the characters in the order of their
    first appearance, so that a text is read only once; `finish` then tells how to put them into sorted order.
    """

    def __init__(self, vocabulary: Vocabulary | None, raw_bytes: bool) -> None:
        if not isinstance(vocabulary, Vocabulary | None):
            raise SettingsError(f"vocabulary must be a Vocabulary, as Vocabulary('abc') makes one, got {brief(vocabulary)}")
        if vocabulary is not None and vocabulary.raw_bytes != raw_bytes:
            need, got = ("bytes", "str") if vocabulary.raw_bytes else ("str", "bytes")
            raise TextError(f"this vocabulary is made for texts of type {need}, got {got}")
        self.vocabulary = vocabulary
        self.raw_bytes = raw_bytes
        self.size = len(vocabulary) if vocabulary else 0  # how many different ids were given out
        self.length = 0  # how many characters were encoded
        self._table = vocabulary._table if vocabulary else np.zeros(1, np.uint32)
        self._learnt: list[NDArray[Any]] = []
        self._strangers: dict[int, int] = {}  # code point -> offset where it first appears

    def encode(self, block: str | bytes) -> NDArray[np.uint32]:
        """The ids of one block; those of characters outside a given vocabulary mean nothing."""
        codes = code_points(block, self.length)
        ids = self._table.take(codes, mode="clip")
        if not ids.all():
            missing = np.flatnonzero(ids == 0)
            new, first = np.unique(codes[missing], return_index=True)
            if self.vocabulary:
                for code, index in zip(new.tolist(), missing[first].tolist(), strict=True):
                    self._strangers.setdefault(code, self.length + index)
            else:
                top = int(new[-1])
                if top + 2 > len(self._table):
                    self._table = np.concatenate([self._table, np.zeros(top + 2 - len(self._table), np.uint32)])
                self._table[new] = np.arange(self.size + 1, self.size + 1 + len(new))
                self._learnt.append(new)
                self.size += len(new)
                ids = self._table.take(codes, mode="clip")
        self.length += len(codes)
        ids -= 1
        return ids

    def finish(self) -> tuple[Vocabulary, NDArray[np.uint32] | None]:
        """The vocabulary, and the array (K,) that takes the ids given out to the vocabulary's (None: they are)."""
        if self.vocabulary:
            if self._strangers:
                raise TextError(self._about_strangers())
            return self.vocabulary, None
        codes = np.concatenate([np.zeros(0, np.uint32), *self._learnt]).astype("<u4")
        order = np.argsort(codes)
        ranks = np.empty(len(codes), np.uint32)
        ranks[order] = np.arange(len(codes))
        return Vocabulary(codes[order].tobytes().decode("utf-32-le"), self.raw_bytes), ranks

    def _about_strangers(self) -> str:
        count = len(self._strangers)
        noun, verb = "byte value" if self.raw_bytes else "character", "is" if count == 1 else "are"
        by_offset = sorted(self._strangers.items(), key=lambda item: item[1])
        named = ", ".join(f"{_spelled(code, self.raw_bytes)} at offset {at:,}" for code, at in by_offset[:5])
        more = f" and {count - 5:,} more" if count > 5 else ""
        return f"{count:,} {noun}{'s' if count > 1 else ''} {verb} not in the vocabulary of {self.size:,}: {named}{more}"


def is_raw(text: Any) -> bool:
    """Whether a text is bytes and not str; `TextError` for anything else."""
    if not isinstance(text, (str, bytes, bytearray, memoryview)):
        raise TextError(f"a text must be str or bytes, got {type(text).__name__}; files are read by charrnn.read_corpus")
    if isinstance(text, memoryview) and not text.c_contiguous:
        raise TextError("a text must be str or bytes, got a memoryview with gaps: make bytes of it")
    return not isinstance(text, str)


def blocks_of(text: str | bytes) -> Iterator[Any]:
    """A text cut into blocks of `BLOCK` characters or bytes."""
    whole: Any = text if isinstance(text, str) else memoryview(text).cast("B")  # whose slices copy nothing
    for start in range(0, len(whole), BLOCK):
        yield whole[start : start + BLOCK]


def code_points(text: str | bytes, offset: int = 0) -> NDArray[Any]:
    """The code points (N,) of a str as uint32, the values (N,) of bytes as uint8; errors count from ``offset``."""
    if not isinstance(text, str):
        return np.frombuffer(text, np.uint8)
    try:
        return np.frombuffer(text.encode("utf-32-le"), "<u4")
    except UnicodeEncodeError as error:
        raise TextError(
            f"U+{ord(text[error.start]):04X} at offset {offset + error.start:,} is half of a character "
            "(a lone surrogate), which no file can hold: decode the text anew, or take it out"
        ) from None


def _spelled(code: int, raw_bytes: bool) -> str:
    return f"0x{code:02x}" if raw_bytes else f"{chr(code)!r} (U+{code:04X})"
