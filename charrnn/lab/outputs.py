"""What a run of a program left behind, read: its losses, its probabilities or logits, its gradients."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from charrnn.lab import names
from charrnn.lab.slots import HOLDERS, Slot, has_parts, one_parameter
from charrnn.lab.window import Array, Problem, softmax
from charrnn.lab.world import Outcome, World

LOSS = re.compile(r"loss|cost|^j$|^l$|nll|objective|energy|^e$|xent|entropy|value|error|total", re.IGNORECASE)


def things(value: Any, name: str = "", depth: int = 3) -> Iterator[tuple[str, Any]]:
    """Numbers, arrays and sequences in what was returned or kept, with the name that they have there."""
    if isinstance(value, np.ndarray) or np.isscalar(value):
        yield name, value
        return
    if isinstance(value, Mapping):
        if value and all(isinstance(key, (int, np.integer)) for key in value):
            yield name, [value[key] for key in sorted(value) if key >= 0]
            return
        parts = [(str(key), item) for key, item in value.items()]
    elif isinstance(value, (list, tuple)):
        if len(value) > 1 and not hasattr(value, "_fields"):
            yield name, value
        labels = getattr(value, "_fields", [f"{name}[{i}]" for i in range(len(value))])
        parts = list(zip(labels, value, strict=True))
    elif has_parts(value):
        parts = list(vars(value).items())
    else:
        return
    inner = not isinstance(value, (Mapping, list, tuple)) and one_parameter(value)  # then the parameter's name counts
    if depth:
        for label, item in parts[:60]:
            yield from things(item, name if inner and (label in HOLDERS or label == "grad") else label, depth - 1)


def returned_things(outcome: Outcome) -> Iterator[tuple[str, Any]]:
    """All that the steps returned, last step first."""
    for step, value in reversed(list(zip(outcome.steps, outcome.returned, strict=False))):
        labels = step.routine.returns
        if isinstance(value, tuple) and not hasattr(value, "_fields") and len(labels) == len(value) and not step.routine.single:
            for label, item in zip(labels, value, strict=True):
                yield from things(item, "|".join(sorted(label)))
        else:
            yield from things(value, "|".join(sorted(labels[0])) if len(labels) == 1 else step.routine.name)


def number(value: Any) -> float | None:
    """A real number, also in an array of one element."""
    try:
        array = np.asarray(value)
    except ValueError:
        return None
    if array.size == 1 and array.dtype.kind == "f":
        return float(array.reshape(()))
    return None


def losses(outcome: Outcome, world: World) -> list[tuple[str, float]]:
    """Numbers that may be the loss, likely ones first."""
    found = [(name, value) for name, thing in returned_things(outcome) if (value := number(thing)) is not None]
    if world.kind in ("instance", "live", "globals"):
        parts = outcome.root.items() if isinstance(outcome.root, Mapping) else vars(outcome.root).items()
        found += [(str(k), n) for k, v in parts if LOSS.search(str(k)) and (n := number(v)) is not None and names.role(str(k)) != "rate"]
    likely = [pair for pair in found if any(LOSS.search(word) for word in pair[0].split("|"))]
    return likely + [pair for pair in found if pair not in likely]


# ---- probabilities and logits --------------------------------------------------------------------------------------------


def stacked(value: Any) -> Array | None:
    """An array of floats, also from a list of arrays."""
    try:
        array = np.asarray(value, dtype=np.float64) if not isinstance(value, np.ndarray) else value
    except (ValueError, TypeError):
        return None
    return array if array.dtype.kind == "f" and array.size else None


def scores_in(array: Array, T: int, B: int, K: int) -> Array | None:
    """(T, B, K) from an array with these axes in another order, or (1, B, K) from one for the last step; None if it is none."""
    axes = [n for n in array.shape if n != 1]
    wanted = sorted(n for n in (T, B, K) if n != 1)
    if sorted(axes) == wanted and len(set(wanted)) == len(wanted):
        squeezed = array.reshape(axes)
        order = [axes.index(n) for n in (T, B, K) if n != 1]
        return squeezed.transpose(order).reshape(T, B, K)
    if sorted(axes) == sorted(n for n in (B, K) if n != 1):
        squeezed = array.reshape(axes)
        return squeezed.transpose([axes.index(n) for n in (B, K) if n != 1]).reshape(1, B, K)
    return None


def score_arrays(returned: list[Any], root: Any, p: Problem, K: int) -> Iterator[tuple[Any, Array, bool]]:
    """(as the program has it, (T or 1, B, K), whether they are probabilities), probabilities first, last returned first."""
    T, B = p.x.shape
    found = []
    pools = [value for whole in reversed(returned) for _, value in things(whole)]
    pools += [value for _, value in things(root)] if not isinstance(root, dict) and root is not None else []
    for value in pools:
        array = stacked(value)
        scores = scores_in(array, T, B, K) if array is not None else None
        if scores is not None and not np.isin(scores, (0, 1)).all():  # a text one-hot is no output
            sums = bool((scores >= 0).all() and np.allclose(scores.sum(-1), 1))
            found.append((value, scores, sums))
    yield from sorted(found, key=lambda item: not item[2])


def cross_entropy(returned: list[Any], root: Any, p: Problem, K: int) -> Iterator[tuple[str, float]]:
    """The summed cross-entropy of probabilities or logits that a program computes without making a loss of them."""
    for _, scores, sums in score_arrays(returned, root, p, K):
        q = scores if sums else softmax(scores)
        y = p.y if len(q) == len(p.y) else p.y[-1:]
        with np.errstate(all="ignore"):
            yield "cross-entropy", float(-np.log(np.take_along_axis(q, y[:, :, None], 2)).sum())
    if p.parameters.keys() >= {"V", "c"}:
        yield from states_entropy(returned, root, p, p.state.shape[1])


def shaped_like(value: Any, error: Array, p: Problem, n: int) -> Any:
    """(T, B, n) in the order of axes of an array or list of arrays."""
    shape = np.shape(value) if not isinstance(value, list) else np.asarray(value).shape
    axes = [k for k in shape if k != 1]
    source = {len(error): 0, p.x.shape[1]: 1, n: 2}
    order = [source[k] for k in axes]
    moved = error.transpose(order + [i for i in range(3) if i not in order]).reshape(shape)
    return list(moved) if isinstance(value, list) else moved


def error_of(returned: list[Any], root: Any, p: Problem, K: int) -> Any:
    """p - y in the shape of the probabilities or logits that a program computed, for a backward pass that is given this."""
    for value, scores, sums in score_arrays(returned, root, p, K):
        q = scores if sums else softmax(scores)
        y = p.y if len(q) == len(p.y) else p.y[-1:]
        error = q - np.eye(K)[y]
        return shaped_like(value, error, p, K)
    raise ValueError("nothing that it returns is of the size of its outputs")


def hidden_states(returned: list[Any], root: Any, p: Problem, m: int) -> Iterator[tuple[Any, Array]]:
    """(as the program has them, (T, B, m)) of the hidden states that a program returns or keeps."""
    T, B = p.x.shape
    pools = [value for whole in reversed(returned) for _, value in things(whole)]
    for value in pools:
        array = stacked(value)
        states = scores_in(array, T, B, m) if array is not None else None
        if states is not None and len(states) == T and np.abs(states).max() <= 1:
            yield value, states


def states_entropy(returned: list[Any], root: Any, p: Problem, m: int) -> Iterator[tuple[str, float]]:
    """The summed cross-entropy of what V and c make of a program's hidden states."""
    for _, h in hidden_states(returned, root, p, m):
        q = softmax(h @ p.parameters["V"].T + p.parameters["c"])
        with np.errstate(all="ignore"):
            yield "cross-entropy", float(-np.log(np.take_along_axis(q, p.y[:, :, None], 2)).sum())


