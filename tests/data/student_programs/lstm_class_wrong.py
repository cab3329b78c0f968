import numpy as np
sigma = lambda z: 1.0/(1.0+np.exp(-z))

class LSTM:
    def __init__(self, K, H):
        r = np.random.RandomState(0)
        self.K, self.H = K, H
        self.W = r.randn(4*H, K)*.2      # i f o g
        self.R = r.randn(4*H, H)*.2
        self.b = np.zeros(4*H)
        self.V = r.randn(K, H)*.2
        self.c = np.zeros(K)
    def loss(self, x, y, h0=None, s0=None):
        H = self.H
        h = np.zeros(H) if h0 is None else h0
        s = np.zeros(H) if s0 is None else s0
        store, L = [], 0
        for t in range(len(x)):
            z = self.W[:, x[t]] + self.R @ h + self.b
            i, f, o, g = sigma(z[:H]), sigma(z[H:2*H]), sigma(z[2*H:3*H]), np.tanh(z[3*H:])
            s_new = f*s + i*g
            h_new = o*np.tanh(s_new)
            q = np.exp(self.V @ h_new + self.c); q /= q.sum()
            L -= np.log(q[y[t]])
            store.append((h, s, i, f, o, g, s_new, h_new, q))
            h, s = h_new, s_new
        dW, dR, db, dV, dc = [np.zeros_like(w) for w in (self.W, self.R, self.b, self.V, self.c)]
        dh_n, ds_n = np.zeros(H), np.zeros(H)
        for t in reversed(range(len(x))):
            h, s, i, f, o, g, s_new, h_new, q = store[t]
            q[y[t]] -= 1
            dV += np.outer(q, h_new); dc += q
            dh = self.V.T @ q + dh_n
            ds = ds_n + dh*o*(1-np.tanh(s_new)**2)
            dz = np.concatenate([ds*g*i*(1-i), ds*s*f*(1-f), dh*np.tanh(s_new)*o*(1-o), ds*i*(1-g**2)])
            dW[:, x[t]] += dz; dR += np.outer(dz, h); db += dz
            dh_n = self.R.T @ dz
            ds_n = ds        # the forget gate?
        return L, {'W': dW, 'R': dR, 'b': db, 'V': dV, 'c': dc}
