"""Where a program keeps its parameters, and which of them is which: by shape first, and by name where shapes leave a choice.

A slot is a place for one array: an attribute, a key of a dict, a name of the module, an argument. Its shape is known in the sizes
m and K, whatever they were when the program made it.
"""

from __future__ import annotations

import inspect
import itertools
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from types import ModuleType
from typing import Any

import numpy as np

from charrnn.lab import names
from charrnn.lab.window import NAMES, Array

Path = tuple[tuple[str, Any], ...]  # ("attr", name) or ("item", key), one after the other
MOMENTS = ("grad", "g", "d", "m", "v", "gradient", "mem", "dvalue", "dw", "velocity", "cache", "momentum")
HOLDERS = ("value", "w", "data", "v", "val", "weight", "weights", "W")


@dataclass(frozen=True)
class Slot:
    """A place for an array below a root object; dims are "m", "K", "1" or other numbers as text."""

    path: Path
    name: str
    dims: tuple[str, ...]

    def shape(self, sizes: Mapping[str, int]) -> tuple[int, ...]:
        return tuple(extent(dim, sizes) for dim in self.dims)

    def put(self, root: Any, array: Any) -> None:
        """Put an array or a number into its place."""
        for kind, key in self.path[:-1]:
            root = getattr(root, key) if kind == "attr" else root[key]
        kind, key = self.path[-1]
        if kind == "attr":
            object.__setattr__(root, key, array)
        else:
            root[key] = array

    def get(self, root: Any) -> Any:
        """What is in its place."""
        for kind, key in self.path:
            root = getattr(root, key) if kind == "attr" else root[key]
        return root


def extent(dim: str, sizes: Mapping[str, int]) -> int:
    """A dimension in numbers: of "m", "K", "m+K", "4m" and so on.

    >>> extent("4m", {"m": 5}), extent("m+K", {"m": 5, "K": 7})
    (20, 12)
    """
    if "+" in dim:
        return sum(extent(part, sizes) for part in dim.split("+"))
    return int(dim[:-1] or 1) * sizes[dim[-1]] if dim[-1] in sizes else int(dim)


def has_parts(thing: Any) -> bool:
    """Whether a thing is an object with attributes of its own: no function, class or module."""
    return hasattr(thing, "__dict__") and not isinstance(thing, (type, ModuleType)) and not inspect.isroutine(thing)


def one_parameter(thing: Any) -> bool:
    """Whether an object is a parameter with its gradient, .value and .grad, say: it holds no second parameter."""
    own = [key for key, value in vars(thing).items() if isinstance(value, np.ndarray)] if has_parts(thing) else []
    values = [key for key in own if key in HOLDERS and not (key in MOMENTS and len(own) > 2)]
    rest = [key for key in own if key not in values and key not in MOMENTS]
    return len(values) == 1 and not any(not names.is_copy_of(key, values[0]) for key in rest)


def arrays_in(root: Any, depth: int = 2) -> Iterator[tuple[Path, str, Array]]:
    """The arrays of floats in an object: its attributes, items, and those one level down."""
    if isinstance(root, Mapping):
        parts: list[tuple[str, Any, Any]] = [("item", key, value) for key, value in root.items()]
    elif isinstance(root, (list, tuple)):
        parts = [("item", i, value) for i, value in enumerate(root[:20])]
        if hasattr(root, "_fields"):
            parts = [("item", i, value) for i, value in enumerate(root)]
    elif has_parts(root):
        parts = [("attr", key, value) for key, value in vars(root).items()]
    else:
        return
    labels = getattr(root, "_fields", None)
    for kind, key, value in parts:
        label = labels[key] if labels and isinstance(key, int) else str(key)
        if isinstance(value, np.ndarray):
            if value.dtype.kind in "fi" and value.ndim and value.size:
                yield ((kind, key),), label, value
        elif depth > 1 and not (isinstance(value, (list, tuple)) and len(value) > 12):
            for path, name, array in arrays_in(value, depth - 1):
                single = not isinstance(value, (Mapping, list, tuple)) and name in HOLDERS and one_parameter(value)
                listed = isinstance(value, (list, tuple)) and not hasattr(value, "_fields")
                yield ((kind, key), *path), f"{label}[{name}]" if listed else label if single else name, array


def symbolic(shape: tuple[int, ...], m: int, K: int) -> tuple[str, ...]:
    """A shape in terms of m and K.

    >>> symbolic((20, 12), 5, 7), symbolic((5, 1), 5, 7)
    (('4m', 'm+K'), ('m', '1'))
    """

    def word(n: int) -> str:
        known = {m: "m", K: "K", 1: "1", m + K: "m+K", **{k * m: f"{k}m" for k in (4, 3, 2)}}
        return {**known, m + K: "m+K", m: "m", K: "K"}.get(n, str(n))

    return tuple(word(n) for n in shape)


@dataclass(frozen=True)
class Layout:
    """The slots of a program's parameters. roles: U, W, V, b, c by slot for a vanilla network, empty for another one."""

    slots: tuple[Slot, ...]
    roles: tuple[tuple[str, Slot], ...] = ()

    @property
    def role_of(self) -> dict[str, Slot]:
        return dict(self.roles)

    def turned(self, role: str) -> bool:
        """Whether its array is the transpose of charrnn's."""
        return self.role_of[role].dims == {"U": ("K", "m"), "V": ("m", "K")}.get(role) or (role == "W" and self.rows)

    @property
    def rows(self) -> bool:
        """Whether vectors are rows, h @ W: U tells, for W is square."""
        return self.role_of["U"].dims == ("K", "m")