def error_of_states(returned: list[Any], root: Any, p: Problem, m: int) -> Any:
    """V^T (p - y) in the shape of a program's hidden states, for a backward pass that is given this."""
    for value, h in hidden_states(returned, root, p, m):
        q = softmax(h @ p.parameters["V"].T + p.parameters["c"])
        error = (q - np.eye(q.shape[2])[p.y]) @ p.parameters["V"]
        return shaped_like(value, error, p, m)
    raise ValueError("nothing that it returns is of the size of its states")


# ---- gradients -----------------------------------------------------------------------------------------------------------


def gradients(outcome: Outcome, world: World, rate: float = 1.0) -> tuple[dict[str, Array], str]:
    """The gradients by slot, and where they were: returned, kept, or to be seen in the update of the parameters, rate times as large."""
    slots = world.layout.slots
    pool = [(name, np.asarray(value)) for name, value in returned_things(outcome) if _is_array(value)]
    found = by_name(slots, pool, world)
    if len(found) < len(slots) and (world.layout.roles or not found):
        unnamed = [(name, array) for name, array in pool if not any(array is other for other in found.values())]
        extra = by_shape([slot for slot in slots if slot.name not in found], unnamed, world)
        if len(found) + len(extra) == len(slots) or (not found and len(extra) >= 3):
            found |= extra
    if len(found) >= max(1, len(slots) - 2) and len(found) >= 3:
        return found, "returned"
    if world.flat:
        return flat(outcome, world), "returned"
    kept = list(kept_arrays(outcome, world))
    found |= {name: array for name, array in by_name(slots, kept, world, surely=True).items() if name not in found}
    if len(found) >= 3:
        return found, "kept"
    moved = {
        name: (before - outcome.after[name]) / rate
        for name, before in outcome.before.items()
        if _same_shape(outcome.after.get(name), before)
    }
    if sum(array.any() for array in moved.values()) >= 3:
        return moved, "updated"
    return found, "returned"


