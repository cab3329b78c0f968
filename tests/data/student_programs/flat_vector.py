import numpy as np
from functools import partial

def pack(arrays):
    return np.concatenate([a.ravel() for a in arrays])

def unpack(theta, m, K):
    sizes = [(m, K), (m, m), (m,), (K, m), (K,)]
    out, i = [], 0
    for s in sizes:
        n = int(np.prod(s))
        out.append(theta[i:i + n].reshape(s))
        i += n
    return out

def f(theta, x, y, h0, m, K):
    U, W, b, V, c = unpack(theta, m, K)
    T = len(x)
    S = np.zeros((T + 1, m)); S[0] = h0
    for t in range(T):
        S[t + 1] = np.tanh(U[:, x[t]] + W @ S[t] + b)
    Z = S[1:] @ V.T + c
    Z -= Z.max(1)[:, None]
    P = np.exp(Z) / np.exp(Z).sum(1)[:, None]
    loss = -np.log(P[range(T), y]).sum()
    P[range(T), y] -= 1
    dV, dc = P.T @ S[1:], P.sum(0)
    dA = np.zeros((T + 1, m))
    for t in reversed(range(T)):
        dA[t] = (P[t] @ V + dA[t + 1] @ W) * (1 - S[t + 1] ** 2)
    dA = dA[:T]
    dU = np.zeros_like(U)
    for t in range(T): dU[:, x[t]] += dA[t]
    return loss, pack([dU, dA.T @ S[:-1], dA.sum(0), dV, dc])
