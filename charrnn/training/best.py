"""Which parameters are the best: by the validation loss where there is one, else by the loss on the text that is trained on.

The smooth loss of the lab remembers about a thousand windows. A run that is planned for fewer updates than SETTLED is therefore judged
by a mean over its last windows. All of this hangs on the number of the update alone, never on how long the run is meant to be or how
the machine cut it into chunks: a run that is resumed, or extended, comes to the same best parameters.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from charrnn import arguments
from charrnn.errors import SettingsError
from charrnn.network.arrays import Array, aligned_copy

SETTLED = 5000  # updates after which the first loss has less than a hundredth of the smooth one: 0.999^5000
FEWEST = 20  # windows in a mean, if there are so many
EVERY = 20  # updates between two looks at the mean
SMOOTH, MEAN, VALIDATION = "smooth loss", "mean loss of the last windows", "validation loss"
RISE = 1.01  # a validation loss that is higher than the lowest by this factor has risen


def windows_in_mean(done: int) -> int:
    """How many windows the mean after `done` updates is over: the last tenth, but at least 20, or all that there are.

    >>> [windows_in_mean(done) for done in (5, 100, 720)]
    [5, 20, 72]
    """
    return max(1, min(done, FEWEST), done // 10)


def mean_at(losses: Array, done: int) -> float:
    """The mean of the last windows' losses after `done` updates."""
    width = windows_in_mean(done)
    return float((losses[done - width : done] / width).sum())  # the largest numbers have no sum


def means_of(losses: Array) -> Array:
    """`mean_at` after each update; losses (updates,).

    >>> means_of(np.array([4.0, 2.0, 0.0]))
    array([4., 3., 2.])
    """
    ends = np.arange(1, len(losses) + 1)
    with np.errstate(over="ignore"):
        sums = np.concatenate([[0.0], np.cumsum(losses)])
    if not np.isfinite(sums).all():
        return np.array([mean_at(losses, int(done)) for done in ends])
    widths = np.maximum(np.minimum(ends, FEWEST), ends // 10)
    means: Array = (sums[ends] - sums[ends - widths]) / widths
    return means


@dataclass
class Lowest:
    """The lowest loss that was found, nats per character, and the parameters that had it.

    Only losses found on schedule are kept for good. That of the very end of a run, where that is off the schedule, is only `last`:
    if it is lower, the parameters as they are now are the best; a run that is extended forgets it.
    """

    by: str = MEAN
    loss: float = math.inf
    step: int = 0
    waited: int = 0  # losses on schedule since then
    theta: Array | None = None
    state: Array | None = None  # (layers, states, m), which training carried then
    last: float = math.inf
    start: int = 0  # updates of the run before the text began: their losses say nothing about it

    def offer(self, loss: float, step: int, theta: Array, state: Array, on_schedule: bool) -> None:
        """A loss that theta has after update `step`, when training carries the state (layers, states, m)."""
        if not on_schedule:
            self.last = loss
            return
        self.waited += 1
        if (loss < self.loss or self.theta is None) and math.isfinite(loss) and np.isfinite(theta).all():
            self.loss, self.step, self.waited = loss, step, 0
            if self.theta is None:
                self.theta = aligned_copy(theta)
            self.theta[:], self.state = theta, state.copy()

    def is_last(self) -> bool:
        """Whether the parameters as they are now are the best."""
        return self.last < self.loss

    def forget_last(self) -> None:
        """The run goes on: what was only its end is that no longer."""
        self.last = math.inf

    def copy(self) -> Lowest:
        return replace(self, theta=None if self.theta is None else aligned_copy(self.theta))

    def plain(self) -> dict[str, Any]:
        """The numbers as JSON holds them; None for infinity."""
        numbers = {"loss": self.loss, "last": self.last}
        finite = {name: value if math.isfinite(value) else None for name, value in numbers.items()}
        return {"by": self.by, "step": self.step, "waited": self.waited, "start": self.start} | finite

    @classmethod
    def of(cls, plain: Any) -> Lowest:
        """The reverse of `plain`, without the parameters; KeyError, TypeError or SettingsError for anything else."""
        if not isinstance(plain, dict):
            raise SettingsError(f"the lowest loss must be described, got {plain!r}")
        loss, last = (math.inf if plain[name] is None else arguments.number(name, plain[name]) for name in ("loss", "last"))
        step, waited, start = (arguments.whole_number(name, plain[name], at_least=0) for name in ("step", "waited", "start"))
        return cls(arguments.one_of("measure", plain["by"], (MEAN, VALIDATION)), loss, step, waited, last=last, start=start)


def overfitting(train: Array, validation: list[tuple[int, float]], first_step: int) -> str:
    """In words, where a run overfits: its validation loss has risen since it was lowest, while the training loss fell; else nothing.

    train: mean losses (updates,), validation: (step, loss) in order, all in nats per character.
    """
    if len(validation) < 2:
        return ""
    (at, lowest), (_, last) = min(validation, key=lambda found: found[1]), validation[-1]
    if last <= RISE * lowest or at < first_step:
        return ""
    before, now = float(train[at - first_step]), float(train[-1])
    if now >= before:
        return ""
    return (
        f"it overfits: since update {at:,} the loss on the text that it trains on fell from {before:.3f} to {now:.3f}, but the validation "
        f"loss rose from {lowest:.3f} to {last:.3f}; the best model is that of update {at:,}; more text, dropout, a smaller network or "
        "fewer updates (patience, --patience) help"
    )
