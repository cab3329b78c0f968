from dataclasses import dataclass, fields
import numpy as np


@dataclass
class P:
    wx: np.ndarray
    wh: np.ndarray
    wo: np.ndarray
    bh: np.ndarray
    bo: np.ndarray


def new(vocab_size, hidden_size):
    n = np.random.default_rng(0).standard_normal
    return P(n((vocab_size, hidden_size)) * .1, n((hidden_size, hidden_size)) * .1, n((hidden_size, vocab_size)) * .1,
             np.zeros(hidden_size), np.zeros(vocab_size))


def value_and_grad(p, batch, h):
    """batch: a pair (x, y) of integer arrays (B, T); mean loss over all characters"""
    x, y = batch
    B, T = x.shape
    hs, qs = [h], []
    for t in range(T):
        hs.append(np.tanh(p.wx[x[:, t]] + hs[-1] @ p.wh + p.bh))
        z = hs[-1] @ p.wo + p.bo
        e = np.exp(z - z.max(1, keepdims=True))
        qs.append(e / e.sum(1, keepdims=True))
    loss = -np.mean([np.log(qs[t][range(B), y[:, t]]) for t in range(T)])
    g = P(*(np.zeros_like(getattr(p, f.name)) for f in fields(p)))
    up = np.zeros_like(h)
    for t in range(T - 1, -1, -1):
        d = qs[t].copy()
        d[range(B), y[:, t]] -= 1
        d /= B * T
        g.wo += hs[t + 1].T @ d
        g.bo += d.sum(0)
        da = (d @ p.wo.T + up) * (1 - hs[t + 1] ** 2)
        g.wx[x[:, t]] += da
        g.wh += hs[t].T @ da
        g.bh += da.sum(0)
        up = da @ p.wh.T
    return loss, g
