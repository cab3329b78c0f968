import numpy as np
import time

def forward(x, targets, hprev, params):
    xs, hs, ps = {}, {}, {}
    hs[-1] = np.copy(hprev)
    loss = 0
    for t in range(len(x)):
        xs[t] = np.zeros((params['Wxh'].shape[1], 1))
        xs[t][x[t]] = 1
        hs[t] = np.tanh(params['Wxh'] @ xs[t] + params['Whh'] @ hs[t-1] + params['bh'])
        o = params['Why'] @ hs[t] + params['by']
        ps[t] = np.exp(o) / np.sum(np.exp(o))
        loss -= np.log(ps[t][targets[t]])[0]
    return loss, (xs, hs, ps)

def backward(grads, cache, targets, params):
    """adds to grads, which the caller has set to zero"""
    xs, hs, ps = cache
    dnext = np.zeros(hs[0].shape)
    for t in reversed(range(len(targets))):
        dy = np.copy(ps[t])
        dy[targets[t]] -= 1
        grads['Why'] += dy @ hs[t].T
        grads['by'] += dy
        draw = (params['Why'].T @ dy + dnext) * (1 - hs[t] ** 2)
        grads['bh'] += draw
        grads['Wxh'] += draw @ xs[t].T
        grads['Whh'] += draw @ hs[t-1].T
        dnext = params['Whh'].T @ draw
    for g in grads.values():
        np.clip(g, -1, 1, out=g)

class Trainer:
    def __init__(self, path):
        self.text = open(path).read()
        self.started = time.time()
    def epoch(self, params):
        raise NotImplementedError
