"""A run's folder: the only writer of what a run leaves.

    model.safetensors   the model as the last update left it
    best.safetensors    the model as it was when its loss was lowest, see `charrnn.training.best`
    *.optimizer.safetensors  the optimiser's state beside each, of small models, with which training goes on
    metrics.jsonl       one flat JSON object a line, at fixed numbers of updates
    metrics.csv         the same as a table, see `charrnn.training.metrics`
    samples.txt         the samples, and at the end the best model's passage
    loss.png            the loss curve
    recipe.toml         all settings: `charrnn train --recipe RUN/recipe.toml` repeats the run
    run.json            what `charrnn train --resume RUN` needs to know, see `charrnn.runs.request`
    standard_input.txt  a copy of the text, only if it came from there
    checkpoints         the last few, see `charrnn.training.checkpoint`

Everything but loss.png and the metrics' time, chars_per_sec is a function of text, settings and seed, bit for bit.
"""

from __future__ import annotations

import contextlib
import csv
import io
import os
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from charrnn.base import beside_of
from charrnn.errors import OutputError, SettingsError, one_line
from charrnn.files import owned
from charrnn.files.atomic import alone_in, as_path, remove_leftovers, why, writable_folder
from charrnn.files.schema import dumps, loads
from charrnn.text.reading import size_of
from charrnn.training.checkpoint import checkpoints_in
from charrnn.training.metrics import COLUMNS
from charrnn.training.saved import BEST as BEST
from charrnn.training.saved import CHECKPOINTS as CHECKPOINTS
from charrnn.training.saved import MODEL as MODEL
from charrnn.training.saved import model_file

METRICS, TABLE, SAMPLES, PLOT, RECIPE, REQUEST, COPY = (
    "metrics.jsonl",
    "metrics.csv",
    "samples.txt",
    "loss.png",
    "recipe.toml",
    "run.json",
    "standard_input.txt",
)
FILES = (MODEL, BEST, METRICS, TABLE, SAMPLES, PLOT, RECIPE)
STATES = {name: beside_of(name).name for name in (MODEL, BEST)}  # the files of the optimiser's state, beside the models'
DEFAULT = "charrnn-run"


class RunFolder:
    """The folder of one run. Raises `OutputError` wherever it cannot write, when it is made already."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = writable_folder(path)
        owned.remove_link(self.path / CHECKPOINTS)

    @classmethod
    def new(cls, path: str | None = None, force: bool = False, needed: Iterable[str] = ()) -> RunFolder:
        """An empty folder at `path`; without one at charrnn-run, charrnn-run-2, ... whichever is free.

        A folder that holds something is refused, unless `force`: then the files of an earlier run in it are removed, but not
        while that run goes on, nor if one of them is among those that the new run needs.
        """
        if path is None:
            return cls._free()
        target = Path(as_path(path))
        try:
            if target.is_dir() and any(target.iterdir()):
                if not force:
                    raise OutputError(f"{path} is not empty: give another --out, or --force to replace the run in it")
                owned.remove_link(target / CHECKPOINTS)
                with alone_in(target / CHECKPOINTS):
                    cls._clear(target, needed)
        except OSError as error:
            if isinstance(error, OutputError):
                raise
            raise OutputError(f"cannot use the folder {path}: {why(error)}") from error
        folder = cls(path)
        remove_leftovers(folder.path)
        return folder

    @staticmethod
    def _clear(target: Path, needed: Iterable[str]) -> None:
        names = (*FILES, *STATES.values(), REQUEST, COPY)
        old = [*(target / name for name in names), *(file for _, file in checkpoints_in(target / CHECKPOINTS))]
        for name in needed:
            if os.path.realpath(name) in map(os.path.realpath, old):
                raise SettingsError(f"{name} is to be read, but would be replaced as a part of the run in {target}: give another --out")
        for file in old:
            file.unlink(missing_ok=True)

    @classmethod
    def _free(cls) -> RunFolder:
        number = 1
        while True:
            path = Path(DEFAULT if number == 1 else f"{DEFAULT}-{number}")
            try:
                path.mkdir()  # whoever makes it has it, also of two that start together
            except FileExistsError:
                if not path.is_dir() or any(path.iterdir()):
                    number += 1
                    continue
            except OSError:
                pass  # the next line says what is wrong
            return cls(path)

    def __str__(self) -> str:
        return str(self.path)

    def __truediv__(self, name: str) -> Path:
        return self.path / name

    def write(self, name: str, data: bytes | str) -> None:
        """A whole file at once."""
        owned.write(self.path / name, data)

    def restart(self, samples: str, metrics: Iterable[Mapping[str, Any]]) -> None:
        """Bring samples.txt and the metrics back to what they were at a checkpoint: all that came later goes."""
        self.write(SAMPLES, samples)
        self.write(METRICS, "")
        self.write(TABLE, "")
        self.add_metrics(metrics)

    def metrics(self) -> list[dict[str, Any]]:
        """The lines of metrics.jsonl, but for what a killed writer left half done."""
        found = []
        with contextlib.suppress(OSError, ValueError):
            for line in owned.read_text(self.path / METRICS).splitlines():
                found.append(loads(line))
        return [line for line in found if isinstance(line, dict) and isinstance(line.get("step"), int)]

    def write_model(self, name: str, tensors: Mapping[str, Any], metadata: Mapping[str, Any]) -> None:
        """A model file."""
        from charrnn.files import modelfile

        modelfile.write(self.path / name, tensors, metadata)

    def write_state(self, name: str, tensors: Mapping[str, Any], metadata: Mapping[str, Any]) -> None:
        """The optimiser's state of the model file of that name, beside it; without tensors there is none."""
        from charrnn.files import modelfile

        path = self.path / STATES[name]
        if tensors:
            modelfile.write(path, tensors, metadata, "optimizer")
        else:
            path.unlink(missing_ok=True)

    def add_metrics(self, lines: Iterable[Mapping[str, Any]]) -> None:
        """Lines at the end of metrics.jsonl and of metrics.csv."""
        lines, table = list(lines), io.StringIO()
        rows = csv.DictWriter(table, COLUMNS, extrasaction="ignore", lineterminator="\n")
        if os.path.islink(self.path / TABLE) or not size_of(str(self.path / TABLE)):  # a link is replaced
            rows.writeheader()
        rows.writerows(lines)
        owned.append(self.path / METRICS, "".join(dumps(line) + "\n" for line in lines))
        owned.append(self.path / TABLE, table.getvalue())

    def add_sample(self, head: str, text: str) -> None:
        """A passage at the end of samples.txt, under its head."""
        owned.append(self.path / SAMPLES, sample_text(head, text))


def sample_text(head: str, text: str) -> str:
    """A passage as it stands in samples.txt."""
    return f"{head}\n{text}\n\n"


def model_in(path: str) -> str:
    """The file that `path` means as a model, see `charrnn.training.saved`; where it is a checkpoint of an unfinished run, that is said
    on standard error.
    """
    file, word = model_file(path)
    if word:
        print(f"note: {one_line(word)}", file=sys.stderr)
    return str(file)
