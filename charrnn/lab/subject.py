"""What is checked, whatever its shape: something that has a loss and gradients at a problem, in charrnn's orientation."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from charrnn.lab import outputs
from charrnn.lab.conventions import Answer, Convention, read_answer
from charrnn.lab.names import role
from charrnn.lab.running import Failed, run
from charrnn.lab.trials import Trials, call, plain_call
from charrnn.lab.ways import Way, entries, problem_for, read_loss, reductions, sequence_only
from charrnn.lab.window import NAMES, VARIANTS, Array, Problem, Variant, problem, right
from charrnn.lab.world import Step, chained, turn


class Subject(ABC):
    """One function or program, and the way in which it is called.

    names: the parameters whose gradients it gives. B: lanes. takes_state: whether h_0 may be other than 0. scale: what its loss is times
    the summed cross-entropy of the variant; None if it is another loss. single: whether it computes in single precision.
    """

    names: tuple[str, ...]
    B: int
    takes_state: bool
    scale: float | None
    variant: Variant
    reduction: str
    single: bool
    remarks: list[str]
    vanilla: bool = True
    most: int = 24  # entries of one parameter that are differenced: four calls each, of functions that may take milliseconds
    entropy: tuple[float, str] | None = None  # if its gradients are those of a cross-entropy that is not its loss: the scale, and in words

    @abstractmethod
    def problem(self, T: int, seed: int, kind: str) -> Problem:
        """A problem for it."""

    @abstractmethod
    def answer(self, p: Problem) -> Answer:
        """Its loss and gradients."""

    @abstractmethod
    def loss(self, p: Problem) -> float:
        """Its loss."""

    @abstractmethod
    def hers(self, name: str, array: Array) -> Array:
        """One of charrnn's arrays in the author's orientation."""

    @abstractmethod
    def called(self, name: str) -> str:
        """What its author calls a parameter."""

    @abstractmethod
    def numeric(self, function: Callable[..., Any], p: Problem) -> Any:
        """What the author's numerical gradient returns at a problem."""

    @abstractmethod
    def read_numeric(self, returned: Any) -> dict[str, Array]:
        """Numerical gradients, by name, in charrnn's orientation."""

    @abstractmethod
    def ours(self, name: str, array: Array) -> Array:
        """The inverse of `hers`."""

    def writes(self, function: Callable[..., Any], p: Problem) -> bool:
        """Whether a numerical gradient writes to the parameters that it is given."""
        return True

    def arguments(self, p: Problem) -> tuple[Any, ...]:
        """The arguments at which numerical gradients are expected."""
        return ()


class FunctionSubject(Subject):
    """A function (parameters, inputs, targets, state) -> loss, gradients."""

    def __init__(self, function: Callable[..., Any], m: int, K: int, T: int, seed: int) -> None:
        self.function, self.m, self.K = function, m, K
        detected = Trials(function, m, K, T, seed).detect()
        self.convention: Convention = detected.convention
        self.names, self.B, self.takes_state = NAMES, self.convention.B, self.convention.takes_state
        self.scale, self.reduction, self.single, self.variant = detected.scale, detected.reduction, detected.single, detected.variant
        self.takes_state = self.takes_state and not self.variant.zero_state
        self.remarks = []
        if self.scale is None:
            self.most = 500  # nothing else tells whether an entry is right
            self.find_entropy(T, seed)

    def find_entropy(self, T: int, seed: int) -> None:
        """Whether its gradients are those of a cross-entropy, though its loss is another one."""
        p = self.problem(T, seed, "random")
        try:
            answer = self.answer(p)
        except (ValueError, TypeError):
            return
        for variant in VARIANTS:
            expected = right(p.window(variant))
            for name, factor in reductions(1 if variant.last_only else T, self.B).items():
                alike = [n for n in NAMES if answer.gradients[n].shape == expected[n].shape]
                if sum(np.allclose(answer.gradients[n], factor * expected[n], 1e-8, 1e-10) for n in alike) >= 3:
                    self.entropy, self.variant = (factor, name), variant
                    return

    def problem(self, T: int, seed: int, kind: str) -> Problem:
        p = problem(self.m, self.K, T, self.B, seed, kind)
        return p if self.takes_state else replace(p, state=0 * p.state)

    def arguments(self, p: Problem) -> tuple[Any, ...]:
        return self.convention.arguments(p)

    def answer(self, p: Problem) -> Answer:
        given = self.convention.arguments(p)
        answer = read_answer(call(self.function, given), self.convention, self.m, self.K)
        if not all(same(a, b) for a, b in zip(given, self.convention.arguments(p), strict=True)):
            words = "Your function changes the arrays that it is given; it should only read them, and leave updates to its caller."
            self.remarks += [words] if words not in self.remarks else []
        return answer

    def loss(self, p: Problem) -> float:
        return read_answer(plain_call(self.function, self.convention.arguments(p)), self.convention, self.m, self.K).loss

    def hers(self, name: str, array: Array) -> Array:
        return self.convention.hers(name, array)

    def ours(self, name: str, array: Array) -> Array:
        return self.convention.ours(name, array)

    def writes(self, function: Callable[..., Any], p: Problem) -> bool:
        given = self.convention.arguments(p)
        bundle = given[0].values() if isinstance(given[0], dict) else given[0] if isinstance(given[0], tuple) else given[:1]
        for array in bundle:
            array.flags.writeable = False
        try:
            call(function, given if needed(function) <= len(given) else (self.function, *given))
        except ValueError as error:
            return "read-only" in str(error)
        except Exception:
            return True
        return False

    def called(self, name: str) -> str:
        return dict(zip(NAMES, self.convention.names, strict=True))[name] if self.convention.container == "dict" else name

    def numeric(self, function: Callable[..., Any], p: Problem) -> Any:
        given = self.convention.arguments(p)
        return call(function, given if needed(function) <= len(given) else (self.function, *given))

    def read_numeric(self, returned: Any) -> dict[str, Array]:
        pair = isinstance(returned, tuple) and len(returned) == 2 and isinstance(returned[1], (dict, tuple, list))
        return read_answer(returned if pair else (0.0, returned), self.convention, self.m, self.K).gradients

    def __str__(self) -> str:
        return str(self.convention)


