"""What a run is to do, checked here and nowhere else: its settings before anything is read, then all that depends on the text."""

from __future__ import annotations

from dataclasses import dataclass, replace

from charrnn.model import CharRNN
from charrnn.recipes import MODEL, Recipe
from charrnn.text.corpus import Corpus
from charrnn.training.settings import Settings
from charrnn.training.trainer import check_memory


def checked_settings(recipe: Recipe) -> Settings:
    """The settings of a recipe's training; SettingsError for the first that makes no sense."""
    return Settings(**recipe.training).check()


@dataclass(frozen=True)
class RunPlan:
    """A run: its recipe, the new model, the checked settings, the texts, and the total number of updates."""

    recipe: Recipe
    model: CharRNN
    settings: Settings
    corpus: Corpus
    validation: Corpus | None
    total: int

    @classmethod
    def of(cls, recipe: Recipe, settings: Settings, model: CharRNN, corpus: Corpus, validation: Corpus | None = None) -> RunPlan:
        """The plan of a run whose settings are checked. TextError for a text that is too short, SettingsError for too large sizes."""
        corpus.require_window(settings.seq_length, settings.batch_size)
        total = settings.total(len(corpus) // settings.batch_size)
        check_memory(model.hidden_size, len(corpus.vocabulary), settings, model.dtype, total)
        if settings.epochs is None:
            settings = replace(settings, updates=total)
        model.recipe = recipe.name or None
        return cls(recipe, model, settings, corpus, validation, total)

    def in_full(self) -> Recipe:
        """Every setting of the run, defaults included, as a recipe of its own."""
        network = {name: getattr(self.model, name) for name in MODEL} | {"dtype": self.model.dtype.name}
        training = dict(vars(self.settings))
        del training["updates"], training["epochs"]
        length = {"updates": self.total} if self.settings.epochs is None else {"epochs": self.settings.epochs}
        return Recipe(self.recipe.name, self.recipe.description, self.recipe.source, network, length | training)
