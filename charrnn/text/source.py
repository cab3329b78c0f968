"""Where a text comes from: files, standard input or the bundled story, and how it is decoded."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from charrnn.errors import OutputError
from charrnn.files.atomic import why
from charrnn.files.owned import new_file
from charrnn.text.corpus import Corpus, read_corpus
from charrnn.text.vocabulary import BLOCK, Vocabulary

BOM = "\ufeff"


@dataclass(frozen=True)
class TextSource:
    """Text files that are read as one (- is standard input; none: the bundled story), their encoding, or that they are bytes.

    min_count: characters that occur fewer times are read as U+FFFD.

    >>> TextSource().read().name
    'tidehouse_at_saltmere.txt'
    """

    paths: tuple[str, ...] = ()
    encoding: str = "utf-8"
    raw_bytes: bool = False
    min_count: int = 1

    def read(self, vocabulary: Vocabulary | None = None) -> Corpus:
        """The text as ids, of this vocabulary or of its own; the errors are those of `charrnn.read_corpus`."""
        min_count = self.min_count if vocabulary is None else 1
        return read_corpus(list(self.paths) or None, self.encoding, self.raw_bytes, vocabulary, min_count=min_count)

    def absolute(self) -> TextSource:
        """The same from whichever folder it is read."""
        return replace(self, paths=tuple(path if path == "-" else os.path.abspath(path) for path in self.paths))

    def plain(self) -> dict[str, Any]:
        """The same as JSON holds it."""
        return {"text": list(self.paths), "encoding": self.encoding, "raw_bytes": self.raw_bytes, "min_count": self.min_count}

    @classmethod
    def of(cls, plain: Mapping[str, Any]) -> TextSource:
        """The reverse of `plain`."""
        return cls(tuple(plain["text"]), plain["encoding"], plain["raw_bytes"], plain.get("min_count", 1))

    @property
    def is_read_once(self) -> bool:
        """Whether a part of it cannot be read again later."""
        return any(map(is_read_once, self.paths))


def is_read_once(path: str) -> bool:
    """Whether a text cannot be read again later: standard input, a pipe, or what is such only for this process; a folder can be."""
    there = os.path.exists(path) and not (os.path.isfile(path) or os.path.isdir(path))
    return path == "-" or os.path.abspath(path).startswith(("/dev/", "/proc/")) or there


def copy_of(corpus: Corpus, path: Path) -> str:
    """Write a text that can be read only once to a file, bytes as they are and characters as UTF-8; its full name."""
    try:
        with new_file(path) as file:
            if corpus.text(0, 1) == BOM:
                file.write(BOM.encode())  # the one that reading takes off
            for start in range(0, len(corpus), BLOCK):
                text = corpus.text(start, min(start + BLOCK, len(corpus)))
                file.write(text if isinstance(text, bytes) else text.encode("utf-8"))
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise OutputError(f"cannot keep a copy of the text in {path}: {why(error)}") from None
    return os.path.abspath(path)
