"""Checkpoints: everything that a run needs to go on, bit for bit, in files of which the last few are kept.

    FOLDER/step-0000012000.safetensors

A checkpoint is a file like a model's (see `charrnn.files.modelfile`), of kind "checkpoint". It holds the model's tensors
and, by the same names with a prefix, what belongs to them: optimizer.0., optimizer.1. (the optimiser's memories),
best., and of the last state known to be sound safe., safe.optimizer.0. ..., safe.best. Then state (B, m), smooth (4,)
and safe.smooth (see `charrnn.network.reference.follow`), losses (updates, 2) and history, JSON as bytes. Its metadata are the
model's, and run, rng and checkpoints.
"""

from __future__ import annotations

import contextlib
import json
import numbers
import os
import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from charrnn import arguments
from charrnn.errors import CharRNNError, ModelFileError, OutputError, SettingsError, TextError
from charrnn.files import modelfile
from charrnn.files.atomic import as_path, atomic_write, remove_leftovers, writable_folder
from charrnn.model import CharRNN
from charrnn.network.exchange import check_shapes, fill, model_of, tensors_of
from charrnn.network.parameters import SLOTS, Array, aligned_zeros, padded
from charrnn.text.corpus import Corpus
from charrnn.training.history import History
from charrnn.training.runstate import Progress, Safe
from charrnn.training.settings import Settings

NAME = re.compile(r"step-(\d{10,})\.safetensors")
UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0}
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
        raise SettingsError(f"checkpoint_every must be a time such as '30s' or '1m', or a number of updates, got {every!r}")
    return arguments.whole_number("checkpoint_every", every), 0.0


class Checkpoints:
    """Writes the checkpoints of one run and removes all but the last `keep`. See `CharRNN.train` for the
    arguments.
    """

    def __init__(self, folder: str | os.PathLike[str], every: str | int = "1m", keep: int = 3) -> None:
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

    def write(self, model: CharRNN, history: History) -> None:
        """A checkpoint of the model's run. Of a state with infinite numbers there is none: the one before leads
        there again.
        """
        begun, p = time.monotonic(), model.progress
        assert p is not None
        if not np.isfinite(model.theta).all():
            return
        path = self.folder / f"step-{p.step:010d}.safetensors"
        tensors, metadata = contents(model, history)
        metadata["checkpoints"] = {"every": self.every, "keep": self.keep}
        try:
            atomic_write(path, modelfile.to_bytes(tensors, metadata, "checkpoint", finite=False))
        except OutputError as error:
            raise OutputError(f"{error}; {self._last_good()}") from error
        older = [(step, file) for step, file in checkpoints_in(self.folder) if step < p.step]
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


def contents(model: CharRNN, history: History) -> tuple[dict[str, Array], dict[str, Any]]:
    """The tensors and the metadata of a checkpoint."""
    p, m, K = model.progress, model.hidden_size, len(model.vocabulary)
    assert p is not None
    assert p.slots is not None
    assert p.best is not None
    assert p.hidden is not None
    assert p.safe is not None
    tensors = model.to_tensors() | {"state": p.hidden[:, :m], "smooth": p.smooth, "safe.smooth": p.safe.smooth}
    tensors |= tensors_of(p.best, m, K, "best.") | tensors_of(p.safe.best, m, K, "safe.best.") | tensors_of(p.safe.theta, m, K, "safe.")
    for i, (now, safe) in enumerate(zip(p.slots, p.safe.slots, strict=True)):
        tensors |= tensors_of(now, m, K, f"optimizer.{i}.") | tensors_of(safe, m, K, f"safe.optimizer.{i}.")
    tensors["losses"] = np.stack([history.loss, history.smooth_loss], axis=1)
    tensors["history"] = np.frombuffer(json.dumps(history.plain()).encode(), np.uint8)
    run = p.plain() | {"safe_step": p.safe.step}
    return tensors, model.to_metadata() | {"run": run, "rng": model.rng.bit_generator.state}


