"""Checkpoints: everything that a run needs to go on, bit for bit, in files of which the last few are kept.

    FOLDER/step-0000012000.safetensors

A checkpoint is a file like a model's (see `charrnn.files.modelfile`), of kind "checkpoint". It holds the model's tensors and, by the same
names with a prefix, what belongs to them: optimizer.0., optimizer.1. (the optimiser's state), best. and lowest. (see
`charrnn.training.best`), average. if there is one, and of the last state known to be sound safe., safe.optimizer.0. ..., safe.best. Then
state (layers, states, B, m), smooth (5,) and safe.smooth (see `charrnn.network.smooth.SmoothLoss`), losses (updates, 3), JSON
as bytes. Its metadata are the model's, and run, rng and checkpoints. Files of version 1 have a state (B, m) and smooth (4,), with a
negative number of the best update while its copy was pending.
"""

from __future__ import annotations

import contextlib
import numbers
import os
import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from charrnn import arguments
from charrnn.errors import CharRNNError, ModelFileError, OutputError, SettingsError, TextError, brief
from charrnn.files import modelfile
from charrnn.files.atomic import as_path, atomic_write, remove_leftovers, writable_folder
from charrnn.files.schema import HISTORY, dumps, loads
from charrnn.network.arrays import Array, aligned_copy
from charrnn.network.blocks import views
from charrnn.network.network import Network
from charrnn.network.tensors import check_shapes, fill, metadata_of, network_of, tensors_of
from charrnn.text.corpus import Corpus
from charrnn.training.fitting import UNITS
from charrnn.training.history import History
from charrnn.training.plan import TrainingPlan
from charrnn.training.run import Run, Snapshot
from charrnn.training.state import run_of, slots_of, smooth_of, state_of, tensors_of_run, tensors_of_slots

NAME = re.compile(r"step-(\d{10,})\.safetensors")
SHARE = 0.02  # of the time at most goes into checkpoints, when they come by the clock


def interval(every: Any) -> tuple[int, float]:
    """A number of updates, or a time in seconds, from what `checkpoint_every` may be; the other one is 0. Else
    SettingsError.

    >>> interval(500), interval("1e4"), interval("0.5s"), interval("2h")
    ((500, 0.0), (10000, 0.0), (0, 0.5), (0, 7200.0))
    """
    if isinstance(every, str):
        found = re.fullmatch(r"\s*(\d[\d_]*(?:\.\d*)?(?:e\d+)?|\.\d+)\s*([a-z]*)\s*", every)
        amount = float(found[1]) if found else 0.0
        if found and 0 < amount < np.inf and found[2] in UNITS:
            return 0, amount * UNITS[found[2]]
        if found and not found[2] and amount < np.inf and amount == int(amount):
            every = int(amount)
    if isinstance(every, str) or (isinstance(every, numbers.Real) and not isinstance(every, numbers.Integral)):
        raise SettingsError(f"checkpoint_every must be a time such as '30s' or '1m', or a number of updates, got {brief(every)}")
    return arguments.whole_number("checkpoint_every", every), 0.0


class Checkpoints:
    """Writes the checkpoints of one run and removes all but the last `keep`. See `CharRNN.train` for the
    arguments.
    """

    def __init__(
        self, folder: str | os.PathLike[str], every: str | int = "1m", keep: int = 3, about: Mapping[str, Any] | None = None
    ) -> None:
        self.about = dict(about or {})  # what else is to be said of the model
        self.updates, self.seconds = interval(every)
        self.every = every if isinstance(every, str) else int(every)
        self.keep = arguments.whole_number("keep", keep)
        self.folder = writable_folder(folder)
        self.next = time.monotonic() + self.seconds

    def require_new(self, step: int) -> None:
        """OutputError if another run has left checkpoints here that are ahead of a model of `step` updates."""
        there = [at for at, _ in checkpoints_in(self.folder)]
        if there and max(there) > step:
            raise OutputError(
                f"{self.folder} holds another run's checkpoint of update {max(there):,}: resume that run, or choose another folder"
            )

    def updates_until_due(self, done: int) -> int:
        """How many updates may run before the next checkpoint, if it comes by their number."""
        return self.updates - done % self.updates if self.updates else 1 << 62

    def is_due(self, done: int) -> bool:
        """Whether it is time."""
        return done % self.updates == 0 if self.updates else time.monotonic() >= self.next

    def write(self, network: Network, run: Run, rng: np.random.Generator, history: History) -> None:
        """A checkpoint of a run. Of a state with infinite numbers there is none: the one before leads there again."""
        begun = time.monotonic()
        if not np.isfinite(network.theta).all():
            return
        path = self.folder / f"step-{run.step:010d}.safetensors"
        tensors, metadata = contents(network, run, rng, history)
        metadata |= self.about | {"checkpoints": {"every": self.every, "keep": self.keep}}
        try:
            atomic_write(path, modelfile.to_bytes(tensors, metadata, "checkpoint", finite=False))
        except OutputError as error:
            raise OutputError(f"{error}; {self._last_good()}") from error
        older = [(step, file) for step, file in checkpoints_in(self.folder) if step < run.step]
        kept = [path, *(file for _, file in older[len(older) - self.keep + 1 :])]
        for _, file in checkpoints_in(self.folder):
            if file not in kept:  # too old; or newer, of a future that this run did not have
                with contextlib.suppress(OSError):
                    file.unlink()
        now = time.monotonic()
        self.next = now + max(self.seconds, (now - begun) / SHARE)

    def _last_good(self) -> str:
        there = checkpoints_in(self.folder)
        return f"the last good checkpoint is {there[-1][1]}" if there else "there is no checkpoint yet"