class ProgramSubject(Subject):
    """A file's or an object's routines, called in the way that was found."""

    few: int = 12  # as many as `most`, where charrnn's gradient says the rest, or a call takes long

    def __init__(self, way: Way) -> None:
        self.way, self.world = way, way.world
        self.m, self.K, self.B = way.world.m, way.world.K, way.B
        self.vanilla = bool(way.world.layout.roles)
        self.scale, self.variant, self.reduction, self.single = way.scale, way.variant, way.reduction, way.single
        stateful = any("state" in step.uses for step in way.steps) or bool(way.world.states)
        self.takes_state = stateful and not way.variant.zero_state
        if way.entropy[0] and way.scale is None:
            self.entropy = way.entropy[1], way.entropy[2]
        self.most = self.few if self.scale is not None or not self.vanilla else 500
        self.remarks = []
        p = self.problem(4, 0, "random")
        self.names = tuple(key for slot, key, _ in entries(self.world, p))
        found = self.gradients_of(run(self.world, way.steps, way.formats, p), p)[0]
        missing = [name for name in self.names if name not in found and (self.vanilla or not looks_like_state(name))]
        self.names = tuple(name for name in self.names if name in found)
        if missing:
            self.remarks.append(f"There is no gradient of {', '.join(self.called(name) for name in missing)}: not checked.")
        self.last = self.steps_to_the_loss(p)

    def steps_to_the_loss(self, p: Problem) -> int:
        """How many of the steps are needed for the loss alone."""
        whole = self.loss_after(p, len(self.way.steps))
        for last in range(1, len(self.way.steps)):
            try:
                if self.loss_after(p, last) == whole:
                    return last
            except (ValueError, Failed, IndexError):
                continue
        return len(self.way.steps)

    def loss_after(self, p: Problem, last: int) -> float:
        return read_loss(self.way, run(self.world, self.way.steps, self.way.formats, p, last), p)

    def problem(self, T: int, seed: int, kind: str) -> Problem:
        p = problem_for(self.world.layout, self.m, self.K, T, self.B, seed, kind)
        p = chained(p) if sequence_only(self.way.steps) else p
        return p if self.takes_state else replace(p, state=0 * p.state)

    def answer(self, p: Problem) -> Answer:
        outcome = run(self.world, self.way.steps, self.way.formats, p)
        gradients, remarks, single = self.gradients_of(outcome, p)
        return Answer(read_loss(self.way, outcome, p), gradients, remarks, single)

    def gradients_of(self, outcome: Any, p: Problem) -> tuple[dict[str, Array], dict[str, str], bool]:
        """Gradients in charrnn's orientation where their sizes allow it, remarks on odd shapes, and whether some are single."""
        found, _ = outputs.gradients(outcome, self.world, self.way.rate)
        gradients, remarks, single = {}, {}, False
        sizes = {"m": self.m, "K": self.K}
        slots = {slot.name: slot for slot in self.world.layout.slots}
        for slot, name, parameter in entries(self.world, p):
            if slot not in found:
                continue
            array, shape = np.asarray(found[slot]), slots[slot].shape(sizes)
            single = single or array.dtype == np.float32
            if array.shape != shape:
                remarks[name] = f"The gradient of {slot} has shape {array.shape}, {slot} has {shape}"
            if array.shape != shape and array.shape == shape[::-1]:
                array = array.T
            if array.size == 1 < np.prod(shape):
                array = np.broadcast_to(array.reshape(()), shape)
            fits = array.size == np.prod(shape)
            if fits:
                array = array.reshape(shape)
                array = turn(self.world, name, array) if self.vanilla else array
                array = array.reshape(parameter.shape)
            gradients[name] = np.array(array if fits else array.ravel(), np.float64)
        return gradients, remarks, single

    def loss(self, p: Problem) -> float:
        return self.loss_after(p, self.last)

    def hers(self, name: str, array: Array) -> Array:
        if not self.vanilla:
            return array
        slot = self.world.layout.role_of[name]
        return turn(self.world, name, array).reshape(slot.shape({"m": self.m, "K": self.K}))

    def ours(self, name: str, array: Array) -> Array:
        return turn(self.world, name, array) if self.vanilla else array

    def called(self, name: str) -> str:
        return self.world.layout.role_of[name].name if self.vanilla else name

    def drift(self, p: Problem) -> tuple[float, float] | None:
        """The losses of two calls without anything set back between them, if they differ."""
        if self.world.kind == "bundle" or not self.world.states or any("state" in step.uses for step in self.way.steps):
            return None
        twice = run(self.world, (*self.way.steps[: self.last], *self.way.steps[: self.last]), self.way.formats, p)
        first, second = (replace_returned(twice, part, self.last) for part in (0, 1))
        try:
            losses = read_loss(self.way, first, p), read_loss(self.way, second, p)
        except (ValueError, IndexError):
            return None
        return losses if abs(losses[0] - losses[1]) > 1e-9 * abs(losses[0]) else None

    def numeric(self, function: Callable[..., Any], p: Problem) -> Any:
        from charrnn.lab.numericcalls import outcome_of

        return outcome_of(self.way, function, p)

    def read_numeric(self, returned: Any) -> dict[str, Array]:
        p = self.problem(4, 0, "random")
        return self.gradients_of(returned, p)[0]

    def __str__(self) -> str:
        return described(self.way, self.takes_state, self.names)