@dataclass
class Found:
    """A run, as a checkpoint left it."""

    path: Path
    model: CharRNN
    progress: Progress
    losses: Array
    past: dict[str, Any]  # of `History.plain`
    every: str | int
    keep: int

    @property
    def folder(self) -> Path:
        """Where its checkpoints are."""
        return self.path.parent

    def check_texts(self, corpus: Corpus, held_out: Corpus | None, allow_other: bool = False) -> None:
        """TextError if these are not the texts of the run; with allow_other a new text is begun instead."""
        p = self.progress
        if corpus.fingerprint != p.fingerprint:
            if not allow_other:
                raise TextError(
                    f"{corpus.name} is not the text that this run was trained on: its fingerprint is "
                    f"{corpus.fingerprint[:12]}..., the run's {p.fingerprint[:12]}...; give the same text, or allow "
                    "another (allow_other_text=True, --allow-other-text)"
                )
            p.open(corpus)
        if (held_out.fingerprint if held_out else None) != p.held_out and not allow_other:
            told = "the run has no validation text" if held_out else "the run has a validation text, and none was given"
            if held_out and p.held_out:
                told = f"{held_out.name} is not the validation text of this run"
            raise TextError(f"{told}: give the same, or allow another (allow_other_text=True, --allow-other-text)")


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
    file = modelfile.read(path, kind="checkpoint", finite=False)
    name, tensors = str(path), file.tensors
    model = model_of(CharRNN, tensors, file.metadata, name, level)
    with _described(name):
        run, kept = file.metadata["run"], file.metadata["checkpoints"]
        every, keep = kept["every"], arguments.whole_number("keep", kept["keep"])
        interval(every)
        rng, safe_step = file.metadata["rng"], arguments.whole_number("safe_step", run["safe_step"], at_least=0)
        model.rng.bit_generator.state = {**rng, "state": {key: int(value) for key, value in rng["state"].items()}}
        p = _progress(run)
        p.slots, p.best, p.hidden, p.smooth, p.safe = _arrays(model, p, tensors, name, safe_step)
        losses, past = tensors["losses"], json.loads(tensors["history"].tobytes())
        check_shapes(tensors, {"losses": (p.done, 2)}, np.dtype(np.float64), name)
        History(1, 1, "sum", 0.0).take(past, model.vocabulary.raw_bytes)
    return Found(path, model, p, losses, past, every, keep)


def _progress(run: Mapping[str, Any]) -> Progress:
    """The numbers and settings in a checkpoint."""
    p = Progress(settings=Settings(**run["settings"]).check())
    for field in fields(Progress):
        if field.type == "int":
            setattr(p, field.name, arguments.whole_number(field.name, run[field.name], at_least=-1))
    p.fingerprint, p.held_out = str(run["fingerprint"]), run["held_out"]
    if not 0 <= p.done <= p.total or p.step < p.done or min(p.cursor, p.rescues, p.moments) < 0:
        raise SettingsError(f"update {p.done} of {p.total} after {p.step}, at {p.cursor}, cannot be")
    return p


def _arrays(
    model: CharRNN, p: Progress, tensors: Mapping[str, Array], name: str, safe_step: int
) -> tuple[Array, Array, Array, Array, Safe]:
    """slots, best, hidden, smooth and the safe state."""
    m, K, B, slots = model.hidden_size, len(model.vocabulary), p.settings.batch_size, SLOTS[p.settings.optimizer]
    check_shapes(tensors, {"state": (B, m)}, model.dtype, name)
    check_shapes(tensors, {"smooth": (4,), "safe.smooth": (4,)}, np.dtype(np.float64), name)

    def like_theta(prefix: str) -> Array:
        out = aligned_zeros(model.theta.shape, model.dtype)
        if "optimizer" not in prefix:
            out[:] = model.theta  # for the padding, which is not in the file
        fill(out, m, K, tensors, name, prefix)
        return out

    def memories(prefix: str) -> Array:
        out = aligned_zeros((slots, *model.theta.shape), model.dtype)
        for i in range(slots):
            out[i] = like_theta(f"{prefix}optimizer.{i}.")
        return out

    hidden = aligned_zeros((B, padded(m, model.dtype)), model.dtype)
    hidden[:, :m] = tensors["state"]
    safe = Safe(safe_step, like_theta("safe."), memories("safe."), like_theta("safe.best."), tensors["safe.smooth"])
    return memories(""), like_theta("best."), hidden, tensors["smooth"], safe


@contextlib.contextmanager
def _described(name: str) -> Iterator[None]:
    """Whatever does not fit in a checkpoint's description, as a ModelFileError."""
    try:
        yield
    except ModelFileError:
        raise
    except (CharRNNError, KeyError, TypeError, ValueError, AttributeError, OverflowError, RecursionError) as error:
        raise ModelFileError(f"{name}: the checkpoint's description is incomplete or wrong: {error}") from error
