import numpy as np


class Parameters:
    def __init__(self, n_h, n_v, std=0.1):
        self.w_hx = np.random.randn(n_h, n_v) * std
        self.w_hh = np.random.randn(n_h, n_h) * std
        self.w_yh = np.random.randn(n_v, n_h) * std
        self.b_h = np.zeros((n_h, 1))
        self.b_y = np.zeros((n_v, 1))


def forward(params, xs, h0):
    T = len(xs)
    h = np.zeros((T + 1, *h0.shape))
    h[-1] = h0
    y = []
    for t in range(T):
        h[t] = np.tanh(params.w_hx @ xs[t] + params.w_hh @ h[t - 1] + params.b_h)
        s = params.w_yh @ h[t] + params.b_y
        y.append(np.exp(s) / np.exp(s).sum())
    return h, y


def loss(ys, labels):
    return sum(-np.log(y[l][0]) for y, l in zip(ys, labels))


def backward(params, xs, h, ys, labels):
    grads = Parameters(*params.w_hx.shape)
    for name in vars(grads):
        setattr(grads, name, np.zeros_like(getattr(grads, name)))
    dh_next = np.zeros_like(h[0])
    for t in reversed(range(len(xs))):
        dy = ys[t].copy()
        dy[labels[t]] -= 1
        grads.w_yh += dy @ h[t].T
        grads.b_y += dy
        dh = params.w_yh.T @ dy + dh_next
        da = dh * (1 - h[t] ** 2)
        grads.w_hx = da @ xs[t].T
        grads.w_hh += da @ h[t - 1].T
        grads.b_h += da
        dh_next = params.w_hh.T @ da
    return grads
