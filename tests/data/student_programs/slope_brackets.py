# bptt by hand. Case: X,Y are (K,T)
import numpy as np

def soft(s):
    return np.exp(s) / np.sum(np.exp(s))

def fwd(P, X, h0):
    hs = [h0]; As = []; ps = []
    for t in range(X.shape[1]):
        a = P['W'].dot(hs[t]) + P['U'].dot(X[:, [t]]) + P['b']
        As.append(a)
        hs.append(np.tanh(a))
        ps.append(soft(P['V'].dot(hs[t+1]) + P['c']))
    return hs, As, ps

def loss_of(Y, ps):
    L = 0
    for t in range(Y.shape[1]):
        L = L - np.log(np.dot(Y[:, [t]].T, ps[t])).item()
    return L

def gradients(P, X, Y, h0):
    hs, As, ps = fwd(P, X, h0)
    T = X.shape[1]
    dP = {k: np.zeros(P[k].shape) for k in P}
    # last step first
    g = ps[T-1] - Y[:, [T-1]]
    da = P['V'].T.dot(g) * (1 - np.tanh(As[T-1])**2)
    for t in range(T-1, -1, -1):
        if t < T-1:
            g = ps[t] - Y[:, [t]]
            dh = P['V'].T.dot(g) + P['W'].T.dot(da)
            da = dh * (1 - np.tanh(As[t]**2))
        dP['V'] += g.dot(hs[t+1].T)
        dP['c'] += g
        h_before = hs[t] if t > 0 else np.zeros(hs[t].shape)
        dP['W'] += da.dot(h_before.T)
        dP['U'] += da.dot(X[:, [t]].T)
        dP['b'] += da
    return loss_of(Y, ps), dP
