"""Gradients as people write them: three right ones in three styles, and the changes that make them wrong.

A wrong one is a right one with a line replaced, as a student would have written it.
"""

import inspect
import textwrap

import numpy as np


def columns(parameters, inputs, targets, hprev):
    """Column vectors, dicts, a loop over characters; the loss is a sum."""
    Wxh, Whh, Why, bh, by = (parameters[name] for name in ("Wxh", "Whh", "Why", "bh", "by"))
    x, h, p, a = {}, {-1: np.copy(hprev)}, {}, {}
    loss = 0
    T = len(inputs)
    for t in range(T):
        x[t] = np.zeros((Wxh.shape[1], 1))
        x[t][inputs[t]] = 1
        a[t] = Wxh @ x[t] + Whh @ h[t - 1] + bh
        h[t] = np.tanh(a[t])
        o = Why @ h[t] + by
        p[t] = np.exp(o) / np.sum(np.exp(o))
        loss += -np.log(p[t][targets[t], 0])
    d = {name: np.zeros_like(array) for name, array in parameters.items()}
    dhnext = np.zeros_like(h[0])
    for t in reversed(range(T)):
        g = np.copy(p[t])
        g[targets[t]] -= 1
        d["Why"] += g @ h[t].T
        d["by"] += g
        dh = Why.T @ g + dhnext
        da = (1 - h[t] ** 2) * dh
        d["bh"] += da
        d["Wxh"] += da @ x[t].T
        d["Whh"] += da @ h[t - 1].T
        dhnext = Whh.T @ da
    return loss, d


def batches(parameters, X, Y, h0):
    """Row vectors, a tuple, one-hot batches (B, T, K); the loss is a mean."""
    U, W, V, b, c = parameters
    B, T, K = X.shape
    m = len(b)
    H = np.zeros((T + 1, B, m))
    H[0] = h0
    P = np.zeros((T, B, K))
    Y = Y.transpose(1, 0, 2)
    for t in range(T):
        H[t + 1] = np.tanh(X[:, t] @ U + H[t] @ W + b)
        O = H[t + 1] @ V + c  # noqa: E741
        E = np.exp(O - O.max(axis=1, keepdims=True))
        P[t] = E / E.sum(axis=1, keepdims=True)
    loss = -np.sum(Y * np.log(P)) / (B * T)
    G = (P - Y) / (B * T)
    DA = np.zeros((T, B, m))
    for t in reversed(range(T)):
        following = DA[t + 1] if t + 1 < T else np.zeros((B, m))
        DH = G[t] @ V.T + following @ W.T
        DA[t] = DH * (1 - H[t + 1] ** 2)
    dU = np.einsum("btk,tbm->km", X, DA)
    dW = np.einsum("tbi,tbj->ij", H[:-1], DA)
    dV = np.einsum("tbi,tbk->ik", H[1:], G)
    db = DA.sum(axis=(0, 1))
    dc = G.sum(axis=(0, 1))
    return loss, (dU, dW, dV, db, dc)


def flat(theta, x, y, h0):
    """One flat parameter vector of 5 hidden units and 7 symbols; a window of indices, without loops where none is needed."""
    m, K = 5, 7
    W, U, b, V, c = np.split(theta, np.cumsum([m * m, m * K, m, K * m]))
    W, U, V = W.reshape(m, m), U.reshape(m, K), V.reshape(K, m)
    T = len(x)
    h = np.zeros((T, m))
    previous = np.zeros((T, m))
    state = h0
    for t in range(T):
        previous[t] = state
        state = h[t] = np.tanh(W @ state + U[:, x[t]] + b)
    o = h @ V.T + c
    e = np.exp(o - o.max(axis=1, keepdims=True))
    p = e / e.sum(axis=1, keepdims=True)
    loss = -np.log(p[np.arange(T), y]).sum()
    g = p.copy()
    g[np.arange(T), y] -= 1
    da = np.zeros((T, m))
    for t in range(T - 1, -1, -1):
        dh = V.T @ g[t]
        if t + 1 < T:
            dh = dh + W.T @ da[t + 1]
        da[t] = dh * (1 - h[t] ** 2)
    dU = np.zeros((m, K))
    np.add.at(dU.T, x, da)
    dW = da.T @ previous
    db = da.sum(axis=0)
    dV = g.T @ h
    dc = g.sum(axis=0)
    return loss, np.concatenate([dW.ravel(), dU.ravel(), db, dV.ravel(), dc])


