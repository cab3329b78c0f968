"""What a file of a stranger's may say: JSON read strictly, and the types and bounds of the values in it.

A check is a function of a value and of the words for its place; it returns the value, or raises `Mismatch`, worded to be read after
the name of the file. Checks are made of smaller ones:

>>> run = table({"updates": whole(), "text": list_of(text(), longest=1000)}, {"validation": maybe(text())})
>>> run({"updates": 5, "text": ["book.txt"]}, "it")
{'updates': 5, 'text': ['book.txt']}
>>> run({"updates": 1e400, "text": []}, "it")
Traceback (most recent call last):
charrnn.files.schema.Mismatch: it: updates must be a whole number from 0 to 9,223,372,036,854,775,807, got inf
"""

from __future__ import annotations

import json
import math
import sys
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

from charrnn.errors import brief

Check = Callable[[Any, str], Any]

MOST = (1 << 63) - 1
DIGITS = 100  # of a whole number in JSON: more than any that charrnn writes has (the random generator's, of 128 bits, have 39)
LONGEST_TEXT = 1 << 24


class Mismatch(ValueError):
    """What is wrong with a value, worded to follow its file's name."""


def loads(data: bytes | str, what: str = "it", infinite: bool = False) -> Any:
    """The value of a JSON text. `Mismatch` for what is no JSON, or has numbers that are not finite or endless, or one key twice.

    infinite: NaN and Infinity, as files of version 1 have them, are null instead.
    """
    constant = _null if infinite else _number
    try:
        found = data if isinstance(data, str) else data.decode("utf-8")
        return json.loads(found, object_pairs_hook=_unique, parse_constant=constant, parse_float=_number, parse_int=_whole)
    except Mismatch as problem:
        raise Mismatch(f"{what} {problem}") from None
    except UnicodeDecodeError as error:
        raise Mismatch(f"{what} is not UTF-8 (at byte {error.start})") from None
    except ValueError as error:
        raise Mismatch(f"{what} is not JSON ({error})") from None
    except RecursionError:
        raise Mismatch(f"{what} is nested too deeply") from None


def dumps(value: Any, **form: Any) -> str:
    """JSON of a value, with null where there are numbers that JSON has none for: NaN and infinity.

    >>> dumps({"loss": float("nan"), "bits": [1.5, float("inf")]})
    '{"loss": null, "bits": [1.5, null]}'
    """
    return json.dumps(_finite(value), allow_nan=False, **form)


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _finite(each) for key, each in value.items()}
    return [_finite(each) for each in value] if isinstance(value, (list, tuple)) else value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        twice = Counter(key for key, _ in pairs).most_common(1)[0][0]
        raise Mismatch(f"has {short(twice)} twice")
    return found


def _null(text: str) -> None:
    return None


def _number(text: str) -> float:
    if not math.isfinite(number := float(text)):
        raise Mismatch(f"holds {short(text)}, which is no finite number")
    return number


def _whole(text: str) -> int:
    if len(text) > DIGITS:
        raise Mismatch(f"holds a number of {len(text):,} digits, at most {DIGITS} are possible")
    return int(text)


def short(value: Any) -> str:
    """A stranger's value for a message: one line, no control characters, of bounded length."""
    text = ascii(value[:80]) if isinstance(value, str) else ascii(brief(value))[1:-1]
    return text if len(text) <= 60 else f"{text[:57]}..."


# ---- checks -----------------------------------------------------------------------------------------------------------------


def whole(at_least: int = 0, at_most: int = MOST) -> Check:
    """A whole number within bounds (True and 1.0 are none)."""

    def check(value: Any, where: str) -> int:
        if type(value) is not int or not at_least <= value <= at_most:
            _wrong(where, f"a whole number from {at_least:,} to {at_most:,}", value)
        return value

    return check


def number(at_least: float = -math.inf, at_most: float = math.inf) -> Check:
    """A finite number within bounds, as a float."""

    def check(value: Any, where: str) -> float:
        fine = type(value) in (int, float) and abs(value) <= sys.float_info.max and at_least <= value <= at_most  # NaN compares as wrong
        if not fine:
            bounds = [f" of at least {at_least:g}"] * (at_least > -math.inf) + [f" of at most {at_most:g}"] * (at_most < math.inf)
            _wrong(where, f"a finite number{' and'.join(bounds)}", value)
        return float(value)

    return check


def text(longest: int = LONGEST_TEXT) -> Check:
    """A string."""

    def check(value: Any, where: str) -> str:
        if not isinstance(value, str) or len(value) > longest:
            _wrong(where, f"a text of at most {longest:,} characters", value)
        return value

    return check


def yes_or_no() -> Check:
    """True or false."""

    def check(value: Any, where: str) -> bool:
        if not isinstance(value, bool):
            _wrong(where, "true or false", value)
        return value

    return check


def one_of(*choices: str) -> Check:
    """One of these strings."""

    def check(value: Any, where: str) -> str:
        if not isinstance(value, str) or value not in choices:
            _wrong(where, f"one of {', '.join(choices)}", value)
        return value

    return check


