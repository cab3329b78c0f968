import numpy as np

def softmax(x):
    e = np.exp(x - np.max(x))
    return e / e.sum(axis=0)

def init(n_a, n_x):
    g = np.random.RandomState(3)
    return {"Wax": g.randn(n_a, n_x)*0.01, "Waa": g.randn(n_a, n_a)*0.01, "Wya": g.randn(n_x, n_a)*0.01,
            "ba": np.zeros((n_a, 1)), "by": np.zeros((n_x, 1))}

def step(params, a_prev, x):
    a = np.tanh(params["Wax"] @ x + params["Waa"] @ a_prev + params["ba"])
    return a, softmax(params["Wya"] @ a + params["by"])

def rnn_forward(X, Y, a0, params, vocab_size = 27):
    x, a, y_hat, loss = {}, {-1: np.copy(a0)}, {}, 0
    for t, symbol in enumerate(X):
        x[t] = np.zeros((vocab_size, 1))
        if symbol != None:
            x[t][symbol] = 1
        a[t], y_hat[t] = step(params, a[t-1], x[t])
        loss -= np.log(y_hat[t][Y[t], 0])
    return loss, (y_hat, a, x)

def step_back(dy, grads, params, x, a, a_prev):
    grads["dWya"] += dy @ a.T
    grads["dby"] += dy
    da = params["Wya"].T @ dy + grads["da_next"]
    dz = (1 - a * a) * da
    grads["dba"] += dz
    grads["dWax"] += dz @ x.T
    grads["dWaa"] += dz @ a_prev.T
    grads["da_next"] = params["Waa"].T @ dz
    return grads

def rnn_backward(X, Y, params, cache):
    y_hat, a, x = cache
    grads = {"d" + k: np.zeros_like(w) for k, w in params.items()}
    grads["da_next"] = np.zeros_like(a[0])
    for t in reversed(range(len(X))):
        dy = np.copy(y_hat[t])
        dy[Y[t]] -= 1
        grads = step_back(dy, grads, params, x[t], a[t], a[t-1])
    return grads, a

def clip(grads, limit):
    for k in ("dWax", "dWaa", "dWya", "dba", "dby"):
        grads[k] = np.clip(grads[k], -limit, limit)
    return grads

def update(params, grads, lr):
    for k in params:
        params[k] -= lr * grads["d" + k]
    return params

def optimize(X, Y, a_prev, params, learning_rate = 0.01):
    loss, cache = rnn_forward(X, Y, a_prev, params)
    grads, a = rnn_backward(X, Y, params, cache)
    grads = clip(grads, 5)
    params = update(params, grads, learning_rate)
    return loss, grads, a[len(X)-1]

names = open('dinos.txt').read().lower()
chars = sorted(set(names))
ix = {c: i for i, c in enumerate(chars)}
params = init(50, len(chars))
a_prev = np.zeros((50, 1))
for j, name in enumerate(names.split("\n")):
    X = [None] + [ix[c] for c in name]
    Y = X[1:] + [ix["\n"]]
    loss, grads, a_prev = optimize(X, Y, a_prev, params)
    if j % 100 == 0:
        print(j, loss)
