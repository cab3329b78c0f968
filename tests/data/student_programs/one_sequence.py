import numpy as np

class Rnn:
    """predicts each symbol of a sequence from those before it"""
    def __init__(self, n_symbols, n_hidden):
        self.U = np.random.randn(n_hidden, n_symbols) * 0.1
        self.W = np.random.randn(n_hidden, n_hidden) * 0.1
        self.V = np.random.randn(n_symbols, n_hidden) * 0.1

    def forward(self, seq):
        h = np.zeros(self.W.shape[0])
        self.hs, self.ps = [h], []
        for s in seq[:-1]:
            h = np.tanh(self.U[:, s] + self.W @ h)
            e = np.exp(self.V @ h)
            self.hs.append(h)
            self.ps.append(e / e.sum())
        return -sum(np.log(p[s]) for p, s in zip(self.ps, seq[1:]))

    def backward(self, seq):
        dU, dW, dV = np.zeros_like(self.U), np.zeros_like(self.W), np.zeros_like(self.V)
        d = np.zeros(self.W.shape[0])
        for t in range(len(seq) - 2, -1, -1):
            err = self.ps[t].copy()
            err[seq[t + 1]] -= 1
            dV += np.outer(err, self.hs[t + 1])
            d = (self.V.T @ err + self.W.T @ d) * self.hs[t + 1] * (1 - self.hs[t + 1])
            dU[:, seq[t]] += d
            dW += np.outer(d, self.hs[t])
        return dU, dW, dV