def infer_sizes(arrays: list[tuple[Path, str, Array]], m: int, K: int) -> tuple[int, int] | None:
    """The m and K with which arrays were made: those of the check, or others that fit all of them; None without a square one."""
    shapes = Counter(array.shape for _, _, array in arrays if array.ndim == 2)
    squares = [shape[0] for shape in shapes if shape[0] == shape[1] and shape[0] > 1]
    dims = {n for shape in shapes for n in shape}
    if m in dims and K in dims:
        return m, K
    for n in squares:
        others = Counter(k for shape in shapes for a, k in (shape, shape[::-1]) if a == n and k not in (n, 1))
        if others:
            return n, others.most_common(1)[0][0]
    return None


def layouts(root: Any, m: int, K: int, only: set[str] | None = None) -> list[Layout]:
    """The ways to read an object's arrays as parameters, likely ones first; none if it has no parameters.

    only: names that may be parameters, where a program says so.
    """
    arrays = [(path, name, array) for path, name, array in arrays_in(root) if only is None or name in only]
    inferred = infer_sizes(arrays, m, K)
    if not inferred:
        return []
    m0, K0 = inferred
    slots = [Slot(path, name, symbolic(array.shape, m0, K0)) for path, name, array in arrays]
    slots = [slot for slot in slots if slot.dims and len(slot.dims) <= 2 and any(dim[-1] in "mK" for dim in slot.dims)]
    slots = distinct(without_copies(slots))
    squares = [s for s in slots if s.dims == ("m", "m")]
    mixed = [s for s in slots if s.dims in (("m", "K"), ("K", "m"))]
    hidden = [s for s in slots if s.dims in (("m",), ("m", "1"), ("1", "m")) and not is_state(s.name)]
    outputs = [s for s in slots if s.dims in (("K",), ("K", "1"), ("1", "K"))]
    if len(squares) >= 1 and len(mixed) >= 2 and not any("+" in d or d[:-1].isdigit() for s in slots for d in s.dims if d[-1] in "mK"):
        found = list(vanilla(squares, mixed, hidden, outputs))
        if found:
            return found
    odd = [s for s in slots if len(s.dims) == 2 and any(d.isdigit() and d != "1" for d in s.dims)]
    if (
        len(squares) >= 2 or (squares and odd) or any("+" in d or (d[0].isdigit() and d[-1] == "m") for s in slots for d in s.dims)
    ) and mixed:
        rest = [s for s in slots if not is_state(s.name) and not (names.plain(s.name) in ("c", "h", "s") and s.dims[0] != "K")]
        return [Layout(tuple(rest))]
    return []


def distinct(slots: list[Slot]) -> list[Slot]:
    """With the names of their holders before names that occur twice: cell.b and head.b."""
    count = Counter(slot.name for slot in slots)
    return [replace(s, name=f"{s.path[-2][1]}.{s.name}") if count[s.name] > 1 and len(s.path) > 1 else s for s in slots]


def vanilla(squares: list[Slot], mixed: list[Slot], hidden: list[Slot], outputs: list[Slot]) -> Iterator[Layout]:
    """Choices of W, U, V, b and c, by names where there are several."""
    if len(squares) > 2 or len(mixed) > 3 or len(hidden) > 3:
        return
    if len(squares) > 1 and len({s.path[:-1] for s in squares}) == 1 and not any(names.canonical_name(s.name) == "W" for s in squares):
        return
    order = {name: i for i, name in enumerate(NAMES)}
    ranked: list[tuple[int, Layout]] = []
    for W in squares:
        for U, V in itertools.permutations(mixed, 2):
            pairs = [*((b, c) for b in hidden for c in outputs), *(((b, None) for b in hidden) if not outputs else ())]
            pairs += [(None, c) for c in outputs] if not hidden else []
            for b, c in pairs or [(None, None)]:
                chosen = {"U": U, "W": W, "V": V, "b": b, "c": c}
                roles = tuple((role, slot) for role, slot in chosen.items() if slot is not None)
                good = sum(
                    (names.canonical_name(slot.name.rpartition(".")[2]) == role) * (2 if role in "UV" else 1) for role, slot in roles
                )
                bad = sum(names.canonical_name(slot.name.rpartition(".")[2]) not in (role, None) for role, slot in roles)
                consistent = U.dims != V.dims
                same_place = len({slot.path[:-1] for _, slot in roles}) == 1
                score = 4 * good - 2 * bad + 2 * consistent + 3 * same_place + (mixed.index(U) < mixed.index(V))
                ranked.append((-score, Layout(tuple(slot for _, slot in sorted(roles, key=lambda r: order[r[0]])), roles)))
    ranked.sort(key=lambda pair: pair[0])
    yield from (layout for _, layout in ranked[:4])


def is_state(name: str) -> bool:
    """Whether a name is that of a state, not of a bias."""
    return names.role(name) in ("state", "cell") and names.canonical_name(name) is None


def without_copies(slots: list[Slot]) -> list[Slot]:
    """Without gradients and memories that stand beside the parameters that they belong to."""
    by_place: dict[Path, list[Slot]] = {}
    for slot in slots:
        by_place.setdefault(slot.path[:-1], []).append(slot)
    places = list(by_place)
    copies = {
        place
        for place in places
        if place
        and any(word in names.plain(place[-1][1]) for word in ("grad", "mem", "adagrad", "cache", "moment", "velocity", "delta", "buffer"))
    }
    kept = [slot for slot in slots if slot.path[:-1] not in copies or len(places) == len(copies)]
    every = [slot.name for slot in kept]
    return [
        slot
        for slot in kept
        if slot.path[-1][1] != "grad" and not any(names.is_copy_of(slot.name, other) and other != slot.name for other in every)
    ]
