"""Heatmaps of a layer's states and gates over a line of text, as SVG in the colours of the page of `charrnn explain`."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

from charrnn.evaluation.gates import CANDIDATES, gates_of, name_of
from charrnn.network.arrays import Array
from charrnn.network.cells import Cell

COLUMNS, ROWS = 72, 32  # characters and units that are shown
FILLED = 40  # characters of a line that is worth a picture
WIDTH, HEIGHT, LEFT, TOP = 10, 7, 22, 14  # of a cell, and of what stands beside and above the cells
ACTIVATIONS, SHARES = 9, 8  # colours of the page: from -1 to 1, and of what lies in 0..1


@dataclass(frozen=True)
class Heat:
    """What a layer (from 0) did over n characters of a text, from `start` on: states (N, n, m) and gates (R, n, m) after each.

    units: those that are shown, ordered so that units that move alike stand together.
    """

    cell: Cell
    layer: int
    start: int
    states: Array
    gates: Array
    units: list[int]

    @classmethod
    def of(cls, cell: Cell, layer: int, start: int, states: Array, gates: Array) -> Heat:
        """The units whose h changes most."""
        return cls(cell, layer, start, states, gates, ordered(states[0]))

    @property
    def length(self) -> int:
        """n."""
        return int(self.states.shape[1])

    def maps(self, signs: Sequence[str]) -> Iterator[dict[str, Markup | str]]:
        """A caption and a picture of each array: h, the gates, and c; signs: the n characters as they are to be shown, in HTML."""
        yield {"name": "hidden state h", "scale": "activation", "svg": self.picture(self.states[0], "activation", signs, "hidden state h")}
        for g, gate in gates_of(self.cell):
            name, scale = name_of(self.cell, gate), "activation" if gate in CANDIDATES else "share"
            yield {"name": name, "scale": scale, "svg": self.picture(self.gates[g], scale, signs, name)}
        if len(self.cell.states) > 1:
            name = "cell state c, as tanh c"
            yield {"name": name, "scale": "activation", "svg": self.picture(np.tanh(self.states[1]), "activation", signs, name)}

    def picture(self, values: Array, scale: str, signs: Sequence[str], name: str) -> Markup:
        """values (n, m): a row a unit, a column a character; one path for each colour."""
        shown = values[:, self.units].T.astype(np.float64)
        levels = np.rint((shown + 1) * 4) if scale == "activation" else np.floor(shown * SHARES)
        count, letter = (ACTIVATIONS, "a") if scale == "activation" else (SHARES, "s")
        levels = levels.clip(0, count - 1).astype(int)
        paths: list[list[str]] = [[] for _ in range(count)]
        for row, line in enumerate(levels):
            edges = [0, *(np.flatnonzero(np.diff(line)) + 1).tolist(), len(line)]
            for begin, end in itertools.pairwise(edges):
                paths[line[begin]].append(f"M{begin} {row}h{end - begin}v1h{begin - end}z")
        n, rows = self.length, len(self.units)
        cells = "".join(f'<path style="fill:var(--{letter}{i})" d="{"".join(path)}"/>' for i, path in enumerate(paths) if path)
        letters = "".join(f'<text x="{LEFT + (i + 0.5) * WIDTH}" y="{TOP - 4}" class="l">{sign}</text>' for i, sign in enumerate(signs))
        numbers = "".join(
            f'<text x="{LEFT - 3}" y="{TOP + (row + 0.8) * HEIGHT:.1f}" class="u">{unit}</text>' for row, unit in enumerate(self.units)
        )
        width, height = LEFT + n * WIDTH, TOP + rows * HEIGHT
        place = f'transform="translate({LEFT} {TOP}) scale({WIDTH} {HEIGHT})" shape-rendering="crispEdges"'
        head = f'<svg viewBox="0 0 {width} {height}" style="width:{1.28 * width:.0f}px" role="img" aria-label="{name}">'
        return Markup(f"{head}{letters}{numbers}<g {place}>{cells}</g></svg>")


def ordered(h: Array) -> list[int]:
    """Of the units of h (n, m) the `ROWS` that change most, in the order of their first principal component.

    >>> t = np.linspace(0, 6, 50)
    >>> ordered(np.stack([np.sin(t), 0 * t, -np.sin(t), np.cos(t), 0.9 * np.sin(t)], axis=1))[-1]
    1
    """
    h = h.astype(np.float64)
    spread = h.std(0)
    chosen = np.sort(np.argsort(-spread, kind="stable")[:ROWS])
    moved = (h - h.mean(0))[:, chosen] / np.maximum(spread[chosen], 1e-9)
    loads = np.linalg.svd(moved, full_matrices=False)[2][0]
    loads *= np.sign(loads[np.abs(loads).argmax()]) or 1.0  # of a principal component the sign means nothing
    still = spread[chosen] <= 1e-9
    return [int(unit) for unit in chosen[np.lexsort((-loads, still))]]


def place_of(lines: Sequence[tuple[int, int]]) -> tuple[int, int]:
    """Which characters are shown, (start, stop): of the first line (start, stop) of 40 or more, else of the longest; no more than fit.

    >>> place_of([(0, 5), (6, 60), (61, 300)]), place_of([(0, 5), (6, 17)])
    ((6, 60), (6, 17))
    """
    start, stop = next(((a, b) for a, b in lines if b - a >= FILLED), max(lines, key=lambda line: line[1] - line[0]))
    return start, min(stop, start + COLUMNS)
