"""How much of a text repeats what is in it already: equal lines, paragraphs and files, and what compression makes of it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from charrnn.doctor.raw import Place

MOST = 1 << 18  # different lines that are remembered; of longer texts, those whose hashes end in so many zeros that they fit
SHORT, PARAGRAPH = 20, 100  # characters: shorter lines repeat by nature, as "ROMEO:" does, and so do shorter paragraphs
COMPRESSED = 8 << 20  # bytes that are compressed, the first ones
SHOWN = 60


def digest(data: bytes) -> int:
    """64 bits that are the same in every process."""
    return int.from_bytes(hashlib.blake2b(data, digest_size=8).digest(), "little")


@dataclass(frozen=True)
class Repeats:
    """How many there are, how many of them occurred before, and the part of their characters that is in the latter.

    Estimated, from a sample of the different ones, where there are more than are remembered. example: the one that repeats most
    characters, `times` in all.
    """

    total: int
    repeated: int
    part: float
    estimated: bool
    example: str = ""
    times: int = 0


class Seen:
    """How often each of many texts occurred, in bounded memory.

    >>> seen = Seen()
    >>> for word in "to be or not to be".split():
    ...     seen.add(digest(word.encode()), len(word), word)
    >>> found = seen.repeats()
    >>> found.total, found.repeated, found.part, found.example
    (6, 2, 0.3076923076923077, 'to')
    """

    def __init__(self, most: int = MOST) -> None:
        self.most = most
        self._zeros = 0  # in which a remembered hash ends
        self._known: dict[int, tuple[int, int]] = {}  # how often, and its length
        self._examples: dict[int, str] = {}

    def add(self, key: int, length: int, text: str) -> None:
        """One more, with its hash, length, and the beginning of its text."""
        if self._zeros and key & ((1 << self._zeros) - 1):
            return
        found = self._known.get(key)
        if found is not None:
            self._known[key] = found[0] + 1, length
            if found[0] == 1:
                self._examples[key] = text[:SHOWN]
            return
        self._known[key] = 1, length
        if len(self._known) > self.most:
            self._zeros += 1
            mask = (1 << self._zeros) - 1
            self._known = {key: value for key, value in self._known.items() if not key & mask}
            self._examples = {key: text for key, text in self._examples.items() if not key & mask}

    def repeats(self, shortest: int = 1) -> Repeats:
        """What there is to say of those with at least so many characters."""
        scale = 1 << self._zeros
        some = [(count, length, key) for key, (count, length) in self._known.items() if length >= shortest]
        total, characters = sum(count for count, _, _ in some), sum(count * length for count, length, _ in some)
        repeated = sum(count - 1 for count, _, _ in some)
        part = sum((count - 1) * length for count, length, _ in some) / max(1, characters)
        count, _, key = max(some, key=lambda each: ((each[0] - 1) * each[1], each[2]), default=(0, 0, 0))
        example, times = (self._examples[key], count) if count > 1 else ("", 0)
        return Repeats(scale * total, scale * repeated, part, scale > 1, example, times)


class Lines:
    """The lines and paragraphs of a text that comes in blocks. A paragraph is what stands between empty lines."""

    def __init__(self) -> None:
        self._lines, self._paragraphs = Seen(), Seen()
        self.count = self.empty = self.longest = 0
        self.longest_at: Place | None = None
        self.ended = True  # whether the last file ends with a line end

    def begin_file(self, name: str) -> None:
        """The lines that come are of this file."""
        self._file, self._number = name, 1
        self._hash, self._size, self._head = hashlib.blake2b(digest_size=8), 0, ""
        self._paragraph, self._paragraph_size, self._paragraph_head = hashlib.blake2b(digest_size=8), 0, ""

    def look(self, text: str) -> None:
        """The next block."""
        first, *others = text.split("\n")
        self._grow(first)
        if others:
            self._end()
            for line in others[:-1]:
                self._line(len(line), line, hashlib.blake2b(line.encode("utf-8"), digest_size=8).digest())
            self._grow(others[-1])

    def end_file(self) -> None:
        """No more of this file."""
        self.ended = not self._size
        if self._size:
            self._end()
        self._end_paragraph()

    def _grow(self, piece: str) -> None:
        if piece:
            self._size += len(piece)
            self._hash.update(piece.encode("utf-8"))  # bit by bit, for a line may be as long as the text
            if len(self._head) < SHOWN:
                self._head += piece[:SHOWN]

    def _end(self) -> None:
        """The line that grew is complete."""
        self._line(self._size, self._head, self._hash.digest())
        self._hash, self._size, self._head = hashlib.blake2b(digest_size=8), 0, ""

    def _line(self, size: int, head: str, found: bytes) -> None:
        """A line, with its length, its beginning and its hash."""
        self.count += 1
        if size > self.longest:
            self.longest, self.longest_at = size, Place(self._file, self._number, 1)
        if not size or (size <= SHOWN and not head.strip()):
            self.empty += 1
            self._end_paragraph()
        else:
            self._lines.add(int.from_bytes(found, "little"), size, head)
            self._paragraph.update(found)
            self._paragraph_size += size
            self._paragraph_head = self._paragraph_head or head[:SHOWN]
        self._number += 1

    def _end_paragraph(self) -> None:
        if self._paragraph_size >= PARAGRAPH:
            self._paragraphs.add(int.from_bytes(self._paragraph.digest(), "little"), self._paragraph_size, self._paragraph_head)
        if self._paragraph_size:
            self._paragraph, self._paragraph_size, self._paragraph_head = hashlib.blake2b(digest_size=8), 0, ""

    def repeats(self) -> dict[str, Repeats]:
        """Of lines, lines that are not short, and paragraphs."""
        return {"lines": self._lines.repeats(), "long_lines": self._lines.repeats(SHORT), "paragraphs": self._paragraphs.repeats()}


@dataclass(frozen=True)
class Compression:
    """How many times smaller the first `measured` bytes of a text become by zlib, which looks 32 KiB back, and by lzma, which looks back
    over all of them.
    """

    zlib: float
    lzma: float
    measured: int


class Compressor:
    """Compresses the beginning of a text that comes in blocks, and keeps the sizes alone."""

    def __init__(self, most: int = COMPRESSED) -> None:
        import lzma
        import zlib

        filters = [{"id": lzma.FILTER_LZMA2, "preset": 1, "dict_size": max(1 << 16, most)}]
        self._most, self._measured = most, 0
        self._zlib, self._lzma = zlib.compressobj(6), lzma.LZMACompressor(lzma.FORMAT_RAW, filters=filters)
        self._sizes = [0, 0]

    def look(self, data: bytes) -> None:
        """The next block."""
        if data := data[: self._most - self._measured]:
            self._measured += len(data)
            self._sizes[0] += len(self._zlib.compress(data))
            self._sizes[1] += len(self._lzma.compress(data))

    def result(self) -> Compression:
        """At the end."""
        sizes = self._sizes[0] + len(self._zlib.flush()), self._sizes[1] + len(self._lzma.flush())
        by_zlib, by_lzma = (round(self._measured / max(1, size), 3) for size in sizes)
        return Compression(by_zlib, by_lzma, self._measured)
