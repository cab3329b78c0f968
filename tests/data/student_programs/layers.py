"""Layers for batches: forward gives (out, cache), backward takes (dout, cache)."""
import numpy as np


def rnn_step_forward(x, prev_h, Wx, Wh, b):
    next_h = np.tanh(x @ Wx + prev_h @ Wh + b)
    return next_h, (x, prev_h, Wx, Wh, next_h)


def rnn_step_backward(dnext_h, cache):
    x, prev_h, Wx, Wh, next_h = cache
    dz = dnext_h * (1 - next_h ** 2)
    return dz @ Wx.T, dz @ Wh.T, x.T @ dz, prev_h.T @ dz, dz.sum(axis=0)


def rnn_forward(x, h0, Wx, Wh, b):
    """x (N, T, D), h0 (N, H) -> h (N, T, H), cache"""
    h, cache, prev = [], [], h0
    for t in range(x.shape[1]):
        prev, c = rnn_step_forward(x[:, t], prev, Wx, Wh, b)
        h.append(prev)
        cache.append(c)
    return np.stack(h, axis=1), cache


def rnn_backward(dh, cache):
    """dh (N, T, H) -> dx, dh0, dWx, dWh, db"""
    N, T, H = dh.shape
    dx, dprev = [None] * T, np.zeros((N, H))
    dWx = dWh = db = 0
    for t in reversed(range(T)):
        dx[t], dprev, gx, gh, gb = rnn_step_backward(dh[:, t] + dprev, cache[t])
        dWx, dWh, db = dWx + gx, dWh + gh, db + gb
    return np.stack(dx, 1), dprev, dWx, dWh, db


def temporal_affine_forward(x, w, b):
    return x @ w + b, (x, w, b)


def temporal_affine_backward(dout, cache):
    x, w, b = cache
    return dout @ w.T, np.einsum('ntd,ntm->dm', x, dout), dout.sum(axis=(0, 1))


def temporal_softmax_loss(x, y, mask):
    N, T, V = x.shape
    flat, labels, m = x.reshape(N * T, V), y.reshape(N * T), mask.reshape(N * T)
    p = np.exp(flat - flat.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    loss = -np.sum(m * np.log(p[np.arange(N * T), labels])) / N
    dx = p.copy()
    dx[np.arange(N * T), labels] -= 1
    dx = dx * m[:, None] / N
    return loss, dx.reshape(N, T, V)
