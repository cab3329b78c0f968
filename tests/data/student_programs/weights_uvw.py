import numpy as np


class RNN(object):

    def __init__(self, hidden_size, vocab_size, seq_length, learning_rate):
        self.hidden_size = hidden_size
        self.vocab_size = vocab_size
        self.seq_length = seq_length
        self.learning_rate = learning_rate
        bound_u = np.sqrt(1. / vocab_size)
        bound_vw = np.sqrt(1. / hidden_size)
        self.weights_U = np.random.uniform(-bound_u, bound_u, (hidden_size, vocab_size))
        self.weights_V = np.random.uniform(-bound_vw, bound_vw, (vocab_size, hidden_size))
        self.weights_W = np.random.uniform(-bound_vw, bound_vw, (hidden_size, hidden_size))
        self.bias_b = np.zeros((hidden_size, 1))
        self.bias_c = np.zeros((vocab_size, 1))

    def softmax(self, x):
        p = np.exp(x - np.max(x))
        return p / np.sum(p)

    def forward(self, inputs, hprev):
        xs, hs, ycap = {}, {}, {}
        hs[-1] = np.copy(hprev)
        for t in range(len(inputs)):
            xs[t] = np.zeros((self.vocab_size, 1))
            xs[t][inputs[t]] = 1
            hs[t] = np.tanh(self.weights_U @ xs[t] + self.weights_W @ hs[t - 1] + self.bias_b)
            ycap[t] = self.softmax(self.weights_V @ hs[t] + self.bias_c)
        return xs, hs, ycap

    def backward(self, xs, hs, ps, targets):
        dU, dV, dW = np.zeros_like(self.weights_U), np.zeros_like(self.weights_V), np.zeros_like(self.weights_W)
        db, dc = np.zeros_like(self.bias_b), np.zeros_like(self.bias_c)
        dhnext = np.zeros_like(hs[0])
        for t in reversed(range(self.seq_length)):
            dy = np.copy(ps[t])
            dy[targets[t]] -= 1
            dV += dy @ hs[t].T
            dc += dc
            dh = self.weights_V.T @ dy + dhnext
            dhrec = (1 - hs[t] * hs[t]) * dh
            db += dhrec
            dU += dhrec @ xs[t].T
            dW += dhrec @ hs[t - 1].T
            dhnext = self.weights_W.T @ dhrec
        for dparam in [dU, dW, dV, db, dc]:
            np.clip(dparam, -5, 5, out=dparam)
        return dU, dW, dV, db, dc

    def loss(self, ps, targets):
        return sum(-np.log(ps[t][targets[t], 0]) for t in range(self.seq_length))
