import numpy as np


def rnn_bptt(x, y, h0, *, U, W, V, b, c):
    """x, y one-hot, one row a character (T, K)."""
    T, K = x.shape
    hidden = np.zeros((T + 1, h0.size))
    hidden[0] = h0
    for t in range(T):
        hidden[t + 1] = np.tanh(U @ x[t] + W @ hidden[t] + b)
    scores = hidden[1:] @ V.T + c
    probs = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    loss = -(y * np.log(probs)).sum()
    err = probs - y
    da = np.zeros((T, h0.size))
    for t in range(T):
        dh = V.T @ err[t]
        if t > 0:
            dh += W.T @ da[t - 1]
        da[t] = dh * (1 - hidden[t + 1] ** 2)
    return {"loss": loss, "dU": da.T @ x, "dW": da.T @ hidden[:-1], "dV": err.T @ hidden[1:], "db": da.sum(0), "dc": err.sum(0),
            "h": hidden[-1]}
