"""The search for the way in which a program is to be called: worlds, plans and formats are tried until the loss is the one it should be.

All sizes differ, so a wrong way fails or gives another loss. Where no way gives the cross-entropy of a vanilla network, the one is taken
whose gradients fit its own loss best.
"""

from __future__ import annotations

import linecache
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from charrnn.lab import outputs
from charrnn.lab.formats import LANE_STATES, STATES, STRING, TEXTS, tried
from charrnn.lab.limits import OutOfTime, quiet
from charrnn.lab.planning import plans
from charrnn.lab.routines import Routine
from charrnn.lab.running import Failed, run
from charrnn.lab.slots import Layout
from charrnn.lab.ways import (
    Way,
    agreeing,
    entries,
    looks_like_signs,
    loss_of,
    matched,
    moved,
    norm_ratio,
    problem_for,
    rate_is_known,
    reductions,
    sequence_only,
)
from charrnn.lab.window import NAMES, VARIANTS, Array, Problem, Variant, right
from charrnn.lab.world import Formats, Outcome, Step, World, chained, turn

EQUAL = 1e-8
ORDER = tried()
ALIKE = 60  # tries that fail at the same place in the same way: then the texts are not the reason


@dataclass
class Failure:
    """How far a plan came that failed: the step, the line in the program's file, and the words of the error."""

    step: int
    fits: bool
    line: int
    words: str
    plan: str


def fitting(formats: Formats, layout: Layout) -> bool:
    """Whether a state is a column, vector or row where the bias of the hidden units is one."""
    bias = layout.role_of.get("b")
    return bias is None or formats.state == "(" + ", ".join(bias.dims) + ("," if len(bias.dims) == 1 else "") + ")"


