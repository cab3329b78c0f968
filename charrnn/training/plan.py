"""How to train: the settings, what each may be, and the plan that follows from them for one network and text."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Self

import numpy as np

from charrnn import arguments
from charrnn.errors import SettingsError
from charrnn.network.arrays import Array
from charrnn.network.blocks import theta_bytes
from charrnn.network.dropout import require_candidate, uniforms
from charrnn.network.optimisers import OPTIMIZERS, SLOTS, UpdateRule
from charrnn.network.settings import NetworkSettings
from charrnn.network.workspace import Workspace
from charrnn.text.corpus import Corpus
from charrnn.text.split import shares

SCHEDULES = ("constant", "linear", "cosine", "wsd")
LAST_PART = 0.2  # of a run with the schedule "wsd", in which the learning rate goes down
REDUCTIONS = ("sum", "mean")
DEFAULT_UPDATES = 100_000
VALIDATIONS = 20  # in a run, if nothing else is asked for
RAREST = 10_000  # updates between two of them, at most


@dataclass(frozen=True)
class Settings:
    """How to train. See `CharRNN.train` for the meaning of each. Raises `SettingsError` for the first value that makes no sense."""

    updates: int | None = None
    epochs: float | None = None
    seq_length: int = 25
    batch_size: int = 1
    optimizer: str = "adagrad"
    learning_rate: float = 0.1
    input_rate: float = 1.0
    schedule: str = "constant"
    warmup: int = 0
    decay: float = 1.0
    decay_after: int = 0
    clip: float | None = 5.0
    clip_norm: float | None = None
    weight_decay: float = 0.0
    loss_reduction: str = "sum"
    dropout: float = 0.0
    weight_drop: float = 0.0
    recurrent_dropout: float = 0.0
    rotate: bool = False
    state_reset: float = 0.0
    average: float = 0.0
    eps: float = 1e-8
    beta1: float = 0.9
    beta2: float = 0.999
    sample_every: int | None = 10_000
    sample_length: int = 200
    validate_every: int | None = None
    patience: int | None = None
    split: str | None = None
    rescue: bool = False

    def __post_init__(self) -> None:
        if self.updates is not None and self.epochs is not None:
            raise SettingsError(f"give updates or epochs, not both; got updates={self.updates!r} and epochs={self.epochs!r}")
        for name in ("updates", "seq_length", "batch_size", "sample_length", "sample_every", "validate_every", "patience"):
            if getattr(self, name) is not None or name in ("seq_length", "batch_size", "sample_length"):
                self._set(name, arguments.whole_number(name, getattr(self, name)))
        for name in ("warmup", "decay_after"):
            self._set(name, arguments.whole_number(name, getattr(self, name), at_least=0))
        self._set("decay", arguments.number("decay", self.decay, above=0, at_most=1))
        self._set("weight_decay", arguments.number("weight_decay", self.weight_decay, at_least=0))
        self._set("state_reset", arguments.number("state_reset", self.state_reset, at_least=0, at_most=1))
        arguments.one_of("optimizer", self.optimizer, OPTIMIZERS)
        arguments.one_of("schedule", self.schedule, SCHEDULES)
        arguments.one_of("loss_reduction", self.loss_reduction, REDUCTIONS)
        for name in ("learning_rate", "input_rate", "eps", "epochs", "clip", "clip_norm"):
            if getattr(self, name) is not None or name in ("learning_rate", "input_rate", "eps"):
                self._set(name, arguments.number(name, getattr(self, name), above=0))
        if self.learning_rate * self.weight_decay >= 1:  # each update would turn the weights' signs
            raise SettingsError(
                f"learning_rate x weight_decay must be below 1, got {self.learning_rate:g} x {self.weight_decay:g}; usual is 0.01 to 1"
            )
        if self.eps < 1e-30:  # float32 would round it to 0, and divide by it
            raise SettingsError(f"eps must be at least 1e-30, got {self.eps:g}")
        for name in ("beta1", "beta2", "dropout", "weight_drop", "recurrent_dropout", "average"):
            value = arguments.number(name, getattr(self, name), at_least=0)
            if value >= 1:
                raise SettingsError(f"{name} must be below 1, got {value!r}")
            self._set(name, value)
        for name in ("rotate", "rescue"):
            self._set(name, arguments.yes_or_no(name, getattr(self, name)))
        if self.split is not None:
            self._set("split", "/".join(f"{100 * share:.12g}" for share in shares(self.split)))

    def _set(self, name: str, value: Any) -> None:
        object.__setattr__(self, name, value)

    @classmethod
    def given(cls, settings: Mapping[str, Any]) -> Settings:
        """From arguments by name; SettingsError for a name that is none, with the nearest."""
        for name in settings:
            if name not in TRAINING:
                raise SettingsError(f"train has no argument {name!r}{arguments.nearest(name, TRAINING)}")
        return cls(**settings)

    def total(self, stream: int) -> int:
        """How many updates this makes on streams of `stream` characters."""
        if self.epochs is None:
            return DEFAULT_UPDATES if self.updates is None else self.updates
        updates = self.epochs * windows_per_epoch(stream, self.seq_length)
        return max(1, round(min(updates, sys.float_info.max)))  # infinitely many cannot even be counted to be refused

    @property
    def window(self) -> int:
        """T B, the characters of a window in all lanes."""
        return self.seq_length * self.batch_size

    @property
    def scale(self) -> float:
        """From nats summed over the window to the loss that is learned from and shown."""
        return 1.0 if self.loss_reduction == "sum" else 1.0 / self.window

    def rule(self, seed: int = 0) -> UpdateRule:
        """The same settings as kernels want them; seed: of dropout."""
        return UpdateRule(
            self.optimizer,
            clip=math.inf if self.clip is None else self.clip,
            clip_norm=math.inf if self.clip_norm is None else self.clip_norm,
            eps=self.eps,
            beta1=self.beta1,
            beta2=self.beta2,
            input_rate=self.input_rate,
            weight_decay=self.weight_decay,
            scale=self.scale,
            dropout=self.dropout,
            weight_drop=self.weight_drop,
            recurrent_dropout=self.recurrent_dropout,
            seed=seed % 2**64,  # as many as the hash takes in
        )

    def learning_rates(self, done: int, n: int, total: int, epochs: Array | int = 0) -> Array:
        """(n,): the rates of the updates done+1 .. done+n of `total`: a linear warm-up, then the schedule down to 0.

        epochs (n,): how many were completed before each of them; every one after `decay_after` multiplies the rate by `decay`.
        """
        rates = np.full(n, self.learning_rate)
        if self.schedule != "constant" or done < self.warmup:
            for i in range(n):
                step = done + i
                rates[i] *= (
                    (step + 1) / self.warmup if step < self.warmup else self._height((step - self.warmup) / max(1, total - self.warmup))
                )
        if self.decay < 1:
            rates *= self.decay ** np.maximum(0, np.asarray(epochs) - self.decay_after)
        return rates

    def _height(self, part: float) -> float:
        """The learning rate's multiple when this part of the updates after the warm-up is done."""
        match self.schedule:
            case "linear":
                return 1 - part
            case "cosine":
                return 0.5 * (1 + math.cos(math.pi * part))
            case "wsd":
                return min(1.0, (1 - part) / LAST_PART)
        return 1.0

    def resets(self, first: int, n: int, seed: int) -> Array:
        """(n,) uint8: whether updates first .. first+n-1 begin from a state of 0 by chance; the same for any chunks."""
        if not self.state_reset:
            return np.zeros(n, np.uint8)
        drawn: Array = (uniforms(seed % 2**64, np.arange(first, first + n)) < self.state_reset).astype(np.uint8)
        return drawn

    def offsets(self, epochs: Array, stream: int, seed: int) -> Array:
        """(n, B): where in each of the streams an epoch begins, for these epochs (n,), counted from 0; the first begins at 0."""
        B = self.batch_size
        if not self.rotate:
            return np.zeros((len(epochs), B), np.intp)
        drawn = uniforms(seed % 2**64, epochs[:, None], np.arange(B))
        return np.where(epochs[:, None] > 0, drawn * stream, 0).astype(np.intp)


