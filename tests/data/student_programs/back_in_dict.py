import numpy as np
"""Homework 3: dinosaur names. Written after the course notebook, functions only"""


def softmax(x):
    ex = np.exp(x - np.max(x))
    return ex / ex.sum(axis=0)


def cell_forward(parameters, a_prev, x):
    Waa, Wax, Wya, by, b = parameters['Waa'], parameters['Wax'], parameters['Wya'], parameters['by'], parameters['b']
    a_next = np.tanh(np.dot(Wax, x) + np.dot(Waa, a_prev) + b)
    p_t = softmax(np.dot(Wya, a_next) + by)
    return a_next, p_t


def forward(X, Y, a0, parameters):
    x, a, y_hat = {}, {}, {}
    a[-1] = np.copy(a0)
    n = parameters['by'].shape[0]
    loss = 0
    for t in range(len(X)):
        x[t] = np.zeros((n, 1))
        x[t][X[t]] = 1
        a[t], y_hat[t] = cell_forward(parameters, a[t - 1], x[t])
        loss -= np.log(y_hat[t][Y[t], 0])
    cache = (y_hat, a, x)
    return loss, cache


def cell_backward(dy, gradients, parameters, x, a, a_prev):
    gradients['dWya'] += np.dot(dy, a.T)
    gradients['dby'] += dy
    da = np.dot(parameters['Wya'].T, dy) + gradients['back']
    daraw = (1 - a * a) * da
    gradients['db'] += daraw
    gradients['dWax'] += np.dot(daraw, x.T)
    gradients['dWaa'] += np.dot(daraw, a_prev.T)
    gradients['back'] += np.dot(parameters['Waa'].T, daraw)
    return gradients


def backward(X, Y, parameters, cache):
    gradients = {}
    (y_hat, a, x) = cache
    Waa, Wax, Wya, by, b = parameters['Waa'], parameters['Wax'], parameters['Wya'], parameters['by'], parameters['b']
    gradients['dWax'], gradients['dWaa'], gradients['dWya'] = np.zeros_like(Wax), np.zeros_like(Waa), np.zeros_like(Wya)
    gradients['db'], gradients['dby'] = np.zeros_like(b), np.zeros_like(by)
    gradients['back'] = np.zeros_like(a[0])
    for t in reversed(range(len(X))):
        dy = np.copy(y_hat[t])
        dy[Y[t]] -= 1
        gradients = cell_backward(dy, gradients, parameters, x[t], a[t], a[t - 1])
    return gradients, a
