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


class CharRNNError(Exception):
    """Anything that charrnn refuses or could not do."""


class TextError(CharRNNError, ValueError):
    """A text that cannot be read, decoded, encoded or used."""


class SettingsError(CharRNNError, ValueError):
    """An argument, option or recipe that makes no sense."""


class ModelFileError(CharRNNError, ValueError):
    """A file that is no model or checkpoint, or is damaged."""


class OutputError(CharRNNError, OSError):
    """Something that could not be written."""


class NonFiniteError(CharRNNError, ArithmeticError):
    """Training met a loss or gradient that is infinite or not a number."""


class KernelsError(CharRNNError, RuntimeError):
    """Compiled kernels that were asked for but cannot run here."""


class BusyError(CharRNNError, RuntimeError):
    """One model used from two threads at once."""


class Interrupted(CharRNNError):
    """Work that was stopped on request before its end."""


def one_line(message: str) -> str:
    """A message as one line that cannot steer the terminal, whatever is in the names that it quotes."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in message)
