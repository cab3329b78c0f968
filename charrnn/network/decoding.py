"""How a symbol is drawn from logits under decoding rules, in NumPy, written to be read: the oracle of csrc/sampling.

The rules and their order are those of Hugging Face's `generate`: what is added to the logits and which symbols are forbidden, rules
against repetition, temperature, top_k, top_p, min_p, typical_p. Then what is left is renormalised, and a symbol drawn.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from charrnn.network.arrays import Array

LONGEST = 255  # symbols of a repeated sequence that are counted: kernels count in bytes
WORST = 1e9  # the largest penalty of DRY: below every logit that a network computes, and finite


class Rules(NamedTuple):
    """Decoding rules as the kernels take them; `charrnn.generation.rules.DecodingRules` says what each means.

    top_k 0 and no_repeat_ngram_size 0 mean without. bias (K,), in the network's precision, is added to the logits, -inf where a symbol is
    forbidden; breakers (K,) uint8 marks the symbols that end a repetition for DRY. Both may be None.
    """

    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0
    min_p: float = 0.0
    typical_p: float = 1.0
    no_repeat_ngram_size: int = 0
    dry_multiplier: float = 0.0
    dry_base: float = 1.2
    dry_allowed_length: int = 12
    dry_range: int = 1024
    bias: Array | None = None
    breakers: Array | None = None

    @property
    def look_back(self) -> int:
        """How many of the last symbols the rules against repetition look at: 0 for none, -1 for all."""
        return -1 if self.no_repeat_ngram_size else self.dry_range if self.dry_multiplier else 0


def draw(logits: Array, uniform: float, rules: Rules, ids: Array) -> int:
    """One symbol after `ids` from its logits (K,), by inversion of the cumulated distribution with a uniform number in [0, 1)."""
    return pick(distribution(penalised(logits, rules, ids), rules), uniform)


def pick(p: Array, uniform: float) -> int:
    """The first symbol whose cumulated probability exceeds uniform.

    >>> pick(np.array([0.25, 0.0, 0.75]), 0.25)
    2
    """
    cumulated = np.cumsum(p, dtype=np.float64)
    k = int(np.searchsorted(cumulated, uniform * cumulated[-1], side="right"))
    return min(k, int(np.flatnonzero(p)[-1]))  # rounding may leave the sum below the goal: then the last possible symbol


def penalised(logits: Array, rules: Rules, ids: Array) -> Array:
    """The logits after bias and the rules against repetition, -inf for what may not come.

    A symbol that would repeat n symbols is forbidden, unless that leaves none. DRY takes from the logit of a symbol that would go on with
    the repetition of a sequence of length L >= allowed_length: multiplier * base^(L - allowed_length).
    """
    o = logits.copy() if rules.bias is None else logits + rules.bias
    if n := rules.no_repeat_ngram_size:
        allowed = np.where(repeated(ids, len(o), n - 1) >= n - 1, -np.inf, o)
        if (allowed > -np.inf).any():
            o = np.asarray(allowed.astype(o.dtype))
    if rules.dry_multiplier:
        length = repeated(ids[-rules.dry_range :], len(o), LONGEST)
        if rules.breakers is not None:
            ends = np.flatnonzero((ids >= 0) & (rules.breakers[ids] != 0))
            length = np.minimum(length, len(ids) - 1 - ends[-1] if len(ends) else LONGEST)
        with np.errstate(over="ignore"):
            penalty = np.minimum(rules.dry_multiplier * rules.dry_base ** (length - float(rules.dry_allowed_length)), WORST)
        o = np.where(length >= rules.dry_allowed_length, o - penalty, o).astype(o.dtype)
    return np.asarray(o)


def repeated(ids: Array, K: int, most: int) -> Array:
    """(K,): how many symbols before an earlier occurrence of each symbol are the last symbols of `ids` too, the most over its occurrences
    and at most `most`; -1 for a symbol that did not occur. Negative ids are padding.

    >>> repeated(np.array([0, 1, 2, 1, 0, 1]), 4, 9)  # 2 came after 0 1, which ends the text; 0 came after 1
    array([ 1,  0,  2, -1])
    """
    found = np.full(K, -1)
    for i, symbol in enumerate(ids):
        length = 0
        while length < min(i, most) and ids[i - 1 - length] == ids[-1 - length]:
            length += 1
        if symbol >= 0:
            found[symbol] = max(found[symbol], length)
    return found


def distribution(logits: Array, rules: Rules) -> Array:
    """(K,): the probabilities after temperature, top_k, top_p, min_p and typical_p; temperature 0 leaves the likeliest alone.

    >>> distribution(np.log([0.5, 0.3, 0.2]), Rules(top_k=2)).round(3)
    array([0.625, 0.375, 0.   ])
    """
    if rules.temperature == 0:
        return np.asarray(np.eye(1, len(logits), int(logits.argmax()), dtype=logits.dtype)[0])
    limits = np.finfo(logits.dtype)  # 0 times a sharpness that were infinite, or -inf times one that were 0, would be NaN
    sharpness = min(max(1 / rules.temperature, float(limits.tiny)), float(limits.max))
    with np.errstate(over="ignore"):
        p = np.exp((logits - logits.max()) * logits.dtype.type(sharpness))
    order = np.argsort(-p, kind="stable")
    if rules.top_k:
        order = order[: rules.top_k]
    if rules.top_p < 1:
        order = order[: enough(p[order], rules.top_p)]
    order = np.sort(order[p[order] >= rules.min_p])
    if rules.typical_p < 1:
        order = typical(p, order, rules.typical_p)
    kept = np.zeros_like(p)
    kept[order] = p[order]
    return np.asarray(kept / kept.sum())


def enough(p: Array, share: float) -> int:
    """How many of these, the first of them always, have this share of their sum.

    >>> enough(np.array([0.5, 0.25, 0.125, 0.125]), 0.75)
    2
    """
    cumulated = np.cumsum(p, dtype=np.float64)
    return int(np.searchsorted(cumulated, share * cumulated[-1])) + 1


def typical(p: Array, symbols: Array, share: float) -> Array:
    """Those of the symbols whose surprise is nearest to its mean, the entropy, and that together have this share of the probability.

    Those as near as the last are kept as well. Meister et al. 2023, Locally typical sampling.
    """
    symbols = symbols[p[symbols] > 0]
    q = p[symbols].astype(np.float64)
    surprise = np.log(q.sum()) - np.log(q)
    distance = np.abs(surprise - q @ surprise / q.sum())
    nearest = np.argsort(distance, kind="stable")
    last = nearest[min(enough(q[nearest], share), len(q)) - 1]
    return np.asarray(symbols[distance <= distance[last]])
