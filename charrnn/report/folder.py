"""The folder of a report: which files are the report's own."""

from __future__ import annotations

import re
from pathlib import Path

from charrnn.errors import OutputError
from charrnn.files.atomic import remove_leftovers, why, writable_folder
from charrnn.files.owned import remove, subfolder

OURS = re.compile(
    r"report\.(html|md|json)|best(-\d+)?\.safetensors|figures/(comparison|loss-\d+|words-\d+)\.png|"
    r"parts/(plan|text|pytorch|gradients-\d+(-[a-z]+-\d+)?|run-\d+)\.json"
)


def require_free(folder: Path, force: bool) -> None:
    """OutputError for a folder that holds something, unless it is a report that is to be replaced."""
    try:
        if not folder.is_dir() or not any(folder.iterdir()):
            return
    except OSError as error:
        raise OutputError(f"cannot use the folder {folder}: {why(error)}") from error
    if not (folder / "parts" / "plan.json").is_file():
        raise OutputError(f"the folder {folder} is not empty, and holds no report: give another --out")
    if not force:
        raise OutputError(
            f"the folder {folder} is not empty: give another --out, --resume to finish the report in it, or --force to replace it"
        )


def clear(folder: Path) -> None:
    """Remove what a report has left; whatever else is there stays."""
    for place in (writable_folder(folder), subfolder(folder, "parts"), subfolder(folder, "figures")):
        remove_leftovers(place)
        for old in place.iterdir():
            if OURS.fullmatch(old.relative_to(folder).as_posix()):
                old.unlink()
    for checkpoints in folder.glob("parts/run-*"):
        remove(checkpoints)
