"""Files as they are: decoded without an error where bytes are no characters, and with their line ends counted before they become LF."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from charrnn.errors import TextError
from charrnn.text.decoding import Decoding
from charrnn.text.reading import blocks_of_file, label, unpacked

BOM = "\ufeff"


@dataclass(frozen=True)
class Place:
    """Where something is: the file, and in it the line and the character of the line, counted from 1."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.line}:{self.column}"


class Cursor:
    """Where the present block of a file begins, so that its characters have places."""

    def __init__(self, file: str) -> None:
        self.file, self.line, self.column = file, 1, 1
        self._ends = np.zeros(0, np.intp)
        self._size = 0

    def take(self, codes: np.ndarray[Any, np.dtype[Any]]) -> None:
        """The next block, which begins where the one before ended; codes (N,) of its characters."""
        self.column = self._size - int(self._ends[-1]) if len(self._ends) else self.column + self._size
        self.line += len(self._ends)
        self._ends, self._size = np.flatnonzero(codes == 10), len(codes)

    def place(self, index: int) -> Place:
        """The place of a character of the block; -1 is the one before it."""
        before = int(np.searchsorted(self._ends, index))
        column = index - int(self._ends[before - 1]) if before else self.column + index
        return Place(self.file, self.line + before, column)


def characters_of(
    name: str, decoding: Decoding | None, ends: Counter[str], read: Callable[[int], object] = lambda size: None
) -> Iterator[str]:
    """The characters of a file, in blocks; of raw bytes (decoding None) those of the same codes, line ends as they are.

    Bytes that are no characters of the encoding become U+DC80 to U+DCFF, all line ends LF. `ends` counts these before, `decoding` what else
    there is to say; `read` is told how many bytes were read.
    """
    with contextlib.closing(blocks_of_file(name)) as raw:

        def counted() -> Iterator[bytes]:
            for block in raw:
                read(len(block))
                yield block

        if decoding is None:
            yield from _translated((block.decode("latin-1") for block in counted()), ends, keep=True)
            return
        with contextlib.closing(unpacked((block for block in counted()), label(name), decoding.packed)) as blocks:
            yield from _without_mark(_translated(_decoded(blocks, decoding, label(name)), ends), decoding)


def _decoded(blocks: Iterator[bytes], decoding: Decoding, name: str) -> Iterator[str]:
    decoder = decoding.tolerant()
    try:
        for block in blocks:
            yield decoder.decode(block)
        yield decoder.decode(b"", True)
    except TextError:
        raise
    except ValueError as error:
        raise TextError(f"{name} is not {decoding.encoding.upper()}: {error}; name its encoding (--encoding)") from None


def _translated(blocks: Iterator[str], ends: Counter[str], keep: bool = False) -> Iterator[str]:
    """The blocks with LF in place of every line end, unless they are kept; never cut between CR and LF."""
    held = ""
    for block in blocks:
        block = held + block
        held = "\r" if block.endswith("\r") else ""
        block = block.removesuffix(held)
        pairs = block.count("\r\n")
        ends.update({"CRLF": pairs, "CR": block.count("\r") - pairs, "LF": block.count("\n") - pairs})
        yield block if keep or "\r" not in block else block.replace("\r\n", "\n").replace("\r", "\n")
    if held:
        ends["CR"] += 1
        yield "\r" if keep else "\n"


def _without_mark(blocks: Iterator[str], decoding: Decoding) -> Iterator[str]:
    """The blocks without the byte-order mark at the beginning, which is counted."""
    at_start = True
    for block in blocks:
        if block and at_start:
            at_start = False
            decoding.marks += block[0] == BOM
            block = block.removeprefix(BOM)
        if block:
            yield block
