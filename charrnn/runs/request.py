"""What a run's folder keeps of the request for it, so that `charrnn train --resume RUN` needs nothing else said: run.json."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from charrnn import arguments
from charrnn.errors import ModelFileError, SettingsError, TextError
from charrnn.runs.folder import COPY, REQUEST
from charrnn.text.corpus import Corpus, read_corpus
from charrnn.text.source import TextSource, copy_of, is_read_once
from charrnn.training.checkpoint import interval

OWN: dict[str, Any] = {
    "validation": (str, type(None)),
    "log_every": (int, type(None)),
    "checkpoint_every": str,
    "keep": int,
    "description": str,
}
KINDS = {"text": list, "encoding": str, "raw_bytes": bool} | OWN  # of what run.json holds
SHORTEST_VALIDATION = 64  # characters: the loss of fewer says nothing


@dataclass(frozen=True)
class Request:
    """A run's text, what of it (a part such as "0.1", or a file) is for validation, and how often what is written.

    log_every: updates between two lines of metrics. checkpoint_every, keep: see `CharRNN.train`. description: of the text.
    """

    source: TextSource = field(default_factory=TextSource)
    validation: str | None = None
    log_every: int | None = None
    checkpoint_every: str = "1m"
    keep: int = 3
    description: str = ""

    def check(self) -> Request:
        """SettingsError for what can be refused before the text is read; returns self."""
        if self.log_every is not None:
            arguments.whole_number("log_every", self.log_every)
        interval(self.checkpoint_every)
        arguments.whole_number("keep", self.keep)
        return self

    @property
    def files(self) -> list[str]:
        """All that is read."""
        return [*self.source.paths, *([self.validation] if self.validation else [])]

    def split(self, whole: Corpus) -> tuple[Corpus, Corpus | None]:
        """The text to train on, and the one for validation."""
        if self.validation is None:
            return whole, None
        try:
            part = float(self.validation)
        except ValueError:
            if is_read_once(self.validation):
                raise SettingsError(
                    f"validation must be a part of the text, or a file that a resumed run can read again, got {self.validation}"
                ) from None
            training = whole
            validation = read_corpus([self.validation], self.source.encoding, self.source.raw_bytes, whole.vocabulary)
        else:
            if not 0 < part < 1:
                raise SettingsError(f"validation must be a part of the text between 0 and 1, or a file, got {part:g}")
            border = len(whole) - round(part * len(whole))
            training, validation = whole.part(0, border), whole.part(border, len(whole))
        if len(validation) < SHORTEST_VALIDATION:
            raise TextError(f"{validation.name} is too short: validation needs {SHORTEST_VALIDATION} characters, got {len(validation)}")
        return training, validation

    def kept(self, folder: Path, whole: Corpus) -> Request:
        """The request as a run that is resumed from anywhere needs it: a text that can be read only once is copied into the folder."""
        source, validation = self.source.absolute(), self.validation
        if self.source.is_read_once:
            source = TextSource((copy_of(whole, folder / COPY),), raw_bytes=self.source.raw_bytes)
        if validation is not None and not _is_number(validation):
            validation = os.path.abspath(validation)
        return replace(self, source=source, validation=validation, description=whole.description)

    def to_json(self) -> str:
        """The content of run.json."""
        return json.dumps(self.source.plain() | {name: getattr(self, name) for name in OWN}, indent=1) + "\n"

    @classmethod
    def load(cls, folder: Path) -> Request:
        """The request in a run's folder; ModelFileError when there is no run."""
        path = folder / REQUEST
        try:
            found = json.loads(path.read_text("utf-8"))
        except FileNotFoundError:
            raise ModelFileError(f"{folder} holds no run that could be resumed: there is no {REQUEST} in it") from None
        except OSError as error:
            raise ModelFileError(f"cannot read {path}: {error.strerror or error}") from None
        except (ValueError, RecursionError) as error:
            raise ModelFileError(f"cannot read {path}: {error}") from None
        if not isinstance(found, dict) or any(not isinstance(found.get(name, 0.5), kind) for name, kind in KINDS.items()):
            raise ModelFileError(f"cannot read {path}: it does not describe a run")
        return cls(TextSource.of(found), **{name: found[name] for name in OWN})


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
