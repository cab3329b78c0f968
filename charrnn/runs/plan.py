"""What a run is to do: its recipe, the new model, and the plan of its training, checked when it is made and nowhere else."""

from __future__ import annotations

from dataclasses import dataclass, replace

from charrnn.model import CharRNN
from charrnn.network.settings import MODEL, NetworkSettings
from charrnn.recipes import Recipe
from charrnn.text.split import Parts
from charrnn.training.plan import Settings, TrainingPlan


@dataclass(frozen=True)
class RunPlan:
    """A run of `charrnn train`."""

    recipe: Recipe
    model: CharRNN
    training: TrainingPlan

    @classmethod
    def of(cls, recipe: Recipe, settings: Settings, parts: Parts, model: CharRNN | None = None) -> RunPlan:
        """The plan of a run on these texts, of a new model or one that is trained already and has the text's vocabulary.

        TextError for a text that is too short, SettingsError for what no memory holds.
        """
        if model is None:
            model = CharRNN(**recipe.model, vocabulary=parts.training.vocabulary)
            model.recipe = recipe.name or None
        return cls(recipe, model, TrainingPlan.of(model.settings, settings, *parts))

    def in_time(self, seconds: float, settings: Settings, threads: int | None = None) -> RunPlan:
        """The same with as many updates as fit into the time; settings: as they were given."""
        from charrnn.training.pace import fit_to

        return replace(self, training=fit_to(seconds, self.model.network, self.training, settings, threads))

    def in_full(self) -> Recipe:
        """Every setting of the run, defaults included, as a recipe of its own."""
        return in_full(self.recipe, self.model.settings, self.training)


def in_full(recipe: Recipe, network: NetworkSettings, plan: TrainingPlan) -> Recipe:
    """A recipe with every setting, defaults included."""
    model = {name: getattr(network, name) for name in MODEL}
    training = {name: value for name, value in vars(plan.settings).items() if name not in ("updates", "epochs")}
    epochs = plan.settings.epochs
    length = {"updates": plan.updates} if epochs is None else {"epochs": epochs}
    return Recipe(recipe.name, recipe.description, recipe.source, model, length | training)
