"""What a run's folder keeps of the request for it, so that `charrnn train --resume RUN` needs nothing else said: run.json."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from charrnn import arguments
from charrnn.errors import ModelFileError, SettingsError, TextError, brief
from charrnn.files import owned
from charrnn.files.atomic import why
from charrnn.files.schema import RUN, loads
from charrnn.runs.folder import COPY, REQUEST
from charrnn.text.corpus import Corpus, read_corpus
from charrnn.text.source import TextSource, copy_of, is_read_once
from charrnn.text.split import SPLITS, Parts, held_out, split
from charrnn.training.checkpoint import interval

LONGEST = 1 << 24  # bytes of run.json
OWN = (
    *("validation", "validation_split", "log_every", "checkpoint_every", "keep"),
    *("description", "fingerprint", "relative", "start", "extend_vocabulary"),
)  # what stands in it beside the text's source
SINCE: dict[str, Any] = {
    "validation_split": "end",
    "fingerprint": "",
    "relative": [],
    "start": None,
    "extend_vocabulary": False,
}  # version 2
SHORTEST_VALIDATION = 64  # characters: the loss of fewer says nothing


@dataclass(frozen=True)
class Request:
    """A run's text, what of it is for validation, and how often what is written.

    validation: a part, such as "0.1", or a file; validation_split: how a part is held out, see `charrnn.text.split`. log_every: updates
    between two lines of metrics. checkpoint_every, keep: see `CharRNN.train`. description, fingerprint: of the whole text. relative:
    the text's files as they are found from the run's folder, so that both can be moved together; of the validation file, too, at the
    end. start: the model that training starts from, with the text's characters added to its vocabulary if extend_vocabulary.
    """

    source: TextSource = field(default_factory=TextSource)
    validation: str | None = None
    log_every: int | None = None
    checkpoint_every: str = "1m"
    keep: int = 3
    description: str = ""
    validation_split: str = "end"
    fingerprint: str = ""
    relative: Sequence[str] = ()
    start: str | None = None
    extend_vocabulary: bool = False

    def check(self) -> Request:
        """SettingsError for what can be refused before the text is read; returns self."""
        if self.log_every is not None:
            arguments.whole_number("log_every", self.log_every)
        interval(self.checkpoint_every)
        arguments.whole_number("keep", self.keep)
        arguments.one_of("validation split", self.validation_split, SPLITS)
        if self.validation_split != "end" and self.validation is not None and not is_part(self.validation):
            raise SettingsError("--validation-split says which part to validate on: give --validation PART, such as 0.1")
        return self

    @property
    def files(self) -> list[str]:
        """All that is read."""
        return [*self.source.paths, *([self.validation] if self.validation else []), *([self.start] if self.start else [])]

    def read_again(self, folder: Path, text: TextSource | None = None, allow_other: bool = False) -> tuple[Request, Corpus]:
        """The text of the run in this folder, from wherever it is now, and the request that says so.

        A file is looked for where it is now (text) or, without that, from the run's folder, then at its old place; TextError where none
        of these is the run's text.
        """
        places = [text] if text else [place for place in (self._from(folder), self.source) if place and not place.is_read_once]
        if not places:
            raise TextError(f"the text of the run in {folder} is a pipe now: name it where it is (--resume RUN TEXT)")
        places = [place for place in places if all(map(os.path.exists, place.paths))] or places[-1:]
        for place in places:
            found = place.read()
            if allow_other or self.fingerprint in ("", found.fingerprint):
                return replace(self, source=place, validation=self._validation_from(folder)), found
        raise TextError(
            f"{found.name} is not the text that this run was trained on ({self.description}): its fingerprint is "
            f"{found.fingerprint[:12]}..., the run's {self.fingerprint[:12]}...; name it where it is now, or allow another "
            "(--resume RUN TEXT, --allow-other-text)"
        )

    def _from(self, folder: Path) -> TextSource | None:
        """The text's files as they are found from the run's folder."""
        paths = self.relative[: len(self.source.paths)]
        return replace(self.source, paths=tuple(str(folder / path) for path in paths)) if paths else None

    def _validation_from(self, folder: Path) -> str | None:
        """The file for validation likewise."""
        if self.validation is None or is_part(self.validation) or len(self.relative) <= len(self.source.paths):
            return self.validation
        path = folder / self.relative[-1]
        return str(path) if path.is_file() else self.validation

    def parts(self, whole: Corpus, shares: str | None, seed: int = 0) -> Parts:
        """The texts to train on, for validation and for the test. shares: of the setting `split`; seed: of lines that are shuffled."""
        if shares is not None:
            if self.validation is not None:
                raise SettingsError(f"a split into {shares} has a validation part already: leave out --validation or the split")
            found = split(whole, shares, self.validation_split, seed)
            for held_back in found[1:]:
                _long_enough(held_back)
            return found
        if self.validation is None:
            return Parts(whole)
        if is_part(self.validation):
            part = float(self.validation)
            if not 0 < part < 1:
                raise SettingsError(f"validation must be a part of the text between 0 and 1, or a file, got {part:g}")
            training, validation = held_out(whole, part, self.validation_split, seed)
        elif is_read_once(self.validation):
            raise SettingsError(
                f"validation must be a part of the text, or a file that a resumed run can read again, got {self.validation}"
            )
        else:
            training = whole
            validation = read_corpus([self.validation], self.source.encoding, self.source.raw_bytes, whole.vocabulary)
        _long_enough(validation)
        return Parts(training, validation)

    def kept(self, folder: Path, whole: Corpus) -> Request:
        """The request as a run that is resumed from anywhere needs it: a text that can be read only once is copied into the folder."""
        source, validation = self.source.absolute(), self.validation
        if self.source.is_read_once:
            source = replace(self.source, paths=(copy_of(whole, folder / COPY),), encoding="utf-8")
        if validation is not None and not is_part(validation):
            validation = os.path.abspath(validation)
        paths = [*source.paths, *([validation] if validation and not is_part(validation) else [])]
        found = [_relative(path, folder) for path in paths]
        return replace(
            self,
            source=source,
            validation=validation,
            description=whole.description,
            relative=[path for path in found if path] if all(found) else [],
            start=self.start and os.path.abspath(self.start),
        )

    def plain(self) -> dict[str, Any]:
        """The same as JSON holds it."""
        return self.source.plain() | {name: getattr(self, name) for name in OWN}

    @classmethod
    def of(cls, plain: Mapping[str, Any]) -> Request:
        """The reverse of `plain`."""
        return cls(TextSource.of(plain), **{name: plain[name] for name in OWN})

    def to_json(self) -> str:
        """The content of run.json."""
        return json.dumps(self.plain(), indent=1) + "\n"

    @classmethod
    def load(cls, folder: Path) -> Request:
        """The request in a run's folder; ModelFileError when there is no run."""
        path = folder / REQUEST
        try:
            request = cls.of(SINCE | RUN(loads(owned.read(path, LONGEST), "it"), "it")).check()
            paths = [*request.files, *request.relative]
            if odd := [path for path in paths if "\0" in path] or [path for path in request.source.paths if is_read_once(path)]:
                raise SettingsError(f"a text cannot be read again from {brief(odd[0])}")
            return request
        except FileNotFoundError:
            raise ModelFileError(f"{folder} holds no run that could be resumed: there is no {REQUEST} in it") from None
        except OSError as error:
            raise ModelFileError(f"cannot read {path}: {why(error)}") from None
        except ValueError as error:  # `Mismatch` and SettingsError are some
            raise ModelFileError(f"cannot read {path}, it does not describe a run: {error}") from None


def _relative(path: str, folder: Path) -> str | None:
    """A path as it is found from a folder; None where there is no such way (another drive of Windows')."""
    try:
        return os.path.relpath(path, os.path.realpath(folder))
    except ValueError:
        return None


def _long_enough(held_out: Corpus | None) -> None:
    """TextError for a part whose loss would say nothing."""
    if held_out is not None and len(held_out) < SHORTEST_VALIDATION:
        raise TextError(
            f"{held_out.name} is too short: validation needs {SHORTEST_VALIDATION} characters, got {len(held_out)}; "
            "give a larger part, or none"
        )


def is_part(validation: str) -> bool:
    """Whether validation is a part of the text, such as "0.1", and no file."""
    try:
        float(validation)
    except ValueError:
        return False
    return True