def numeric(parameters, inputs, targets, hprev):
    """The numerical gradient of `columns`, entry by entry."""
    h = 1e-5
    out = {}
    for name, array in parameters.items():
        out[name] = np.zeros_like(array)
        for i in range(array.shape[0]):
            for j in range(array.shape[1]):
                old = array[i, j]
                array[i, j] = old + h
                above = columns(parameters, inputs, targets, hprev)[0]
                array[i, j] = old - h
                below = columns(parameters, inputs, targets, hprev)[0]
                array[i, j] = old
                out[name][i, j] = (above - below) / (2 * h)
    return out


def changed(function, *changes):
    """The function with (old, new) replacements in its source, each of which must apply."""
    source = textwrap.dedent(inspect.getsource(function))
    for old, new in changes:
        assert old in source, f"{function.__name__} has no {old!r}"
        source = source.replace(old, new)
    scope = dict(globals())
    exec(compile(source, f"{function.__name__} changed", "exec"), scope)
    return scope[function.__name__]


# Truncated after two steps: each step's error walks back by itself.
TWO_STEPS_BACK = [
    (
        "        da = (1 - h[t] ** 2) * dh\n",
        "        da = 0\n        for k in range(t, min(t + 3, T)):\n            da = da + walked(p, h, targets, Why, Whh, k, t)\n",
    )
]
TWO_STEPS_BACK_FLAT = [
    (
        "        da[t] = dh * (1 - h[t] ** 2)\n",
        "        da[t] = sum(walked(p[:, :, None], h[:, :, None], y, V, W, k, t)[:, 0] for k in range(t, min(t + 3, T)))\n",
    )
]


def walked(p, h, targets, V, W, k, t):
    """What the error of step k is at step t."""
    g = np.copy(p[k])
    g[targets[k]] -= 1
    da = (V.T @ g) * (1 - h[k] ** 2)
    for i in range(k - 1, t - 1, -1):
        da = (W.T @ da) * (1 - h[i] ** 2)
    return da


