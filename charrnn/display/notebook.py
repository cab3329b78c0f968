"""What a notebook shows: tables for histories, models and evaluations, and the curve that grows as a model trains."""

from __future__ import annotations

import base64
import html
import math
import time
from collections.abc import Callable, Iterable
from typing import Any

from charrnn.display.protocols import Evaluation, Event, History, Model
from charrnn.display.visible import visible
from charrnn.errors import SettingsError

DRAWING = 0.1  # of the time at most goes into drawing
SECONDS = 1.0  # at least between two drawings


def table(title: str, rows: Iterable[tuple[str, Any]]) -> str:
    """An HTML table of names and values, with everything escaped.

    >>> print(table("<a>", [("b & c", 1)]))
    <table><caption>&lt;a&gt;</caption><tr><th>b &amp; c</th><td>1</td></tr></table>
    """
    body = "".join(f"<tr><th>{html.escape(name)}</th><td>{html.escape(str(value))}</td></tr>" for name, value in rows)
    return f"<table><caption>{html.escape(title)}</caption>{body}</table>"


def history_html(history: History) -> str:
    """The losses of a run, per window and per character, and its last sample."""
    if not len(history):
        return table("History of no updates", [])
    unit = history.characters_per_window

    def both(per_char: float) -> str:
        return f"{unit * per_char:.3f} nats per window of {unit}, {per_char:.4f} per character"

    last = history.first_step + len(history) - 1
    rows = [
        ("expected before learning", both(history.per_char(history.expected_first_loss))),
        ("first loss", both(float(history.loss_per_char[0]))),
        (f"{history.shown_name} at the end", both(history.per_char(history.shown_now))),
        (f"best {history.best_by}", f"{both(history.best_loss_per_char)}, after update {history.best_step:,}"),
    ]
    rows += [("validation", f"{v.loss:.4f} nats per character after update {v.step:,}") for v in history.validation[-1:]]
    rows += [("time", f"{history.seconds:.1f} s, {history.characters_per_second:,.0f} characters per second")]
    title = f"History of updates {history.first_step:,} to {last:,}" + ", interrupted" * history.interrupted
    sample = ""
    if history.samples:
        text = history.samples[-1].text
        raw = isinstance(text, bytes)
        shown = "".join(c if c == "\n" else visible(c, raw) for c in (text.decode("latin-1") if raw else text))
        sample = (
            f"<p>Before update {history.samples[-1].step:,} it wrote:</p>"
            f"<pre style='white-space: pre-wrap; text-align: left'>{html.escape(shown)}</pre>"
        )
    return table(title, rows) + "".join(f"<p>{html.escape(note)}</p>" for note in history.notes) + sample


def model_html(model: Model) -> str:
    """The sizes and settings of a model."""
    rows: list[tuple[str, Any]] = [("network", str(model.settings.architecture(2)))]
    vocabulary = model._network.vocabulary if model._network else None
    if vocabulary is None:
        rows.append(("vocabulary", "none yet: the first text that it trains on gives one"))
    else:
        characters, parameters = vocabulary.characters, sum(array.size for array in model.parameters.values())
        shown = "bytes" if vocabulary.raw_bytes else repr(characters[:200])[1:-1] + "…" * (len(characters) > 200)
        rows += [("vocabulary", f"{len(vocabulary):,} symbols: {shown}"), ("parameters", f"{parameters:,}")]
    rows += [("precision", model.dtype.name), ("kernels", model.level), ("seed", model.seed)]
    rows += [("updates", f"{model.run.step:,}")] if model.run else []
    return table("CharRNN", rows)


def evaluation_html(evaluation: Evaluation) -> str:
    """The four measures."""
    perplexity = evaluation.perplexity
    return table(
        f"Evaluation on {evaluation.characters:,} characters",
        [
            ("loss", f"{evaluation.loss:.4f} nats per character"),
            ("bits per character", f"{evaluation.bits_per_char:.4f}"),
            ("perplexity", f"{perplexity:.3f}" if math.isfinite(perplexity) else "infinite"),
            ("predicted correctly", f"{evaluation.accuracy:.1%}"),
        ],
    )


def live_curve() -> Callable[[Event], None]:
    """A callback that shows the loss curve in a notebook and draws it anew as training goes on.

    It draws once a second, or less often where drawing is slow, so that it takes a tenth of the time at most. Raises
    `SettingsError` where IPython is not installed.
    """
    try:
        from IPython.display import HTML, display
    except ImportError:
        raise SettingsError("progress='notebook' needs IPython, which is not installed here: use progress=True") from None
    from charrnn.display import plots

    handle: Any = None
    due = 0.0

    def show(event: Event) -> None:
        nonlocal handle, due
        if event.kind == "start":
            due = 0.0
            handle = display(HTML("<p>training …</p>"), display_id=True)
        if handle is None or len(event.history) < 2 or (event.kind != "end" and time.monotonic() < due):
            return
        begun = time.monotonic()
        curve = plots.Curve.of(event.history)
        png = plots.as_png(lambda axes: plots.draw_loss(axes, curve), (0.5, 0.5), "Loss over the updates")
        source = base64.b64encode(png).decode()
        line = html.escape(status(event))
        picture = f"<img style='max-width: 100%' alt='{line}' src='data:image/png;base64,{source}'>"
        handle.update(HTML(f"<p>{line}</p>{picture}"))
        now = time.monotonic()
        due = now + max(SECONDS, (now - begun) * (1 / DRAWING - 1))

    return show


def status(event: Event) -> str:
    """How far a run is, in one line."""
    history = event.history
    return (
        f"{event.done:,} of {event.total:,} updates, {history.shown_name} {history.per_char(history.shown_now):.3f} nats per character, "
        f"{history.characters_per_second:,.0f} characters per second"
    )
