"""Checks of arguments that word the errors alike everywhere: what was wrong, what was found, what would do."""

from __future__ import annotations

import math
import numbers
import re
from collections.abc import Iterable
from typing import Any

import numpy as np

from charrnn.errors import SettingsError, one_line

ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "\\": "\\"}


def whole_number(name: str, value: Any, at_least: int = 1) -> int:
    """value as an int, or SettingsError.

    >>> whole_number("seq_length", 25)
    25
    """
    if isinstance(value, bool) or not isinstance(value, numbers.Integral) or value < at_least:
        raise SettingsError(f"{name} must be a whole number of at least {at_least}, got {value!r}")
    return int(value)


def number(name: str, value: Any, above: float = -math.inf, at_least: float = -math.inf, at_most: float = math.inf) -> float:
    """value as a finite float within the bounds, or SettingsError."""
    try:
        fine = not isinstance(value, bool) and isinstance(value, numbers.Real) and math.isfinite(value)
    except OverflowError:  # a whole number that no float holds
        fine = False
    if not (fine and above < value and at_least <= value <= at_most):
        bounds = [f"above {above:g}"] * (above > -math.inf) + [f"at least {at_least:g}"] * (at_least > -math.inf)
        bounds += [f"at most {at_most:g}"] * (at_most < math.inf)
        raise SettingsError(f"{name} must be a finite number{' ' * bool(bounds)}{' and '.join(bounds)}, got {value!r}")
    return float(value)


def yes_or_no(name: str, value: Any) -> bool:
    """value as a bool, or SettingsError."""
    if not isinstance(value, bool):
        raise SettingsError(f"{name} must be True or False, got {value!r}")
    return value


def unescaped(name: str, text: str) -> str:
    r"""The text that somebody means who cannot type a line end on a command line, or SettingsError for an unknown escape.

    >>> unescaped("--prime", r"one\ntwo\\nabla")
    'one\ntwo\\nabla'
    """

    def meant(found: re.Match[str]) -> str:
        if found[1] in ESCAPES:
            return ESCAPES[found[1]]
        what = one_line(found[0]) if found[1] else "a backslash at its end"
        raise SettingsError(
            f"{name} holds {what}, which means nothing: " r"write \\ for a backslash; \n is a line end, \t a tab, \r a return"
        )

    return re.sub(r"\\(.?)", meant, text, flags=re.DOTALL)


def listed(name: str, value: Any) -> list[Any]:
    """The items of value as a list, or SettingsError."""
    try:
        return list(value)
    except TypeError:
        raise SettingsError(f"{name} must be a list, got {value!r}") from None


def array(name: str, value: Any) -> np.ndarray[Any, np.dtype[Any]]:
    """value as an array (no copy of one), or SettingsError for rows of different lengths."""
    try:
        return np.asarray(value)
    except ValueError as error:
        raise SettingsError(f"{name} must be an array, got rows that do not fit together: {error}") from None


def nearest(word: Any, choices: Iterable[str]) -> str:
    """ ", did you mean ...?" with the choices that look like `word`, or all of them.

    >>> nearest("adamm", ["adagrad", "adam"])
    "; did you mean 'adam'?"
    """
    import difflib

    choices = list(choices)
    alike = {choice: difflib.SequenceMatcher(None, str(word), choice).ratio() for choice in choices}
    best = max(alike.values(), default=0.0)
    near = [c for c in sorted(choices, key=lambda c: -alike[c]) if alike[c] >= max(0.5, best - 0.15)][:3]
    if near:
        return f"; did you mean {' or '.join(map(repr, near))}?"
    return f"; there are {', '.join(map(repr, choices))}"


def one_of(name: str, value: Any, choices: Iterable[str]) -> str:
    """value if it is one of the choices, or SettingsError with the nearest names."""
    choices = list(choices)
    if not isinstance(value, str) or value not in choices:
        raise SettingsError(f"unknown {name} {value!r}{nearest(value, choices)}")
    return value


def memory(what: str, size: int) -> None:
    """SettingsError, before anything is allocated, if `size` bytes are more than this machine could ever give."""
    have = available_memory()
    if size > have:
        raise SettingsError(f"{what} would need {size:,} bytes of memory, more than the {have:,} that there are; take smaller sizes")


def available_memory() -> int:
    """Bytes of physical memory, or 2^40 where the system does not say."""
    import os

    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return 1 << 40
