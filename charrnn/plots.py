"""The pictures. The only importer of matplotlib, and only when one is drawn."""
from __future__ import annotations

import io
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from charrnn.errors import TextError
from charrnn.files import atomic_write
from charrnn.parameters import Array

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from charrnn.history import History

# Okabe and Ito's colours, which colour-blind readers can tell apart.
BLUE, VERMILLION, GREEN, ORANGE, SKY, PURPLE = COLOURS = ("#0072B2", "#D55E00", "#009E73", "#E69F00", "#56B4E9", "#CC79A7")
GREY = "#666666"
MOST_POINTS = 4000  # more than a picture has columns


class Curve(NamedTuple):
    """What a loss curve shows: after `steps` updates the smooth loss, nats per character."""

    steps: Array
    smooth: Array
    epochs: list[int]  # the updates that began an epoch
    expected: float | None  # nats per character before anything is learned
    characters_per_window: int
    validation: list[tuple[int, float]]
    best: tuple[int, float] | None

    @classmethod
    def of(cls, source: History | str | os.PathLike[str]) -> Curve:
        """The curve of a history, or of a metrics.jsonl."""
        if isinstance(source, (str, os.PathLike)):
            return cls._of_metrics(Path(source))
        unit = source.characters_per_window
        expected = source.expected_first_loss / (unit if source.loss_reduction == "sum" else 1)
        best = (source.best_step, source.best_smooth_loss_per_char) if source.best_step else None
        held_out = [(v.step, v.loss) for v in source.validation]
        return cls(source.steps, source.smooth_loss_per_char, source.epoch_steps, expected, unit, held_out, best)

    @classmethod
    def _of_metrics(cls, path: Path) -> Curve:
        lines = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
        trained = [line for line in lines if "train/loss" in line]
        if not trained:
            raise TextError(f"{path} holds no losses to draw")
        steps = np.array([line["step"] for line in trained])
        smooth = np.array([line["train/smooth_loss_per_char"] for line in trained])
        epochs = [b["step"] for a, b in zip(trained, trained[1:], strict=False) if b["epoch"] > a["epoch"]]
        unit = round(trained[0]["train/loss"] / trained[0]["train/loss_per_char"])
        held_out = [(line["step"], line["val/loss"]) for line in lines if "val/loss" in line]
        i = int(smooth.argmin())
        return cls(steps, smooth, epochs, None, unit, held_out, (int(steps[i]), float(smooth[i])))


def loss_curve(source: History | str | os.PathLike[str], path: str | os.PathLike[str], expected: float | None = None) -> None:
    """Draw the smooth loss over the updates to an image file (.png, .pdf, .svg).

    source: a `History` or the path of a metrics.jsonl. On the left nats per character, on the right nats per window; the starts
    of the epochs, the best model, the loss of held-out text, and, dashed, the `expected` loss (nats per character) before
    anything is learned. Raises `OutputError` where the file cannot be written.
    """
    figure, axes = new_figure()
    draw_loss(axes, Curve.of(source), expected)
    save(figure, path)


def new_figure(width: float = 8, height: float = 4.5) -> tuple[Figure, Axes]:
    """A figure of one diagram (inches) that no window or global state of matplotlib knows of."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.subplots()
    axes.grid(alpha=0.25)
    axes.spines["top"].set_visible(False)
    return figure, axes


def save(figure: Figure, path: str | os.PathLike[str], dpi: int = 144) -> None:
    """Write a figure whole or not at all, in the format that the name ends in."""
    image = io.BytesIO()
    figure.savefig(image, format=Path(path).suffix[1:] or "png", dpi=dpi)
    atomic_write(path, image.getvalue())


def draw_loss(axes: Axes, curve: Curve, expected: float | None = None) -> None:
    """A loss curve into these axes."""
    expected = curve.expected if expected is None else expected
    shown = np.unique(np.linspace(0, len(curve.steps) - 1, min(len(curve.steps), MOST_POINTS)).astype(int))
    axes.plot(curve.steps[shown], curve.smooth[shown], color=BLUE, lw=1.6, label="smooth loss")
    if curve.validation:
        axes.plot(*zip(*curve.validation, strict=True), color=VERMILLION, marker="o", ms=4, lw=1.2, label="held-out text")
    if expected is not None:
        axes.axhline(expected, color=GREY, ls="--", lw=1, label=f"guessing: {expected:.2f} per character")
    for i, step in enumerate(s for s in curve.epochs if s > 1):
        axes.axvline(step, color=GREY, ls=":", lw=0.9, label=None if i else "a new epoch begins")
    if curve.best:
        step, loss = curve.best
        axes.plot(step, loss, color=ORANGE, marker="*", ms=11, mec="black", mew=0.6, ls="none", label=f"best: {loss:.3f} at update {step:,}")
    axes.set_xlabel("updates")
    axes.set_ylabel("loss (nats per character)")
    axes.set_xlim(0, max(1, int(curve.steps[-1])) * 1.01)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    unit = curve.characters_per_window
    window = axes.secondary_yaxis("right", functions=(lambda y: y * unit, lambda y: y / unit))
    window.set_ylabel(f"loss (nats per window of {unit} characters)")
    axes.legend(frameon=False)
