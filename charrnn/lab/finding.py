"""Finding, in a file or an object, what computes a loss and its gradients, and how it wants to be called."""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from charrnn.arguments import nearest
from charrnn.errors import SettingsError
from charrnn.lab import names, worlds
from charrnn.lab.limits import quiet
from charrnn.lab.loading import Program, StandIn, load
from charrnn.lab.routines import Calls, Routine, describe, methods_of, node_of, routines_of
from charrnn.lab.search import Search
from charrnn.lab.slots import arrays_in, infer_sizes, layouts
from charrnn.lab.ways import Way
from charrnn.lab.world import World
from charrnn.lab.worlds import Sizes

SECONDS = 3.0  # of searching


@dataclass
class Found:
    """A way to call a program, or why there is none; left_out: what of the file was not executed."""

    way: Way | None
    search: Search
    left_out: list[str]
    routines: list[Routine]
    program: Program | None = None


def find_in_file(path: Path, wanted: Sequence[str], m: int, K: int, T: int, seed: int, seconds: float = SECONDS) -> Found:
    """What computes a loss and gradients in a file; wanted: names that have to take part, as in FILE:NAME.NAME+NAME."""
    sizes = Sizes(m, K, T)
    program = load(path, sizes.mapping())
    more = renamed(program, sizes)
    if more:
        program = load(path, sizes.mapping(), more)
    functions, methods = routines_of(program.scope, program.tree)
    chosen = resolve(program, wanted, functions, methods)
    search = Search(m, K, T, seed, seconds, str(path))
    search.wanted = chosen.wanted
    for search.deep in (False, True):
        for world, routines in candidates(program, chosen.functions, chosen.methods, chosen.objects, sizes):
            if search.over() or search.through(world, routines):
                break
        if search.complete:
            break
    every = [*functions, *itertools.chain(*methods.values())]
    return Found(search.best, search, program.left_out, every, program)


def renamed(program: Program, sizes: Sizes) -> dict[str, str]:
    """Names of whole numbers that are m or K as the module's arrays say, though they are not called so."""
    data = {
        key: value
        for key, value in program.scope.items()
        if not key.startswith("__") and not inspect.isroutine(value) and not inspect.isclass(value)
    }
    inferred = infer_sizes(list(arrays_in(data)), sizes.m, sizes.K)
    if not inferred or inferred == (sizes.m, sizes.K):
        return {}
    numbers = {key: value for key, value in data.items() if isinstance(value, int) and not isinstance(value, bool) and value > 1}
    return {key: size for size, n in zip("mK", inferred, strict=True) for key, value in numbers.items() if value == n != sizes[size]}


@dataclass
class Chosen:
    """What names after the file's stand for."""

    functions: list[Routine]
    methods: dict[str, list[Routine]]
    objects: dict[str, Any]
    wanted: list[Callable[..., Any]]


def resolve(program: Program, wanted: Sequence[str], functions: list[Routine], methods: dict[str, list[Routine]]) -> Chosen:
    """The routines among which to look; `SettingsError` for names that the file does not have."""
    if not wanted:
        return Chosen(functions, methods, {}, [])
    chosen = Chosen([], {}, {}, [])
    for name in wanted:
        owner, _, method = name.partition(".")
        thing = program.scope.get(owner)
        if owner not in program.scope or (thing is None) or isinstance(thing, StandIn):
            known = [r.name for r in functions] + list(methods)
            raise SettingsError(
                f"{program.path} has no {owner!r}" + (nearest(owner, known) if known else "; it defines no function and no class")
            )
        if inspect.isclass(thing):
            chosen.methods[owner] = methods.get(owner) or list(methods_of(thing))
        elif inspect.isfunction(thing):
            routine = next((r for r in functions if r.function is thing), None) or describe(thing, node_of(thing), Calls.of(program.tree))
            if routine:
                chosen.wanted.append(thing)
        else:
            chosen.objects[owner] = thing
        if method:
            own = chosen.methods.get(owner) or list(methods_of(type(thing)))
            routine = next((r for r in own if r.name == method), None)
            if routine is None:
                raise SettingsError(f"{owner} has no method {method!r}{nearest(method, [r.name for r in own])}")
            chosen.wanted.append(routine.function)
    chosen.functions = functions
    if not chosen.methods and not chosen.objects:
        chosen.methods = {}
    return chosen


