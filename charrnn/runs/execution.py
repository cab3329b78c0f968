"""One run of charrnn train, from its start or its newest checkpoint to its end."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from charrnn.errors import NonFiniteError
from charrnn.model import CharRNN
from charrnn.recipes import from_toml, text_of
from charrnn.runs.folder import CHECKPOINTS, RECIPE, REQUEST, RunFolder
from charrnn.runs.plan import RunPlan
from charrnn.runs.recorder import Recorder
from charrnn.runs.request import Request
from charrnn.text.corpus import Corpus
from charrnn.threads import deferred_signals
from charrnn.training.checkpoint import checkpoints_in
from charrnn.training.history import History
from charrnn.training.plan import Settings


def start(plan: RunPlan, request: Request, whole: Corpus, folder: RunFolder, threads: int | None = None, quiet: bool = False) -> int:
    """A new run in an empty folder; the exit code. whole: the text before anything was taken off for validation."""
    folder.write(RECIPE, plan.in_full().to_toml())
    request = request.kept(folder.path, whole)
    folder.write(REQUEST, request.to_json())
    return _execute(Recorder(folder, plan, request.description, request.log_every, quiet), request, threads)


def resume(path: Path, allow_other_text: bool = False, threads: int | None = None, quiet: bool = False) -> int:
    """Go on with the run in a folder; from its beginning, if it was stopped before there was a checkpoint; the exit code."""
    request = Request.load(path)
    folder = RunFolder(path)
    recipe = from_toml(text_of(folder / RECIPE), "", str(folder / RECIPE))
    whole = request.source.read()
    corpus, validation = request.split(whole)
    plan = RunPlan.of(recipe, Settings(**recipe.training), corpus, validation)
    description = whole.description if allow_other_text else request.description
    recorder = Recorder(folder, plan, description, request.log_every, quiet, resumed=True)
    return _execute(recorder, request, threads, allow_other_text)


def _execute(recorder: Recorder, request: Request, threads: int | None, allow_other_text: bool = False) -> int:
    """Train, save, and say so; 0, or 128 + the number of the signal that ended the run early."""
    with deferred_signals() as asked_to_stop:  # also between the last update and the saved model
        try:
            history = _train(recorder, request, threads, allow_other_text)
        except NonFiniteError as error:
            raise NonFiniteError(f"{error}. {recorder.rescue()}") from None
        assert history.best is not None
        recorder.write_models(history.best, history, len(history))
        if history.stopped_by and asked_to_stop():
            raise KeyboardInterrupt  # asked a second time
        stopped_by = history.stopped_by or asked_to_stop()
    recorder.conclude(history)
    return 128 + stopped_by if stopped_by else 0


def _train(recorder: Recorder, request: Request, threads: int | None, allow_other_text: bool) -> History:
    """From the newest checkpoint or, without any, from the beginning."""
    from charrnn.display.progress import bar

    plan, checkpoints = recorder.plan, recorder.folder / CHECKPOINTS
    callbacks = [recorder.listen] if recorder.quiet else [recorder.listen, bar()]  # so that the bar comes below the introduction
    common: dict[str, Any] = {"progress": False, "callbacks": callbacks, "threads": threads}
    if recorder.resumed and checkpoints_in(checkpoints):
        corpus, validation = plan.training.corpus, plan.training.validation
        return CharRNN.resume(checkpoints, corpus, validation=validation, allow_other_text=allow_other_text, **common)[1]
    keeping: dict[str, Any] = {"checkpoint": checkpoints, "checkpoint_every": request.checkpoint_every, "keep": request.keep}
    return plan.model.train_plan(plan.training, **keeping, **common)
