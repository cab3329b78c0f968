"""Dynamic evaluation (Krause et al. 2018): a network that learns from a text while the text is scored, each part after it was scored.

After each segment, with its gradient g of the mean loss per character::

    theta += -rate g / (RMS + eps) + decay (theta_trained - theta)

RMS is, for each parameter, the root mean square of these gradients so far. (Krause et al. take it from the training text, which a model
file does not hold; with it, what is gained grows by less than a tenth.)
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from charrnn import arguments
from charrnn.errors import Interrupted
from charrnn.evaluation.evaluate import Evaluation
from charrnn.network.arrays import Array
from charrnn.network.blocks import parameter_count
from charrnn.network.network import Network
from charrnn.network.start import start_states
from charrnn.network.workspace import Workspace
from charrnn.text.corpus import Corpus


@dataclass(frozen=True)
class DynamicEvaluation:
    """Settings of dynamic evaluation.

    Attributes:
        segment: characters between two updates.
        rate: learning rate of the updates, in units of a parameter's own RMS gradient.
        decay: each update also moves the parameters back towards the trained ones, by this share of the distance.
        eps: added to RMS, as a share of its mean over all parameters, so that parameters with rare gradients do not diverge.
    """

    segment: int = 20
    rate: float = 0.001
    decay: float = 0.0003
    eps: float = 0.1

    def __post_init__(self) -> None:
        arguments.whole_number("segment", self.segment)
        arguments.number("rate", self.rate, at_least=0)
        arguments.number("decay", self.decay, at_least=0, at_most=1)
        arguments.number("eps", self.eps, above=0)


class Adapting:
    """A network, which it changes, and how far the reading of a text with it has come."""

    def __init__(self, network: Network, how: DynamicEvaluation, state: Array | None = None) -> None:
        self.network, self.how, self.trained = network, how, network.theta.copy()
        self.squares, self.segments = np.zeros_like(network.theta), 0
        self._work: Workspace | None = None
        self._state = state

    def read(self, ids: Array) -> Workspace:
        """Score ids[1:], from the state after ids[0] was read last, and take up their gradient; the workspace has losses and states."""
        T, network = len(ids) - 1, self.network
        if self._work is None or self._work.T != T:
            self._work = network.workspace(T, 1)
        work = self._work
        if self._state is not None:
            work.states[:, :, 0, :, : work.m] = self._state
        network.kernels.pack(network.theta, work)
        x, y = ids[:-1, None], ids[1:, None]
        network.kernels.forward(network.theta, work, x, y, 1 / T, True)
        self._state = work.states[:, :, T, :, : work.m].copy()
        network.kernels.backward(network.theta, work, x)
        return work

    def update(self, gradient: Array) -> None:
        """One step, after the gradient of one segment."""
        self.squares += gradient * gradient
        self.segments += 1
        rms = np.sqrt(self.squares / self.segments)
        floor = self.how.eps * float(rms.sum()) / parameter_count(self.network.architecture) + np.finfo(rms.dtype).tiny
        theta = self.network.theta
        theta -= self.how.rate * gradient / (rms + floor) + self.how.decay * (theta - self.trained)


def adapt(
    network: Network, corpus: Corpus, how: DynamicEvaluation, stop: Callable[[], bool] = lambda: False, carried: Array | None = None
) -> tuple[Network, Evaluation]:
    """A copy of the network that has read the corpus and learned from it, and what it scored on the way. See `CharRNN.evaluate`."""
    corpus.require_window(1)
    reader = Adapting(network.copy(), how, start_states(network, carried, [corpus.read(0, 1)]))
    total, right, at, last = 0.0, 0, 0, len(corpus) - 1
    while at < last:
        if stop():
            raise Interrupted(f"the evaluation of {corpus.name} was stopped before its end")
        T = min(how.segment, last - at)
        ids = np.ascontiguousarray(corpus.read(at, at + T + 1), np.intc)
        work = reader.read(ids)
        total += float(work.losses.sum())
        right += guessed(work, ids)
        reader.update(work.gradients)
        at += T
    return reader.network, Evaluation(total / last, right / last, last)


def guessed(work: Workspace, ids: Array) -> int:
    """How many of ids[1:] were the likeliest; error holds (p - y) / T."""
    p = work.error[:, 0, : work.K].copy()
    p[np.arange(work.T), ids[1:]] += 1 / work.T
    return int((p.argmax(-1) == ids[1:]).sum())
