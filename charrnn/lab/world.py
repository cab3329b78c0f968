"""A program as the check sees it: where its parameters are, which of its routines are called with what, and what a run leaves."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from charrnn.lab import names
from charrnn.lab.formats import state_format
from charrnn.lab.routines import Routine
from charrnn.lab.slots import Layout, Path, Slot, arrays_in, has_parts, infer_sizes, is_state, symbolic
from charrnn.lab.window import Array, Problem

Source = tuple[Any, ...]  # ("params",), ("slot", role), ("inputs",), ("targets",), ("state",), ("size", s), ("made", step, place), ...


@dataclass(frozen=True)
class Step:
    """One call. sources: what each argument is given. renewed: whether the state is put back to h_0 before it."""

    routine: Routine
    sources: tuple[tuple[str, Source], ...]
    renewed: bool = False

    @property
    def uses(self) -> set[str]:
        """Of inputs, targets and state, those that it is given."""
        used = {source[1] if source[0] == "listed" else source[0] for _, source in self.sources}
        more = {"targets"} if used & {"dlogits", "dhidden"} else {"inputs", "targets"} if used & {"pair", "sequence"} else set()
        return used & {"inputs", "targets", "state", "cell"} | more


@dataclass(frozen=True)
class Formats:
    """How a plan wants its text and its state."""

    inputs: str = "indices (T,)"
    targets: str = "indices (T,)"
    state: str = "(m, 1)"


@dataclass
class World:
    """Where a program's parameters are: in an instance, a bundle that is passed, arguments, the module's names, or a living object.

    template: the instance or bundle, of which every run gets a copy. flat: the bundle is one vector. must: functions without
    which this world makes no sense.
    """

    kind: str
    label: str
    layout: Layout
    scope: dict[str, Any] = field(default_factory=dict, repr=False)
    template: Any = None
    flat: bool = False
    w_turned: bool | None = None
    m: int = 5
    K: int = 7
    copied: bool = True
    must: tuple[Any, ...] = ()
    guessed: bool = False  # nobody makes these parameters: their shapes are one guess of several

    def __post_init__(self) -> None:
        self.root = self.scope if self.kind == "globals" else self.template
        self.original = self.root
        changeable = self.kind != "instance" and self.kind != "live"
        self.kept = {k: v for k, v in self.scope.items() if not k.startswith("__") and _holds_numbers(v)} if changeable else {}
        self.kept = {key: copy.deepcopy(value) for key, value in self.kept.items() if not _is(value, self.template)}
        self.numbers: list[tuple[Path, str]] = []  # whole numbers that are sizes, and rates
        self.others: list[Slot] = []  # arrays that are no parameters, of other sizes than those of the check
        self.states: list[tuple[Path, str]] = []
        self.alphabet = alphabet_in(self.template, self.scope, self.K)
        if self.kind in ("instance", "globals", "live"):
            self.look_around()

    def look_around(self) -> None:
        """Find sizes, rates, states and further arrays next to the parameters."""
        root = self.root
        pairs = root.items() if isinstance(root, Mapping) else vars(root).items() if has_parts(root) else ()
        arrays = list(arrays_in(root)) if self.kind != "globals" else [(p, n, a) for p, n, a in arrays_in(dict(self.kept))]
        inferred = infer_sizes(arrays, self.m, self.K) or (self.m, self.K)
        kind = "item" if isinstance(root, Mapping) else "attr"
        for key, value in pairs:
            if isinstance(value, (int, np.integer)) and not isinstance(value, bool):
                size = {inferred[0]: "m", inferred[1]: "K"}.get(int(value)) if names.size(str(key)) else None
                size = size or names.size(str(key))
                if size:
                    self.numbers.append((((kind, key),), size))
            elif isinstance(value, float) and names.role(str(key)) == "rate":
                self.numbers.append((((kind, key),), "rate"))
            elif value is None and is_state(str(key)):
                self.states.append((((kind, key),), ""))
        taken = {slot.path for slot in self.layout.slots}
        for path, name, array in arrays:
            if path in taken:
                continue
            slot = Slot(path, name, symbolic(array.shape, *inferred))
            form = state_format(tuple({"m": self.m}.get(d, 3 if d not in ("1", "K") else 1) for d in slot.dims), self.m)
            if is_state(name) and form and "m" in slot.dims:
                self.states.append((path, form))
            elif inferred != (self.m, self.K) and {"m", "K"} & set(slot.dims):
                self.others.append(slot)


@dataclass
class Outcome:
    """What a run left: what each step returned, the world's root, and the arrays that were put into it."""

    returned: list[Any]
    steps: tuple[Step, ...]
    root: Any
    bundle: Any
    buffer: Any
    before: dict[str, Array]
    after: dict[str, Array]
    state_given: bool


def theirs(world: World, parameters: Mapping[str, Array], sizes: Mapping[str, int]) -> dict[str, Array]:
    """Parameters by the names of slots, as the program has them, from charrnn's by role, or by slot for another network."""
    if not world.layout.roles:
        return {slot.name: parameters[slot.name].reshape(slot.shape(sizes)).copy() for slot in world.layout.slots}
    return {slot.name: turn(world, role, parameters[role]).reshape(slot.shape(sizes)).copy() for role, slot in world.layout.roles}


def turn(world: World, role: str, array: Array) -> Array:
    """A matrix as the program has it, from charrnn's, or the other way round."""
    turned = world.w_turned if role == "W" and world.w_turned is not None else world.layout.turned(role)
    return array.T if turned and array.ndim == 2 else array


def _holds_numbers(value: Any) -> bool:
    if isinstance(value, (np.ndarray, int, float)) and not isinstance(value, bool):
        return not isinstance(value, np.ndarray) or value.size < 100_000
    if isinstance(value, dict):
        return len(value) < 100 and any(isinstance(item, np.ndarray) for item in value.values())
    if isinstance(value, list):
        return len(value) < 100 and any(isinstance(item, np.ndarray) for item in value)
    return False


def _is(a: Any, b: Any) -> bool:
    return a is b and a is not None


def alphabet_in(template: Any, scope: Mapping[str, Any], K: int) -> str:
    """The characters of a program in the order of their indices, if it keeps a dict from one to the other."""
    places = [*(vars(template).values() if has_parts(template) else ()), *scope.values()]
    for thing in places:
        if not (isinstance(thing, dict) and len(thing) == K):
            continue
        if all(isinstance(key, str) and len(key) == 1 for key in thing) and sorted(thing.values(), key=str) == sorted(range(K), key=str):
            return "".join(sorted(thing, key=lambda key: int(thing[key])))
    return ""


def chained(p: Problem) -> Problem:
    """A problem whose targets are the inputs, one step later: one sequence of T + 1 symbols says all."""
    return replace(p, y=np.concatenate([p.x[1:], p.y[-1:]]))