def windows_per_epoch(stream: int, seq_length: int) -> int:
    """How many whole windows a stream of this length has: the last one needs one character more as its target.

    >>> windows_per_epoch(51, 25)
    2
    """
    return (stream - 1) // seq_length


TRAINING = tuple(field.name for field in fields(Settings))  # the names of the settings, for recipes and options


@dataclass(frozen=True)
class TrainingPlan:
    """One run, checked: these settings on this text, for so many updates. Made once, passed down."""

    settings: Settings
    corpus: Corpus
    validation: Corpus | None
    updates: int
    test: Corpus | None = None  # evaluated once, at the end

    @classmethod
    def of(
        cls, network: NetworkSettings, settings: Settings, corpus: Corpus, validation: Corpus | None = None, test: Corpus | None = None
    ) -> Self:
        """Raises `TextError` for a text too short for one window, `SettingsError` for what no memory holds or this network cannot do."""
        require_candidate(network.cell, settings.recurrent_dropout)
        updates = settings.total(len(corpus) // settings.batch_size)
        check_memory(network, len(corpus.vocabulary), settings, updates)
        corpus.require_window(settings.seq_length, settings.batch_size)
        if settings.epochs is None:
            settings = replace(settings, updates=updates)
        if validation is not None:
            validation.require_window(1)
            if settings.validate_every is None:
                settings = replace(settings, validate_every=max(1, min(RAREST, updates // VALIDATIONS)))
        if test is not None:
            test.require_window(1)
        return cls(settings, corpus, validation, updates, test)

    @property
    def stream(self) -> int:
        """How many characters each of the parallel streams has."""
        return len(self.corpus) // self.settings.batch_size


def check_memory(network: NetworkSettings, symbols: int, settings: Settings, updates: int) -> None:
    """SettingsError, before anything is allocated, when training in these sizes cannot fit into the memory of this machine.

    It takes the parameters and seven or so arrays of their shape, the working arrays of one window, and every loss.
    """
    architecture, dtype = network.architecture(symbols), network.dtype
    window = Workspace.bytes(architecture, settings.seq_length, settings.batch_size, dtype, dropout=settings.dropout > 0)
    arguments.memory(
        f"training {architecture} over {symbols:,} symbols with seq_length {settings.seq_length:,} and batch_size "
        f"{settings.batch_size:,} for {updates:,} updates",
        (6 + 2 * SLOTS[settings.optimizer] + bool(settings.weight_drop)) * theta_bytes(architecture, dtype) + window + 24 * updates,
    )
    if settings.sample_every:
        arguments.memory(f"a sample of {settings.sample_length:,} characters", 8 * settings.sample_length)
