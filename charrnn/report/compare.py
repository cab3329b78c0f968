"""Runs beside one another: their losses over updates, characters and seconds, and the settings in which they differ."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from charrnn.display import curves, plots
from charrnn.report.page import environment, marked, style
from charrnn.runs.record import Record

UNITS = ("updates", "characters", "seconds")


def by_unit(runs: Sequence[Record]) -> dict[str, dict[str, curves.RunCurve]]:
    """The curve of each run, for each unit: {"updates": {"charrnn-run": ...}, "characters": ..., "seconds": ...}."""
    return {unit: {run.name: _curve(run, unit) for run in runs} for unit in UNITS}


def _curve(run: Record, unit: str) -> curves.RunCurve:
    if unit == "seconds":  # many updates are logged at once: the last of each lot was made just then
        last = np.append(np.diff(run.seconds) > 0, True)
        return curves.RunCurve(run.seconds[last], run.mean_losses[last], [(v.seconds, v.loss) for v in run.validation])
    scale = run.window if unit == "characters" else 1
    return curves.RunCurve(run.steps * scale, run.mean_losses, [(v.step * scale, v.loss) for v in run.validation])


def differing(runs: Sequence[Record]) -> dict[str, list[Any]]:
    """The settings in which runs differ, each with its value in every run; "–" where a run does not know it."""
    names = list(dict.fromkeys(name for run in runs for name in run.settings))
    columns = {name: [run.settings.get(name, "–") for run in runs] for name in names}
    return {name: values for name, values in columns.items() if any(value != values[0] for value in values)}


def to_html(runs: Sequence[Record], command: str) -> str:
    """The page: everything that it needs is in it, and it runs no scripts."""
    drawn = {}
    for unit, of_unit in by_unit(runs).items():
        draw = partial(curves.draw_runs, curves=of_unit, unit=unit)
        heights = 0.52 + 0.016 * len(runs), 0.85 + 0.06 * len(runs)
        sizes = {"wide": False, "narrow": True}
        title = f"Loss of every run over the {unit}"
        drawn[unit] = marked({size: plots.as_svg(draw, heights, title, f"{unit}-{size}", narrow) for size, narrow in sizes.items()})
    differences = differing(runs)
    content = {
        "runs": runs,
        "figures": drawn,
        "differences": differences,
        "same": {name: value for name, value in runs[0].settings.items() if name not in differences} if len(runs) > 1 else {},
        "validated": any(run.validation for run in runs),
        "texts_differ": "text" in differences,
        "command": command,
        "css": style(),
    }
    return environment(html=True).get_template("compare.html.j2").render(content)


def to_png(runs: Sequence[Record], path: str | os.PathLike[str]) -> None:
    """The three diagrams as one picture."""
    curves.save_runs(by_unit(runs), path)


def table(runs: Sequence[Record]) -> str:
    """The results for a terminal, the best first."""
    rows = [("run", "updates", "seconds", "loss", "validation", "state")]
    for run in ranked(runs):
        best = run.best_validation
        lowest = f"{best.loss:.4f} at {best.step:,}" if best else "–"
        state = run.state.partition(",")[0]
        rows.append((run.name, f"{run.done:,}", f"{run.seconds[-1]:,.1f}", f"{run.mean_losses[-1]:.4f}", lowest, state))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(f"{row[0]:<{widths[0]}}  " + "  ".join(map(str.rjust, row[1:], widths[1:])) for row in rows)


def ranked(runs: Sequence[Record]) -> list[Record]:
    """The best first: by the lowest validation loss if all have one, else by the mean loss at the end."""
    lowest = {run.path: run.best_validation for run in runs}
    if all(lowest.values()):
        return sorted(runs, key=lambda run: lowest[run.path].loss)  # type: ignore[union-attr]
    return sorted(runs, key=lambda run: float(run.mean_losses[-1]))
