"""Passages that continue prompts: several of them in lanes of one batch where the kernels do it all, one by one where Python has a say."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from charrnn import arguments
from charrnn.errors import SettingsError, brief
from charrnn.generation.pattern import automaton
from charrnn.generation.rules import DecodingRules
from charrnn.generation.sampling import PIECE, Sampler, pieces_of, starting_ids
from charrnn.generation.steering import Steering, exact_passage, steered
from charrnn.generation.stop import Stopper, stop_texts
from charrnn.network.arrays import Array
from charrnn.network.lanes import log_probabilities
from charrnn.network.network import Network
from charrnn.text.vocabulary import Vocabulary

STOPPING = 128  # characters drawn at a time while stop texts are looked for
LENGTH, STOP, PATTERN = "length", "stop", "pattern"


@dataclass(frozen=True)
class Passage:
    """What was written after a prompt. finished: what ended it, "length", "stop" or "pattern".

    log_probability: the sum over its characters of ln p, as the model has it, without any rules; None unless asked for.
    """

    prompt: Any
    text: Any
    finished: str
    log_probability: float | None = None


@dataclass(frozen=True)
class GenerationPlan:
    """What to write, checked: `length` characters after prompts, by which rules, until when."""

    length: int
    rules: DecodingRules
    stops: tuple[Any, ...] = ()
    keep_stop: bool = True
    steering: Steering | None = None
    carried: Array | None = None  # the state that is begun with, see `charrnn.network.start`

    @classmethod
    def of(
        cls,
        vocabulary: Vocabulary,
        length: Any,
        rules: DecodingRules,
        stop: Any = None,
        keep_stop: bool = True,
        pattern: Any = None,
        exact: bool = False,
        logits_processor: Any = None,
        carried: Array | None = None,
    ) -> GenerationPlan:
        """The plan, after every check; see `charrnn.CharRNN.generate`."""
        length = arguments.whole_number("max_new", length, at_least=0)
        stops = stop_texts(vocabulary, stop)
        arguments.yes_or_no("keep_stop", keep_stop)
        if logits_processor is not None and not callable(logits_processor):
            raise SettingsError(f"logits_processor must be a function of the ids so far and the logits, got {brief(logits_processor)}")
        if arguments.yes_or_no("exact", exact) and pattern is None:
            raise SettingsError("exact says how texts of a pattern are drawn: give a pattern as well")
        matches = None if pattern is None else automaton(pattern, vocabulary)
        if matches is not None and matches.distance[0] > length:
            raise SettingsError(
                f"pattern {brief(pattern)} matches no text of at most {length:,} characters (max_new): "
                f"the shortest has {matches.distance[0]:,}"
            )
        has_say = matches is not None or logits_processor is not None
        return cls(length, rules, stops, keep_stop, Steering(matches, logits_processor, exact) if has_say else None, carried)

    def stopper(self, vocabulary: Vocabulary) -> Stopper:
        return Stopper(self.stops, self.keep_stop, b"" if vocabulary.raw_bytes else "")


def passages(
    network: Network, plan: GenerationPlan, prompts: Sequence[Any], n: int, source: Callable[[], np.random.Generator]
) -> list[Passage]:
    """n passages after each prompt, those of the first prompt first. source: called when all is checked, so that an error leaves the
    model's own generator where it was.
    """
    vocabulary = network.vocabulary
    if not prompts:
        return []
    arguments.memory(f"the text of {n * len(prompts):,} x {plan.length:,} characters", 8 * plan.length * n * len(prompts))
    rules = plan.rules.for_vocabulary(vocabulary, network.dtype)
    sequences = [starting_ids(vocabulary, prompt) for prompt in prompts]
    rng = source()
    if plan.steering is None:
        sampler = Sampler(network, [ids for ids in sequences for _ in range(n)], rules, carried=plan.carried)
        texts = side_by_side(sampler, plan, rng)
        return [Passage(prompts[i // n], *found) for i, found in enumerate(texts)]
    written = []
    for prompt, ids in zip(prompts, sequences, strict=True):
        start, bounds = Sampler(network, [ids], rules, carried=plan.carried), dict[Any, float]()
        for _ in range(n):
            if plan.steering.exact:
                drawn = iter(exact_passage(start, plan.steering, ids, plan.length, rng, bounds))
            else:
                drawn = steered(start.copy(), plan.steering, ids, plan.length, rng)
            written.append(Passage(prompt, *stopped(drawn, plan, vocabulary)))
    return written


def side_by_side(sampler: Sampler, plan: GenerationPlan, rng: np.random.Generator) -> list[tuple[Any, str]]:
    """Text and end of each lane's passage. Lanes that have met a stop text are not computed any further."""
    vocabulary, lanes = sampler.network.vocabulary, np.arange(len(sampler.history))
    stoppers = [plan.stopper(vocabulary) for _ in lanes]
    texts: list[list[Any]] = [[] for _ in lanes]
    piece = STOPPING if plan.stops else max(16, 16 * PIECE // len(lanes))
    for size in pieces_of(plan.length, piece):
        drawn = sampler.draw(rng.random((size, len(stoppers)))[:, lanes])
        for lane, ids in zip(lanes, drawn, strict=True):
            texts[lane].append(stoppers[lane].feed(vocabulary.decode(ids)))
        going = [i for i, lane in enumerate(lanes) if not stoppers[lane].stopped]
        if len(going) < len(lanes):
            if not going:
                break
            sampler, lanes = sampler.select(going), lanes[going]
    empty: Any = vocabulary.decode([])
    return [(empty.join([*some, s.rest()]), STOP if s.stopped else LENGTH) for some, s in zip(texts, stoppers, strict=True)]


def stopped(ids: Iterator[int], plan: GenerationPlan, vocabulary: Vocabulary) -> tuple[Any, str]:
    """Text and end of a passage that comes id by id."""
    stopper, text = plan.stopper(vocabulary), vocabulary.decode([])
    for k in ids:
        text += stopper.feed(vocabulary.decode([k]))
        if stopper.stopped:
            return text, STOP
    assert plan.steering is not None
    return text + stopper.rest(), LENGTH if plan.steering.automaton is None else PATTERN


def stream(network: Network, plan: GenerationPlan, prompt: Any, source: Callable[[], np.random.Generator], piece: int) -> Iterator[Any]:
    """The text of one passage, in pieces of about `piece` characters; what may become a stop text is held back."""
    vocabulary = network.vocabulary
    rules, ids = plan.rules.for_vocabulary(vocabulary, network.dtype), starting_ids(vocabulary, prompt)
    return _pieces(Sampler(network, [ids], rules, carried=plan.carried), plan, ids, source(), piece)


def _pieces(sampler: Sampler, plan: GenerationPlan, prompt: Array, rng: np.random.Generator, piece: int) -> Iterator[Any]:
    vocabulary = sampler.network.vocabulary
    stopper = plan.stopper(vocabulary)
    for ids in drawn_in_pieces(sampler, plan, prompt, rng, piece):
        text = stopper.feed(vocabulary.decode(ids))
        if text:
            yield text
        if stopper.stopped:
            return
    if rest := stopper.rest():
        yield rest


def drawn_in_pieces(sampler: Sampler, plan: GenerationPlan, prompt: Array, rng: np.random.Generator, piece: int) -> Iterator[Array]:
    """The ids of one passage."""
    if plan.steering is None:
        for size in pieces_of(plan.length, piece):
            yield sampler.draw(rng.random((size, 1)))[0]
    elif plan.steering.exact:
        yield np.array(exact_passage(sampler, plan.steering, prompt, plan.length, rng, {}), np.intc)
    else:
        for k in steered(sampler, plan.steering, prompt, plan.length, rng):
            yield np.array([k], np.intc)


def with_log_probabilities(network: Network, written: list[Passage], carried: Array | None = None) -> list[Passage]:
    """The same passages, each with the sum of its ln p given its prompt."""
    vocabulary = network.vocabulary
    sequences = [np.concatenate([starting_ids(vocabulary, p.prompt), vocabulary.encode(p.text)]) for p in written]
    logs, starts = log_probabilities(network, sequences, carried)
    ends = np.append(starts[1:], len(logs))
    return [replace(p, log_probability=float(logs[end - len(p.text) : end].sum())) for p, end in zip(written, ends, strict=True)]
