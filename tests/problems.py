"""Small networks with something to do, and how closely kernels have to agree on them."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from charrnn.network import kernels
from charrnn.network.architecture import Architecture
from charrnn.network.arrays import aligned_zeros
from charrnn.network.blocks import blocks, new_theta, views
from charrnn.network.cells import CELLS
from charrnn.network.optimisers import SLOTS, UpdateRule
from charrnn.network.smooth import SmoothLoss
from charrnn.network.workspace import Workspace

COMPILED = [level for level in kernels.available() if level != "numpy"]
FUSED = [level for level in COMPILED if level in ("v3", "v4")]  # with fused multiply-add: these promise the same bits
DTYPES = ("float32", "float64")

# How far compiled kernels may be from the truth, which is the reference in float64 on the same numbers: the largest difference in
# an array over the largest element that it truly has (of a gradient: over the largest sum of its terms' magnitudes, see `sizes`).
# In float32 as multiples of 2^-23, one unit in the last place of a number of that size.
ULP = 2.0**-23
TOLERANCE = {
    "float64": dict.fromkeys(("states", "gates", "losses", "error", "gradients", "update"), 1e-12),
    "float32": {
        "states": 40 * ULP,  # sums of up to 513 terms, carried on through the steps and layers
        "gates": 40 * ULP,  # the same
        "losses": 24 * ULP,  # differences of logits, which are such sums
        "error": 24 * ULP,  # exponentials of the same
        "gradients": 60 * ULP,  # errors of both; their sums over the window add little
        "update": 40 * ULP,  # the gradient's error times the learning rate, and one rounding; over the larger of before and after
    },
}


def covering(*values: Sequence[Any]) -> list[tuple[Any, ...]]:
    """Combinations in which every pair of values of two arguments occurs: far fewer than all combinations, chosen greedily.

    Faults that need three arguments to be just so are left to tests of random combinations.
    """
    every = list(itertools.product(*(range(len(each)) for each in values)))
    pairs = {combination: set(itertools.combinations(enumerate(combination), 2)) for combination in every}
    left, chosen = set().union(*pairs.values()), []
    while left:
        chosen.append(max(every, key=lambda combination: len(pairs[combination] & left)))
        left -= pairs[chosen[-1]]
    return [tuple(each[i] for each, i in zip(values, combination, strict=True)) for combination in sorted(chosen)]


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
    losses: Any  # (n, 3)
    rule: UpdateRule

    @property
    def named(self) -> dict[str, Any]:
        return views(self.theta, self.work.architecture)

    @property
    def memories(self) -> dict[str, Any]:
        """The optimiser's state of each parameter, without the padding: (slots, ...)."""
        each = [views(slot, self.work.architecture) for slot in self.slots]
        return {name: np.stack([slot[name] for slot in each]) for name in each[0]}

    @property
    def gradients(self) -> dict[str, Any]:
        return views(self.work.gradients, self.work.architecture)

    @property
    def sizes(self) -> dict[str, Any]:
        """For each gradient, the sum of its terms' magnitudes: rounding errors grow with these even where the sum itself cancels.

        Of what `backward` left: gates hold the derivatives by the pre-activations."""
        work, m, cell, found = self.work, self.work.m, self.work.architecture.kind, {}
        h, g = np.abs(work.states[:, 0, ..., :m]), np.abs(work.error[..., : work.K])
        da = np.abs(work.gates[..., :m])
        up = [np.abs(work.dropped[layer, ..., :m]) if self.rule.dropout else h[layer, 1:] for layer in range(work.layers)]
        for block in blocks(work.architecture):
            if block.layer == work.layers:
                found[block.name] = np.einsum("tbk,tbj->kj", g, up[-1]) if block.letter == "V" else g.sum((0, 1))
                continue
            row = cell.recurrent_row(block.gate) if block.letter == "W" or "b_h" in block.name else block.gate
            a = da[block.layer, :, :, row]
            if block.letter == "b":
                found[block.name] = a.sum((0, 1))
            elif block.letter == "U" and block.layer == 0:
                found[block.name] = np.zeros((work.K, m))
                np.add.at(found[block.name], self.inputs[0], a)
                found[block.name] = found[block.name].T
            else:
                found[block.name] = np.einsum("tbi,tbj->ij", a, h[block.layer, :-1] if block.letter == "W" else up[block.layer - 1])
        return found

    def window(self, kernels: Any, scale: float = 1.0) -> Any:
        """Loss and gradients of the first window; returns the gates as forward left them."""
        masks = (self.rule.dropout, self.rule.seed, 1, self.rule.recurrent_dropout)
        kernels.pack(self.theta, self.work)
        kernels.forward(self.theta, self.work, self.inputs[0], self.targets[0], scale, True, *masks)
        gates = self.work.gates.copy()
        kernels.backward(self.theta, self.work, self.inputs[0], *masks)
        return gates

    def train(self, kernels: Any, first: int = 0, last: int | None = None, thread: int = 0, threads: int = 1) -> None:
        """The updates first .. last-1."""
        those = slice(first, last)
        rates = self.rule.rates(np.full(len(self.inputs), 0.05), 1)[those]
        windows = (self.inputs[those], self.targets[those], self.resets[those], losses := self.losses[those].copy())
        kernels.train(self.theta, self.slots, self.work, *windows, rates, self.rule, self.smooth, self.best, first + 1, thread, threads)
        if thread == 0:
            self.losses[those] = losses

    def run(self, kernels: Any, threads: int = 1, chunks: tuple[int, ...] = ()) -> Problem:
        """All updates, each thread of them making the same calls."""
        kernels.pack(self.theta, self.work)
        for first, last in zip([0, *chunks], [*chunks, len(self.inputs)], strict=True):
            others = [threading.Thread(target=self.train, args=(kernels, first, last, i, threads)) for i in range(1, threads)]
            for other in others:
                other.start()
            self.train(kernels, first, last, 0, threads)
            for other in others:
                other.join()
        return self

    def bits(self) -> bytes:
        """Everything that a run leaves behind."""
        arrays = (self.theta, self.slots, self.best, self.smooth, self.losses, np.ascontiguousarray(self.work.states[:, :, 0]))
        return b"".join(array.tobytes() for array in arrays)


