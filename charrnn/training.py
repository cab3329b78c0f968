"""The loop over windows of text: chunks of updates in the kernels, and between them the events: samples, validation, the log.

A run is a function of text, settings and seed. Where the chunks are cut depends on the machine's speed and has no influence: all
that is random or periodic hangs on the number of the update.
"""
from __future__ import annotations

import math
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from charrnn import arguments
from charrnn.errors import NonFiniteError, SettingsError
from charrnn.history import History, Sample, Validation
from charrnn.parameters import OPTIMIZERS, SLOTS, Array, Rule, Workspace, aligned_zeros

if TYPE_CHECKING:
    from charrnn.corpus import Corpus
    from charrnn.model import CharRNN

CHUNK_SECONDS = 0.05  # between two looks at the clock and at Ctrl-C
SCHEDULES = ("constant", "linear", "cosine")
REDUCTIONS = ("sum", "mean")


@dataclass
class Settings:
    """How to train. See `CharRNN.train` for the meaning of each."""

    updates: int | None = None
    epochs: float | None = None
    seq_length: int = 25
    batch_size: int = 1
    optimizer: str = "adagrad"
    learning_rate: float = 0.1
    schedule: str = "constant"
    warmup: int = 0
    clip: float | None = 5.0
    clip_norm: float | None = None
    loss_reduction: str = "sum"
    eps: float = 1e-8
    beta1: float = 0.9
    beta2: float = 0.999
    sample_every: int | None = 10_000
    sample_length: int = 200
    validate_every: int | None = None

    def check(self) -> Settings:
        """Raise SettingsError for the first value that makes no sense; returns self."""
        if self.updates is not None and self.epochs is not None:
            raise SettingsError(f"give updates or epochs, not both; got updates={self.updates!r} and epochs={self.epochs!r}")
        if self.updates is not None:
            self.updates = arguments.whole_number("updates", self.updates)
        if self.epochs is not None:
            arguments.number("epochs", self.epochs, above=0)
        for name in ("seq_length", "batch_size", "sample_length"):
            setattr(self, name, arguments.whole_number(name, getattr(self, name)))
        for name in ("sample_every", "validate_every"):
            if getattr(self, name) is not None:
                setattr(self, name, arguments.whole_number(name, getattr(self, name)))
        self.warmup = arguments.whole_number("warmup", self.warmup, at_least=0)
        arguments.one_of("optimizer", self.optimizer, OPTIMIZERS)
        arguments.one_of("schedule", self.schedule, SCHEDULES)
        arguments.one_of("loss_reduction", self.loss_reduction, REDUCTIONS)
        for name in ("learning_rate", "eps"):
            setattr(self, name, arguments.number(name, getattr(self, name), above=0))
        for name in ("clip", "clip_norm"):
            if getattr(self, name) is not None:
                setattr(self, name, arguments.number(name, getattr(self, name), above=0))
        for name in ("beta1", "beta2"):
            value = arguments.number(name, getattr(self, name), at_least=0)
            if value >= 1:
                raise SettingsError(f"{name} must be below 1, got {value!r}")
        return self

    def total(self, stream: int) -> int:
        """How many updates this makes on streams of `stream` characters."""
        if self.epochs is None:
            return 100_000 if self.updates is None else self.updates
        return max(1, round(self.epochs * windows_per_epoch(stream, self.seq_length)))

    def rule(self) -> Rule:
        """The same settings as kernels want them."""
        return Rule(
            self.optimizer,
            clip=math.inf if self.clip is None else self.clip,
            clip_norm=math.inf if self.clip_norm is None else self.clip_norm,
            eps=self.eps,
            beta1=self.beta1,
            beta2=self.beta2,
            scale=1.0 if self.loss_reduction == "sum" else 1.0 / (self.seq_length * self.batch_size),
        )

    def learning_rates(self, done: int, n: int, total: int) -> Array:
        """(n,): the learning rates of the updates done+1 .. done+n of `total`: a linear warm-up, then the schedule down to 0."""
        rates = np.full(n, self.learning_rate)
        if self.schedule == "constant" and not self.warmup:
            return rates
        for i in range(n):
            step = done + i
            if step < self.warmup:
                rates[i] *= (step + 1) / self.warmup
            elif self.schedule != "constant":
                part = (step - self.warmup) / max(1, total - self.warmup)
                rates[i] *= 1 - part if self.schedule == "linear" else 0.5 * (1 + math.cos(math.pi * part))
        return rates


