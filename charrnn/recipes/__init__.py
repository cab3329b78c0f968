"""Recipes: settings with a name, one small TOML file each, in this folder or anywhere else.

    name = "mine"                       # by default the file's name
    description = "what it is for"
    source = "where the settings come from"
    [model]                             # arguments of CharRNN
    hidden_size = 100
    [training]                          # arguments of CharRNN.train; "none" for None
    learning_rate = 0.1
    clip = "none"
    [grid]                              # several runs: every combination of these values ...
    learning_rate = [0.01, 0.1]
    [[grid]]                            # ... or, instead, one table per run
    seq_length = 20
    [search]                            # how `charrnn sweep` searches: see `charrnn.recipes.search`
    [gradcheck]                         # how the report checks the gradients
    [report]                            # what else the report does

Every table may be left out, and everything in it.
"""

from __future__ import annotations

import codecs
import itertools
import json
import math
import os
import stat
import tomllib
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from charrnn import arguments
from charrnn.errors import SettingsError, brief
from charrnn.files.atomic import as_path
from charrnn.network.settings import MODEL, NetworkSettings
from charrnn.recipes.search import MOST_RUNS, Search
from charrnn.training.plan import TRAINING, Settings

GRADCHECK = ("hidden_sizes", "seq_length", "h")
REPORT = ("pytorch",)
TABLES = {"model": MODEL, "training": TRAINING, "gradcheck": GRADCHECK, "report": REPORT}
AUTO = "auto"  # no file, but the settings that `charrnn.recipes.auto` chooses
TEXTS = ("name", "description", "source")
FOLDER = Path(__file__).parent
LONGEST = 1 << 20  # bytes of a recipe's file
MARKS = {codecs.BOM_UTF8: "utf-8-sig", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}  # as Windows' tools write them


@dataclass(frozen=True)
class Recipe:
    """Settings with a name: arguments of `CharRNN` and of its `train`, for a grid the overrides of each run, and how a sweep searches.

    >>> load_recipe("report-003").runs()[1].training["epochs"]
    20
    """

    name: str
    description: str = ""
    source: str = ""
    model: dict[str, Any] = field(default_factory=dict)
    training: dict[str, Any] = field(default_factory=dict)
    grid: list[dict[str, Any]] = field(default_factory=list)
    gradcheck: dict[str, Any] = field(default_factory=dict)
    report: dict[str, Any] = field(default_factory=dict)
    search: dict[str, Any] = field(default_factory=dict)

    def runs(self) -> list[Recipe]:
        """A recipe of a single run for each of the grid's overrides, or this one where there is no grid."""
        return [self.run(overrides) for overrides in self.grid] or [self]

    def candidates(self) -> list[dict[str, Any]]:
        """The overrides of each run of a sweep: those of the grid, or as many as [search] draws; SettingsError where there are none."""
        search = Search.of(self.search)
        found = search.draws() if search.space else self.grid
        if not found:
            raise SettingsError(f"recipe {self.name} has nothing to compare: give it a [grid] or a [search.space]")
        return found

    def run(self, overrides: dict[str, Any]) -> Recipe:
        """The recipe of one run, named by what is special about it: "report-003 epochs=20"."""
        training = dict(self.training)
        if overrides.keys() & {"updates", "epochs"}:  # two names of one setting
            training = {k: v for k, v in training.items() if k not in ("updates", "epochs")}
        special = " ".join(f"{key}={_plain(value)}" for key, value in overrides.items())
        return Recipe(
            f"{self.name} {special}".strip(),
            self.description,
            self.source,
            self.model | {k: v for k, v in overrides.items() if k in MODEL},
            training | {k: v for k, v in overrides.items() if k in TRAINING},
            [],
            self.gradcheck,
            self.report,
        )

    def to_toml(self) -> str:
        """The recipe as the text of a file; `load_recipe` reads it back.

        >>> print(Recipe("mine", model={"hidden_size": 50}, training={"clip": None}).to_toml())
        name = "mine"
        <BLANKLINE>
        [model]
        hidden_size = 50
        <BLANKLINE>
        [training]
        clip = "none"
        <BLANKLINE>
        """
        whole = asdict(self)
        lines = [f"{key} = {_toml(whole[key])}" for key in TEXTS if whole[key] or key == "name"]  # none is not the file's
        tables = [(f"[{name}]", whole[name]) for name in (*TABLES, "search") if whole[name]]
        for head, table in [*tables, *(("[[grid]]", overrides) for overrides in self.grid)]:
            lines += ["", head, *(f"{key} = {_toml(value)}" for key, value in table.items())]
        return "\n".join(lines) + "\n"


def names() -> list[str]:
    """The recipes that come with charrnn.

    >>> "dd2424-2017" in names()
    True
    """
    return sorted(path.stem for path in FOLDER.glob("*.toml"))


def load_recipe(name: str | os.PathLike[str]) -> Recipe:
    """The recipe of that name, or in the file of that name if it ends in .toml.

    Raises `SettingsError` for an unknown name (with the nearest ones), a file that cannot be read or is no TOML, and
    tables, settings or values that do not exist.

    >>> load_recipe("dd2424-2025").training["optimizer"]
    'adam'
    """
    return from_toml(text_of(name), Path(as_path(name)).stem, as_path(name))


