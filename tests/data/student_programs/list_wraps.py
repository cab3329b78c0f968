import numpy as np

class VanillaRNN(object):
    def __init__(self, vocab, n_hidden=50):
        self.vocab = vocab
        self.n_hidden = n_hidden
        s = 1.0 / np.sqrt(n_hidden)
        self.Wxh = np.random.uniform(-s, s, (n_hidden, vocab))
        self.Whh = np.random.uniform(-s, s, (n_hidden, n_hidden))
        self.Why = np.random.uniform(-s, s, (vocab, n_hidden))
        self.bh = np.zeros((n_hidden, 1))
        self.by = np.zeros((vocab, 1))

    def loss_and_grads(self, x, y, h0):
        T = len(x)
        hs = [None] * T
        hs[-1] = h0
        ps = [None] * T
        loss = 0.
        for t in range(T):
            one = np.zeros((self.vocab, 1)); one[x[t]] = 1.
            hs[t] = np.tanh(self.Wxh @ one + self.Whh @ hs[t - 1] + self.bh)
            o = self.Why @ hs[t] + self.by
            ps[t] = np.exp(o - o.max()); ps[t] /= ps[t].sum()
            loss += -np.log(ps[t][y[t]]).item()

        dWxh = np.zeros_like(self.Wxh)
        dWhh = np.zeros_like(self.Whh)
        dWhy = np.zeros_like(self.Why)
        dbh = np.zeros_like(self.bh)
        dby = np.zeros_like(self.by)
        back = np.zeros((self.n_hidden, 1))
        for t in range(T - 1, -1, -1):
            e = ps[t].copy(); e[y[t]] -= 1
            dWhy += e @ hs[t].T
            dby += e
            d = (self.Why.T @ e + back) * (1 - hs[t] ** 2)
            dbh += d
            dWxh[:, x[t]] += d.ravel()
            dWhh += d @ hs[t - 1].T
            back = self.Whh.T @ d
        for g in (dWxh, dWhh, dWhy, dbh, dby):
            np.clip(g, -5, 5, out=g)
        return loss, dWxh, dWhh, dWhy, dbh, dby, hs[-1]
