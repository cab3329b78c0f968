"""How likely texts are to a network: each from a state of its own, all side by side in lanes."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from charrnn import arguments
from charrnn.errors import TextError, brief
from charrnn.network.arrays import Array
from charrnn.network.lanes import log_probabilities
from charrnn.network.network import Network
from charrnn.text.vocabulary import Vocabulary, code_points

REDUCTIONS = ("mean", "sum", "none")
UNKNOWN = ("error", "skip", "uniform")


def score(
    network: Network,
    texts: Iterable[Any],
    context: Any = None,
    reduction: str = "mean",
    unknown: str = "error",
    carried: Array | None = None,
) -> Any:
    """See `charrnn.CharRNN.score`."""
    arguments.one_of("value of reduction", reduction, REDUCTIONS)
    arguments.one_of("value of unknown", unknown, UNKNOWN)
    vocabulary = network.vocabulary
    kind = bytes if vocabulary.raw_bytes else str
    given = [texts] if isinstance(texts, (str, bytes)) else arguments.listed("texts", texts)
    for i, text in enumerate(given):
        if not isinstance(text, kind):
            raise TextError(f"texts must be {kind.__name__} for this model, got {type(text).__name__} at place {i}")
    before = context_ids(vocabulary, context)
    ids, known = _numbered(vocabulary, given, unknown)
    counts = np.array([len(text) for text in given], np.intp)
    ends = np.cumsum(counts)
    read = np.concatenate([[0], np.cumsum(known)])[np.concatenate([[0], ends])]  # of each text's known characters, the first and the last
    logs, starts = log_probabilities(network, _each_after(before, ids[known], read), carried)
    keep = np.ones(len(logs), bool)
    for i in range(len(before) - 1):  # what of the context is predicted too
        keep[starts + i] = False
    if unknown == "skip":
        counts = np.diff(read)
        scores = logs[keep]
    else:
        scores = np.full(len(known), -math.log(len(vocabulary)))
        scores[known] = logs[keep]
    sums = np.bincount(np.repeat(np.arange(len(given)), counts), scores, len(given))
    if reduction == "none":
        found: Any = [np.array(each) for each in np.split(scores, np.cumsum(counts))[: len(given)]]
    else:
        found = sums if reduction == "sum" else np.where(counts > 0, sums / np.maximum(counts, 1), math.nan)
    if not isinstance(texts, (str, bytes)):
        return found
    return found[0] if reduction == "none" else float(found[0])


def context_ids(vocabulary: Vocabulary, context: Any) -> Array:
    """What is read before each text: by default a line end or, where the model has none, the first symbol."""
    if context is None:
        line_end = b"\n" if vocabulary.raw_bytes else "\n"
        return vocabulary.encode(line_end) if line_end in vocabulary else np.zeros(1, np.intc)
    if not isinstance(context, (str, bytes)) or not context:
        raise TextError(f"context must be a text of at least one character, got {brief(context)}")
    return vocabulary.encode(context)


def _each_after(before: Array, ids: Array, bounds: Array) -> list[Array]:
    """The sequences ids[bounds[i] : bounds[i + 1]], each after `before`: views of one array, for there may be very many."""
    count = np.arange(len(bounds))
    borders = bounds + count * len(before)
    whole = np.empty(borders[-1], np.intc)
    whole[np.arange(len(ids)) + np.repeat(count[1:], np.diff(bounds)) * len(before)] = ids
    whole[(borders[:-1, None] + np.arange(len(before)))] = before
    return [whole[first:last] for first, last in itertools.pairwise(borders.tolist())]


def _numbered(vocabulary: Vocabulary, texts: list[Any], unknown: str) -> tuple[Array, Array]:
    """The ids of all texts in a row, and which of their characters the vocabulary knows. TextError, naming the text, for one that it does
    not, unless asked otherwise.
    """
    whole: Any = (b"" if vocabulary.raw_bytes else "").join(texts)
    codes = code_points(whole)
    own = code_points(vocabulary.characters).astype(codes.dtype)
    ids = np.searchsorted(own, codes).clip(0, len(own) - 1).astype(np.intc)
    known = own[ids] == codes
    if vocabulary.unknown is not None and unknown == "error":
        ids, known = np.where(known, ids, vocabulary.characters.index(vocabulary.unknown)).astype(np.intc), np.ones_like(known)
    if unknown == "error" and not known.all():
        for i, text in enumerate(texts):
            try:
                vocabulary.encode(text)
            except TextError as error:
                raise TextError(f"text {i}: {error}; unknown='skip' leaves such characters out, unknown='uniform' takes 1/K") from None
    return ids, known
