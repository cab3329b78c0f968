import numpy as np

# predicts the next word after a whole phrase, and reports the loss of that word alone

def init(n, m):
    return [np.random.randn(m, n) * .1, np.random.randn(m, m) * .1, np.random.randn(n, m) * .1, np.zeros((m, 1)), np.zeros((n, 1))]

def phrase_loss(weights, x, y):
    Wx, Wh, Wy, bh, by = weights
    T = len(x)
    h = {-1: np.zeros((Wh.shape[0], 1))}
    for t in range(T):
        h[t] = np.tanh(Wx[:, [x[t]]] + Wh.dot(h[t - 1]) + bh)
    z = Wy.dot(h[T - 1]) + by
    p = np.exp(z - z.max()) / np.exp(z - z.max()).sum()
    loss = -np.log(p[y[-1]].item())
    # backward
    dz = p.copy()
    dz[y[-1]] -= 1
    g = [np.zeros_like(w) for w in weights]
    g[2] += dz.dot(h[T - 1].T)
    g[4] += dz
    dh = Wy.T.dot(dz)
    for t in reversed(range(T)):
        da = dh * (1 - h[t] ** 2)
        g[0][:, [x[t]]] += da
        g[1] += da.dot(h[t - 1].T)
        g[3] += da
        dh = Wh.T.dot(da)
    return loss, g
