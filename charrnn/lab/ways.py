"""A way to call a program, and what it gives: its loss, matched with the cross-entropies that it may be, and its gradients."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np

from charrnn.lab import outputs
from charrnn.lab.running import run
from charrnn.lab.slots import Layout
from charrnn.lab.window import Array, Problem, Variant, problem
from charrnn.lab.world import Formats, Outcome, Step, World, turn


@dataclass
class Way:
    """A way to call a program. scale: what its loss is times the summed cross-entropy; None if it is another loss.

    loss: under which name, and at which place among the numbers that it leaves. where: how it gives its gradients away.
    """

    world: World
    steps: tuple[Step, ...]
    formats: Formats
    loss: tuple[str, int]
    scale: float | None
    variant: Variant
    reduction: str
    where: str
    right: int = 0
    found: int = 0
    single: bool = False
    entropy: tuple[int, float, str] = (0, 1.0, "")  # if its loss is another one: how many gradients are those of which cross-entropy
    rate: float = 1.0  # of an update in place
    plausible: bool = False  # of a network that is not vanilla: whether its loss is T log K where all parameters are 0

    @property
    def rank(self) -> tuple[float, ...]:
        own = self.loss[0] != "cross-entropy"
        return (
            self.sure and bool(self.right or self.loss[0] != "cross-entropy"),
            self.sure,
            self.found - len(self.world.layout.slots) >= -2,
            own,
            self.right,
            self.found,
            self.variant == Variant(),
            self.where != "updated",
            -len(self.steps),
        )

    @property
    def sure(self) -> bool:
        """Whether its loss is known to be the cross-entropy."""
        return self.scale is not None or self.plausible or self.entropy[0] > 0

    @property
    def B(self) -> int:
        return 3 if "B" in self.formats.inputs + self.formats.targets else 1


def reductions(T: int, B: int) -> dict[str, float]:
    """What people make of the sum over the window, and its factor."""
    known = {
        "summed over the window": 1.0,
        "the mean per character": 1 / (T * B),
        "the mean over the steps": 1 / T,
        "the mean over the lanes": 1 / B,
    }
    return known | {f"{name}, in bits": factor / math.log(2) for name, factor in known.items()}


def matched(loss: float, p: Problem, true_losses: Mapping[Variant, float]) -> tuple[float, Variant, str, bool] | None:
    """The scale, variant and reduction for which a loss is that of a vanilla network, and whether it is so only in single precision."""
    T, B = p.x.shape
    for variant, true in true_losses.items():
        for name, factor in reductions(1 if variant.last_only else T, B).items():
            off = abs(loss / (factor * true) - 1) if true else math.inf
            if off < 1e-6:
                return factor, variant, name, off > 1e-9
    return None


def sequence_only(steps: tuple[Step, ...]) -> bool:
    """Whether a plan takes one sequence, from which it makes inputs and targets itself."""
    return any(source[0] == "sequence" for step in steps for _, source in step.sources)


def problem_for(layout: Layout, m: int, K: int, T: int, B: int, seed: int, kind: str) -> Problem:
    """A problem with the parameters of a layout: charrnn's roles, or each slot's own."""
    without = "".join(name for name in "bc" if layout.roles and name not in layout.role_of)
    p = problem(m, K, T, B, seed, kind, without)
    if layout.roles:
        return p
    rng = np.random.Generator(np.random.PCG64([seed, m, K, T, 9]))
    sizes = {"m": m, "K": K, "T": T, "B": B}
    return replace(p, parameters={slot.name: rng.normal(0, 0.6, slot.shape(sizes)) for slot in layout.slots})


def entries(world: World, p: Problem) -> Iterator[tuple[str, str, Array]]:
    """(slot, parameter of the problem, its array) for all parameters."""
    if world.layout.roles:
        yield from ((slot.name, role, p.parameters[role]) for role, slot in world.layout.roles)
    else:
        yield from ((slot.name, slot.name, p.parameters[slot.name]) for slot in world.layout.slots)


def moved(p: Problem, key: str, array: Array) -> Problem:
    return replace(p, parameters={**p.parameters, key: array})


def loss_of(way: Way, p: Problem) -> float:
    """The loss that a way gives; only as many steps are run as it takes."""
    outcome = run(way.world, way.steps, way.formats, p, last=None)
    return read_loss(way, outcome, p)


def read_loss(way: Way, outcome: Outcome, p: Problem) -> float:
    name, place = way.loss
    if name == "cross-entropy":
        numbers = list(outputs.cross_entropy(outcome.returned, outcome.root, p, way.world.K))
    else:
        numbers = outputs.losses(outcome, way.world)
        numbers = [pair for pair in numbers if pair[0] == name] or numbers
        place = 0 if numbers and numbers[0][0] == name else place
    if place >= len(numbers):
        raise ValueError("there is no loss among what it returned")
    return numbers[place][1]


def agreeing(world: World, found: dict[str, Array], expected: dict[str, Array], equal: float) -> int:
    """How many gradients are the expected ones."""
    count = 0
    for role, slot in world.layout.roles:
        if slot.name in found:
            mine, true = np.asarray(found[slot.name], dtype=np.float64), expected[role]
            if mine.size == true.size:
                mine = turn(world, role, mine.reshape(slot.shape({"m": world.m, "K": world.K})))
                largest = float(np.abs(true).max()) or 1.0
                count += bool(np.abs(mine.reshape(true.shape) - true).max() < equal * largest)
    return count


def rate_is_known(world: World, steps: tuple[Step, ...]) -> bool:
    """Whether the rate of an update is an argument, an attribute or a name that the check sets."""
    return any(source == ("rate",) for step in steps for _, source in step.sources) or any(size == "rate" for _, size in world.numbers)


def norm_ratio(found: Mapping[str, Array], expected: Mapping[str, Array], role: str, name: str) -> float:
    """How much longer a gradient is than the expected one."""
    length = float(np.linalg.norm(expected[role]))
    return float(np.linalg.norm(np.asarray(found[name], dtype=np.float64))) / length if name in found and length else 0.0


def looks_like_signs(found: dict[str, Array]) -> bool:
    """Whether a step is that of AdaGrad or Adam from an empty memory: of one size wherever it is not 0."""
    sizes = np.concatenate([np.abs(array).ravel() for array in found.values()])
    sizes = sizes[sizes > 1e-12]
    return bool(len(sizes) and np.mean(np.abs(sizes - np.median(sizes)) < 1e-3 * np.median(sizes)) > 0.7)
