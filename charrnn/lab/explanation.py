"""The fewest mistakes that explain given gradients: up to two on the way to da, and one in the last step of each.

The mistakes are those of `charrnn.lab.mistakes`. Gradients are those of one window from several initial states ("zero",
"random"); a mistake has to explain them from all of these.
"""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from charrnn.lab.diagnosis import Finding
from charrnn.lab.mistakes import BY_KEY, MISTAKES, NAMES, RIGHT, Window, core
from charrnn.network.arrays import Array

Gradients = Mapping[str, Array]
Option = tuple[dict[str, str], float]  # mistakes with details, and how far a gradient with them is from the given one
Candidate = tuple[tuple[int, int], tuple[str, ...], dict[str, Option]]  # cost, core mistakes, for each explained gradient the others


class Explanation:
    """Explains `given` gradients, by state, whose right ones are known.

    windows: their forward passes. scale: what the loss is times the window's summed loss in nats; None if it is another loss, of which
    charrnn cannot compute any gradient, right or wrong: then only constant factors are found. bound, norm: the clipping that the given
    gradients have gone through. equal: how closely gradients that are the same agree.
    """

    def __init__(
        self,
        given: Mapping[str, Gradients],
        right: Mapping[str, Gradients],
        windows: Mapping[str, Window],
        scale: float | None,
        bound: float,
        norm: float,
        equal: float,
    ) -> None:
        self.windows, self.scale, self.bound, self.equal = windows, scale, bound, equal
        stretch = {state: max(1.0, norm_of(g.values()) / norm) for state, g in right.items()}  # undoes what a bound on the norm has done
        self.given = {name: np.concatenate([stretch[state] * g[name].ravel() for state, g in given.items()]) for name in NAMES}
        self.right = {name: np.concatenate([g[name].ravel() for g in right.values()]) for name in NAMES}

    def findings(self, wrong: list[str]) -> list[Finding]:
        """The mistakes behind the wrong gradients; gradients that are in none of them are not explained."""
        found: list[Finding] = []
        if not wrong:
            return found
        _, keys, chosen = min(self.candidates(), key=lambda candidate: candidate[0])
        for key in dict.fromkeys([*keys, *(key for others, _ in chosen.values() for key in others)]):
            names = [n for n in wrong if n in chosen and (key in chosen[n][0] or (key in keys and reaches(key, n)))]
            if names:
                fits = max(chosen[name][1] for name in names)
                off = max(deviation(self.given[name], self.right[name], self.right[name]) for name in names)
                details = dict.fromkeys(chosen[name][0].get(key, "") for name in names)
                detail = self.more_about(key, names) or " and ".join(filter(None, details))
                found.append(Finding(BY_KEY[key], tuple(names), fits, off, detail))
        return found

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
            chosen = {name: option for name in NAMES if (option := self.fit(name, self.right[name], {}))}
            yield cost((), chosen), (), chosen
            return
        singles: list[tuple[tuple[str, ...], dict[str, Any]]] = [((m.key,), dict(options)) for m in MISTAKES for options in m.core]
        pairs = [((*a, *b), x | y) for (a, x), (b, y) in itertools.combinations(singles, 2) if not x.keys() & y.keys()]
        for keys, options in [((), {}), *singles, *pairs]:
            with np.errstate(all="ignore"):
                cores = {state: core(window, options) for state, window in self.windows.items()}
            options = {name: self.last_step(name, cores, self.scale) for name in NAMES}
            common = Counter(key for every in options.values() for key in {key for mistakes, _ in every for key in mistakes})
            chosen = {}
            for name, every in options.items():
                if every:  # of equally few mistakes those that other gradients show as well
                    chosen[name] = min(every, key=lambda option: (len(option[0]), -sum(common[key] for key in option[0])))
            yield cost(keys, chosen), keys, chosen

    def last_step(self, name: str, cores: Mapping[str, tuple[Array, Array]], scale: float) -> list[Option]:
        """The mistakes in the last step of one gradient that explain it; without any, if it needs none."""
        options = []
        for key, leaf in [("", RIGHT[name]), *((m.key, leaf) for m in MISTAKES for leaf in m.leaves.get(name, ()))]:
            arrays = [scale * leaf(self.windows[state], g, da) for state, (g, da) in cores.items()]
            option = self.fit(name, np.concatenate([array.ravel() for array in arrays]), {key: ""} if key else {})
            if option and not option[0]:
                return [option]
            if option:
                options.append(option)
        return options

    def fit(self, name: str, hypothesis: Array, mistakes: dict[str, str]) -> Option | None:
        """Whether the given gradient is this hypothesis, or a constant times it."""
        given, right = self.given[name], self.right[name]
        fits = deviation(given, np.clip(hypothesis, -self.bound, self.bound), right)
        if fits < self.equal:
            return mistakes, fits
        if hypothesis.shape != given.shape or not np.abs(hypothesis).max(initial=0) > 1e-6 * np.abs(right).max(initial=0):
            return None
        factor = float((given * hypothesis).sum() / (hypothesis * hypothesis).sum())
        fits = deviation(given, factor * hypothesis, factor * right)
        if not (fits < self.equal and abs(factor) > 1e-6):
            return None
        key, words = factor_in_words(factor, *next(iter(self.windows.values())).x.shape)
        return mistakes | {key: words}, fits


def reaches(key: str, name: str) -> bool:
    """Whether a mistake in the core shows in a gradient: a wrong g in all, a wrong da in those of U, W and b."""
    return name in "UWb" or any("error" in options for options in BY_KEY[key].core)


def cost(keys: tuple[str, ...], chosen: Mapping[str, Option]) -> tuple[int, int]:
    """Unexplained gradients first, then the number of different mistakes."""
    return len(NAMES) - len(chosen), len(keys) + len({key for others, _ in chosen.values() for key in others})


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
