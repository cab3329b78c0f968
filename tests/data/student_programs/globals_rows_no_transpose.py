# Assignment: character RNN. (my own version, everything as rows)
import numpy as np
from random import uniform

txt = open("shakespeare.txt", encoding="utf8").read()
alphabet = sorted(set(txt))
K = len(alphabet)
H = 64
stoi = {c: i for i, c in enumerate(alphabet)}

rng = np.random.RandomState(1)
W_in = rng.randn(K, H) * .05
W_rec = rng.randn(H, H) * .05
W_out = rng.randn(H, K) * .05
b_h = np.zeros((1, H))
b_o = np.zeros((1, K))


def softmax_row(z):
    z = z - np.max(z)
    e = np.exp(z)
    return e / e.sum()


def step(x_idx, y_idx, h_start):
    n = len(x_idx)
    h = {-1: h_start}
    p = [None] * n
    L = 0.0
    for i in range(n):
        z = W_in[x_idx[i]].reshape(1, -1) + h[i - 1].dot(W_rec) + b_h
        h[i] = np.tanh(z)
        p[i] = softmax_row(h[i].dot(W_out) + b_o)
        L -= np.log(p[i][0, y_idx[i]])

    g_in = np.zeros(W_in.shape)
    g_rec = np.zeros(W_rec.shape)
    g_out = np.zeros(W_out.shape)
    g_bh = np.zeros(b_h.shape)
    g_bo = np.zeros(b_o.shape)
    carry = np.zeros((1, H))
    for i in range(n - 1, -1, -1):
        d = p[i].copy()
        d[0, y_idx[i]] -= 1
        g_out += h[i].T.dot(d)
        g_bo += d
        dh = d.dot(W_out.T) + carry
        dz = dh * (1 - h[i] ** 2)
        g_in[x_idx[i]] += dz[0]
        g_rec += h[i - 1].T.dot(dz)
        g_bh += dz
        carry = dz.dot(W_rec)
    return L, g_in, g_rec, g_out, g_bh, g_bo, h[n - 1]


def numgrad(x_idx, y_idx, h0, delta=1e-5):
    for w, name in zip((W_in, W_rec, W_out, b_h, b_o), ("in", "rec", "out", "bh", "bo")):
        for _ in range(10):
            r = int(uniform(0, w.size))
            keep = w.flat[r]
            w.flat[r] = keep + delta
            up = step(x_idx, y_idx, h0)[0]
            w.flat[r] = keep - delta
            down = step(x_idx, y_idx, h0)[0]
            w.flat[r] = keep
            print(name, (up - down) / (2 * delta))


if __name__ == "__main__":
    ids = [stoi[c] for c in txt]
    h = np.zeros((1, H))
    for e in range(0, len(ids) - 26, 25):
        L, *gs, h = step(ids[e:e + 25], ids[e + 1:e + 26], h)
        for w, g in zip((W_in, W_rec, W_out, b_h, b_o), gs):
            w -= 0.01 * g
        print(L)
