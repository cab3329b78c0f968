"""Synthesis: the network fed with its own words. The random numbers are drawn here, the symbols in the kernels."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from charrnn import arguments
from charrnn.errors import Interrupted, SettingsError, TextError
from charrnn.evaluation.evaluate import STEPS
from charrnn.network.parameters import Array, Workspace
from charrnn.text.vocabulary import Vocabulary

if TYPE_CHECKING:
    from charrnn.model import CharRNN

PIECE = 4096  # characters between two looks at Ctrl-C
COLDEST = 1e-9  # logits differ by 1e-7 at least, if they differ: below this temperature the likeliest is certain


class Sampler:
    """Draws passages from a model, `lanes` of them side by side; keeps the state from call to call.

    The state starts at 0, or where `state` (m_,) says, and reads the `prime` ids, all but the last; the last is the
    first input. The model must not change meanwhile.
    """

    def __init__(
        self,
        model: CharRNN,
        prime: Array,
        lanes: int = 1,
        state: Array | None = None,
        temperature: float = 1.0,
        top_k: int | None = None,
        top_p: float = 1.0,
    ) -> None:
        temperature = arguments.number("temperature", temperature, at_least=0)
        self.temperature = 0.0 if temperature < COLDEST else temperature
        K = len(model.vocabulary)
        self.top_k = 0 if top_k is None else min(arguments.whole_number("top_k", top_k), K)
        self.top_p = arguments.number("top_p", top_p, above=0, at_most=1)
        self.model, self.last = model, np.full(lanes, prime[-1], np.intc)
        self.work = Workspace(model.hidden_size, K, 1, lanes, model.dtype)
        model.kernels.renew(model.theta, self.work)
        if state is not None:
            self.work.hidden[0] = state
        if len(prime) > 1:
            self.work.hidden[0] = self.state_after(prime[:-1])

    def state_after(self, ids: Array) -> Array:
        """(m_,): the state after reading these ids."""
        state: Array = self.work.hidden[0, 0]
        for start in range(0, len(ids), STEPS):
            seen = np.ascontiguousarray(ids[start : start + STEPS, None], np.intc)
            work = Workspace(self.work.m, self.work.K, len(seen), 1, self.work.dtype)
            self.model.kernels.renew(self.model.theta, work)
            work.hidden[0, 0] = state
            self.model.kernels.forward(self.model.theta, work, seen, seen, learn=False)
            state = work.hidden[-1, 0]
        return state

    def draw(self, length: int, rng: np.random.Generator) -> Array:
        """The next `length` ids of every lane, (length, lanes)."""
        out = np.empty((length, len(self.last)), np.intc)
        uniforms = rng.random((length, len(self.last)))
        self.model.kernels.sample(self.model.theta, self.work, out, self.last, uniforms, self.temperature, self.top_k, self.top_p)
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
    model: CharRNN, state: Array, first: int, length: int, rng: np.random.Generator, stop: Callable[[], bool] = lambda: False
) -> Any:
    """The text of `length` characters drawn from a state (m_,) and a first input; `Interrupted` when `stop` says so."""
    sampler = Sampler(model, np.array([first]), state=state)
    ids = []
    for some in pieces_of(length, PIECE):
        if stop():
            raise Interrupted("a sample was stopped before its end")
        ids.append(sampler.draw(some, rng)[:, 0])
    return model.vocabulary.decode(np.concatenate(ids))


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
    vocabulary = sampler.model.vocabulary
    tail: Any = b"" if vocabulary.raw_bytes else ""  # what could be the beginning of `stop`, already given out
    for some in pieces_of(length, piece):
        text = vocabulary.decode(sampler.draw(some, rng)[:, 0])
        if stop is not None:
            if stop in tail + text:
                yield up_to(tail + text, stop)[len(tail) :]
                return
            tail = (tail + text)[max(0, len(tail + text) - len(stop) + 1) :]
        yield text
