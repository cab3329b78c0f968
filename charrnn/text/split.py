"""A text in two: what is trained on, and what is held out for validation."""

from __future__ import annotations

from typing import Any

import numpy as np

from charrnn import arguments
from charrnn.errors import SettingsError, TextError
from charrnn.text.corpus import IN_MEMORY, Corpus
from charrnn.text.idstore import IdStore
from charrnn.text.vocabulary import BLOCK, id_type

SPLITS = ("end", "lines")


def held_out(whole: Corpus, part: Any, split: str = "end", seed: int = 0) -> tuple[Corpus, Corpus]:
    """What is trained on, and the part of the text (0 < part < 1) that is held out.

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
        raise SettingsError(f"validation must be a text, or the part of the text between 0 and 1 that is held out, got {part!r}")
    if arguments.one_of("validation_split", split, SPLITS) == "lines":
        return lines_held_out(whole, share, seed)
    border = len(whole) - round(share * len(whole))
    return whole.part(0, border), whole.part(border, len(whole))


def lines_held_out(whole: Corpus, share: float, seed: int) -> tuple[Corpus, Corpus]:
    """The text's lines, shuffled: all but the last, and the last that have about this share of the characters."""
    end_of_line = b"\n" if whole.vocabulary.raw_bytes else "\n"
    if end_of_line not in whole.vocabulary:
        raise TextError(f"{whole.name} has no lines to be shuffled: hold out its end (validation_split='end')")
    newline = int(whole.vocabulary.encode(end_of_line)[0])
    kind = id_type(len(whole.vocabulary))
    arguments.memory(f"shuffling the lines of {whole.name}", 4 * len(whole) * kind.itemsize)
    ids = np.concatenate([whole.read(at, min(at + BLOCK, len(whole))).astype(kind) for at in range(0, len(whole), BLOCK)])
    if ids[-1] != newline:
        ids = np.append(ids, kind.type(newline))  # or the last line would run into the one that comes after it
    ends = np.flatnonzero(ids == newline) + 1
    if len(ends) < 2:
        raise TextError(f"{whole.name} has a single line: hold out its end (validation_split='end')")
    starts = np.concatenate([[0], ends[:-1]])
    order = np.random.Generator(np.random.PCG64(seed)).permutation(len(ends))
    sizes = np.cumsum((ends - starts)[order])
    border = int(np.searchsorted(sizes, (1 - share) * len(ids))) + 1
    border = min(max(1, border), len(ends) - 1)
    shuffled = [np.concatenate([ids[starts[i] : ends[i]] for i in lines]) for lines in (order[:border], order[border:])]
    training, validation = (
        _corpus(whole, part, f"{count:,} of {len(ends):,} lines of {whole.name}")
        for part, count in zip(shuffled, (border, len(ends) - border), strict=True)
    )
    return training, validation


def _corpus(whole: Corpus, ids: np.ndarray[Any, np.dtype[Any]], name: str) -> Corpus:
    store = IdStore(IN_MEMORY)
    store.append(ids, ids.dtype)
    store.finish(None)
    return Corpus(whole.vocabulary, store, name, f"shuffled, in a vocabulary of {len(whole.vocabulary):,}")
