# Character model, Exercise 5. Author: group 14
import numpy as np

m, K = 40, 60
eta = 0.1

def synth(RNN, h0, x0, n):
    pass

class Grads: pass

def MakeNet(K, m, sig=0.01):
    net = {}
    net['b'] = np.zeros((m, 1)); net['c'] = np.zeros((K, 1))
    net['U'] = np.random.randn(m, K)*sig; net['W'] = np.random.randn(m, m)*sig; net['V'] = np.random.randn(K, m)*sig
    return net

def ForwardPass(RNN, X, Y, hprev):
    h = {0: hprev}; p = {}; loss = 0
    for t in range(1, X.shape[1]+1):
        xt = X[:, t-1].reshape(-1, 1)
        at = RNN['W']@h[t-1] + RNN['U']@xt + RNN['b']
        h[t] = np.tanh(at)
        ot = RNN['V']@h[t] + RNN['c']
        p[t] = np.exp(ot)/sum(np.exp(ot))
        loss = loss - np.log(Y[:, t-1].reshape(1, -1)@p[t])
    return loss, h, p

def BackwardPass(RNN, X, Y, h, p):
    G = Grads()
    G.U = 0*RNN['U']; G.W = 0*RNN['W']; G.V = 0*RNN['V']; G.b = 0*RNN['b']; G.c = 0*RNN['c']
    grad_a = None
    for t in range(X.shape[1], 0, -1):
        grad_o = -(Y[:, t-1].reshape(-1, 1) - p[t]).T
        G.V = G.V + grad_o.T@h[t].T
        G.c = G.c + grad_o.T
        grad_h = grad_o@RNN['V'] if grad_a is None else grad_o@RNN['V'] + grad_a@RNN['W']
        grad_a = grad_h*(h[t]*(1 - h[t])).T
        G.W = G.W + grad_a.T@h[t-1].T
        G.U = G.U + grad_a.T@X[:, t-1].reshape(1, -1)
        G.b = G.b + grad_a.T
    return G
