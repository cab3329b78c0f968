import numpy as np


def affine_forward(x, w, b):
    return x @ w + b, (x, w)


def affine_backward(dout, cache):
    x, w = cache
    N, T, _ = dout.shape
    return dout @ w.T, np.tensordot(x, dout, axes=([0, 1], [0, 1])), dout.sum((0, 1))


def rnn_forward(x, h0, Wx, Wh, b):
    N, T, D = x.shape
    h, prev = np.zeros((N, T, Wh.shape[0])), h0
    for t in range(T):
        prev = np.tanh(x[:, t] @ Wx + prev @ Wh + b)
        h[:, t] = prev
    return h, (x, h0, h, Wx, Wh)


def rnn_backward(dh, cache):
    x, h0, h, Wx, Wh = cache
    N, T, H = dh.shape
    dx, dWx, dWh, db = np.zeros_like(x), np.zeros_like(Wx), np.zeros_like(Wh), np.zeros(H)
    dprev = np.zeros((N, H))
    for t in range(T - 1, -1, -1):
        dz = (dh[:, t] + dprev) * (1 - h[:, t] ** 2)
        before = h[:, t - 1] if t else h0
        dx[:, t] = dz @ Wx.T
        dWx += x[:, t].T @ dz
        dWh += before.T @ dz
        db += dz.sum(0)
        dprev = dz @ Wh.T
    return dx, dprev, dWx, dWh, db


class CharModel(object):
    """Predicts the next character. Parameters live in self.params."""

    def __init__(self, vocab_size, hidden_dim=128, dtype=np.float64):
        self.V = vocab_size
        self.params = {}
        self.params['Wx'] = np.random.randn(vocab_size, hidden_dim) / np.sqrt(vocab_size)
        self.params['Wh'] = np.random.randn(hidden_dim, hidden_dim) / np.sqrt(hidden_dim)
        self.params['b'] = np.zeros(hidden_dim)
        self.params['W_vocab'] = np.random.randn(hidden_dim, vocab_size) / np.sqrt(hidden_dim)
        self.params['b_vocab'] = np.zeros(vocab_size)
        for k, v in self.params.items():
            self.params[k] = v.astype(dtype)

    def loss(self, captions_in, captions_out, h0):
        p = self.params
        N, T = captions_in.shape
        grads = {}
        x = np.eye(self.V)[captions_in]
        h, c1 = rnn_forward(x, h0, p['Wx'], p['Wh'], p['b'])
        scores, c2 = affine_forward(h, p['W_vocab'], p['b_vocab'])
        e = np.exp(scores - scores.max(-1, keepdims=True))
        probs = e / e.sum(-1, keepdims=True)
        picked = probs[np.arange(N)[:, None], np.arange(T), captions_out]
        loss = -np.log(picked).sum() / N
        d = probs
        d[np.arange(N)[:, None], np.arange(T), captions_out] -= 1
        d /= N
        dh, grads['W_vocab'], grads['b_vocab'] = affine_backward(d, c2)
        _, _, grads['Wx'], grads['Wh'], grads['b'] = rnn_backward(dh, c1)
        return loss, grads
