"""The settings of a training run: what each may be, and the learning rates and update rule that follow from them."""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass

import numpy as np

from charrnn import arguments
from charrnn.errors import SettingsError
from charrnn.network.parameters import OPTIMIZERS, Array, Rule

SCHEDULES = ("constant", "linear", "cosine")
REDUCTIONS = ("sum", "mean")
DEFAULT_UPDATES = 100_000


@dataclass
class Settings:
    """How to train. See `CharRNN.train` for the meaning of each."""

    updates: int | None = None
    epochs: float | None = None
    seq_length: int = 25
    batch_size: int = 1
    optimizer: str = "adagrad"
    learning_rate: float = 0.1
    input_rate: float = 1.0
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
    rescue: bool = False

    def check(self) -> Settings:
        """SettingsError for the first value that makes no sense; returns self, numbers as plain int and float."""
        if self.updates is not None and self.epochs is not None:
            raise SettingsError(f"give updates or epochs, not both; got updates={self.updates!r} and epochs={self.epochs!r}")
        for name in ("updates", "seq_length", "batch_size", "sample_length", "sample_every", "validate_every"):
            if getattr(self, name) is not None or name in ("seq_length", "batch_size", "sample_length"):
                setattr(self, name, arguments.whole_number(name, getattr(self, name)))
        self.warmup = arguments.whole_number("warmup", self.warmup, at_least=0)
        arguments.one_of("optimizer", self.optimizer, OPTIMIZERS)
        arguments.one_of("schedule", self.schedule, SCHEDULES)
        arguments.one_of("loss_reduction", self.loss_reduction, REDUCTIONS)
        for name in ("learning_rate", "input_rate", "eps", "epochs", "clip", "clip_norm"):
            if getattr(self, name) is not None or name in ("learning_rate", "input_rate", "eps"):
                setattr(self, name, arguments.number(name, getattr(self, name), above=0))
        if self.eps < 1e-30:  # float32 would round it to 0, and divide by it
            raise SettingsError(f"eps must be at least 1e-30, got {self.eps:g}")
        for name in ("beta1", "beta2"):
            value = arguments.number(name, getattr(self, name), at_least=0)
            if value >= 1:
                raise SettingsError(f"{name} must be below 1, got {value!r}")
            setattr(self, name, value)
        self.rescue = arguments.yes_or_no("rescue", self.rescue)
        return self

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

    def rule(self) -> Rule:
        """The same settings as kernels want them."""
        return Rule(
            self.optimizer,
            clip=math.inf if self.clip is None else self.clip,
            clip_norm=math.inf if self.clip_norm is None else self.clip_norm,
            eps=self.eps,
            beta1=self.beta1,
            beta2=self.beta2,
            input_rate=self.input_rate,
            scale=self.scale,
        )

    def learning_rates(self, done: int, n: int, total: int) -> Array:
        """(n,): the rates of the updates done+1 .. done+n of `total`: a linear warm-up, then the schedule down to 0."""
        rates = np.full(n, self.learning_rate)
        if self.schedule == "constant" and done >= self.warmup:
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
    """How many whole windows a stream of this length has: the last one needs one character more as its target.

    >>> windows_per_epoch(51, 25)
    2
    """
    return (stream - 1) // seq_length
