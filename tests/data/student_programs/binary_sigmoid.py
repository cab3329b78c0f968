import copy
import numpy as np
np.random.seed(0)

def sigmoid(x):
    return 1 / (1 + np.exp(-x))

class Recurrent:
    """sigmoid units, because the book's first chapter has them; softmax on top"""
    def __init__(self, K=26, hidden=16):
        self.syn_0 = 2 * np.random.random((K, hidden)) - 1
        self.syn_h = 2 * np.random.random((hidden, hidden)) - 1
        self.syn_1 = 2 * np.random.random((hidden, K)) - 1
        self.bias_h, self.bias_o = np.zeros(hidden), np.zeros(K)

    def fprop(self, x, h):
        layer_1, layer_2 = [h], []
        for xt in x:
            layer_1.append(sigmoid(xt @ self.syn_0 + layer_1[-1] @ self.syn_h + self.bias_h))
            e = np.exp(layer_1[-1] @ self.syn_1 + self.bias_o)
            layer_2.append(e / e.sum())
        return layer_1, layer_2

    def loss_grad(self, x, y, h):
        l1, l2 = self.fprop(x, h)
        cost = -sum(np.log(p @ t) for p, t in zip(l2, y))
        up_0, up_h, up_1 = 0 * self.syn_0, 0 * self.syn_h, 0 * self.syn_1
        ub_h, ub_o = 0 * self.bias_h, 0 * self.bias_o
        future = np.zeros_like(self.bias_h)
        for t in range(len(x) - 1, -1, -1):
            d2 = l2[t] - y[t]
            d1 = (future @ self.syn_h.T + d2 @ self.syn_1.T) * l1[t + 1] * (1 - l1[t + 1])
            up_1 += np.outer(l1[t + 1], d2); ub_o += d2
            up_h += np.outer(l1[t], d1); ub_h += d1
            up_0 += np.outer(x[t], d1)
            future = d1
        return cost, up_0, up_h, up_1, ub_h, ub_o
