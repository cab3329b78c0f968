"""The pictures of a sweep: settings and loss of every run as parallel coordinates, and the validation losses over the updates."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from charrnn.display.plots import BLUE, GREY, VERMILLION, as_written, lettered

if TYPE_CHECKING:
    from charrnn.display.plots import Axes

MOST_TICKS = 6  # of an axis whose values are numbers
WIDE_RATIO = 8  # from this quotient of largest and smallest on, an axis is logarithmic
NARROW = 5  # inches: below, the axes lie one under the other
GOOD = 0.25  # the share of the runs that are drawn in colour


class Scale(NamedTuple):
    """One axis: its name, the place (0 to 1) of each value, and its ticks, (place, label)."""

    name: str
    places: list[float | None]
    ticks: list[tuple[float, str]]

    @classmethod
    def of(cls, name: str, values: Sequence[Any]) -> Scale:
        """Of numbers, logarithmic where they go far; of anything else, in the order of its first appearance. None: no place.

        >>> Scale.of("learning_rate", [0.001, 0.1, 0.01]).places
        [0.0, 1.0, 0.5]
        >>> Scale.of("cell", ["rnn", "lstm", "rnn", None]).ticks
        [(0.0, 'rnn'), (1.0, 'lstm')]
        """
        known = [value for value in values if value is not None]
        numeric = all(isinstance(value, (int, float)) and not isinstance(value, bool) for value in known)
        distinct = sorted(set(known)) if numeric else list(dict.fromkeys(known))
        if not distinct:
            return cls(name, [None] * len(values), [])
        if len(distinct) == 1 or not numeric:
            place = {value: i / max(1, len(distinct) - 1) if len(distinct) > 1 else 0.5 for i, value in enumerate(distinct)}
            return cls(name, [None if v is None else place[v] for v in values], [(place[v], said(v)) for v in distinct])
        low, high = distinct[0], distinct[-1]
        bend = math.log if low > 0 and high / low >= WIDE_RATIO else float

        def at(value: float) -> float:
            return round((bend(value) - bend(low)) / (bend(high) - bend(low)), 9)

        few = distinct if len(distinct) <= MOST_TICKS else [_between(bend, low, high, i / 4) for i in range(5)]
        return cls(name, [None if v is None else at(v) for v in values], [(at(v), said(v)) for v in few])


def _between(bend: Any, low: float, high: float, part: float) -> float:
    found = math.exp(bend(low) + part * (bend(high) - bend(low))) if bend is math.log else low + part * (high - low)
    return min(high, max(low, float(f"{found:.3g}")))


def said(value: Any) -> str:
    """A value as a tick has it."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def draw_parallel(axes: Axes, scales: Sequence[Scale]) -> None:
    """A line for each run across one axis for each setting, and the loss, the last; runs by rank, the best first.

    The axes stand side by side or, where the figure is narrow, lie one under the other.
    """
    figure = axes.get_figure(root=True)
    assert figure is not None
    lying, runs = figure.get_figwidth() < NARROW, len(scales[0].places)
    axes.set_axis_off()

    def at(i: float, place: float) -> tuple[float, float]:
        """Where the place of an axis is."""
        return (place, -i) if lying else (i, place)

    def line(points: Sequence[tuple[float, float]], **look: Any) -> None:
        axes.plot(*zip(*(at(i, place) for i, place in points), strict=True), **look)

    def write(where: tuple[float, float], text: str, **look: Any) -> None:
        axes.text(*where, lettered(text), zorder=9, **look)

    with as_written():
        for i, scale in enumerate(scales):
            line([(i, 0), (i, 1)], color=GREY, lw=1.2, zorder=3)
            if lying:
                write(at(i - 0.18, 0), scale.name, ha="left", va="bottom")
            else:
                write(at(i, 1.06), scale.name, ha="center", va="bottom")
            for place, label in scale.ticks:
                line([(i, place)], marker="|" if lying else "_", color=GREY, ms=7, zorder=3)
                side = "left" if place < 0.1 else "right" if place > 0.9 else "center"
                look = {"ha": side, "va": "top"} if lying else {"ha": "left", "va": "center"}
                write(at(i + (0.1 if lying else 0.05), place), label, color=GREY, fontsize="small", **look)
        for rank in reversed(range(runs)):
            colour, width, opacity = _look(rank, runs)
            points = [(i, scale.places[rank] or 0.0) for i, scale in enumerate(scales) if scale.places[rank] is not None]
            line(points, color=colour, lw=width, alpha=opacity, zorder=5 if rank == 0 else 4)
    if lying:
        axes.set(xlim=(-0.02, 1.02), ylim=(0.6 - len(scales), 0.5))
    else:
        axes.set(xlim=(-0.3, len(scales) - 0.5), ylim=(-0.05, 1.15))


def _look(rank: int, runs: int) -> tuple[str, float, float]:
    """Colour, width and opacity of a run."""
    if rank == 0:
        return VERMILLION, 2.4, 1.0
    return (BLUE, 1.3, 0.8) if rank < max(2, GOOD * runs) else (GREY, 0.9, 0.45)


def draw_losses(axes: Axes, curves: Sequence[Sequence[Sequence[float]]]) -> None:
    """The validation losses [[update, loss], ...] of the runs, the best first."""
    for rank, points in reversed(list(enumerate(curves))):
        colour, width, opacity = _look(rank, len(curves))
        steps, losses = zip(*points, strict=True)
        dot = "o" if len(points) == 1 else None
        axes.plot(steps, losses, color=colour, lw=width, alpha=opacity, marker=dot, ms=3, zorder=4 if rank == 0 else 2)
    axes.set_xlabel("updates")
    axes.set_ylabel("validation loss (nats per character)")
    axes.spines["right"].set_visible(False)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
