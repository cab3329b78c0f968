"""The compiled kernels as programs to compare, called where charrnn's own training and synthesis call them."""

from __future__ import annotations

import numpy as np

from charrnn.evaluation.evaluate import STEPS
from charrnn.network import kernels
from charrnn.network.architecture import Architecture
from charrnn.network.arrays import Array, aligned_zeros
from charrnn.network.blocks import new_theta, views
from charrnn.network.decoding import Rules
from charrnn.network.optimisers import SLOTS, UpdateRule
from charrnn.network.smooth import SmoothLoss
from charrnn.network.workspace import Workspace
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
        cell: str = "rnn",
        layers: int = 1,
    ) -> None:
        architecture = architecture_of(parameters, cell, layers)
        self.kernels = kernels.get(level, cell)
        self.theta = theta_of(parameters, architecture, dtype)
        self.slots = aligned_zeros((SLOTS[optimizer], *self.theta.shape), dtype)
        self.best, self.smooth = aligned_zeros(self.theta.shape, dtype), SmoothLoss().numbers
        self.threads = min(threads, batch_size)
        self.work = Workspace(self.kernels, architecture, seq_length, batch_size, dtype, threads=self.threads)
        scale = 1.0 / (seq_length * batch_size) if reduction == "mean" else 1.0
        self.rule = UpdateRule(optimizer, clip=np.inf if clip is None else clip, scale=scale)
        self.learning_rate, self.step = learning_rate, 0
        self.kernels.pack(self.theta, self.work)

    def run(self, inputs: Array, targets: Array) -> Array:
        """One update per window of inputs and targets (n, T, B); returns the summed losses (n,)."""
        n = len(inputs)
        rates = self.rule.rates(np.full(n, self.learning_rate), self.step + 1)
        losses, resets = np.empty((n, 3)), np.zeros(n, np.uint8)
        resets[0] = self.step == 0
        self.step += n
        first = self.step - n + 1
        arrays = (self.theta, self.slots, self.work, inputs, targets, resets, losses, rates, self.rule, self.smooth, self.best, first)
        with Team(self.threads) as team:
            together(team, self.kernels.train, arrays, self.work.barrier)
        return losses[:, 0]


def architecture_of(parameters: dict[str, Array], cell: str = "rnn", layers: int = 1) -> Architecture:
    """The network that these parameters belong to."""
    K, m = parameters["V"].shape
    return Architecture(cell, m, layers, K)


def theta_of(parameters: dict[str, Array], architecture: Architecture, dtype: str) -> Array:
    """The kernels' flat array with these parameters."""
    theta = new_theta(architecture, dtype)
    for name, view in views(theta, architecture).items():
        view[...] = parameters[name]
    return theta


def sample_with(
    level: str | None, parameters: dict[str, Array], uniforms: Array, dtype: str = "float32", cell: str = "rnn", layers: int = 1
) -> Array:
    """Synthesis from a zero state and symbol 0, one character after another: uniforms (n,), ids (n,)."""
    architecture, chosen = architecture_of(parameters, cell, layers), kernels.get(level, cell)
    theta, work = theta_of(parameters, architecture, dtype), Workspace(chosen, architecture, 1, 1, dtype, backward=False)
    ids = np.zeros((1, 1 + len(uniforms)), np.intc)
    chosen.pack(theta, work)
    chosen.sample(theta, work, ids, 1, uniforms[:, None], Rules())
    return ids[0, 1:]


def score_with(
    level: str | None, parameters: dict[str, Array], ids: Array, dtype: str = "float32", cell: str = "rnn", layers: int = 1
) -> Array:
    """-ln p of every symbol but the first, from a zero state, in one lane: ids (n STEPS + 1,), nats (n STEPS,)."""
    architecture, chosen = architecture_of(parameters, cell, layers), kernels.get(level, cell)
    theta, losses = theta_of(parameters, architecture, dtype), np.empty(len(ids) - 1)
    work = Workspace(chosen, architecture, STEPS, 1, dtype, backward=False)
    chosen.pack(theta, work)
    for at in range(0, len(losses), STEPS):
        chosen.forward(theta, work, ids[at : at + STEPS, None], ids[at + 1 : at + STEPS + 1, None], gradient=False)
        losses[at : at + STEPS] = work.losses[:, 0]
        work.states[:, :, 0] = work.states[:, :, STEPS]
    return losses
