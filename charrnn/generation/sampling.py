"""Synthesis: the network fed with its own words. The random numbers are drawn here, the symbols in the kernels."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Self

import numpy as np

from charrnn.errors import Interrupted, TextError
from charrnn.generation.rules import DecodingRules
from charrnn.network.arrays import Array
from charrnn.network.blocks import views
from charrnn.network.decoding import Rules
from charrnn.network.lanes import STEPS, states_after
from charrnn.network.network import Network
from charrnn.network.start import line_end
from charrnn.text.vocabulary import Vocabulary

PIECE = 4096  # characters between two looks at Ctrl-C
PLAIN = Rules()


class Sampler:
    """Writes passages with a network, in lanes side by side; keeps states, and what the rules look back on, from call to call.

    Each lane begins with the ids of its own of `sequences`: all but the last are read, the last is the first input. The state before them
    is 0 or comes from `carried` (see `charrnn.network.start`); or all but the last were read before, which gave `state` (layers, states,
    lanes, m). The network must not change meanwhile.
    """

    def __init__(
        self, network: Network, sequences: Sequence[Array], rules: Rules = PLAIN, state: Array | None = None, carried: Array | None = None
    ) -> None:
        self.network, self.rules = network, rules
        if state is None:  # each different sequence is read once
            first = {ids.tobytes(): i for i, ids in reversed(list(enumerate(sequences)))}
            place = {number: lane for lane, number in enumerate(first.values())}
            read = states_after(network, [sequences[i] for i in first.values()], carried)
            state = read[:, :, [place[first[ids.tobytes()]] for ids in sequences]]
        self._begin(state, self._look_back(sequences))

    def _begin(self, state: Array, history: Array) -> None:
        self.history = history  # (lanes, n): the last ids, of which the last are the inputs to come
        self.work = self.network.workspace(1, len(history), backward=False)
        self.state[:] = state

    def _look_back(self, sequences: Sequence[Array] | Array) -> Array:
        """The last ids of each lane, as many as the rules look at, one at least; -1 before a sequence's beginning."""
        most = max(len(ids) for ids in sequences)
        size = most if self.rules.look_back < 0 else min(most, max(1, self.rules.look_back))
        history = np.full((len(sequences), size), -1, np.intc)
        for lane, ids in zip(history, sequences, strict=True):
            some = ids[-size:]
            lane[size - len(some) :] = some
        return history

    @property
    def state(self) -> Array:
        """(layers, states, lanes, m): the states before the last id of each lane, which is read next. A view."""
        return self.work.states[:, :, 0, :, : self.work.m]

    def copy(self) -> Self:
        """Another one that goes on from here."""
        return self.select(range(len(self.history)))

    def select(self, lanes: Sequence[int]) -> Self:
        """Another one with these lanes."""
        other = object.__new__(type(self))
        other.network, other.rules = self.network, self.rules
        other._begin(self.state[:, :, lanes], self.history[lanes].copy())
        return other

    def feed(self, ids: Array) -> None:
        """Go on with these ids as if they had been drawn; for one lane."""
        ids = np.concatenate([self.history[0], ids.astype(np.intc)])
        pending = ids[self.history.shape[1] - 1 :]
        for start in range(0, len(pending) - 1, STEPS):
            seen = np.ascontiguousarray(pending[start : start + STEPS + 1, None])
            work = self.network.workspace(len(seen) - 1, 1, backward=False)
            work.states[:, :, 0] = self.work.states[:, :, 0]
            self.network.kernels.forward(self.network.theta, work, seen[:-1], seen[1:], gradient=False)
            self.work.states[:, :, 0] = work.states[:, :, -1]
        self.history = self._look_back([ids])

    def logits(self) -> Array:
        """(lanes, K): of the next character, without any rules. `feed` or `draw` goes on from the same place."""
        x, V = np.ascontiguousarray(self.history[None, :, -1]), views(self.network.theta, self.network.architecture)
        self.network.kernels.forward(self.network.theta, self.work, x, x, gradient=False)
        logits: Array = self.work.states[-1, 0, 1, :, : self.work.m] @ V["V"].T + V["c"]
        return logits

    def take(self, ids: Array) -> None:
        """Go on with one id a lane, right after `logits`."""
        self.work.states[:, :, 0] = self.work.states[:, :, 1]
        self.history = self._look_back(np.concatenate([self.history, ids[:, None].astype(np.intc)], axis=1))

    def draw(self, uniforms: Array) -> Array:
        """(lanes, n): the next ids, drawn with the random numbers (n, lanes) in [0, 1)."""
        size = self.history.shape[1]
        ids = np.zeros((len(self.history), size + len(uniforms)), np.intc)
        ids[:, :size] = self.history
        self.network.kernels.sample(self.network.theta, self.work, ids, size, np.ascontiguousarray(uniforms), self.rules)
        self.history = self._look_back(ids)
        return ids[:, size:]


def pieces_of(length: int, piece: int) -> Iterator[int]:
    """How many characters to draw at a time.

    >>> list(pieces_of(11, 4))
    [4, 4, 3]
    """
    while length > 0:
        yield min(piece, length)
        length -= piece


def passage(
    network: Network, state: Array, first: int, length: int, rng: np.random.Generator, stop: Callable[[], bool] = lambda: False
) -> Any:
    """The text of `length` characters drawn from a state (layers, states, 1, m_) and a first input; `Interrupted` when `stop` says so."""
    rules = DecodingRules().for_vocabulary(network.vocabulary, network.dtype)
    sampler = Sampler(network, [np.array([first], np.intc)], rules, state[..., : network.architecture.hidden_size])
    ids = [np.zeros(0, np.intc)]
    for size in pieces_of(length, PIECE):
        if stop():
            raise Interrupted("a sample was stopped before its end")
        ids.append(sampler.draw(rng.random((size, 1)))[0])
    return network.vocabulary.decode(np.concatenate(ids))


def starting_ids(vocabulary: Vocabulary, prime: str | bytes) -> Array:
    """The ids of the prime; of an empty one a line end, as if a paragraph had just closed, or else the first symbol."""
    if not isinstance(prime, (str, bytes)):
        raise TextError(f"prime must be str or bytes, got {type(prime).__name__}")
    if len(prime):
        return vocabulary.encode(prime)
    return np.array([line_end(vocabulary) or 0], np.intc)
