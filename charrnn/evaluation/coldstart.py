"""Whether a network is lost when it starts from a state of 0; docs/stuck.md shows one.

Some units of a network, mostly of a vanilla one, hold each other at +1 or at -1 for ever, whatever it reads. Training, which carries its
state from window to window, sees one of the two sides only, and the other units come to rely on it as on a bias. From h = 0, a state that
training has seen only where its text begins, those units may fall to the other side, where nothing that was learned is right.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from charrnn.evaluation.evaluate import windows_of
from charrnn.network.arrays import Array
from charrnn.network.network import Network
from charrnn.text.corpus import Corpus

LOOK = 1000  # characters at most that are read from both states
COST = 50.0  # nats that a start from 0 may cost, and beside it, for each character,
OF_TEXT, OF_TEXTS = 0.2, 0.5  # in one text; and in many short ones, each of which has a start of its own
ADVICE = "start='carried' (--start carried) starts from the state of training"
SATURATED = 0.9  # |h| above it all the time: the unit is stuck


@dataclass(frozen=True)
class ColdStart:
    """The first characters of a text, read from a state of 0 and from the one that training has carried.

    Attributes:
        characters: how many were predicted, 1,000 at most.
        zero, carried: the mean loss from each start, nats per character.
        units: (layer, unit) of those that stay beyond ±0.9, in the second half, with opposite signs after the two starts.
    """

    characters: int
    zero: float
    carried: float
    units: tuple[tuple[int, int], ...] = ()

    @property
    def is_stuck(self) -> bool:
        """Whether the start from 0 costs more than 50 nats, and 0.2 for each of these characters: 250 in a thousand.

        Young networks that are not stuck lose 60 at most there, those that are some thousands.

        >>> ColdStart(1000, 2.15, 2.11).is_stuck, ColdStart(1000, 5.6, 2.2).is_stuck
        (False, True)
        """
        return (self.zero - self.carried) * self.characters > COST + OF_TEXT * self.characters

    def __str__(self) -> str:
        found = (
            f"from a state of 0 the first {self.characters:,} characters have {self.zero:.3f} nats per character, "
            f"from the state at the end of training {self.carried:.3f}"
        )
        if not self.is_stuck:
            return found
        units = f"{len(self.units):,} hidden unit{'s' * (len(self.units) > 1)} held at the opposite of their +1 or -1 in training"
        return f"{found}: the model is stuck{f', {units}' * bool(self.units)}"


def is_lost(network: Network, corpus: Corpus, B: int, carried: Array) -> bool:
    """Whether the network is stuck, by the same rule, in one of B parallel sequences after the first window of each from 0."""
    works = (next(windows_of(network, corpus, B, start))[2] for start in (None, carried))
    (zero, T), (other, _) = ((work.losses.sum(axis=0), work.T) for work in works)
    return bool((zero - other > COST + OF_TEXT * T).any())


def cold_texts(texts: Sequence[Any], score: Callable[[Sequence[Any], Array | None], Array], carried: Array) -> str:
    """In words, that many texts are scored badly from a state of 0; else "". score: gives the sum of ln p of texts from a start."""
    sizes = np.cumsum([len(text) for text in texts])
    some = texts[: int(np.searchsorted(sizes, LOOK)) + 1]
    count = sum(map(len, some))
    zero, other = (-float(score(some, start).sum()) / max(1, count) for start in (None, carried))
    if (zero - other) * count <= COST + OF_TEXTS * count:
        return ""
    return (
        f"from a state of 0 the first {count:,} characters of the texts have {zero:.3f} nats per character, from the state that training "
        f"ended with {other:.3f}: the model is stuck; {ADVICE}"
    )


def cold_start(network: Network, corpus: Corpus, carried: Array) -> ColdStart:
    """Read the beginning of a text from both states; carried (layers, states, m). TextError for fewer than two characters."""
    corpus.require_window(1)
    text, found = corpus.part(0, min(len(corpus), LOOK + 1)), []
    for start in (None, carried):
        losses, states = [], []
        for _, _, work in windows_of(network, text, 1, start):
            losses.append(work.losses[:, 0].copy())
            states.append(work.states[:, 0, 1:, 0, : work.m].copy())
        found.append((float(np.concatenate(losses).mean()), np.concatenate(states, axis=1)[:, (len(text) - 1) // 2 :]))
    (zero, of_zero), (other, of_other) = found
    sides = [(np.abs(h).min(axis=1) > SATURATED) * np.sign(h[:, 0]) for h in (of_zero, of_other)]  # 0 where a unit moves
    units = tuple((int(layer), int(unit)) for layer, unit in np.argwhere(sides[0] * sides[1] < 0))
    return ColdStart(len(text) - 1, zero, other, units)
