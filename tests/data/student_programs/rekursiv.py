import numpy as np

# Labb 4, rekursiv version. vikter: ordbok med U, W, V, b, c

def mjukmax(z):
    e = np.exp(z - z.max())
    return e / e.sum()

def framåt(vikter, tecken, h, t=0):
    if t == len(tecken):
        return []
    a = vikter['W'] @ h + vikter['U'][:, [tecken[t]]] + vikter['b']
    h_ny = np.tanh(a)
    p = mjukmax(vikter['V'] @ h_ny + vikter['c'])
    return [(h, h_ny, p)] + framåt(vikter, tecken, h_ny, t + 1)

def bakåt(vikter, tecken, facit, spår, grad, t=None, da_nästa=0):
    t = len(tecken) - 1 if t is None else t
    if t < 0:
        return grad
    h, h_ny, p = spår[t]
    g = p.copy()
    g[facit[t]] -= 1
    grad['V'] += g @ h_ny.T
    grad['c'] += g
    da = (vikter['V'].T @ g + da_nästa) * (1 - h_ny ** 2)
    grad['W'] += da @ h.T
    grad['U'][:, [tecken[t]]] += da
    grad['b'] += da
    return bakåt(vikter, tecken, facit, spår, grad, t - 1, vikter['W'] @ da)

def förlust_och_gradient(vikter, tecken, facit, h):
    spår = framåt(vikter, tecken, h)
    L = -sum(np.log(p[f, 0]) for (_, _, p), f in zip(spår, facit))
    grad = {k: np.zeros_like(v) for k, v in vikter.items()}
    return L, bakåt(vikter, tecken, facit, spår, grad)
