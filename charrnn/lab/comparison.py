"""Gradients beside differences of the loss that they belong to, entry by entry: the numbers, and their table."""

from __future__ import annotations

import textwrap
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from charrnn.lab.window import Array

TITLES = ("parameter", "entries", "max relative", "mean relative", "max absolute", "mean absolute", "worst entry", "verdict")
COARSE = 1e-11  # rounding errors of a difference, times h, are below


def relative_errors(a: Array, b: Array, eps: float) -> Array:
    """|a - b| / max(eps, |a| + |b|), elementwise; what is not finite is infinitely wrong.

    >>> relative_errors(np.array([1.0, 1e-9]), np.array([3.0, 0.0]), 1e-6)
    array([0.5  , 0.001])
    """
    with np.errstate(invalid="ignore", over="ignore"):
        errors = np.abs(a - b) / np.maximum(eps, np.abs(a) + np.abs(b))
    return np.where(np.isfinite(errors), errors, np.inf)


@dataclass(frozen=True)
class Row:
    """The errors of one parameter's gradient from one initial state; `worst` is the index of the largest relative error.

    analytic and numeric are the two derivatives of the worst entry. `remeasured` entries exceeded the threshold by their differences
    alone, with relative errors up to `before`, and were measured again by a complex step.
    """

    state: str
    name: str
    entries: int
    max_relative: float
    mean_relative: float
    max_absolute: float
    mean_absolute: float
    worst: tuple[int, ...]
    analytic: float
    numeric: float
    passed: bool
    remeasured: int = 0
    before: float = 0.0

    @classmethod
    def of(cls, state: str, name: str, analytic: Array, numeric: Array, again: Array, eps: float, threshold: float) -> Row:
        """From the gradient, its finite differences, and those with the doubtful entries measured again."""
        plain, errors = relative_errors(analytic, numeric, eps), relative_errors(analytic, again, eps)
        doubtful = ~(plain < threshold) & (again != numeric)
        worst = np.unravel_index(int(errors.argmax()), errors.shape)
        with np.errstate(invalid="ignore"):
            absolute = np.abs(analytic - again)
        return cls(
            state,
            name,
            errors.size,
            float(errors.max()),
            float(errors.mean()),
            float(absolute.max()),
            float(absolute.mean()),
            tuple(int(i) for i in worst),
            float(analytic[worst]),
            float(again[worst]),
            bool((errors < threshold).all()),
            int(doubtful.sum()),
            float(plain[doubtful].max(initial=0)),
        )


@dataclass
class Comparison:
    """Rows for every parameter and initial state; print it for the table."""

    hidden_size: int
    symbols: int
    seq_length: int
    batch_size: int
    step: float
    points: int
    eps: float
    threshold: float
    seed: int
    sampled: str = ""
    losses: dict[str, float] = field(default_factory=dict)
    rows: list[Row] = field(default_factory=list)

    @property
    def passed(self) -> bool:
        """Whether every parameter passed from every state."""
        return all(row.passed for row in self.rows)

    @property
    def max_relative(self) -> float:
        """The largest relative error of all rows."""
        return max(row.max_relative for row in self.rows)

    def to_json(self) -> dict[str, Any]:
        """All numbers, as JSON holds them; null for what is not finite."""
        rows = [{key: plain(value) for key, value in asdict(row).items()} for row in self.rows]
        return {**asdict(self), "rows": rows, "losses": {k: plain(v) for k, v in self.losses.items()}, "passed": self.passed}

    @property
    def heading(self) -> str:
        """What was compared, and how errors are measured."""
        return (
            f"In float64, your gradients: m={self.hidden_size}, K={self.symbols}, T={self.seq_length}, B={self.batch_size}; "
            f"centred differences of {self.points} points, h={self.step:g}.\n"
            f"Relative error |ga-gn| / max({self.eps:g}, |ga|+|gn|), for every entry; it passes below {self.threshold:g}."
            + f"\n{self.sampled}".rstrip()
        )

    def notes(self) -> list[str]:
        """The words that the numbers need, if any."""
        notes = []
        settled = [row for row in self.rows if row.remeasured and row.passed]
        if settled:
            count, before = sum(row.remeasured for row in settled), max(row.before for row in settled)
            names = ", ".join(dict.fromkeys(row.name for row in settled))
            notes.append(
                f"By differences alone, {'1 entry' if count == 1 else f'{count:,} entries'} of {names} would show relative errors up to "
                f"{before:.1e}. That is no mistake in the gradient: two losses that agree in nearly all of their digits were subtracted. "
                "A complex step, which subtracts nothing, agrees with the gradient, and is what the table shows for them."
            )
        for row in self.rows:
            if not row.passed:
                index = ", ".join(map(str, row.worst))
                notes.append(
                    f"d{row.name} is wrong from the {row.state} state: at [{index}] the gradient says {row.analytic:.6e}, the loss "
                    f"changes by {row.numeric:.6e}."
                )
        return notes

    def table(self, state: str) -> list[tuple[str, ...]]:
        """The cells of one state's rows, as text, in the order of `TITLES`."""
        return [
            (
                row.name,
                f"{row.entries:,}",
                f"{row.max_relative:.1e}",
                f"{row.mean_relative:.1e}",
                f"{row.max_absolute:.1e}",
                f"{row.mean_absolute:.1e}",
                "[" + ", ".join(map(str, row.worst)) + "]",
                "passed" if row.passed else "WRONG",
            )
            for row in self.rows
            if row.state == state
        ]

    def __str__(self) -> str:
        lines = [self.heading]
        for state, loss in self.losses.items():
            cells = [TITLES, *self.table(state)]
            widths = [max(len(row[i]) for row in cells) for i in range(len(TITLES))]
            lines += ["", f"From {about(state)}, where the loss is {loss:.4f}:"]
            for row in cells:
                padded = [cell.rjust(w) if 0 < i < 7 else cell.ljust(w) for i, (cell, w) in enumerate(zip(row, widths, strict=True))]
                lines.append("  ".join(padded).rstrip())
        return "\n".join([*lines, "", *map(wrapped, self.notes())]).rstrip()


def about(state: str) -> str:
    """An initial state in words."""
    return "the state h_0 = 0" if state == "zero" else "a random state h_0"


def wrapped(paragraph: str, indent: str = "") -> str:
    """A paragraph for the terminal; all lines but the first begin with `indent`."""
    return textwrap.fill(paragraph, 110, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)


def plain(value: Any) -> Any:
    """A value as JSON can hold it: null for what is not finite, a list for a tuple."""
    if isinstance(value, float) and not np.isfinite(value):
        return None
    return list(value) if isinstance(value, tuple) else value
