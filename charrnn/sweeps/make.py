"""The making of a sweep: its runs are handed to an executor, what comes back is written down, and it can be broken off at any time.

The folder of a sweep:

    sweep.jsonl, sweep.csv  the results: while runs go on a line for each as it comes, at the end all by rank
    sweep.html              the same as a page with pictures
    best.safetensors        the best model
    runs/                   a folder for each run, see `charrnn.sweeps.work`
    recipe.toml             what is searched
    sweep.json              on which text; sweep.txt is a copy of it, where it was no file

Everything but sweep.html and the times in runs/*/metrics.*, work.jsonl and checkpoints is a function of recipe and text, bit for
bit, on any executor and however often it was broken off.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from charrnn import arguments
from charrnn.errors import ModelFileError, OutputError, SettingsError
from charrnn.files import owned
from charrnn.files.atomic import alone_in, as_path, remove_leftovers, why, writable_folder
from charrnn.files.schema import anything, dumps, loads, table, text
from charrnn.recipes import Recipe, from_toml, load_recipe
from charrnn.runs.engine import Engine
from charrnn.runs.folder import BEST, CHECKPOINTS
from charrnn.runs.request import Request
from charrnn.sweeps.executors import executor_of
from charrnn.sweeps.plan import Planned, planned, rungs
from charrnn.sweeps.results import Sweep, SweptRun, ranked
from charrnn.sweeps.work import STOP, Result, came_to, loss_until, result_in, train_run
from charrnn.text.corpus import AnyText, Corpus, as_corpus
from charrnn.text.source import TextSource, copy_of
from charrnn.threads import interrupting_signals
from charrnn.version import __version__

FOLDER = "charrnn-sweep"
LINES, TABLE, PAGE, RECIPE, ABOUT, COPY, RUNS = (
    *("sweep.jsonl", "sweep.csv", "sweep.html", "recipe.toml", "sweep.json", "sweep.txt", "runs"),
)
SOON, SHARE = 20.0, 0.05  # seconds before the first page is drawn; the part of the time that goes into pages while runs go on
SHAPE = table({"charrnn": text(100), "fingerprint": text(100), "validation": text(100), "text": text()}, others=anything)


def sweep(
    recipe: Recipe | str | os.PathLike[str],
    text: AnyText | TextSource | None = None,
    executor: Any = None,
    *,
    out: str | os.PathLike[str] = FOLDER,
    validation: float | str | os.PathLike[str] | None = 0.1,
    validation_split: str = "end",
    workers: int | None = None,
    checkpoint_every: str | int = "1m",
    progress: bool = True,
    again: str = "the same call continues it",
) -> Sweep:
    """Train every run of a recipe's [grid] or [search], and compare the runs by their lowest loss on a validation text.

    The same call again continues an interrupted sweep: finished runs are not repeated, others continue from their last checkpoint.
    Recipe and text alone determine the result, bit for bit, not the executor or the order in which runs end.

    Args:
        recipe: a `Recipe`, or the name or file of one, with a [grid] or a [search] table.
        text: a string, bytes, a Path or a `Corpus`; without one the story that comes with charrnn. Workers on other machines read
            files by their name here.
        executor: any PEP 3148 executor (`submit` returns a future): of Dask, loky, mpi4py.futures, ipyparallel ...; "dask://HOST:PORT";
            a function that makes an executor, called again when its workers have died; None for `workers` local processes.
        out: the folder of the sweep, which every worker must reach under this name.
        validation: the part of the text for validation, or a file with another text. validation_split: "end" or "lines", see
            `CharRNN.train`.
        workers: processes on this machine (by default one per core), one thread each.
        checkpoint_every: the most that a killed run loses, see `CharRNN.train`.
        progress: report on standard output. again: how to continue, in words.

    Raises `SettingsError` and `TextError` before any work, `WorkersError` when workers die repeatedly, `OutputError`, and
    KeyboardInterrupt when it is stopped; the runs have then written checkpoints.

    >>> import tempfile
    >>> from concurrent.futures import ThreadPoolExecutor
    >>> from charrnn import Recipe, sweep
    >>> recipe = Recipe("mine", training={"updates": 40, "seq_length": 8}, grid=[{"hidden_size": 4}, {"hidden_size": 8}])
    >>> text = "she sells sea shells by the sea shore. " * 30
    >>> with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(2) as threads:
    ...     found = sweep(recipe, text, threads, out=folder, progress=False)
    >>> len(found.runs), found.best.validation_loss < found.runs[1].validation_loss
    (2, True)
    """
    chosen = _checked(recipe)
    request, whole, is_file = _request(text, validation, validation_split, checkpoint_every)
    if validation_split == "lines" and any("seed" in overrides for overrides in chosen.candidates()):
        raise SettingsError("runs of several seeds would shuffle the lines differently: give validation as a file, or split the end")
    if chosen.training.get("split") is not None:
        raise SettingsError("the test part of a split is for one model, at the end: a sweep compares by validation, so leave split out")
    training, held_out, _ = request.parts(whole, None, chosen.model.get("seed", 0))
    assert held_out is not None
    runs = planned(chosen, training, held_out)
    folder = Path(as_path(out))
    about = {"charrnn": __version__, "fingerprint": whole.fingerprint, "validation": held_out.fingerprint, "text": whole.description}
    require_same(folder, about)
    where, words = executor_of(executor, workers, len(runs))
    writable_folder(folder)
    with alone_in(folder):
        remove_leftovers(folder)
        if not is_file:
            vocabulary = whole.vocabulary
            min_count = 1 if vocabulary.unknown is None else 2  # what is rare is U+FFFD in the copy: this makes the same vocabulary again
            copy = copy_of(whole, folder / COPY)
            request = replace(request, source=TextSource((copy,), raw_bytes=vocabulary.raw_bytes, min_count=min_count))
        owned.write(folder / RECIPE, chosen.to_toml())
        owned.write(folder / ABOUT, dumps(about, indent=1) + "\n")
        making = Making(folder, chosen, request, runs, arguments.yes_or_no("progress", progress), again)
        making.say(f"text      {whole.description}\nvalidate  {held_out.description}")
        making.say(f"sweep     {len(runs)} runs of {chosen.name or 'your settings'}\nworkers   {words}\nwriting   {folder}\n")
        return making.make(where)


def _checked(recipe: Recipe | str | os.PathLike[str]) -> Recipe:
    """The recipe, of which one that was made in Python is checked as a file is."""
    if isinstance(recipe, Recipe):
        return from_toml(recipe.to_toml(), recipe.name, recipe.name or "of no name")
    return load_recipe(recipe)


def _request(text: Any, validation: Any, split: str, checkpoint_every: str | int) -> tuple[Request, Corpus, bool]:
    """Where the text is and what of it is for validation, checked; the text; and whether it is in files that can be read again."""
    if validation in (None, "none"):
        raise SettingsError("a sweep chooses by the loss on a validation text: give a part of the text, such as 0.1, or a file")
    part = as_path(validation) if isinstance(validation, (str, os.PathLike)) else f"{arguments.number('validation', validation)!r}"
    if isinstance(text, os.PathLike):
        text = TextSource((as_path(text),))
    source = text if isinstance(text, TextSource) else TextSource()
    is_file = (text is None or isinstance(text, TextSource)) and not source.is_read_once
    request = Request(source.absolute(), part, checkpoint_every=str(checkpoint_every), keep=1, validation_split=split).check()
    whole = source.read() if text is None or isinstance(text, TextSource) else as_corpus(text)
    if os.path.isfile(part):
        request = replace(request, validation=os.path.abspath(part))
    return replace(request, fingerprint=whole.fingerprint, description=whole.description), whole, is_file


def require_same(folder: Path, about: dict[str, Any]) -> None:
    """OutputError for a folder that holds something other than a sweep on these texts by this version."""
    try:
        if not folder.is_dir() or not any(folder.iterdir()):
            return
        found = SHAPE(loads(owned.read(folder / ABOUT)), "it")
    except FileNotFoundError:
        raise OutputError(f"the folder {folder} is not empty, and holds no sweep: give another --out (out=)") from None
    except OSError as error:
        raise OutputError(f"cannot use the folder {folder}: {why(error)}") from error
    except ValueError as error:
        raise ModelFileError(f"{folder / ABOUT} does not describe a sweep: {error}") from None
    if found["charrnn"] != about["charrnn"]:
        raise OutputError(f"the sweep in {folder} is of charrnn {found['charrnn']}, this is {about['charrnn']}: give another --out (out=)")
    if found["fingerprint"] != about["fingerprint"]:
        raise OutputError(f"the sweep in {folder} is on another text ({found['text']}): give that one, or another --out (out=)")
    if found["validation"] != about["validation"]:
        raise OutputError(f"the sweep in {folder} has another validation text: give the same --validation, or another --out (out=)")


class Making:
    """The making of one sweep."""

    def __init__(self, folder: Path, recipe: Recipe, request: Request, runs: Sequence[Planned], progress: bool, again: str) -> None:
        self.folder, self.recipe, self.request, self.runs = folder, recipe, request, runs
        self.progress, self.again = progress, again
        self.place = owned.subfolder(folder, RUNS)
        self.found: dict[str, Result] = {}
        self.caught: list[int] = []
        self.begun, self.drawn_at = time.monotonic(), SOON

    def make(self, executor: Any) -> Sweep:
        """Make what is missing, and write what came out."""
        self.stop_file.unlink(missing_ok=True)
        owned.write(self.folder / LINES, "")
        for run in self.runs:
            if result := result_in(self.place / run.key):
                self.found[run.key] = result
        done = [run for run in self.runs if run.key in self.found and self.found[run.key]["finished"]]
        if done:
            self.say(f"{len(done)} of {len(self.runs)} runs are done already\n")
        for run in done:
            self.note(run)
            owned.remove(self.place / run.key / CHECKPOINTS)  # of a worker that was killed before it did so
        with interrupting_signals() as self.caught, self._conclusion():
            going, stages = list(self.runs), rungs(self.recipe, len(self.runs))
            with Engine(executor) as engine:
                for i, (share, count) in enumerate(stages):
                    going = self.best_of(going, count, stages[i - 1][0]) if i else going
                    if len(stages) > 1:
                        some = f"{len(going)} run{'s' * (len(going) > 1)}"
                        self.say(f"rung {i + 1} of {len(stages)}: {some}, to {share:.0%} of their updates")
                    self.advance(engine, going, share)
        return self.finish()

    def best_of(self, going: Sequence[Planned], count: int, share: float) -> list[Planned]:
        """The runs whose validation loss was lowest at this share of their updates, in the order of the recipe."""
        losses = {run.key: loss_until(self.found[run.key], run.until(share)) for run in going}
        kept = sorted(going, key=lambda run: losses[run.key])[:count]  # stable: of equal ones the first
        return [run for run in going if run in kept]

    def advance(self, engine: Engine, going: Sequence[Planned], share: float) -> None:
        """Bring these runs to this share of their updates."""
        left = {run.key: run for run in going if run.key not in self.found or not came_to(self.found[run.key], run.until(share))}
        source = self.request.plain()
        tasks = {key: (run.settings, source, str(self.place.absolute() / key), run.until(share)) for key, run in left.items()}
        results = engine.results(train_run, tasks, self.stop_file.touch, self.look)
        for done, (key, result) in enumerate(results, 1):
            self.found[key] = result
            self.note(left[key])
            self.say(f"{done + len(going) - len(left):>4} of {len(going)}  {self.swept(left[key]).how}: {left[key].label}")
            self.draw_now_and_then()

    def look(self) -> None:
        """KeyboardInterrupt, should the first one have been lost."""
        if self.caught:
            raise KeyboardInterrupt(self.caught[0])

    @property
    def stop_file(self) -> Path:
        return self.place / STOP

    @contextmanager
    def _conclusion(self) -> Iterator[None]:
        """What there is to say when the sweep does not come to its end."""
        try:
            yield
        except BaseException:
            with suppress(OSError):
                self.write()
            done = sum(result["finished"] for result in self.found.values())
            self.say(f"\nstopped: {done} of {len(self.runs)} runs are done, the others keep their last checkpoints; {self.again}")
            raise

    def swept(self, run: Planned) -> SweptRun:
        """A run with its result."""
        return SweptRun.of(run, self.place / run.key, self.found[run.key])

    def so_far(self) -> Sweep:
        """The results that there are."""
        return Sweep(self.folder, ranked([self.swept(run) for run in self.runs if run.key in self.found]))

    def note(self, run: Planned) -> None:
        """A line of sweep.jsonl, as it comes."""
        owned.append(self.folder / LINES, dumps(self.swept(run).line()) + "\n")

    def draw_now_and_then(self) -> None:
        """The page, so that whoever wants to can look at it meanwhile."""
        now = time.monotonic()
        if now - self.begun > self.drawn_at:
            self.write_page(self.so_far())
            took = time.monotonic() - now
            self.drawn_at = now - self.begun + took / SHARE

    def write_page(self, found: Sweep) -> None:
        """sweep.html."""
        from charrnn.sweeps.page import page

        owned.write(self.folder / PAGE, page(found, self.recipe, self.request.description, len(self.runs), self.again))

    def write(self) -> Sweep:
        """Everything by rank."""
        found = self.so_far()
        owned.write(self.folder / LINES, found.to_jsonl())
        owned.write(self.folder / TABLE, found.to_csv())
        if found.best is not None:
            owned.write(self.folder / BEST, owned.read(found.best.folder / BEST))
        self.write_page(found)
        return found

    def finish(self) -> Sweep:
        """The last word."""
        found = self.write()
        self.say(f"\n{found}\n")
        if failed := sum(run.error is not None for run in found.runs):
            self.say(f"{failed} of {len(found.runs)} runs failed")
        self.say(f"{self.folder}: {PAGE}, {TABLE}, {LINES}, {BEST}, {RUNS}")
        return found

    def say(self, words: str) -> None:
        """Lines on standard output; the sweep goes on when nobody reads them any more."""
        if self.progress:
            from charrnn.display.progress import write

            try:
                write(words)
            except OSError:
                self.progress = False
