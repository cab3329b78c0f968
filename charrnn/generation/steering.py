"""Passages whose characters Python has a say in: a pattern that they must match, a callback that changes the logits."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from charrnn import arguments
from charrnn.errors import SettingsError
from charrnn.generation.pattern import Automaton
from charrnn.generation.sampling import Sampler
from charrnn.network.arrays import Array
from charrnn.network.decoding import distribution, penalised, pick

Processor = Callable[[Array, Array], Any]
TRIES = 20_000  # passages that are proposed for one that is accepted


@dataclass(frozen=True)
class Steering:
    """What has a say in a passage; either may be None. exact: see `exact_passage`."""

    automaton: Automaton | None = None
    processor: Processor | None = None
    exact: bool = False

    def logits(self, sampler: Sampler, ids: list[int]) -> Array:
        """(K,) of the character after `ids`, which are all that was read and written: after the rules that come before temperature."""
        o = penalised(sampler.logits()[0], sampler.rules, sampler.history[0])
        if self.processor is None:
            return o
        changed = arguments.array("what logits_processor returns", self.processor(np.array(ids, np.intc), o.copy()))
        fine = changed.shape == o.shape and changed.dtype.kind in "fiu" and not np.isnan(changed).any()
        if not fine or not -np.inf < changed.max() < np.inf:
            raise SettingsError(
                f"logits_processor must return {len(o)} numbers, -inf for what may not come, got {np.array2string(changed, threshold=9)}"
            )
        return changed.astype(o.dtype)


def steered(sampler: Sampler, steering: Steering, prompt: Array, length: int, rng: np.random.Generator) -> Iterator[int]:
    """The ids of one passage of at most `length` characters after `prompt`, which the sampler of one lane has read.

    With an automaton, characters that cannot lead to a match are left out. Where the text matches as it is, it ends as soon as a character
    is drawn that cannot go on with the match, or where none can.
    """
    ids, state, automaton = prompt.tolist(), 0, steering.automaton
    for left in range(length, 0, -1):
        o = steering.logits(sampler, ids)
        if automaton is not None:
            allowed = automaton.allowed(state, left)
            if automaton.distance[state]:
                o = only(o, allowed, sampler)
            elif not allowed.any():
                return
        k = pick(distribution(o, sampler.rules), rng.random())
        if automaton is not None:
            if not allowed[k]:
                return
            state = automaton.walk([k], state)
        sampler.take(np.array([k]))
        ids.append(k)
        yield k


def only(o: Array, allowed: Array, sampler: Sampler) -> Array:
    """The logits, -inf where not allowed. If rules against repetition leave none, these do not count."""
    left = np.where(allowed, o, -np.inf)
    if not (left > -np.inf).any():
        left = np.where(
            allowed, penalised(sampler.logits()[0], sampler.rules._replace(no_repeat_ngram_size=0), sampler.history[0]), -np.inf
        )
    if not (left > -np.inf).any():
        raise SettingsError("the rules forbid every character with which the pattern could be matched")
    return left.astype(o.dtype)


def exact_passage(
    sampler: Sampler, steering: Steering, prompt: Array, length: int, rng: np.random.Generator, bounds: dict[Any, float]
) -> list[int]:
    """The ids of one passage from exactly the distribution that rejection sampling has: draw freely, keep what matches.

    bounds: for each beginning that was seen, an upper bound on the probability that a free draw goes on from it to a match, 1 for all at
    first. Characters are proposed in proportion to p times the bound after them, and the passage is accepted with the product of what the
    bounds were too large by, which makes up for it exactly; then they are lowered. So little is rejected once common beginnings are known.
    (Adaptive rejection sampling, Gilks and Wild 1992, over a tree of texts.)
    """
    automaton = steering.automaton
    assert automaton is not None
    for _ in range(TRIES):
        sampled, ids, state, accepted = sampler.copy(), prompt.tolist(), 0, 1.0
        path: list[tuple[tuple[int, ...], float, float, float]] = []  # beginning, sum of the weights, the chosen one's p and weight
        written: tuple[int, ...] = ()
        while True:
            allowed = automaton.allowed(state, length - len(written))
            p = distribution(steering.logits(sampled, ids), sampler.rules).astype(np.float64)
            weights = np.array([p[k] * bounds.get((*written, k), 1.0) if allowed[k] else 0.0 for k in range(len(p))])
            end = (p[~allowed].sum() if allowed.any() else 1.0) if automaton.distance[state] == 0 else 0.0
            total = float(weights.sum() + end)
            accepted *= total / bounds.get(written, 1.0)
            bounds[written] = total
            if total == 0:
                if not written:
                    raise SettingsError("the rules forbid every character with which the pattern could be matched")
                break
            k = pick(np.append(weights, end), rng.random())
            if k == len(p):
                break
            path.append((written, total, float(p[k]), float(weights[k])))
            state, written = automaton.walk([k], state), (*written, k)
            sampled.take(np.array([k]))
            ids.append(k)
        after = written
        for before, total, p_k, weight in reversed(path):
            bounds[before] = min(bounds[before], max(0.0, total - weight + p_k * bounds[after]))
            after = before
        if rng.random() < accepted:
            return list(written)
    raise SettingsError(
        f"of {TRIES:,} passages none was accepted: exact=True is for patterns that the model is likely to write; "
        "without it every passage matches"
    )