def candidates(
    program: Program, functions: list[Routine], methods: dict[str, list[Routine]], objects: dict[str, Any], sizes: Sizes
) -> Iterator[tuple[World, list[Routine]]]:
    """Worlds and what may be called in them, likely ones first."""
    scope = program.scope
    for name, thing in objects.items():
        for world in worlds.of_instance(thing, name, sizes, scope):
            yield world, [*methods_of(type(thing)), *functions]
    for name, own in sorted(methods.items(), key=lambda item: -sum("backward" in r.kinds for r in item[1])):
        if any(not r.name.startswith("__") for r in own):
            for instance in worlds.instances(scope[name], sizes):
                for world in worlds.of_instance(instance, name, sizes, scope):
                    yield world, [*own, *functions]
    free = [r for r in functions if not r.excluded]
    bundled = [r for r in free if takes_bundle(r)]
    if bundled and len(bundled) * 2 >= len([r for r in free if {"backward", "loss"} & set(r.kinds)]):
        yield from in_bundles(program, functions, sizes)
    else:
        for world in worlds.of_scope(scope, sizes):
            yield world, functions
    for routine in sorted(free, key=lambda r: ("step" in r.name or "cell" in r.name, -len(r.arguments))):
        for world in worlds.of_arguments(routine, sizes, scope, []):
            world.must, world.guessed = (routine.function,), True
            yield world, [routine, *(r for r in functions if r is not routine)]
    yield from of_makers(functions, sizes)
    for world in worlds.of_scope(scope, sizes):
        yield world, functions
    yield from in_bundles(program, functions, sizes)
    for routine in sorted(free, key=lambda r: -2 * takes_bundle(r) - bool({"backward", "loss"} & set(r.kinds))):
        for world in worlds.from_keys(routine, program.tree, sizes, scope):
            world.guessed = True
            yield world, [routine, *(r for r in functions if r is not routine)]


def takes_bundle(routine: Routine) -> bool:
    """Whether an argument is called as parameters are."""
    return any(names.role(a.name) == "params" for a in routine.arguments)


def in_bundles(program: Program, functions: list[Routine], sizes: Sizes) -> Iterator[tuple[World, list[Routine]]]:
    for world in worlds.of_bundles(worlds.bundles_of(program.scope, functions, sizes), sizes, program.scope):
        yield world, functions


def of_makers(functions: Sequence[Routine], sizes: Sizes) -> Iterator[tuple[World, list[Routine]]]:
    """Functions that return parameters together with a function that uses them."""
    for routine in functions:
        if {"numeric", "loss", "backward"} & set(routine.kinds[:1]):
            continue
        for thing in itertools.islice(worlds.made(routine.function, sizes), 2):
            parts = list(thing) if isinstance(thing, tuple) else list(thing.values()) if isinstance(thing, dict) else [thing]
            own = [found for part in parts if inspect.isfunction(part) and (found := describe(part, node_of(part), Calls()))]
            holders = [part for part in parts if not callable(part) and layouts(part, sizes.m, sizes.K)]
            holders += [
                cell.cell_contents for part in parts if inspect.isfunction(part) for cell in part.__closure__ or () if _filled(cell)
            ]
            for holder in holders:
                for world in worlds.with_choices("live", f"{routine.name}()", layouts(holder, sizes.m, sizes.K), sizes, template=holder):
                    yield world, own


def _filled(cell: Any) -> bool:
    try:
        return not callable(cell.cell_contents)
    except ValueError:
        return False


def find_in_object(thing: Any, m: int, K: int, T: int, seed: int, seconds: float = SECONDS) -> Found:
    """How a function, class, instance or bound method is to be called."""
    sizes = Sizes(m, K, T)
    method = ""
    if inspect.ismethod(thing):
        thing, method = thing.__self__, thing.__name__
    search = Search(m, K, T, seed, seconds, _file_of(thing))
    routines: list[Routine] = []
    with quiet():
        if inspect.isclass(thing):
            routines = list(methods_of(thing))
            found: Iterator[World] = (w for i in worlds.instances(thing, sizes) for w in worlds.of_instance(i, thing.__name__, sizes))
            pairs: Iterator[tuple[World, list[Routine]]] = ((world, routines) for world in found)
        elif inspect.isfunction(thing):
            routine = describe(thing, node_of(thing), Calls())
            routines = [replace(routine, name=routine.name)] if routine else []
            pairs = _of_function(thing, routines, sizes)
        else:
            routines = list(methods_of(type(thing)))
            pairs = ((world, routines) for world in worlds.of_instance(thing, type(thing).__name__, sizes))
    if method:
        search.wanted = [r.function for r in routines if r.name == method]
    every = list(itertools.islice(pairs, 300))
    for search.deep in (False, True):
        for i, (world, own) in enumerate(every):
            if (
                search.over() or search.through(world, own) or (i >= 6 and len(search.failures) == 1)
            ):  # it fails the same way however called
                break
        if search.complete:
            break
    return Found(search.best, search, [], routines)


def _of_function(function: Callable[..., Any], routines: list[Routine], sizes: Sizes) -> Iterator[tuple[World, list[Routine]]]:
    """The worlds of one function: its arguments, its module's names, bundles."""
    scope = function.__globals__
    data = {key: value for key, value in scope.items() if key in function.__code__.co_names}
    for routine in routines:
        for world in worlds.of_arguments(routine, sizes, {}, []):
            yield world, routines
        if layouts(data, sizes.m, sizes.K):
            for world in worlds.of_scope(scope, sizes):
                yield world, routines
        for world in worlds.from_keys(routine, None, sizes, {}):
            yield world, routines


def _file_of(thing: Any) -> str:
    try:
        return inspect.getsourcefile(thing if inspect.isclass(thing) or inspect.isfunction(thing) else type(thing)) or ""
    except (TypeError, OSError):
        return ""
