"""Small networks with something to do, and how closely kernels have to agree on them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from charrnn.network import kernels, reference
from charrnn.network.parameters import SLOTS, Rule, Workspace, aligned_zeros, named_views, new_theta

COMPILED = [level for level in kernels.available() if level != "numpy"]
FUSED = [level for level in COMPILED if level in ("v3", "v4")]  # with fused multiply-add: these promise the same bits
DTYPES = ("float32", "float64")

# How far compiled kernels may be from the truth, which is the reference in float64 on the same numbers: the largest difference in
# an array over the largest element that it truly has (of a gradient: over the largest sum of its terms' magnitudes, see `sizes`).
# In float32 as multiples of 2^-23, one unit in the last place of a number of that size.
ULP = 2.0**-23
TOLERANCE = {
    "float64": dict.fromkeys(("hidden", "losses", "error", "delta", "gradients", "update"), 1e-12),
    "float32": {
        "hidden": 20 * ULP,  # sums of up to 257 terms, carried on through 60 steps; 11 found
        "losses": 16 * ULP,  # differences of logits, which are such sums; 8 found
        "error": 16 * ULP,  # exponentials of the same; 10 found
        "delta": 24 * ULP,  # carried back through 60 steps; 12 found
        "gradients": 24 * ULP,  # errors of delta and hidden; their sums over up to 480 terms add little
        "update": 8 * ULP,  # the gradient's error times the learning rate, and one rounding; over the larger of before and after; 3 found
    },
}


@dataclass
class Problem:
    """A network theta with its workspace, n windows of text, and the state of an optimiser."""

    theta: Any
    work: Workspace
    inputs: Any  # (n, T, B)
    targets: Any
    resets: Any  # (n,)
    slots: Any
    smooth: Any
    best: Any
    losses: Any  # (n, 2)
    rule: Rule

    @property
    def named(self) -> dict[str, Any]:
        return named_views(self.theta, self.work.m, self.work.K)

    @property
    def memories(self) -> dict[str, Any]:
        """The optimiser's memory of each parameter, without the padding: (slots, ...)."""
        each = [named_views(slot, self.work.m, self.work.K) for slot in self.slots]
        return {name: np.stack([slot[name] for slot in each]) for name in each[0]}

    @property
    def gradients(self) -> dict[str, Any]:
        return named_views(self.work.gradients, self.work.m, self.work.K)

    @property
    def sizes(self) -> dict[str, Any]:
        """For each gradient, the sum of its terms' magnitudes: rounding errors grow with these even where the sum itself cancels."""
        m, K = self.work.m, self.work.K
        rows = self.work.T * self.work.B
        h, h_next = (np.abs(part[:, :, :m]).reshape(rows, m) for part in (self.work.hidden[:-1], self.work.hidden[1:]))
        g, da = np.abs(self.work.error[:, :, :K]).reshape(rows, K), np.abs(self.work.delta[:, :, :m]).reshape(rows, m)
        U = np.zeros((K, m))
        np.add.at(U, self.inputs[0].ravel(), da)
        return {"U": U.T, "W": da.T @ h, "V": g.T @ h_next, "b": da.sum(0), "c": g.sum(0)}

    def window(self, kernels: Any, scale: float = 1.0) -> None:
        """Loss and gradients of the first window."""
        kernels.renew(self.theta, self.work)
        kernels.forward(self.theta, self.work, self.inputs[0], self.targets[0], scale)
        kernels.backward(self.theta, self.work, self.inputs[0])

    def train(self, kernels: Any, first: int = 0, last: int | None = None, thread: int = 0, threads: int = 1) -> None:
        """The updates first .. last-1."""
        those = slice(first, last)
        rates = self.rule.rates(np.full(len(self.inputs), 0.05), 1)[those]
        windows = (self.inputs[those], self.targets[those], self.resets[those], self.losses[those])
        kernels.train(self.theta, self.slots, self.work, *windows, rates, self.rule, self.smooth, self.best, thread, threads)


def problem(
    m: int, K: int, T: int, B: int, dtype: str, rule: Rule | None = None, n: int = 1, seed: int = 0, memory: float = 0.5
) -> Problem:
    """Random weights of a size at which the state neither dies out nor forgets nothing, a random state, random text.

    The optimiser's memory starts between `memory` and `memory` + 1: from 0, AdaGrad's and Adam's first steps have the size of the learning
    rate however small the gradient, so that a gradient of 1e-9 with a wrong sign would look like a large error. Everything is
    representable in float32, so that both types get the same numbers.
    """
    rng = np.random.default_rng([seed, m, K, T, B])
    rule = rule or Rule()

    def normal(std: float, *shape: int) -> Any:
        return rng.normal(0, std, shape).astype(np.float32)

    theta = new_theta(m, K, dtype)
    p = named_views(theta, m, K)
    p["W"][:] = normal(0.6 / np.sqrt(m), m, m)
    p["U"][:], p["V"][:], p["b"][:], p["c"][:] = normal(0.5, m, K), normal(1 / np.sqrt(m), K, m), normal(0.1, m), normal(0.5, K)
    work = Workspace(m, K, T, B, dtype)
    work.hidden[0, :, :m] = np.tanh(normal(0.5, B, m))
    slots = aligned_zeros((SLOTS[rule.optimizer], *theta.shape), dtype)
    for slot in slots:
        for name, part in named_views(slot, m, K).items():
            part[:] = (rng.random(p[name].shape) + memory).astype(np.float32)
    ids = rng.integers(0, K, (2, n, T, B)).astype(np.intc)
    resets = np.zeros(n, np.uint8)
    resets[2::3] = 1
    return Problem(theta, work, ids[0], ids[1], resets, slots, np.array([np.nan, np.inf, 0, 0]), theta.copy(), np.zeros((n, 2)), rule)


def truth(m: int, K: int, T: int, B: int, **options: Any) -> Problem:
    """The same problem for the reference, in float64; what it computes is held to be exact."""
    return problem(m, K, T, B, "float64", **options)


def distance(found: Any, expected: Any, scale: Any = None) -> float:
    """The largest difference in an array, over the largest element of `scale`, by default of what is expected."""
    assert found.shape == expected.shape
    largest = np.abs(expected if scale is None else scale).max()
    return float(np.abs(found - expected).max() / (largest or 1))


def agree(found: Any, expected: Any, dtype: str, what: str, label: str = "", scale: Any = None) -> None:
    """Assert that two arrays are as close as TOLERANCE demands of `what`."""
    assert np.isfinite(found).all(), f"{what} {label}: not finite"
    off, allowed = distance(found, expected, scale), TOLERANCE[dtype][what]
    assert off <= allowed, f"{what} {label}: off by {off:.3g}, allowed {allowed:.3g} ({off / ULP:.3g} ulp of float32)"


__all__ = ["COMPILED", "DTYPES", "FUSED", "TOLERANCE", "ULP", "Problem", "agree", "distance", "problem", "reference", "truth"]
