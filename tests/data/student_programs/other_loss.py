import numpy as np

class LanguageModel:
    def __init__(self, V, d):
        self.E = None
        self.Wxh = np.random.randn(V, d) * .1
        self.Whh = np.random.randn(d, d) * .1
        self.Why = np.random.randn(d, V) * .1
        self.bh, self.by = np.zeros((1, d)), np.zeros((1, V))

    def fit_batch(self, x, y, h):
        """x, y: ids. Returns perplexity and gradients"""
        H, P = [h], []
        for w in x:
            h = np.tanh(self.Wxh[[w]] + h @ self.Whh + self.bh)
            s = np.exp(h @ self.Why + self.by)
            P.append(s / s.sum()); H.append(h)
        nll = -np.mean([np.log(p[0, k]) for p, k in zip(P, y)])
        g = {n: np.zeros_like(getattr(self, n)) for n in ('Wxh', 'Whh', 'Why', 'bh', 'by')}
        dn = np.zeros_like(h)
        for t in range(len(x) - 1, -1, -1):
            d = P[t].copy(); d[0, y[t]] -= 1; d /= len(x)
            g['Why'] += H[t + 1].T @ d; g['by'] += d
            da = (d @ self.Why.T + dn) * (1 - H[t + 1] ** 2)
            g['Wxh'][x[t]] += da[0]; g['Whh'] += H[t].T @ da; g['bh'] += da
            dn = da @ self.Whh.T
        return np.exp(nll), g
