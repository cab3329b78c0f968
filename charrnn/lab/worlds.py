"""Where a program's parameters may be, found by making its objects: instances of its classes, what its makers return, its globals."""

from __future__ import annotations

import ast
import inspect
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np

from charrnn.lab import names
from charrnn.lab.limits import OutOfTime, limited, quiet
from charrnn.lab.loading import StandIn, text_of
from charrnn.lab.routines import Routine, keys_read, node_of, unpacked
from charrnn.lab.slots import Layout, Slot, has_parts, layouts, symbolic
from charrnn.lab.window import NAMES, Array
from charrnn.lab.world import World

SECONDS = 0.5
VECTORS: dict[str, Callable[[int], tuple[int, ...]]] = {"column": lambda n: (n, 1), "vector": lambda n: (n,), "row": lambda n: (1, n)}
BARE = [(False, "column"), (False, "vector"), (True, "vector"), (True, "row"), (True, "column"), (False, "row")]


class Sizes:
    """The sizes of a check: m units, K symbols, T steps, B lanes."""

    def __init__(self, m: int, K: int, T: int, B: int = 3) -> None:
        self.m, self.K, self.T, self.B = m, K, T, B

    def __getitem__(self, name: str) -> int:
        return int(getattr(self, name))

    def mapping(self) -> dict[str, int]:
        return {"m": self.m, "K": self.K, "T": self.T, "B": self.B}


def given_to(parameter: inspect.Parameter, sizes: Sizes, bundles: Sequence[Any] = ()) -> list[Any]:
    """What a maker's argument may be given, likely first; [] for "leave it out"."""
    name, default = parameter.name, parameter.default
    optional = default is not parameter.empty
    text = text_of(sizes.K)
    size = names.size(name)
    annotated = str(parameter.annotation)
    if size and (not optional or isinstance(default, int)) and "str" not in annotated:
        return [sizes[size]]
    word = names.plain(name)
    if optional:
        return []
    if any(part in word for part in ("file", "path", "fname")):
        return ["input.txt"]
    if any(part in word for part in ("text", "corpus", "book", "string", "content")) or word in ("data", "txt"):
        return [text]
    if any(
        part in word
        for part in ("chartoix", "chartoind", "charto", "stoi", "toix", "c2i", "ch2ix", "char2", "wordto", "toindex", "tokentoid")
    ):
        return [{ch: i for i, ch in enumerate(sorted(set(text)))}]
    if any(part in word for part in ("ixto", "indto", "itos", "i2c", "idx2", "ix2", "index2")):
        return [dict(enumerate(sorted(set(text))))]
    if any(part in word for part in ("chars", "vocab", "alphabet", "symbols", "letters")):
        return [sorted(set(text)), sizes.K]
    if "rng" in word or "random" in word or word in ("rs", "gen", "generator"):
        return [np.random.default_rng(0)]
    if "seed" in word:
        return [0]
    if names.role(name) == "rate" or any(
        part in word for part in ("std", "sig", "scale", "eps", "decay", "reg", "clip", "momentum", "init", "var")
    ):
        return [0.1]
    if "sizes" in word or "layers" in word or "shape" in word or "dims" in word:
        return [(sizes.K, sizes.m, sizes.K), (sizes.m, sizes.K)]
    if "epoch" in word or "iter" in word:
        return [1]
    return [*bundles, sizes.K, sizes.m, 0.1]


