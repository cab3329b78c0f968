"""How somebody's own gradient function wants its arguments, found out by trying.

A function (parameters, inputs, targets, state) -> loss, gradients may keep vectors as columns or as rows, its parameters under any of
the usual names, in a tuple or in one flat vector, its text as indices or one-hot, with or without lanes. Each way of calling it is a
`Convention`. The right one is the one under which the function returns the loss that these parameters have on this text: the sizes m,
K, T and B all differ, so a wrong one fails, or gives another loss.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from charrnn.lab.names import canonical_name
from charrnn.lab.window import NAMES, Array, Problem


class Named(dict[str, Array]):
    """Parameters by name, or as attributes; a usual name that is not there is taken for what it stands for, and remembered."""

    asked: set[str]

    def __missing__(self, key: str) -> Array:
        name = canonical_name(key)
        if name is None:
            raise KeyError(key)
        self.asked.add(key)
        return self[next(have for have in list(self) if canonical_name(have) == name)]

    def __getattr__(self, key: str) -> Array:
        try:
            return self[key]
        except KeyError:
            raise AttributeError(key) from None

    def get(self, key: str, default: Any = None) -> Any:
        return self[key] if canonical_name(key) else default

    def copy(self) -> Named:
        other = Named(self)
        other.asked = self.asked
        return other


@dataclass(frozen=True)
class Convention:
    """One way to call a function. `turned`: whether U, W, V are transposed, as for vectors that are rows."""

    container: str = "dict"  # dict, tuple or flat
    names: tuple[str, ...] = NAMES  # what she calls U, W, V, b and c
    order: tuple[str, ...] = NAMES
    turned: tuple[bool, bool, bool] = (False, False, False)
    bias: str = "column"  # column (m, 1), vector (m,) or row (1, m)
    lanes: str = "none"  # none; TB: arrays (T, B, ..); BT: (B, T, ..)
    inputs: str = "indices"  # indices; one-hot: symbols last; one-hot columns: symbols first, or before lanes
    targets: str = "indices"
    state: str = "m1"  # the axes of h_0
    takes_state: bool = True

    @property
    def B(self) -> int:
        """How many lanes to try it with."""
        return 1 if self.lanes == "none" else 3

    def shape(self, name: str, m: int, K: int) -> tuple[int, ...]:
        """The shape of her array."""
        if name in "bc":
            n = m if name == "b" else K
            return {"column": (n, 1), "vector": (n,), "row": (1, n)}[self.bias]
        shape = {"U": (m, K), "W": (m, m), "V": (K, m)}[name]
        return shape[::-1] if self.turned["UWV".index(name)] else shape

    def hers(self, name: str, array: Array) -> Array:
        """One of charrnn's arrays as she has it: a copy."""
        if name in "bc":
            return array.reshape(self.shape(name, len(array), len(array))).copy()
        return (array.T if self.turned["UWV".index(name)] else array).copy()

    def ours(self, name: str, array: Array) -> Array:
        """The inverse of `hers`."""
        return array.reshape(-1) if name in "bc" else array.T if self.turned["UWV".index(name)] else array

    def parameters(self, parameters: Mapping[str, Array]) -> Any:
        """All parameters as she has them."""
        if self.container == "flat":
            return np.concatenate([self.hers(name, parameters[name]).ravel() for name in self.order])
        if self.container == "tuple":
            return tuple(self.hers(name, parameters[name]) for name in self.order)
        named = Named({key: self.hers(name, parameters[name]) for key, name in zip(self.names, NAMES, strict=True)})
        named.asked = set()
        return named

    def ids(self, kind: str, ids: Array, K: int) -> Array:
        """Ids (T, B) as she has them."""
        if self.lanes == "none":
            return ids[:, 0].copy() if kind == "indices" else np.eye(K)[ids[:, 0]] if kind == "one-hot" else np.eye(K)[:, ids[:, 0]]
        array = ids if kind == "indices" else np.eye(K)[ids]
        if kind == "one-hot columns":
            array = array.transpose(0, 2, 1)
        return np.ascontiguousarray(array if self.lanes == "TB" else array.swapaxes(0, 1))

    def arguments(self, p: Problem) -> tuple[Any, ...]:
        """What to call her function with: copies, all of them."""
        K, (B, m) = len(p.parameters["c"]), p.state.shape
        every = [self.parameters(p.parameters), self.ids(self.inputs, p.x, K), self.ids(self.targets, p.y, K)]
        if self.takes_state:
            shapes = {"m1": (m, 1), "m": (m,), "1m": (1, m), "Bm": (B, m), "mB": (m, B), "1Bm": (1, B, m)}
            every.append((p.state.T if self.state == "mB" else p.state).reshape(shapes[self.state]).copy())
        return tuple(every)

    def __str__(self) -> str:
        shapes = {name: self.shape(name, 1000, 2000) for name in NAMES}
        words = {1000: "m", 2000: "K", 1: "1"}
        spelled = {n: "(" + ", ".join(words[s] for s in shape) + ("," if len(shape) == 1 else "") + ")" for n, shape in shapes.items()}
        called = dict(zip(NAMES, self.names if self.container == "dict" else NAMES, strict=True))
        each = ", ".join(f"{name}{f' = {called[name]}' if called[name] != name else ''} {spelled[name]}" for name in self.order)
        how = {"dict": "by name", "tuple": "as a tuple", "flat": "as one flat vector, in this order"}[self.container]
        product = "h @ W (rows)" if self.turned[1] else "W @ h (columns), or h @ W.T (rows)"
        lanes = {"none": "", "TB": "T, B", "BT": "B, T"}[self.lanes]

        def text(kind: str) -> str:
            if kind == "indices":
                return f"indices ({lanes or 'T,'})"
            if kind == "one-hot columns":
                return f"one-hot ({lanes.split(',')[0] + ', K, ' + lanes[-1] if lanes else 'K, T'})"
            return f"one-hot ({lanes or 'T'}, K)"

        state = {"m1": "(m, 1)", "m": "(m,)", "1m": "(1, m)", "Bm": "(B, m)", "mB": "(m, B)", "1Bm": "(1, B, m)"}[self.state]
        return (
            f"parameters {how}: {each}; the recurrent product is {product}; inputs: {text(self.inputs)}; targets: {text(self.targets)}; "
            + (f"state: {state}" if self.takes_state else "no state, so that only h_0 = 0 can be checked")
        )


