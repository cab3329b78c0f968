"""Characters and their ids: the alphabet that a network reads and writes.

A vocabulary is sorted by code point, so the same set of characters always gets the same ids. What counts as a
character is one Unicode code point (a combining mark, an astral character and NUL are ordinary ones) or, for raw
bytes, one byte value. Lone surrogates are refused: they are halves of characters, which no file could hold.

A vocabulary made with ``min_count`` above 1 holds U+FFFD in place of all characters that are rarer, and encodes as U+FFFD whatever it
does not have. Others refuse such characters.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from charrnn import arguments
from charrnn.errors import SettingsError, TextError, brief

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

UNKNOWN = "\ufffd"  # Unicode's replacement character, in place of those that a vocabulary with min_count does not have
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
        unknown: which of the characters stands for all others (None: none does, they raise `TextError`).

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
    unknown: str | None = None

    def __init__(self, characters: Sequence[str] | NDArray[np.str_], raw_bytes: bool = False, unknown: str | None = None) -> None:
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
        if unknown is not None and (raw_bytes or not isinstance(unknown, str) or len(unknown) != 1 or unknown not in self.characters):
            raise TextError(f"unknown must be one of the vocabulary's characters, not of raw bytes, got {brief(unknown)}")
        self.unknown = unknown
        # code point -> id + 1; for a stranger 0, or what stands for it. The last entry is a stranger's, and take(mode="clip") goes there
        # for every code point beyond.
        self._table = np.full(int(codes[-1]) + 2, 0 if unknown is None else self.characters.index(unknown) + 1, np.uint32)
        self._table[codes] = np.arange(1, len(codes) + 1)

    @classmethod
    def from_text(cls, text: str | bytes, min_count: int = 1) -> Vocabulary:
        """The vocabulary of a text; of raw bytes, if bytes are given. Characters that occur fewer than ``min_count`` times become U+FFFD.

        >>> Vocabulary.from_text(b"\\x00\\xff\\x00").decode([1, 0])
        b'\\xff\\x00'
        >>> Vocabulary.from_text("banana!", min_count=2).encode("nab?")  # "an" and U+FFFD
        array([1, 0, 2, 2], dtype=int32)
        """
        encoder = Encoder(None, is_raw(text), min_count)
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
        return (self.characters, self.raw_bytes, self.unknown) == (other.characters, other.raw_bytes, other.unknown)

    def __hash__(self) -> int:
        return hash((self.characters, self.raw_bytes))

    def __repr__(self) -> str:
        shown = self.characters if len(self) <= 100 else self.characters[:100] + "…"
        others = "" if self.unknown is None else f", others are read as {self.unknown!r}"
        return f"<Vocabulary of {len(self):,} {'byte values' if self.raw_bytes else 'characters'}: {shown!r}{others}>"

    def encode(self, text: str | bytes) -> NDArray[np.int32]:
        """The ids (N,) of a text's N characters, or bytes.

        Raises `TextError` when characters are not in the vocabulary and none stands for them (``unknown``), naming each with the
        offset where it first appears, in characters (bytes for raw bytes).

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
        """What a model file keeps: ``{"characters": str, "raw_bytes": bool}``; `unknown` has an entry of its own there."""
        return {"characters": self.characters, "raw_bytes": self.raw_bytes}

    @classmethod
    def from_json(cls, value: Any, unknown: str | None = None) -> Vocabulary:
        """The vocabulary that `to_json` described, and the character that stands for unknown ones; `TextError` for anything else.

        >>> Vocabulary.from_json(Vocabulary("ab").to_json()) == Vocabulary("ab")
        True
        """
        if not (isinstance(value, Mapping) and isinstance(value.get("characters"), str) and isinstance(value.get("raw_bytes"), bool)):
            raise TextError('a stored vocabulary needs "characters" (a string) and "raw_bytes" (true or false)')
        return cls(value["characters"], raw_bytes=value["raw_bytes"], unknown=unknown)


class Encoder:
    """Numbers the characters of a text that comes in blocks, cut anywhere.

    With a vocabulary the ids are the vocabulary's. Without one they count the characters in the order of their
    first appearance, so that a text is read only once; `finish` then tells how to put them into sorted order. Those that occur fewer than
    ``min_count`` times become U+FFFD there.
    """

    def __init__(self, vocabulary: Vocabulary | None, raw_bytes: bool, min_count: int = 1) -> None:
        if not isinstance(vocabulary, Vocabulary | None):
            raise SettingsError(f"vocabulary must be a Vocabulary, as Vocabulary('abc') makes one, got {brief(vocabulary)}")
        if vocabulary is not None and vocabulary.raw_bytes != raw_bytes:
            need, got = ("bytes", "str") if vocabulary.raw_bytes else ("str", "bytes")
            raise TextError(f"this vocabulary is made for texts of type {need}, got {got}")
        self.min_count = arguments.whole_number("min_count", min_count)
        if self.min_count > 1 and vocabulary is not None:
            raise SettingsError("min_count says which characters make a vocabulary, and there is one already: leave min_count out")
        if self.min_count > 1 and raw_bytes:
            raise SettingsError("min_count replaces rare characters by U+FFFD, which is no byte: leave it out for a text of raw bytes")
        self.vocabulary = vocabulary
        self.raw_bytes = raw_bytes
        self.rare = (0, 0)  # how many characters min_count replaces, and how often they occur together
        self.size = len(vocabulary) if vocabulary else 0  # how many different ids were given out
        self.length = 0  # how many characters were encoded
        self._table = vocabulary._table if vocabulary else np.zeros(1, np.uint32)
        self._learnt: list[NDArray[Any]] = []
        self._counts = np.zeros(0, np.int64)  # of each id, where min_count asks for them
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
        if self.min_count > 1:
            counts = np.bincount(ids, minlength=self.size)
            counts[: len(self._counts)] += self._counts
            self._counts = counts
        return ids

    def finish(self) -> tuple[Vocabulary, NDArray[np.uint32] | None]:
        """The vocabulary, and the array (K,) that takes the ids given out to the vocabulary's (None: they are)."""
        if self.vocabulary:
            if self._strangers:
                raise TextError(self._about_strangers())
            return self.vocabulary, None
        codes = np.concatenate([np.zeros(0, np.uint32), *self._learnt]).astype("<u4")
        unknown = None
        if self.min_count > 1:
            unknown = UNKNOWN
            codes = self._without_rare(codes)
        kept = np.unique(codes)
        ranks = np.searchsorted(kept, codes).astype(np.uint32)
        return Vocabulary(kept.tobytes().decode("utf-32-le"), self.raw_bytes, unknown), ranks[: self.size]

    def _without_rare(self, codes: NDArray[Any]) -> NDArray[Any]:
        """The codes (K,) with U+FFFD in place of the rare ones, and once more at the end: a vocabulary with min_count always has it."""
        mark = ord(UNKNOWN)
        rare = (self._counts < self.min_count) & (codes != mark)
        if (rare | (codes == mark)).all():
            most = int(self._counts.max(initial=0))
            raise TextError(f"min_count {self.min_count:,} leaves no character: the most frequent occurs {most:,} times; take a smaller")
        self.rare = int(rare.sum()), int(self._counts[rare].sum())
        return np.append(np.where(rare, mark, codes), mark).astype("<u4")

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
