import numpy as np


class Network:
    """ Vanilla RNN, K x T one-hot columns """

    def __init__(self, K, m=100, sig=0.01):
        self.K = K
        self.m = m
        self.U = np.random.randn(m, K) * sig
        self.W = np.random.randn(m, m) * sig
        self.V = np.random.randn(K, m) * sig
        self.b = np.zeros((m, 1))
        self.c = np.zeros((K, 1))

    def forward(self, X, Y, h0):
        T = X.shape[1]
        self.A, self.H, self.P = [], [h0], []
        loss = 0
        for t in range(T):
            a = self.W @ self.H[-1] + self.U @ X[:, t:t + 1] + self.b
            h = np.tanh(a)
            o = self.V @ h + self.c
            p = np.exp(o) / np.sum(np.exp(o))
            self.A.append(a)
            self.H.append(h)
            self.P.append(p)
            loss -= np.log(Y[:, t:t + 1].T @ p)[0, 0]
        return loss

    def compute_gradients(self, X, Y, h0):
        loss = self.forward(X, Y, h0)
        T = X.shape[1]
        P = np.hstack(self.P)
        G = P - Y
        H = np.hstack(self.H[1:])
        Hprev = np.hstack(self.H[:-1])
        DA = np.zeros((self.m, T))
        dh = self.V.T @ G[:, -1]
        DA[:, -1] = dh * (1 - np.tanh(self.A[-1][:, 0]) ** 2)
        for t in range(T - 2, -1, -1):
            dh = self.V.T @ G[:, t] + self.W.T @ DA[:, t + 1]
            DA[:, t] = dh * (1 - np.tanh(self.A[t][:, 0] ** 2))
        grads = {
            'V': G @ H.T,
            'c': G.sum(axis=1, keepdims=True),
            'W': DA @ Hprev.T,
            'U': DA @ X.T,
            'b': DA.sum(axis=1, keepdims=True),
        }
        for key in grads:
            grads[key] = np.clip(grads[key], -5, 5)
        return loss, grads