@dataclass
class Answer:
    """What a function returned: the loss, and gradients in charrnn's orientation where their sizes allow it."""

    loss: float
    gradients: dict[str, Array]
    remarks: dict[str, str]  # by parameter: what is odd about the shape of its gradient
    single: bool  # computed in single precision


def read_answer(returned: Any, convention: Convention, m: int, K: int) -> Answer:
    """The loss and gradients in what a function returned; ValueError if there are none."""
    if not isinstance(returned, (tuple, list)) or len(returned) < 2:
        raise ValueError(f"it must return (loss, gradients), and returned {_kind(returned)}")
    at = next((i for i, item in enumerate(returned) if np.size(item) == 1 and np.asarray(item).dtype.kind in "fiu"), None)
    if at is None:
        raise ValueError(f"it must return (loss, gradients), and none of the {len(returned)} things returned is a number")
    loss_array = np.asarray(returned[at])
    rest = [item for i, item in enumerate(returned) if i != at]
    found: Any = rest[0] if isinstance(rest[0], (Mapping, list, tuple)) else getattr(rest[0], "__dict__", rest)
    shapes = {name: convention.shape(name, m, K) for name in NAMES}
    arrays: dict[str, Array] = {}
    if isinstance(found, Mapping):
        for key, value in found.items():
            name = NAMES[convention.names.index(key)] if key in convention.names else canonical_name(key)
            if name is not None and value is not None:
                arrays.setdefault(name, np.asarray(value))
    elif convention.container == "flat":
        flat = np.asarray(found[0]).ravel()
        sizes = [math.prod(shapes[name]) for name in convention.order]
        if flat.size != sum(sizes):
            raise ValueError(f"the gradient vector has {flat.size} elements, the parameter vector {sum(sizes)}")
        pieces = np.split(flat, np.cumsum(sizes)[:-1])
        arrays = {name: piece.reshape(shapes[name]) for name, piece in zip(convention.order, pieces, strict=True)}
    else:
        arrays = _by_shape([np.asarray(item) for item in found], shapes, convention.order)
    missing = [name for name in NAMES if name not in arrays]
    if missing:
        raise ValueError(f"there is no gradient of {', '.join(missing)} in what it returned")
    remarks, gradients = {}, {}
    for name in NAMES:
        array, shape = arrays[name], shapes[name]
        if array.dtype.kind not in "fiu":
            raise ValueError(f"the gradient of {name} is made of {array.dtype}, not of numbers")
        if array.dtype == np.float16:
            raise ValueError(f"the gradient of {name} is made of float16, too coarse for a check: compute in float64")
        if array.shape != shape:
            remarks[name] = f"d{name} has shape {array.shape}, {name} has {shape}"
        if array.shape != shape and array.shape == shape[::-1]:
            array = array.T
        if array.size == 1 < math.prod(shape):
            array = np.broadcast_to(array.reshape(()), shape)
        fits = array.size == math.prod(shape)
        gradients[name] = np.array(convention.ours(name, array.reshape(shape)) if fits else array.ravel(), np.float64)
    single = any(array.dtype == np.float32 for array in (loss_array, *arrays.values()))
    return Answer(float(loss_array.reshape(())), gradients, remarks, single)


def _by_shape(items: list[Array], shapes: Mapping[str, tuple[int, ...]], order: Sequence[str]) -> dict[str, Array]:
    """Arrays in any order to their names, by shape, and what is left over in the usual order; a sixth one is the state."""
    found: dict[str, Array] = {}
    left = []
    for item in items[:5]:
        name = next((name for name in order if name not in found and shapes[name] == item.shape), None)
        if name is None:
            left.append(item)
        else:
            found[name] = item
    return found | dict(zip((name for name in order if name not in found), left, strict=False))


def _kind(value: Any) -> str:
    return f"a {type(value).__name__}" + (f" of {len(value)}" if isinstance(value, (tuple, list)) else "")
