"""How well a model expects a text: its losses, read from the beginning with the state carried through."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from charrnn import arguments
from charrnn.errors import Interrupted
from charrnn.network.arrays import Array
from charrnn.network.network import Network
from charrnn.network.start import start_states
from charrnn.network.workspace import Workspace
from charrnn.text.corpus import Corpus

STEPS = 256  # time steps in one call of the kernels: enough to hide the call, little enough for the cache


@dataclass(frozen=True)
class Evaluation:
    """How well a model predicts a text: loss in nats per character and the share (0..1) of characters for which the
    likeliest was right, over `characters` predictions. note: anything unusual, in words.

    >>> round(Evaluation(loss=math.log(8), accuracy=0.25, characters=100).bits_per_char, 6)
    3.0
    """

    loss: float
    accuracy: float
    characters: int
    note: str = ""

    @property
    def bits_per_char(self) -> float:
        """The loss in bits per character, loss / ln 2."""
        return self.loss / math.log(2)

    @property
    def perplexity(self) -> float:
        """exp(loss): the model is as uncertain as among this number of equally likely characters."""
        return math.exp(self.loss) if self.loss < 709 else math.inf  # beyond the largest float

    def _repr_html_(self) -> str:
        from charrnn.display.notebook import evaluation_html

        return evaluation_html(self)

    def __str__(self) -> str:
        found = (
            f"{self.loss:.4f} nats per character, {self.bits_per_char:.4f} bits per character, "
            f"perplexity {self.perplexity:.3f}, {self.accuracy:.1%} of {self.characters:,} characters predicted correctly"
        )
        return f"{found}; {self.note}" if self.note else found


def evaluate(
    network: Network, corpus: Corpus, batch_size: int = 1, stop: Callable[[], bool] = lambda: False, carried: Array | None = None
) -> Evaluation:
    """See `CharRNN.evaluate`; carried: the state that is begun with, by default 0.

    Asks `stop` after every window and raises `Interrupted` if it says so.
    """
    B = arguments.whole_number("batch_size", batch_size)
    arguments.memory(f"an evaluation with batch_size {B:,}", network.window_bytes(STEPS, B, backward=False))
    corpus.require_window(1, B)
    total, right = 0.0, 0
    for _, ids, work in windows_of(network, corpus, B, carried):
        if stop():
            raise Interrupted(f"the evaluation of {corpus.name} was stopped before its end")
        with np.errstate(over="ignore"):  # an infinite loss is a result
            total += float(work.losses.sum())
        right += int((work.error[:, :, : work.K].argmax(-1) == ids[1:]).sum())
    count = (len(corpus) // B - 1) * B
    return Evaluation(total / count, right / count, count)


def windows_of(network: Network, corpus: Corpus, B: int = 1, carried: Array | None = None) -> Iterator[tuple[int, Array, Workspace]]:
    """A text window by window, in B streams, the state carried from each to the next; the first: see `charrnn.network.start`.

    Yields where the window begins in each stream; its ids (T+1, B), the last of which are only predicted; and the workspace, valid until
    the next window is asked for, with its states, gates, probabilities (error) and losses (T, B) in nats.
    """
    stream, at = len(corpus) // B, 0
    work = None
    state = (
        None if carried is None else start_states(network, carried, [corpus.read(lane * stream, lane * stream + 1) for lane in range(B)])
    )
    while at < stream - 1:
        T = min(STEPS, stream - 1 - at)
        if work is None or T != work.T:
            work = network.workspace(T, B, backward=False)
        if state is not None:
            work.states[:, :, 0, :, : work.m] = state
        ids = np.stack([corpus.read(lane * stream + at, lane * stream + at + T + 1) for lane in range(B)], axis=1)
        network.kernels.forward(network.theta, work, ids[:-1], ids[1:], gradient=False)
        state = work.states[:, :, T, :, : work.m].copy()
        yield at, ids, work
        at += T
