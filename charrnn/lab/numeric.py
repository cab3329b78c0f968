"""Somebody's own numerical gradients, compared with the right ones, and the mistake in them named."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from charrnn.errors import SettingsError
from charrnn.lab.checkermistakes import BY_KEY as CHECKERS
from charrnn.lab.diagnosis import ROUGHLY, Diagnosis, Finding
from charrnn.lab.explanation import deviation, factor_in_words
from charrnn.lab.limits import OutOfTime
from charrnn.lab.mistakes import BY_KEY
from charrnn.lab.subject import Subject
from charrnn.lab.window import RIGHT, Array, Problem, Window, core

Gradients = Mapping[str, Array]


def check_numeric(numeric: Any, subject: Subject, p: Problem, window: Window | None, right: Gradients, diagnosis: Diagnosis) -> None:
    """Add to a diagnosis what is to be said about numerical gradients: a function's, or arrays."""
    given, again = answers(numeric, subject, p)
    names = [name for name in subject.names if name in given]
    diagnosis.checker_errors = {name: deviation(given[name], right[name], right[name]) for name in names}
    if again is not None and diagnosis.checker_wrong and drifts(given, again, right, names):
        off = max(diagnosis.checker_errors[name] for name in diagnosis.checker_wrong)
        evidence = "called twice with the same arguments it gives two results"
        diagnosis.checker_findings.append(Finding(CHECKERS["state-drifts"], tuple(diagnosis.checker_wrong), 0.0, off, "", evidence))
        return
    touched = callable(numeric) and subject.writes(numeric, p)
    found: dict[tuple[str, str], list[tuple[str, float]]] = {}
    zero = [name for name in names if not given[name].any()]
    for name in diagnosis.checker_wrong:
        fits = []
        if len(zero) < len(names):
            for key, detail, array in hypotheses(name, right, given, subject, window):
                error = deviation(given[name], array, right[name])
                if error < ROUGHLY:
                    fits.append((key, detail, error))
        if not fits and name in zero:  # of a gradient alone that may be so: moving all of c together changes no loss
            fits = [("checker-zero" if touched or not callable(numeric) else "gradient-perturbed", "", 0.0)]
        if fits:
            key, detail, error = fits[0] if fits[0][2] < 10 * min(f[2] for f in fits) else min(fits, key=lambda f: f[2])
            found.setdefault((key, detail), []).append((name, error))
        else:
            diagnosis.remarks.append(f"Your numerical gradient of {name} is wrong in a way that is in no table.")
    for (key, detail), those in found.items():
        parameters = tuple(name for name, _ in those)
        off = max(diagnosis.checker_errors[name] for name in parameters)
        diagnosis.checker_findings.append(Finding(CHECKERS[key], parameters, max(error for _, error in those), off, detail))


def answers(numeric: Any, subject: Subject, p: Problem) -> tuple[dict[str, Array], dict[str, Array] | None]:
    """The numerical gradients, and those of a second call."""
    rounds: list[dict[str, Array]] = []
    for _ in range(2 if callable(numeric) else 1):
        returned = numeric
        if callable(numeric):
            try:
                returned = subject.numeric(numeric, p)
            except SettingsError:
                raise
            except (Exception, OutOfTime) as error:
                what = "it takes too long" if isinstance(error, OutOfTime) else f"{type(error).__name__}: {error}"
                raise SettingsError(f"your numerical gradient fails: {what}") from error
        try:
            rounds.append(subject.read_numeric(returned))
        except (ValueError, TypeError) as error:
            raise SettingsError(f"your numerical gradients cannot be read: {error}") from error
        if not rounds[-1]:
            raise SettingsError("your numerical gradients cannot be read: there is no gradient in what it returned")
    return rounds[0], rounds[1] if len(rounds) > 1 else None


def drifts(given: Gradients, again: Gradients, right: Gradients, names: list[str]) -> bool:
    """Whether two calls differ by more than rounding does, or the values are of the size of a difference of losses over 2h."""
    differ = any(not np.allclose(given[name], again[name], 1e-3, 1e-3) for name in names if name in again)
    reach = max(float(np.abs(right[name]).max()) for name in names)
    huge = sum(float(np.abs(given[name]).max(initial=0)) > 1e3 * max(reach, 1e-3) for name in names) >= 2
    return differ or huge


def hypotheses(name: str, right: Gradients, given: Gradients, subject: Subject, window: Window | None) -> Iterator[tuple[str, str, Array]]:
    """What the mistakes of checkers would give in the place of right[name]: key, detail, array."""
    d, theirs = right[name], given[name]
    hers = subject.hers(name, d)
    yield "view-kept", "exactly half", d / 2
    yield "step-counted-once", "exactly twice", 2 * d
    if hers.ndim == 2 and hers.shape[1] > 1:
        rows = np.broadcast_to(hers.sum(1, keepdims=True), hers.shape)
        yield "row-perturbed", "", subject.ours(name, rows).reshape(d.shape)
        yield "row-perturbed-view", "", subject.ours(name, rows / 2).reshape(d.shape)
    if hers.ndim == 2 and hers.shape[0] > 1:
        yield "column-perturbed", "", subject.ours(name, np.broadcast_to(hers.sum(0, keepdims=True), hers.shape)).reshape(d.shape)
    if window is not None and subject.scale is not None:
        for options in BY_KEY["labels-one-hot"].core:
            yield "checker-labels", "", subject.scale * RIGHT[name](window, *core(window, options))
    bound = max(float(np.abs(array).max(initial=0)) for array in given.values())
    if sum(int((np.abs(array) == bound).sum()) for array in given.values()) > 1:
        yield "checker-clipped", f"to +-{bound:g}", np.clip(d, -bound, bound)
    if theirs.shape == d.shape and d.ndim == 2 and min(d.shape) > 1:
        for axis, word in ((1, "rows"), (0, "columns")):
            empty = ~theirs.any(axis) & d.any(axis)
            if empty.any() and not empty.all():
                kept = d.copy()
                kept[empty if axis == 1 else (slice(None), empty)] = 0
                yield "rows-left-out", f"{word} {', '.join(map(str, np.flatnonzero(empty)[:8]))}", kept
    if theirs.shape == d.shape and np.abs(d).max() > 0:
        factor = float((theirs * d).sum() / (d * d).sum())
        if abs(factor) > 1e-3 and abs(factor - 1) > ROUGHLY:
            T, B = window.x.shape if window is not None else (1, 1)
            yield "checker-factor", factor_in_words(factor, T, B)[1] or "-1 times the right one", factor * d
