import numpy as np

class PoetryNet:
    def __init__(self, text, hidden=64):
        self.alphabet = sorted(set(text))
        self.index = {ch: i for i, ch in enumerate(self.alphabet)}
        n = len(self.alphabet)
        self.Wxh, self.Whh, self.Why = np.random.randn(hidden, n) * .1, np.random.randn(hidden, hidden) * .1, np.random.randn(n, hidden) * .1
        self.bh, self.by = np.zeros((hidden, 1)), np.zeros((n, 1))

    def column(self, ch):
        v = np.zeros((len(self.alphabet), 1))
        v[self.index[ch]] = 1
        return v

    def loss_and_gradients(self, chunk, following, h):
        """chunk and following: strings of the same length"""
        X = [self.column(ch) for ch in chunk]
        hs, ps, loss = [h], [], 0
        for x, ch in zip(X, following):
            hs.append(np.tanh(self.Wxh @ x + self.Whh @ hs[-1] + self.bh))
            e = np.exp(self.Why @ hs[-1] + self.by)
            ps.append(e / e.sum())
            loss -= np.log(ps[-1][self.index[ch], 0])
        d = dict(Wxh=0, Whh=0, Why=0, bh=0, by=0)
        nxt = 0 * h
        for t in range(len(X) - 1, -1, -1):
            g = ps[t] - self.column(following[t])
            d['Why'] += g @ hs[t + 1].T
            d['by'] += g
            a = (1 - hs[t + 1] ** 2) * (self.Why.T @ g + nxt)
            d['Wxh'] += a @ X[t].T
            d['Whh'] += a @ hs[t].T
            d['bh'] += a
            nxt = self.Whh.T @ a
        return loss, d
