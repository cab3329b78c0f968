import numpy as np
# batches as (K, B, T): symbols first, then sequences, then time

def run_network(weights, x, h):
    K, B, T = x.shape
    m = weights['Whh'].shape[0]
    H = np.empty((m, B, T + 1))
    H[:, :, 0] = h
    P = np.empty((K, B, T))
    for t in range(T):
        H[:, :, t + 1] = np.tanh(weights['Wxh'] @ x[:, :, t] + weights['Whh'] @ H[:, :, t] + weights['bh'])
        S = np.exp(weights['Why'] @ H[:, :, t + 1] + weights['by'])
        P[:, :, t] = S / S.sum(axis=0)
    return H, P

def objective(weights, x, y, h):
    H, P = run_network(weights, x, h)
    K, B, T = x.shape
    cost = -np.sum(y * np.log(P)) / B
    D = (P - y) / B
    grad = {name: np.zeros_like(w) for name, w in weights.items()}
    delta = np.zeros((H.shape[0], B))
    for t in range(T)[::-1]:
        grad['Why'] += D[:, :, t] @ H[:, :, t + 1].T
        grad['by'] += D[:, :, t].sum(1)[:, None]
        delta = (weights['Why'].T @ D[:, :, t] + weights['Whh'].T @ delta) * (1 - H[:, :, t + 1] ** 2)
        grad['Wxh'] += delta @ x[:, :, t].T
        grad['Whh'] += delta @ H[:, :, t].T
        grad['bh'] += delta.sum(1)[:, None]
    return cost, grad
