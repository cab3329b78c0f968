import csv
import numpy as np

class WordRNN:
    def __init__(self, word_dim, hidden_dim=100, bptt_truncate=4):
        self.word_dim, self.hidden_dim, self.bptt_truncate = word_dim, hidden_dim, bptt_truncate
        r = lambda n, shape: np.random.uniform(-n ** -0.5, n ** -0.5, shape)
        self.U = r(word_dim, (hidden_dim, word_dim))
        self.V = r(hidden_dim, (word_dim, hidden_dim))
        self.W = r(hidden_dim, (hidden_dim, hidden_dim))

    def forward_propagation(self, x):
        s = np.zeros((len(x) + 1, self.hidden_dim))   # s[-1] is the initial state
        o = np.zeros((len(x), self.word_dim))
        for t in range(len(x)):
            s[t] = np.tanh(self.U[:, x[t]] + self.W.dot(s[t-1]))
            z = np.exp(self.V.dot(s[t]))
            o[t] = z / z.sum()
        return [o, s]

    def calculate_total_loss(self, x, y):
        """x and y are lists of sentences"""
        L = 0
        for sentence, following in zip(x, y):
            o, s = self.forward_propagation(sentence)
            L -= np.sum(np.log(o[np.arange(len(following)), following]))
        return L

    def calculate_loss(self, x, y):
        return self.calculate_total_loss(x, y) / sum(len(f) for f in y)

    def bptt(self, x, y):
        T = len(y)
        o, s = self.forward_propagation(x)
        dU, dV, dW = np.zeros_like(self.U), np.zeros_like(self.V), np.zeros_like(self.W)
        do = o
        do[np.arange(T), y] -= 1.
        for t in np.arange(T)[::-1]:
            dV += np.outer(do[t], s[t])
            delta = self.V.T.dot(do[t]) * (1 - s[t] ** 2)
            # at most bptt_truncate steps back
            for k in np.arange(max(0, t - self.bptt_truncate), t + 1)[::-1]:
                dW += np.outer(delta, s[k-1])
                dU[:, x[k]] += delta
                delta = self.W.T.dot(delta) * (1 - s[k-1] ** 2)
        return [dU, dV, dW]

    def sgd_step(self, x, y, learning_rate):
        dU, dV, dW = self.bptt(x, y)
        self.U -= learning_rate * dU
        self.V -= learning_rate * dV
        self.W -= learning_rate * dW


def train_with_sgd(model, X_train, y_train, learning_rate=0.005, nepoch=100):
    for epoch in range(nepoch):
        for x, y in zip(X_train, y_train):
            model.sgd_step(x, y, learning_rate)
        print(epoch, model.calculate_loss(X_train, y_train))
