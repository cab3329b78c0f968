"""What came out of a sweep: the runs by rank, as lines of JSON, as CSV and as a table."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from charrnn.files.schema import dumps
from charrnn.model import CharRNN
from charrnn.sweeps.plan import Planned, plain

COLUMNS = ("validation_loss", "best_step", "updates_done", "updates_planned", "train_loss", "error")


@dataclass(frozen=True)
class SweptRun:
    """One run of a sweep.

    Attributes:
        settings: what is special about it, by name; label: the same in words.
        folder: a run's folder, which all commands take.
        validation_loss: the lowest, nats per character, after update best_step; None if it failed.
        updates_done, updates_planned: fewer are done where successive halving left it behind.
        train_loss: of the last windows, nats per character. validation: [[update, loss], ...]. error: why it failed, or None.
    """

    settings: dict[str, Any]
    label: str
    folder: Path
    validation_loss: float | None
    best_step: int | None
    updates_done: int
    updates_planned: int
    train_loss: float | None
    validation: list[list[Any]]
    error: str | None
    finished: bool

    @classmethod
    def of(cls, run: Planned, folder: Path, result: Mapping[str, Any]) -> SweptRun:
        """From what `train_run` answers."""
        return cls(run.overrides, run.label, folder, **result)

    def model(self) -> CharRNN:
        """The model as it was when its validation loss was lowest."""
        return CharRNN.load(self.folder)

    def line(self) -> dict[str, Any]:
        """As sweep.jsonl has it."""
        return {"run": self.folder.name} | self.settings | {name: getattr(self, name) for name in COLUMNS}

    @property
    def how(self) -> str:
        """The result in words."""
        if self.validation_loss is None:
            return f"failed: {self.error}"
        return f"validation loss {self.validation_loss:.4f} after update {self.best_step:,} of {self.updates_done:,}"


def ranked(runs: Sequence[SweptRun]) -> list[SweptRun]:
    """Those first that came to their end, then those that came further; of these the lowest validation loss. Failed ones are last."""

    def rank(run: SweptRun) -> tuple[bool, float, float]:
        loss = math.inf if run.validation_loss is None else run.validation_loss
        return loss == math.inf, -1.0 if run.finished else -run.updates_done / run.updates_planned, loss

    return sorted(runs, key=rank)


@dataclass(frozen=True)
class Sweep:
    """What `charrnn.sweep` returns: `runs` by rank, the best first, in `folder`; `best` is the first.

    rows(): a dictionary of plain values for each run, as `pandas.DataFrame` takes them. `str` and notebooks show the table.
    """

    folder: Path
    runs: list[SweptRun]

    @property
    def best(self) -> SweptRun | None:
        """The run with the lowest validation loss of those that came to their end; None if there is none."""
        return self.runs[0] if self.runs and self.runs[0].validation_loss is not None else None

    def rows(self) -> list[dict[str, Any]]:
        """The lines of sweep.jsonl."""
        return [run.line() for run in self.runs]

    def to_jsonl(self) -> str:
        """The content of sweep.jsonl."""
        return "".join(dumps(row) + "\n" for row in self.rows())

    def to_csv(self) -> str:
        """The content of sweep.csv: a column for each setting that any run has."""
        names = list(dict.fromkeys(name for row in self.rows() for name in row if name not in ("run", *COLUMNS)))
        out = io.StringIO()
        table = csv.writer(out, lineterminator="\n")
        table.writerow(["rank", "run", *names, *COLUMNS])
        for rank, row in enumerate(self.rows(), 1):
            settings = ["none" if row.get(name, "") is None else row.get(name, "") for name in names]
            table.writerow([rank, row["run"], *settings, *("" if row[name] is None else row[name] for name in COLUMNS)])
        return out.getvalue()

    def lines(self, most: int = 10) -> Iterator[str]:
        """The table of the best runs, line by line."""
        shown = self.runs[:most]
        names = list(dict.fromkeys(name for run in shown for name in run.settings))
        rows = [["loss", "update", *names]]
        for run in shown:
            loss = "failed" if run.validation_loss is None else f"{run.validation_loss:.4f}"
            step = "-" if run.best_step is None else f"{run.best_step:,}"
            rows.append([loss, step, *(plain(run.settings[name]) if name in run.settings else "-" for name in names)])
        widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
        for row in rows:
            yield "  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True))
        if len(self.runs) > most:
            yield f"... and {len(self.runs) - most} more"

    def __str__(self) -> str:
        return "\n".join(self.lines())

    def _repr_html_(self) -> str:
        from html import escape

        return f"<pre>{escape(str(self))}</pre>"
