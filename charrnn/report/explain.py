"""A page on what a model expects of a text, character by character, and what its units follow."""

from __future__ import annotations

import itertools
import math
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from markupsafe import Markup, escape

from charrnn import arguments
from charrnn.display.visible import NAMED, visible
from charrnn.errors import SettingsError
from charrnn.evaluation.gates import Share, Shares, name_of
from charrnn.evaluation.surprise import SHORTEST, Line, extremes, lines_of, read_through
from charrnn.evaluation.units import Follower, Search, visible_properties
from charrnn.model import CharRNN
from charrnn.network.arrays import Array
from charrnn.report.heat import COLUMNS, Heat, place_of
from charrnn.report.page import environment
from charrnn.text.corpus import Corpus

SHOWN, READ, UNITS = 4000, 200_000, 6  # the defaults of --limit, --read and --units
LIKELIEST = 5
LISTED = 5  # least and most expected lines
WORST = 6  # characters that are explained in each of the least expected lines
BEFORE = 10  # characters quoted before each of these
LONGEST = 400  # characters shown of a line or of a unit's text
CLEAR = 0.2  # from this |r| on, what else a unit goes with is mentioned with its text
EDGES = (0.5, 1, 2, 3, 4.5, 6, 8)  # bits, between the colours of surprise

# Backgrounds in steps of lightness at one hue (OKLCH), and from blue to orange by way of the page's own colour; the
# text on each has a contrast of 5 to 1 or more.
LIGHT = {
    "surprise": ("#fcfbfd", "#f4edfb", "#eadaf8", "#dfc5f4", "#d2acee", "#9044bf", "#732a9d", "#541076"),
    "activation": ("#70b6fd", "#94c8fd", "#b7d9fd", "#d7eafe", "#fcfaf8", "#f9e3d0", "#f6cca9", "#f1b580", "#ec9d53"),
    "text": ("#1b1b1f", "#ffffff"),
}
DARK = {
    "surprise": ("#141315", "#291a33", "#3d234e", "#533169", "#6b3c8a", "#c493e8", "#d9b7f4", "#f0e1fc"),
    "activation": ("#105d9d", "#194b7a", "#1b3a58", "#1a2938", "#1a1816", "#342415", "#502f0f", "#6b3c05", "#844b07"),
    "text": ("#e9e9ee", "#131316"),
}
INVERTED = 5  # from this colour of surprise on, the text takes the other colour


@dataclass(frozen=True)
class View:
    """What a model made of the first N characters of a text.

    shown: how many to put on the page.  ids (N,).  bits (N,): the surprise of each, NaN for the first.
    likeliest, chances (N-1, k): for each from the second on the k <= 5 likeliest ids, the best first, and their
    probabilities.  hidden (S, m): the state after each of the first S = min(shown, N-1), of `layer` (from 0) or, without one, of all
    layers, one after the other.  heat: states and gates over a line.  shares: see `charrnn.evaluation.gates`.
    followers, left_out: see `charrnn.evaluation.units`.
    """

    model: CharRNN
    corpus: Corpus
    shown: int
    ids: Array
    bits: Array
    likeliest: Array
    chances: Array
    hidden: Array
    followers: list[Follower]
    left_out: list[str]
    layer: int | None
    heat: Heat
    shares: list[Share]
    note: str = ""

    @property
    def length(self) -> int:
        """N."""
        return len(self.ids)

    @property
    def bits_per_char(self) -> float:
        """The mean surprise."""
        return float(np.nanmean(self.bits))

    @property
    def right(self) -> float:
        """The fraction of characters that the model would have guessed."""
        return float((self.likeliest[:, 0] == self.ids[1:]).mean())

    def unit_name(self, unit: int) -> str:
        """A unit by its number, and by its layer's where there are several."""
        m = self.model.hidden_size
        layer = unit // m if self.layer is None else self.layer
        return f"unit {unit}" if self.model.layers == 1 else f"layer {layer + 1}, unit {unit % m}"

    def lines(self) -> list[Line]:
        """The lines of the text."""
        return list(lines_of([(self.model.vocabulary.decode(self.ids), self.bits)]))


