"""The pictures. The only importer of matplotlib, and only when one is drawn."""

from __future__ import annotations

import contextlib
import io
import itertools
import json
import os
import re
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from charrnn.display.protocols import Array, History
from charrnn.errors import SettingsError, TextError, one_line
from charrnn.files.atomic import atomic_write

if TYPE_CHECKING:
    from matplotlib.axes import Axes as Axes
    from matplotlib.figure import Figure

# Okabe and Ito's colours, which colour-blind readers can tell apart.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#E69F00", "#56B4E9", "#CC79A7")
DASHES = ("-", "--", ":", "-.")
BLUE, VERMILLION, GREEN, ORANGE, SKY, PURPLE = COLOURS
GREY = "#666666"
FORMATS = (".png", ".pdf", ".svg")
MOST_POINTS = 4000  # more than a picture has columns


class Curve(NamedTuple):
    """What a loss curve shows: after `steps` updates a loss, nats per character, that is smoothed as `name` says."""

    steps: Array
    smooth: Array
    epochs: list[int]  # the updates that began an epoch
    expected: float | None  # nats per character before anything is learned
    characters_per_window: int
    validation: list[tuple[int, float]]
    best: tuple[int, float] | None
    raw: Array | None = None  # the losses of the windows themselves
    name: str = "smooth loss"

    @classmethod
    def of(cls, source: History | str | os.PathLike[str]) -> Curve:
        """The curve of a history, or of a metrics.jsonl."""
        if isinstance(source, (str, os.PathLike)):
            return cls._of_metrics(Path(source))
        unit, expected = source.characters_per_window, source.per_char(source.expected_first_loss)
        best = (source.best_step, source.best_loss_per_char) if source.best_step else None
        validation = [(v.step, v.loss) for v in source.validation]
        shown = source.shown_loss_per_char
        raw = source.loss_per_char
        return cls(source.steps, shown, source.epoch_steps, expected, unit, validation, best, raw, source.shown_name)

    @classmethod
    def _of_metrics(cls, path: Path) -> Curve:
        lines = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
        trained = [line for line in lines if "train/loss" in line]
        if not trained:
            raise TextError(f"{path} holds no losses to draw")
        steps = np.array([line["step"] for line in trained])
        name = "mean" if "train/mean_loss_per_char" in trained[0] else "smooth"
        smooth = np.array([line[f"train/{name}_loss_per_char"] for line in trained])
        raw = np.array([line["train/loss_per_char"] for line in trained])
        epochs = [b["step"] for a, b in itertools.pairwise(trained) if b["epoch"] > a["epoch"]]
        unit = round(trained[0]["train/loss"] / trained[0]["train/loss_per_char"])
        validation = [(line["step"], line["val/loss"]) for line in lines if "val/loss" in line]
        i = int(smooth.argmin())
        best = min(validation, key=lambda found: found[1]) if validation else (int(steps[i]), float(smooth[i]))
        shown_name = "mean loss of the last windows" if name == "mean" else "smooth loss"
        return cls(steps, smooth, epochs, None, unit, validation, best, raw, shown_name)


def loss_curve(source: History | str | os.PathLike[str], path: str | os.PathLike[str], expected: float | None = None) -> None:
    """Draw the loss over the updates to an image file (.png, .pdf, .svg): smoothed, and behind it that of the windows themselves.

    source: a `History` or the path of a metrics.jsonl. On the left nats per character, on the right nats per window;
    the starts of the epochs, the best model, the validation loss, and, dashed, the `expected` loss (nats per
    character) before anything is learned. Raises `OutputError` where the file cannot be written.

    >>> from charrnn import CharRNN
    >>> history = CharRNN(hidden_size=8).train("to be or not to be " * 9, updates=50, progress=False)
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     loss_curve(history, folder + "/loss.png")
    """
    figure, axes = new_figure()
    draw_loss(axes, Curve.of(source), expected)
    save(figure, path)


def plot(history: History, axes: Axes | None = None) -> Axes:
    """Draw a history into these axes, or into new ones of pyplot's, which notebooks show by themselves."""
    if axes is None:
        from matplotlib import pyplot

        axes = tidied(pyplot.subplots(figsize=(8, 4.5), layout="constrained")[1])
    if len(history):
        draw_loss(axes, Curve.of(history))
    return axes


def new_figure(width: float = 8, height: float = 4.5) -> tuple[Figure, Axes]:
    """A figure of one diagram (inches) that no window or global state of matplotlib knows of."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, tidied(figure.subplots())


def panels(count: int, width: float, height: float) -> tuple[Figure, list[Axes]]:
    """A figure of several diagrams side by side (inches, all together), with one y-axis."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, [tidied(axes) for axes in figure.subplots(1, count, sharey=True, squeeze=False)[0]]