def checkpoints_in(folder: Path) -> list[tuple[int, Path]]:
    """The checkpoints in a folder with their numbers of updates, in this order."""
    try:
        return sorted((int(found[1]), file) for file in folder.iterdir() if (found := NAME.fullmatch(file.name)))
    except OSError:
        return []


def contents(network: Network, run: Run, rng: np.random.Generator, history: History) -> tuple[dict[str, Array], dict[str, Any]]:
    """The tensors and the metadata of a checkpoint."""
    architecture = network.architecture
    assert run.best is not None
    assert run.safe is not None
    arrays = {"": network.theta, "best.": run.best, "safe.": run.safe.theta, "safe.best.": run.safe.best}
    tensors = tensors_of_run(run, architecture) | {"safe.smooth": run.safe.smooth.numbers}
    for prefix, array in arrays.items():
        tensors |= tensors_of(array, architecture, prefix)
    tensors |= tensors_of_slots(run.safe.slots, architecture, "safe.")
    if run.average is not None:
        tensors |= tensors_of(run.average, architecture, "average.")
    if run.lowest.theta is not None:
        tensors |= tensors_of(run.lowest.theta, architecture, "lowest.")
    tensors["losses"] = np.stack([history.loss, history.smooth_loss, history.gradient_norm], axis=1)
    tensors["history"] = np.frombuffer(dumps(history.plain()).encode(), np.uint8)
    return tensors, metadata_of(network) | {"run": run.plain() | {"safe_step": run.safe.step}, "rng": rng.bit_generator.state}


@dataclass
class Found:
    """A run, as a checkpoint left it."""

    path: Path
    network: Network
    run: Run
    rng: np.random.Generator
    recipe: str | None
    losses: Array
    past: dict[str, Any]  # of `History.plain`
    every: str | int
    keep: int

    @property
    def folder(self) -> Path:
        """Where its checkpoints are."""
        return self.path.parent

    def go_to(self, plan: TrainingPlan) -> None:
        """Make the end of this plan the run's, whose texts are the same, and undo what was done only because it seemed the end."""
        before = self.run.total
        self.run.extend(plan.settings, plan.updates)
        if self.run.validated == -1 and self.past["validation"]:
            self.past["validation"] = [result for result in self.past["validation"] if result["step"] != self.run.step]
        if before != plan.updates and plan.settings.schedule != "constant" and self.run.done:
            self.past["notes"].append(
                f"the {plan.settings.schedule} schedule of {before:,} updates became one of {plan.updates:,} after update {self.run.step:,}"
            )

    def check_texts(self, corpus: Corpus, validation: Corpus | None, test: Corpus | None, allow_other: bool = False) -> None:
        """TextError if these are not the texts of the run; with allow_other a new text is begun instead."""
        run = self.run
        if corpus.fingerprint != run.fingerprint:
            if not allow_other:
                raise TextError(
                    f"{corpus.name} is not the text that this run was trained on: its fingerprint is "
                    f"{corpus.fingerprint[:12]}..., the run's {run.fingerprint[:12]}...; give the same text, or allow "
                    "another (allow_other_text=True, --allow-other-text)"
                )
            run.open(corpus)
        if (validation.fingerprint if validation else None) != run.validation and not allow_other:
            told = "the run has no validation text" if validation else "the run has a validation text, and none was given"
            if validation and run.validation:
                told = f"{validation.name} is not the validation text of this run"
            raise TextError(f"{told}: give the same, or allow another (allow_other_text=True, --allow-other-text)")
        if test and test.fingerprint != run.test and not allow_other:
            raise TextError(f"{test.name} is not the test part of this run: give the same text, or allow another (allow_other_text=True)")


