"""The progress bar of a training run."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from charrnn import arguments
from charrnn.display.protocols import Event


def bar(kind: bool | str = True) -> Callable[[Event], None]:
    """A callback that draws the bar: the loss per character (smooth, in short runs a mean), characters per second, time left.

    kind: True, or "notebook" for a curve that grows in a notebook.
    """
    if isinstance(kind, str):
        from charrnn.display.notebook import live_curve

        arguments.one_of("progress", kind, ("notebook",))
        return live_curve()
    arguments.yes_or_no("progress", kind)
    from tqdm import tqdm

    shown: Any = None

    def show(event: Event) -> None:
        try:
            draw(event)
        except OSError:  # standard error cannot be written any more: there is a run to be finished
            shown.disable = True

    def draw(event: Event) -> None:
        nonlocal shown
        history = event.history
        if event.kind == "start" and sys.stderr is not None:
            often = 0.1 if sys.stderr.isatty() else 10.0  # seconds: a log file is not filled with bars
            shown = tqdm(
                total=event.total,
                initial=event.done,
                unit=" updates",
                unit_scale=True,
                dynamic_ncols=True,
                mininterval=often,
                delay=1e-9,  # nothing is drawn before there is a bar to be disabled
            )
        elif event.kind in ("progress", "end") and shown is not None:
            if len(history):
                speed = history.characters_per_second
                per_char = history.per_char(history.shown_now)
                shown.set_postfix_str(f"{history.shown_name} {per_char:.3f}/char, {speed:,.0f} chars/s", refresh=False)
            shown.update(event.done - shown.n)
            if event.kind == "end":
                shown.close()

    return show


def write(text: str) -> None:
    """A line on standard output, above the bar if there is one."""
    from tqdm import tqdm

    try:
        tqdm.write(text, file=sys.stdout)
    except OSError:  # perhaps in clearing the bar, which is on standard error
        print(text)
    sys.stdout.flush()
