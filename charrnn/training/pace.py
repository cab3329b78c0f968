"""How long a run takes on this machine: measured on its first updates, with a throw-away copy of the network."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, replace

import numpy as np

from charrnn.errors import NonFiniteError
from charrnn.evaluation.evaluate import STEPS, evaluate
from charrnn.generation.sampling import passage
from charrnn.network.network import Network
from charrnn.training.best import SETTLED
from charrnn.training.events import Event
from charrnn.training.plan import VALIDATIONS, Settings, TrainingPlan
from charrnn.training.run import Run
from charrnn.training.trainer import Trainer

LOOK = 0.25  # seconds that a measurement takes, unless a single update takes longer
SHARE = 0.03  # ... and at most this share of a given time, but for the first updates
VALIDATED = 0.1  # at most this share of a given time goes into validations, beyond the last, unless `validate_every` is given


@dataclass(frozen=True)
class Pace:
    """Seconds of one update, of one sample and of one validation."""

    update: float
    sample: float = 0.0
    validation: float = 0.0

    def of(self, plan: TrainingPlan, done: int = 0) -> float:
        """Seconds from the update `done` of a plan to its end.

        >>> from charrnn import Corpus
        >>> from charrnn.training.plan import Settings
        >>> round(Pace(0.01).of(TrainingPlan(Settings(), Corpus.from_text("abc" * 20), None, 500), 100), 3)
        4.0
        """
        s, left = plan.settings, plan.updates - done
        samples = left // s.sample_every + 1 if s.sample_every else 0
        validations = (left // s.validate_every if s.validate_every else 0) + 1 if plan.validation else 0
        return left * self.update + samples * self.sample + validations * self.validation

    def updates_in(self, seconds: float, plan: TrainingPlan) -> int:
        """How many updates fit into so many seconds, rounded down to three digits; at least one."""
        s = plan.settings
        each = self.update + (self.sample / s.sample_every if s.sample_every else 0.0)
        if plan.validation and s.validate_every:
            each += self.validation / s.validate_every
        count = max(1, int(min((seconds - self.sample - self.validation) / each, 1e12)))
        unit: int = 10 ** max(0, len(str(count)) - 3)
        return count // unit * unit


def measure(network: Network, plan: TrainingPlan, threads: int | None = None, seconds: float = LOOK, most: int | None = None) -> Pace:
    """The pace of a plan. The network is copied; nothing of the measurement remains. KeyboardInterrupt when it is interrupted.

    seconds: how long to measure. most: updates, at most.
    """
    most = max(1, min(100_000, most or 100_000))
    total = max(most, SETTLED) if plan.updates >= SETTLED else most  # what is looked at meanwhile depends on it
    settings = replace(plan.settings, updates=total, epochs=None, sample_every=None, validate_every=None, patience=None, rescue=True)
    trial = replace(plan, settings=settings, validation=None, test=None, updates=total)
    copy = network.copy()
    marks: list[tuple[int, float]] = []
    begun = time.perf_counter()

    def watch(event: Event) -> bool:
        marks.append((event.done, time.perf_counter()))
        return event.kind == "progress" and (event.done >= most or time.perf_counter() - begun >= seconds)

    run = Run(settings, total=total, fingerprint=plan.corpus.fingerprint)
    trainer = Trainer(copy, run, trial, np.random.Generator(np.random.PCG64(0)), threads=threads)
    try:
        if trainer.run([watch]).interrupted:
            raise KeyboardInterrupt
    except NonFiniteError:  # the run itself will say so
        return Pace(1e-9)
    return Pace(_update(marks), _sample(copy, plan), _validation(copy, plan))


def _update(marks: list[tuple[int, float]]) -> float:
    """Seconds of one update: without the first and the short chunks of the beginning, if there are others."""
    (last, ended), start = marks[-1], marks[0][1]
    later = [mark for mark in marks if mark[0] < last and mark[1] - start >= 0.2 * (ended - start)]
    first, begun = later[0] if later else marks[0]
    return max(1e-9, (ended - begun) / max(1, last - first))


def _sample(network: Network, plan: TrainingPlan) -> float:
    s, shape = plan.settings, network.architecture.state_shape(1)
    if not s.sample_every:
        return 0.0
    length = min(s.sample_length, 200)
    begun = time.perf_counter()
    state = np.zeros((*shape[:3], network.theta.shape[1]), network.dtype)
    passage(network, state, 0, length, np.random.Generator(np.random.PCG64(0)))
    return (time.perf_counter() - begun) * s.sample_length / length


def _validation(network: Network, plan: TrainingPlan) -> float:
    if plan.validation is None:
        return 0.0
    lanes = max(1, min(plan.settings.batch_size, len(plan.validation) // 2))
    length = min(len(plan.validation), lanes * (STEPS + 1))
    begun = time.perf_counter()
    evaluate(network, plan.validation.part(0, length), lanes)
    return (time.perf_counter() - begun) * len(plan.validation) / length


def fit_to(seconds: float, network: Network, plan: TrainingPlan, settings: Settings, threads: int | None = None) -> TrainingPlan:
    """The plan with as many updates as fit into the time, and so a schedule that ends with it; settings: as they were given.

    Where validations would take too much of a short time, there are fewer of them.
    """
    pace = measure(network, plan, threads, max(LOOK, min(2.0, SHARE * seconds)))
    if not plan.validation or settings.validate_every is not None:
        updates = pace.updates_in(seconds, replace(plan, settings=settings))
    else:
        validations = max(1, min(VALIDATIONS, int(VALIDATED * seconds / max(1e-9, pace.validation))))
        updates = pace.updates_in(seconds - (validations - 1) * pace.validation, replace(plan, settings=settings))
        settings = replace(settings, validate_every=-(-updates // validations))
    return TrainingPlan.of(network.settings, replace(settings, updates=updates, epochs=None), plan.corpus, plan.validation, plan.test)


def words(seconds: float) -> str:
    """A time as a person says it.

    >>> words(0.3), words(42), words(600), words(90_000)
    ('less than a second', '42 s', '10 min', '25 h')
    """
    if seconds < 1:
        return "less than a second"
    if seconds < 100:
        return f"{seconds:.0f} s"
    if seconds < 7200:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.0f} h" if math.isfinite(seconds) else "for ever"
