"""Synthesis: the network fed with its own words. The random numbers are drawn here, the symbols in the kernels."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from charrnn import arguments
from charrnn.errors import Interrupted, SettingsError, TextError
from charrnn.network.arrays import Array
from charrnn.network.network import Network
from charrnn.text.vocabulary import Vocabulary

STEPS = 256  # of a prime, read in one call of the kernels
PIECE = 4096  # characters between two looks at Ctrl-C
COLDEST = 1e-9  # logits differ by 1e-7 at least, if they differ: below this temperature the likeliest is certain


class Sampler:
    """Draws passages from a network, `lanes` of them side by side; keeps the state from call to call.

    The state starts at 0, or where `state` (layers, states, 1, m_) says, and reads the `prime` ids, all but the last; the last is the
    first input. The network must not change meanwhile.
    """

    def __init__(
        self,
        network: Network,
        prime: Array,
        lanes: int = 1,
        state: Array | None = None,
        temperature: float = 1.0,
        top_k: int | None = None,
        top_p: float = 1.0,
    ) -> None:
        temperature = arguments.number("temperature", temperature, at_least=0)
        self.temperature = 0.0 if temperature < COLDEST else temperature
        K = len(network.vocabulary)
        self.top_k = 0 if top_k is None else min(arguments.whole_number("top_k", top_k), K)
        self.top_p = arguments.number("top_p", top_p, above=0, at_most=1)
        self.network, self.last = network, np.full(lanes, prime[-1], np.intc)
        self.work = network.workspace(1, lanes, backward=False)
        self.state = self.work.states[:, :, 0]  # (layers, states, lanes, m_)
        if state is not None:
            self.state[:] = state
        if len(prime) > 1:
            self.state[:] = self.state_after(prime[:-1])

    def state_after(self, ids: Array) -> Array:
        """(layers, states, 1, m_): the state after reading these ids."""
        state: Array = self.state[:, :, :1]
        work = None
        for start in range(0, len(ids), STEPS):
            seen = np.ascontiguousarray(ids[start : start + STEPS, None], np.intc)
            if work is None or len(seen) != work.T:
                work = self.network.workspace(len(seen), 1, backward=False)
            work.states[:, :, 0] = state
            self.network.kernels.forward(self.network.theta, work, seen, seen, gradient=False)
            state = work.states[:, :, -1].copy()
        return state

    def draw(self, length: int, rng: np.random.Generator) -> Array:
        """The next `length` ids of every lane, (length, lanes)."""
        out = np.empty((length, len(self.last)), np.intc)
        uniforms = rng.random((length, len(self.last)))
        self.network.kernels.sample(self.network.theta, self.work, out, self.last, uniforms, self.temperature, self.top_k, self.top_p)
        if length:
            self.last = out[-1].copy()
        return out


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
    sampler = Sampler(network, np.array([first]), state=state)
    ids = []
    for some in pieces_of(length, PIECE):
        if stop():
            raise Interrupted("a sample was stopped before its end")
        ids.append(sampler.draw(some, rng)[:, 0])
    return network.vocabulary.decode(np.concatenate(ids))


def starting_ids(vocabulary: Vocabulary, prime: str | bytes) -> Array:
    """The ids of the prime; of an empty one a line end, as if a paragraph had just closed, or else the first symbol."""
    if not isinstance(prime, (str, bytes)):
        raise TextError(f"prime must be str or bytes, got {type(prime).__name__}")
    if len(prime):
        return vocabulary.encode(prime)
    line_end = b"\n" if vocabulary.raw_bytes else "\n"
    return vocabulary.encode(line_end) if line_end in vocabulary else np.zeros(1, np.intc)


def check_stop(vocabulary: Vocabulary, stop: Any) -> None:
    """SettingsError unless stop is None or a non-empty text of the vocabulary's kind."""
    kind = bytes if vocabulary.raw_bytes else str
    if stop is not None and (not isinstance(stop, kind) or not stop):
        raise SettingsError(f"stop must be a non-empty {kind.__name__}, got {stop!r}")


def up_to(text: Any, stop: Any) -> Any:
    """text up to and including the first occurrence of stop.

    >>> up_to("one. two. three.", ".")
    'one.'
    """
    return text if stop is None or stop not in text else text[: text.find(stop) + len(stop)]


def stream(sampler: Sampler, length: int, rng: np.random.Generator, stop: str | bytes | None, piece: int) -> Iterator[Any]:
    """The passage of a single lane in pieces, up to and including the first occurrence of `stop`."""
    vocabulary = sampler.network.vocabulary
    tail: Any = b"" if vocabulary.raw_bytes else ""  # what could be the beginning of `stop`, already given out
    for some in pieces_of(length, piece):
        text = vocabulary.decode(sampler.draw(some, rng)[:, 0])
        if stop is not None:
            if stop in tail + text:
                yield up_to(tail + text, stop)[len(tail) :]
                return
            tail = (tail + text)[max(0, len(tail + text) - len(stop) + 1) :]
        yield text