def windows_per_epoch(stream: int, seq_length: int) -> int:
    """How many whole windows a stream of so many characters has: the last one needs one character more as its target.

    >>> windows_per_epoch(51, 25)
    2
    """
    return (stream - 1) // seq_length


@dataclass
class Event:
    """What callbacks get. `kind` is "start", "sample", "validation", "progress" (after each chunk), "note" or "end"."""

    kind: str
    step: int  # updates done by this model so far
    done: int  # ... and in this run
    total: int  # planned for this run
    epoch: int
    history: History
    model: CharRNN
    seconds: float
    sample: Sample | None = None
    validation: Validation | None = None
    note: str = ""


Callback = Callable[[Event], Any]


@dataclass
class Progress:
    """Everything, beside the parameters, that a run needs to go on where it stopped."""

    step: int = 0  # updates ever
    done: int = 0  # updates of the planned total
    total: int = 0
    epoch: int = 0
    cursor: int = 0  # where in each stream the next window starts
    sampled: int = -1  # the number of updates at which the last sample was drawn, so that none is drawn twice
    fingerprint: str = ""  # of the text that the cursor belongs to
    settings: Settings = field(default_factory=Settings)
    smooth: Array = field(default_factory=lambda: np.array([np.nan, np.inf, 0.0, 0.0]))
    slots: Array | None = None
    hidden: Array | None = None  # (B, m_): the carried state
    best: Array | None = None

    def plain(self) -> dict[str, Any]:
        """The numbers and settings as JSON can hold them."""
        names = ("step", "done", "total", "epoch", "cursor", "sampled", "fingerprint")
        return {name: getattr(self, name) for name in names} | {"settings": asdict(self.settings)}


