"""The fewest mistakes that explain given gradients: up to two on the way to da, and one in the sum of each gradient.

The mistakes are those of `charrnn.lab.mistakes`. Gradients are those of one window from several initial states ("zero", "random"); a
mistake has to explain them from all of these.
"""

from __future__ import annotations

import itertools
import math
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from charrnn.lab.diagnosis import Finding
from charrnn.lab.mistakes import BY_KEY, MISTAKES
from charrnn.lab.window import RIGHT, Array, Window, core

SECONDS = 1.5  # for pairs of wrong steps
Gradients = Mapping[str, Array]
Option = tuple[dict[str, str], float]  # mistakes with details, and how far a gradient with them is from the given one
Candidate = tuple[tuple[int, int], tuple[str, ...], dict[str, Option]]  # cost, core mistakes, for each explained gradient the others


class Explanation:
    """Explains `given` gradients, by state, whose right ones are known.

    windows: their forward passes. scale: what the loss is times the window's summed loss in nats; None if it is another loss, of which
    charrnn cannot compute any gradient, right or wrong: then only constant factors are found. bound: the clipping of each entry that the
    given gradients have gone through; stretch: by state, what undoes a bound on their norm. equal: how closely gradients that are the
    same agree.
    """

    def __init__(
        self,
        given: Mapping[str, Gradients],
        right: Mapping[str, Gradients],
        windows: Mapping[str, Window],
        scale: float | None,
        bounds: Mapping[str, float],
        stretch: Mapping[str, float],
        equal: float,
        names: Sequence[str],
    ) -> None:
        self.windows, self.scale, self.bounds, self.equal, self.names = windows, scale, bounds, equal, names
        self.wrong = list(names)
        self.given = {n: np.concatenate([stretch.get(state, 1.0) * g[n].ravel() for state, g in given.items()]) for n in names}
        self.right = {n: np.concatenate([g[n].ravel() for g in right.values()]) for n in names}

    def findings(self, wrong: list[str]) -> list[Finding]:
        """The mistakes behind the wrong gradients; gradients that are in none of them are not explained."""
        found: list[Finding] = []
        if not wrong:
            return found
        self.wrong = wrong
        _, keys, chosen = self.best(wrong)
        for key in dict.fromkeys([*keys, *(key for others, _ in chosen.values() for key in others)]):
            names = [n for n in wrong if n in chosen and (key in chosen[n][0] or (key in keys and reaches(key, n)))]
            if names:
                fits = max(chosen[name][1] for name in names)
                off = max(deviation(self.given[name], self.right[name], self.right[name]) for name in names)
                details = dict.fromkeys(chosen[name][0].get(key, "") for name in names)
                detail = self.more_about(key, names) or " and ".join(filter(None, details))
                found.append(Finding(BY_KEY[key], tuple(names), fits, off, detail))
        return found

    def best(self, wrong: list[str]) -> Candidate:
        """The cheapest candidate; pairs of wrong steps are tried only where one alone does not explain everything."""
        best: Candidate | None = None
        for candidate in self.candidates():
            if best is None or candidate[0] < best[0]:
                best = candidate
            if best[0] == (0, 1):
                break
        assert best is not None
        unexplained = [name for name in wrong if name not in best[2]]
        if self.scale is None or not (unexplained or best[0][1] > 3):
            return best
        for candidate in self.pairs(unexplained or wrong, time.process_time() + SECONDS):
            if candidate[0] < best[0]:
                best = candidate
            if best[0] <= (0, 2):
                break
        return best

    def more_about(self, key: str, names: list[str]) -> str:
        """What else the numbers say about a mistake."""
        if key == "h0-dropped":
            return "it does not show from h_0 = 0"
        if key in ("bias-scalar", "bias-axis") and "c" in names and np.abs(self.given["c"]).max() < 1e-12:
            return "dc is exactly 0: c never trains"
        return ""

    def candidates(self) -> Iterator[Candidate]:
        """All combinations: cost first."""
        if self.scale is None:
            chosen = {name: option for name in self.names if (option := self.fit(name, self.right[name], {}))}
            yield self.cost((), chosen), (), chosen
            return
        for keys, options in [((), {}), *self.possible()]:
            candidate = self.candidate(keys, options, self.names)
            if candidate:
                yield candidate

    def possible(self) -> list[tuple[tuple[str, ...], dict[str, Any]]]:
        """The wrong steps that may be behind it: where dU or db is right, so is da; where dV or dc is right, so is g."""
        da_right = any(name in self.names and name not in self.wrong for name in "Ub")
        g_right = any(name in self.names and name not in self.wrong for name in "Vc")
        return [(keys, options) for keys, options in singles() if not (g_right if "error" in options else da_right)]

    def pairs(self, first: Sequence[str], end: float) -> Iterator[Candidate]:
        """Two wrong steps at once, where they explain the gradient of `first`[0]; until a time of the processor's clock."""
        few = Counter(keys for keys, _ in self.possible())  # mistakes of many variants last
        for (a, x), (b, y) in itertools.combinations(sorted(self.possible(), key=lambda single: few[single[0]]), 2):
            if time.process_time() > end:
                return
            both = x | y
            if len(both) == len(x) + len(y) and not ("reach" in both and both.keys() & {"forwards", "passed_on", "accumulate"}):
                candidate = self.candidate((*a, *b), both, [first[0], *(name for name in self.names if name != first[0])], first[0])
                if candidate:
                    yield candidate

    def candidate(self, keys: tuple[str, ...], options: Mapping[str, Any], names: Sequence[str], needed: str = "") -> Candidate | None:
        """What these wrong steps explain; None if the gradient of `needed` is not among it."""
        assert self.scale is not None
        with np.errstate(all="ignore"):
            cores = {state: core(window, options) for state, window in self.windows.items()}
        found: dict[str, list[Option]] = {}
        for name in names:
            found[name] = self.last_step(name, cores, self.scale)
            if name == needed and not found[name]:
                return None
        common = Counter(key for every in found.values() for key in {key for mistakes, _ in every for key in mistakes})
        chosen = {}
        for name, every in found.items():
            if every:  # of equally few mistakes those that other gradients show as well
                zero = not self.given[name].any()
                chosen[name] = min(
                    every,
                    key=lambda option: (len(option[0]), -sum(common[key] for key in option[0]), zero and "never-computed" not in option[0]),
                )
        return self.cost(keys, chosen), keys, chosen

    def last_step(self, name: str, cores: Mapping[str, tuple[Array, Array]], scale: float) -> list[Option]:
        """The mistakes in the sum of one gradient that explain it; without any, if it needs none."""
        options = []
        others = ((m.key, make) for m in MISTAKES for make in m.sums.get(name, ())) if name in self.wrong else ()
        for key, make in [("", RIGHT[name]), *others]:
            arrays = [scale * make(self.windows[state], g, da) for state, (g, da) in cores.items()]
            option = self.fit(name, np.concatenate([array.ravel() for array in arrays]), {key: ""} if key else {})
            if option and not option[0]:
                return [option]
            if option:
                options.append(option)
        return options

    def fit(self, name: str, hypothesis: Array, mistakes: dict[str, str]) -> Option | None:
        """Whether the given gradient is this hypothesis, or a constant times it."""
        given, right, bound = self.given[name], self.right[name], self.bounds.get(name, math.inf)
        if hypothesis.size != given.size:
            return None
        bounded = math.isfinite(bound)
        fits = deviation(given, np.clip(hypothesis, -bound, bound) if bounded else hypothesis, right)
        if fits < self.equal:
            return mistakes, fits
        inside = np.abs(given) < bound if bounded else slice(None)
        g, h = given[inside], hypothesis[inside]
        both, squares = float(g @ h), float(h @ h)
        if not squares > 0 or not both**2 > (1 - 1e-4) * squares * float(g @ g):  # no constant between them
            return None
        if not np.abs(hypothesis).max(initial=0) > 1e-6 * np.abs(right).max(initial=0):
            return None
        factor = both / squares
        fits = deviation(given, np.clip(factor * hypothesis, -bound, bound), factor * right)
        if not (fits < self.equal and abs(factor) > 1e-6):
            return None
        key, words = factor_in_words(factor, *next(iter(self.windows.values())).x.shape)
        return mistakes | {key: words}, fits

    def cost(self, keys: tuple[str, ...], chosen: Mapping[str, Option]) -> tuple[int, int]:
        """Unexplained gradients first, then the number of different mistakes."""
        return len(self.names) - len(chosen), len(keys) + len({key for others, _ in chosen.values() for key in others})


