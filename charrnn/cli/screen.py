"""Standard output when a person reads it: texts, names and notes are shown there, and can do nothing else."""

from __future__ import annotations

import codecs
import contextlib
import sys
from collections.abc import Iterator
from typing import Any

from charrnn.errors import harmless


class Screen:
    """A terminal's stream on which nothing that is written steers the terminal; bytes are shown as UTF-8 where they are some."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self._decoder = codecs.getincrementaldecoder("utf-8")("backslashreplace")

    def write(self, text: str) -> int:
        """Like that of a file."""
        self._stream.write(harmless(text))
        return len(text)

    @property
    def buffer(self) -> _Bytes:
        """What takes bytes."""
        return _Bytes(self)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


class _Bytes:
    def __init__(self, screen: Screen) -> None:
        self._screen = screen

    def write(self, data: bytes) -> int:
        self._screen.write(self._screen._decoder.decode(data))
        return len(data)

    def flush(self) -> None:
        self._screen.flush()


@contextlib.contextmanager
def screen() -> Iterator[None]:
    """Standard output is a `Screen` meanwhile, if a terminal it is."""
    stream: Any = sys.stdout
    if not stream.isatty():
        yield
        return
    shown: Any = Screen(stream)
    sys.stdout = shown
    try:
        yield
    finally:
        sys.stdout = stream
