import numpy as np

text = open('kafka.txt').read()
vocab = sorted(set(text))
n_vocab, n_h = len(vocab), 80
sigmoid = lambda z: 1 / (1 + np.exp(-z))

Wf = np.random.randn(n_h, n_h + n_vocab) * 0.1
Wi = np.random.randn(n_h, n_h + n_vocab) * 0.1
Wc = np.random.randn(n_h, n_h + n_vocab) * 0.1
Wo = np.random.randn(n_h, n_h + n_vocab) * 0.1
Wy = np.random.randn(n_vocab, n_h) * 0.1
bf, bi, bc, bo = np.ones((n_h, 1)), np.zeros((n_h, 1)), np.zeros((n_h, 1)), np.zeros((n_h, 1))
by = np.zeros((n_vocab, 1))


def lossFun(inputs, targets, hprev, cprev):
    zs, fs, is_, gs, os, cs, hs, ps = {}, {}, {}, {}, {}, {-1: cprev}, {-1: hprev}, {}
    loss = 0
    for t in range(len(inputs)):
        x = np.zeros((n_vocab, 1))
        x[inputs[t]] = 1
        zs[t] = np.vstack((hs[t - 1], x))
        fs[t], is_[t], os[t] = sigmoid(Wf @ zs[t] + bf), sigmoid(Wi @ zs[t] + bi), sigmoid(Wo @ zs[t] + bo)
        gs[t] = np.tanh(Wc @ zs[t] + bc)
        cs[t] = fs[t] * cs[t - 1] + is_[t] * gs[t]
        hs[t] = os[t] * np.tanh(cs[t])
        y = Wy @ hs[t] + by
        ps[t] = np.exp(y) / np.exp(y).sum()
        loss += -np.log(ps[t][targets[t], 0])
    dWf, dWi, dWc, dWo, dWy = [np.zeros_like(w) for w in (Wf, Wi, Wc, Wo, Wy)]
    dbf, dbi, dbc, dbo, dby = [np.zeros_like(w) for w in (bf, bi, bc, bo, by)]
    dhnext, dcnext = np.zeros((n_h, 1)), np.zeros((n_h, 1))
    for t in reversed(range(len(inputs))):
        dy = ps[t].copy()
        dy[targets[t]] -= 1
        dWy += dy @ hs[t].T
        dby += dy
        dh = Wy.T @ dy + dhnext
        do = dh * np.tanh(cs[t]) * os[t] * (1 - os[t])
        dc = dcnext + dh * os[t] * (1 - np.tanh(cs[t]) ** 2)
        df = dc * cs[t - 1] * fs[t] * (1 - fs[t])
        di = dc * gs[t] * is_[t] * (1 - is_[t])
        dg = dc * is_[t] * (1 - gs[t] ** 2)
        dWf += df @ zs[t].T; dbf += df
        dWi += di @ zs[t].T; dbi += di
        dWc += dg @ zs[t].T; dbc += dg
        dWo += do @ zs[t].T; dbo += do
        dz = Wf.T @ df + Wi.T @ di + Wc.T @ dg + Wo.T @ do
        dhnext = dz[:n_h]
        dcnext = fs[t] * dc
    return loss, dWf, dWi, dWc, dWo, dWy, dbf, dbi, dbc, dbo, dby, hs[len(inputs) - 1], cs[len(inputs) - 1]


h, c = np.zeros((n_h, 1)), np.zeros((n_h, 1))
for i in range(0, len(text), 25):
    xs = [vocab.index(ch) for ch in text[i:i + 25]]
    ys = [vocab.index(ch) for ch in text[i + 1:i + 26]]
    print(lossFun(xs, ys, h, c)[0])
