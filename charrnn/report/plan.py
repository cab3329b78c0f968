"""What a report is to be: everything that its making depends on, as parts/plan.json keeps it."""

from __future__ import annotations

import os
from collections.abc import Collection
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, NamedTuple

from charrnn.errors import SettingsError
from charrnn.files.owned import read, write
from charrnn.files.schema import dumps, loads
from charrnn.network.settings import NetworkSettings
from charrnn.recipes import Recipe
from charrnn.report.partschema import checked
from charrnn.runs.plan import RunPlan
from charrnn.runs.request import Request, is_part
from charrnn.text.corpus import Corpus
from charrnn.text.source import TextSource
from charrnn.training.plan import Settings
from charrnn.version import __version__


class Named(NamedTuple):
    """What a report's page is called, who wrote it, and what is validated on."""

    title: str | None = None
    author: str | None = None
    validation: str | None = None

    def absolute(self) -> Named:
        """The same from whichever folder the validation text is read."""
        file = self.validation is not None and not is_part(self.validation)
        return self._replace(validation=os.path.abspath(str(self.validation))) if file else self


NAMELESS = Named()


@dataclass(frozen=True)
class Plan:
    """The plan of one report.

    charrnn: the version that began it. recipe: its TOML, and name, which the TOML need not hold. command: the line that makes the same
    report. seconds: what its making took so far. fingerprint, described: of the text that was read. title, author: of the page, if they
    were given. validation: a part of the text, such as "0.1", or a file.
    """

    charrnn: str
    recipe: str
    name: str
    text: TextSource
    command: str
    seconds: float = 0.0
    fingerprint: str = ""
    described: str = ""
    title: str | None = None
    author: str | None = None
    validation: str | None = None

    @classmethod
    def new(cls, recipe: Recipe, text: TextSource, command: str, named: Named) -> Plan:
        """The plan of a report that nothing is done of yet."""
        title, author, validation = named.absolute()
        place = text.absolute()
        return cls(__version__, recipe.to_toml(), recipe.name, place, command, title=title, author=author, validation=validation)

    @classmethod
    def load(cls, folder: Path) -> Plan:
        """The plan of the report in a folder; SettingsError where there is none, or another version's."""
        try:
            found = checked("plan", loads(read(folder / "parts" / "plan.json")))
            optional: dict[str, Any] = dict.fromkeys(Named._fields) | found
            plan = cls(**{field.name: optional[field.name] for field in fields(cls)} | {"text": TextSource.of(found["text"])})
        except (OSError, ValueError, KeyError, TypeError):
            raise SettingsError(f"there is no report in {folder} to be finished; leave out --resume to make one") from None
        if plan.charrnn != __version__:
            raise SettingsError(
                f"the report in {folder} was begun by charrnn {plan.charrnn}, this is {__version__}; make it anew "
                "with --force instead of --resume"
            )
        return plan

    def require_same(self, recipe: Recipe, folder: Path) -> None:
        """SettingsError for a recipe that makes no sense, or is not that of the report in the folder."""
        checked_runs(recipe)
        if recipe.to_toml() != self.recipe:
            raise SettingsError(f"the report in {folder} has other settings than those now given; leave them out, or give another --out")

    def run_plan(self, recipe: Recipe, settings: Settings, whole: Corpus) -> RunPlan:
        """The plan of one run, on what is left of the text for training; the errors are those of `charrnn train --validation`."""
        parts = Request(self.text, self.validation).parts(whole, settings.split, recipe.model.get("seed", 0))
        return RunPlan.of(recipe, settings, parts)

    def save(self, folder: Path) -> None:
        """Write it into the report's folder."""
        write_json(folder / "parts" / "plan.json", vars(self) | {"text": self.text.plain()})


def checked_runs(recipe: Recipe) -> list[tuple[Recipe, Settings]]:
    """Each run with its settings, checked before the recipe is written as TOML, whose errors would be of the writing."""
    for run in recipe.runs():
        NetworkSettings(**run.model)
    return [(run, Settings(**run.training)) for run in recipe.runs()]


def with_options(recipe: Recipe, given: Collection[str]) -> Recipe:
    """The recipe without the overrides in its grid of what options have set, and with every run only once."""
    fixed = set(given) | ({"updates", "epochs"} if {"updates", "epochs"} & set(given) else set())
    left = [{key: value for key, value in overrides.items() if key not in fixed} for overrides in recipe.grid]
    grid = [overrides for i, overrides in enumerate(left) if overrides not in left[:i]]
    return replace(recipe, grid=[] if grid == [{}] else grid)


def write_json(path: Path, value: dict[str, Any]) -> None:
    """A JSON file, whole or not at all."""
    write(path, dumps(value, indent=1))
