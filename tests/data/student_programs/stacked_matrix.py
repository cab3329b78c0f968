import numpy as np

K, m = 50, 32
W = np.random.randn(m, m + K) * 0.1       # one matrix for [h, x]
V = np.random.randn(K, m) * 0.1
b = np.zeros((m, 1))
c = np.zeros((K, 1))

def lossfunction(inputs, targets, h):
    zs, hs, ps = {}, {-1: h}, {}
    loss = 0
    for t, (i, j) in enumerate(zip(inputs, targets)):
        x = np.zeros((K, 1)); x[i] = 1
        zs[t] = np.concatenate((hs[t-1], x))
        hs[t] = np.tanh(np.dot(W, zs[t]) + b)
        y = np.dot(V, hs[t]) + c
        ps[t] = np.exp(y) / np.sum(np.exp(y))
        loss += -np.log(ps[t][j, 0])
    dW, dV, db, dc = np.zeros_like(W), np.zeros_like(V), np.zeros_like(b), np.zeros_like(c)
    dhnext = np.zeros_like(h)
    for t in reversed(range(len(inputs))):
        dy = np.copy(ps[t]); dy[targets[t]] -= 1
        dV += np.dot(dy, hs[t].T); dc += dy
        da = (np.dot(V.T, dy) + dhnext) * (1 - hs[t] ** 2)
        dW += np.dot(da, zs[t].T); db += da
        dhnext = np.dot(W.T, da)[:m]
    return loss, dW, dV, db, dc, hs[len(inputs) - 1]
