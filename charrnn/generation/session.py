"""A text that a network reads and writes character by character, in anybody's own loop."""

from __future__ import annotations

from typing import Any, Self

import numpy as np

from charrnn import arguments
from charrnn.errors import SettingsError, TextError, brief
from charrnn.generation.rules import DecodingRules
from charrnn.generation.sampling import Sampler, pieces_of, starting_ids
from charrnn.network.arrays import Array
from charrnn.network.decoding import Rules, distribution
from charrnn.network.network import Network


class Session:
    """One text with the network's state after it: `feed` adds given text, `sample` adds generated text, as `generate` after a prompt.

    An empty text starts after a line end. The network is a copy: later changes of the model do not matter. A session belongs to one
    thread at a time.

    >>> from charrnn import CharRNN
    >>> session = CharRNN(hidden_size=4, vocabulary="ab").session(seed=1)
    >>> session.feed("ab").text, session.probabilities.shape
    ('ab', (2,))
    >>> other = session.copy()
    >>> session.sample(5) == other.sample(5)
    True
    """

    def __init__(
        self, network: Network, rng: np.random.Generator, rules: DecodingRules | None = None, carried: Array | None = None
    ) -> None:
        self.network, self.vocabulary, self._rng = network, network.vocabulary, rng
        self._rules, self._carried = rules or DecodingRules(), carried
        self._written: list[Array] = []
        self._before = starting_ids(self.vocabulary, self.vocabulary.decode([]))  # what was read before the text
        self._sampler = Sampler(network, [self._before], self._compiled(), carried=carried)

    def _compiled(self) -> Any:
        return self._rules.for_vocabulary(self.vocabulary, self.network.dtype)

    @property
    def rules(self) -> DecodingRules:
        """How `sample` chooses; may be set to others."""
        return self._rules

    @rules.setter
    def rules(self, rules: DecodingRules) -> None:
        if not isinstance(rules, DecodingRules):
            raise SettingsError(f"rules must be DecodingRules, got {brief(rules)}; dataclasses.replace(session.rules, ...) changes some")
        before, self._rules = self._rules, rules
        try:
            compiled = self._compiled()
        except BaseException:
            self._rules = before
            raise
        state = self._sampler.state.copy()
        self._sampler = Sampler(self.network, [np.concatenate([self._before, *self._written])], compiled, state=state)

    @property
    def text(self) -> Any:
        """All that was fed and sampled so far."""
        return self.vocabulary.decode(np.concatenate([np.zeros(0, np.intc), *self._written]))

    def feed(self, text: str | bytes) -> Self:
        """Go on with this text; TextError for characters that the model does not know. Returns the session."""
        if not isinstance(text, (str, bytes)):
            raise TextError(f"text must be str or bytes, got {type(text).__name__}")
        ids = self.vocabulary.encode(text)
        if len(ids) and not self._written:
            self._before, self._sampler = ids[:0], Sampler(self.network, [ids], self._sampler.rules, carried=self._carried)
        elif len(ids):
            self._sampler.feed(ids)
        self._written += [ids] * (len(ids) > 0)
        return self

    def sample(self, length: int = 1) -> Any:
        """The next characters, drawn by the rules; the session continues after them."""
        drawn = []
        for size in pieces_of(arguments.whole_number("length", length, at_least=0), 4096):
            drawn.append(self._sampler.draw(self._rng.random((size, 1)))[0])
        self._written += drawn  # with length 0 none, so that a text that is fed next is the first
        return self.vocabulary.decode(np.concatenate([np.zeros(0, np.intc), *drawn]))

    @property
    def logits(self) -> Array:
        """(K,): of the next character, in the vocabulary's order, without any rules."""
        return np.array(self._sampler.logits()[0])

    @property
    def probabilities(self) -> Array:
        """(K,): of the next character, in the vocabulary's order, as the model has them, without any rules."""
        return np.asarray(distribution(self.logits, Rules()))

    @property
    def state(self) -> Array:
        """(layers, states, 1, m): h (and, of an LSTM, c) after everything that was read; a copy."""
        self._sampler.logits()
        return np.array(self._sampler.work.states[:, :, 1, :, : self._sampler.work.m])

    def copy(self) -> Self:
        """An independent session in the same state, also of its random generator."""
        import copy

        other = object.__new__(type(self))
        other.__dict__ |= self.__dict__ | {
            "_rng": copy.deepcopy(self._rng),
            "_written": list(self._written),
            "_sampler": self._sampler.copy(),
        }
        return other

    def __copy__(self) -> Self:
        return self.copy()

    def __deepcopy__(self, memo: Any) -> Self:
        return self.copy()
