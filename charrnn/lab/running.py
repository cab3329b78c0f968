"""Runs of a plan on a problem, each from the same beginning."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from charrnn.lab.formats import ALL_STATES, ALL_TEXTS, STRING
from charrnn.lab.limits import limited
from charrnn.lab.outputs import error_of, error_of_states
from charrnn.lab.routines import Routine
from charrnn.lab.slots import Slot
from charrnn.lab.window import Array, Problem
from charrnn.lab.world import Formats, Outcome, Source, Step, World, theirs

SECONDS = 1.0  # for one call
RATE = 1.0  # of updates in place: before - after is then the gradient itself


class Failed(Exception):
    """A call failed: at which step, and why."""

    def __init__(self, step: int, error: BaseException, outcome: Outcome) -> None:
        super().__init__(str(error))
        self.step, self.error, self.outcome = step, error, outcome


def run(world: World, steps: tuple[Step, ...], formats: Formats, p: Problem, last: int | None = None, seconds: float = SECONDS) -> Outcome:
    """Call the steps of a plan on a problem, each run from the same beginning; `Failed` if one of them fails."""
    T, B = p.x.shape
    sizes = {"m": world.m, "K": world.K, "T": T, "B": B}
    arrays = theirs(world, p.parameters, sizes)
    root, bundle = fresh(world), None
    outcome = Outcome([], steps, root, None, None, arrays, {}, False)
    by_slot = {slot.name: slot for slot in world.layout.slots}
    if world.kind in ("instance", "globals", "live"):
        for path, size in world.numbers:
            Slot(path, "", ()).put(root, RATE if size == "rate" else sizes[size])
        for slot in world.others:
            slot.put(root, np.zeros(slot.shape(sizes)))
        for name, array in arrays.items():
            by_slot[name].put(root, array.copy())
        uses_state = any("state" in step.uses for step in steps)
        if not uses_state:
            put_states(world, root, formats, p)
            outcome.state_given = bool(world.states)
    elif world.kind == "bundle":
        bundle = bundled(world, arrays)
        outcome.bundle = bundle
    context = {
        "params": root if world.kind == "instance" else bundle,
        "inputs": text(formats.inputs, p.x, world),
        "targets": text(formats.targets, p.y, world),
        "state": ALL_STATES[formats.state](p.state),
        "cell": ALL_STATES[formats.state](0.5 * p.state[::-1]),
        "rate": RATE,
        "mask": np.ones((B, T) if "(B, T" in formats.targets else (T, B) if "B" in formats.targets else (T,)),
    }
    if any(source[0] == "sequence" for step in steps for _, source in step.sources):
        context["sequence"] = text(formats.inputs, np.concatenate([p.x, p.y[-1:]]), world)
    if world.kind == "arguments":
        context |= {f"slot {role}": arrays[slot.name].copy() for role, slot in world.layout.roles}
    for i, step in enumerate(steps[:last]):
        if step.renewed:
            put_states(world, root, formats, p)
        try:
            with limited(seconds):
                given: list[Any] = []
                named: dict[str, Any] = {}
                for argument, (name, source) in zip(step.routine.arguments, _padded(step), strict=True):
                    if source == ("default",):
                        continue
                    value = resolve(source, context, outcome, sizes, arrays, world, p)
                    if argument.keyword or len(given) < step.routine.arguments.index(argument):
                        named[name] = value
                    else:
                        given.append(value)
                function = step.routine.function
                if step.routine.owner and world.kind in ("instance", "live") and not _is_static(root, step.routine):
                    outcome.returned.append(function(root, *given, **named))
                else:
                    outcome.returned.append(function(*given, **named))
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt):
                raise
            raise Failed(i, error, outcome) from error
    outcome.after = afterwards(world, outcome, context)
    return outcome


def text(form: str, ids: Array, world: World) -> Any:
    """Ids (T, B) as the program wants them."""
    if form == STRING:
        return "".join(world.alphabet[i] for i in ids[:, 0])
    return ALL_TEXTS[form](ids, world.K)


def put_states(world: World, root: Any, formats: Formats, p: Problem) -> None:
    """Put h_0 where the program keeps its state."""
    for path, form in world.states:
        Slot(path, "", ()).put(root, ALL_STATES[form if form and ("B" in form) == ("B" in formats.state) else formats.state](p.state))


def _padded(step: Step) -> Iterator[tuple[str, Source]]:
    sources = dict(step.sources)
    return ((argument.name, sources[argument.name]) for argument in step.routine.arguments)


def resolve(
    source: Source,
    context: Mapping[str, Any],
    outcome: Outcome,
    sizes: Mapping[str, int],
    arrays: Mapping[str, Array],
    world: World,
    p: Problem,
) -> Any:
    """The value of an argument."""
    match source:
        case ("slot", role):
            return context[f"slot {role}"]
        case ("size", size):
            return sizes[size]
        case ("made", step, None):
            return outcome.returned[step]
        case ("made", step, place):
            return outcome.returned[step][place]
        case ("constant", value):
            return value
        case ("pair",):
            return context["inputs"], context["targets"]
        case ("listed", name):
            return [context[name]]
        case ("grads",):
            outcome.buffer = emptied(context["params"] if context["params"] is not None else dict(arrays), world)
            return outcome.buffer
        case ("dhidden",):
            return error_of_states(outcome.returned, outcome.root, p, world.m)
        case ("dlogits",):
            return error_of(outcome.returned, outcome.root, p, world.K)
        case (name,):
            return context[name]
    raise AssertionError(source)


def fresh(world: World) -> Any:
    """The root of a run: a copy of the template, or the module's names as they were."""
    for key, value in world.kept.items():
        world.scope[key] = copy.deepcopy(value) if not isinstance(value, (int, float, str)) else value
    if world.kind == "instance":
        return copy.deepcopy(world.template) if world.copied else world.template
    return world.root


