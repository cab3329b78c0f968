"""The mistakes that people make in backprop-through-time, as one table: what each violates, and the gradient that it gives.

The gradient of a window is made in small steps (`charrnn.lab.window`); a mistake replaces one or more of these by wrong ones. So the
gradient that somebody would get by making it can be computed, and compared with the gradient that somebody got:
`charrnn.lab.explanation` names a mistake only where the two agree.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from charrnn.lab import wrongsteps as wrong
from charrnn.lab.window import RIGHT, Sum, outer


@dataclass(frozen=True)
class Mistake:
    """One row of the table: how it is called, the mathematics it violates, what is done instead, and what to do.

    core: variants of wrong steps, as options of `charrnn.lab.window.core`; sums: for each gradient, variants of its wrong sum over time.
    A mistake with neither is recognised from the whole gradient: a factor in `charrnn.lab.explanation`, clipping in `charrnn.lab.clipping`.
    """

    key: str
    name: str
    mathematics: str
    instead: str
    advice: str
    core: Sequence[Mapping[str, Any]] = ()
    sums: Mapping[str, Sequence[Sum]] = field(default_factory=dict)


MISTAKES = (
    Mistake(
        "h0-dropped",
        "h_0 is left out of dW",
        "dW = sum over t = 1..T of da_t h_{t-1}^T: the term of t = 1 is da_1 h_0^T, and h_0 is the state carried in",
        "the sum begins at t = 2, or takes 0 for h_0; from h_0 = 0 nothing of this can be seen",
        "keep h_0 together with h_1 .. h_T, and let the sum begin with it; check from an h_0 that is not 0",
        sums={"W": (lambda w, g, da: outer(da, wrong.previous(w, 0 * w.h[0])),)},
    ),
    Mistake(
        "h-wraps",
        "index t-1 = -1 wraps to the last state",
        "dW = sum over t = 1..T of da_t h_{t-1}^T: the h before the first step is h_0",
        "at the first step h[t-1] is h[-1], which Python takes for the last state, h_T",
        "store h_0 in front, h = [h_0, h_1, .., h_T], so that the state before step t always has an index",
        sums={"W": (lambda w, g, da: outer(da, wrong.previous(w, w.h[-1])),)},
    ),
    Mistake(
        "h-not-previous",
        "dW is made with h_t in the place of h_{t-1}",
        "dW = sum over t of da_t h_{t-1}^T, since a_t = W h_{t-1} + ..",
        "da_t is multiplied by the state that it leads to, not by the one it came from",
        "shift the index: the state that W multiplied at step t is h_{t-1}",
        sums={"W": (lambda w, g, da: outer(da, w.h[1:]),)},
    ),
    Mistake(
        "one-state",
        "dW is made with one and the same state at every step",
        "dW = sum over t of da_t h_{t-1}^T: each step has a state of its own before it",
        "a variable that the forward pass overwrites is read in the backward pass: at every step it holds h_T, or still h_0",
        "keep the states of all steps in a list or an array",
        sums={
            "W": (
                lambda w, g, da: outer(da, wrong.everywhere(w.h[-1], w)),
                lambda w, g, da: outer(da, wrong.everywhere(w.h[0], w)),
                lambda w, g, da: outer(da, wrong.everywhere(w.h[-2], w)),
            ),
            "V": (lambda w, g, da: outer(g, wrong.everywhere(w.h[-1], w)),),
        },
    ),
    Mistake(
        "da-from-before",
        "the next step's da is taken from t-1",
        "dh_t = V^T g_t + W^T da_{t+1}: errors flow back from the step after",
        "da[t-1] is used; there it is still 0, or, at the first step, da[-1] is the last one",
        "go backwards, t = T .. 1, and use the da of the step computed just before, da_{t+1}",
        core=(
            {"next_da": lambda da, t: da[t - 1]},
            {"next_da": lambda da, t: da[t - 1], "forwards": True},
            {"next_da": lambda da, t: da[t - 1] if t else 0 * da[0], "forwards": True},
        ),
    ),
    Mistake(
        "da-missing",
        "no error arrives from the step after",
        "dh_t = V^T g_t + W^T da_{t+1}",
        "W^T da_{t+1} is left out, or is still 0 when it is used (da[t-1] in a loop that goes backwards, say)",
        "add W^T da_{t+1}, and go backwards so that da_{t+1} is known",
        core=({"next_da": lambda da, t: 0 * da[0]},),
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
        "dh-accumulated",
        "what comes back is added up where it should be replaced",
        "dh_t = V^T g_t + W^T da_{t+1}: one term, that of the next step",
        "dh_next += W^T da stands where dh_next = W^T da should: the terms of all later steps arrive. Up to T = 2 nothing shows",
        "assign: dh_next = W^T da",
        core=({"accumulate": True},),
    ),
    Mistake(
        "truncated",
        "the error is cut off after some steps",
        "dh_t = V^T g_t + W^T da_{t+1}, from the last step back to the first",
        "each step's error goes back a fixed number of steps only: truncated backprop-through-time, an approximation",
        "go back to the first step of the window, or raise the number of steps to its length for the check",
        core=tuple({"reach": k} for k in range(1, 13)),
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
            {"slope": lambda w, t: 1 - w.a[t] ** 2},
        ),
    ),
    Mistake(
        "tanh-slope-brackets",
        "the derivative of tanh has a bracket in the wrong place",
        "tanh'(a_t) = 1 - tanh(a_t)^2 = 1 - h_t^2: tanh first, then the square, then the difference",
        "1 - tanh(a_t^2), (1 - tanh(a_t))^2, 1 - tanh(a_t) or the like is computed",
        "write 1 - np.tanh(a)**2, or 1 - h**2",
        core=wrong.everywhere_or_nearly(
            lambda w, t: 1 - np.tanh(w.a[t] ** 2),
            lambda w, t: (1 - w.h[t + 1]) ** 2,
            lambda w, t: 1 - w.h[t + 1],
            lambda w, t: 1 - np.tanh(w.h[t + 1] ** 2),
            lambda w, t: 1 + w.h[t + 1] ** 2,
        ),
    ),
    Mistake(
        "sigmoid-slope",
        "the derivative of another activation is taken",
        "da_t = dh_t (1 - h_t^2) for h = tanh(a), dh_t h_t (1 - h_t) for h = sigmoid(a), and dh_t where a_t > 0 for ReLU",
        "h (1 - h), the derivative of sigmoid, stands where that of tanh belongs, or the other way round",
        "take the derivative of the function that the forward pass applies",
        core=wrong.everywhere_or_nearly(
            lambda w, t: w.h[t + 1] * (1 - w.h[t + 1]),
            lambda w, t: wrong.sigmoid(w.a[t]) * (1 - wrong.sigmoid(w.a[t])),
            lambda w, t: wrong.sigmoid(w.h[t + 1]) * (1 - wrong.sigmoid(w.h[t + 1])),
            lambda w, t: 1 - w.h[t + 1] ** 2,
            lambda w, t: (w.a[t] > 0) * 1.0,
        ),
    ),
    Mistake(
        "labels-one-hot",
        "one-hot labels are given where indices are expected",
        "loss = sum over t of -log p_t[y_t], y_t an index from 0 to K-1",
        "the zeros and ones of the label are taken for K indices: -log p_t[0] is counted K-1 times, and -log p_t[1] once",
        "turn the labels into indices (argmax), or the sum into -sum of y_t * log p_t",
        core=({"error": wrong.labels_as_indices}, {"error": lambda w: wrong.labels_as_indices(w) / w.p.shape[2]}),
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
        "softmax-slope",
        "the derivative of softmax is left out, or counted twice",
        "g_t = p_t - y_t is the derivative of -log softmax(o_t)[y_t] by o_t: softmax's own derivative is in it already",
        "-y_t / p_t, the derivative by p_t, is taken for that by o_t, or p_t - y_t is multiplied by p_t (1 - p_t) once more",
        "use g_t = p_t - y_t as it is",
        core=(
            {"error": lambda w: -wrong.labels(w) / w.p},
            {"error": lambda w: (w.p - wrong.labels(w)) * w.p * (1 - w.p)},
            {"error": lambda w: -wrong.labels(w) * (1 - w.p)},
        ),
    ),
    Mistake(
        "some-steps-only",
        "the error of some steps is left out",
        "the loss is a sum over all steps, and g_t = p_t - y_t of each of them is sent back",
        "g_t of the last step only is sent back, or that of the last or the first step is left out",
        "let the loop run over all T steps; if only the last step counts, return its loss alone",
        core=tuple({"error": wrong.at_steps(*those)} for those in ((-1, None), (None, -1), (1, None), (None, None), (0, 1))),
    ),
    Mistake(
        "bias-scalar",
        "a bias's gradient is summed to a scalar",
        "db = sum over t of da_t and dc = sum over t of g_t are vectors: the sum runs over time (and the batch), not over units or symbols",
        "np.sum without axis adds up everything: all of b get one and the same gradient, and c's is then exactly 0, because "
        "each g_t sums to 0, so that c never trains",
        "sum over the axes of time and batch only",
        sums={"b": (lambda w, g, da: np.full(da.shape[2], da.sum()),), "c": (lambda w, g, da: np.full(g.shape[2], g.sum()),)},
    ),
    Mistake(
        "bias-axis",
        "a bias's gradient is summed over the wrong axis",
        "db = sum over t of da_t (one number a unit) and dc = sum over t of g_t (one number a symbol)",
        "the sum runs over the units or symbols, which leaves one number a step (for c exactly 0, because each g_t sums to 0), or "
        "leaves out the steps or the batch",
        "sum over the axes of time and batch only; db must have b's shape",
        sums={
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
        sums={name: (wrong.nothing(right),) for name, right in RIGHT.items()},
    ),
    Mistake(
        "overwritten-first",
        "a gradient is overwritten at each step instead of summed",
        "dU, dW, dV, db and dc are sums over t = 1..T",
        "= stands where += should: only the term of t = 1, the last one that a backward loop computes, is left",
        "begin with zeros and use +=",
        sums=wrong.over_steps(0, 1),
    ),
    Mistake(
        "overwritten-last",
        "a gradient has the term of the last step only",
        "dU, dW, dV, db and dc are sums over t = 1..T",
        "= stands where += should in a loop that goes forward, or the sum is made outside of the loop: only t = T is left",
        "begin with zeros and use +=, inside of the loop",
        sums=wrong.over_steps(-1, None),
    ),
    Mistake(
        "step-left-out",
        "a step is left out of a sum",
        "dU, dW, dV, db and dc are sums over t = 1..T",
        "the loop ends one step too early: range(T-1, 0, -1) never reaches t = 0, range(T-1) never the last step",
        "let the loop run over all T steps: range(T-1, -1, -1)",
        sums={name: (*wrong.over_steps(1, None)[name], *wrong.over_steps(None, -1)[name]) for name in RIGHT},
    ),
    Mistake(
        "dw-transposed",
        "the gradient of W is its own transpose",
        "dW = sum over t of da_t h_{t-1}^T, laid out as W is",
        "h_{t-1} da_t^T is summed; W is square, so no shape complains",
        "exchange the two factors of the outer product",
        sums={"W": (lambda w, g, da: outer(w.h[:-1], da),)},
    ),
    Mistake(
        "dh-summed",
        "dh stands where da should in a sum",
        "dW, dU and db are sums of da_t = dh_t (1 - h_t^2), what has passed the tanh",
        "dh_t is summed, the factor 1 - h_t^2 is missing in this gradient alone",
        "use the same da_t in dW, dU and db",
        sums={name: (wrong.of_dh(RIGHT[name]),) for name in "UWb"},
    ),
    Mistake(
        "v-previous-state",
        "dV is made with h_{t-1} in the place of h_t",
        "dV = sum over t of g_t h_t^T, since o_t = V h_t + c",
        "the state before the step is taken: the index is shifted by one",
        "use the state that V multiplied at step t, h_t",
        sums={"V": (lambda w, g, da: outer(g, w.h[:-1]), lambda w, g, da: outer(g, w.a))},
    ),
    Mistake(
        "inputs-shifted",
        "dU is gathered at the input of another step",
        "dU[:, x_t] += da_t: da and x of the same step",
        "the index of x is shifted by one",
        "use the same t for da_t and x_t",
        sums={"U": (lambda w, g, da: wrong.shifted(w, da, 1), lambda w, g, da: wrong.shifted(w, da, -1))},
    ),
    Mistake(
        "targets-for-inputs",
        "dU is gathered at the targets",
        "dU[:, x_t] += da_t: the column of the symbol that was read",
        "the column of the target y_t is used",
        "index with the inputs",
        sums={"U": (lambda w, g, da: outer(da, np.eye(w.p.shape[2])[w.y]),)},
    ),
    Mistake(
        "repeated-columns",
        "a symbol that occurs twice is counted once in dU",
        "dU[:, x_t] += da_t, for every t",
        "dU[:, x] += da with an array of indices adds only the last of equal ones",
        "use np.add.at, a loop over t, or a product with the one-hot inputs",
        sums={"U": (lambda w, g, da: wrong.last_of_equal(w, da), lambda w, g, da: wrong.last_of_equal_lanes(w, da))},
    ),
    Mistake(
        "mean-and-sum",
        "mean and sum are mixed up",
        "the gradient belongs to the loss: of a sum over t it is a sum, of a mean over T steps (and B sequences) it is that sum / T (/ B)",
        "loss and gradient are not scaled alike: they differ by a constant factor",
        "divide both by the number of characters, or neither",
    ),
    Mistake(
        "sign",
        "the sign is wrong",
        "g_t = p_t - y_t is the gradient of the loss, which descends along its negative",
        "the gradient of -loss is returned (g_t = y_t - p_t)",
        "change the sign, and subtract in the update",
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

BY_KEY = {mistake.key: mistake for mistake in MISTAKES}