@contextlib.contextmanager
def as_written() -> Iterator[None]:
    """Texts that are made or drawn meanwhile are what they are: no mathematics between dollars, no warning of letters that the
    font lacks."""
    import matplotlib

    with matplotlib.rc_context({"text.parse_math": False}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph")
        yield


def lettered(label: str) -> str:
    """A label that somebody else has worded: on one line, and not hidden from the legend, as matplotlib does with "_..."."""
    shown = one_line(label)
    return f" {shown}" if shown.startswith("_") else shown


def tidied(axes: Axes) -> Axes:
    """The same axes with a faint grid and no lid."""
    axes.grid(alpha=0.25)
    axes.spines["top"].set_visible(False)
    return axes


def require_picture(path: str | os.PathLike[str]) -> None:
    """SettingsError for a name that says no format in which a picture can be written: to be asked before any long work."""
    if Path(path).suffix.lower() not in FORMATS:
        raise SettingsError(f"a picture must be named {', '.join(FORMATS[:-1])} or {FORMATS[-1]}, got {one_line(os.fspath(path))}")


def save(figure: Figure, path: str | os.PathLike[str], dpi: int = 144) -> None:
    """Write a figure whole or not at all, in the format that the name ends in."""
    image = io.BytesIO()
    with as_written():
        figure.savefig(image, format=Path(path).suffix[1:] or "png", dpi=dpi)
    atomic_write(path, image.getvalue())


def draw_loss(axes: Axes, curve: Curve, expected: float | None = None) -> None:
    """A loss curve into these axes."""
    expected = curve.expected if expected is None else expected
    shown = np.unique(np.linspace(0, len(curve.steps) - 1, min(len(curve.steps), MOST_POINTS)).astype(int))
    axes.plot(curve.steps[shown], curve.smooth[shown], color=BLUE, lw=1.6, label=curve.name)
    if curve.raw is not None:
        axes.plot(curve.steps[shown], curve.raw[shown], color=GREY, lw=0.6, alpha=0.35, label="loss of single windows", zorder=1)
    if curve.validation:
        axes.plot(*zip(*curve.validation, strict=True), color=VERMILLION, marker="o", ms=4, lw=1.2, label="validation loss")
    if expected is not None:
        axes.axhline(expected, color=GREY, ls="--", lw=1, label=f"uniform prediction: {expected:.2f} per character")
    for i, step in enumerate(s for s in curve.epochs if s > 1):
        axes.axvline(step, color=GREY, ls=":", lw=0.9, label=None if i else "a new epoch begins")
    if curve.best:
        step, loss = curve.best
        label = f"best: {loss:.3f} after update {step:,}"
        axes.plot(step, loss, color=ORANGE, marker="*", ms=11, mec="black", mew=0.6, ls="none", label=label)
    axes.set_xlabel("updates")
    axes.set_ylabel("loss (nats per character)")
    axes.set_xlim(0, max(1, int(curve.steps[-1])) * 1.01)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    unit = curve.characters_per_window
    window = axes.secondary_yaxis("right", functions=(lambda y: np.multiply(y, unit), lambda y: np.divide(y, unit)))
    window.set_ylabel(f"loss (nats per window of {unit} characters)")
    axes.legend(frameon=False, loc="upper right")  # a loss falls: there is room


def draw_run(axes: Axes, curve: Curve, means: Sequence[float]) -> None:
    """A loss curve, and behind it the mean losses (nats per character) of the windows between its points."""
    axes.plot(curve.steps, means, color=GREY, lw=0.7, alpha=0.5, label="loss, short means")
    draw_loss(axes, curve)


def draw_comparison(axes: Axes, curves: Mapping[str, tuple[Sequence[float], Sequence[float]]]) -> None:
    """The losses of several runs over the epochs, by label ("seq_length=20 learning_rate=0.1"); the legend stands below.

    Runs whose labels begin alike are dashed alike.
    """
    groups: dict[str, list[str]] = {}
    for label in curves:
        groups.setdefault(label.partition(" ")[0] if " " in label else "", []).append(label)
    if len(groups) > len(DASHES) or max(map(len, groups.values())) > len(COLOURS):
        flat = list(curves)
        groups = {str(i): flat[i : i + len(COLOURS)] for i in range(0, len(flat), len(COLOURS))}
    for dashes, group in zip(itertools.cycle(DASHES), groups.values(), strict=False):
        for colour, label in zip(COLOURS, group, strict=False):
            axes.plot(*curves[label], color=colour, ls=dashes, lw=1.6, label=lettered(label))
    axes.set_xlabel("epochs (times through the text)")
    axes.set_ylabel("loss (nats per character)")
    axes.spines["right"].set_visible(False)
    figure = axes.get_figure(root=True)
    assert figure is not None
    columns = 2 if len(curves) > 1 and figure.get_figwidth() > 6 else 1
    with as_written():
        figure.legend(loc="outside lower center", ncols=columns, frameon=False)


def draw_known_words(axes: Axes, known: Sequence[tuple[int, float, Sequence[float] | None]]) -> None:
    """The share (0 to 1) of known words of each passage, over the updates before which it was drawn, and between
    which fractions it lies.
    """
    steps, fractions, intervals = zip(*known, strict=True)
    percent = 100 * np.array(fractions)
    bounds = 100 * np.array([(fraction, fraction) if each is None else each for fraction, each in zip(fractions, intervals, strict=True)])
    axes.fill_between(steps, bounds[:, 0], bounds[:, 1], color=GREEN, alpha=0.2, lw=0)
    axes.plot(steps, percent, color=GREEN, marker="o" if len(steps) < 50 else None, ms=4, lw=1.6)
    axes.set_xlabel("updates")
    axes.set_ylabel("known words (%)")
    axes.spines["right"].set_visible(False)
    axes.set_ylim(0, 100)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")


# ---- pictures inside a page, in the page's own colours and letters -------------------------------------------------

INK = "#010203"  # stands for the page's colour of text
VARIABLES = {
    INK: "currentColor",
    GREY: "var(--muted)",
    BLUE: "var(--blue)",
    VERMILLION: "var(--vermillion)",
    GREEN: "var(--green)",
    ORANGE: "var(--orange)",
    SKY: "var(--sky)",
    PURPLE: "var(--purple)",
}
WIDE, NARROW = 8.4, 3.9  # inches: a page on a desk and on a phone


def as_svg(draw: Callable[[Axes], None], heights: tuple[float, float], title: str, name: str, narrow: bool = False) -> str:
    """A diagram as an SVG element for a page that defines the colours in `VARIABLES`.

    heights: of its width, when wide and when narrow. name: a prefix for the identifiers in it, which a page must not
    hold twice. title: what it shows, for those who cannot see it.
    """
    import matplotlib

    width = NARROW if narrow else WIDE
    style: dict[Any, Any] = {"svg.fonttype": "none", "svg.hashsalt": name, "font.size": 9 if narrow else 10.5}
    style |= dict.fromkeys(("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color"), INK)
    with matplotlib.rc_context(style | {"grid.color": GREY}):
        figure, axes = new_figure(width, width * heights[narrow])
        if narrow:
            axes.locator_params(axis="x", nbins=4)
        draw(axes)
        image = io.StringIO()
        with as_written():
            figure.savefig(image, format="svg", transparent=True, metadata={"Date": None})
    svg = image.getvalue()
    svg = svg[svg.index("<svg") :].replace("xlink:href", "href")
    svg = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'( id="|url\(#|href="#)', rf"\g<1>{name}-", svg)
    head = rf'<svg viewBox="\1" role="img" aria-label="{title}">'
    svg = re.sub(r'<svg [^>]*?viewBox="([^"]*)"[^>]*>', head, svg, count=1)
    for colour, variable in VARIABLES.items():
        svg = svg.replace(colour.lower(), variable)
    return svg


