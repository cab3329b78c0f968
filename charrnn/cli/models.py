"""Which model MODEL means: a file, the best model of a run, or, while that is not there yet, the newest checkpoint."""

from __future__ import annotations

import os
import sys

from charrnn.errors import ModelFileError
from charrnn.model import CharRNN
from charrnn.runs.folder import CHECKPOINTS, model_in
from charrnn.text.vocabulary import Vocabulary


def model_of(path: str) -> CharRNN:
    """The model; ModelFileError where there is none."""
    file = model_in(path)
    if file == path or os.path.exists(file):
        return CharRNN.load(file)
    from charrnn.training.checkpoint import load_newest

    try:
        found = load_newest(os.path.join(path, CHECKPOINTS))
    except ModelFileError:
        return CharRNN.load(file)  # whose error says what is missing
    model = CharRNN._of(found.network)
    print(f"{path} is not finished: this is its newest checkpoint, after update {found.run.step:,}", file=sys.stderr)
    return model


def as_typed(text: str, vocabulary: Vocabulary) -> str | bytes:
    """What somebody typed or piped, as the model reads it: bytes for a model of bytes; else line ends are LF, if it knows no others."""
    if vocabulary.raw_bytes:
        return os.fsencode(text)
    return text if "\r" in vocabulary else text.replace("\r\n", "\n").replace("\r", "\n")
