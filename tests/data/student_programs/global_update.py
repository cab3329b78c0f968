import numpy as np
H, V = 100, 65
LR = 0.1
Wxh, Whh, Why = (np.random.randn(*s) * 0.01 for s in [(H, V), (H, H), (V, H)])
bh, by = np.zeros((H, 1)), np.zeros((V, 1))

def train_step(inputs, targets, hprev):
    global Wxh, Whh, Why, bh, by
    hs, ps = [hprev], []
    for i in inputs:
        hs.append(np.tanh(Wxh[:, [i]] + Whh @ hs[-1] + bh))
        e = np.exp(Why @ hs[-1] + by)
        ps.append(e / e.sum())
    loss = sum(-np.log(p[j, 0]) for p, j in zip(ps, targets))
    gx, gh, gy, gbh, gby = (np.zeros_like(w) for w in (Wxh, Whh, Why, bh, by))
    carry = np.zeros_like(hprev)
    for t in range(len(inputs) - 1, -1, -1):
        d = ps[t].copy()
        d[targets[t]] -= 1
        gy += d @ hs[t + 1].T
        gby += d
        da = (Why.T @ d + carry) * (1 - hs[t + 1] ** 2)
        gx[:, [inputs[t]]] += da
        gh += da @ hs[t].T
        gbh += da
        carry = Whh.T @ da
    Wxh = Wxh - LR * gx
    Whh = Whh - LR * gh
    Why = Why - LR * gy
    bh = bh - LR * gbh
    by = by - LR * gby
    return loss, hs[-1]
