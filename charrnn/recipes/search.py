"""The [search] table of a recipe: what `charrnn sweep` tries where that is not every combination of a grid.

[search]
method = "halving"      # or "random", "grid"; by default random where there is a space, else grid
runs = 24               # how many settings are drawn from the space
seed = 0                # of the drawing
factor = 3              # halving: one in three goes on, three times as far
rungs = 3               # halving: how often the runs are compared (default: until one is left)
[search.space]
cell = ["rnn", "lstm"]                                  # one of these
hidden_size = { low = 32, high = 256, log = true }      # both ends whole: a whole number
learning_rate = { low = 0.001, high = 0.1, log = true } # evenly in the logarithm
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from charrnn import arguments
from charrnn.errors import SettingsError, brief
from charrnn.network.settings import MODEL
from charrnn.training.plan import TRAINING

METHODS = ("grid", "random", "halving")
MOST_RUNS = 1000
DIGITS = 4  # significant ones of a drawn number: its name is to be read


@dataclass(frozen=True)
class Search:
    """A checked [search] table. Raises `SettingsError`.

    >>> search = Search.of({"runs": 2, "space": {"cell": ["rnn", "gru"], "learning_rate": {"low": 0.001, "high": 0.1, "log": True}}})
    >>> search.method, search.draws()
    ('random', [{'cell': 'gru', 'learning_rate': 0.003464}, {'cell': 'gru', 'learning_rate': 0.001208}])
    """

    method: str = "grid"
    runs: int | None = None
    seed: int = 0
    factor: int = 3
    rungs: int | None = None
    space: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, table: Any) -> Search:
        """From what a TOML file holds."""
        if not isinstance(table, dict):
            raise SettingsError(f"[search] must be a table, got {brief(table)}")
        for key in table:
            arguments.one_of("setting in [search]", key, ("method", "runs", "seed", "factor", "rungs", "space"))
        space = table.get("space", {})
        if not isinstance(space, dict):
            raise SettingsError(f"[search.space] must be a table, got {brief(space)}")
        for name, values in space.items():
            _check_values(name, values)
        method = arguments.one_of("[search] method", table.get("method", "random" if space else "grid"), METHODS)
        if method == "random" and not space:
            raise SettingsError("[search] method random draws from a [search.space], which is missing")
        if method == "grid" and space:
            raise SettingsError("[search] method grid takes the combinations of a [grid]: leave [search.space] out, or take random")
        if bool(space) != ("runs" in table):
            raise SettingsError("[search] runs says how many settings are drawn from [search.space]: give both, or neither")
        if method != "halving" and (found := [name for name in ("factor", "rungs") if name in table]):
            raise SettingsError(f'[search] {found[0]} belongs to method = "halving", got {method!r}')
        return cls(
            method,
            arguments.whole_number("[search] runs", table["runs"], at_most=MOST_RUNS) if space else None,
            arguments.whole_number("[search] seed", table.get("seed", 0), at_least=0),
            arguments.whole_number("[search] factor", table.get("factor", 3), at_least=2),
            arguments.whole_number("[search] rungs", table["rungs"]) if "rungs" in table else None,
            space,
        )

    def draws(self) -> list[dict[str, Any]]:
        """The settings of each run, all different; more runs from the same seed begin with the same ones."""
        rng, found = np.random.Generator(np.random.PCG64(self.seed)), list[dict[str, Any]]()
        for _ in range(100 * (self.runs or 0)):
            one = {name: _drawn(values, rng) for name, values in self.space.items()}
            if one not in found:
                found.append(one)
            if len(found) == self.runs:
                return found
        raise SettingsError(f"[search.space] holds only {len(found)} different settings, [search] runs asks for {self.runs}")

    def shares(self, runs: int) -> list[float]:
        """The part of its updates that each run has done when they are compared: for halving once a rung, else at the end.

        >>> [round(share, 2) for share in Search("halving").shares(24)]
        [0.11, 0.33, 1.0]
        """
        if self.method != "halving":
            return [1.0]
        rungs = self.rungs or 1 + int(math.log(runs) / math.log(self.factor) + 1e-9)
        return [1.0 / self.factor**rung for rung in reversed(range(rungs))]


def _check_values(name: str, values: Any) -> None:
    """SettingsError for what no value can be drawn from."""
    arguments.one_of("setting in [search.space]", name, MODEL + TRAINING)
    if isinstance(values, list) and values:
        return
    if not isinstance(values, dict) or not {"low", "high"} <= values.keys() <= {"low", "high", "log"}:
        wanted = "a list of values or a range { low = ..., high = ..., log = true }"
        raise SettingsError(f"[search.space] {name} must be {wanted}, got {brief(values)}")
    log = arguments.yes_or_no(f"[search.space] {name}: log", values.get("log", False))
    low = arguments.number(f"[search.space] {name}: low", values["low"], above=0 if log else -math.inf)
    arguments.number(f"[search.space] {name}: high", values["high"], above=low)


def _drawn(values: Any, rng: np.random.Generator) -> Any:
    """One value of a list or a range."""
    if isinstance(values, list):
        value = values[int(rng.integers(len(values)))]
        return None if value == "none" else value
    low, high = values["low"], values["high"]
    part = float(rng.random())
    whole = isinstance(low, int) and isinstance(high, int)
    log = values.get("log", False)
    found = low * (high / low) ** part if log else low + (high + whole - low) * part  # every whole number is as likely as the others
    if whole:
        return min(high, round(found) if log else int(found))
    return min(max(float(f"{found:.{DIGITS}g}"), low), high)
