import numpy as np


def logsoftmax(z):
    z = z - z.max()
    return z - np.log(np.exp(z).sum())


class Net:
    def __init__(self, m, k, seed=42):
        g = np.random.default_rng(seed)
        self.m, self.k = m, k
        self.params = {'u': g.normal(0, .1, (m, k)), 'w': g.normal(0, .1, (m, m)), 'v': g.normal(0, .1, (k, m)),
                       'b': np.zeros((m, 1)), 'c': np.zeros((k, 1))}
        self.grads = {}
        self.h_prev = np.zeros((m, 1))

    def evaluate(self, X):
        """X: (k, n) one-hot. Returns the probabilities (k, n) and hidden states (m, n)"""
        p = self.params
        n = X.shape[1]
        self.probs = np.zeros((self.k, n))
        self.states = np.zeros((self.m, n))
        for t in range(n):
            h = np.tanh(p['w'] @ self.h_prev + p['u'] @ X[:, [t]] + p['b'])
            self.h_prev = h
            self.states[:, [t]] = h
            self.probs[:, [t]] = np.exp(logsoftmax(p['v'] @ h + p['c']))
        return self.probs, self.states

    def cost(self, X, Y):
        P, _ = self.evaluate(X)
        return -np.log((Y * P).sum(axis=0)).sum()

    def compute_grads(self, X, Y):
        P, H = self.evaluate(X)
        n = X.shape[1]
        G = P - Y
        self.grads['v'] = G @ H.T
        self.grads['c'] = G.sum(1).reshape(-1, 1)
        da = np.zeros((self.m, n))
        dw = np.zeros_like(self.params['w'])
        for t in range(n - 1, -1, -1):
            dh = self.params['v'].T @ G[:, t]
            if t > 0:
                dh = dh + self.params['w'].T @ da[:, t - 1]
            da[:, t] = dh * (1 - H[:, t] ** 2)
            dw += np.outer(da[:, t], self.h_prev)
        self.grads['w'] = dw
        self.grads['u'] = da @ X.T
        self.grads['b'] = da.sum(1).reshape(-1, 1)
