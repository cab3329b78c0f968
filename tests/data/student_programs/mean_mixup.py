import numpy as np
import matplotlib.pyplot as plt
from tqdm import tqdm


class VanillaRNN:
    def __init__(self, m=100, K=80, eta=.001, seed=None):
        self.rng = np.random.default_rng(seed)
        self.m, self.K, self.eta = m, K, eta
        self.RNN = {}
        self.RNN['U'] = (1/np.sqrt(2*K))*self.rng.standard_normal(size=(m, K))
        self.RNN['W'] = (1/np.sqrt(2*m))*self.rng.standard_normal(size=(m, m))
        self.RNN['V'] = (1/np.sqrt(m))*self.rng.standard_normal(size=(K, m))
        self.RNN['b'] = np.zeros((m, 1))
        self.RNN['c'] = np.zeros((K, 1))

    def apply_network(self, X, hprev):
        tau = X.shape[1]
        self.at, self.hs, self.P = np.zeros((self.m, tau)), np.zeros((self.m, tau + 1)), np.zeros((self.K, tau))
        self.hs[:, 0:1] = hprev
        for t in range(tau):
            self.at[:, t:t+1] = self.RNN['W'] @ self.hs[:, t:t+1] + self.RNN['U'] @ X[:, t:t+1] + self.RNN['b']
            self.hs[:, t+1:t+2] = np.tanh(self.at[:, t:t+1])
            o = self.RNN['V'] @ self.hs[:, t+1:t+2] + self.RNN['c']
            self.P[:, t:t+1] = np.exp(o) / np.sum(np.exp(o))
        return self.P

    def compute_loss(self, y):
        return np.mean(-np.log(self.P[y, np.arange(len(y))]))

    def backward(self, X, y):
        tau = len(y)
        Y = np.zeros((self.K, tau)); Y[y, np.arange(tau)] = 1
        g = self.P - Y
        dA = np.zeros((self.m, tau))
        dA[:, tau-1] = self.RNN['V'].T @ g[:, tau-1] * (1 - self.hs[:, tau] ** 2)
        for t in reversed(range(tau-1)):
            dA[:, t] = (self.RNN['V'].T @ g[:, t] + self.RNN['W'].T @ dA[:, t+1]) * (1 - self.hs[:, t+1] ** 2)
        return {'U': dA @ X.T, 'W': dA @ self.hs[:, :-1].T, 'V': g @ self.hs[:, 1:].T,
                'b': np.sum(dA, axis=1, keepdims=True), 'c': np.sum(g, axis=1, keepdims=True)}

    def fit(self, X, y, epochs):
        for _ in tqdm(range(epochs)):
            plt.plot([1])
