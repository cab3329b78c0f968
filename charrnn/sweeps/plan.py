"""Which runs a sweep has: every setting of each, its folder's name, and how far it goes before it is compared."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from charrnn.errors import CharRNNError
from charrnn.network.settings import NetworkSettings
from charrnn.recipes import Recipe
from charrnn.recipes.search import Search
from charrnn.runs.plan import in_full
from charrnn.text.corpus import Corpus
from charrnn.training.plan import Settings, TrainingPlan
from charrnn.version import __version__


@dataclass(frozen=True)
class Planned:
    """One run: what is special about it, the recipe with every setting, its updates, and those between two validations.

    key: a hash of all settings and both texts, which names the run's folder.
    """

    key: str
    overrides: dict[str, Any]
    recipe: Recipe
    updates: int
    every: int

    @property
    def label(self) -> str:
        """What is special about it, in words."""
        return " ".join(f"{name}={plain(value)}" for name, value in self.overrides.items())

    @property
    def settings(self) -> dict[str, Any]:
        """What `train_run` is given."""
        return {"charrnn": __version__, "recipe": asdict(self.recipe), "updates": self.updates}

    def until(self, share: float) -> int | None:
        """The validation that is nearest to this share of the run; None for its end."""
        return None if share >= 1 else min(self.updates, max(1, round(share * self.updates / self.every)) * self.every)


def planned(recipe: Recipe, corpus: Corpus, validation: Corpus) -> list[Planned]:
    """Every run of the sweep, each once; the error of the first one that makes no sense says which it is."""
    found: dict[str, Planned] = {}
    for overrides in recipe.candidates():
        run = recipe.run(overrides)
        try:
            network, settings = NetworkSettings(**run.model), Settings(**run.training)
            plan = TrainingPlan.of(network, settings, corpus, validation)
        except CharRNNError as error:
            raise type(error)(f"run {run.name}: {error}") from None
        whole = in_full(run, network, plan)
        key = key_of(whole, [corpus.fingerprint, validation.fingerprint])
        assert plan.settings.validate_every is not None
        found.setdefault(key, Planned(key, overrides, whole, plan.updates, plan.settings.validate_every))
    return list(found.values())


def key_of(recipe: Recipe, texts: Sequence[str]) -> str:
    """The name of a run's folder; recipe: with every setting, texts: the fingerprints."""
    content = json.dumps([recipe.model, recipe.training, list(texts)], sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()[:12]


def rungs(recipe: Recipe, runs: int) -> list[tuple[float, int]]:
    """(share of its updates that a run has done, how many runs go so far) for each comparison.

    >>> [(round(share, 2), count) for share, count in rungs(Recipe("mine", search={"method": "halving"}), 24)]
    [(0.11, 24), (0.33, 8), (1.0, 2)]
    """
    search = Search.of(recipe.search)
    return [(share, max(1, runs // search.factor**i)) for i, share in enumerate(search.shares(runs))]


def plain(value: Any) -> str:
    """A setting as labels and tables have it."""
    return "none" if value is None else f"{value:g}" if isinstance(value, float) else str(value)