def made(maker: Callable[..., Any], sizes: Sizes, most: int = 12) -> Iterator[Any]:
    """What a class or function makes from sizes, files, texts and the like."""
    try:
        parameters = [p for p in inspect.signature(maker).parameters.values() if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
    except (TypeError, ValueError):
        return
    options = [(p.name, given_to(p, sizes)) for p in parameters]
    options = [(name, values) for name, values in options if values]
    alike = [i for i, (name, values) in enumerate(options) if names.size(name) and values in ([sizes.K], [sizes.m])]
    if len(alike) > 1 and len({options[i][1][0] for i in alike}) == 1:  # n, d, ..: both sizes are meant by names that may be either
        options = [(name, [sizes.K, sizes.m] if i in alike else values) for i, (name, values) in enumerate(options)]
    if any(len(values) > 2 for _, values in options) and len(options) > 5:
        return
    for values in itertools.islice(itertools.product(*(values for _, values in options)), most):
        named = dict(zip((name for name, _ in options), values, strict=True))
        try:
            with quiet(), limited(SECONDS):
                thing = maker(**named)
        except (Exception, SystemExit, OutOfTime):
            continue
        yield thing


def instances(cls: type, sizes: Sizes) -> Iterator[Any]:
    """Instances of a class; without its constructor, if that fails, one that has what the methods read."""
    any_made = False
    for instance in made(cls, sizes):
        any_made = True
        yield instance
    if not any_made:
        yield from bare_instances(cls, sizes)


def bare_instances(cls: type, sizes: Sizes) -> Iterator[Any]:
    """Instances whose constructor was by-passed: attributes that the methods read, as far as their names say what they are."""
    tree = node_of(cls)
    if tree is None:
        return
    attributes = [key for key in keys_read(tree, "self") if not hasattr(cls, key)]
    for turned, bias in BARE:
        instance: Any = object.__new__(cls)
        for name in attributes:
            value = array_of(name, turned, bias, sizes) if names.canonical_name(name) and names.size(name) is None else None
            if value is None and (size := names.size(name)):
                value = sizes[size]
            if value is not None:
                object.__setattr__(instance, name, value)
        yield instance


def array_of(name: str, turned: bool, bias: str, sizes: Sizes) -> Any:
    """Zeros in the shape of the parameter that has this name."""
    role = names.canonical_name(name)
    m, K = sizes.m, sizes.K
    if role in ("b", "c"):
        return np.zeros(VECTORS[bias](m if role == "b" else K))
    shape = {"U": (m, K), "W": (m, m), "V": (K, m)}[role or "W"]
    return np.zeros(shape[::-1] if turned else shape)


# ---- worlds --------------------------------------------------------------------------------------------------------------


def with_choices(kind: str, label: str, found: Sequence[Layout], sizes: Sizes, **rest: Any) -> Iterator[World]:
    """Worlds for each layout, and for both orientations of W."""
    for layout in found:
        yield World(kind, label, layout, m=sizes.m, K=sizes.K, **rest)
    for layout in found[:1]:
        if layout.roles:
            yield World(kind, label, layout, m=sizes.m, K=sizes.K, w_turned=not layout.turned("W"), **rest)


def of_instance(instance: Any, label: str, sizes: Sizes, scope: dict[str, Any] | None = None) -> Iterator[World]:
    """An object whose attributes, or dicts in them, hold the parameters."""
    yield from with_choices("instance", label, layouts(instance, sizes.m, sizes.K), sizes, template=instance, scope=scope or {})


def of_scope(scope: dict[str, Any], sizes: Sizes) -> Iterator[World]:
    """The names of a module."""
    data = {
        key: value
        for key, value in scope.items()
        if not key.startswith("__") and not inspect.isroutine(value) and not isinstance(value, (type, StandIn))
    }
    yield from with_choices("globals", "the names of the module", layouts(data, sizes.m, sizes.K), sizes, scope=scope)


def bundles_of(scope: Mapping[str, Any], functions: Sequence[Routine], sizes: Sizes) -> list[tuple[str, Any]]:
    """Objects of a file that hold parameters: instances, what makers return, globals."""
    found: list[tuple[str, Any]] = []
    for name, thing in scope.items():
        if name.startswith("__") or isinstance(thing, StandIn):
            continue
        if isinstance(thing, (dict, list, tuple)) or has_parts(thing):
            found.append((name, thing))
    for name, thing in scope.items():
        if inspect.isclass(thing) and thing.__module__ == scope.get("__name__"):
            found += [(name, instance) for instance in itertools.islice(made(thing, sizes), 3)]
    for routine in functions:
        required = [a for a in routine.arguments if not a.optional]
        text = any(names.role(a.name) in ("inputs", "targets", "state", "params") and not names.size(a.name) for a in required)
        if not text and len(required) <= 6 and not {"numeric", "loss", "backward", "forward"} & set(routine.kinds[:1]):
            for thing in itertools.islice(made(routine.function, sizes), 3):
                found.append((f"{routine.name}()", thing))
                if isinstance(thing, tuple) and not hasattr(thing, "_fields"):
                    found += [(f"{routine.name}()", part) for part in thing if isinstance(part, (dict, list)) or has_parts(part)]
    unique: dict[int, tuple[str, Any]] = {}
    for label, thing in found:
        if not isinstance(thing, StandIn) and layouts(thing, sizes.m, sizes.K):
            unique.setdefault(id(thing), (label, thing))
    return list(unique.values())


def of_bundles(found: Sequence[tuple[str, Any]], sizes: Sizes, scope: dict[str, Any]) -> Iterator[World]:
    """Objects that are passed as an argument."""
    for label, thing in found:
        yield from with_choices("bundle", label, layouts(thing, sizes.m, sizes.K), sizes, template=thing, scope=scope)


def from_keys(routine: Routine, tree: ast.AST | None, sizes: Sizes, scope: dict[str, Any]) -> Iterator[World]:
    """Bundles that a routine reads and nobody makes: dicts and objects with its keys, tuples in its order, vectors."""
    holder = next((a.name for a in routine.arguments if names.role(a.name) == "params"), None)
    holder = holder or (routine.arguments[0].name if routine.arguments else None)
    if holder is None:
        return
    own = node_of(routine.function)
    if own is None:
        own = (
            next((n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef) and n.name == routine.name), None)
            if tree is not None
            else None
        )
    trees = [t for t in (own, tree) if t is not None]
    keys = next((keys for t in trees for keys in (useful(keys_read(t, holder)), useful(keys_read(t))) if len(keys) >= 3), [])
    order = next((found for t in trees for found in (unpacked(t, holder),) if found), [])
    attributes = any(
        isinstance(n, ast.Attribute) and isinstance(n.value, ast.Name) and n.value.id == holder and n.attr in keys
        for t in trees
        for n in ast.walk(t)
    )
    sliced = any(
        isinstance(n, ast.Subscript) and isinstance(n.value, ast.Name) and n.value.id == holder and isinstance(n.slice, ast.Slice)
        for t in trees
        for n in ast.walk(t)
    )
    if not keys and not order and sliced:
        yield from vectors(sizes, scope)
    for turned, bias in BARE if not sliced else ():
        if keys:
            arrays = {key: array_of(key, turned, bias, sizes) for key in keys}
            thing: Any = SimpleNamespace(**arrays) if attributes else arrays
            yield from with_choices("bundle", "", layouts(thing, sizes.m, sizes.K), sizes, template=thing, scope=scope)
        for listed in [order] if order else ([] if keys else GUESSES):
            for chosen in assignments(listed)[:12]:
                yield from tuple_worlds(listed, chosen, turned, bias, sizes, scope)
    if not keys and not order and not sliced:
        yield from vectors(sizes, scope)