def as_png(draw: Callable[[Axes], None], heights: tuple[float, float], title: str) -> bytes:
    """The same diagram as a picture on white."""
    figure, axes = new_figure(WIDE, WIDE * heights[0])
    draw(axes)
    image = io.BytesIO()
    with as_written():
        figure.savefig(image, format="png", dpi=110, metadata={"Title": title, "Software": None})
    return image.getvalue()


def bench_chart(results: list[dict[str, Any]], path: str | os.PathLike[str]) -> None:
    """The tables of `charrnn bench` as bars: how many times the time of the compiled float32 kernels each program takes."""
    from matplotlib.figure import Figure

    heights = [len(result["rows"]) for result in results]
    figure = Figure(figsize=(9, 0.9 * len(results) + 0.36 * sum(heights)), layout="constrained")
    panels = figure.subplots(len(results), 1, squeeze=False, height_ratios=[h + 1 for h in heights])[:, 0]
    for axes, result in zip(panels, results, strict=True):
        rows = result["rows"]
        ratios = [row["times_slower"] for row in rows]
        colours = [BLUE if row["program"].startswith("charrnn") else ORANGE for row in rows]
        bars = axes.barh([row["program"] for row in rows], ratios, color=colours)
        per = [f"{r:.2f} ×   {row['seconds_per_update'] * 1e6:,.1f} µs" for r, row in zip(ratios, rows, strict=True)]
        axes.bar_label(bars, per, padding=4)
        axes.set_title(f"{result['title']}, {result['threads']} thread{'s' * (result['threads'] > 1)}", loc="left", fontsize=11)
        axes.set_xlim(0, max(ratios) * 1.3)
        axes.invert_yaxis()
        axes.spines[["top", "right"]].set_visible(False)
        axes.set_xlabel(f"time per {result['unit']}, compiled float32 = 1")
    save(figure, path)
