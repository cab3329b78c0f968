import numpy as np


def sig(x):
    return 1. / (1. + np.exp(-x))


class GRU:
    def __init__(self, vocab_size, hidden_size):
        s = 0.3
        self.vocab_size, self.hidden_size = vocab_size, hidden_size
        shape_w, shape_u = (hidden_size, vocab_size), (hidden_size, hidden_size)
        self.params = {n: np.random.randn(*shape_w) * s for n in ('Wz', 'Wr', 'Wh')}
        self.params.update({n: np.random.randn(*shape_u) * s for n in ('Uz', 'Ur', 'Uh')})
        self.params.update({n: np.zeros((hidden_size, 1)) for n in ('bz', 'br', 'bh')})
        self.params['Wy'] = np.random.randn(vocab_size, hidden_size) * s
        self.params['by'] = np.zeros((vocab_size, 1))

    def loss_and_grads(self, inputs, targets, hprev):
        P = self.params
        xs, zs, rs, cs, hs, ps = {}, {}, {}, {}, {-1: hprev}, {}
        loss = 0
        for t in range(len(inputs)):
            xs[t] = np.zeros((self.vocab_size, 1)); xs[t][inputs[t]] = 1
            zs[t] = sig(P['Wz'] @ xs[t] + P['Uz'] @ hs[t-1] + P['bz'])
            rs[t] = sig(P['Wr'] @ xs[t] + P['Ur'] @ hs[t-1] + P['br'])
            cs[t] = np.tanh(P['Wh'] @ xs[t] + P['Uh'] @ (rs[t] * hs[t-1]) + P['bh'])
            hs[t] = (1 - zs[t]) * hs[t-1] + zs[t] * cs[t]
            o = P['Wy'] @ hs[t] + P['by']
            ps[t] = np.exp(o) / np.exp(o).sum()
            loss -= np.log(ps[t][targets[t], 0])
        G = {k: np.zeros_like(v) for k, v in P.items()}
        dhn = np.zeros_like(hprev)
        for t in reversed(range(len(inputs))):
            do = ps[t].copy(); do[targets[t]] -= 1
            G['Wy'] += do @ hs[t].T; G['by'] += do
            dh = P['Wy'].T @ do + dhn
            dc = dh * zs[t] * (1 - cs[t] ** 2)
            dz = dh * (cs[t] - hs[t-1]) * zs[t] * (1 - zs[t])
            drh = P['Uh'].T @ dc
            dr = drh * hs[t-1] * rs[t] * (1 - rs[t])
            G['Wh'] += dc @ xs[t].T; G['Uh'] += dc @ hs[t-1].T; G['bh'] += dc
            G['Wz'] += dz @ xs[t].T; G['Uz'] += dz @ hs[t-1].T; G['bz'] += dz
            G['Wr'] += dr @ xs[t].T; G['Ur'] += dr @ hs[t-1].T; G['br'] += dr
            dhn = dh * (1 - zs[t]) + drh * rs[t] + P['Uz'].T @ dz + P['Ur'].T @ dr
        return loss, G, hs[len(inputs) - 1]
