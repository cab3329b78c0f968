import numpy as np

f = np.float32

def forward_backward(Wxh, Whh, Why, bh, by, xs, ys, h):
    Wxh, Whh, Why, bh, by, h = (np.asarray(a, dtype=f) for a in (Wxh, Whh, Why, bh, by, h))
    T = len(xs)
    H = np.zeros((T + 1, h.size), dtype=f); H[0] = h.ravel()
    P = np.zeros((T, by.size), dtype=f)
    for t in range(T):
        H[t + 1] = np.tanh(Wxh[:, xs[t]] + Whh.dot(H[t]) + bh.ravel())
        z = Why.dot(H[t + 1]) + by.ravel()
        z = np.exp(z - z.max())
        P[t] = z / z.sum()
    loss = -np.log(P[np.arange(T), ys]).sum()
    G = P.copy(); G[np.arange(T), ys] -= 1
    A = np.zeros((T + 1, h.size), dtype=f)
    for t in range(T - 1, -1, -1):
        A[t] = (Why.T.dot(G[t]) + Whh.T.dot(A[t + 1])) * (1 - H[t + 1] ** 2)
    dWxh = np.zeros_like(Wxh)
    dWxh[:, xs] += A[:T].T
    return loss, dWxh, A[:T].T.dot(H[:T]), G.T.dot(H[1:]), A[:T].sum(0).reshape(bh.shape), G.sum(0).reshape(by.shape)