# (mistake, in which style, the changes, in which gradients it shows)
WRONG = [
    ("h0-dropped", columns, [('d["Whh"] += da @ h[t - 1].T', 'd["Whh"] += da @ h[t - 1].T if t > 0 else 0')], "W"),
    ("h0-dropped", batches, [("H[:-1], DA)", "H[1:-1], DA[1:])")], "W"),
    ("h0-dropped", flat, [("dW = da.T @ previous", "dW = da[1:].T @ h[:-1]")], "W"),
    ("h-wraps", flat, [("dW = da.T @ previous", "dW = sum(np.outer(da[t], h[t - 1]) for t in range(T))")], "W"),
    ("h-wraps", batches, [("H[:-1], DA)", "np.roll(H[1:], 1, axis=0), DA)")], "W"),
    ("h-not-previous", columns, [("da @ h[t - 1].T", "da @ h[t].T")], "W"),
    ("h-not-previous", batches, [("H[:-1], DA)", "H[1:], DA)")], "W"),
    ("da-from-before", flat, [("if t + 1 < T:\n", "if True:\n"), ("W.T @ da[t + 1]", "W.T @ da[t - 1]")], "UWb"),
    ("da-from-before", batches, [("DA[t + 1] if t + 1 < T else", "DA[t - 1] if t > 0 else"), ("reversed(range(T))", "range(T)")], "UWb"),
    ("da-missing", batches, [("DA[t + 1] if t + 1 < T else", "DA[t - 1] if t > 0 else")], "UWb"),
    ("da-missing", columns, [("dh = Why.T @ g + dhnext", "dh = Why.T @ g")], "UWb"),
    ("dh-passed-on", columns, [("dhnext = Whh.T @ da", "dhnext = Whh.T @ dh")], "UWb"),
    ("w-not-transposed", columns, [("dhnext = Whh.T @ da", "dhnext = Whh @ da")], "UWb"),
    ("w-not-transposed", batches, [("following @ W.T", "following @ W")], "UWb"),
    ("w-not-transposed", flat, [("W.T @ da[t + 1]", "W @ da[t + 1]")], "UWb"),
    ("tanh-slope-missing", columns, [("da = (1 - h[t] ** 2) * dh", "da = dh")], "UWb"),
    ("tanh-slope-shifted", batches, [("(1 - H[t + 1] ** 2)", "(1 - H[t] ** 2)")], "UWb"),
    ("tanh-slope-shifted", columns, [("da = (1 - h[t] ** 2)", "da = (1 - a[t] ** 2)")], "UWb"),
    ("tanh-slope-shifted", flat, [("(1 - h[t] ** 2)", "(1 - np.tanh(h[t]) ** 2)")], "UWb"),
    ("labels-one-hot", flat, [("g[np.arange(T), y] -= 1", "g = sum(p - np.eye(K)[i] for i in [1] + [0] * (K - 1))")], "UWVbc"),
    ("label-not-subtracted", columns, [("        g[targets[t]] -= 1\n", "")], "UWVbc"),
    ("bias-scalar", columns, [('d["bh"] += da', 'd["bh"] += np.sum(da)'), ('d["by"] += g', 'd["by"] += np.sum(g)')], "bc"),
    ("bias-scalar", batches, [("db = DA.sum(axis=(0, 1))", "db = DA.sum()")], "b"),
    ("bias-scalar", flat, [("dc = g.sum(axis=0)", "dc = np.full(K, g.sum())")], "c"),
    ("bias-axis", batches, [("dc = G.sum(axis=(0, 1))", "dc = G.sum(axis=(0, 2))")], "c"),
    ("bias-axis", batches, [("db = DA.sum(axis=(0, 1))", "db = DA.sum(axis=0)")], "b"),
    ("never-computed", columns, [("return loss, d", "return loss, {k: 0 * v for k, v in d.items()}")], "UWVbc"),
    ("never-computed", columns, [('        d["Whh"] += da @ h[t - 1].T\n', "")], "W"),
    ("overwritten-first", columns, [('d["Wxh"] += da @ x[t].T', 'd["Wxh"] = da @ x[t].T'), ('d["bh"] += da', 'd["bh"] = da')], "Ub"),
    ("overwritten-last", batches, [('"tbi,tbk->ik", H[1:], G', '"tbi,tbk->ik", H[-1:], G[-1:]')], "V"),
    ("targets-for-inputs", flat, [("np.add.at(dU.T, x, da)", "np.add.at(dU.T, y, da)")], "U"),
    ("repeated-columns", flat, [("np.add.at(dU.T, x, da)", "dU.T[x] += da")], "U"),
    ("mean-and-sum", columns, [("return loss, d", "return loss / T, d")], "UWVbc"),
    ("mean-and-sum", batches, [("G = (P - Y) / (B * T)", "G = P - Y")], "UWVbc"),
    ("mean-and-sum", flat, [("dV = g.T @ h", "dV = g.T @ h / T")], "V"),
    (
        "repeated-columns",
        batches,
        [('dU = np.einsum("btk,tbm->km", X, DA)', "dU = np.zeros_like(U)\n    for t in range(T):\n        dU[X[:, t].argmax(1)] += DA[t]")],
        "U",
    ),
    ("sign", batches, [("G = (P - Y) / (B * T)", "G = (Y - P) / (B * T)")], "UWVbc"),
    ("factor", columns, [('d["Why"] += g @ h[t].T', 'd["Why"] += 2 * g @ h[t].T')], "V"),
    ("clipped", columns, [("return loss, d", "return loss, {k: np.clip(v, -5, 5) for k, v in d.items()}")], "UWVbc"),
    ("clipped", flat, [("return loss, np.concatenate(", "return loss, np.clip(np.concatenate("), ("dc])", "dc]), -0.1, 0.1)")], "UWVbc"),
    (
        "clipped",
        columns,
        [
            (
                "return loss, d",
                "norm = np.sqrt(sum((v**2).sum() for v in d.values()))\n    return loss, {k: v * min(1, 5 / norm) for k, v in d.items()}",
            )
        ],
        "UWVbc",
    ),
    (
        "clipped",
        columns,
        [
            (
                "return loss, d",
                "norm = np.sqrt(sum((v**2).sum() for v in d.values()))\n    return loss, {k: v * min(1, 0.2 / norm) for k, v in d.items()}",
            )
        ],
        "UWVbc",
    ),
    ("clipped", columns, [("return loss, d", "return loss, d | {'Whh': np.clip(d['Whh'], -5, 5)}")], "W"),
    ("clipped", columns, [("return loss, d", "return loss, d | {k: np.clip(d[k], -1, 1) for k in ('Wxh', 'Whh')}")], "UW"),
    ("clipped", columns, [("return loss, d", "return loss, {k: np.minimum(v, 5) for k, v in d.items()}")], "UWb"),
    ("clipped", columns, [("return loss, d", "return loss, {k: v * min(1, 5 / np.sqrt((v ** 2).sum())) for k, v in d.items()}")], "UWVb"),
    ("one-state", columns, [('d["Whh"] += da @ h[t - 1].T', 'd["Whh"] += da @ h[T - 1].T')], "W"),
    ("one-state", flat, [("dW = da.T @ previous", "dW = np.outer(da.sum(axis=0), h0)")], "W"),
    ("dh-accumulated", columns, [("dhnext = Whh.T @ da", "dhnext = dhnext + Whh.T @ da")], "UWb"),
    (
        "dh-accumulated",
        batches,
        [("following = DA[t + 1] if t + 1 < T else np.zeros((B, m))", "following = DA[t + 1 :].sum(axis=0)")],
        "UWb",
    ),
    ("truncated", columns, [("dh = Why.T @ g + dhnext", "dh = Why.T @ g"), *TWO_STEPS_BACK], "UWb"),
    ("truncated", flat, TWO_STEPS_BACK_FLAT, "UWb"),
    ("tanh-slope-brackets", columns, [("(1 - h[t] ** 2)", "(1 - np.tanh(a[t] ** 2))")], "UWb"),
    ("tanh-slope-brackets", batches, [("(1 - H[t + 1] ** 2)", "(1 - H[t + 1]) ** 2")], "UWb"),
    ("tanh-slope-brackets", columns, [("(1 - h[t] ** 2)", "(1 - h[t] ** 2 if t == T - 1 else 1 - np.tanh(a[t] ** 2))")], "UWb"),
    ("sigmoid-slope", columns, [("(1 - h[t] ** 2)", "h[t] * (1 - h[t])")], "UWb"),
    ("sigmoid-slope", batches, [("(1 - H[t + 1] ** 2)", "H[t + 1] * (1 - H[t + 1])")], "UWb"),
    (
        "softmax-slope",
        columns,
        [("        g[targets[t]] -= 1\n", "        g = g * 0\n        g[targets[t]] = -1 / p[t][targets[t]]\n")],
        "UWVbc",
    ),
    ("softmax-slope", flat, [("g[np.arange(T), y] -= 1", "g[np.arange(T), y] -= 1\n    g *= p * (1 - p)")], "UWVbc"),
    (
        "some-steps-only",
        columns,
        [("g = np.copy(p[t])", "g = np.copy(p[t])\n        if t < T - 1:\n            g[:] = 0\n            g[targets[t]] = 1")],
        "UWVbc",
    ),
    ("some-steps-only", batches, [("G = (P - Y) / (B * T)", "G = (P - Y) / (B * T)\n    G[0] = 0")], "UWVbc"),
    ("step-left-out", columns, [('d["Wxh"] += da @ x[t].T', 'd["Wxh"] += da @ x[t].T * (t > 0)')], "U"),
    ("step-left-out", flat, [("dV = g.T @ h", "dV = g[:-1].T @ h[:-1]"), ("dc = g.sum(axis=0)", "dc = g[:-1].sum(axis=0)")], "Vc"),
    ("dw-transposed", columns, [('d["Whh"] += da @ h[t - 1].T', 'd["Whh"] += h[t - 1] @ da.T')], "W"),
    ("dw-transposed", batches, [("H[:-1], DA)", "DA, H[:-1])")], "W"),
    ("dh-summed", columns, [('d["bh"] += da', 'd["bh"] += dh')], "b"),
    ("dh-summed", columns, [('d["Whh"] += da @', 'd["Whh"] += dh @')], "W"),
    ("v-previous-state", columns, [('d["Why"] += g @ h[t].T', 'd["Why"] += g @ h[t - 1].T')], "V"),
    ("v-previous-state", batches, [("H[1:], G)", "H[:-1], G)")], "V"),
    ("inputs-shifted", columns, [('d["Wxh"] += da @ x[t].T', 'd["Wxh"] += da @ x[(t + 1) % T].T')], "U"),
    ("inputs-shifted", flat, [("np.add.at(dU.T, x, da)", "np.add.at(dU.T, np.roll(x, 1), da)")], "U"),
]