class Trainer:
    """Runs the updates of one model on one text; owns the working arrays."""

    def __init__(self, model: CharRNN, corpus: Corpus, progress: Progress, validation: Corpus | None, threads: int | None) -> None:
        settings = progress.settings
        m, K, T, B = model.hidden_size, len(corpus.vocabulary), settings.seq_length, settings.batch_size
        corpus.require_window(T, B)
        self.model, self.corpus, self.progress, self.validation = model, corpus, progress, validation
        self.stream = len(corpus) // B
        self.threads = default_threads(m, B) if threads is None else arguments.whole_number("threads", threads)
        self.work = Workspace(m, K, T, B, model.dtype)
        self.rule = settings.rule()
        self.chunk = max(1, int(2e6 / (T * B * m)))  # a first guess, then by the clock
        if progress.slots is None:
            progress.slots = aligned_zeros((SLOTS[settings.optimizer], *model.theta.shape), model.dtype)
        if progress.best is None:
            progress.best = aligned_zeros(model.theta.shape, model.dtype)
            progress.best[:] = model.theta
        if progress.hidden is not None:
            self.work.hidden[0] = progress.hidden
        self.kernels = model.kernels
        self.kernels.renew(model.theta, self.work)

    def run(self, callbacks: Sequence[Callback], sampler: Callable[[Array, int, int], Any]) -> History:
        """All that is left of the planned updates, with events between chunks. sampler(state, first id, length) draws a passage."""
        p, settings = self.progress, self.progress.settings
        unit = settings.seq_length * settings.batch_size
        expected = math.log(len(self.corpus.vocabulary)) * (unit if settings.loss_reduction == "sum" else 1)
        history = History(p.step + 1, unit, settings.loss_reduction, expected)
        scale = 1.0 if settings.loss_reduction == "sum" else 1.0 / unit
        room = np.empty((p.total - p.done, 2))
        filled = 0
        begun = time.perf_counter()

        def tell(kind: str, **more: Any) -> bool:
            history.loss, history.smooth_loss = room[:filled, 0], room[:filled, 1]
            history.best_smooth_loss, history.best_step = float(p.smooth[1]) * scale, abs(int(p.smooth[3]))
            history.seconds = time.perf_counter() - begun
            event = Event(kind, p.step, p.done, p.total, p.epoch, history, self.model, history.seconds, **more)
            return any([callback(event) for callback in callbacks])  # every callback, before any may stop the run

        stopped = tell("start")
        with deferred_signals() as asked_to_stop:
            while p.done < p.total and not stopped:
                if number := asked_to_stop():
                    history.interrupted, history.stopped_by = True, number
                    break
                if self.sample_is_due():
                    p.sampled = p.step
                    smooth = float(p.smooth[0])
                    first = int(self.corpus.read(self.start_of_window(), self.start_of_window() + 1)[0])
                    state = self.work.hidden[0, 0] * (self.start_of_window() > 0)
                    sample = Sample(p.step + 1, p.epoch, smooth * scale, smooth / unit, sampler(state, first, settings.sample_length))
                    history.samples.append(sample)
                    stopped = tell("sample", sample=sample)
                n, epochs = self.advance(self.updates_until_event(), room[filled:])
                history.epoch_steps += epochs
                room[filled : filled + n] *= scale
                filled += n
                if settings.validate_every and self.validation and (p.done % settings.validate_every == 0 or p.done == p.total):
                    tell("progress")
                    loss = self.model.evaluate(self.validation, batch_size=32).loss
                    result = Validation(p.step, loss, time.perf_counter() - begun)
                    history.validation.append(result)
                    stopped = tell("validation", validation=result) or stopped
                stopped = tell("progress") or stopped
        if p.smooth[3] < 0 and p.best is not None:  # the last window was the best one
            p.best[:] = self.model.theta
            p.smooth[3] = -p.smooth[3]
        tell("end")
        return history

    def sample_is_due(self) -> bool:
        """Before update 1 and before every sample_every-th."""
        every, step = self.progress.settings.sample_every, self.progress.step
        return bool(every) and step != self.progress.sampled and (step == 0 or (step + 1) % every == 0)  # type: ignore[operator]

    def start_of_window(self) -> int:
        """Where the next window of the first stream starts; past the last whole window the text begins anew."""
        p = self.progress
        return 0 if p.cursor + p.settings.seq_length + 1 > self.stream else p.cursor

    def updates_until_event(self) -> int:
        """How many updates may run before the next event is due, bounded by the chunk."""
        p, s = self.progress, self.progress.settings
        n = min(self.chunk, p.total - p.done)
        if s.sample_every:
            n = min(n, s.sample_every - 1 - p.step % s.sample_every or s.sample_every)
        if s.validate_every:
            n = min(n, s.validate_every - p.done % s.validate_every)
        return n

    def advance(self, n: int, out: Array) -> tuple[int, list[int]]:
        """n updates: losses and smooth losses, summed over the window, into out[:n]; returns n and the updates that began an epoch.

        Raises NonFiniteError, with the model put back to where it was, if a loss is not finite.
        """
        p, T = self.progress, self.progress.settings.seq_length
        starts, resets, epochs = [], np.zeros(n, np.uint8), []
        cursor = p.cursor
        for u in range(n):
            if cursor + T + 1 > self.stream or p.step + u == 0:
                cursor, resets[u] = 0, 1
                epochs.append(p.step + u + 1)
            starts.append(cursor)
            cursor += T
        inputs, targets = self.windows(starts)
        rates = self.rule.rates(p.settings.learning_rates(p.done, n, p.total), p.step + 1)
        before = self.model.theta.copy(), p.slots.copy(), self.work.hidden[0].copy(), p.smooth.copy(), p.best.copy()
        begun = time.perf_counter()
        self.call_kernels(inputs, targets, resets, out[:n], rates)
        took = time.perf_counter() - begun
        wrong = np.flatnonzero(~np.isfinite(out[:n, 0]))
        if wrong.size or not np.isfinite(self.model.theta).all():
            self.model.theta[:], p.slots[:], self.work.hidden[0], p.smooth[:], p.best[:] = before
            self.kernels.renew(self.model.theta, self.work)
            raise self.not_finite(int(wrong[0]) if wrong.size else n - 1, starts, out)
        p.step, p.done, p.cursor, p.epoch = p.step + n, p.done + n, cursor, p.epoch + len(epochs)
        self.chunk = max(1, int(n * min(4.0, CHUNK_SECONDS / max(took, 1e-6))))
        return n, epochs

    def call_kernels(self, *arrays: Array) -> None:
        """One call of the kernels' train on each thread."""
        p = self.progress
        inputs, targets, resets, losses, rates = arrays
        every = (self.model.theta, p.slots, self.work, inputs, targets, resets, losses, rates, self.rule, p.smooth, p.best)
        if self.threads == 1:
            self.kernels.train(*every)
            return
        errors: list[BaseException] = []

        def part(thread: int) -> None:
            try:
                self.kernels.train(*every, thread, self.threads)
            except BaseException as error:
                errors.append(error)

        others = [threading.Thread(target=part, args=(i,)) for i in range(1, self.threads)]
        for thread in others:
            thread.start()
        part(0)
        for thread in others:
            thread.join()
        if errors:
            raise errors[0]

    def windows(self, starts: Sequence[int]) -> tuple[Array, Array]:
        """inputs and targets (n, T, B): in each of the B streams, the windows that start so far into it."""
        T, B = self.progress.settings.seq_length, self.progress.settings.batch_size
        n = len(starts)
        inputs, targets = np.empty((n, T, B), np.intc), np.empty((n, T, B), np.intc)
        first = 0
        for last in range(1, n + 1):  # runs of windows that follow each other are read at once
            if last < n and starts[last] == starts[last - 1] + T:
                continue
            for lane in range(B):
                origin = lane * self.stream + starts[first]
                ids = self.corpus.read(origin, origin + (last - first) * T + 1)
                inputs[first:last, :, lane] = ids[:-1].reshape(-1, T)
                targets[first:last, :, lane] = ids[1:].reshape(-1, T)
            first = last
        return inputs, targets

    def not_finite(self, u: int, starts: Sequence[int], losses: Array) -> NonFiniteError:
        """The error for update u of a chunk: its number, where in the text it was, and the text there."""
        p = self.progress
        where = starts[u]
        around = self.corpus.text(max(0, where - 10), min(len(self.corpus), where + p.settings.seq_length + 10))
        return NonFiniteError(
            f"the loss became {losses[u, 0]:g} at update {p.step + u + 1:,}, characters {where:,} to {where + p.settings.seq_length:,} "
            f"of the text, {around!r}; the model is as it was before update {p.step + 1:,}. Try a lower learning rate than "
            f"{p.settings.learning_rate:g} or a clip"
        )


def default_threads(m: int, B: int) -> int:
    """One thread for few lanes or a small network, where waiting for each other would cost more than the work; else all cores."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(cores, B // 4)) if B * m >= 1024 else 1


@contextmanager
def deferred_signals() -> Iterator[Callable[[], int]]:
    """Ctrl-C and SIGTERM are noted and answered between two chunks; a second one ends at once. Yields: which one came, or 0."""
    caught: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield lambda: 0
        return

    def note(number: int, frame: Any) -> None:
        if caught:
            raise KeyboardInterrupt
        caught.append(number)

    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    for number in before:
        signal.signal(number, note)
    try:
        yield lambda: caught[0] if caught else 0
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
