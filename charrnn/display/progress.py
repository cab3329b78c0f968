"""The progress bar of a training run."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from typing import IO, Any

from charrnn import arguments
from charrnn.display.protocols import Event
from charrnn.errors import harmless

NARROWEST = 10  # columns of the bar itself: before it would be less, what stands beside it goes


def bar(kind: bool | str = True) -> Callable[[Event], None]:
    """A callback that draws the bar, and beside it as much as fits: updates done, loss (smooth, in short runs a mean), time left, speed.

    kind: True, or "notebook" for a curve that grows in a notebook.
    """
    if isinstance(kind, str):
        from charrnn.display.notebook import live_curve

        arguments.one_of("progress", kind, ("notebook",))
        return live_curve()
    arguments.yes_or_no("progress", kind)
    shown: Any = None

    def show(event: Event) -> None:
        try:
            draw(event)
        except OSError:  # standard error cannot be written any more: there is a run to be finished
            shown.disable = True

    def draw(event: Event) -> None:
        nonlocal shown
        if event.kind == "start" and sys.stderr is not None:
            shown = new_bar(event.total, event.done)
        elif event.kind in ("progress", "end") and shown is not None:
            advance(shown, event.done, fields_of(event))
            if event.kind == "end":
                shown.close()

    return show


def fields_of(event: Event) -> list[str]:
    """What stands beside the bar of a run, the most important first."""
    history = event.history
    if not len(history):
        return []
    shown = history.shown_now
    per_char, speed = history.per_char(shown), history.characters_per_second
    left = (event.total - event.done) * history.characters_per_window / speed if speed else 0.0
    name = history.shown_name.partition(" of ")[0]  # "mean loss", "smooth loss"
    fields = [f"{name} {per_char:.3f}/char", f"{clock(left)} left", f"{speed:,.0f} chars/s"]
    return fields + [f"{shown:.2f}/window"] * (history.loss_reduction == "sum")


def new_bar(total: int, done: int = 0, disable: bool = False) -> Any:
    """A bar on standard error, for `advance`."""
    from tqdm import tqdm

    often = 0.1 if sys.stderr is not None and sys.stderr.isatty() else 10.0  # seconds: a log file is not filled with bars
    return tqdm(
        total=total,
        initial=done,
        bar_format="{percentage:3.0f}%|{bar}| {desc}",
        dynamic_ncols=True,
        mininterval=often,
        delay=1e-9,  # nothing is drawn before there is a bar to be disabled
        disable=disable,
    )


def advance(shown: Any, done: int, fields: Sequence[str] = ()) -> None:
    """Bring a bar to where the work is, beside it how far that is and as many of the fields as fit into the terminal."""
    count = f"{done:,}/{shown.total:,} updates"
    shown.set_description_str(fitted([count, *fields], columns(sys.stderr)), refresh=False)
    shown.update(done - shown.n)


def fitted(fields: Sequence[str], width: int | None) -> str:
    """As many of the fields, from the first on, as leave room for a bar in a line of this width (None: of any).

    >>> fitted(["79/720 updates", "smooth loss 2.123/char", "0:05 left"], 60)
    '79/720 updates, smooth loss 2.123/char'
    """
    room = (width or 1 << 30) - len("100%|| ") - NARROWEST
    for count in range(len(fields), 0, -1):
        if len(text := ", ".join(fields[:count])) <= room:
            return text
    return ""


def columns(stream: Any) -> int | None:
    """The width of the terminal that a stream is; None if it is none."""
    try:
        return os.get_terminal_size(stream.fileno()).columns or None
    except (OSError, ValueError, AttributeError):
        return None


def clock(seconds: float) -> str:
    """A time that is left.

    >>> clock(5.4), clock(3725)
    ('0:05', '1:02:05')
    """
    minutes, second = divmod(round(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02}:{second:02}" if hours else f"{minute}:{second:02}"


def write(text: str, file: IO[str] | None = None) -> None:
    """A line on standard output or another stream, above the bar if there is one. On a terminal it is text and nothing else."""
    from tqdm import tqdm

    stream: Any = file or sys.stdout
    if stream.isatty():
        text = harmless(text)
    try:
        tqdm.write(text, file=stream)
    except OSError:  # perhaps in clearing the bar, which is on standard error
        print(text, file=stream)
    stream.flush()
