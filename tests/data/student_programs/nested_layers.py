import numpy as np


class Linear:
    def __init__(self, n_in, n_out):
        self.W = np.random.randn(n_out, n_in) * 0.1
        self.b = np.zeros((n_out, 1))
        self.zero()

    def zero(self):
        self.dW, self.db = np.zeros_like(self.W), np.zeros_like(self.b)

    def __call__(self, x):
        return self.W @ x + self.b

    def backward(self, x, dy):
        self.dW += dy @ x.T
        self.db += dy
        return self.W.T @ dy


class Cell:
    def __init__(self, n_in, n_hidden):
        self.Wx = np.random.randn(n_hidden, n_in) * 0.1
        self.Wh = np.random.randn(n_hidden, n_hidden) * 0.1
        self.b = np.zeros((n_hidden, 1))
        self.zero()

    def zero(self):
        self.dWx, self.dWh, self.db = np.zeros_like(self.Wx), np.zeros_like(self.Wh), np.zeros_like(self.b)

    def __call__(self, x, h):
        return np.tanh(self.Wx @ x + self.Wh @ h + self.b)

    def backward(self, x, h, h_new, dh):
        da = dh * (1 - h_new ** 2)
        self.dWx += da @ x.T
        self.dWh += da @ h.T
        self.db += da
        return self.Wh.T @ da


class Model:
    def __init__(self, n_symbols, n_hidden):
        self.cell = Cell(n_symbols, n_hidden)
        self.head = Linear(n_hidden, n_symbols)
        self.n = n_symbols

    def loss(self, xs, ys, h0):
        self.cell.zero()
        self.head.zero()
        X = [np.eye(self.n)[:, [x]] for x in xs]
        hs, ps, total = [h0], [], 0.0
        for x, y in zip(X, ys):
            hs.append(self.cell(x, hs[-1]))
            z = self.head(hs[-1])
            p = np.exp(z - z.max())
            ps.append(p / p.sum())
            total -= np.log(ps[-1][y, 0])
        dh = 0
        for t in range(len(xs) - 1, -1, -1):
            dz = ps[t].copy()
            dz[ys[t]] -= 1
            dh = self.cell.backward(X[t], hs[t], hs[t + 1], self.head.backward(hs[t + 1], dz) + dh)
        return total
