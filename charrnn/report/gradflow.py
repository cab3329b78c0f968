"""A page on how far the gradients of several models reach back through time."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import partial
from typing import NamedTuple

from charrnn.display import curves, plots
from charrnn.gradients.flow import Flow
from charrnn.network.arrays import Array
from charrnn.report.page import environment, marked, style

PARTS = (0.1, 0.01, 0.001)  # of the norm one step back, whose reach is given
SHOWN = (1, 5, 10, 25, 50, 100, 200, 500)  # steps back whose norms are given


class Measured(NamedTuple):
    """A model, the text that it read, and its flow."""

    about: str
    text: str
    flow: Flow


def drawn(models: Mapping[str, Measured]) -> dict[str, dict[str, Array]]:
    """What the figure shows of each model."""
    return {
        f"{name} ({found.about})": {"h": found.flow.quartiles()} | ({} if found.flow.c is None else {"c": found.flow.quartiles("c")})
        for name, found in models.items()
    }


def to_html(models: Mapping[str, Measured], command: str) -> str:
    """The page: everything that it needs is in it, and it runs no scripts."""
    draw = partial(curves.draw_flow, flows=drawn(models))
    heights, sizes = (0.55 + 0.02 * len(models), 0.9 + 0.1 * len(models)), {"wide": False, "narrow": True}
    figure = {size: plots.as_svg(draw, heights, "Norm of the gradient over steps back", size, narrow) for size, narrow in sizes.items()}
    flows = [found.flow for found in models.values()]
    content = {
        "models": models,
        "figure": marked(figure),
        "steps": flows[0].steps,
        "places": min(len(flow.h) for flow in flows),
        "shown": [k for k in SHOWN if k <= flows[0].steps],
        "parts": PARTS,
        "texts": list(dict.fromkeys(found.text for found in models.values())),
        "command": command,
        "css": style(),
    }
    return environment(html=True).get_template("gradflow.html.j2").render(content)


def to_png(models: Mapping[str, Measured], path: str | os.PathLike[str]) -> None:
    """The figure alone."""
    curves.save_flow(drawn(models), path)


def table(models: Mapping[str, Measured]) -> str:
    """Medians for a terminal."""
    shown = [k for k in SHOWN if k <= next(iter(models.values())).flow.steps]
    rows = [["steps back", *map(str, shown)]]
    rows += [[name, *(f"{found.flow.quartiles()[1][k]:.1e}" for k in shown)] for name, found in models.items()]
    width = max(len(row[0]) for row in rows)
    return "\n".join(f"{row[0]:<{width}}  " + "  ".join(f"{cell:>7}" for cell in row[1:]) for row in rows)
