"""The mistakes that people make in backprop-through-time, as one table: what each violates, and the gradient that it gives.

The gradient of a window is a small pipeline, written here in NumPy:

    core:    g_t = p_t - y_t        dh_t = V^T g_t + W^T da_{t+1}        da_t = dh_t (1 - h_t^2)
    leaves:  dV = sum g_t h_t^T   dc = sum g_t   dW = sum da_t h_{t-1}^T   dU[:, x_t] += da_t   db = sum da_t

A mistake replaces one or more of these steps by wrong ones. So the gradient that somebody would get by making it can be computed,
and compared with the gradient that somebody got: `charrnn.lab.explanation` names a mistake only where the two agree.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from charrnn.network.arrays import Array
from charrnn.network.reference import softmax

NAMES = ("U", "W", "V", "b", "c")


@dataclass(frozen=True)
class Window:
    """A window of text and the forward pass over it: x, y (T, B) ids, h (T+1, B, m) with h_0 first, p (T, B, K), loss in nats."""

    parameters: Mapping[str, Array]
    x: Array
    y: Array
    h: Array
    p: Array
    loss: float


def forward(parameters: Mapping[str, Array], x: Array, y: Array, state: Array) -> Window:
    """a_t = W h_{t-1} + U x_t + b, h_t = tanh(a_t), p_t = softmax(V h_t + c), loss = sum of -log p_t[y_t]; state (B, m) is h_0."""
    U, W, V, b, c = (parameters[name] for name in NAMES)
    h = np.concatenate([state[None], np.zeros((*x.shape, len(b)))])
    for t in range(len(x)):
        h[t + 1] = np.tanh(h[t] @ W.T + U.T[x[t]] + b)
    p = softmax(h[1:] @ V.T + c)
    with np.errstate(divide="ignore"):
        loss = -np.log(np.take_along_axis(p, y[:, :, None].astype(np.intp), 2)).sum()
    return Window(parameters, x, y, h, p, float(loss))


# ---- the core: from p to g and da ----------------------------------------------------------------------------------------


def error(w: Window) -> Array:
    """g_t = p_t - y_t, (T, B, K)."""
    return w.p - np.eye(w.p.shape[2])[w.y]


def slope(w: Window, t: int) -> Array:
    """1 - h_t^2 of step t = 0 .. T-1, whose h is w.h[t + 1]."""
    return 1 - w.h[t + 1] ** 2  # type: ignore[no-any-return]


def following(da: Array, t: int) -> Array:
    """da_{t+1}, 0 after the last step."""
    return da[t + 1] if t + 1 < len(da) else np.zeros_like(da[0])


def through(W: Array, da: Array) -> Array:
    """W^T da, for each lane."""
    return da @ W


def unwind(
    w: Window,
    g: Array,
    slope: Callable[[Window, int], Array] = slope,
    following: Callable[[Array, int], Array] = following,
    through: Callable[[Array, Array], Array] = through,
    forwards: bool = False,
    passed_on: str = "da",
) -> Array:
    """da (T, B, m) from g (T, B, K); the options are the steps that mistakes replace."""
    T = len(g)
    da, dh = np.zeros_like(w.h[1:]), np.zeros_like(w.h[1:])
    for t in range(T) if forwards else reversed(range(T)):
        dh[t] = g[t] @ w.parameters["V"] + through(w.parameters["W"], following(da if passed_on == "da" else dh, t))
        da[t] = dh[t] * slope(w, t)
    return da


def core(w: Window, options: Mapping[str, Any]) -> tuple[Array, Array]:
    """g and da, with the steps of `options` in place of the right ones."""
    rest = dict(options)
    g = rest.pop("error", error)(w)
    return g, unwind(w, g, **rest)


# ---- the leaves: from g and da to the gradients ------------------------------------------------------------------------------

Leaf = Callable[[Window, Array, Array], Array]


def outer(left: Array, right: Array) -> Array:
    """Sum over t and lanes of left_t right_t^T."""
    return np.einsum("tbi,tbj->ij", left, right)  # type: ignore[no-any-return]


def one_hot(w: Window) -> Array:
    """x one-hot, (T, B, K)."""
    return np.eye(w.p.shape[2])[w.x]


RIGHT: dict[str, Leaf] = {
    "U": lambda w, g, da: outer(da, one_hot(w)),
    "W": lambda w, g, da: outer(da, w.h[:-1]),
    "V": lambda w, g, da: outer(g, w.h[1:]),
    "b": lambda w, g, da: da.sum((0, 1)),
    "c": lambda w, g, da: g.sum((0, 1)),
}


def previous(w: Window, first: Array) -> Array:
    """h_0 .. h_{T-1}, with something else in the place of h_0."""
    return np.concatenate([first[None], w.h[1:-1]])


def at_one_step(t: int) -> dict[str, Sequence[Leaf]]:
    """Each gradient with the term of one step alone."""

    def only(right: Leaf) -> Leaf:
        def leaf(w: Window, g: Array, da: Array) -> Array:
            keep = np.zeros((len(da), 1, 1))
            keep[t] = 1
            return right(w, g * keep, da * keep)

        return leaf

    return {name: (only(right),) for name, right in RIGHT.items()}


def _nothing(right: Leaf) -> Leaf:
    return lambda w, g, da: 0 * right(w, g, da)


# ---- the table -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Mistake:
    """One row of the table: how it is called, the mathematics it violates, what is done instead, and what to do.

    core: variants of wrong core steps, as options of `core`; leaves: for each gradient, variants of its wrong last step.
    A mistake with neither is recognised from the whole gradient, a factor in `charrnn.lab.explanation`, clipping in `own`.
    """

    key: str
    name: str
    mathematics: str
    instead: str
    advice: str
    core: Sequence[Mapping[str, Any]] = ()
    leaves: Mapping[str, Sequence[Leaf]] = field(default_factory=dict)


MISTAKES = (
    Mistake(
        "h0-dropped",
        "h_0 is left out of dW",
        "dW = sum over t = 1..T of da_t h_{t-1}^T: the term of t = 1 is da_1 h_0^T, and h_0 is the state carried in",
        "the sum begins at t = 2, or takes 0 for h_0; from h_0 = 0 nothing of this can be seen",
        "keep h_0 together with h_1 .. h_T, and let the sum begin with it; check from an h_0 that is not 0",
        leaves={"W": (lambda w, g, da: outer(da, previous(w, 0 * w.h[0])),)},
    ),
    Mistake(
        "h-wraps",
        "index t-1 = -1 wraps to the last state",
        "dW = sum over t = 1..T of da_t h_{t-1}^T: the h before the first step is h_0",
        "at the first step h[t-1] is h[-1], which Python takes for the last state, h_T",
        "store h_0 in front, h = [h_0, h_1, .., h_T], so that the state before step t always has an index",
        leaves={"W": (lambda w, g, da: outer(da, previous(w, w.h[-1])),)},
    ),
    Mistake(
        "h-not-previous",
        "dW is made with h_t in the place of h_{t-1}",
        "dW = sum over t of da_t h_{t-1}^T, since a_t = W h_{t-1} + ..",
        "da_t is multiplied by the state that it leads to, not by the one it came from",
        "shift the index: the state that W multiplied at step t is h_{t-1}",
        leaves={"W": (lambda w, g, da: outer(da, w.h[1:]),)},
    ),
    Mistake(
        "da-from-before",
        "the next step's da is taken from t-1",
        "dh_t = V^T g_t + W^T da_{t+1}: errors flow back from the step after",
        "da[t-1] is used; there it is still 0, or, at the first step, da[-1] is the last one",
        "go backwards, t = T .. 1, and use the da of the step computed just before, da_{t+1}",
        core=(
            {"following": lambda da, t: da[t - 1]},
            {"following": lambda da, t: da[t - 1], "forwards": True},
            {"following": lambda da, t: da[t - 1] if t else 0 * da[0], "forwards": True},
        ),
    ),
    Mistake(
        "da-missing",
        "no error arrives from the step after",
        "dh_t = V^T g_t + W^T da_{t+1}",
        "W^T da_{t+1} is left out, or is still 0 when it is used (da[t-1] in a loop that goes backwards, say)",
        "add W^T da_{t+1}, and go backwards so that da_{t+1} is known",
        core=({"following": lambda da, t: 0 * da[0]},),
    ),
    Mistake(
        "dh-passed-on",
        "dh instead of da is sent back through W",
        "dh_t = V^T g_t + W^T da_{t+1}, with da = dh (1 - h^2): W multiplies what has passed the tanh",
        "W^T dh_{t+1} is added: the factor 1 - h_{t+1}^2 is lost on the way back",
        "multiply by 1 - h^2 first, then by W^T",
        core=({"passed_on": "dh"},),
    ),
    Mistake(
        "w-not-transposed",
        "W is used without transpose in the backward pass",
        "dh_t = V^T g_t + W^T da_{t+1}: what went forward through W comes back through its transpose",
        "W da_{t+1} is added; W is square, so no shape complains",
        "use W^T (with rows for vectors: if forward is h @ A, backward is da @ A.T)",
        core=({"through": lambda W, da: da @ W.T},),
    ),
    Mistake(
        "tanh-slope-missing",
        "the derivative of tanh is left out",
        "da_t = dh_t (1 - h_t^2)",
        "da_t = dh_t is used",
        "multiply dh_t elementwise by 1 - h_t^2",
        core=({"slope": lambda w, t: np.ones_like(w.h[0])},),
    ),
    Mistake(
        "tanh-slope-shifted",
        "the derivative of tanh is taken at the wrong state",
        "da_t = dh_t (1 - h_t^2): tanh'(a_t) = 1 - tanh(a_t)^2 = 1 - h_t^2",
        "1 - h_{t-1}^2 is used, or 1 - a_t^2, or tanh is applied to h_t once more",
        "use the h_t that the forward pass computed, not the one before, and not a_t",
        core=(
            {"slope": lambda w, t: 1 - w.h[t] ** 2},
            {"slope": lambda w, t: 1 - np.tanh(w.h[t + 1]) ** 2},
            {"slope": lambda w, t: 1 - np.arctanh(w.h[t + 1]) ** 2},
        ),
    ),
    Mistake(
        "labels-one-hot",
        "one-hot labels are given where indices are expected",
        "loss = sum over t of -log p_t[y_t], y_t an index from 0 to K-1",
        "the zeros and ones of the label are taken for K indices: -log p_t[0] is counted K-1 times, and -log p_t[1] once",
        "turn the labels into indices (argmax), or the sum into -sum of y_t * log p_t",
        core=({"error": lambda w: _labels_as_indices(w)}, {"error": lambda w: _labels_as_indices(w) / w.p.shape[2]}),
    ),
    Mistake(
        "label-not-subtracted",
        "the label is not subtracted from p",
        "g_t = p_t - y_t, the derivative of -log softmax(o_t)[y_t]",
        "g_t = p_t is used",
        "subtract 1 from p_t at the index y_t",
        core=({"error": lambda w: w.p},),
    ),
    Mistake(
        "bias-scalar",
        "a bias's gradient is summed to a scalar",
        "db = sum over t of da_t and dc = sum over t of g_t are vectors: the sum runs over time (and lanes), not over units or symbols",
        "np.sum without axis adds up everything: all of b get one and the same gradient, and c's is then exactly 0, because "
        "each g_t sums to 0, so that c never trains",
        "sum over the axes of time and lanes only",
        leaves={"b": (lambda w, g, da: np.full(da.shape[2], da.sum()),), "c": (lambda w, g, da: np.full(g.shape[2], g.sum()),)},
    ),
    Mistake(
        "bias-axis",
        "a bias's gradient is summed over the wrong axis",
        "db = sum over t of da_t (one number a unit) and dc = sum over t of g_t (one number a symbol)",
        "the sum runs over the units or symbols, which leaves one number a step (for c exactly 0, because each g_t sums to 0), or "
        "leaves out the steps or the lanes",
        "sum over the axes of time and lanes only; db must have b's shape",
        leaves={
            "b": (
                lambda w, g, da: da.sum(2),
                lambda w, g, da: da.sum(0),
                lambda w, g, da: da.sum(1),
                lambda w, g, da: da.sum((0, 2)),
                lambda w, g, da: da.sum((1, 2)),
            ),
            "c": (
                lambda w, g, da: g.sum(2),
                lambda w, g, da: g.sum(0),
                lambda w, g, da: g.sum(1),
                lambda w, g, da: g.sum((0, 2)),
                lambda w, g, da: g.sum((1, 2)),
            ),
        },
    ),
    Mistake(
        "never-computed",
        "a gradient is 0 throughout",
        "dL/dtheta of a parameter that the loss depends on is not 0 everywhere",
        "the zeros that it began with are returned: nothing was ever added to them",
        "add each step's term to the very array that is returned",
        leaves={name: (_nothing(right),) for name, right in RIGHT.items()},
    ),
    Mistake(
        "overwritten-first",
        "a gradient is overwritten at each step instead of summed",
        "dU, dW, dV, db and dc are sums over t = 1..T",
        "= stands where += should: only the term of t = 1, the last one that a backward loop computes, is left",
        "begin with zeros and use +=",
        leaves=at_one_step(0),
    ),
    Mistake(
        "overwritten-last",
        "a gradient has the term of the last step only",
        "dU, dW, dV, db and dc are sums over t = 1..T",
        "= stands where += should in a loop that goes forward, or the sum is made outside of the loop: only t = T is left",
        "begin with zeros and use +=, inside of the loop",
        leaves=at_one_step(-1),
    ),
    Mistake(
        "targets-for-inputs",
        "dU is gathered at the targets",
        "dU[:, x_t] += da_t: the column of the symbol that was read",
        "the column of the target y_t is used",
        "index with the inputs",
        leaves={"U": (lambda w, g, da: outer(da, np.eye(w.p.shape[2])[w.y]),)},
    ),
    Mistake(
        "repeated-columns",
        "a symbol that occurs twice is counted once in dU",
        "dU[:, x_t] += da_t, for every t",
        "dU[:, x] += da with an array of indices adds only the last of equal ones",
        "use np.add.at, a loop over t, or a product with the one-hot inputs",
        leaves={"U": (lambda w, g, da: _last_of_equal(w, da), lambda w, g, da: _last_of_equal_lanes(w, da))},
    ),
    Mistake(
        "mean-and-sum",
        "mean and sum are mixed up",
        "the gradient belongs to the loss: of a sum over t it is a sum, of a mean over T steps (and B lanes) it is that sum / T (/ B)",
        "loss and gradient are not scaled alike: they differ by a constant factor",
        "divide both by the number of characters, or neither",
    ),
    Mistake(
        "sign",
        "the sign is wrong",
        "g_t = p_t - y_t is the gradient of the loss, which descends along its negative",
        "the gradient of -loss is returned (g_t = y_t - p_t)",
        "turn the sign round, and subtract in the update",
    ),
    Mistake(
        "factor",
        "a constant factor is wrong",
        "dL/dtheta, of the very L that is returned",
        "the gradient is the right one times a constant",
        "look for a forgotten or doubled division",
    ),
    Mistake(
        "clipped",
        "the gradient was clipped before the comparison",
        "the gradient check compares dL/dtheta itself; clipping belongs to the update",
        "every entry is bounded by +-c, or the whole gradient is shortened to a norm c",
        "return the gradient unclipped, and clip right before the update",
    ),
)

# Mistakes of a numerical gradient; what each gives is computed by `charrnn.lab.check.Check.numeric_hypotheses`.
CHECKER_MISTAKES = (
    Mistake(
        "row-perturbed",
        "a whole row is perturbed instead of an entry",
        "dL/dW_ij = [L(W_ij + h) - L(W_ij - h)] / 2h, all other entries as they were",
        "W[i] += h moves every entry of row i: what comes out is the sum of the row's derivatives",
        "index with both, W[i, j] += h, or go through W.flat",
    ),
    Mistake(
        "column-perturbed",
        "a whole column is perturbed instead of an entry",
        "dL/dW_ij = [L(W_ij + h) - L(W_ij - h)] / 2h, all other entries as they were",
        "W[:, j] += h moves every entry of column j: what comes out is the sum of the column's derivatives",
        "index with both, W[i, j] += h, or go through W.flat",
    ),
    Mistake(
        "view-kept",
        "a view is kept as the old value",
        "dL/dW_ij = [L(W_ij + h) - L(W_ij - h)] / 2h around the same W_ij",
        "old = W[i:i+1] or W[i] is no copy: it moves with W, and old - h is then the old value itself. Only half of the way is "
        "walked, and the numerical gradient is exactly half",
        "keep a number or a copy: old = W[i, j], or old = W[i].copy()",
    ),
    Mistake(
        "step-counted-once",
        "the difference is divided by h, not 2h",
        "dL/dW_ij = [L(W_ij + h) - L(W_ij - h)] / 2h",
        "the distance of the two points is 2h",
        "divide by 2h",
    ),
    Mistake(
        "checker-zero",
        "the numerical gradient is 0 throughout",
        "dL/dW_ij = [L(W_ij + h) - L(W_ij - h)] / 2h: the loss has to feel the change of W_ij",
        "both losses are equal: a copy was changed that the loss does not read, or h is so small that W_ij + h is W_ij",
        "change the very array that the loss is computed from, by an h of about 1e-5",
    ),
    Mistake(
        "checker-labels",
        "the numerical gradient's loss takes one-hot labels for indices",
        "loss = sum over t of -log p_t[y_t], y_t an index from 0 to K-1",
        "the zeros and ones of the label are taken for K indices: the check differentiates another loss than the gradient's",
        "give both the same labels; turn one-hot ones into indices (argmax) or use -sum of y_t * log p_t",
    ),
    Mistake(
        "checker-clipped",
        "the comparison is made after clipping",
        "the gradient check compares dL/dtheta itself; clipping belongs to the update",
        "every entry is bounded by +-c",
        "compare first, clip afterwards",
    ),
    Mistake(
        "checker-factor",
        "the numerical gradient is of another scale",
        "the numerical gradient differentiates the very loss that the gradient belongs to",
        "it is the right one times a constant: mean and sum are mixed up, or the division is wrong",
        "differentiate the same loss, and divide by 2h",
    ),
)

BY_KEY = {mistake.key: mistake for mistake in (*MISTAKES, *CHECKER_MISTAKES)}


def _labels_as_indices(w: Window) -> Array:
    """The derivative by o of sum over k of -log p_t[Y_tk], Y one-hot: K p_t - (K-1) e_0 - e_1."""
    K = w.p.shape[2]
    unit = np.eye(K)
    return K * w.p - (K - 1) * unit[0] - unit[1]  # type: ignore[no-any-return]


def _last_of_equal(w: Window, da: Array) -> Array:
    """dU (m, K) as dU[:, x] += da gives it."""
    dU = np.zeros((w.p.shape[2], da.shape[2]))
    dU[w.x.reshape(-1)] += da.reshape(-1, da.shape[2])
    return dU.T


def _last_of_equal_lanes(w: Window, da: Array) -> Array:
    """dU (m, K) as dU[:, x_t] += da_t gives it in a loop over t, x_t being the symbols of all lanes."""
    dU = np.zeros((w.p.shape[2], da.shape[2]))
    for t in range(len(da)):
        dU[w.x[t]] += da[t]
    return dU.T
