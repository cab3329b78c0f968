import numpy as np


class RNN:
    def __init__(self, vocab, units):
        self.vocab, self.units = vocab, units
        g = np.random.RandomState(4)
        self.w = [g.randn(units, vocab) * .1, g.randn(units, units) * .1, g.randn(vocab, units) * .1, np.zeros(units), np.zeros(vocab)]

    def parameters(self):
        return self.w

    def __call__(self, ids, h):
        U, W, V, b, c = self.w
        out = []
        for i in ids:
            h = np.tanh(U[:, i] + W.dot(h) + b)
            out.append((h, V.dot(h) + c))
        return out

    def step(self, ids, labels, h0):
        U, W, V, b, c = self.w
        out = self(ids, h0)
        self.g = [np.zeros_like(a) for a in self.w]
        L, back = 0, np.zeros(self.units)
        for t in range(len(ids) - 1, -1, -1):
            h, z = out[t]
            q = np.exp(z - z.max()); q /= q.sum()
            L -= np.log(q[labels[t]])
            q[labels[t]] -= 1
            before = out[t - 1][0] if t else h0
            self.g[2] += np.outer(q, h); self.g[4] += q
            da = (V.T.dot(q) + back) * (1 - h * h)
            self.g[0][:, ids[t]] += da; self.g[1] += np.outer(da, before); self.g[3] += da
            back = W.T.dot(da)
        return L