def folder_of(path: str | os.PathLike[str]) -> Path:
    """The folder of checkpoints that `path` is, or is in if it is a file."""
    place = Path(as_path(path))
    return place.parent if place.is_file() else place


def load_newest(path: str | os.PathLike[str], level: str | None = None) -> Found:
    """The run in a checkpoint, or in the newest sound one of a folder; ModelFileError if there is none."""
    place = Path(as_path(path))
    if not place.is_dir():
        return load(place, level)
    damaged: list[str] = []
    for _, file in reversed(checkpoints_in(place)):
        try:
            found = load(file, level)
        except ModelFileError as error:
            damaged.append(str(error))
            continue
        if damaged:
            found.past["notes"].append(f"passed over: {'; '.join(damaged)}; went on from {file.name} instead")
        remove_leftovers(place)
        return found
    raise ModelFileError(f"{place} holds no checkpoint that could be resumed" + "".join(f"; {text}" for text in damaged))


def load(path: Path, level: str | None = None) -> Found:
    """The run in one checkpoint; ModelFileError for any other file or a damaged one."""
    return found_in(modelfile.read(path, kind="checkpoint", finite=False), path, level)


def found_in(file: modelfile.ModelFile, path: Path, level: str | None = None) -> Found:
    """The run in the content of a checkpoint."""
    name, tensors = str(path), file.tensors
    network = network_of(tensors, file.metadata, name, level)
    with _described(name):
        described, kept = file.metadata["run"], file.metadata["checkpoints"]
        every, keep = kept["every"], arguments.whole_number("keep", kept["keep"])
        interval(every)
        rng, state = np.random.Generator(np.random.PCG64()), file.metadata["rng"]
        rng.bit_generator.state = {**state, "state": {key: int(value) for key, value in state["state"].items()}}
        run = run_of(described)
        _fill(run, network, tensors, name, arguments.whole_number("safe_step", described["safe_step"], at_least=0))
        losses, past = tensors["losses"], HISTORY(loads(tensors["history"].tobytes(), "its history", infinite=True), "its history")
        if losses.shape == (run.done, 2):  # of version 0.1, which kept no norms
            losses = np.pad(losses, ((0, 0), (0, 1)), constant_values=np.nan)
        check_shapes({"losses": losses}, {"losses": (run.done, 3)}, np.dtype(np.float64), name)
        if not np.isfinite(losses[:, :2]).all():
            raise ModelFileError(f"{name}: its losses are not all finite")
        arguments.memory(f"a run of {run.total:,} updates", 24 * run.total)
        History(1, 1, "sum", 0.0).take(past, network.vocabulary.raw_bytes)
    return Found(path, network, run, rng, file.metadata.get("recipe"), losses, past, every, keep)


def _fill(run: Run, network: Network, tensors: Mapping[str, Array], name: str, safe_step: int) -> None:
    """The arrays of the run."""
    theta, architecture = network.theta, network.architecture

    def like_theta(prefix: str) -> Array:
        out = aligned_copy(theta)  # for the padding, which is not in the file
        fill(out, architecture, tensors, name, prefix)
        if not all(np.isfinite(view).all() for view in views(out, architecture).values()):
            raise ModelFileError(f"{name}: its parameters {prefix}* are not all finite")
        return out

    run.state = state_of(network, run, tensors, name)
    run.slots, run.best, run.smooth = slots_of(network, run, tensors, name), like_theta("best."), smooth_of(tensors, "smooth", name)
    if any(tensor.startswith("average.") for tensor in tensors):
        run.average = like_theta("average.")
    if run.lowest.step:
        run.lowest.theta = like_theta("lowest.")
    run.safe = Snapshot(
        safe_step,
        like_theta("safe."),
        slots_of(network, run, tensors, name, "safe."),
        like_theta("safe.best."),
        smooth_of(tensors, "safe.smooth", name),
    )


@contextlib.contextmanager
def _described(name: str) -> Iterator[None]:
    """Whatever does not fit in a checkpoint's description, as a ModelFileError."""
    try:
        yield
    except ModelFileError:
        raise
    except (CharRNNError, KeyError, TypeError, ValueError, AttributeError, OverflowError, RecursionError) as error:
        raise ModelFileError(f"{name}: the checkpoint's description is incomplete or wrong: {error}") from error