GUESSES = [list(order) for order in ("UWVbc", "WUVbc", "UWbVc", "WUbVc", "bcUWV", "UVWbc", "UWV", "UVW")]


ORDERS = ("UWVbc", "WUbVc", "UWbVc", "WUVbc", "bcUWV")


def vectors(sizes: Sizes, scope: dict[str, Any]) -> Iterator[World]:
    """All parameters in one vector."""
    for turned in (False, True):
        for roles in [*ORDERS, *("".join(order) for order in itertools.permutations("UWVbc") if "".join(order) not in ORDERS)]:
            yield World("bundle", "one vector", bare_layout(roles, turned, "vector"), scope, None, True, m=sizes.m, K=sizes.K)


def tuple_worlds(
    own: Sequence[str], roles: Mapping[str, str], turned: bool, bias: str, sizes: Sizes, scope: dict[str, Any]
) -> Iterator[World]:
    """All parameters in a tuple, in the order of their names."""
    template = tuple(shaped(roles[name], turned, bias, sizes) if name in roles else np.zeros(0) for name in own)
    pairs = [
        (roles[name], Slot((("item", i),), name, symbolic(template[i].shape, sizes.m, sizes.K)))
        for i, name in enumerate(own)
        if name in roles
    ]
    yield from with_choices("bundle", "", [Layout(tuple(slot for _, slot in pairs), tuple(pairs))], sizes, template=template, scope=scope)


