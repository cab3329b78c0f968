import numpy as np

class Param:
    """a matrix and its gradient"""
    def __init__(self, value):
        self.value = value
        self.grad = np.zeros_like(value)

def build(K, m, scale=0.1):
    r = np.random.RandomState(7)
    return {"Wx": Param(scale * r.randn(m, K)), "Wh": Param(scale * r.randn(m, m)), "Wo": Param(scale * r.randn(K, m)),
            "bh": Param(np.zeros(m)), "bo": Param(np.zeros(K))}

def zero_grads(net):
    for p in net.values():
        p.grad[...] = 0

def forward(net, ids, h):
    hs, outs = [h], []
    for i in ids:
        h = np.tanh(net["Wx"].value[:, i] + net["Wh"].value @ h + net["bh"].value)
        z = net["Wo"].value @ h + net["bo"].value
        z = np.exp(z - z.max())
        hs.append(h)
        outs.append(z / z.sum())
    return hs, outs

def loss_and_backward(net, ids, labels, h):
    zero_grads(net)
    hs, outs = forward(net, ids, h)
    loss = -sum(np.log(o[l]) for o, l in zip(outs, labels))
    carry = 0
    for t in range(len(ids) - 1, -1, -1):
        do = outs[t].copy()
        do[labels[t]] -= 1
        net["Wo"].grad += np.outer(do, hs[t + 1])
        net["bo"].grad += do
        da = (net["Wo"].value.T @ do + carry) * (1 - hs[t + 1] ** 2)
        net["Wx"].grad[:, labels[t]] += da
        net["Wh"].grad += np.outer(da, hs[t])
        net["bh"].grad += da
        carry = net["Wh"].value.T @ da
    return loss
