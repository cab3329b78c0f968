"""Checks of arguments that word the errors alike everywhere: what was wrong, what was found, what would do."""

from __future__ import annotations

import contextlib
import functools
import math
import numbers
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from charrnn.errors import SettingsError, brief, one_line

ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "\\": "\\"}
ALIKE = 0.65  # from this share of common letters on, two names may be one with a slip of the hand
MOST = (1 << 128) - 1  # beyond any size and any seed; numbers of thousands of digits could not even be shown


def whole_number(name: str, value: Any, at_least: int = 1, at_most: int = MOST) -> int:
    """value as an int within the bounds, or SettingsError.

    >>> whole_number("seq_length", 25)
    25
    """
    if isinstance(value, bool) or not isinstance(value, numbers.Integral) or value < at_least:
        raise SettingsError(f"{name} must be a whole number of at least {at_least}, got {brief(value)}")
    if (whole := int(value)) > at_most:
        raise SettingsError(f"{name} must be a whole number of at most {at_most:,}, got {brief(whole)}")
    return whole


def number(name: str, value: Any, above: float = -math.inf, at_least: float = -math.inf, at_most: float = math.inf) -> float:
    """value as a finite float within the bounds, or SettingsError."""
    try:
        fine = not isinstance(value, bool) and isinstance(value, numbers.Real) and math.isfinite(value)
    except OverflowError:  # a whole number that no float holds
        fine = False
    if not (fine and above < value and at_least <= value <= at_most):
        bounds = [f"above {above:g}"] * (above > -math.inf) + [f"at least {at_least:g}"] * (at_least > -math.inf)
        bounds += [f"at most {at_most:g}"] * (at_most < math.inf)
        raise SettingsError(f"{name} must be a finite number{' ' * bool(bounds)}{' and '.join(bounds)}, got {brief(value)}")
    return float(value)


def yes_or_no(name: str, value: Any) -> bool:
    """value as a bool, or SettingsError."""
    if not isinstance(value, bool):
        raise SettingsError(f"{name} must be True or False, got {brief(value)}")
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


def listed(name: str, value: Any, what: str = "a list") -> list[Any]:
    """The items of value as a list, or SettingsError."""
    try:
        return list(value)
    except TypeError:
        raise SettingsError(f"{name} must be {what}, got {brief(value)}") from None


def array(name: str, value: Any) -> np.ndarray[Any, np.dtype[Any]]:
    """value as an array (no copy of one), or SettingsError for rows of different lengths."""
    try:
        return np.asarray(value)
    except ValueError as error:
        raise SettingsError(f"{name} must be an array, got rows that do not fit together: {error}") from None


def suggestion(word: Any, choices: Iterable[str]) -> str:
    """ "; did you mean ...?" with what another program's name for it, or a slip of the hand, stands for; "" for neither.

    >>> suggestion("--lr", ["--help", "--learning-rate"]), suggestion("adamm", ["adagrad", "adam"]), suggestion("--gpu", ["--out"])
    ("; did you mean '--learning-rate'?", "; did you mean 'adam'?", '')
    """
    import difflib

    from charrnn.synonyms import OURS

    plain = {choice: _plain(choice) for choice in choices}
    wanted = _plain(word if isinstance(word, str) else "")
    near = [choice for ours in OURS.get(wanted, ()) for choice, name in plain.items() if name == ours][:1]
    if not near:
        alike = {choice: difflib.SequenceMatcher(None, wanted, name).ratio() for choice, name in plain.items()}
        best = max(alike.values(), default=0.0)
        near = [c for c in sorted(plain, key=lambda c: -alike[c]) if alike[c] >= max(ALIKE, best - 0.1)][:3]
    return f"; did you mean {' or '.join(map(repr, near))}?" if near else ""


def _plain(name: str) -> str:
    """Names without what option and argument differ in."""
    return name.strip("-").replace("-", "_").lower()


def nearest(word: Any, choices: Iterable[str]) -> str:
    """`suggestion`, or where there is none all of the choices.

    >>> nearest("adamm", ["adagrad", "adam"]), nearest("x", ["linear", "cosine"])
    ("; did you mean 'adam'?", "; there are 'linear', 'cosine'")
    """
    choices = list(choices)
    return suggestion(word, choices) or f"; there are {', '.join(map(repr, choices))}"


def no_others(what: str, given: Iterable[str], known: Iterable[str]) -> None:
    """SettingsError for the first keyword argument that `what` does not have, with the one that was meant.

    >>> no_others("CharRNN", {"hidden_units": 3}, ["hidden_size", "seed"])
    Traceback (most recent call last):
    charrnn.errors.SettingsError: CharRNN has no argument 'hidden_units'; did you mean 'hidden_size'?
    """
    known = list(known)
    for name in given:
        if name not in known:
            raise SettingsError(f"{what} has no argument {brief(name)}{nearest(name, known)}")


def one_of(name: str, value: Any, choices: Iterable[str]) -> str:
    """value if it is one of the choices, or SettingsError with the nearest names."""
    choices = list(choices)
    if not isinstance(value, str) or value not in choices:
        raise SettingsError(f"unknown {name} {brief(value)}{nearest(value, choices)}")
    return value


def memory(what: str, size: int) -> None:
    """SettingsError, before anything is allocated, if `size` bytes are more than this process could ever get."""
    have = available_memory()
    if size > have:
        needs = f"{size:,}" if size >> 3000 == 0 else brief(size)  # of thousands of digits Python makes no text
        raise SettingsError(f"{what} would need {needs} bytes of memory, more than the {have:,} that there are; take smaller sizes")


def available_memory() -> int:
    """Bytes that this process could get at most: of physical memory, of its control groups, and of what `ulimit -v` leaves it;
    2^40 where the system does not say.
    """
    import os

    try:
        physical = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        physical = 1 << 40
    return max(0, min(physical, _of_control_groups(), _of_address_space()))


@functools.cache
def _of_control_groups(proc: str = "/proc/self/cgroup", root: str = "/sys/fs/cgroup") -> int:
    """What the control groups of this process (containers, systemd's slices) may use, the least of all above it."""
    limits = [1 << 62]
    with contextlib.suppress(OSError, ValueError):
        for line in Path(proc).read_text("utf-8").splitlines():
            _, controllers, name = line.split(":", 2)
            if controllers not in ("", "memory"):
                continue
            top, file = (Path(root), "memory.max") if not controllers else (Path(root, "memory"), "memory.limit_in_bytes")
            group = top / name.strip("/")
            for folder in (group, *group.parents):
                with contextlib.suppress(OSError, ValueError):  # "max": no limit
                    limits.append(int((folder / file).read_text("ascii")))
                if folder == top:
                    break
    return min(limits)


def _of_address_space() -> int:
    """What is left of RLIMIT_AS, which `ulimit -v` sets."""
    try:
        import resource

        limit, _ = resource.getrlimit(resource.RLIMIT_AS)
        if limit == resource.RLIM_INFINITY:
            return 1 << 62
        used = int(Path("/proc/self/statm").read_text("ascii").split()[0]) * resource.getpagesize()
        return limit - used
    except (ImportError, OSError, ValueError):
        return 1 << 62
