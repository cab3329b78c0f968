"""What a training run leaves to be looked at: losses, samples, validation and the best model."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from charrnn.network.arrays import Array
from charrnn.training.best import MEAN, SETTLED, SMOOTH, mean_at, means_of, overfitting

if TYPE_CHECKING:
    from charrnn.display.plots import Axes

Loss = TypeVar("Loss", float, Array)


@dataclass(frozen=True)
class Sample:
    """A passage drawn before update `step`; the smooth loss then, also in nats per character."""

    step: int
    epoch: int
    smooth_loss: float
    loss_per_char: float
    text: Any  # str, or bytes for a model of raw bytes


SMOOTH_OF_SAMPLE = ("smooth_loss", "loss_per_char")  # which are NaN before the first update


def _loss(kept: float | None) -> float:
    """A loss from JSON, which has no number for NaN."""
    return math.nan if kept is None else kept


@dataclass(frozen=True)
class Validation:
    """The validation or test loss (nats per character) after update `step`, `seconds` of training after the start."""

    step: int
    loss: float
    seconds: float


@dataclass
class History:
    """The course of one call of `CharRNN.train`.

    Attributes:
        loss, smooth_loss: (updates,), in the unit of loss_reduction: nats per window ("sum") or per character
            ("mean"). loss_per_char and smooth_loss_per_char are always nats per character.
        gradient_norm: (updates,), the Euclidean norm of each update's gradient before it is clipped; NaN in runs without clip_norm.
        first_step: the number of the first update; update i has the number first_step + i.
        expected_first_loss: that of a uniform prediction, in the unit of loss.
        samples, validation: lists of `Sample` and `Validation`.
        test: the `Validation` of the best model on the test part, if there is one and the run is finished.
        epoch_steps: the first update of each epoch.
        best: a `CharRNN`: the model after update best_step, where the loss that best_by names was lowest (best_loss_per_char): the
            validation loss if there is one, else shown_loss. best_smooth_loss: the lowest smooth loss.
        planned: the planned number of updates.
        seconds: the training time.
        interrupted, stopped_by: whether a signal ended the run, and the signal's number.
        rescues: the updates after which the learning rate was halved (`rescue`).
        notes: other events, in words.

    >>> from charrnn import CharRNN
    >>> history = CharRNN(hidden_size=8, vocabulary="ab").train("abab" * 20, updates=3, seq_length=5, progress=False)
    >>> history.loss.shape, round(float(history.loss[0]), 2), round(float(history.loss_per_char[0]), 2)
    ((3,), 3.47, 0.69)
    """

    first_step: int
    characters_per_window: int
    loss_reduction: str
    expected_first_loss: float
    loss: Array = field(default_factory=lambda: np.empty(0))
    smooth_loss: Array = field(default_factory=lambda: np.empty(0))
    gradient_norm: Array = field(default_factory=lambda: np.empty(0))
    samples: list[Sample] = field(default_factory=list)
    validation: list[Validation] = field(default_factory=list)
    test: Validation | None = None
    epoch_steps: list[int] = field(default_factory=list)  # the updates that began an epoch
    best_step: int = 0
    best_loss_per_char: float = math.inf
    best_by: str = SMOOTH
    best_smooth_loss: float = math.inf
    best: Any = None
    seconds: float = 0.0
    interrupted: bool = False
    stopped_by: int = 0  # the number of the signal that interrupted it
    rescues: list[int] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    planned: int = 0

    def __len__(self) -> int:
        return len(self.loss)

    @property
    def steps(self) -> Array:
        """The number of each update."""
        return np.arange(self.first_step, self.first_step + len(self))

    def per_char(self, loss: Loss) -> Loss:
        """A loss of this run, or an array of them, in nats per character."""
        return loss if self.loss_reduction == "mean" else loss / self.characters_per_window

    @property
    def loss_per_char(self) -> Array:
        """Nats per character of each window."""
        return self.per_char(self.loss)

    @property
    def smooth_loss_per_char(self) -> Array:
        """Smooth loss in nats per character, after each update."""
        return self.per_char(self.smooth_loss)

    @property
    def mean_loss(self) -> Array:
        """(updates,): the mean loss of the last tenth of the windows, at least 20, after each update; in the unit of loss."""
        return means_of(self.loss)

    @property
    def shown_name(self) -> str:
        """What shown_loss is: in a run of fewer than 5,000 updates the mean, for the smooth loss still remembers the first one there."""
        return MEAN if self.planned < SETTLED else SMOOTH

    @property
    def shown_loss(self) -> Array:
        """(updates,): the loss that bars, curves and reports show: mean_loss in short runs, else smooth_loss; in the unit of loss."""
        return self.mean_loss if self.planned < SETTLED else self.smooth_loss

    @property
    def shown_loss_per_char(self) -> Array:
        """shown_loss in nats per character."""
        return self.per_char(self.shown_loss)

    @property
    def shown_now(self) -> float:
        """The last of shown_loss, without making the others."""
        return mean_at(self.loss, len(self)) if self.planned < SETTLED else float(self.smooth_loss[-1])

    def shown_before(self, step: int) -> float:
        """shown_loss before update `step`, nats per character; NaN before the first update of this run."""
        done = step - self.first_step
        if done <= 0:
            return math.nan
        return self.per_char(mean_at(self.loss, done) if self.planned < SETTLED else float(self.smooth_loss[done - 1]))

    @property
    def test_words(self) -> str:
        """What the test found, in words; "" where there was none."""
        if self.test is None:
            return ""
        return f"test loss {self.test.loss:.4f} nats per character, of the best model by {self.best_by}, after update {self.test.step:,}"

    @property
    def overfitting(self) -> str:
        """In words, where the validation loss has risen since it was lowest while the training loss fell; else ""."""
        return overfitting(self.per_char(self.mean_loss), [(v.step, v.loss) for v in self.validation], self.first_step)

    @property
    def best_smooth_loss_per_char(self) -> float:
        """The lowest smooth loss, nats per character."""
        return self.per_char(self.best_smooth_loss)

    @property
    def characters_per_second(self) -> float:
        """Characters trained on per second of the loop, samples and validation included."""
        return len(self) * self.characters_per_window / self.seconds if self.seconds else 0.0

    def plain(self) -> dict[str, Any]:
        """Everything but the losses and the best model, as JSON can hold it; samples of raw bytes as Latin-1 text."""
        samples = [asdict(sample) for sample in self.samples]
        for sample in samples:
            if isinstance(sample["text"], bytes):
                sample["text"] = sample["text"].decode("latin-1")
        return {
            "samples": samples,
            "validation": [asdict(result) for result in self.validation],
            "epoch_steps": self.epoch_steps,
            "rescues": self.rescues,
            "notes": self.notes,
            "seconds": self.seconds,
        } | ({"test": asdict(self.test)} if self.test else {})

    def take(self, plain: dict[str, Any], raw_bytes: bool) -> None:
        """The reverse of `plain`."""
        self.samples = [Sample(**sample | {name: _loss(sample[name]) for name in SMOOTH_OF_SAMPLE}) for sample in plain["samples"]]
        if raw_bytes:
            self.samples = [replace(sample, text=sample.text.encode("latin-1")) for sample in self.samples]
        self.validation = [Validation(**result | {"loss": _loss(result["loss"])}) for result in plain["validation"]]
        if found := plain.get("test"):
            self.test = Validation(**found | {"loss": _loss(found["loss"])})
        self.epoch_steps = [int(step) for step in plain["epoch_steps"]]
        self.rescues = [int(step) for step in plain["rescues"]]
        self.notes = [str(note) for note in plain["notes"]]
        self.seconds = float(plain["seconds"])

    def plot(self, axes: Axes | None = None) -> Axes:
        """Draw the loss over the updates, per character and per window; the matplotlib Axes, new ones by default.

        >>> from charrnn import CharRNN
        >>> history = CharRNN(hidden_size=8).train("to be or not to be " * 9, updates=50, progress=False)
        >>> history.plot().get_xlabel()
        'updates'
        """
        from charrnn.display.plots import plot

        return plot(self, axes)

    def _repr_html_(self) -> str:
        from charrnn.display.notebook import history_html

        return history_html(self)

    def __repr__(self) -> str:
        if not len(self):
            return "History of no updates"
        return (
            f"History of {len(self):,} updates: {self.shown_name} {self.shown_now:.3f} "
            f"({self.per_char(self.shown_now):.3f} nats per character), best {self.best_by} {self.best_loss_per_char:.3f} per character "
            f"at update {self.best_step:,}, {self.characters_per_second:,.0f} characters per second"
        )
