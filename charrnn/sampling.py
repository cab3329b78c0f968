"""Synthesis: the network fed with its own words. The random numbers are drawn here, the symbols in the kernels."""
from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from charrnn import arguments
from charrnn.errors import SettingsError
from charrnn.parameters import Array, Workspace
from charrnn.vocabulary import Vocabulary

if TYPE_CHECKING:
    from charrnn.model import CharRNN

PIECE = 4096  # characters between two looks at Ctrl-C


class Sampler:
    """Draws passages from a model, `lanes` of them side by side; keeps the state from call to call.

    The state starts at 0, or where `state` (m_,) says, and reads the `prime` ids, all but the last; the last is the first input.
    """

    def __init__(
        self, model: CharRNN, prime: Array, lanes: int = 1, state: Array | None = None, temperature: float = 1.0,
        top_k: int | None = None, top_p: float = 1.0,
    ) -> None:  # fmt: skip
        self.temperature = arguments.number("temperature", temperature, at_least=0)
        self.top_k = 0 if top_k is None else arguments.whole_number("top_k", top_k)
        self.top_p = arguments.number("top_p", top_p, above=0, at_most=1)
        lanes = arguments.whole_number("n", lanes)
        self.model, self.last = model, np.full(lanes, prime[-1], np.intc)
        K = len(model.vocabulary)
        self.work = Workspace(model.hidden_size, K, 1, lanes, model.dtype)
        model.kernels.renew(model.theta, self.work)
        if state is not None:
            self.work.hidden[0] = state
        for x in prime[:-1]:
            seen = np.full((1, lanes), x, np.intc)
            model.kernels.forward(model.theta, self.work, seen, seen, learn=False)
            self.work.hidden[0] = self.work.hidden[1]

    def draw(self, length: int, rng: np.random.Generator) -> Array:
        """The next `length` ids of every lane, (length, lanes)."""
        out = np.empty((length, len(self.last)), np.intc)
        uniforms = rng.random((length, len(self.last)))
        self.model.kernels.sample(
            self.model.theta, self.work, out, self.last, uniforms, self.temperature, self.top_k, self.top_p
        )
        if length:
            self.last = out[-1].copy()
        return out


def starting_ids(vocabulary: Vocabulary, prime: str | bytes) -> Array:
    """The ids of the prime; for an empty one a line end, as if a paragraph had just closed, or the first symbol there is."""
    if len(prime):
        return vocabulary.encode(prime)
    line_end = b"\n" if vocabulary.raw_bytes else "\n"
    return vocabulary.encode(line_end) if line_end in vocabulary else np.zeros(1, np.intc)


def stream(sampler: Sampler, length: int, rng: np.random.Generator, stop: str | bytes | None, piece: int) -> Iterator[Any]:
    """The passage of a single lane in pieces, up to and including the first occurrence of `stop`."""
    vocabulary = sampler.model.vocabulary
    empty: Any = b"" if vocabulary.raw_bytes else ""
    if stop is not None and (not isinstance(stop, type(empty)) or not stop):
        raise SettingsError(f"stop must be a non-empty {type(empty).__name__}, got {stop!r}")
    tail = empty  # what could be the beginning of `stop`, already given out
    while length > 0:
        some = min(piece, length)
        text = vocabulary.decode(sampler.draw(some, rng)[:, 0])
        length -= some
        if stop is not None:
            found = (tail + text).find(stop)
            if found >= 0:
                yield text[: found + len(stop) - len(tail)]
                return
            tail = (tail + text)[-(len(stop) - 1) :] if len(stop) > 1 else empty
        yield text
