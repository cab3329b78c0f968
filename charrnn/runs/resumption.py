"""What a run's folder keeps, beside its checkpoints, so that `charrnn train --resume RUN` needs nothing else said.

run.json            the text's files, how they were decoded and described, the validation text, how often to log ...
standard_input.txt  a copy of the text, only if it came from there
checkpoints         the last few, see `charrnn.training.checkpoint`
"""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path
from typing import Any

from charrnn.cli.options import flag
from charrnn.errors import ModelFileError, OutputError, SettingsError
from charrnn.files.atomic import as_path
from charrnn.text.corpus import Corpus
from charrnn.text.vocabulary import BLOCK

BOM = "\ufeff"
REQUEST, COPY, CHECKPOINTS = "run.json", "standard_input.txt", "checkpoints"
KEPT: dict[str, Any] = {
    "text": list,
    "encoding": str,
    "raw_bytes": bool,
    "validation": (str, type(None)),
    "log_every": (int, type(None)),
    "checkpoint_every": str,
    "keep": int,
    "description": str,
}
MAY_DIFFER = ("resume", "allow_other_text", "threads", "quiet")


def request_of(args: argparse.Namespace, folder: Path, corpus: Corpus) -> str:
    """The content of run.json. Files are named in full, for the run may be resumed from elsewhere."""
    request = {name: getattr(args, name, None) for name in KEPT} | {"description": corpus.description}
    request["text"] = [os.path.abspath(path) for path in args.text]
    if any(map(is_read_once, args.text)):
        request |= {"text": [copy_of(corpus, folder / COPY)], "encoding": "utf-8"}
    if args.validation is not None and not _is_number(args.validation):
        request["validation"] = os.path.abspath(args.validation)
    return json.dumps(request, indent=1) + "\n"


def is_read_once(path: str) -> bool:
    """Whether a text cannot be read again later: standard input, a pipe, or what is such only for this process."""
    return path == "-" or os.path.abspath(path).startswith(("/dev/", "/proc/")) or (os.path.exists(path) and not os.path.isfile(path))


def copy_of(corpus: Corpus, path: Path) -> str:
    """Write a text that can be read only once to a file; its full name."""
    try:
        with open(path, "wb") as file:
            if corpus.text(0, 1) == BOM:
                file.write(BOM.encode())  # the one that reading takes off
            for start in range(0, len(corpus), BLOCK):
                text = corpus.text(start, min(start + BLOCK, len(corpus)))
                file.write(text if isinstance(text, bytes) else text.encode("utf-8"))
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise OutputError(f"cannot keep a copy of the text in {path}: {error.strerror or error}") from None
    return os.path.abspath(path)


def recall(args: argparse.Namespace, given: dict[str, Any]) -> Path:
    """Fill the arguments with those of the run in args.resume; the folder. `given` are the arguments off their defaults.

    Raises `SettingsError` when others are given than a resumed run may have, `ModelFileError` when there is no run.
    """
    folder = Path(as_path(args.resume))
    for name in given:
        if name not in MAY_DIFFER:
            raise SettingsError(f"--resume goes on with the run's own settings and text: leave {flag(name)} out")
    try:
        request = json.loads((folder / REQUEST).read_text("utf-8"))
    except FileNotFoundError:
        raise ModelFileError(f"{folder} holds no run that could be resumed: there is no {REQUEST} in it") from None
    except OSError as error:
        raise ModelFileError(f"cannot read {folder / REQUEST}: {error.strerror or error}") from None
    except (ValueError, RecursionError) as error:
        raise ModelFileError(f"cannot read {folder / REQUEST}: {error}") from None
    if not isinstance(request, dict) or any(not isinstance(request.get(name, 0.5), kind) for name, kind in KEPT.items()):
        raise ModelFileError(f"cannot read {folder / REQUEST}: it does not describe a run")
    for name in KEPT:
        setattr(args, name, request[name])
    return folder


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
