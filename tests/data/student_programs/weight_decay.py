import numpy as np

class Net(object):
    lam = 0.01
    def __init__(self, dim, nhid):
        self.params = {'Wxh': np.random.randn(dim, nhid) * .1, 'Whh': np.random.randn(nhid, nhid) * .1,
                       'Why': np.random.randn(nhid, dim) * .1, 'bh': np.zeros(nhid), 'by': np.zeros(dim)}
    def cost(self, X, Y, h_init):
        """X, Y: (T, dim) one-hot"""
        p = self.params
        T = X.shape[0]
        H = np.vstack([h_init[None], np.zeros((T, len(h_init)))])
        for t in range(T):
            H[t + 1] = np.tanh(X[t] @ p['Wxh'] + H[t] @ p['Whh'] + p['bh'])
        Z = H[1:] @ p['Why'] + p['by']
        Q = np.exp(Z - Z.max(1)[:, None])
        Q /= Q.sum(1)[:, None]
        J = -np.sum(Y * np.log(Q)) / T + 0.5 * self.lam * sum(np.sum(p[k] ** 2) for k in ('Wxh', 'Whh', 'Why'))
        D = (Q - Y) / T
        dA = np.zeros((T, len(h_init)))
        for t in reversed(range(T)):
            later = dA[t + 1] @ p['Whh'].T if t < T - 1 else 0
            dA[t] = (D[t] @ p['Why'].T + later) * (1 - H[t + 1] ** 2)
        g = {'Wxh': X.T @ dA + self.lam * p['Wxh'], 'Whh': H[:-1].T @ dA + self.lam * p['Whh'], 'Why': H[1:].T @ D + self.lam * p['Why'],
             'bh': dA.sum(0), 'by': D.sum(0)}
        return J, g
