"""The text that a model was trained on, as the run's folder knows it."""

from __future__ import annotations

from pathlib import Path

from charrnn.errors import ModelFileError, SettingsError, TextError
from charrnn.runs.execution import numbered
from charrnn.runs.folder import REQUEST
from charrnn.runs.request import Request
from charrnn.text.corpus import Corpus
from charrnn.text.source import TextSource
from charrnn.text.vocabulary import Vocabulary
from charrnn.training.saved import CHECKPOINTS


def run_of(model: str) -> Path | None:
    """The run's folder that a model is, or is in; None for any other file."""
    path = Path(model)
    for folder in (path, path.parent, path.parent.parent if path.parent.name == CHECKPOINTS else path):
        if (folder / REQUEST).is_file():
            return folder
    return None


def text_for(model: str, source: TextSource, vocabulary: Vocabulary | None = None, name: str = "TEXT") -> Corpus:
    """The text that was named or, if none was, the one that the model's run was trained on: the whole of it, validation included.

    name: what the text is called where it is named. Raises `SettingsError` where neither is known, `TextError` where the run's text is
    another one now.
    """
    if source.paths:
        return source.read(vocabulary)
    folder = run_of(model)
    if folder is None:
        raise SettingsError(f"which text? {model} is no run's folder, which would say: give {name} as well")
    try:
        request, whole = Request.load(folder).read_again(folder)
    except ModelFileError as error:
        raise SettingsError(f"which text? {error}: give {name} as well") from None
    except TextError as error:
        raise TextError(f"{str(error).partition('; name it')[0]}; give {name} as well") from None
    return whole if vocabulary is None else numbered(whole, request.source, vocabulary)
