"""The network of the check in NumPy: a window's forward pass, and its backward pass with every step replaceable.

    forward:   a_t = W h_{t-1} + U x_t + b    h_t = tanh(a_t)    o_t = V h_t + c    p_t = softmax(o_t)    loss = sum of -log p_t[y_t]
    backward:  g_t = p_t - y_t                dh_t = V^T g_t + W^T da_{t+1}         da_t = dh_t (1 - h_t^2)
    sums:      dV = sum g_t h_t^T   dc = sum g_t   dW = sum da_t h_{t-1}^T   dU[:, x_t] += da_t   db = sum da_t

T steps, B lanes, m units, K symbols. A mistake replaces some of the backward steps or sums; see `charrnn.lab.mistakes`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]
NAMES = ("U", "W", "V", "b", "c")
ACTIVATIONS: dict[str, Callable[[Array], Array]] = {
    "tanh": np.tanh,
    "sigmoid": lambda a: 1 / (1 + np.exp(-a)),
    "relu": lambda a: np.maximum(a, 0),
}


@dataclass(frozen=True)
class Variant:
    """What a program may do otherwise without being wrong: its activation, h_0 fixed at 0, the loss of the last step only."""

    activation: str = "tanh"
    zero_state: bool = False
    last_only: bool = False

    def __str__(self) -> str:
        said = [] if self.activation == "tanh" else [f"units are {self.activation}"]
        return ", ".join(said + ["the loss is that of the last step only"] * self.last_only)


VARIANTS = [Variant(a, zero, last) for a in ACTIVATIONS for last in (False, True) for zero in (False, True)]


@dataclass(frozen=True)
class Window:
    """A window and its forward pass: x, y (T, B) ids, a (T, B, m), h (T+1, B, m) with h_0 first, p (T, B, K), loss in nats.

    weights (T, 1, 1): how often each step's loss counts.
    """

    parameters: Mapping[str, Array]
    x: Array
    y: Array
    a: Array
    h: Array
    p: Array
    loss: float
    weights: Array
    variant: Variant = field(default_factory=Variant)


@dataclass(frozen=True)
class Problem:
    """A window to differentiate: parameters as charrnn has them, x and y (T, B), state (B, m)."""

    parameters: Mapping[str, Array]
    x: Array
    y: Array
    state: Array

    def window(self, variant: Variant | None = None) -> Window:
        """The forward pass over it."""
        variant = variant or Variant()
        state = 0 * self.state if variant.zero_state else self.state
        return forward(self.parameters, self.x, self.y, state, variant)

    def first(self, T: int) -> Problem:
        """Its first T steps."""
        return replace(self, x=self.x[:T], y=self.y[:T])


def problem(m: int, K: int, T: int, B: int, seed: int, kind: str, without: str = "") -> Problem:
    """A random problem, of which the last symbol is never read and some symbol is read twice.

    kind: "zero" or "random", for h_0; "large" has weights V so large that gradients are far beyond any usual clipping. without: names
    of parameters that are 0.
    """
    rng = np.random.Generator(np.random.PCG64([seed, m, K, T]))
    shapes = {"U": (m, K), "W": (m, m), "V": (K, m), "b": (m,), "c": (K,)}
    spread = {name: 1.1 / math.sqrt(m) if name in "WV" else 0.5 for name in NAMES}  # gradients of a moderate size for any m
    parameters = {name: rng.normal(0, spread[name], shape) for name, shape in shapes.items()}
    x, y = rng.integers(0, max(1, K - 1), (T, 3)), rng.integers(0, K, (T, 3))
    x[-1] = x[0]
    state = rng.uniform(-1, 1, (3, m))
    if kind == "zero":
        state[:] = 0
    if kind == "large":
        parameters["V"] *= 40
    for name in without:
        parameters[name][:] = 0
    return Problem(parameters, x[:, :B], y[:, :B], state[:B])


def softmax(logits: Array) -> Array:
    """exp(o_k) / sum over j of exp(o_j), along the last axis; also for complex numbers."""
    shifted = np.exp(logits - logits.real.max(-1, keepdims=True))
    return shifted / shifted.sum(-1, keepdims=True)  # type: ignore[no-any-return]


def forward(parameters: Mapping[str, Array], x: Array, y: Array, state: Array, variant: Variant | None = None) -> Window:
    """The forward pass; state (B, m) is h_0."""
    variant = variant or Variant()
    U, W, V, b, c = (parameters[name] for name in NAMES)
    kind = np.result_type(*(parameters[name] for name in NAMES), state)
    h = np.concatenate([state[None], np.zeros((*x.shape, len(b)))]).astype(kind)
    a = np.zeros_like(h[1:])
    for t in range(len(x)):
        a[t] = h[t] @ W.T + U.T[x[t]] + b
        h[t + 1] = ACTIVATIONS[variant.activation](a[t])
    p = softmax(h[1:] @ V.T + c)
    weights = np.ones((len(x), 1, 1))
    if variant.last_only:
        weights[:-1] = 0
    with np.errstate(divide="ignore", invalid="ignore"):
        loss = -(weights * np.log(np.take_along_axis(p, y[:, :, None].astype(np.intp), 2)))[weights[:, 0, 0] > 0].sum()
    return Window(parameters, x, y, a, h, p, loss if kind.kind == "c" else float(loss), weights, variant)


# ---- backward, step by step ----------------------------------------------------------------------------------------------


def error(w: Window) -> Array:
    """g_t = p_t - y_t, (T, B, K)."""
    return w.weights * (w.p - np.eye(w.p.shape[2])[w.y])


def slope(w: Window, t: int) -> Array:
    """1 - h_t^2 of step t = 0 .. T-1, whose h is w.h[t + 1]; of other units than tanh, their derivative."""
    h = w.h[t + 1]
    return {"tanh": 1 - h**2, "sigmoid": h * (1 - h), "relu": (h > 0) * 1.0}[w.variant.activation]  # type: ignore[no-any-return]


def next_da(da: Array, t: int) -> Array:
    """da_{t+1}, 0 after the last step."""
    return da[t + 1] if t + 1 < len(da) else np.zeros_like(da[0])


def through(W: Array, da: Array) -> Array:
    """W^T da, for each lane."""
    return da @ W


def backward(
    w: Window,
    g: Array,
    slope: Callable[[Window, int], Array] = slope,
    next_da: Callable[[Array, int], Array] = next_da,
    through: Callable[[Array, Array], Array] = through,
    forwards: bool = False,
    passed_on: str = "da",
    accumulate: bool = False,
    reach: int | None = None,
) -> Array:
    """da (T, B, m) from g (T, B, K); the options are the steps that mistakes replace.

    accumulate: what arrives from all later steps is added up. reach: after how many steps an error is cut off.
    """
    T = len(g)
    if reach is not None:  # each step's error walks back by itself
        alone = [backward(w, g * (np.arange(T) == t)[:, None, None], slope, next_da, through) for t in range(T)]
        return np.sum([one * ((t - reach <= np.arange(T)) & (np.arange(T) <= t))[:, None, None] for t, one in enumerate(alone)], 0)  # type: ignore[no-any-return]
    da, dh, arriving = np.zeros_like(w.h[1:]), np.zeros_like(w.h[1:]), np.zeros_like(w.h[0])
    for t in range(T) if forwards else reversed(range(T)):
        arrives = through(w.parameters["W"], next_da(da if passed_on == "da" else dh, t))
        arriving = arriving + arrives if accumulate else arrives
        dh[t] = g[t] @ w.parameters["V"] + arriving
        da[t] = dh[t] * slope(w, t)
    return da


def core(w: Window, options: Mapping[str, Any]) -> tuple[Array, Array]:
    """g and da, with the steps of `options` in place of the right ones."""
    rest = dict(options)
    g = rest.pop("error", error)(w)
    return g, backward(w, g, **rest)


# ---- the sums over time --------------------------------------------------------------------------------------------------

Sum = Callable[[Window, Array, Array], Array]


def outer(left: Array, right: Array) -> Array:
    """Sum over t and lanes of left_t right_t^T."""
    return np.einsum("tbi,tbj->ij", left, right)  # type: ignore[no-any-return]


def one_hot(w: Window) -> Array:
    """x one-hot, (T, B, K)."""
    return np.eye(w.p.shape[2])[w.x]


RIGHT: dict[str, Sum] = {
    "U": lambda w, g, da: outer(da, one_hot(w)),
    "W": lambda w, g, da: outer(da, w.h[:-1]),
    "V": lambda w, g, da: outer(g, w.h[1:]),
    "b": lambda w, g, da: da.sum((0, 1)),
    "c": lambda w, g, da: g.sum((0, 1)),
}


def right(w: Window, scale: float = 1.0) -> dict[str, Array]:
    """The gradients of scale times the window's loss."""
    g, da = core(w, {})
    return {name: scale * make(w, g, da) for name, make in RIGHT.items()}


def complex_step(p: Problem, name: str, entries: list[tuple[int, ...]], variant: Variant) -> Iterator[float]:
    """Derivatives of the loss by entries of one parameter, Im f(x + ih) / h with h = 1e-30: nothing is subtracted.

    Squire & Trapp 1998. It shares no line with the backward pass.
    """
    moved = {key: array.astype(complex) for key, array in p.parameters.items()}
    for entry in entries:
        old = moved[name][entry]
        moved[name][entry] = old + 1e-30j
        yield float(np.imag(Problem(moved, p.x, p.y, p.state).window(variant).loss) / 1e-30)
        moved[name][entry] = old
