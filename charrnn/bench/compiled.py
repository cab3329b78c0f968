"""The compiled kernels as programs to compare, called where charrnn's own training and synthesis call them."""

from __future__ import annotations

import numpy as np

from charrnn.network import kernels
from charrnn.network.parameters import SLOTS, Array, Rule, Workspace, aligned_zeros, named_views, new_theta
from charrnn.threads import Team, together


class Compiled:
    """The kernels as a program to compare: arguments as `charrnn.bench.baselines.Vectorised`; level: which kernels, None for the best."""

    def __init__(
        self,
        parameters: dict[str, Array],
        *,
        seq_length: int,
        batch_size: int,
        optimizer: str,
        learning_rate: float,
        clip: float | None,
        reduction: str,
        dtype: str = "float32",
        level: str | None = None,
        threads: int = 1,
    ) -> None:
        m, K = parameters["U"].shape
        self.kernels = kernels.get(level)
        self.theta = theta_of(parameters, dtype)
        self.slots = aligned_zeros((SLOTS[optimizer], *self.theta.shape), dtype)
        self.best, self.smooth = aligned_zeros(self.theta.shape, dtype), np.array([np.nan, np.inf, 0.0, 0.0])
        self.work = Workspace(m, K, seq_length, batch_size, dtype)
        scale = 1.0 / (seq_length * batch_size) if reduction == "mean" else 1.0
        self.rule = Rule(optimizer, clip=np.inf if clip is None else clip, scale=scale)
        self.learning_rate, self.step, self.threads = learning_rate, 0, min(threads, batch_size)
        self.kernels.renew(self.theta, self.work)

    def run(self, inputs: Array, targets: Array) -> Array:
        """One update per window of inputs and targets (n, T, B); returns the summed losses (n,)."""
        n = len(inputs)
        rates = self.rule.rates(np.full(n, self.learning_rate), self.step + 1)
        losses, resets = np.empty((n, 2)), np.zeros(n, np.uint8)
        resets[0] = self.step == 0
        self.step += n
        arrays = (self.theta, self.slots, self.work, inputs, targets, resets, losses, rates, self.rule, self.smooth, self.best)
        with Team(self.threads) as team:
            together(team, self.kernels.train, arrays, self.work.barrier)
        return losses[:, 0]


def theta_of(parameters: dict[str, Array], dtype: str) -> Array:
    """The kernels' flat array with these parameters."""
    m, K = parameters["U"].shape
    theta = new_theta(m, K, dtype)
    for name, view in named_views(theta, m, K).items():
        view[...] = parameters[name]
    return theta


def sample_with(level: str | None, parameters: dict[str, Array], uniforms: Array, dtype: str = "float32") -> Array:
    """Synthesis from a zero state and symbol 0, one character after another: uniforms (n,), ids (n,)."""
    m, K = parameters["U"].shape
    theta, work = theta_of(parameters, dtype), Workspace(m, K, 1, 1, dtype)
    chosen, ids = kernels.get(level), np.empty((len(uniforms), 1), np.intc)
    chosen.renew(theta, work)
    chosen.sample(theta, work, ids, np.zeros(1, np.intc), uniforms[:, None])
    return ids[:, 0]
