"""A run as its folder tells it, finished or not: settings, losses, validation, samples.

Nothing is written. The run may go on meanwhile, and the folder may have come from a stranger: a line that is damaged is left out.
"""

from __future__ import annotations

import contextlib
import math
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from charrnn.errors import ModelFileError, SettingsError
from charrnn.files import owned
from charrnn.files.atomic import as_path, why
from charrnn.files.schema import loads
from charrnn.network.arrays import Array
from charrnn.network.settings import NetworkSettings
from charrnn.process import as_typed
from charrnn.recipes import Recipe, from_toml
from charrnn.runs.folder import METRICS, RECIPE, SAMPLES
from charrnn.runs.request import Request
from charrnn.training.best import means_of
from charrnn.training.plan import Settings
from charrnn.training.saved import last_step

HEAD = re.compile(r"^--- before update ([\d,]{1,20}), epoch ([\d,]{1,20}): .* ---$", re.MULTILINE)
LAST_HEAD = re.compile(r"^=== best model, after update [\d,]+: .* ===$", re.MULTILINE)


class Sample(NamedTuple):
    """A passage drawn before update `step`."""

    step: int
    text: str


class Validation(NamedTuple):
    """The validation loss (nats per character) after update `step`, `seconds` after the start."""

    step: int
    loss: float
    seconds: float


@dataclass(frozen=True)
class Record:
    """What a run's folder holds.

    name: what the run is called among others. settings: of the network and of the training, with the text and what is validated on.
    steps, losses, seconds: (n,), of the updates that have a line in metrics.jsonl: the number of each, its window's loss in nats per
    character, and when it was. samples: in order. is_over: whether the last of these updates is that of the run's model file.
    """

    path: Path
    name: str
    settings: dict[str, Any]
    steps: Array
    losses: Array
    seconds: Array
    validation: list[Validation]
    samples: list[Sample]
    is_over: bool

    @property
    def mean_losses(self) -> Array:
        """(n,): the mean over the last tenth of the losses (at least 20) up to each: one measure for runs of any length, batch size and
        loss_reduction, as the smooth loss is not."""
        return means_of(self.losses)

    @property
    def window(self) -> int:
        """Characters in an update."""
        return int(self.settings["seq_length"] * self.settings["batch_size"])

    @property
    def done(self) -> int:
        """The last update that has a line."""
        return int(self.steps[-1])

    @property
    def state(self) -> str:
        """How far the run is, in words."""
        planned = self.settings.get("updates")
        of = f" of {planned:,}" if planned and self.settings.get("epochs") is None and planned > self.done else ""
        if self.is_over:
            return "ended early" + f", {self.done:,}{of}" if of else "finished"
        return f"running or interrupted, {self.done:,}{of} updates"

    @property
    def best_validation(self) -> Validation | None:
        """The lowest."""
        return min(self.validation, key=lambda found: found.loss, default=None)

    @classmethod
    def load(cls, path: str | os.PathLike[str], name: str = "") -> Record:
        """The record of the run in a folder. Raises `SettingsError` where there is none, or none that has made an update."""
        folder = Path(as_path(path))
        try:
            lines = _lines(owned.read(folder / METRICS))
        except OSError as error:
            reason = f"{METRICS} cannot be read: {why(error)}" if (folder / METRICS).exists() else f"there is no {METRICS} in it"
            raise SettingsError(f"{folder} is no run's folder: {reason}{_instead(folder)}") from None
        trained = [line for line in lines if _numbers(line, "step", "time", "train/loss_per_char")]
        if not trained:
            raise SettingsError(f"the run in {folder} has made no update yet: {METRICS} holds no loss")
        steps = np.array([line["step"] for line in trained])
        found = [line for line in lines if _numbers(line, "step", "time", "val/loss")]
        return cls(
            folder,
            name or folder.name or str(folder),
            _settings(folder),
            steps,
            np.array([line["train/loss_per_char"] for line in trained], float),
            np.array([line["time"] for line in trained], float),
            [Validation(line["step"], line["val/loss"], line["time"]) for line in found],
            samples_in(folder),
            last_step(folder) >= steps[-1],
        )


def load_all(paths: Sequence[str | os.PathLike[str]]) -> list[Record]:
    """The records of several runs, each named by its folder or, where two folders have one name, by its path."""
    places = [Path(as_path(path)) for path in paths]
    given = [place.resolve() for place in places]
    for place, real in zip(places, given, strict=True):
        if given.count(real) > 1:
            raise SettingsError(f"the run {place} is named twice: name each once")
    names = [real.name for real in given]
    return [Record.load(p, name if names.count(name) == 1 else str(p)) for p, name in zip(places, names, strict=True)]


def samples_in(folder: Path) -> list[Sample]:
    """The samples in a run's samples.txt, without the passage at the end; none where there is no such file."""
    try:
        text = owned.read(folder / SAMPLES).decode("utf-8", "replace")
    except OSError:
        return []
    found: list[Sample] = []
    heads: list[tuple[int, re.Match[str]]] = []
    for head in HEAD.finditer(text):  # of lines that look like one, those whose numbers rise
        step = int(head[1].replace(",", ""))
        if not heads or step > heads[-1][0]:
            heads.append((step, head))
    if not heads:
        return found
    last = LAST_HEAD.search(text, heads[-1][1].end())
    ends = [head.start() for _, head in heads[1:]] + [last.start() if last else len(text)]
    for (step, head), end in zip(heads, ends, strict=True):
        found.append(Sample(step, text[head.end() + 1 : end].removesuffix("\n\n")))
    return found


def _lines(data: bytes) -> list[dict[str, Any]]:
    """The objects of metrics.jsonl that are whole: a running run may be writing the last."""
    found = []
    for line in data.splitlines():
        with contextlib.suppress(ValueError):
            found.append(loads(line))
    return [line for line in found if isinstance(line, dict)]


def _numbers(line: dict[str, Any], *names: str) -> bool:
    """Whether all of these are finite numbers there."""
    values = [line.get(name) for name in names]
    return all(isinstance(v, (int, float)) and not isinstance(v, bool) and abs(v) < 1e100 and math.isfinite(v) for v in values)


def _settings(folder: Path) -> dict[str, Any]:
    """Every setting of the run, its text and validation; SettingsError where its recipe is missing or damaged."""
    path = folder / RECIPE
    try:
        recipe: Recipe = from_toml(owned.read_text(path, 1 << 20), "", str(path))
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"the settings of the run in {folder} cannot be read: {path}: {error}") from None
    network, training = vars(NetworkSettings(**recipe.model)), vars(Settings(**recipe.training))
    found: dict[str, Any] = {}
    with contextlib.suppress(ModelFileError):
        request = Request.load(folder)
        found = {"text": request.description, "validation": request.validation or "none"}
        found |= {"validation_split": request.validation_split, "start": request.start}
    return ({"recipe": recipe.name} if recipe.name else {}) | network | training | found


def _instead(folder: Path) -> str:
    """What would be a run's folder, where this is none."""
    if (folder / "sweep.json").is_file():
        return f"; it is a sweep: name the folders in {folder / 'runs'}"
    return "" if folder.exists() else f"; `{as_typed('train', [('--out', str(folder))])}` makes one"