def text_of(name: str | os.PathLike[str]) -> str:
    """The text of a recipe's file, as `load_recipe` finds it: UTF-8, or what Windows writes (a byte-order mark, UTF-16)."""
    path = Path(as_path(name))
    if os.fspath(name) == AUTO:
        raise SettingsError(
            "recipe auto is chosen for a text and a time, by `charrnn train TEXT --recipe auto --time 10m` alone; "
            "name the recipe.toml in the folder of such a run"
        )
    if path.suffix != ".toml":
        path = FOLDER / f"{arguments.one_of('recipe', os.fspath(name), names())}.toml"
    try:
        found = path.stat()  # before opening it: to open a pipe would wait for its other end
        if stat.S_ISREG(found.st_mode) and found.st_size > LONGEST:
            raise ValueError(f"it has {found.st_size:,} bytes, the limit is {LONGEST:,}")
        if not (stat.S_ISREG(found.st_mode) or stat.S_ISDIR(found.st_mode)):
            raise ValueError("it is a pipe or device, not a file")
        data = path.read_bytes()
        return data.decode(next((encoding for mark, encoding in MARKS.items() if data.startswith(mark)), "utf-8"))
    except FileNotFoundError:
        raise SettingsError(f"there is no recipe file {name}; charrnn's own recipes are {', '.join(names())}") from None
    except (OSError, ValueError) as error:
        raise SettingsError(f"recipe {name} cannot be read: {getattr(error, 'strerror', None) or error}") from None


def from_toml(text: str, name: str, origin: str) -> Recipe:
    """A recipe from the text of its file; errors speak of it as `origin`."""
    try:
        found = tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # also for numbers of thousands of digits
        raise SettingsError(f"recipe {origin} is no TOML: {error}") from None
    try:
        return _checked(found, name)
    except SettingsError as error:
        raise SettingsError(f"recipe {origin}: {error}") from None


def _checked(found: dict[str, Any], name: str) -> Recipe:
    for key in found:
        if table := next((table for table, settings in TABLES.items() if key in settings), ""):
            raise SettingsError(f"{key} is outside its table: write it below [{table}]")
        arguments.one_of("entry", key, (*TEXTS, *TABLES, "grid", "search"))
    for key in TEXTS:
        if not isinstance(found.get(key, ""), str):
            raise SettingsError(f"{key} must be a text in quotes, got {brief(found[key])}")
    tables = {key: _table(f"[{key}]", found.get(key, {}), known) for key, known in TABLES.items()}
    _check_gradcheck(tables["gradcheck"])
    arguments.yes_or_no("[report] pytorch", tables["report"].get("pytorch", False))
    grid, search = _grid(found.get("grid", [])), found.get("search", {})
    if Search.of(search).space and grid:
        raise SettingsError("give a [grid] or a [search.space], not both: its settings can stand in the space as lists")
    recipe = Recipe(found.get("name", name), found.get("description", ""), found.get("source", ""), grid=grid, search=search, **tables)
    for run in [recipe, *recipe.runs()]:
        NetworkSettings(**run.model)
        Settings(**run.training)
    return recipe


def _table(head: str, table: Any, known: tuple[str, ...]) -> dict[str, Any]:
    if not isinstance(table, dict):
        raise SettingsError(f"{head} must be a table, got {brief(table)}")
    for key in table:
        arguments.one_of(f"setting in {head}", key, known)
    return {key: None if value == "none" else value for key, value in table.items()}


def _check_gradcheck(table: dict[str, Any]) -> None:
    """SettingsError for what the gradient check of a report would fail over, long after its training had begun."""
    if "hidden_sizes" in table:
        sizes = table["hidden_sizes"]
        if not isinstance(sizes, list) or not sizes or len(sizes) > MOST_RUNS:
            raise SettingsError(
                f"[gradcheck] hidden_sizes must be a list of 1 to {MOST_RUNS:,} whole numbers, such as [5, 10], got {brief(sizes)}"
            )
        for size in sizes:
            arguments.whole_number("[gradcheck] hidden_sizes", size)
    if "seq_length" in table:
        arguments.whole_number("[gradcheck] seq_length", table["seq_length"])
    if table.get("h") is not None:
        arguments.number("[gradcheck] h", table["h"], above=0)


def _grid(grid: Any) -> list[dict[str, Any]]:
    """The overrides of each run: from a list of tables, or as every combination of one table's lists."""
    known = MODEL + TRAINING
    if isinstance(grid, list):
        _check_count("[[grid]]", len(grid))
        return [_table("[[grid]]", table, known) for table in grid]
    for key, values in _table("[grid]", grid, known).items():
        if not isinstance(values, list) or not values:
            raise SettingsError(f"[grid] {key} must be a list of values, got {brief(values)}")
    _check_count("[grid]", math.prod(map(len, grid.values())))  # before they are made
    runs = (dict(zip(grid, values, strict=True)) for values in itertools.product(*grid.values()))
    return [_table("[grid]", run, known) for run in runs] if grid else []


def _check_count(head: str, runs: int) -> None:
    if runs > MOST_RUNS:
        raise SettingsError(f"{head} makes {brief(runs, ',')} runs, at most {MOST_RUNS:,} are possible")


def _plain(value: Any) -> str:
    return "none" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def _toml(value: Any) -> str:
    if value is None:
        return '"none"'
    if isinstance(value, list):
        return f"[{', '.join(map(_toml, value))}]"
    if isinstance(value, dict):
        return f"{{ {', '.join(f'{key} = {_toml(each)}' for key, each in value.items())} }}"
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