def maybe(check: Check) -> Check:
    """null, or what the other check lets pass."""
    return lambda value, where: None if value is None else check(value, where)


def either(*checks: Check) -> Check:
    """What one of the checks lets pass; the words are those of the last."""

    def check(value: Any, where: str) -> Any:
        for each in checks[:-1]:
            try:
                return each(value, where)
            except Mismatch:
                continue
        return checks[-1](value, where)

    return check


def anything(value: Any, where: str) -> Any:
    """Whatever JSON may hold."""
    return value


def list_of(check: Check, longest: int = 1 << 24, shortest: int = 0) -> Check:
    """A list, with one check for all that is in it."""

    def checked(value: Any, where: str) -> list[Any]:
        if not isinstance(value, list) or not shortest <= len(value) <= longest:
            _wrong(where, f"a list of {shortest:,} to {longest:,} entries" if shortest else f"a list of at most {longest:,} entries", value)
        return [check(each, f"{where}[{i}]") for i, each in enumerate(value)]

    return checked


def row_of(*checks: Check) -> Check:
    """A list of just so many entries, each with its own check."""

    def checked(value: Any, where: str) -> list[Any]:
        if not isinstance(value, list) or len(value) != len(checks):
            _wrong(where, f"a list of {len(checks)} entries", value)
        return [check(each, f"{where}[{i}]") for i, (check, each) in enumerate(zip(checks, value, strict=True))]

    return checked


def table(required: Mapping[str, Check], optional: Mapping[str, Check] | None = None, others: Check | None = None) -> Check:
    """An object with these keys, perhaps those, and no others unless there is a check for them."""
    optional = optional or {}

    def check(value: Any, where: str) -> dict[str, Any]:
        if not isinstance(value, dict):
            _wrong(where, "an object", value)
        if missing := [key for key in required if key not in value]:
            raise Mismatch(f"{where} lacks {', '.join(missing)}")
        found = {}
        for key, each in value.items():
            check = required.get(key) or optional.get(key) or others
            if check is None:
                raise Mismatch(f"{where} has {short(key)}, which is not known")
            found[key] = check(each, f"{where}: {key if key.isidentifier() else short(key)}")
        return found

    return check


def _wrong(where: str, wanted: str, value: Any) -> NoReturn:
    raise Mismatch(f"{where} must be {wanted}, got {short(value)}")


# ---- what charrnn's own files say -------------------------------------------------------------------------------------------

SCALAR = either(maybe(yes_or_no()), number(), text())

#: The metadata of a model: sizes and names within bounds; what the network makes of them is checked there. What is said of its
#: training is checked when it goes on, see COURSE.
MODEL = table(
    {
        "vocabulary": table({"characters": text(0x110000), "raw_bytes": yes_or_no()}),
        "hidden_size": whole(1, 1 << 32),
        "dtype": text(20),
        "seed": whole(0, (1 << 128) - 1),
    },
    {
        "unknown_character": maybe(text(1)),
        "init": text(100),
        "init_std": number(0, 1e6),
        "recipe": maybe(text(10_000)),
        "training": maybe(table({}, others=anything)),
    },
    others=anything,
)

#: run.json
RUN = table(
    {
        "text": list_of(text(1 << 16), longest=1 << 16),
        "encoding": text(100),
        "raw_bytes": yes_or_no(),
        "validation": maybe(text(1 << 16)),
        "log_every": maybe(whole(1)),
        "checkpoint_every": text(100),
        "keep": whole(1),
        "description": text(),
    },
    {
        "validation_split": text(100),
        "fingerprint": text(100),
        "relative": list_of(text(1 << 16), longest=1 << 16),
        "start": maybe(text(1 << 16)),
        "extend_vocabulary": yes_or_no(),
        "min_count": whole(1),
    },
    others=anything,
)

COUNT = whole(-1, 1 << 62)  # of updates, characters; -1: none yet

#: How far a run came, in a checkpoint; the names are those of version 1 and later ones.
COURSE = table(
    {
        **dict.fromkeys(("step", "done", "total", "epoch", "cursor", "sampled", "validated", "moments", "rescues"), COUNT),
        "fingerprint": text(100),
        "settings": table({}, others=SCALAR),
    },
    {
        **dict.fromkeys(("validation", "held_out", "test"), maybe(text(100))),
        "safe_step": whole(0, 1 << 62),
        "lowest": table({}, others=SCALAR),
    },
    others=anything,
)

VALIDATION = table({"step": COUNT, "loss": maybe(number()), "seconds": number(0)})

#: What a checkpoint remembers of its run's history.
HISTORY = table(
    {
        "samples": list_of(
            table({"step": COUNT, "epoch": COUNT, "smooth_loss": maybe(number()), "loss_per_char": maybe(number()), "text": text()})
        ),
        "validation": list_of(VALIDATION),
        "epoch_steps": list_of(COUNT),
        "rescues": list_of(COUNT),
        "notes": list_of(text()),
        "seconds": number(0),
    },
    {"test": VALIDATION},
    others=anything,
)
