import numpy as np

def rnn_loss(U, W, V, b, c, x_ids, y_ids, state):
    n = len(x_ids)
    h, ps, hs = state.copy(), [], []
    loss = 0.0
    for i in range(n):
        h = np.tanh(U[:, x_ids[i]:x_ids[i]+1] + W @ h + b)
        hs.append(h)
        s = np.exp(V @ h + c); s = s / s.sum()
        ps.append(s)
        loss -= float(np.log(s[y_ids[i], 0]))
    dU, dW, dV, db, dc = [np.zeros(w.shape) for w in (U, W, V, b, c)]
    e = np.zeros_like(h)
    for i in range(n - 1, -1, -1):
        o = ps[i]
        o[y_ids[i]] -= 1
        dV += o @ hs[i].T
        dc += o
        e = (V.T @ o + W.T @ e) * (1 - hs[i] ** 2)
        dU[:, x_ids[i]:x_ids[i]+1] += e
        dW += e @ h.T
        db += e
    return loss, dU, dW, dV, db, dc, h
