"""What a run is beside the network: how far it came, and every array that it needs to go on, bit for bit."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from typing import Any

from charrnn.errors import SettingsError
from charrnn.network.arrays import Array, aligned_copy, aligned_zeros
from charrnn.network.blocks import NEVER, clear_padding
from charrnn.network.network import Network
from charrnn.network.optimisers import SLOTS
from charrnn.network.smooth import SmoothLoss
from charrnn.text.corpus import Corpus
from charrnn.training.best import MEAN, SETTLED, SMOOTH, VALIDATION, Lowest
from charrnn.training.plan import Settings, TrainingPlan

AVERAGED_EVERY = 10  # updates between two looks of the average at the parameters
COUNTERS = ("step", "done", "total", "epoch", "cursor", "sampled", "validated", "moments", "rescues")


@dataclass
class Snapshot:
    """A copy of what was learned, known to be sound."""

    step: int
    theta: Array
    slots: Array
    best: Array
    smooth: SmoothLoss

    def update(self, step: int, theta: Array, slots: Array, best: Array, smooth: SmoothLoss) -> None:
        """Become a copy of these."""
        self.step = step
        self.theta[:], self.slots[:], self.best[:] = theta, slots, best
        self.smooth.take(smooth)


@dataclass
class Run:
    """The course of training a network: counters, settings and the arrays that belong to it. Checkpoints write what is here."""

    settings: Settings
    step: int = 0  # updates ever
    done: int = 0  # updates of the planned total
    total: int = 0
    epoch: int = 0
    cursor: int = 0  # where in each stream the next window starts
    sampled: int = -1  # the number of updates at which the last sample was drawn, so that none is drawn twice
    validated: int = -1  # the same for the last validation
    moments: int = 0  # updates since the optimiser's state was 0
    rescues: int = 0  # how often the learning rate was halved
    fingerprint: str = ""  # of the text that the cursor belongs to
    validation: str | None = None  # the fingerprint of the validation text
    test: str | None = None  # ... and of the test part
    smooth: SmoothLoss = field(default_factory=SmoothLoss)
    slots: Array | None = None  # (slots, R, m_): the optimiser's state
    state: Array | None = None  # (layers, states, B, m_): the carried state
    best: Array | None = None  # (R, m_): the parameters when the smooth loss was lowest
    average: Array | None = None  # (R, m_): the moving average of the parameters, once it has begun
    lowest: Lowest = field(default_factory=Lowest)  # by the validation loss or, in a short run, a mean of the training loss
    safe: Snapshot | None = None

    def allocate(self, network: Network, plan: TrainingPlan) -> None:
        """Make the arrays that there are not yet, as they are before the first update."""
        theta, settings = network.theta, plan.settings
        if self.slots is None:
            self.slots, self.moments = aligned_zeros((SLOTS[settings.optimizer], *theta.shape), network.dtype), 0
        if self.best is None:
            self.best = aligned_zeros(theta.shape, network.dtype)
            self.best[:] = theta
        if self.state is None:
            shape = network.architecture.state_shape(settings.batch_size)
            self.state = aligned_zeros((*shape[:3], theta.shape[1]), network.dtype)

    def next(self, plan: TrainingPlan) -> Run:
        """The run that goes on from here: with the optimiser's state, the place in the text and the carried state as far as the
        settings and the text are the same.
        """
        settings = plan.settings
        now = Run(
            settings,
            self.step,
            0,
            plan.updates,
            self.epoch,
            self.cursor,
            self.sampled,
            self.validated,
            self.moments,
            fingerprint=self.fingerprint,
            validation=self.validation,
            test=self.test,
            smooth=self.smooth.copy(),
            slots=self.slots,
            state=self.state,
            best=self.best,
            average=self.average if self.settings.average == settings.average else None,
            lowest=self.lowest.copy(),
        )
        now.lowest.forget_last()
        now.lowest.waited = now.lowest.start = 0
        now.smooth.numbers[:2] *= settings.window / self.settings.window  # smooth losses are sums over the window
        if self.settings.optimizer != settings.optimizer:
            now.slots = None
        if self.fingerprint != plan.corpus.fingerprint:
            now.open(plan.corpus)
        elif (self.settings.batch_size, self.settings.rotate) != (settings.batch_size, settings.rotate):
            now.open_epoch(plan.corpus)
        return now

    def clear_padding(self, network: Network) -> None:
        """Of theta and all that is shaped like it, so that only parameters are asked whether they are finite."""
        assert self.slots is not None
        assert self.best is not None
        for array, after_c in ((network.theta, NEVER), (self.best, NEVER), *((slot, 0.0) for slot in self.slots)):
            clear_padding(array, network.architecture, after_c)

    def copy(self) -> Run:
        """One with arrays of its own, to go on from; without the snapshot, which training makes anew."""

        def of(array: Array | None) -> Array | None:
            return None if array is None else aligned_copy(array)

        return replace(
            self,
            slots=of(self.slots),
            state=of(self.state),
            best=of(self.best),
            average=of(self.average),
            smooth=self.smooth.copy(),
            safe=None,
            lowest=self.lowest.copy(),
        )

    def open(self, corpus: Corpus) -> None:
        """Begin another text: what was lowest on the one before says nothing about it."""
        self.open_epoch(corpus)
        self.fingerprint, self.best, self.safe, self.average = corpus.fingerprint, None, None, None
        self.smooth.begin_text()
        if self.lowest.by == MEAN:
            self.lowest = Lowest(start=self.done)

    def watch(self, plan: TrainingPlan) -> None:
        """The best parameters are judged by the plan's validation text, if it has one."""
        before = self.validation
        self.validation = plan.validation.fingerprint if plan.validation else None
        self.test = plan.test.fingerprint if plan.test else None
        by = VALIDATION if self.validation else MEAN
        if self.lowest.by != by or self.validation != before:
            self.lowest = Lowest(by)

    def take_into_average(self, theta: Array) -> None:
        """After every AVERAGED_EVERY-th update from the end of the warm-up on: a step of the exponential moving average."""
        if not self.settings.average or self.step % AVERAGED_EVERY or self.done < self.settings.warmup:
            return
        if self.average is None:
            self.average = aligned_copy(theta)
        self.average += (theta - self.average) * theta.dtype.type(1 - self.settings.average**AVERAGED_EVERY)

    def judged(self, network: Network) -> Network:
        """What is evaluated, and may be the best: the network, or the average of its parameters."""
        return network if self.average is None else Network(network.settings, network.vocabulary, self.average, network.level)

    @property
    def best_by(self) -> str:
        """What the best parameters are judged by: `VALIDATION`; `MEAN` in a run of fewer than SETTLED updates, or of an average; else
        `SMOOTH`.
        """
        if self.validation or self.total < SETTLED or self.settings.average:
            return VALIDATION if self.validation else MEAN
        return SMOOTH

    def best_now(self, theta: Array) -> tuple[Array, int, float]:
        """The best parameters, after which update they were, and their loss (nats per character); theta if there are none yet."""
        lowest, theta = self.lowest, theta if self.average is None else self.average
        if self.best_by == SMOOTH:
            found = theta if self.best is None or self.smooth.pending else self.best
            return found, self.smooth.best_step, self.smooth.lowest / self.settings.window
        if lowest.is_last() or lowest.theta is None:
            return theta, self.step if lowest.is_last() else 0, lowest.last
        return lowest.theta, lowest.step, lowest.loss

    def carried(self, hidden_size: int, best: bool = False) -> Array | None:
        """(layers, states, m): what the first stream carries or, if that is known, carried when the best parameters were found.

        None before the first update, and where it is 0.
        """
        lowest = self.lowest
        if best and self.best_by != SMOOTH and not lowest.is_last() and lowest.state is not None:
            return lowest.state
        if self.state is None or not self.step or not self.state.any():
            return None
        found: Array = self.state[:, :, 0, :hidden_size].copy()
        return found

    def extend(self, settings: Settings, total: int) -> None:
        """Plan another end; SettingsError if that is past. What was done only because it was the end is undone."""
        if total < self.done:
            raise SettingsError(f"the run has {self.done:,} updates already: give more, got {total:,}")
        if total > self.done and self.done == self.total:
            self.lowest.forget_last()
            if self.validated == self.step and self.done % (settings.validate_every or total):
                self.validated = -1
        self.settings, self.total = settings, total
        if self.best_by == SMOOTH:
            self.lowest = Lowest()

    def open_epoch(self, corpus: Corpus) -> None:
        """Begin the text anew: past its end, where the next window is its first."""
        self.cursor, self.state = len(corpus), None

    def plain(self) -> dict[str, Any]:
        """The numbers and settings as JSON can hold them."""
        names = (*COUNTERS, "fingerprint", "validation", *(["test"] if self.test else []))
        return {name: getattr(self, name) for name in names} | {"settings": asdict(self.settings), "lowest": self.lowest.plain()}