def look(
    model: CharRNN, text: str | bytes | Corpus, limit: int = SHOWN, read: int = READ, layer: int | None = None, line: int | None = None
) -> View:
    """Read the first `read` characters of a text with a model, and keep the states of the first `limit`.

    layer: the layer (from 1) whose units are searched and whose states and gates are drawn; by default all are searched and the last is
    drawn. line: the line (from 1) over which they are drawn; by default the first of 40 characters or more, or the longest.

    The state before the text is 0 or, if the model is lost after that (see `charrnn.evaluation.coldstart`), the carried state.
    Raises `TextError` for a text of fewer than two characters or with characters that the model does not know,
    `SettingsError` for limits below 2, and for a layer or line that does not exist.

    >>> model = CharRNN(hidden_size=8, vocabulary="ab ")
    >>> view = look(model, "ab ba " * 20)
    >>> view.length, view.hidden.shape, view.likeliest.shape, view.heat.states.shape
    (120, (119, 8), (119, 3), (1, 72, 8))
    """
    limit, read = arguments.whole_number("limit", limit, at_least=2), arguments.whole_number("read", read, at_least=2)
    corpus = model.corpus_of(text)
    corpus.require_window(1)
    network = model.copy_of_network()
    architecture, cell, m = network.architecture, network.architecture.kind, network.architecture.hidden_size
    only = None if layer is None else arguments.whole_number("layer", layer) - 1
    if only is not None and only >= architecture.layers:
        raise SettingsError(f"layer must be at most {architecture.layers}, the number of the model's layers, got {layer}")
    drawn = architecture.layers - 1 if only is None else only
    M, k = m * (architecture.layers if only is None else 1), min(LIKELIEST, len(model.vocabulary))
    n = min(len(corpus), max(read, limit))
    arguments.memory(f"looking into {n:,} characters", 800 * n + 4 * M * min(limit, n))
    ids = corpus.read(0, n)
    start, stop = heat_place(model, ids[: n - 1], line)
    bits, hidden = np.full(n, np.nan), np.empty((min(limit, n - 1), M), np.float32)
    likeliest, chances = np.empty((n - 1, k), np.int32), np.empty((n - 1, k), np.float32)
    search, shares = Search(visible_properties(ids, model.vocabulary), M), Shares(cell, architecture.layers)
    states, gates = np.empty((len(cell.states), stop - start, m)), np.empty((cell.rows, stop - start, m))
    cold = model.cold_start(corpus)
    carried = model.carried_state if cold is not None and cold.is_stuck else None
    for block in read_through(network, corpus, n, carried):
        part = slice(block.start, block.start + len(block.losses))
        bits[part.start + 1 : part.stop + 1] = block.losses / math.log(2)
        best = np.argpartition(block.probabilities, -k, axis=1)[:, -k:]
        order = np.argsort(-np.take_along_axis(block.probabilities, best, 1), axis=1, kind="stable")
        likeliest[part] = np.take_along_axis(best, order, 1)
        chances[part] = np.take_along_axis(block.probabilities, likeliest[part], 1)
        of = block.hidden if only is None else block.hidden[only : only + 1]
        units = of.transpose(1, 0, 2).reshape(-1, M)  # layer after layer
        hidden[part] = units[: max(0, len(hidden) - part.start)]
        search.add(units)
        shares.add(block.gates)
        a, b = max(start, part.start), min(stop, part.stop)
        if a < b:
            here, there = slice(a - start, b - start), slice(a - part.start, b - part.start)
            states[:, here], gates[:, here] = block.states[drawn, :, there], block.gates[drawn, :, there]
    followers, heat = search.result(), Heat.of(cell, drawn, start, states, gates)
    shown = min(limit, n)
    note = f"{cold}, so it was read from the latter" if carried is not None else ""
    return View(model, corpus, shown, ids, bits, likeliest, chances, hidden, followers, search.left_out, only, heat, shares.result(), note)


