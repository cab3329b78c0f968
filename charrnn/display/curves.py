"""Drawings of runs beside one another, of a run's samples, and of gradients back through time. `plots` makes pictures of them."""

from __future__ import annotations

import itertools
import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from charrnn.display.plots import BLUE, COLOURS, DASHES, VERMILLION, as_written, lettered, new_figure, panels, save
from charrnn.display.protocols import Array

if TYPE_CHECKING:
    from charrnn.display.plots import Axes


class RunCurve(NamedTuple):
    """A run among others: at each of `at` (n,) a mean loss (n,), and validation losses; all in nats per character."""

    at: Array
    losses: Array
    validation: Sequence[tuple[float, float]] = ()


def draw_runs(axes: Axes, curves: Mapping[str, RunCurve], unit: str, legend: bool = True) -> None:
    """The losses of several runs over updates, characters or seconds; where there is validation, the mean loss is faint behind it."""
    highest = 0.0
    for (label, curve), (dashes, colour) in zip(curves.items(), itertools.cycle(itertools.product(DASHES, COLOURS)), strict=False):
        shown = np.unique(np.linspace(0, len(curve.at) - 1, min(len(curve.at), 400)).astype(int))
        back = {"lw": 0.9, "alpha": 0.55} if curve.validation else {"lw": 1.6}
        named = "_" if curve.validation else lettered(label)
        axes.plot(curve.at[shown], curve.losses[shown], color=colour, ls=dashes, label=named, **back)  # type: ignore[arg-type]
        if curve.validation:
            marker = "o" if len(curve.validation) < 60 else None
            axes.plot(*zip(*curve.validation, strict=True), color=colour, ls=dashes, lw=1.8, marker=marker, ms=4, label=lettered(label))
        # the losses of the first updates would leave no room for the differences at the end
        highest = max(highest, float(curve.losses[3 * len(curve.losses) // 100 :].max()), *(loss for _, loss in curve.validation[1:]))
    lowest = min(min(float(curve.losses.min()), *(loss for _, loss in curve.validation), highest) for curve in curves.values())
    room = max(highest - lowest, 1e-3)
    axes.set_ylim(max(0.0, lowest - 0.08 * room), highest + 0.04 * room)
    axes.set_xlim(0, max(float(curve.at[-1]) for curve in curves.values()) * 1.02)
    axes.set_xlabel(unit)
    axes.set_ylabel("loss (nats per character)")
    axes.xaxis.set_major_formatter(lambda value, _: short(value))
    axes.spines["right"].set_visible(False)
    if legend:
        legend_below(axes, len(curves))


def draw_samples(axes: Axes, curve: RunCurve, points: Sequence[tuple[float, float]]) -> None:
    """The losses of a run over its updates, and a point for each sample, in the group of the SVG that is named "samples"."""
    shown = np.unique(np.linspace(0, len(curve.at) - 1, min(len(curve.at), 600)).astype(int))
    axes.plot(curve.at[shown], curve.losses[shown], color=BLUE, lw=1.6, label="training")
    if curve.validation:
        axes.plot(*zip(*curve.validation, strict=True), color=VERMILLION, lw=1.4, label="validation")
        axes.legend(frameon=False, loc="upper right")
    size = 5 if len(points) < 60 else 2.5
    axes.plot(*zip(*points, strict=True), color=BLUE, marker="o", ms=size, mew=0, ls="none", gid="samples", clip_on=False)
    axes.set_xlim(0, float(curve.at[-1]) * 1.02)
    axes.set_xlabel("updates")
    axes.set_ylabel("loss (nats per character)")
    axes.xaxis.set_major_formatter(lambda value, _: short(value))
    axes.spines["right"].set_visible(False)


def draw_flow(axes: Axes, flows: Mapping[str, Mapping[str, Array]]) -> None:
    """Norms of gradients k steps back, on a logarithmic scale: of each model, by label, the quartiles (3, n) by h and perhaps by c."""
    looks = itertools.cycle(itertools.product(DASHES[::2], COLOURS))
    least, most = np.inf, 0.0
    for (label, states), (dashes, colour) in zip(flows.items(), looks, strict=False):
        for state, (low, median, high) in states.items():
            k = np.arange(len(median))
            there = median > 0
            name = lettered(label) + f", by {state}" * (len(states) > 1)
            faint = {"lw": 1.9} if state == "h" else {"lw": 1.1, "alpha": 0.75}
            axes.plot(k[there], median[there], color=colour, ls=dashes if state == "h" else "-.", label=name, **faint)  # type: ignore[arg-type]
            if state == "h":
                axes.fill_between(k[there], low[there], high[there], color=colour, alpha=0.15, lw=0)
            least, most = min(least, float(median[there].min())), max(most, float(high.max()))
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter(lambda value, _: power_of_ten(value))
    axes.set_ylim(max(least / 2, most * 1e-12), most * 2)
    axes.set_xlim(0, max(states["h"].shape[1] for states in flows.values()) - 1)
    axes.set_xlabel("steps back, k")
    axes.set_ylabel("norm of the gradient")
    axes.spines["right"].set_visible(False)
    legend_below(axes, sum(map(len, flows.values())))


def power_of_ten(value: float) -> str:
    """A tick of a logarithmic axis.

    >>> power_of_ten(1e-12), power_of_ten(1.0)
    ('10⁻¹²', '1')
    """
    exponent = str(round(np.log10(value)))
    return "1" if exponent == "0" else "10" + exponent.translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))


def save_flow(flows: Mapping[str, Mapping[str, Array]], path: str | os.PathLike[str]) -> None:
    """`draw_flow` as a picture on white."""
    figure, axes = new_figure(8, 4.8 + 0.2 * len(flows))
    draw_flow(axes, flows)
    save(figure, path)


def legend_below(axes: Axes, count: int) -> None:
    """The legend of a figure below its diagram, in two columns where there is room."""
    figure = axes.get_figure(root=True)
    assert figure is not None
    with as_written():
        handles, labels = axes.get_legend_handles_labels()
        columns = min(count, 2 if figure.get_figwidth() > 6 else 1)
        figure.legend(handles, labels, loc="outside lower center", ncols=columns, frameon=False)


def short(value: float) -> str:
    """A number on an axis.

    >>> short(1500), short(20_000), short(2_500_000), short(0.5)
    ('1,500', '20,000', '2.5 M', '0.5')
    """
    return f"{value / 1e6:g} M" if value >= 1e6 else f"{value:,.0f}" if value >= 10 or value == int(value) else f"{value:g}"


def save_runs(units: Mapping[str, Mapping[str, RunCurve]], path: str | os.PathLike[str]) -> None:
    """`draw_runs` once for each unit, one beside the other, as a picture on white."""
    figure, row = panels(len(units), 5 * len(units), 4.4 + 0.12 * len(next(iter(units.values()))))
    for axes, (unit, curves) in zip(row, units.items(), strict=True):
        draw_runs(axes, curves, unit, legend=axes is row[0])
        axes.label_outer()
    save(figure, path)