def by_name(slots: tuple[Slot, ...], pool: list[tuple[str, Array]], world: World, surely: bool = False) -> dict[str, Array]:
    """Gradients that are called after their parameters, or after the role of these."""
    found: dict[str, Array] = {}
    roles = {slot.name: role for role, slot in world.layout.roles}
    for slot in slots:
        ranked = []
        for place, (name, array) in enumerate(pool):
            words = name.split("|")
            sure = max(likeness(word, slot.name) for word in words)
            if sure < 3 and roles.get(slot.name) and any(names.canonical_name(word) == roles[slot.name] for word in words):
                sure = max(sure, 1 if any(names.plain(word) in names.CANONICAL for word in words) else 2)
            if surely and sure < 3:
                continue
            if sure and fits(array, slot, world):
                ranked.append((-sure, place, array))
        if ranked:
            found[slot.name] = min(ranked, key=lambda item: item[:2])[2]
    return found


def likeness(word: str, slot: str) -> int:
    """How surely a name is that of a slot's gradient; cell.dW of cell.W, g[2] of w[2]."""
    holder, dot, own = slot.rpartition(".")
    if dot:
        of, _, key = word.rpartition(".")
        return names.is_gradient_of(key, own) if of == holder else 0
    if slot.endswith("]"):
        base, _, place = word.partition("[")
        return 3 if slot.endswith(f"[{place}") and place and is_gradient_holder(base) else 2 * (word == slot)
    return names.is_gradient_of(word, slot)


def is_gradient_holder(name: str) -> bool:
    """Whether a dict, list or object of this name holds gradients."""
    word = names.plain(name)
    return "grad" in word or word in (
        "d",
        "g",
        "gs",
        "dw",
        "dws",
        "derivatives",
        "deltas",
        "dparams",
        "dp",
        "dtheta",
        "updates",
        "dweights",
    )


def fits(array: Array, slot: Slot, world: World) -> bool:
    """Whether an array may be meant as a slot's gradient: of its shape, turned, or of a bias in any shape."""
    shape = slot.shape({"m": world.m, "K": world.K})
    return array.shape in (shape, shape[::-1]) or 1 in shape or len(shape) == 1


def by_shape(slots: list[Slot], pool: list[tuple[str, Array]], world: World) -> dict[str, Array]:
    """Gradients without names, in the order of the slots where shapes are equal."""
    found: dict[str, Array] = {}
    taken: set[int] = set()
    for slot in slots:
        shape = slot.shape({"m": world.m, "K": world.K})
        for i, (_, array) in enumerate(pool):
            if i not in taken and array.shape == shape:
                found[slot.name] = array
                taken.add(i)
                break
    return found


def flat(outcome: Outcome, world: World) -> dict[str, Array]:
    """Gradients in one vector."""
    shapes = {slot.name: slot.shape({"m": world.m, "K": world.K}) for slot in world.layout.slots}
    size = sum(math.prod(shape) for shape in shapes.values())
    for _, value in returned_things(outcome):
        if _is_array(value) and np.asarray(value).shape == (size,):
            pieces = np.split(np.asarray(value), np.cumsum([math.prod(shape) for shape in shapes.values()])[:-1])
            return {name: piece.reshape(shape) for (name, shape), piece in zip(shapes.items(), pieces, strict=True)}
    return {}


def kept_arrays(outcome: Outcome, world: World) -> Iterator[tuple[str, Array]]:
    """Arrays in the buffer that was passed, in attributes and in the module's names, called as gradients are."""
    if outcome.buffer is not None:
        for name, value in things(outcome.buffer):
            if _is_array(value):
                yield f"d{name}", value
    roots = [outcome.bundle, outcome.root if world.kind != "globals" else {k: v for k, v in world.scope.items() if not k.startswith("__")}]
    for root in roots:
        parts = root.items() if isinstance(root, Mapping) else vars(root).items() if has_parts(root) else ()
        for key, value in parts:
            if _is_array(value):
                yield str(key), value
            elif isinstance(value, (list, tuple)) and len(value) < 60:
                yield from ((f"{key}[{i}]", item) for i, item in enumerate(value) if _is_array(item))
            elif isinstance(value, Mapping) or has_parts(value):
                yield from inner(str(key), value)


def inner(holder: str, value: Any) -> Iterator[tuple[str, Array]]:
    """Arrays one level down: of `grads`, under the parameters' own names; of a parameter with a gradient of its own, .grad."""
    gradient = is_gradient_holder(holder)
    parts = value.items() if isinstance(value, Mapping) else vars(value).items()
    for key, item in parts:
        if _is_array(item):
            if str(key) in ("grad", "d", "g", "gradient", "dvalue", "dw"):
                yield f"d{holder}", item
            else:
                yield f"{holder}.{key}", item
                yield (f"d{key}" if gradient and names.plain(key)[:1] != "d" else str(key)), item
                if gradient:
                    yield f"d{key}", item
        elif has_parts(item):
            for name, array in vars(item).items():
                if name in ("grad", "d", "g", "gradient", "dvalue", "dw") and _is_array(array):
                    yield f"d{key}", array


def _is_array(value: Any) -> bool:
    return (isinstance(value, np.ndarray) and value.dtype.kind in "fi") or (np.isscalar(value) and isinstance(value, (float, np.floating)))


def _same_shape(a: Any, b: Array) -> bool:
    return a is not None and np.shape(a) == b.shape and np.asarray(a).dtype.kind == "f"
