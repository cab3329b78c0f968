"""The page of a sweep, sweep.html: the runs by rank, their settings and loss as parallel coordinates, and their curves."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

from charrnn.display.plots import as_svg
from charrnn.display.sweep_plots import Scale, draw_losses, draw_parallel
from charrnn.process import as_typed
from charrnn.recipes import Recipe
from charrnn.report.page import TEMPLATES, environment, marked
from charrnn.sweeps.results import Sweep
from charrnn.sweeps.work import seconds_in
from charrnn.version import __version__

ROWS, CURVES = 100, 200  # runs that a page shows in its table and in its pictures, at most


def page(found: Sweep, recipe: Recipe, text: str, planned: int, again: str) -> str:
    """The whole page in one file, which loads and runs nothing. text: its description; planned: runs of the whole sweep."""
    view = {
        "css": marked((TEMPLATES / "page.css").read_text("utf-8")),
        "recipe": recipe,
        "toml": replace(recipe, grid=[]).to_toml(),  # the table has its runs
        "text": text,
        "planned": planned,
        "done": sum(run.finished and not run.error for run in found.runs),
        "failed": [run for run in found.runs if run.error],
        "runs": found.runs[:ROWS],
        "more": len(found.runs) - ROWS,
        "names": names_of(found),
        "best": found.best,
        "seconds": {run.folder.name: seconds_in(run.folder) for run in found.runs},
        "again": again,
        "command": as_typed("generate", names=[str(found.folder)]),
        "version": __version__,
        "figures": marked({name: drawn(*drawing, name) for name, drawing in figures(found).items()}),
    }
    return environment(html=True).get_template("sweep.html.j2").render(view)


def names_of(found: Sweep) -> list[str]:
    """The settings that any run is special in."""
    return list(dict.fromkeys(name for run in found.runs for name in run.settings))


def figures(found: Sweep) -> dict[str, tuple[Any, tuple[float, float], str]]:
    """What draws each picture, how high it is for its width (wide and narrow), and a title."""
    good = [run for run in found.runs if run.validation_loss is not None][:CURVES]
    if not good:
        return {}
    names = [name for name in names_of(found) if len({repr(run.settings.get(name)) for run in good}) > 1]
    scales = [Scale.of(name, [_known(run.settings, name) for run in good]) for name in names]
    scales.append(Scale.of("validation loss", [run.validation_loss for run in good]))
    curves = [run.validation for run in good]
    parallel = (partial(draw_parallel, scales=scales), (0.45, 0.3 + 0.2 * len(scales)), "Settings and validation loss of every run")
    losses = (partial(draw_losses, curves=curves), (0.5, 0.8), "Validation loss of every run over the updates")
    return {"parallel": parallel, "losses": losses} if names else {"losses": losses}


def _known(settings: dict[str, Any], name: str) -> Any:
    """A value that has a place on an axis: "none" is one, a setting that the run does not have is not."""
    return ("none" if settings[name] is None else settings[name]) if name in settings else None


def drawn(draw: Any, heights: tuple[float, float], title: str, name: str) -> dict[str, str]:
    """A picture for a desk and one for a phone."""
    return {"wide": as_svg(draw, heights, title, name), "narrow": as_svg(draw, heights, title, f"{name}-narrow", narrow=True)}
