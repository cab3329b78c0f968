"""A text in parts: for training, for validation and, of three parts, for one test at the end."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from charrnn import arguments
from charrnn.errors import SettingsError, TextError, brief
from charrnn.text.corpus import IN_MEMORY, AnyText, Corpus, as_corpus
from charrnn.text.idstore import IdStore
from charrnn.text.vocabulary import BLOCK, id_type

SPLITS = ("end", "lines")


class Parts(NamedTuple):
    """What a text, or several, are for."""

    training: Corpus
    validation: Corpus | None = None
    test: Corpus | None = None


def shares(parts: Any, name: str = "split") -> tuple[float, ...]:
    """Two or three parts of a text as shares of it: from percentages, "80/10/10", or fractions, "0.8/0.1/0.1", also as numbers.

    Raises `SettingsError` for anything else.

    >>> shares("80/10/10"), shares((0.9, 0.1))
    ((0.8, 0.1, 0.1), (0.9, 0.1))
    """
    words = parts.split("/") if isinstance(parts, str) else list(parts) if isinstance(parts, (tuple, list)) else []
    try:
        numbers = [float(word) if isinstance(word, str) else arguments.number(name, word, above=0) for word in words]
    except ValueError:  # `SettingsError` is one
        numbers = []
    if not 2 <= len(numbers) <= len(Parts._fields) or not all(0 < number < math.inf for number in numbers):
        raise SettingsError(f"{name} must be parts for training, validation and perhaps a test, such as 80/10/10, got {brief(parts)}")
    total = sum(numbers)
    whole = next((whole for whole in (1.0, 100.0) if abs(total - whole) < 1e-6 * whole), None)
    if whole is None:
        raise SettingsError(f"the parts of {name} must add up to 100 (or to 1), but those of {brief(parts)} add up to {total:g}")
    return tuple(number / whole for number in numbers)


def split(text: AnyText, parts: Any = "80/10/10", how: str = "end", seed: int = 0) -> Parts:
    """The parts of a text for training, validation and test: percentages such as "80/10/10", or fractions such as (0.8, 0.1, 0.1).

    Two parts, such as "90/10", leave out the test. All are corpora with the vocabulary of the whole text.

    how: "end", one after the other as they stand in the text; "lines", of its lines shuffled with the seed. Raises `SettingsError` for
    other arguments, `TextError` for a text that is too short for so many parts, or without lines.

    >>> training, validation, test = split("ada\\nbob\\neve\\nzoe\\n", "50/25/25")
    >>> [part.text(0, len(part)) for part in (training, validation, test)]
    ['ada\\nbob\\n', 'eve\\n', 'zoe\\n']
    """
    return Parts(*_parts(as_corpus(text), shares(parts), how, seed))


def held_out(whole: Corpus, part: Any, split: str = "end", seed: int = 0) -> tuple[Corpus, Corpus]:
    """The training part, and the part of the text (0 < part < 1) for validation.

    split: "end", the last of the text; "lines", of its lines shuffled with the seed. Raises `SettingsError` for a part that is none,
    `TextError` for a text without lines.

    >>> names = Corpus.from_text("ada\\nbob\\neve\\nzoe\\n")
    >>> training, validation = held_out(names, 0.25, "lines", seed=1)
    >>> len(training.text(0, 12).splitlines()), len(validation.text(0, 4).splitlines())
    (3, 1)
    """
    try:
        share = arguments.number("validation", part, above=0)
    except SettingsError:
        share = 1.0
    if share >= 1:
        raise SettingsError(f"validation must be a text, or the part of the text between 0 and 1 to validate on, got {part!r}")
    training, validation = _parts(whole, (1 - share, share), split, seed)
    return training, validation


def _parts(whole: Corpus, of: Sequence[float], how: str, seed: int) -> tuple[Corpus, ...]:
    left = [sum(of[i:]) for i in range(1, len(of))]  # the share that is left from where each part but the first begins
    if arguments.one_of("validation_split", how, SPLITS) == "lines":
        return _of_lines(whole, left, seed)
    borders = [0, *(len(whole) - round(share * len(whole)) for share in left), len(whole)]
    if len(of) > 2 and any(end - begin < 2 for begin, end in itertools.pairwise(borders)):
        raise TextError(f"{whole.name} is too short to be split into {len(of)} parts: it has {len(whole):,} characters")
    return tuple(whole.part(begin, end) for begin, end in itertools.pairwise(borders))


def _of_lines(whole: Corpus, left: Sequence[float], seed: int) -> tuple[Corpus, ...]:
    """The text's lines, shuffled: all but the last, and the last that have about these shares of the characters."""
    end_of_line = b"\n" if whole.vocabulary.raw_bytes else "\n"
    if end_of_line not in whole.vocabulary:
        raise TextError(f"{whole.name} has no lines to be shuffled: validate on its end (validation_split='end')")
    newline = int(whole.vocabulary.encode(end_of_line)[0])
    kind = id_type(len(whole.vocabulary))
    arguments.memory(f"shuffling the lines of {whole.name}", 4 * len(whole) * kind.itemsize)
    ids = np.concatenate([whole.read(at, min(at + BLOCK, len(whole))).astype(kind) for at in range(0, len(whole), BLOCK)])
    if ids[-1] != newline:
        ids = np.append(ids, kind.type(newline))  # or the last line would run into the one that comes after it
    ends = np.flatnonzero(ids == newline) + 1
    count = len(left) + 1
    if len(ends) < count:
        few = "a single line" if len(ends) == 1 else f"only {len(ends)} lines"
        raise TextError(f"{whole.name} has {few}: validate on its end (validation_split='end')")
    starts = np.concatenate([[0], ends[:-1]])
    order = np.random.Generator(np.random.PCG64(seed)).permutation(len(ends))
    sizes = np.cumsum((ends - starts)[order])
    borders = [0]
    for i, share in enumerate(left):  # a line in each part, at least
        border = int(np.searchsorted(sizes, (1 - share) * len(ids))) + 1
        borders.append(min(max(borders[-1] + 1, border), len(ends) - len(left) + i))
    found = []
    for begin, end in itertools.pairwise([*borders, len(ends)]):
        shuffled = np.concatenate([ids[starts[i] : ends[i]] for i in order[begin:end]])
        found.append(_corpus(whole, shuffled, f"{end - begin:,} of {len(ends):,} lines of {whole.name}"))
    return tuple(found)


def _corpus(whole: Corpus, ids: np.ndarray[Any, np.dtype[Any]], name: str) -> Corpus:
    store = IdStore(IN_MEMORY)
    store.append(ids, ids.dtype)
    store.finish(None)
    return Corpus(whole.vocabulary, store, name, f"shuffled, in a vocabulary of {len(whole.vocabulary):,}")
