"""What a run is to do: its recipe, the new model, and the plan of its training, checked when it is made and nowhere else."""

from __future__ import annotations

from dataclasses import dataclass

from charrnn.model import CharRNN
from charrnn.network.settings import MODEL
from charrnn.recipes import Recipe
from charrnn.text.corpus import Corpus
from charrnn.training.plan import Settings, TrainingPlan


@dataclass(frozen=True)
class RunPlan:
    """A run of `charrnn train`."""

    recipe: Recipe
    model: CharRNN
    training: TrainingPlan

    @classmethod
    def of(cls, recipe: Recipe, settings: Settings, corpus: Corpus, validation: Corpus | None = None) -> RunPlan:
        """The plan of a run on this text. TextError for a text that is too short, SettingsError for what no memory holds."""
        model = CharRNN(**recipe.model, vocabulary=corpus.vocabulary)
        model.recipe = recipe.name or None
        return cls(recipe, model, TrainingPlan.of(model.settings, settings, corpus, validation))

    def in_full(self) -> Recipe:
        """Every setting of the run, defaults included, as a recipe of its own."""
        network = {name: getattr(self.model.settings, name) for name in MODEL}
        training = dict(vars(self.training.settings))
        del training["updates"], training["epochs"]
        epochs = self.training.settings.epochs
        length = {"updates": self.training.updates} if epochs is None else {"epochs": epochs}
        return Recipe(self.recipe.name, self.recipe.description, self.recipe.source, network, length | training)
