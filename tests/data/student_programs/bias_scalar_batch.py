import numpy as np
class rnn_model:
    """(T, B, K) in, labels (T, B). Everything stored on self."""
    def __init__(self, K, m, B):
        self.B = B
        self.Wxh, self.Whh, self.Why = np.random.randn(K, m)*.1, np.random.randn(m, m)*.1, np.random.randn(m, K)*.1
        self.bh, self.by = np.zeros((1, m)), np.zeros((1, K))
        self.h0 = np.zeros((B, m))
    def forward(self, X):
        self.X = X
        self.hs = [self.h0]
        self.ps = []
        for t in range(X.shape[0]):
            self.hs.append(np.tanh(X[t].dot(self.Wxh) + self.hs[t].dot(self.Whh) + self.bh))
            z = self.hs[-1].dot(self.Why) + self.by
            z = np.exp(z - z.max(axis=1, keepdims=True))
            self.ps.append(z / z.sum(axis=1, keepdims=True))
        return np.stack(self.ps)
    def loss(self, y):
        T = len(y)
        return -sum(np.log(self.ps[t][np.arange(self.B), y[t]]).sum() for t in range(T)) / (T * self.B)
    def backward(self, y):
        T = len(y)
        self.dWxh, self.dWhh, self.dWhy, self.dbh, self.dby = [np.zeros_like(w) for w in (self.Wxh, self.Whh, self.Why, self.bh, self.by)]
        dh_next = np.zeros_like(self.h0)
        for t in range(T - 1, -1, -1):
            dz = self.ps[t].copy()
            dz[np.arange(self.B), y[t]] -= 1
            dz /= T * self.B
            self.dWhy += self.hs[t + 1].T.dot(dz)
            self.dby += np.sum(dz)
            da = (dz.dot(self.Why.T) + dh_next) * (1 - self.hs[t + 1] ** 2)
            self.dWxh += X_T(self.X[t]).dot(da)
            self.dWhh += self.hs[t].T.dot(da)
            self.dbh += np.sum(da)
            dh_next = da.dot(self.Whh.T)
def X_T(x): return x.T