# (the mistakes of one function, its style, the changes)
WRONG_TWICE = [
    (
        {"w-not-transposed", "h0-dropped"},
        columns,
        [("dhnext = Whh.T @ da", "dhnext = Whh @ da"), ("da @ h[t - 1].T", "da @ h[t - 1].T if t > 0 else 0")],
    ),
    (
        {"tanh-slope-missing", "w-not-transposed", "bias-scalar"},
        batches,
        [("DH * (1 - H[t + 1] ** 2)", "DH"), ("following @ W.T", "following @ W"), ("dc = G.sum(axis=(0, 1))", "dc = G.sum()")],
    ),
    ({"mean-and-sum", "bias-scalar"}, flat, [("db = da.sum(axis=0)", "db = np.full(m, da.sum())"), ("y]).sum()", "y]).mean()")]),
]

# (mistake, changes of `numeric`, in which gradients it shows)
WRONG_CHECKERS = [
    (
        "row-perturbed",
        [
            ("array[i, j] = old + h", "array[i] = old_row + h"),
            ("array[i, j] = old - h", "array[i] = old_row - h"),
            ("array[i, j] = old\n", "array[i] = old_row\n"),
            ("old = array[i, j]", "old_row = array[i].copy()"),
        ],
        "UWV",
    ),
    (
        "column-perturbed",
        [
            ("array[i, j] = old + h", "array[:, j] = old + h"),
            ("array[i, j] = old - h", "array[:, j] = old - h"),
            ("array[i, j] = old\n", "array[:, j] = old\n"),
            ("old = array[i, j]", "old = array[:, j].copy()"),
        ],
        "UWVbc",
    ),
    (
        "view-kept",
        [("old = array[i, j]", "old = array[i]"), ("= old + h", "= old[j] + h"), ("= old - h", "= old[j] - h"), ("= old\n", "= old[j]\n")],
        "UWVbc",
    ),
    ("step-counted-once", [("/ (2 * h)", "/ h")], "UWVbc"),
    ("checker-labels", [("columns(parameters, ", "one_hot_for_indices(parameters, ")], "UWVbc"),
    ("checker-clipped", [("return out", "return {k: np.clip(v, -0.1, 0.1) for k, v in out.items()}")], "UWVbc"),
    ("gradient-perturbed", [("array[i, j] = old + h", "array = array.copy()")], "UWVbc"),
    (
        "gradient-perturbed",
        [
            ("array[i, j] = old + h", "out[name][i, j] = old + h"),
            ("array[i, j] = old - h", "out[name][i, j] = old - h"),
            ("array[i, j] = old\n", "\n"),
        ],
        "UWVbc",
    ),
    (
        "row-perturbed-view",
        [
            ("array[i, j] = old + h", "array[i] = old_row + h"),
            ("array[i, j] = old - h", "array[i] = old_row - h"),
            ("array[i, j] = old\n", "array[i] = old_row\n"),
            ("old = array[i, j]", "old_row = array[i] if array.shape[1] > 1 else array[i].copy()"),
        ],
        "UWV",
    ),
    ("rows-left-out", [("for i in range(array.shape[0]):", "for i in range(array.shape[0] - (name == 'Whh')):")], "W"),
    (
        "state-drifts",
        [
            ("h = 1e-5", "h = 1e-5\n    state = carried"),
            ("columns(parameters, inputs, targets, hprev)[0]", "drifting(parameters, inputs, targets, state)"),
        ],
        "UWVbc",
    ),
    ("checker-zero", [("h = 1e-5", "h = 1e-17")], "UWVbc"),
    ("checker-zero", [("for i in range(array.shape[0]):", "for i in range(array.shape[0] if name != 'Whh' else 0):")], "W"),
    ("checker-factor", [("/ (2 * h)", "/ (2 * h) / len(inputs)")], "UWVbc"),
]


carried = np.zeros((5, 1))  # a state that nobody sets back


def drifting(parameters, inputs, targets, state):
    """The loss of `columns`, which leaves its last state where the next evaluation begins."""
    loss = columns(parameters, inputs, targets, state)[0]
    for i in inputs:
        state[:] = np.tanh(parameters["Wxh"][:, [i]] + parameters["Whh"] @ state + parameters["bh"])
    return loss


def one_hot_for_indices(parameters, inputs, targets, hprev):
    """The loss of `columns` with labels one-hot (K, T), whose zeros and ones then pick p[0] and p[1]."""
    K, T = len(parameters["by"]), len(inputs)
    h, p = hprev, np.zeros((K, T))
    for t in range(T):
        h = np.tanh(parameters["Wxh"][:, [inputs[t]]] + parameters["Whh"] @ h + parameters["bh"])
        o = parameters["Why"] @ h + parameters["by"]
        p[:, t] = (np.exp(o) / np.exp(o).sum())[:, 0]
    labels = np.eye(K, dtype=int)[:, targets]
    return -np.log(p[labels, np.arange(T)]).sum(), None
