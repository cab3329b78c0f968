import numpy as np
import os, pickle

with open(os.path.join('data', 'poems.txt')) as fh:
    poems = fh.read()
letters = ''.join(sorted(set(poems)))
N_LETTERS, N_HIDDEN = len(letters), 48
weights = {
    'ih': np.random.uniform(-.1, .1, (N_HIDDEN, N_LETTERS)),
    'hh': np.random.uniform(-.1, .1, (N_HIDDEN, N_HIDDEN)),
    'ho': np.random.uniform(-.1, .1, (N_LETTERS, N_HIDDEN)),
    'h_bias': np.zeros(N_HIDDEN),
    'o_bias': np.zeros(N_LETTERS),
}

def forward(xs, ts, h0):
    cache = []
    h, loss = h0, 0.0
    for x, t in zip(xs, ts):
        h_new = np.tanh(weights['ih'][:, x] + weights['hh'] @ h + weights['h_bias'])
        o = weights['ho'] @ h_new + weights['o_bias']
        p = np.exp(o) / np.exp(o).sum()
        loss -= np.log(p[t])
        cache.append(dict(x=x, t=t, h=h, h_new=h_new, p=p))
        h = h_new
    return loss, cache

def backward(cache):
    g = {name: np.zeros_like(w) for name, w in weights.items()}
    carry = np.zeros(len(weights['h_bias']))
    for c in cache[::-1]:
        do = c['p'].copy()
        do[c['t']] -= 1
        g['ho'] += np.outer(do, c['h_new'])
        g['o_bias'] += do
        da = (weights['ho'].T @ do + carry) * (1 - c['h_new'] ** 2)
        g['ih'][:, c['x']] += da
        g['hh'] += np.outer(da, c['h_new'])
        g['h_bias'] += da
        carry = weights['hh'].T @ da
    return g

for epoch in range(10):
    for i in range(0, len(poems) - 20, 20):
        x = [letters.index(a) for a in poems[i:i + 20]]
        loss, cache = forward(x, x[1:] + [0], np.zeros(N_HIDDEN))
        for name, d in backward(cache).items():
            weights[name] -= .05 * d
pickle.dump(weights, open('weights.pkl', 'wb'))
