"""What a gradient check found: its numbers, its table, its words."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from charrnn.network.arrays import Array

COARSE = 1e-12  # rounding errors of a difference, times h, are below: 5e-15 for new networks, 2e-14 for trained ones of 100 units
CANCELLATION = (
    "That is no mistake in the gradient: two losses that agree in nearly all of their 16 digits were subtracted, their last digit "
    "was divided by h, and the derivatives in question are hardly larger than what that leaves."
)
TOO_COARSE = "That is no mistake in the gradient: h is so large that the difference is not yet the derivative."
TITLES = ("parameter", "entries", "max relative", "mean relative", "max absolute", "mean absolute", "worst entry", "verdict")


def relative_errors(a: Array, b: Array, eps: float) -> Array:
    """|a - b| / max(eps, |a| + |b|), elementwise; what is not finite is infinitely wrong.

    >>> relative_errors(np.array([1.0, 1e-9]), np.array([3.0, 0.0]), 1e-6)
    array([0.5  , 0.001])
    """
    with np.errstate(invalid="ignore"):
        errors = np.abs(a - b) / np.maximum(eps, np.abs(a) + np.abs(b))
    return np.where(np.isfinite(errors), errors, np.inf)


@dataclass(frozen=True)
class Measured:
    """The errors of one parameter's gradient from one initial state; `worst` is the index of the largest relative error.

    analytic and numeric are the two derivatives of the worst entry. `remeasured` entries exceeded the threshold by their
    differences alone, with relative errors up to `before` and absolute ones up to `before_absolute`; a complex step left them with
    relative errors up to `after`.
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
    before_absolute: float = 0.0
    after: float = 0.0

    @classmethod
    def of(cls, state: str, name: str, analytic: Array, numeric: Array, again: Array, report: GradientReport) -> Measured:
        """From the gradient, its finite differences, and those with the doubtful entries measured again."""
        eps, threshold = report.eps, report.threshold
        plain, settled = relative_errors(analytic, numeric, eps), relative_errors(analytic, again, eps)
        doubtful = ~(plain < threshold)
        shown, errors = (numeric, plain) if report.own_step else (again, settled)
        worst = np.unravel_index(int(errors.argmax()), errors.shape)
        absolute = np.abs(analytic - shown)
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
            float(shown[worst]),
            bool((settled < threshold).all()),
            int(doubtful.sum()),
            float(plain[doubtful].max(initial=0)),
            float(np.abs(analytic - numeric)[doubtful].max(initial=0)),
            float(settled[doubtful].max(initial=0)),
        )


@dataclass
class GradientReport:
    """The result of `charrnn.gradients.check.gradcheck`: rows for every parameter and initial state; print it for the table."""

    hidden_size: int
    symbols: int
    seq_length: int
    batch_size: int
    level: str
    step: float
    points: int
    own_step: bool
    eps: float
    threshold: float
    seed: int
    subject: str = ""
    network: str = ""
    losses: dict[str, float] = field(default_factory=dict)
    rows: list[Measured] = field(default_factory=list)

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
        return asdict(self) | {"rows": rows, "passed": self.passed}

    @property
    def heading(self) -> str:
        """What was compared, and how errors are measured."""
        return (
            f"Gradient check in float64, {self.subject or 'kernels ' + self.level}: {self._sizes}, K={self.symbols}, "
            f"T={self.seq_length}, B={self.batch_size}; centred differences of {self.points} points, h={self.step:g}.\n"
            f"Relative error |ga-gn| / max({self.eps:g}, |ga|+|gn|), for every entry; it passes below {self.threshold:g}."
        )

    @property
    def _sizes(self) -> str:
        vanilla = self.network in ("", f"{self.hidden_size} hidden units")
        return f"m={self.hidden_size}" if vanilla else self.network

    def notes(self) -> list[str]:
        """The words that the numbers need, if any: about cancellation, and about what failed."""
        notes = []
        settled = [row for row in self.rows if row.remeasured and row.passed]
        if settled:
            count, before, after = sum(r.remeasured for r in settled), max(r.before for r in settled), max(r.after for r in settled)
            names, absolute = ", ".join(dict.fromkeys(row.name for row in settled)), max(row.before_absolute for row in settled)
            which = "1 entry" if count == 1 else f"{count:,} entries"
            notes.append(
                f"With h={self.step:g} alone, {which} of {names} would show relative errors up to {before:.1e} "
                f"(absolute: up to {absolute:.1e}). "
                + (CANCELLATION if absolute * self.step < COARSE else TOO_COARSE)
                + f" A complex step, which subtracts nothing, agrees with the gradient to {after:.1e}"
                + (": it passes." if self.own_step else ", and is what the table shows for them.")
            )
        elif self.own_step and self.passed:
            row = max(self.rows, key=lambda row: row.max_relative)
            if row.max_relative > 1e-8 and abs(row.analytic - row.numeric) * self.step < COARSE:
                notes.append(
                    f"The largest relative error, {row.max_relative:.1e}, belongs to an entry of {row.name} that is only "
                    f"{row.analytic:.1e}: absolutely it is {abs(row.analytic - row.numeric):.1e}. " + CANCELLATION
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
            lines += ["", f"From {_about(state)}, where the loss is {loss:.4f} nats:"]
            for row in cells:
                padded = [cell.rjust(w) if 0 < i < 7 else cell.ljust(w) for i, (cell, w) in enumerate(zip(row, widths, strict=True))]
                lines.append("  ".join(padded).rstrip())
        lines += ["", *map(wrapped, self.notes()), "All gradients pass." if self.passed else "The gradients do not pass."]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        import html

        parts = [f"<p>{html.escape(self.heading)}</p>"]
        for state, loss in self.losses.items():
            head = "".join(f"<th>{title}</th>" for title in TITLES)
            body = "".join("<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>" for row in self.table(state))
            parts.append(f"<table><caption>From {_about(state)}: loss {loss:.4f} nats</caption><tr>{head}</tr>{body}</table>")
        parts += [f"<p>{html.escape(note)}</p>" for note in self.notes()]
        return "".join(parts)


def wrapped(paragraph: str, indent: str = "") -> str:
    """A paragraph for the terminal; all lines but the first begin with `indent`."""
    import textwrap

    return textwrap.fill(paragraph, 110, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)


def plain(value: Any) -> Any:
    """A value as JSON can hold it: null for what is not finite, a list for a tuple."""
    if isinstance(value, float) and not np.isfinite(value):
        return None
    return list(value) if isinstance(value, tuple) else value


def _about(state: str) -> str:
    return "the state h_0 = 0" if state == "zero" else "a random state h_0"
