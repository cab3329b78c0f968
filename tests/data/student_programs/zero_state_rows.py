from math import *
import numpy as np

# h_0 = 0 always; checks only with first sequence of text

def lossgrad(model, x, y):
    Wxh = model['Wxh']; Whh = model['Whh']; Why = model['Why']; bh = model['bh']; by = model['by']
    T = x.shape[0]
    hs = np.zeros((T, Whh.shape[0])); ps = np.zeros_like(x)
    for t in range(T):
        if t == 0: hs[t] = np.tanh(x[t] @ Wxh + bh)
        else: hs[t] = np.tanh(x[t] @ Wxh + hs[t-1] @ Whh + bh)
        z = hs[t] @ Why + by
        ps[t] = np.exp(z) / np.sum(np.exp(z))
    loss = 0
    for t in range(T): loss += -log(ps[t] @ y[t]) / T
    d = (ps - y) / T
    dhs = d @ Why.T
    das = np.zeros_like(hs)
    das[T-1] = dhs[T-1] * (1 - hs[T-1]**2)
    for t in range(T-2, -1, -1):
        das[t] = (dhs[t] + das[t+1] @ Whh.T) * (1 - hs[t]**2)
    grads = {'Why': hs.T @ d, 'by': d.sum(axis=0), 'Wxh': x.T @ das, 'Whh': hs[:-1].T @ das[1:], 'bh': das.sum(axis=0)}
    return grads, loss
