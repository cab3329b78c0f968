import numpy as np


class Rnn:
    def __init__(self, nin, nh, nout):
        self.wx = np.random.randn(nin, nh) * 0.1
        self.wh = np.random.randn(nh, nh) * 0.1
        self.wy = np.random.randn(nh, nout) * 0.1
        self.bh = np.zeros(nh)
        self.by = np.zeros(nout)

    def train_on(self, seq, labels, lr=0.1):
        """One step of gradient descent. Returns the mean loss before it."""
        n = len(seq)
        h = [np.zeros(self.wh.shape[0])]
        p = []
        for s in seq:
            h.append(np.tanh(self.wx[s] + h[-1] @ self.wh + self.bh))
            z = np.exp(h[-1] @ self.wy + self.by)
            p.append(z / z.sum())
        loss = -np.mean([np.log(p[t][labels[t]]) for t in range(n)])
        gx, gh, gy = np.zeros_like(self.wx), np.zeros_like(self.wh), np.zeros_like(self.wy)
        gbh, gby = np.zeros_like(self.bh), np.zeros_like(self.by)
        d_next = np.zeros_like(self.bh)
        for t in range(n - 1, -1, -1):
            dy = p[t]
            dy[labels[t]] -= 1
            dy /= n
            gy += np.outer(h[t + 1], dy)
            gby += dy
            d = (self.wy @ dy + d_next) * (1 - h[t + 1] ** 2)
            gx[seq[t]] += d
            gh += np.outer(h[t], d)
            gbh += d
            d_next = self.wh @ d
        self.wx -= lr * gx
        self.wh -= lr * gh
        self.wy -= lr * gy
        self.bh -= lr * gbh
        self.by -= lr * gby
        return loss
