import numpy as np


def softmax(z):
    e = np.exp(z - z.max())
    return e / e.sum()


class Model(object):
    """No biases, initial state always zero. One sentence at a time."""

    def __init__(self, size, hidden=30):
        self.size, self.hidden = size, hidden
        self.U = np.random.randn(hidden, size) * 0.1
        self.W = np.random.randn(hidden, hidden) * 0.1
        self.V = np.random.randn(size, hidden) * 0.1

    def predict(self, x):
        s, out = [np.zeros(self.hidden)], []
        for w in x:
            s.append(np.tanh(self.U[:, w] + self.W @ s[-1]))
            out.append(softmax(self.V @ s[-1]))
        return np.array(out), np.array(s)

    def cost(self, x, y):
        return sum(-np.log(p[k]) for p, k in zip(self.predict(x)[0], y)) / len(y)

    def gradients(self, x, y):
        p, s = self.predict(x)
        n = len(x)
        err = p.copy()
        for i in range(n):
            err[i, y[i]] -= 1
        err /= n
        dU, dW = np.zeros_like(self.U), np.zeros_like(self.W)
        dV = err.T @ s[1:]
        d = np.zeros(self.hidden)
        for i in reversed(range(n)):
            d = (self.V.T @ err[i] + self.W.T @ d) * (1 - s[i + 1] ** 2)
            dU[:, x[i]] += d
            dW += np.outer(d, s[i])
        return dU, dV, dW
