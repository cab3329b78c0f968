"""The unit of work of a sweep: one run, or a part of it, in a folder of its own. It may be called anywhere, and again.

    DIR/runs/KEY/                as `charrnn train` leaves it (see `charrnn.runs.folder`), without a picture, and
        result.json              what came out: a function of settings and text, bit for bit
        work.jsonl               who worked at it and when: a line at the start, a line at the end
    DIR/runs/stop                while it is there, runs stop at their next chunk of updates

A run that has come to its end has no checkpoints any more; one that halving has left behind keeps its last.
"""

from __future__ import annotations

import contextlib
import math
import os
import platform
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from charrnn.errors import Interrupted, NonFiniteError, SettingsError, TextError
from charrnn.files import owned
from charrnn.files.atomic import alone_in, writable_folder
from charrnn.files.schema import dumps, list_of, loads, maybe, number, row_of, table, text, whole, yes_or_no
from charrnn.recipes import Recipe
from charrnn.runs import execution
from charrnn.runs.folder import CHECKPOINTS, REQUEST, RunFolder
from charrnn.runs.plan import RunPlan
from charrnn.runs.request import Request
from charrnn.training.checkpoint import checkpoints_in
from charrnn.training.events import Event
from charrnn.training.history import History
from charrnn.training.plan import Settings
from charrnn.version import __version__

RESULT, LOG, STOP = "result.json", "work.jsonl", "stop"

LOSS = number(0, 1e100)
SHAPE = table(
    {
        "updates_done": whole(),
        "updates_planned": whole(1),
        "finished": yes_or_no(),
        "validation_loss": maybe(LOSS),
        "best_step": maybe(whole()),
        "train_loss": maybe(LOSS),
        "validation": list_of(row_of(whole(), LOSS)),
        "error": maybe(text()),
    }
)

Result = dict[str, Any]


def train_run(settings: Mapping[str, Any], source: Mapping[str, Any], folder: str, until: int | None = None) -> Result:
    """Train in this folder from wherever the run stands to its end, or to the validation after update `until`.

    settings: the version of charrnn, the recipe with every setting, and its updates. source: where the text is, see `Request.plain`:
    files that can be read here under the same names, and their fingerprint. The result (of an earlier call, if that came as far):

        updates_done, updates_planned, finished   how far it came
        validation                                [[update, nats per character], ...]
        validation_loss, best_step                the lowest, and after which update; None where there is none
        train_loss                                at the end, as bars show it
        error                                     what ended the run early, such as a loss that is not finite; else None

    Waits while another process works at the run. Raises `Interrupted` when it was stopped by a signal or the file `stop`: the same call
    goes on. Raises `TextError` for another text, `SettingsError` for another version of charrnn, and `OutputError`.
    """
    if settings["charrnn"] != __version__:
        raise SettingsError(f"the sweep was begun by charrnn {settings['charrnn']}, but a worker has {__version__}: install the same there")
    place = writable_folder(folder)
    watch = Watch(place, until)
    with alone_in(place, patient=lambda: not watch.is_stopped()):
        found = result_in(place)
        if found is not None and came_to(found, until):
            return found
        return _go_on(place, Recipe(**settings["recipe"]), Request.of(source), watch, settings["updates"])


class Watch:
    """A callback that pauses a run at a validation, stops it where the file `stop` is, and keeps its history."""

    def __init__(self, place: Path, until: int | None) -> None:
        self.stop, self.until = place.parent / STOP, until
        self.event: Event | None = None
        self.paused = self.stopped = False

    def is_stopped(self) -> bool:
        """Whether the whole sweep is to stop."""
        return self.stop.exists()

    def __call__(self, event: Event) -> bool:
        self.event = event
        if event.kind == "validation":
            self.paused = self.until is not None and event.done >= self.until
        elif event.kind != "end":
            self.stopped = event.done < event.total and self.is_stopped()  # what has come to its end has only its result to write
        return self.paused or self.stopped


