import numpy as np
import pickle


class CharacterRNN:
    def __init__(self, filename='goblet_book.txt', m=100, eta=0.1, seq_length=25, sig=0.01):
        self.book_data = self.read(filename)
        self.book_chars = list(dict.fromkeys(self.book_data))
        self.K = len(self.book_chars)
        self.char_to_ind = {c: i for i, c in enumerate(self.book_chars)}
        self.m, self.eta, self.seq_length = m, eta, seq_length
        self.b, self.c = np.zeros((m, 1)), np.zeros((self.K, 1))
        self.U = np.random.randn(m, self.K) * sig
        self.W = np.random.randn(m, m) * sig
        self.V = np.random.randn(self.K, m) * sig

    def read(self, filename):
        with open(filename) as f:
            return f.read()

    def onehot(self, s):
        X = np.zeros((self.K, len(s)))
        for i, ch in enumerate(s):
            X[self.char_to_ind[ch], i] = 1
        return X

    def forward(self, X, h):
        hs, ps = [h], []
        for t in range(X.shape[1]):
            h = np.tanh(self.W @ h + self.U @ X[:, [t]] + self.b)
            o = self.V @ h + self.c
            p = np.exp(o - o.max())
            hs.append(h)
            ps.append(p / p.sum())
        return np.hstack(hs), np.hstack(ps)

    def loss(self, X, Y, h):
        _, P = self.forward(X, h)
        return -np.log(np.sum(Y * P, 0)).sum()

    def backward(self, X, Y, H, P):
        G = P - Y
        m, T = self.m, X.shape[1]
        dA = np.zeros((m, T))
        nxt = np.zeros(m)
        for t in range(T - 1, -1, -1):
            dh = self.V.T @ G[:, t] + nxt
            dA[:, t] = dh * (1 - H[:, t + 1] ** 2)
            nxt = self.W.T @ dh
        dU, dW, dV = dA @ X.T, dA @ H[:, :-1].T, G @ H[:, 1:].T
        return dU, dW, dV, dA.sum(1, keepdims=True), G.sum(1, keepdims=True)


rnn = CharacterRNN()
pickle.dump(rnn, open("rnn.pkl", "wb"))
