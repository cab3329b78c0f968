import numpy as np


class SentenceRNN:
    """Reads a whole sentence, then says one thing about it."""

    def __init__(self, n_in, n_out, n_hid=64):
        scale = lambda a, b: np.random.normal(0, 1e-3, (a, b))
        self.Wxh, self.Whh, self.Why = scale(n_hid, n_in), scale(n_hid, n_hid), scale(n_out, n_hid)
        self.bh, self.by = np.zeros((n_hid, 1)), np.zeros((n_out, 1))

    def forward(self, words):
        # words: list of one-hot columns (n_in, 1)
        self.words = words
        self.hs = {0: np.zeros_like(self.bh)}
        for i in range(len(words)):
            self.hs[i + 1] = np.tanh(self.Wxh @ words[i] + self.Whh @ self.hs[i] + self.bh)
        return self.Why @ self.hs[len(words)] + self.by

    def backprop(self, d_logits, rate=0.02):
        n = len(self.words)
        dWhy, dby = d_logits @ self.hs[n].T, d_logits
        dWhh, dWxh, dbh = 0 * self.Whh, 0 * self.Wxh, 0 * self.bh
        dh = self.Why.T @ d_logits
        for i in range(n, 0, -1):
            da = (1 - self.hs[i] ** 2) * dh
            dbh = dbh + da
            dWhh = dWhh + da @ self.hs[i - 1].T
            dWxh = dWxh + da @ self.words[i - 1].T
            dh = self.Whh @ da
        self.Whh -= rate * np.clip(dWhh, -1, 1)
        self.Wxh -= rate * np.clip(dWxh, -1, 1)
        self.Why -= rate * np.clip(dWhy, -1, 1)
        self.bh -= rate * np.clip(dbh, -1, 1)
        self.by -= rate * np.clip(dby, -1, 1)


def softmax(z):
    return np.exp(z) / np.exp(z).sum()


def train(net, data):
    for sentence, label in data:
        out = net.forward(sentence)
        d = softmax(out)
        d[label] -= 1
        net.backprop(d)
