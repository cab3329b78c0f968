"""What a model is used for: it writes, scores, and says what comes next."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Self

import numpy as np

from charrnn import arguments
from charrnn.base import Model
from charrnn.errors import SettingsError
from charrnn.evaluation import evaluate as evaluation
from charrnn.evaluation.coldstart import ADVICE, ColdStart, cold_start, cold_texts
from charrnn.evaluation.dynamic import DynamicEvaluation, adapt
from charrnn.evaluation.evaluate import Evaluation
from charrnn.evaluation.score import score
from charrnn.generation import generate
from charrnn.generation.generate import GenerationPlan
from charrnn.generation.rules import DecodingRules
from charrnn.generation.sampling import PIECE, starting_ids
from charrnn.generation.session import Session
from charrnn.network.arrays import Array
from charrnn.network.lanes import windows_of_lanes
from charrnn.text.corpus import Corpus

PLANNED = ("stop", "keep_stop", "pattern", "exact", "logits_processor", "start")  # the arguments of generate that are no decoding rules
GENERATE = ("prompt", "max_new", "n", "seed", *PLANNED, "details", "log_probabilities")
STREAM = ("length", "prime", "temperature", "seed", "piece", *PLANNED)


class Inference(Model):
    """What `charrnn.CharRNN` does with a trained network; see there."""

    # ---- writing ---------------------------------------------------------------------------------------------------

    def generate(
        self,
        prompt: Any = "",
        max_new: int = 1000,
        *,
        n: int | None = None,
        seed: int | None = None,
        stop: Any = None,
        keep_stop: bool = True,
        pattern: str | bytes | None = None,
        exact: bool = False,
        logits_processor: Any = None,
        start: str | None = None,
        details: bool = False,
        log_probabilities: bool = False,
        **rules: Any,
    ) -> Any:
        """Text that continues `prompt`, without the prompt: `max_new` characters, or fewer if a stop text or a pattern ends it.

        Args:
            prompt: the text that the model reads first, after a line end. For a list of prompts, which are computed in parallel, a list
                of texts is returned.
            max_new: the maximum number of characters.
            n: return a list of `n` texts for each prompt, those of the first prompt first (num_return_sequences).
            seed: makes the text repeatable; without one, the model's own random generator is used.
            stop: a text, or a list of texts; the passage ends after the first occurrence of one.
            keep_stop: whether the stop text is part of the passage.
            pattern: a regular expression that the whole text must match. A matching text ends when the model draws a character that does
                not continue the match; elsewhere, characters that cannot lead to a match are left out. See `charrnn.generation.pattern`.
            exact: draw from the model's own distribution over the texts that match; slow if the model rarely writes one.
            logits_processor: a function of the ids so far (N,) and the logits (K,) that returns other logits, -inf to forbid.
            start: the state before the prompt: "carried" from the end of training, after a line end; or "zero", which occurs in training
                only at the beginning of the text, see `charrnn.evaluation.coldstart`. By default "carried" if there is a `carried_state`.
            details: return a `Passage` for each: prompt, text, finished ("length", "stop" or "pattern"), log_probability.
            log_probabilities: with details, compute log_probability: the sum of ln p, without any rules.
            rules: temperature, top_k, top_p, min_p, typical_p, no_repeat_ngram_size, dry_multiplier, logit_bias, allowed, banned ...; see
                `charrnn.generation.rules.DecodingRules` for each and for their order.

        Texts are `str`, or `bytes` for a model of raw bytes. Raises `TextError` for a prompt outside the vocabulary, `SettingsError` for
        other invalid arguments.

        >>> from charrnn import CharRNN
        >>> model = CharRNN(hidden_size=4, vocabulary="ab\\n")
        >>> model.generate("a", 6, temperature=0) == model.generate("a", 6, top_k=1)
        True
        >>> len(model.generate(["a", "b"], 5, n=3, top_p=0.9, seed=1))
        6
        >>> model.generate(max_new=9, pattern="a{3}b", seed=1)
        'aaab'
        """
        with self._access.reading():
            vocabulary, network = self.vocabulary, self.network
            chosen = DecodingRules.given(rules, "generate", GENERATE)
            carried = self.state_at(start)
            plan = GenerationPlan.of(vocabulary, max_new, chosen, stop, keep_stop, pattern, exact, logits_processor, carried)
            one = isinstance(prompt, (str, bytes))
            prompts = [prompt] if one else arguments.listed("prompt", prompt, "a str, or a list of them")
            if arguments.yes_or_no("log_probabilities", log_probabilities) and not arguments.yes_or_no("details", details):
                raise SettingsError("log_probabilities are part of the details: give details=True as well")
            lanes = 1 if n is None else arguments.whole_number("n", n)
            found = generate.passages(network, plan, prompts, lanes, lambda: self._generator(seed))
            if log_probabilities:
                found = generate.with_log_probabilities(network, found, carried)
        answers: list[Any] = found if details else [passage.text for passage in found]
        return answers[0] if one and n is None else answers

    def synthesize(
        self,
        length: int = 1000,
        prime: str | bytes = "",
        temperature: float = 1.0,
        seed: int | None = None,
        *,
        n: int | None = None,
        **more: Any,
    ) -> Any:
        """`length` characters that continue `prime`: `generate` with the length first and the same other arguments.

        >>> from charrnn import CharRNN
        >>> CharRNN(hidden_size=4, vocabulary="ab").synthesize(6, prime="a", temperature=0) in ("aaaaaa", "bbbbbb")
        True
        """
        length = arguments.whole_number("length", length, at_least=0)
        starting_ids(self.vocabulary, prime)  # refuses a list
        return self.generate(prime, length, n=n, seed=seed, temperature=temperature, **more)

    def stream(
        self, length: int, prime: str | bytes = "", temperature: float = 1.0, seed: int | None = None, *, piece: int = PIECE, **more: Any
    ) -> Iterator[Any]:
        """`synthesize` as an iterator, in pieces of about `piece` characters; the possible beginning of a stop text is held back.

        It uses a copy of the model: later changes of the model do not matter. Text and errors are those of `synthesize`.

        >>> from charrnn import CharRNN
        >>> model = CharRNN(hidden_size=4, vocabulary="ab")
        >>> "".join(model.stream(9, seed=1, piece=2)) == model.synthesize(9, seed=1)
        True
        """
        length, piece = arguments.whole_number("length", length, at_least=0), arguments.whole_number("piece", piece)
        chosen = {"temperature": temperature} | {name: value for name, value in more.items() if name not in PLANNED}
        rules = DecodingRules.given(chosen, "stream", STREAM)
        with self._access.reading():
            planned = {name: value for name, value in more.items() if name in PLANNED}
            carried = self.state_at(planned.pop("start", None))
            plan = GenerationPlan.of(self.vocabulary, length, rules, **planned, carried=carried)
            return generate.stream(self.network.copy(), plan, prime, lambda: self._generator(seed), piece)

    def session(self, seed: int | None = None, start: str | None = None, **rules: Any) -> Session:
        """Read and generate a text step by step, in your own loop: see `charrnn.generation.session.Session`; start: as for
        `generate`.

        >>> from charrnn import CharRNN
        >>> session = CharRNN(hidden_size=4, vocabulary="ab").session(seed=1, temperature=0.5)
        >>> len(session.feed("ab").sample(3))
        3
        """
        with self._access.reading():
            chosen = DecodingRules.given(rules, "session", ("seed", "start"))
            chosen.for_vocabulary(self.vocabulary, self.dtype)  # an error before the model's generator moves on
            return Session(self.network.copy(), self._generator(seed), chosen, self.state_at(start))

    def _generator(self, seed: int | None) -> np.random.Generator:
        """For one passage: from the seed or, without one, from the model's own generator, which moves on by one
        number.
        """
        if seed is None:
            return np.random.Generator(np.random.PCG64(int(self.rng.integers(1 << 63))))
        return np.random.Generator(np.random.PCG64(arguments.whole_number("seed", seed, at_least=0)))

    # ---- scoring ---------------------------------------------------------------------------------------------------

    def score(
        self, texts: Any, context: str | bytes | None = None, *, reduction: str = "mean", unknown: str = "error", start: str = "zero"
    ) -> Any:
        """How likely each text is: ln p of its characters in nats (at most 0); each text is read from a fresh state after `context`.

        Args:
            texts: a list of texts, computed in parallel, or one text.
            context: read before each text, so that its first character is predicted too: by default a line end or, if the vocabulary
                has none, its first character.
            reduction: "mean" per character, (n,), NaN for an empty text; "sum", (n,); "none", a list of arrays with ln p of each character.
            unknown: characters that the model does not know are an "error", or read as U+FFFD by a model trained with `min_count`; or left
                out ("skip"); or not read, and scored with p = 1/K ("uniform").
            start: the state before the context, "zero" or "carried" from training, see `evaluate`. There is a warning if the model is
                lost after a start from 0.

        Raises `TextError` and `SettingsError` before any work. For one long text, or a file, see `evaluate` and `losses`, which have
        the opposite sign.

        >>> from charrnn import CharRNN
        >>> CharRNN(hidden_size=4, init_std=0, vocabulary="abcd\\n").score(["ab", "d"]).round(3)  # -ln 5
        array([-1.609, -1.609])
        """
        with self._access.reading():
            network, carried, before = self.network, self.carried_state, self.state_at(start)
            given = texts if isinstance(texts, (str, bytes)) else arguments.listed("texts", texts)
            found = score(network, given, context, reduction, unknown, before)

            def sums(some: Any, state: Array | None) -> Any:
                return score(network, some, context, "sum", unknown, state)

            each = [given] if isinstance(given, (str, bytes)) else given
            if before is None and carried is not None and (note := cold_texts(each, sums, carried)):
                warnings.warn(note, stacklevel=2)
            return found

    def probabilities(self, prefix: str | bytes = "", *, array: bool = False) -> Any:
        """The probability of each character after `prefix`, without any rules, from the same start as `generate`: a dict, the likeliest
        first, or an array in the vocabulary's order.

        >>> from charrnn import CharRNN
        >>> CharRNN(hidden_size=4, init_std=0, vocabulary="ab").probabilities("ab")
        {'a': 0.5, 'b': 0.5}
        """
        arguments.yes_or_no("array", array)
        with self._access.reading():
            p = Session(self.network, self._generator(0), carried=self.state_at(None)).feed(prefix).probabilities
        return p if array else {self.vocabulary.decode([k]): float(p[k]) for k in np.argsort(-p, kind="stable")}

    def hidden_states(self, text: str | bytes) -> Array:
        """(layers, N, m): h of each layer after each of the text's N characters, read from the zero state.

        >>> from charrnn import CharRNN
        >>> CharRNN(hidden_size=4, layers=2, vocabulary="ab").hidden_states("abba").shape
        (2, 4, 4)
        """
        with self._access.reading():
            network, ids = self.network, self.vocabulary.encode(text)
            shape = (network.architecture.layers, len(ids), network.architecture.hidden_size)
            arguments.memory(f"the hidden states of {len(ids):,} characters", int(np.prod(shape)) * network.dtype.itemsize)
            found = np.empty(shape, network.dtype)
            for _, at, steps, work in windows_of_lanes(network, [np.append(ids, 0)]):  # 0: nothing that is read
                found[:, at : at + steps[0]] = work.states[:, 0, 1 : steps[0] + 1, 0, : work.m]
            return found

    def evaluate(
        self, text: str | bytes | Corpus, batch_size: int = 1, *, dynamic: bool | DynamicEvaluation = False, start: str = "zero"
    ) -> Evaluation:
        """The loss of a text, in nats per character, read from its beginning with the state carried through.

        Args:
            batch_size: cut the text into this number of sequences, which are read in parallel: faster, but each starts anew.
            dynamic: train a copy of the model on each segment of the text after scoring it (Krause et al. 2018): True, or a
                `charrnn.evaluation.dynamic.DynamicEvaluation` with the settings.
            start: the state before the text: "zero"; or "carried" from training, after a line end. Some vanilla networks are lost when they
                start from 0, see `charrnn.evaluation.coldstart`; the result's note then says so.

        Raises `TextError` for a text of fewer than two characters or with characters outside the vocabulary.

        >>> from charrnn import CharRNN
        >>> CharRNN(hidden_size=4, init_std=0, vocabulary="ab").evaluate("abab").perplexity
        2.0
        """
        with self._access.reading():
            corpus, network, carried = self.corpus_of(text), self.network, self.state_at(start)
            if dynamic is False:
                found = evaluation.evaluate(network, corpus, batch_size, carried=carried)
            elif batch_size != 1:
                raise SettingsError(f"dynamic evaluation reads a text as one sequence: batch_size must be 1, got {batch_size!r}")
            else:
                found = adapt(network, corpus, _dynamic(dynamic), carried=carried)[1]
            if carried is not None or (look := self.cold_start(corpus)) is None or not look.is_stuck:
                return found
            return replace(found, note=f"{look}; {ADVICE}")

    def cold_start(self, text: str | bytes | Corpus) -> ColdStart | None:
        """The first 1,000 characters of a text, read from a state of 0 and from the carried one: a
        `charrnn.evaluation.coldstart.ColdStart`, which says whether the model is lost after a start from 0. None without a carried state.

        >>> from charrnn import CharRNN
        >>> model = CharRNN(hidden_size=4)
        >>> history = model.train("so it goes, " * 30, updates=5, progress=False)
        >>> model.cold_start("so it goes").is_stuck
        False
        """
        with self._access.reading():
            carried = self.state_at(None)
            return None if carried is None else cold_start(self.network, self.corpus_of(text), carried)

    def adapted(self, text: str | bytes | Corpus, dynamic: DynamicEvaluation | None = None) -> Self:
        """A copy of the model trained on the text as in dynamic evaluation, to generate text in its style.

        >>> from charrnn import CharRNN
        >>> model = CharRNN(hidden_size=8, vocabulary="ab")
        >>> bool(model.adapted("abab" * 50).evaluate("abab").loss < model.evaluate("abab").loss)
        True
        """
        other = self.copy()
        other._network = adapt(other.network, other.corpus_of(text), _dynamic(dynamic or True), carried=self.state_at(None))[0]
        return other

    def losses(self, text: str | bytes | Corpus, *, start: str = "zero") -> Array:
        """(N-1,): nats of each character after the first, given all before it; start: as for `evaluate`, and so is `TextError`.

        >>> from charrnn import CharRNN
        >>> CharRNN(hidden_size=4, init_std=0, vocabulary="ab").losses("aba").round(3)
        array([0.693, 0.693])
        """
        with self._access.reading():
            network, corpus, carried = self.network, self.corpus_of(text), self.state_at(start)
            corpus.require_window(1)
            return np.concatenate([work.losses[:, 0].copy() for _, _, work in evaluation.windows_of(network, corpus, 1, carried)])


def _dynamic(dynamic: Any) -> DynamicEvaluation:
    """The settings that the argument means."""
    if dynamic is True:
        return DynamicEvaluation()
    if not isinstance(dynamic, DynamicEvaluation):
        raise SettingsError(f"dynamic must be True, False or a DynamicEvaluation, got {dynamic!r}")
    return dynamic
