import numpy as np

def softmax(x):
    e = np.exp(x - x.max(axis=0, keepdims=True))
    return e / e.sum(axis=0, keepdims=True)

def forward(rnn, X, Y, h0):
    H, P, loss = [h0], [], 0.0
    for t in range(X.shape[1]):
        H.append(np.tanh(rnn['W'] @ H[-1] + rnn['U'] @ X[:, [t]] + rnn['b']))
        P.append(softmax(rnn['V'] @ H[-1] + rnn['c']))
        loss -= np.log((Y[:, [t]] * P[-1]).sum())
    return loss, H, P

def compute_gradients(rnn, X, Y, h0):
    loss, H, P = forward(rnn, X, Y, h0)
    grads = {k: np.zeros_like(v) for k, v in rnn.items()}
    da = np.zeros_like(h0)
    for t in range(X.shape[1] - 1, -1, -1):
        g = P[t] - Y[:, [t]]
        da = (1 - H[t + 1] ** 2) * (rnn['V'].T @ g + rnn['W'].T @ da)
        grads['V'] += g @ H[t + 1].T
        grads['c'] += g
        grads['W'] += da @ H[t].T
        grads['U'] += da @ X[:, [t]].T
        grads['b'] += da
    return loss, grads

def compute_grads_num(rnn, X, Y, h0):
    h = 1e-5
    num = {k: np.zeros_like(v) for k, v in rnn.items()}
    for k in rnn:
        for i in range(rnn[k].shape[0]):
            for j in range(rnn[k].shape[1]):
                old = rnn[k][i]
                rnn[k][i] = old + h
                l1 = forward(rnn, X, Y, h0)[0]
                rnn[k][i] = old - h
                l2 = forward(rnn, X, Y, h0)[0]
                rnn[k][i] = old
                num[k][i, j] = (l1 - l2) / (2 * h)
    return num