def bundled(world: World, arrays: Mapping[str, Array]) -> Any:
    """The parameters as one object: a copy of the template with these arrays in their places, or one vector."""
    if world.flat:
        return np.concatenate([arrays[slot.name].ravel() for slot in world.layout.slots])
    kind = type(world.template)
    if isinstance(world.template, tuple):
        items = list(copy.deepcopy(world.template))
        for slot in world.layout.slots:
            slot.put(items, arrays[slot.name].copy())
        return kind(*items) if hasattr(kind, "_fields") else tuple(items)
    bundle = copy.deepcopy(world.template)
    for slot in world.layout.slots:
        slot.put(bundle, arrays[slot.name].copy())
    if hasattr(bundle, "__dict__") and not isinstance(bundle, Mapping):
        inner = World("instance", "", world.layout, template=bundle, m=world.m, K=world.K)
        for path, size in inner.numbers:
            if size in "mK":
                Slot(path, "", ()).put(bundle, {"m": world.m, "K": world.K}[size])
    return bundle


def emptied(bundle: Any, world: World) -> Any:
    """A buffer for gradients, shaped like the parameters: zeros."""
    other = copy.deepcopy(bundle)
    if isinstance(other, dict):
        return {key: np.zeros_like(value) if isinstance(value, np.ndarray) else value for key, value in other.items()}
    for slot in world.layout.slots:
        slot.put(other, np.zeros_like(slot.get(other)))
    return other


def afterwards(world: World, outcome: Outcome, context: Mapping[str, Any]) -> dict[str, Array]:
    """What is in the places of the parameters after a run."""
    after = {}
    for slot in world.layout.slots:
        try:
            if world.kind == "arguments":
                role = next(role for role, other in world.layout.roles if other is slot)
                after[slot.name] = np.asarray(context[f"slot {role}"])
            elif not world.flat:
                after[slot.name] = np.asarray(slot.get(outcome.bundle if world.kind == "bundle" else outcome.root))
        except (KeyError, AttributeError, IndexError, TypeError):
            continue
    return after


def _is_static(root: Any, routine: Routine) -> bool:
    return isinstance(vars(type(root)).get(routine.name), staticmethod)
