"""charrnn itself, called where its own training calls its kernels."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from charrnn import kernels
from charrnn.parameters import SLOTS, Rule, Workspace, aligned_zeros, named_views, new_theta

Array = np.ndarray[Any, Any]


class Charrnn:
    """Arguments as charrnn.baselines.Vectorised; level: which kernels, by default the best that the processor runs."""

    def __init__(self, parameters: dict[str, Array], *, seq_length: int, batch_size: int, optimizer: str,
                 learning_rate: float, clip: float | None, reduction: str, dtype: str = "float32",
                 level: str | None = None) -> None:
        m, K = parameters["U"].shape
        self.kernels = kernels.get(level)
        self.theta = filled(parameters, dtype)
        self.slots = aligned_zeros((SLOTS[optimizer], *self.theta.shape), dtype)
        self.best, self.smooth = aligned_zeros(self.theta.shape, dtype), np.array([np.nan, np.inf, 0.0, 0.0])
        self.work = Workspace(m, K, seq_length, batch_size, dtype)
        scale = 1.0 / (seq_length * batch_size) if reduction == "mean" else 1.0
        self.rule = Rule(optimizer, clip=np.inf if clip is None else clip, scale=scale)
        self.learning_rate, self.step = learning_rate, 0
        self.threads = min(int(os.environ.get("OMP_NUM_THREADS", "1")), batch_size)
        self.kernels.renew(self.theta, self.work)

    def run(self, inputs: Array, targets: Array) -> Array:
        """One update per window of inputs and targets (n, T, B); returns the summed losses."""
        n = len(inputs)
        rates = self.rule.rates(np.full(n, self.learning_rate), self.step + 1)
        losses, resets = np.empty((n, 2)), np.zeros(n, np.uint8)
        resets[0] = self.step == 0
        self.step += n

        def part(thread: int) -> None:
            self.kernels.train(self.theta, self.slots, self.work, inputs, targets, resets, losses, rates, self.rule,
                               self.smooth, self.best, thread, self.threads)

        if self.threads == 1:
            part(0)
        else:  # every thread has to be inside at once: they wait for each other
            with ThreadPoolExecutor(self.threads) as pool:
                list(pool.map(part, range(self.threads)))
        return losses[:, 0]


def filled(parameters: dict[str, Array], dtype: str) -> Array:
    """The flat array that kernels work on, with these parameters."""
    m, K = parameters["U"].shape
    theta = new_theta(m, K, dtype)
    for name, view in named_views(theta, m, K).items():
        view[...] = parameters[name]
    return theta


def sample(parameters: dict[str, Array], uniforms: Array, dtype: str = "float32") -> Array:
    """Synthesis, one character after another, as charrnn.baselines.sample defines it."""
    m, K = parameters["U"].shape
    theta, work = filled(parameters, dtype), Workspace(m, K, 1, 1, dtype)
    compiled, ids = kernels.get(), np.empty((len(uniforms), 1), np.int32)
    compiled.renew(theta, work)
    compiled.sample(theta, work, ids, np.zeros(1, np.int32), uniforms[:, None])
    return ids[:, 0]
