"""Which file a path means as a model: itself, a run's best model or, where the run is not finished, its newest checkpoint."""

from __future__ import annotations

import os
from pathlib import Path

from charrnn.errors import ModelFileError
from charrnn.files import modelfile
from charrnn.files.atomic import as_path
from charrnn.training.checkpoint import checkpoints_in

MODEL, BEST, CHECKPOINTS = "model.safetensors", "best.safetensors", "checkpoints"  # in a run's folder


def model_file(path: str | os.PathLike[str]) -> tuple[Path, str]:
    """The file that `path` means as a model, and a word where that is not what one expects of a run; ModelFileError if there is none.

    A folder of checkpoints means its newest.
    """
    place = Path(as_path(path))
    if not place.is_dir():
        return place, ""
    found = checkpoints_in(place / CHECKPOINTS) or checkpoints_in(place)
    newest = found[-1] if found else None
    best = place / BEST
    if best.is_file() and (newest is None or newest[0] <= last_step(place)):
        return best, ""
    if newest is None:
        if best.is_file():
            return best, ""
        raise ModelFileError(f"{place} holds no model: there is no {BEST} in it, and no checkpoint of a run")
    step, file = newest
    return file, f"{place} holds a run that is not finished: this is its newest checkpoint, of update {step:,}"


def read(path: str | os.PathLike[str]) -> tuple[modelfile.ModelFile, Path]:
    """The content of the model file or checkpoint that `path` means, and its name; ModelFileError for anything else."""
    file, _ = model_file(path)
    try:
        return modelfile.read(file, kind="model"), file
    except ModelFileError as error:
        try:
            return modelfile.read(file, kind="checkpoint", finite=False), file  # whose losses may be infinite
        except ModelFileError:
            raise error from None


def last_step(run: Path) -> int:
    """The update after which a run's model was written; -1 if it cannot be told."""
    try:
        trained = modelfile.read(run / MODEL, kind="model").metadata.get("training")
    except ModelFileError:
        return -1
    step = trained.get("step") if isinstance(trained, dict) else None
    return step if isinstance(step, int) else -1
