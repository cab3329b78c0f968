import numpy as np
from collections import namedtuple

Params = namedtuple("Params", "U V W b c")
Cache = namedtuple("Cache", ["h", "a", "p"])

def init(K, m):
    return Params(np.random.randn(m, K), np.random.randn(K, m), np.random.randn(m, m), np.zeros((m, 1)), np.zeros((K, 1)))

def fprop(net, X, h0):
    T = len(X)
    h, a, p = [h0], [], []
    for t in range(T):
        a.append(net.W @ h[-1] + net.U @ X[t] + net.b)
        h.append(np.tanh(a[-1]))
        o = net.V @ h[-1] + net.c
        p.append(np.exp(o) / np.exp(o).sum())
    return Cache(h, a, p)

def bprop(net, cache, X, Y):
    T = len(X)
    gU, gV, gW, gb, gc = (np.zeros_like(w) for w in net)
    g_a = np.zeros_like(net.b)
    for t in reversed(range(T)):
        g_o = cache.p[t] - Y[t]
        gV += g_o @ cache.h[t + 1].T
        gc += g_o
        g_h = net.V.T @ g_o + net.W.T @ g_a
        g_a = g_h * (1 - cache.h[t] ** 2)
        gU += g_a @ X[t].T
        gW += g_a @ cache.h[t].T
        gb += g_a
    return Params(gU, gV, gW, gb, gc)

def loss(cache, Y):
    return -sum(np.log(y.T @ p).item() for y, p in zip(Y, cache.p))