def assignments(own: Sequence[str]) -> list[dict[str, str]]:
    """Which of some names may be U, W, V, b and c: by name where the names say it, else every choice, likely ones first."""
    called = [names.canonical_name(name) for name in own]
    if {"U", "W"} <= set(called) and len(set(called)) == len(called):
        return [{name: role for name, role in zip(own, called, strict=True) if role}]
    biases = [name for name in own if names.plain(name)[:1] == "b" or "bias" in names.plain(name)]
    matrices = [name for name in own if name not in biases]
    if len(matrices) not in (2, 3) or len(biases) > len(matrices) - 1:
        return []
    found: list[tuple[int, int, dict[str, str]]] = []
    for roles in itertools.permutations("UWV" if len(matrices) == 3 else "UW"):
        for vectors in itertools.permutations("bc" if len(matrices) == 3 else "b", len(biases)):
            chosen = dict(zip(matrices, roles, strict=True)) | dict(zip(biases, vectors, strict=True))
            found.append((-sum(names.canonical_name(name) == role for name, role in chosen.items()), len(found), chosen))
    return [chosen for _, _, chosen in sorted(found, key=lambda item: item[:2])]


def shaped(role: str, turned: bool, bias: str, sizes: Sizes) -> Array:
    """Zeros in the shape of U, W, V, b or c."""
    return array_of(role, turned, bias, sizes)  # type: ignore[no-any-return]


def bare_layout(roles: str, turned: bool, bias: str) -> Layout:
    """A layout of U, W, V, b and c without places."""
    dims = {"U": ("m", "K"), "W": ("m", "m"), "V": ("K", "m")}
    slots = []
    for role in roles:
        d = "m" if role == "b" else "K"
        shape = {"column": (d, "1"), "vector": (d,), "row": ("1", d)}[bias] if role in "bc" else dims[role][::-1] if turned else dims[role]
        slots.append((role, Slot((("item", role),), role, shape)))
    return Layout(tuple(slot for _, slot in slots), tuple(slots))


def of_arguments(routine: Routine, sizes: Sizes, scope: dict[str, Any], templates: Sequence[tuple[str, Any]]) -> Iterator[World]:
    """A routine with one argument for each parameter."""
    own = [a.name for a in routine.arguments if names.canonical_name(a.name) and len(a.name) < 16]
    own = [name for name in own if names.plain(name) in names.CANONICAL or len(own) <= 5]
    for chosen in assignments(own)[:12]:
        by_role = {role: name for name, role in chosen.items()}
        for turned, bias in BARE:
            bare = bare_layout("".join(role for role in NAMES if role in by_role), turned, bias)
            pairs = tuple((role, Slot((("item", by_role[role]),), by_role[role], slot.dims)) for role, slot in bare.roles)
            for flipped in (None, not turned):
                yield World(
                    "arguments", "arguments", Layout(tuple(s for _, s in pairs), pairs), scope, None, False, flipped, sizes.m, sizes.K
                )


def useful(keys: Sequence[str]) -> list[str]:
    """Keys that are called as parameters are, one for each, gradients left out."""
    chosen: dict[str, str] = {}
    for key in keys:
        role = names.canonical_name(key)
        if role and not any(names.is_gradient_of(key, other) == 3 for other in keys) and names.plain(key) in names.CANONICAL:
            chosen.setdefault(role, key)
    return list(chosen.values()) if {"U", "W"} <= set(chosen) else []