def problem(
    sizes: tuple[Any, ...],
    dtype: str,
    rule: UpdateRule | None = None,
    *,
    level: str = "numpy",
    n: int = 1,
    seed: int = 0,
    memory: float = 0.5,
    threads: int = 1,
) -> Problem:
    """Random weights of a size at which the state neither dies out nor forgets nothing, a random state, random text.

    sizes: cell, layers, m, K, T, B. The optimiser's state starts between `memory` and `memory` + 1: from 0, AdaGrad's and Adam's first
    steps have the size of the learning rate however small the gradient, so that a gradient of 1e-9 with a wrong sign would look like
    a large error. Everything is representable in float32, so that both types get the same numbers.
    """
    cell, layers, m, K, T, B = sizes
    rng = np.random.default_rng([seed, list(CELLS).index(cell), *sizes[1:]])
    rule = rule or UpdateRule()
    architecture = Architecture(cell, m, layers, K)

    def normal(std: float, *shape: int) -> Any:
        return rng.normal(0, std, shape).astype(np.float32)

    theta = new_theta(architecture, dtype)
    p = views(theta, architecture)
    for block in blocks(architecture):
        std = {"W": 0.6 / np.sqrt(m), "U": 0.5 if block.layer == 0 else 0.6 / np.sqrt(m), "V": 1 / np.sqrt(m), "b": 0.1, "c": 0.5}
        p[block.name][:] = normal(std[block.letter], *block.shape)
    work = Workspace(
        kernels.get(level), architecture, T, B, dtype, dropout=rule.dropout > 0, weight_drop=rule.weight_drop > 0, threads=threads
    )
    work.states[:, :, 0, :, :m] = np.tanh(normal(0.5, layers, work.states.shape[1], B, m))
    slots = aligned_zeros((SLOTS[rule.optimizer], *theta.shape), dtype)
    for slot in slots:
        for name, part in views(slot, architecture).items():
            part[:] = (rng.random(p[name].shape) + memory).astype(np.float32) if memory else 0
    ids = rng.integers(0, K, (2, n, T, B)).astype(np.intc)
    resets = np.zeros(n, np.uint8)
    resets[2::3] = 1
    return Problem(theta, work, ids[0], ids[1], resets, slots, SmoothLoss().numbers, theta.copy(), np.zeros((n, 3)), rule)


def small(cell: str) -> tuple[Any, ...]:
    """The sizes of a small problem."""
    return (cell, 2, 5, 7, 3, 2)


def truth(sizes: tuple[Any, ...], rule: UpdateRule | None = None, **options: Any) -> Problem:
    """The same problem for the reference, in float64; what it computes is held to be exact."""
    return problem(sizes, "float64", rule, **options)


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
