"""A recipe for a text and a time, chosen by rules; the sweep that they come from, with its losses, is in docs/recipes.md.

What decides is how many times the time lets a network pass over the text, and how much text there is: the first says how large a
network can be trained to its end, the second how much regularisation it needs.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from charrnn import arguments
from charrnn.network.cells import CELLS
from charrnn.network.network import Network
from charrnn.network.settings import NetworkSettings
from charrnn.recipes import AUTO, Recipe
from charrnn.text.corpus import Corpus
from charrnn.training.pace import measure, words
from charrnn.training.plan import Settings, TrainingPlan

SIZES = (32, 48, 64, 96, 128, 192, 256, 320, 384, 512, 640)  # hidden units
FOR_ONE_PASS = 85, 160  # m of a small text and of others: a gated network of more needs (m / that)^3 passes, or a smaller one learns more
LARGEST = 240  # hidden units for a text of 6,000 characters; they grow as the cubic root of the length
FEWEST = 1.0  # ... that the smallest gated network of a large text must have the time for, or a vanilla one learns more
LIST_LINE = 24  # characters of a line, on average, below which a text of distinct lines is a list
LOOKED_AT = 1 << 20  # characters, for what is measured of the text
MOST_PASSES = 100
TWO_LAYERS, THEIR_PASSES = 384, 25.0  # units of each, where there is time for so many passes over a large text
SMALL_TEXT = 100_000  # characters
DROPPED = 0.055, 0.035  # of a small text and of others: dropout and recurrent dropout are so much times the root of the passes,
MOST_DROPPED = 0.5
FEW = 12.0  # passes, below which nothing is learned by heart: no recurrent dropout, and the least dropout,
LEAST = 0.1
LEARNED_IN = 40_000  # updates: in so many U learns enough at the rate of the other weights; in fewer its rate is higher, up to
HIGHEST_INPUT_RATE = 10.0  # times as high
_COMMON: dict[str, Any] = {"optimizer": "adam", "clip": None, "clip_norm": 1.0, "loss_reduction": "mean", "eps": 1e-8}
HELD_OUT_FROM = 1_000  # characters of a text, below which a tenth of it is too little to choose a model by
PROBE = 128  # hidden units of the network whose speed is measured


BEST_CELL = "overfits less than an LSTM at the same cost, and learns more than a vanilla network"
TOO_SHORT = f"fewer than {HELD_OUT_FROM:,} characters: a tenth of them says little"


class Reason(NamedTuple):
    """A row of the table of what was chosen."""

    setting: str
    value: str
    why: str


@dataclass(frozen=True)
class Choice:
    """What was chosen, and why: a recipe, and a row for each decision.

    >>> from charrnn import Corpus
    >>> text = Corpus.from_text("she sells sea shells by the sea shore. " * 500)
    >>> print(choose(Facts.of(text), 60.0, 1e10))  # doctest: +ELLIPSIS
    text          19,500 characters, 12 different; compressed to 1% by zlib
    cell          gru  ...
    ...
    """

    recipe: Recipe
    reasons: Sequence[Reason]

    def __str__(self) -> str:
        width = max(len(reason.setting) for reason in self.reasons)
        second = max(len(reason.value) for reason in self.reasons[1:])
        first, *others = self.reasons
        lines = [f"{first.setting:{width}} {first.value}; {first.why}"]
        return "\n".join(lines + [f"{r.setting:{width}} {r.value:{second}}  {r.why}".rstrip() for r in others])


@dataclass(frozen=True)
class Facts:
    """What the rules ask of a text: its characters, how far zlib compresses them, and whether it is a list of lines."""

    characters: int
    symbols: int
    compressed: float
    is_list: bool

    @classmethod
    def of(cls, corpus: Corpus) -> Facts:
        part = corpus.text(0, min(len(corpus), LOOKED_AT))
        data = part if isinstance(part, bytes) else part.encode("utf-8", "surrogatepass")
        lines = data.split(b"\n")
        is_list = len(lines) >= 20 and len(data) / len(lines) < LIST_LINE and len(set(lines)) > 0.9 * len(lines)
        return cls(len(corpus), len(corpus.vocabulary), len(zlib.compress(data)) / len(data), is_list)


def choose(facts: Facts, seconds: float, speed: float, cell: str = "") -> Choice:
    """The choice for a text; seconds: of training. speed: floating-point operations a second of training on this machine.

    cell: the one to take, if that was said.
    """
    gated = arguments.one_of("cell", cell or "gru", CELLS)
    N, K = facts.characters, facts.symbols

    def passes(cell: str, m: int, layers: int = 1) -> float:
        return seconds * speed / (flops_per_character(cell, m, K, layers) * N)

    is_large = N >= SMALL_TEXT
    largest = LARGEST * (N / 6000) ** (1 / 3)
    for_one_pass = FOR_ONE_PASS[is_large]
    small = [m for m in SIZES if m <= max(largest, SIZES[0])]
    if cell in ("", "rnn") and passes("gru", min(PROBE, small[-1])) < FEWEST:
        return _hurried(facts, small, passes)
    m, layers = max((m for m in small if passes(gated, m) >= (m / for_one_pass) ** 3), default=small[0]), 1
    if is_large and passes(gated, TWO_LAYERS, 2) >= THEIR_PASSES:
        m, layers = TWO_LAYERS, 2
    times = passes(gated, m, layers)
    T, B = 16 if facts.is_list else 64, 16
    while B > 2 and N / (B * T) < 20:
        B //= 2
    dropout = round(min(MOST_DROPPED, max(LEAST, DROPPED[is_large] * math.sqrt(times))), 2)
    recurrent_dropout = dropout if times >= FEW and CELLS[gated].candidate else 0.0
    updates = max(1.0, min(times, MOST_PASSES) * N / (B * T))
    input_rate = round(min(HIGHEST_INPUT_RATE, max(1.0, LEARNED_IN / updates)), 1)
    if layers == 2:
        bound = f"with time for {THEIR_PASSES:.0f} passes over the text, two layers learned more than one"
    elif m == small[-1]:
        bound = "the largest for a text of this length"
    else:
        bound = f"the largest with time for {(m / for_one_pass) ** 3:.1f} passes over the text"
    training: dict[str, Any] = _COMMON | {
        "seq_length": T,
        "batch_size": B,
        "learning_rate": round(0.004 * min(1.0, (256 / m) ** 0.4) / layers**0.4, 4),
        "input_rate": input_rate,
        "schedule": "cosine",
        "dropout": dropout,
        "recurrent_dropout": recurrent_dropout,
        "rotate": True,
        "state_reset": 0.02,
    }
    if times > MOST_PASSES:
        training["epochs"] = float(MOST_PASSES)
    reasons = [
        Reason("cell", gated, "as was asked for" if cell else BEST_CELL),
        Reason("hidden_size", f"{layers} x {m}" if layers > 1 else str(m), f"{bound}: {times:.1f} passes"),
        Reason("length", f"{MOST_PASSES} epochs" if times > MOST_PASSES else words(seconds), _length_reason(times)),
        Reason("dropout", f"{dropout:g}", f"and recurrent_dropout {recurrent_dropout:g}: the more passes, the more is learned by heart"),
        Reason("seq_length", str(T), "lines are short" if facts.is_list else "contexts beyond that teach little more"),
        Reason("batch_size", str(B), f"{N // (B * T):,} updates an epoch: smaller batches learn more from the same text"),
        Reason("learning_rate", f"{training['learning_rate']:g}", "adam, cosine down to 0, gradient norm clipped to 1"),
        Reason(
            "input_rate",
            f"{input_rate:g}",
            f"for U, a column of which learns only where its character occurs; there are {updates:,.0f} updates",
        ),
    ]
    return _chosen(facts, {"cell": gated, "hidden_size": m, "layers": layers, "init": "scaled"}, training, reasons)


def _hurried(facts: Facts, sizes: Sequence[int], passes: Callable[[str, int], float]) -> Choice:
    """Where even a small gated network has no time: the settings of the recipe `fast`, in the size that the time allows."""
    m = max((m for m in sizes if passes("rnn", m) >= 1.5 and m >= 96), default=min(PROBE, sizes[-1]))
    training = _COMMON | {
        "seq_length": 24,
        "batch_size": 32,
        "learning_rate": round(1.8 / m, 4),
        "beta1": 0.8,
        "input_rate": 10.0,
        "schedule": "linear",
    }
    reasons = [
        Reason("cell", "rnn", f"a gated network of {PROBE} units would pass over the text {passes('gru', PROBE):.1f} times: too few"),
        Reason("hidden_size", str(m), f"{passes('rnn', m):.1f} passes"),
        Reason("learning_rate", f"{training['learning_rate']:g}", "adam, linear down to 0; that of U is 10 times as high"),
        Reason("dropout", "0", "no overfitting in so few passes"),
    ]
    return _chosen(facts, {"cell": "rnn", "hidden_size": m, "init": "orthogonal", "init_std": 1.0}, training, reasons)


def _chosen(facts: Facts, model: dict[str, Any], training: dict[str, Any], reasons: Sequence[Reason]) -> Choice:
    """The choice with what is said of the text above it."""
    kind = "a list of lines" if facts.is_list else f"compressed to {facts.compressed:.0%} by zlib"
    first = Reason("text", f"{facts.characters:,} characters, {facts.symbols:,} different", kind)
    held_out = "of its lines, shuffled" if facts.is_list else "its last tenth; the best model is that of its lowest loss"
    last = Reason("validation", "0.1", held_out) if facts.characters >= HELD_OUT_FROM else Reason("validation", "none", TOO_SHORT)
    recipe = Recipe(AUTO, "chosen for one text and time", "charrnn's rules, from a sweep", model=model, training=training)
    return Choice(recipe, [first, *reasons, last])


def _length_reason(times: float) -> str:
    return "more passes than that teach nothing new" if times > MOST_PASSES else "as was asked for"


def flops_per_character(cell: str, m: int, symbols: int, layers: int = 1) -> int:
    """Of the matrix products, forward, backward and for the gradients.

    >>> flops_per_character("gru", 100, 65), flops_per_character("gru", 100, 65, layers=2)
    (219000, 579000)
    """
    return 6 * (len(CELLS[cell].gates) * m * m * (2 * layers - 1) + symbols * m)


def speed_on(corpus: Corpus, threads: int | None = None, seconds: float = 0.5) -> float:
    """Floating-point operations a second of training here, measured on a small GRU."""
    network = Network.new(NetworkSettings(PROBE, "gru", init="scaled"), corpus.vocabulary, np.random.default_rng(0))
    B = max(1, min(16, len(corpus) // 2))
    T = max(1, min(64, len(corpus) // B - 1))
    settings = Settings(updates=100_000, seq_length=T, batch_size=B, **_COMMON)
    pace = measure(network, TrainingPlan.of(network.settings, settings, corpus), threads, seconds)
    return T * B * flops_per_character("gru", PROBE, len(corpus.vocabulary)) / pace.update
