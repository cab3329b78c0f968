"""How surprising a text is to a model, read once from its beginning: per character and per line.

The surprise of a character is -log2 p bits, p being the probability that the model gave it just before reading it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from charrnn.display.visible import shown
from charrnn.evaluation.evaluate import windows_of
from charrnn.network.arrays import Array
from charrnn.network.network import Network
from charrnn.text.corpus import Corpus

SHORTEST = 20  # lines of fewer characters are no line "to expect": a blank one would always come out first


class Model(Protocol):
    """What `line_bits` asks of a `charrnn.CharRNN`."""

    def copy_of_network(self) -> Network: ...
    def corpus_of(self, text: str | bytes | Corpus) -> Corpus: ...


@dataclass(frozen=True)
class Block:
    """What the network made of the characters start .. start+T-1; the arrays are valid until the next block is asked for.

    ids (T+1,): those characters, and the one after them.  states (L, N, T, m): each layer's states after reading each, h first; gates
    (L, R, T, m), see `charrnn.network.cells.cell`.
    probabilities (T, K) of the character after each; losses (T,): nats of the one that did follow.
    """

    start: int
    ids: Array
    states: Array
    gates: Array
    probabilities: Array
    losses: Array

    @property
    def hidden(self) -> Array:
        """(L, T, m): each layer's h."""
        return self.states[:, 0]


def read_through(network: Network, corpus: Corpus, stop: int | None = None) -> Iterator[Block]:
    """The blocks of the first `stop` characters (all of them by default), the state carried from each to the next.

    The last character is only predicted, not read. Raises `TextError` for a text of fewer than two characters.
    """
    corpus.require_window(1)
    part = corpus if stop is None else corpus.part(0, min(stop, len(corpus)))
    for at, ids, work in windows_of(network, part):
        states, gates = work.states[:, :, 1:, 0, : work.m], work.gates[:, :, 0, :, : work.m].transpose(0, 2, 1, 3)
        yield Block(at, ids[:, 0], states, gates, work.error[:, 0, : work.K], work.losses[:, 0])


@dataclass(frozen=True)
class Line:
    """One line of a text: the number counts from 1, start is the offset of its first character.

    bits is the surprise of all its `characters` together. These include its line end, but not the very first
    character of the text, which nothing precedes. text, without the line end, is bytes for a model of raw bytes.

    >>> Line(number=1, start=0, text="ab", bits=3.0, characters=2).bits_per_char
    1.5
    """

    number: int
    start: int
    text: Any
    bits: float
    characters: int

    @property
    def bits_per_char(self) -> float:
        """The mean surprise of its characters."""
        return self.bits / self.characters


def line_bits(model: Model, text: str | bytes | Corpus) -> Iterator[Line]:
    """The lines of a text in turn, each with its surprise given everything before it, in bounded memory.

    A first line of which nothing is predicted (it is a line end alone) is left out. Raises `TextError` for a text of
    fewer than two characters or with characters that the model does not know.

    >>> from charrnn import CharRNN
    >>> uniform = CharRNN(hidden_size=2, init_std=0, vocabulary="\\nabc")
    >>> [(line.number, line.text, line.characters, line.bits_per_char) for line in line_bits(uniform, "abc\\nca")]
    [(1, 'abc', 3, 2.0), (2, 'ca', 2, 2.0)]
    """
    corpus, network = model.corpus_of(text), model.copy_of_network()

    def pieces() -> Iterator[tuple[Any, Array]]:
        yield corpus.text(0, 1), np.array([math.nan])
        for block in read_through(network, corpus):
            yield network.vocabulary.decode(block.ids[1:]), block.losses / math.log(2)

    return lines_of(pieces())


def lines_of(pieces: Iterable[tuple[Any, Array]]) -> Iterator[Line]:
    """The lines of a text that comes in pieces, each with the bits of its characters (NaN: not predicted)."""
    number, start, at, bits, characters = 1, 0, 0, 0.0, 0
    text: list[Any] = []

    def line() -> Line:
        return Line(number, start, text[0][:0].join(text), bits, characters)

    for piece, surprise in pieces:
        parts = piece.split(b"\n" if isinstance(piece, bytes) else "\n")
        done = 0
        for i, part in enumerate(parts):
            ends = i < len(parts) - 1
            some = surprise[done : done + len(part) + ends]
            done += len(some)
            text.append(part)
            bits += float(np.nansum(some))
            characters += int(np.count_nonzero(~np.isnan(some)))
            if ends:
                if characters:
                    yield line()
                number, start, text, bits, characters = number + 1, at + done, [], 0.0, 0
        at += done
    if characters:
        yield line()


def extremes(lines: Iterable[Line], count: int, shortest: int = SHORTEST) -> tuple[list[Line], list[Line]]:
    """The `count` least and the `count` most expected lines, the worst and the best first.

    Lines of fewer than `shortest` characters are left out. Of lines with one text, that with the most (or the fewest) bits stands for all.

    >>> lines = [Line(i + 1, 0, text, bits, 1) for i, (text, bits) in enumerate([("a", 2.0), ("b", 5.0), ("c", 1.0), ("b", 4.0)])]
    >>> [[line.number for line in some] for some in extremes(lines, 2, shortest=1)]
    [[2, 1], [3, 1]]
    """
    least, most = _Highest(count), _Highest(count)
    for line in lines:
        if line.characters >= shortest:
            least.add(line.bits_per_char, line)
            most.add(-line.bits_per_char, line)
    return least.lines(), most.lines()


class _Highest:
    """Of however many lines the `count` with the highest values, each text once."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.kept: dict[Any, tuple[float, int, Line]] = {}  # by text
        self.lowest: tuple[float, int] = (-math.inf, 0)  # of what is kept, once that is as many as there may be

    def add(self, value: float, line: Line) -> None:
        entry = (value, -line.number, line)
        if entry[:2] <= self.lowest:
            return
        self.kept[line.text] = max(entry, self.kept.get(line.text, entry))
        if len(self.kept) > self.count:
            del self.kept[min(self.kept.values())[2].text]
        if len(self.kept) == self.count:
            self.lowest = min(self.kept.values())[:2]

    def lines(self) -> list[Line]:
        return [entry[2] for entry in sorted(self.kept.values(), reverse=True)]


def describe_extremes(least: list[Line], most: list[Line], width: int = 100) -> str:
    """`extremes` for a terminal: the bits per character, number and beginning of each line.

    >>> from charrnn import CharRNN
    >>> uniform = CharRNN(hidden_size=2, init_std=0, vocabulary="\\n\\tabcdef")
    >>> print(describe_extremes(*extremes(line_bits(uniform, "abc\\n" + "face\\t" * 4 + "\\n"), 1)))
    least expected lines (bits per character)
      3.00  line 2: face⇥face⇥face⇥face⇥
    most expected lines
      3.00  line 2: face⇥face⇥face⇥face⇥
    """
    if not least:
        return f"no line has the {SHORTEST} characters that it takes to be called expected or not"

    def rows(lines: list[Line]) -> list[str]:
        return [f"  {line.bits_per_char:.2f}  line {line.number:,}: {shown(line.text, width)}" for line in lines]

    return "\n".join(["least expected lines (bits per character)", *rows(least), "most expected lines", *rows(most)])
