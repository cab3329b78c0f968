import numpy as np

class EmbeddingRNN:
    def __init__(self, vocab_size, embed_dim=4, hidden_dim=16):
        r = np.random.randn
        self.E = r(vocab_size, embed_dim) * 0.3
        self.Wx = r(embed_dim, hidden_dim) * 0.3
        self.Wh = r(hidden_dim, hidden_dim) * 0.3
        self.bh = np.zeros(hidden_dim)
        self.Wy = r(hidden_dim, vocab_size) * 0.3
        self.by = np.zeros(vocab_size)

    def loss(self, x, y, h0):
        T = len(x)
        h, p, L = {-1: h0}, {}, 0
        for t in range(T):
            h[t] = np.tanh(self.E[x[t]] @ self.Wx + h[t - 1] @ self.Wh + self.bh)
            z = h[t] @ self.Wy + self.by
            p[t] = np.exp(z - z.max()); p[t] /= p[t].sum()
            L -= np.log(p[t][y[t]])
        g = {k: np.zeros_like(v) for k, v in vars(self).items()}
        dh_next = np.zeros_like(h0)
        for t in reversed(range(T)):
            dz = p[t].copy(); dz[y[t]] -= 1
            g['Wy'] += np.outer(h[t], dz); g['by'] += dz
            da = (self.Wy @ dz + dh_next) * (1 - h[t] ** 2)
            g['Wx'] += np.outer(self.E[x[t]], da); g['Wh'] += np.outer(h[t - 1], da); g['bh'] += da
            g['E'][x[t]] += self.Wx @ da
            dh_next = self.Wh @ da
        return L, g