def _go_on(place: Path, recipe: Recipe, request: Request, watch: Watch, planned: int) -> Result:
    begun, error = time.monotonic(), None
    common: dict[str, Any] = {"threads": 1, "quiet": True, "picture": False, "callbacks": [watch]}
    there = checkpoints_in(place / CHECKPOINTS)
    _log(place, {"from": there[-1][0] if there else 0})
    try:
        if watch.is_stopped():
            raise Interrupted("the sweep is being stopped")
        if (place / REQUEST).is_file():
            execution.resume(place, text=request.source, **common)
        else:
            corpus = request.source.read()
            if corpus.fingerprint != request.fingerprint:
                raise TextError(f"{corpus.name} is not the text of the sweep ({request.description}) where this run is to be made")
            plan = RunPlan.of(recipe, Settings(**recipe.training), request.parts(corpus, None, recipe.model["seed"]))
            execution.start(plan, request, corpus, RunFolder.new(str(place), force=True), **common)
    except KeyboardInterrupt:
        raise Interrupted("a worker was told to end") from None
    except NonFiniteError as wrong:
        error = str(wrong).replace(str(place), place.name)  # the result does not depend on where the sweep is
    finally:
        done = watch.event.done if watch.event else 0
        _log(place, {"to": done, "seconds": round(time.monotonic() - begun, 3)})
    if not error and (watch.event is None or watch.stopped or watch.event.history.interrupted):
        raise Interrupted(f"stopped after update {done:,}")
    result = _result(watch.event.history if watch.event else None, done, planned, error, watch.paused)
    owned.write(place / RESULT, dumps(result, indent=1) + "\n")
    if result["finished"]:
        owned.remove(place / CHECKPOINTS)
    return result


def _result(history: History | None, done: int, planned: int, error: str | None, paused: bool) -> Result:
    losses = [[v.step, v.loss] for v in history.validation if math.isfinite(v.loss)] if history else []
    if not losses and not error:
        error = "no validation loss is finite"
    best = min(losses, key=lambda found: found[1]) if losses and not error else [None, None]
    shown = history.per_char(history.shown_now) if history else math.inf
    return {
        "updates_done": done,
        "updates_planned": planned,
        "finished": error is not None or done == planned or not paused,
        "validation_loss": best[1],
        "best_step": best[0],
        "train_loss": shown if math.isfinite(shown) else None,
        "validation": losses,
        "error": error,
    }


def _log(place: Path, line: Mapping[str, Any]) -> None:
    who: dict[str, Any] = {"time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), "host": platform.node(), "process": os.getpid()}
    owned.append(place / LOG, dumps(who | dict(line)) + "\n")


# ---- what a folder holds -------------------------------------------------------------------------------------------


def result_in(place: Path) -> Result | None:
    """The result in a run's folder; None where there is none, or a damaged one."""
    with contextlib.suppress(OSError, ValueError):
        found: Result = SHAPE(loads(owned.read_text(place / RESULT)), "it")
        return found
    return None


def came_to(result: Result, until: int | None) -> bool:
    """Whether a run has come as far as `until`, or to its end."""
    return bool(result["finished"]) or (until is not None and result["updates_done"] >= until)


def loss_until(result: Result, until: int | None) -> float:
    """The lowest validation loss up to an update; infinite where there is none: a run that goes on later is judged as it was then."""
    if result["error"]:
        return math.inf
    return min((loss for step, loss in result["validation"] if until is None or step <= until), default=math.inf)


def seconds_in(place: Path) -> float:
    """How long was worked at a run, as far as it was written down."""
    total = 0.0
    with contextlib.suppress(OSError, ValueError):
        for line in owned.read_text(place / LOG).splitlines():
            with contextlib.suppress(ValueError, TypeError, AttributeError):
                total += float(loads(line).get("seconds", 0.0))
    return total