def singles() -> list[tuple[tuple[str, ...], dict[str, Any]]]:
    """Each wrong step of the table by itself."""
    return [((m.key,), dict(options)) for m in MISTAKES for options in m.core]


def reaches(key: str, name: str) -> bool:
    """Whether a mistake in the core shows in a gradient: a wrong g in all, a wrong da in those of U, W and b."""
    return name in "UWb" or any("error" in options for options in BY_KEY[key].core)


def factor_in_words(factor: float, T: int, B: int) -> tuple[str, str]:
    """The key of the mistake behind a constant factor, and the factor in words.

    >>> factor_in_words(1 / 6, 6, 1)
    ('mean-and-sum', '1/T of the right one')
    """
    known = {"T times": T, "1/T of": 1 / T, "T B times": T * B, "1/(T B) of": 1 / (T * B), "B times": B, "1/B of": 1 / B}
    for words, value in known.items():
        if value != 1 and abs(factor / value - 1) < 1e-3:
            return "mean-and-sum", f"{words} the right one"
    return ("sign", "") if abs(factor + 1) < 1e-3 else ("factor", f"{factor:.6g} times the right one")


def deviation(a: Array, b: Array, scale: Array) -> float:
    """The largest |a - b| relative to the largest entry of scale; inf for arrays of different sizes."""
    if a.size != b.size:
        return math.inf
    largest, difference = (float(np.abs(array).max(initial=0)) for array in (scale, a.ravel() - b.ravel()))
    if not math.isfinite(difference):
        return math.inf
    return difference / largest if largest else math.inf if difference else 0.0


def norm_of(arrays: Iterable[Array]) -> float:
    """The Euclidean norm of all entries of all arrays."""
    return math.sqrt(sum(float((array**2).sum()) for array in arrays))
