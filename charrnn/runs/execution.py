"""One run of charrnn train, from its start or its newest checkpoint to its end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from charrnn.errors import NonFiniteError, OutputError, TextError
from charrnn.model import CharRNN
from charrnn.recipes import from_toml, text_of
from charrnn.runs.folder import CHECKPOINTS, RECIPE, REQUEST, RunFolder, model_in
from charrnn.runs.plan import RunPlan
from charrnn.runs.recorder import Recorder
from charrnn.runs.request import Request
from charrnn.text.corpus import Corpus
from charrnn.text.source import TextSource
from charrnn.text.split import Parts
from charrnn.text.vocabulary import Vocabulary
from charrnn.threads import deferred_signals
from charrnn.training.checkpoint import checkpoints_in, load_newest
from charrnn.training.history import History
from charrnn.training.plan import Settings

if TYPE_CHECKING:
    from charrnn.training.trainer import Callback

MEASURED = 0.05  # of the updates at most, to say how long they all will take


def starting_model(request: Request, whole: Corpus) -> tuple[CharRNN, Corpus]:
    """The model that a run starts from, and the text in its vocabulary, which is extended if the request says so."""
    assert request.start is not None
    model = CharRNN.load(model_in(request.start))
    if request.extend_vocabulary:
        model.extend_vocabulary(whole)
    return model, numbered(whole, request.source, model.vocabulary)


def numbered(whole: Corpus, source: TextSource, vocabulary: Vocabulary) -> Corpus:
    """The text in the ids of another vocabulary."""
    if vocabulary == whole.vocabulary:
        return whole
    try:
        if source.is_read_once:
            return Corpus.from_text(whole.text(0, len(whole)), vocabulary, whole.name)
        return source.read(vocabulary)
    except TextError as error:
        raise TextError(f"{error}; to add them to what the model knows: --extend-vocabulary") from None


def start(
    plan: RunPlan,
    request: Request,
    whole: Corpus,
    folder: RunFolder,
    threads: int | None = None,
    quiet: bool = False,
    notes: Sequence[str] = (),
    callbacks: Sequence[Callback] = (),
    picture: bool = True,
) -> int:
    """A new run in an empty folder; the exit code.

    whole: the text before anything was taken off for validation. callbacks: as for `CharRNN.train`. picture: of the losses, at the end.
    """
    folder.write(RECIPE, plan.in_full().to_toml())
    request = request.kept(folder.path, whole)
    folder.write(REQUEST, request.to_json())
    recorder = Recorder(folder, plan, request.description, request.log_every, quiet, notes=notes, picture=picture)
    return _execute(recorder, request, threads, callbacks=callbacks)


def resume(
    path: Path,
    allow_other_text: bool = False,
    threads: int | None = None,
    quiet: bool = False,
    text: TextSource | None = None,
    other: Mapping[str, Any] | None = None,
    callbacks: Sequence[Callback] = (),
    picture: bool = True,
) -> int:
    """Go on with the run in a folder; from its beginning, if it was stopped before there was a checkpoint; the exit code.

    text: where its text is now. other: another length (updates or epochs) or patience than it was planned with.
    """
    request = Request.load(path)
    folder = RunFolder(path)
    recipe = from_toml(text_of(folder / RECIPE), "", str(folder / RECIPE))
    if other:
        recipe = replace(recipe, training=recipe.run(dict(other)).training)
    request, whole = request.read_again(path, text, allow_other_text)
    model, description = None, whole.description if allow_other_text else request.description
    if request.start is not None:
        if checkpoints_in(folder / CHECKPOINTS):
            whole = numbered(whole, request.source, load_newest(folder / CHECKPOINTS).network.vocabulary)
        else:
            model, whole = starting_model(request, whole)
    settings = Settings(**recipe.training)
    plan = RunPlan.of(recipe, settings, request.parts(whole, settings.split, recipe.model.get("seed", 0)), model)

    def write(event: Any) -> None:
        if event.kind == "start":  # nothing was refused
            if text:
                folder.write(REQUEST, request.kept(folder.path, whole).to_json())
            folder.write(RECIPE, plan.in_full().to_toml())

    recorder = Recorder(folder, plan, description, request.log_every, quiet, resumed=True, picture=picture)
    return _execute(recorder, request, threads, allow_other_text, [*([write] if text or other else []), *callbacks])


def _execute(
    recorder: Recorder, request: Request, threads: int | None, allow_other_text: bool = False, callbacks: Sequence[Callback] = ()
) -> int:
    """Train, save, and say so; 0, or 128 + the number of the signal that ended the run early."""
    with deferred_signals() as asked_to_stop:  # also between the last update and the saved model
        try:
            history = _train(recorder, request, threads, allow_other_text, callbacks)
        except NonFiniteError as error:
            raise NonFiniteError(f"{error}. {recorder.rescue()}") from None
        except OutputError as error:
            raise OutputError(f"{error}{recorder.salvage(str(error))}") from error
        assert history.best is not None
        recorder.write_models(history.best, history, len(history))
        if history.stopped_by and asked_to_stop():
            raise KeyboardInterrupt  # asked a second time
        stopped_by = history.stopped_by or asked_to_stop()
    recorder.conclude(history)
    return 128 + stopped_by if stopped_by else 0


def _train(recorder: Recorder, request: Request, threads: int | None, allow_other_text: bool, callbacks: Sequence[Callback]) -> History:
    """From the newest checkpoint or, without any, from the beginning."""
    from charrnn.display.progress import bar
    from charrnn.training.pace import measure

    plan, checkpoints = recorder.plan, recorder.folder / CHECKPOINTS
    if not recorder.quiet:
        recorder.pace = measure(plan.model.network, plan.training, threads, most=int(MEASURED * plan.training.updates))
    listeners = [*callbacks, recorder.listen, *([] if recorder.quiet else [bar()])]  # so that the bar comes below the introduction
    common: dict[str, Any] = {"progress": False, "callbacks": listeners, "threads": threads}
    if recorder.resumed and checkpoints_in(checkpoints):
        training = plan.training
        length = {name: getattr(training.settings, name) for name in ("updates", "epochs", "patience")}
        parts = Parts(training.corpus, training.validation, training.test)
        return CharRNN.resume(checkpoints, parts, allow_other_text=allow_other_text, **common, **length)[1]
    keeping: dict[str, Any] = {"checkpoint": checkpoints, "checkpoint_every": request.checkpoint_every, "keep": request.keep}
    return plan.model.train_plan(plan.training, **keeping, **common)
