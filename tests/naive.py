"""Training as the mathematics writes it, with plain NumPy loops: what `CharRNN.train` is compared with."""

import numpy as np


def windows(N, T, B, updates):
    """For each update: where its window starts in each stream, and whether it begins an epoch. As the text is walked."""
    stream, e, first = N // B, 0, True
    for _ in range(updates):
        begins = first or e > stream - T - 1
        if begins:
            e = 0
        yield e, begins
        e, first = e + T, False


def gradients(p, x, y, h0):
    """Loss of one window (T, B) summed, its gradients, the states (T+1, B, m)."""
    (T, B), m = x.shape, len(p["b"])
    h = [h0]
    probabilities, loss = [], 0.0
    for t in range(T):
        h.append(np.tanh(h[-1] @ p["W"].T + p["U"][:, x[t]].T + p["b"]))
        o = h[-1] @ p["V"].T + p["c"]
        e = np.exp(o - o.max(1, keepdims=True))
        probabilities.append(e / e.sum(1, keepdims=True))
        loss -= np.log(probabilities[-1][np.arange(B), y[t]]).sum()
    g = {name: np.zeros_like(array) for name, array in p.items()}
    da = np.zeros((B, m))
    for t in reversed(range(T)):
        do = probabilities[t].copy()
        do[np.arange(B), y[t]] -= 1
        g["V"] += do.T @ h[t + 1]
        g["c"] += do.sum(0)
        da = (do @ p["V"] + da @ p["W"]) * (1 - h[t + 1] ** 2)
        g["W"] += da.T @ h[t]
        g["b"] += da.sum(0)
        for lane in range(B):
            g["U"][:, x[t, lane]] += da[lane]
    return loss, g, h


def train(
    p, ids, updates, T, B, optimizer, rate, clip=np.inf, clip_norm=np.inf, eps=1e-8, beta1=0.9, beta2=0.999, reduction="sum", input_rate=1.0
):
    """Trains p in place; per update the loss and the smooth loss (sums over the window), and the parameters after it."""
    stream, m = len(ids) // B, len(p["b"])
    lanes = ids[: stream * B].reshape(B, stream).T
    first = {name: np.zeros_like(array) for name, array in p.items()}
    second = {name: np.zeros_like(array) for name, array in p.items()}
    h, smooth, out = np.zeros((B, m)), None, []
    rates = rate if callable(rate) else lambda step: rate
    for step, (e, begins) in enumerate(windows(len(ids), T, B, updates), 1):
        if begins:
            h = np.zeros((B, m))
        loss, g, states = gradients(p, lanes[e : e + T], lanes[e + 1 : e + T + 1], h)
        h = states[-1]
        smooth = loss if smooth is None else 0.999 * smooth + 0.001 * loss
        if reduction == "mean":
            g = {name: array / (T * B) for name, array in g.items()}
        norm = np.sqrt(sum((array**2).sum() for array in g.values()))
        for name in p:
            q = np.clip(g[name] * min(1, clip_norm / norm), -clip, clip)
            s, v = first[name], second[name]
            eta = rates(step) * (input_rate if name == "U" else 1)
            if optimizer == "adagrad":
                s += q * q
                p[name] -= eta * q / np.sqrt(s + eps)
            elif optimizer == "adam":
                s[:] = beta1 * s + (1 - beta1) * q
                v[:] = beta2 * v + (1 - beta2) * q * q
                p[name] -= eta * (s / (1 - beta1**step)) / (np.sqrt(v / (1 - beta2**step)) + eps)
            elif optimizer == "rmsprop":
                v[:] = beta2 * v + (1 - beta2) * q * q
                p[name] -= eta * q / (np.sqrt(v) + eps)
            else:
                s[:] = beta1 * s + q
                p[name] -= eta * s
        out.append((loss, smooth, {name: array.copy() for name, array in p.items()}))
    return out