def heat_place(model: CharRNN, ids: Array, line: int | None) -> tuple[int, int]:
    """Which of these characters states and gates are drawn over, (start, stop)."""
    line_end = model.vocabulary.characters.find("\n")
    ends = np.append(np.flatnonzero(ids == line_end), len(ids)).tolist()
    places = [(a, b) for a, b in zip([0, *(end + 1 for end in ends)], ends, strict=False)]
    if line is None:
        return place_of(places) if max(b - a for a, b in places) else (0, min(len(ids), COLUMNS))
    number = arguments.whole_number("line", line)
    if number > len(places):
        raise SettingsError(f"line must be at most {len(places):,}, as many as were read, got {number:,}; --read reads more")
    start, stop = places[number - 1]
    if start == stop:
        raise SettingsError(f"line {number:,} of the text is empty: choose another")
    return place_of([(start, stop)])


def to_html(view: View, units: int = UNITS, title: str = "a model") -> str:
    """The page: everything that it needs is in it, and it runs no scripts."""
    content = _Page(view).content(arguments.whole_number("units", units))
    return environment(html=True).get_template("explain.html.j2").render(content, title=title)


class _Page:
    """What the template shows, as strings and numbers."""

    def __init__(self, view: View) -> None:
        self.view = view
        vocabulary = view.model.vocabulary
        signs = [visible(c, vocabulary.raw_bytes) for c in vocabulary.characters]
        self.signs = [escape(sign) for sign in signs]  # what is visible already goes into the template as it is
        # In tables and hints, a character stands alone: a space needs a sign, a combining mark something to sit on.
        self.names = [
            escape("␣" if c == " " else f"◌{sign}" if unicodedata.category(c) in ("Mn", "Me") else sign)
            for c, sign in zip(vocabulary.characters, signs, strict=True)
        ]
        self.special = [sign != c or c in NAMED for c, sign in zip(vocabulary.characters, signs, strict=True)]
        self.line_end = vocabulary.characters.find("\n")

    def content(self, units: int) -> dict[str, Any]:
        """Everything."""
        view = self.view
        lines = view.lines()
        least, most = extremes(lines, LISTED)
        K = len(view.model.vocabulary)
        return {
            "view": view,
            "model": view.model,
            "K": K,
            "uniform_bits": math.log2(K),
            "noun": "bytes" if view.model.vocabulary.raw_bytes else "characters",
            "rows": [self.row(line, min(view.shown, self.end_of(line))) for line in lines if line.start < view.shown],
            "least": [self.row(line) | {"worst": self.worst(line)} for line in least],
            "most": [self.row(line) for line in most],
            "shortest": SHORTEST,
            "followers": view.followers,
            "left_out": view.left_out,
            "units": list(self.units(units)),
            "unit_name": view.unit_name,
            "searched": view.hidden.shape[1],
            "heat": view.heat,
            "maps": list(view.heat.maps([self.names[k] for k in view.ids[view.heat.start : view.heat.start + view.heat.length].tolist()])),
            "shares": [(share, name_of(view.heat.cell, share.gate)) for share in view.shares],
            "light": LIGHT,
            "dark": DARK,
            "turn": INVERTED,
            "edges": EDGES,
        }

    def end_of(self, line: Line) -> int:
        """The offset after a line's last character, its line end included."""
        return line.start + line.characters + (line.start == 0)

    def row(self, line: Line, stop: int | None = None) -> dict[str, Any]:
        """A line with its characters, up to the offset `stop` or as far as a long one is quoted."""
        end = self.end_of(line) if stop is None else stop
        stop = min(end, line.start + LONGEST) if stop is None else stop
        return {"line": line, "cells": [self.cell(i) for i in range(line.start, stop)], "more": end - stop}

    def cell(self, i: int) -> dict[str, Any]:
        """Character i with its colour and what to say about it."""
        k, bits = int(self.view.ids[i]), float(self.view.bits[i])
        level, hint = 0, self.names[k] + " is the first character: nothing foretells it"
        if i:
            level = sum(bits >= edge for edge in EDGES)
            expected = Markup("   ").join(name + f"\N{NO-BREAK SPACE}{chance}" for name, chance in self.expected(i))
            hint = self.names[k] + f"  {bits:.1f} bits ({percent(2**-bits)})\nexpected: " + expected
        return {"sign": self.signs[k], "special": self.special[k], "level": level, "hint": hint}

    def expected(self, i: int) -> list[tuple[Markup, str]]:
        """The likeliest characters at place i > 0, each with its probability."""
        ids, chances = self.view.likeliest[i - 1].tolist(), self.view.chances[i - 1].tolist()
        return [(self.names[k], percent(p)) for k, p in zip(ids, chances, strict=True)]

    def worst(self, line: Line) -> list[dict[str, Any]]:
        """The most surprising characters of a line, the worst first."""
        view = self.view
        here = np.arange(max(line.start, 1), self.end_of(line))
        worst = here[np.argsort(-view.bits[here], kind="stable")[:WORST]]
        return [
            {
                "after": Markup().join(self.signs[k] for k in view.ids[max(line.start, i - BEFORE) : i].tolist()),
                "sign": self.names[int(view.ids[i])],
                "bits": float(view.bits[i]),
                "chance": percent(2 ** -float(view.bits[i])),
                "expected": self.expected(int(i)),
            }
            for i in worst
        ]

    def units(self, count: int) -> Iterator[dict[str, Any]]:
        """The units that follow something, each once, with a coloured text where the property changes most."""
        groups: dict[int, list[Follower]] = {}
        for follower in self.view.followers:
            if follower.follows and (follower.unit not in groups or abs(follower.r) >= CLEAR):
                groups.setdefault(follower.unit, []).append(follower)
        for unit, followers in itertools.islice(groups.items(), count):
            first = followers[0].what
            start = busiest(first.values[: len(self.view.hidden)].astype(np.float64), LONGEST)
            marks = np.zeros(len(first.values), bool) if first.is_count else first.values
            yield {"unit": unit, "followers": followers, "runs": self.runs(unit, marks, start)}

    def runs(self, unit: int, marks: Array, start: int) -> list[dict[str, Any]]:
        """The text from `start` on in pieces of one colour, underlined or not."""
        view = self.view
        stop = min(start + LONGEST, len(view.hidden))
        levels = np.rint((view.hidden[start:stop, unit] + 1) * 4).astype(int).tolist()
        ids = view.ids[start:stop].tolist()
        looks = zip(levels, marks[start:stop].tolist(), [self.special[k] for k in ids], strict=True)
        signs = iter([self.signs[k] + "\n" * (k == self.line_end) for k in ids])
        return [
            {"level": look[0], "marked": look[1], "special": look[2], "text": Markup().join(next(signs) for _ in same)}
            for look, same in itertools.groupby(looks)
        ]


def busiest(values: Array, width: int) -> int:
    """Where the stretch of `width` values starts that vary most; the first such, of starts `width` / 4 apart.

    >>> busiest(np.array([0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 1, 0]), 4)
    7
    """
    starts = range(0, max(1, len(values) - width + 1), max(1, width // 4))
    return max(starts, key=lambda start: float(values[start : start + width].std()))


def percent(p: float) -> str:
    """A probability for people.

    >>> percent(0.4321), percent(0.0432), percent(1e-7)
    ('43%', '4.3%', 'under 0.1%')
    """
    return "under 0.1%" if p < 0.001 else f"{p:.0%}" if p >= 0.0995 else f"{p:.1%}"
