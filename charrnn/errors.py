"""The errors that charrnn raises: each says what was wrong, what was found and what to do.

All derive from `CharRNNError`, and from the built-in class a caller would expect, so both
``except charrnn.CharRNNError`` and ``except ValueError`` work.

>>> from charrnn import CharRNN, CharRNNError
>>> try:
...     CharRNN(hidden_size=0)
... except CharRNNError as error:
...     print(error)
hidden_size must be a whole number of at least 1, got 0
"""

from __future__ import annotations

import contextlib
import unicodedata
from collections.abc import Iterator
from typing import Any

_BRIEF = 200  # characters of a value in a message
_STEERING = ("Cc", "Cs", "Zl", "Zp")  # categories of characters: control, half of one, line and paragraph ends
_BIDIRECTIONAL = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"  # which change the order of what is around them


class CharRNNError(Exception):
    """The base class of all errors of charrnn."""


class TextError(CharRNNError, ValueError):
    """A text that cannot be read, decoded, encoded or used."""


class SettingsError(CharRNNError, ValueError):
    """An invalid argument, option or recipe."""


class ModelFileError(CharRNNError, ValueError):
    """A file that is no model or checkpoint, or is damaged."""


class OutputError(CharRNNError, OSError):
    """Something that could not be written."""


class NonFiniteError(CharRNNError, ArithmeticError):
    """Training met a loss or gradient that is infinite or not a number."""


class KernelsError(CharRNNError, RuntimeError):
    """Compiled kernels that were requested but cannot run here."""


class BusyError(CharRNNError, RuntimeError):
    """A model used by one thread while another trains it."""


class OutOfMemoryError(CharRNNError, MemoryError):
    """Memory that the machine does not have."""


class ThreadsError(CharRNNError, RuntimeError):
    """Threads that the machine does not start."""


class WorkersError(CharRNNError, RuntimeError):
    """Workers of a sweep that died repeatedly, or that are not available."""


class Interrupted(CharRNNError):
    """Work that was stopped on request before its end."""


def one_line(message: str) -> str:
    """A message as one line that cannot steer the terminal, whatever is in the names that it quotes."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in message)


def harmless(text: str) -> str:
    """A text whose line ends and tabs act, and nothing else: what could steer a terminal is spelled out.

    >>> harmless("a\\tb\\n\\x1b[2J\\u202e")
    'a\\tb\\n\\\\x1b[2J\\\\u202e'
    """
    if text.isprintable():
        return text

    def fine(c: str) -> bool:
        return c in "\n\t" or (unicodedata.category(c) not in _STEERING and c not in _BIDIRECTIONAL)

    return "".join(c if fine(c) else ascii(c)[1:-1] for c in text)


def brief(value: Any, form: str = "") -> str:
    """A value for a message, as Python would write it (a number: in this format), but on one line of bounded length.

    >>> brief("a"), brief(10**5000), brief(1234567, ",")
    ("'a'", 'a whole number of about 5,001 digits', '1,234,567')
    """
    if isinstance(value, int) and abs(value) >> 500:  # of thousands of digits Python makes no text at all
        return f"a whole number of about {int(abs(value).bit_length() * 0.30103) + 1:,} digits"
    try:
        text = " ".join((format(value, form) if form else repr(value)).split())
    except Exception:  # a stranger's __repr__, or such a number inside a list
        text = f"a {type(value).__name__}"
    return text if len(text) <= _BRIEF else f"{text[: _BRIEF - 1]}…"


@contextlib.contextmanager
def resources() -> Iterator[None]:
    """Memory and threads that the machine does not give, as errors of ours: around whatever allocates or starts some.

    >>> with resources():
    ...     raise MemoryError
    Traceback (most recent call last):
    charrnn.errors.OutOfMemoryError: there is not enough memory: take smaller sizes, or close other programs
    """
    try:
        yield
    except CharRNNError:
        raise
    except MemoryError as error:
        found = f" ({error})" if str(error) else ""  # NumPy says how much it wanted
        raise OutOfMemoryError(f"there is not enough memory{found}: take smaller sizes, or close other programs") from error
    except RuntimeError as error:
        if "start new thread" not in str(error):
            raise
        raise ThreadsError("the system starts no more threads: take fewer (threads=, --threads), or close other programs") from error