def replace_returned(outcome: Any, part: int, length: int) -> Any:
    """One of two rounds of an outcome."""
    return replace(
        outcome, returned=outcome.returned[part * length : (part + 1) * length], steps=outcome.steps[part * length : (part + 1) * length]
    )


def described(way: Way, takes_state: bool, names: tuple[str, ...]) -> str:
    """A way to call a program, in words."""
    world, layout = way.world, way.world.layout
    called = "; then ".join(spelled(step) for step in way.steps)
    owner = next((step.routine.owner for step in way.steps if step.routine.owner), "")
    places = {
        "instance": f"in the attributes of {world.label or owner}",
        "globals": "in the names of the module",
        "arguments": "as arguments",
        "live": f"in what {world.label} returns",
        "bundle": "in one vector"
        if world.flat
        else f"in one argument{f', as made by {world.label}' if world.label.endswith('()') else ''}",
    }
    each = ", ".join(
        f"{role} = {slot.name} ({', '.join(slot.dims)}{',' if len(slot.dims) == 1 else ''})"
        if slot.name != role
        else f"{role} ({', '.join(slot.dims)})"
        for role, slot in layout.roles
    )
    if not layout.roles:
        each = ", ".join(f"{slot.name} ({', '.join(slot.dims)})" for slot in layout.slots)
    rows = layout.turned("W") if world.w_turned is None and layout.roles else world.w_turned
    product = ("; the recurrent product is h @ W (rows)" if rows else "; the recurrent product is W @ h (columns)") if layout.roles else ""
    where = {"returned": "returned", "kept": "left where they are kept", "updated": "seen in the update of the parameters"}[way.where]
    state = f"state: {way.formats.state}" if takes_state else "h_0 is fixed at 0, so that h_0 other than 0 could not be tried"
    loss = "; the loss is made from its probabilities or states" if way.loss[0] == "cross-entropy" else ""
    return (
        f"{called}; parameters {places[world.kind]}: {each}{product}; inputs: {way.formats.inputs}; "
        f"targets: {way.formats.targets}; {state}; gradients: {where}{loss}"
    )


def spelled(step: Step) -> str:
    """A call in words: f(X = inputs, Y = targets)."""
    said = []
    for name, source in step.sources:
        match source:
            case ("default",):
                continue
            case ("made", _, _):
                said.append(name)
            case ("size" | "slot" | "listed", what):
                said.append(f"{name} = {what}" if source[0] != "listed" else f"{name} = [{what}]")
            case ("pair",):
                said.append(f"{name} = (inputs, targets)")
            case ("rate",):
                said.append(f"{name} = 1")
            case ("dlogits",):
                said.append(f"{name} = p - y")
            case ("dhidden",):
                said.append(f"{name} = V^T (p - y)")
            case (what, *_):
                said.append(name if name == what else f"{name} = {what}")
    return f"{step.routine}({', '.join(said)})"


def looks_like_state(name: str) -> bool:
    """Whether a name that has no gradient may be that of a state."""
    return role(name) in ("state", "cell") or name in ("c", "h", "s")


def needed(function: Callable[..., Any]) -> int:
    """How many positional arguments a function has; 4 if it does not say."""
    import inspect

    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return 4
    return sum(p.default is p.empty and p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD) for p in parameters)


def same(a: Any, b: Any) -> bool:
    """Whether two arguments hold the same numbers."""
    if isinstance(a, dict):
        return all(key in a and same(a[key], value) for key, value in b.items())
    if isinstance(a, tuple):
        return all(same(x, y) for x, y in zip(a, b, strict=True))
    return np.array_equal(a, b)