class Search:
    """Tries ways to call a program within some seconds."""

    def __init__(self, m: int, K: int, T: int, seed: int, seconds: float, file: str = "") -> None:
        self.m, self.K, self.T, self.seed, self.file = m, K, T, seed, file
        self.end = time.process_time() + seconds
        self.best: Way | None = None
        self.failure: Failure | None = None
        self.failures: set[tuple[int, str]] = set()  # the lines at which calls failed, and their words
        self.tried = 0
        self.problems: dict[tuple[int, str], Problem] = {}
        self.dead: set[tuple[Any, ...]] = set()  # first calls of plans, with formats, that fail in this world
        self.rights: dict[int, Mapping[Variant, Mapping[str, Array]]] = {}
        self.losses: dict[int, Mapping[Variant, float]] = {}
        self.chained: dict[int, Problem] = {}
        self.good: list[Formats] = []
        self.deep = False  # whether unusual formats are tried
        self.wanted: list[Callable[..., Any]] = []  # what has to take part

    def problem(self, B: int, layout: Layout) -> Problem:
        """A problem for a layout: without biases where it has none; with a parameter for each slot where it has no roles."""
        without = "".join(name for name in "bc" if name not in layout.role_of)
        key = (B, without if layout.roles else repr(layout.slots))
        if key not in self.problems:
            self.problems[key] = problem_for(layout, self.m, self.K, self.T, B, self.seed, "random")
        return self.problems[key]

    def chain(self, p: Problem) -> Problem:
        """The same problem for programs that take one sequence, made once."""
        if id(p) not in self.chained:
            self.chained[id(p)] = chained(p)
        return self.chained[id(p)]

    def true_losses(self, p: Problem) -> Mapping[Variant, float]:
        """The loss of a problem by each variant, computed once."""
        if id(p) not in self.losses:
            self.losses[id(p)] = {variant: p.window(variant).loss for variant in VARIANTS}
        return self.losses[id(p)]

    def over(self) -> bool:
        return time.process_time() > self.end

    def through(self, world: World, routines: Sequence[Routine]) -> bool:
        """Try a world's plans; whether one of them is right in everything."""
        self.dead = set()
        with quiet():
            return self.every_plan(world, routines)

    def every_plan(self, world: World, routines: Sequence[Routine]) -> bool:
        for steps in plans(routines, world, [*self.wanted, *world.must], 40 if world.guessed else 400):
            if self.over():
                return False
            if world.flat and len(steps) > 1:
                break
            if self.plan(world, steps):
                return True
        return self.complete

    @property
    def complete(self) -> bool:
        """Whether a way is known in which the loss is right and all gradients are there, right or wrong."""
        best = self.best
        return (
            best is not None
            and best.found == len(best.world.layout.slots)
            and bool(best.right or best.loss[0] != "cross-entropy")
            and best.sure
        )

    def plan(self, world: World, steps: tuple[Step, ...]) -> bool:
        """Try the formats of a plan."""
        fallbacks = idle = 0
        calls = tuple((step.routine.name, step.sources, step.renewed) for step in steps)
        places: set[tuple[int, int, str]] = set()
        begun = self.tried
        uses = [set().union(*(step.uses for step in steps[: i + 1])) for i in range(len(steps))]
        one = sequence_only(steps)
        told = {source[-1] for step in steps for _, source in step.sources if source[0] in ("inputs", "targets", "listed")}
        told |= {"targets"} if any(source[0] == "pair" for step in steps for _, source in step.sources) else set()
        for formats in self.formats(uses[-1] if "targets" in told else uses[-1] - {"targets"}, world.alphabet):
            if self.over():
                return False
            keys = [
                (
                    calls[: i + 1],
                    *((formats.inputs,) * ("inputs" in u)),
                    *((formats.targets,) * ("targets" in u)),
                    *((formats.state,) * ("state" in u)),
                )
                for i, u in enumerate(uses)
            ]
            if any(key in self.dead for key in keys):
                continue
            p = self.problem(3 if "B" in formats.inputs + formats.targets else 1, world.layout)
            p = self.chain(p) if one else p
            self.tried += 1
            try:
                outcome = run(world, steps, formats, p)
            except Failed as failed:
                self.dead.add(keys[failed.step])
                places.add(self.remember(failed, steps, not world.guessed and fitting(formats, world.layout)))
                if failed.step and not self.good and self.known_loss(world, p, failed.outcome):
                    self.learn(formats)
                if self.tried - begun >= ALIKE and len(places) == 1 and not idle:
                    return False
                continue
            except (ValueError, TypeError, KeyError, IndexError, AttributeError):
                continue
            way = self.read(world, steps, formats, p, outcome)
            if way is None:
                idle += 1
                if formats in self.good or idle >= 6:
                    return False
                continue
            if way.scale is None and world.flat:
                idle += 1
                if idle >= 6:
                    return False
                continue
            if way.scale is None:
                fallbacks += 1
                if fallbacks > 6 or (self.best and self.best.scale is not None):
                    continue
                way.right = sum(self.fits_own_loss(way, p, outcome).values())
                if way.entropy[0]:
                    self.learn(formats)
                if not world.layout.roles and self.uniform(way, p):
                    way.plausible = True
                    self.learn(formats)
            if self.best is None or way.rank > self.best.rank:
                self.best = way
            if way.right == len(world.layout.slots) and self.best is way and (way.scale is not None or way.plausible):
                return True
            if way.sure and way.found == len(world.layout.slots) and formats in self.good:
                return False
        return False

    def formats(self, uses: set[str], alphabet: str = "") -> Iterator[Formats]:
        """The formats that may be tried for what a plan uses, those that have done for other plans first."""
        yield from [replace(f) for f in self.good]
        if self.good:  # a program has one way to keep its texts
            return
        seen: set[Formats] = set()
        if alphabet and uses & {"inputs", "targets"}:
            yield from (Formats(STRING, STRING, state) for state in (STATES if "state" in uses else list(STATES)[:1]))
        for tier, inputs, targets, state in ORDER:
            if tier > 1 and not self.deep:
                return
            first = STATES if inputs in TEXTS or inputs == STRING else LANE_STATES
            if "targets" not in uses:
                targets = "indices (T,)" if inputs in TEXTS else "indices (T, B)"
            found = Formats(inputs if "inputs" in uses else "indices (T,)", targets, state if "state" in uses else next(iter(first)))
            if found not in seen:
                seen.add(found)
                yield found

    def read(self, world: World, steps: tuple[Step, ...], formats: Formats, p: Problem, outcome: Outcome) -> Way | None:
        """What a run gives: its loss among the numbers, and its gradients; None if something is missing."""
        numbers = outputs.losses(outcome, world)
        candidates = [(name, value, i) for i, (name, value) in enumerate(numbers) if math.isfinite(value)]
        composed = [(name, value, i) for i, (name, value) in enumerate(outputs.cross_entropy(outcome.returned, outcome.root, p, world.K))]
        match = None
        if world.layout.roles:
            every = ((name, i, matched(value, p, self.true_losses(p))) for name, value, i in [*candidates, *composed])
            match = next((found for found in every if found[2]), None)
            if match and match[0] != "cross-entropy":
                self.learn(formats)
        found, where = outputs.gradients(outcome, world)
        if len(found) < 3 or not any(array.any() for array in found.values()):
            return None
        if where == "updated" and looks_like_signs(found):
            return None
        if match and match[2]:
            name, i, known = match
            assert known is not None
            scale, variant, reduction, single = known
            way = Way(world, steps, formats, (name, i), scale, variant, reduction, where, found=len(found), single=single)
            expected = right(p.window(variant), scale)
            if where == "updated" and not rate_is_known(world, steps):
                ratios = sorted(norm_ratio(found, expected, role, slot.name) for role, slot in world.layout.roles)
                way.rate = ratios[len(ratios) // 2] or 1.0
                found = {key: array / way.rate for key, array in found.items()}
            way.right = agreeing(world, found, expected, EQUAL if not single else 1e-4)
            if way.right:
                self.learn(formats)
            return way
        if not candidates and (world.layout.roles or not composed):
            return None
        name, _, i = (candidates or composed)[0]
        way = Way(world, steps, formats, (name, i), None, Variant(), "another one than charrnn's", where, found=len(found))
        if world.layout.roles:
            self.belongs_elsewhere(way, found, p)
        return way

    def belongs_elsewhere(self, way: Way, found: dict[str, Array], p: Problem) -> None:
        """Whether gradients are those of the cross-entropy, though the loss is another one."""
        if id(p) not in self.rights:
            self.rights[id(p)] = {variant: right(p.window(variant)) for variant in VARIANTS}
        for variant, expected in self.rights[id(p)].items():
            for name, factor in reductions(1 if variant.last_only else len(p.x), p.x.shape[1]).items():
                ratios = [norm_ratio(found, expected, role, slot.name) for role, slot in way.world.layout.roles]
                if sum(abs(ratio / factor - 1) < 1e-6 for ratio in ratios) < 3:
                    continue
                agree = agreeing(way.world, found, {role: factor * array for role, array in expected.items()}, EQUAL)
                if agree >= 3:
                    way.entropy, way.variant = (agree, factor, name), variant
                    return

    def known_loss(self, world: World, p: Problem, outcome: Outcome) -> bool:
        """Whether one of the numbers that a run left is the loss that it should be."""
        return bool(world.layout.roles) and any(matched(value, p, self.true_losses(p)) for _, value in outputs.losses(outcome, world))

    def uniform(self, way: Way, p: Problem) -> bool:
        """Whether the loss is that of equal probabilities where all parameters are 0."""
        zero = replace(p, parameters={key: 0 * array for key, array in p.parameters.items()})
        try:
            loss = loss_of(way, zero)
        except (ValueError, Failed, IndexError, TypeError):
            return False
        T, B = p.x.shape
        for name, factor in reductions(T, B).items():
            for steps in (T, 1):
                if abs(loss - factor * B * steps * math.log(self.K)) < 1e-9 * abs(loss):
                    way.reduction = name
                    return True
        return False

    def learn(self, formats: Formats) -> None:
        """Remember formats in which a program's loss is right: other plans need not try others."""
        more = [Formats()] if formats.inputs == "indices (B, T)" else []  # lanes may be a list of sentences, where others take one
        for one in [*more, formats]:
            if one not in self.good:
                self.good.insert(0, one)

    def fits_own_loss(self, way: Way, p: Problem, outcome: Outcome) -> dict[str, bool]:
        """For each slot, whether the gradient fits a difference of the way's own loss along a random direction."""
        found, _ = outputs.gradients(outcome, way.world)
        rng = np.random.Generator(np.random.PCG64(1))
        agree = {}
        for name, key, array in entries(way.world, p):
            if name not in found:
                continue
            direction = rng.normal(size=array.shape)
            try:
                given = np.asarray(found[name], dtype=np.float64)
                if key in NAMES and way.world.layout.roles:
                    given = turn(way.world, key, given.reshape(way.world.layout.role_of[key].shape({"m": self.m, "K": self.K})))
                slope_given = float((given.reshape(array.shape) * direction).sum())
                ends = [loss_of(way, moved(p, key, array + h * direction)) for h in (1e-5, -1e-5)]
            except (ValueError, TypeError, Failed, IndexError, KeyError):
                continue
            slope_true = (ends[0] - ends[1]) / 2e-5
            agree[name] = abs(slope_given - slope_true) < 1e-4 * max(abs(slope_given), abs(slope_true), 1e-3)
        return agree

    def remember(self, failed: Failed, steps: tuple[Step, ...], fits: bool) -> tuple[int, int, str]:
        """Keep the error that came furthest in the program's own file; fits: whether the state is laid out as the biases are."""
        line, trace = 0, failed.error.__traceback__
        while trace is not None and self.file:
            line = trace.tb_lineno if trace.tb_frame.f_code.co_filename == self.file else line
            trace = trace.tb_next
        begun = (failed.step, fits, line - steps[failed.step].routine.first)
        if self.failure is None or begun > (self.failure.step, self.failure.fits, self.failure.line):
            words = f"{type(failed.error).__name__}: {failed.error}".splitlines()[0]
            if isinstance(failed.error, OutOfTime):
                words = "it runs longer than a second"
            where = f"line {line}: {linecache.getline(self.file, line).strip()}: {words}" if line else words
            self.failure = Failure(*begun, where, " + ".join(str(step.routine) for step in steps))
        self.failures.add((line, str(failed.error)[:60]))
        return failed.step, line, str(failed.error)[:60]
