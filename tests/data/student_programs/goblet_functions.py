import numpy as np
import copy

# DD2424 lab, one-hot matrices d x n

class RNN():
    def __init__(self, m, K, eta, seq_length, std):
        self.m, self.K, self.eta, self.seq_length, self.std = m, K, eta, seq_length, std
        self.b = np.zeros((m, 1))
        self.c = np.zeros((K, 1))
        self.U = np.random.normal(0, std, size=(m, K))
        self.W = np.random.normal(0, std, size=(m, m))
        self.V = np.random.normal(0, std, size=(K, m))


def load_data(file_name):
    book_data = open(file_name).read()
    book_chars = list(set(book_data))
    return book_data, book_chars


def softmax(x):
    e = x - np.max(x)
    return np.exp(e) / np.sum(np.exp(e), axis=0)


def forward_pass(rnn, h0, X):
    T = X.shape[1]
    h = np.zeros((rnn.m, T + 1))
    a = np.zeros((rnn.m, T))
    o = np.zeros((rnn.K, T))
    p = np.zeros((rnn.K, T))
    h[:, [0]] = h0
    for t in range(T):
        a[:, [t]] = np.dot(rnn.W, h[:, [t]]) + np.dot(rnn.U, X[:, [t]]) + rnn.b
        h[:, [t + 1]] = np.tanh(a[:, [t]])
        o[:, [t]] = np.dot(rnn.V, h[:, [t + 1]]) + rnn.c
        p[:, [t]] = softmax(o[:, [t]])
    return a, h, o, p


def compute_loss(Y, p):
    return -np.sum(np.log(np.sum(Y * p, axis=0)))


def backward_pass(rnn, X, Y, a, h, p):
    grads = copy.deepcopy(rnn)
    T = X.shape[1]
    G = -(Y - p).T
    grads.V = np.dot(G.T, h[:, 1:].T)
    grads.c = np.sum(G, axis=0).reshape(-1, 1)
    dLdh = np.zeros((T, rnn.m))
    dLda = np.zeros((T, rnn.m))
    dLdh[-1] = np.dot(G[-1], rnn.V)
    dLda[-1] = np.dot(dLdh[-1], np.diag(1 - np.tanh(a[:, -1]) ** 2))
    for t in range(T - 2, -1, -1):
        dLdh[t] = np.dot(G[t], rnn.V) + np.dot(dLda[t + 1], rnn.W)
        dLda[t] = np.dot(dLdh[t], np.diag(1 - np.tanh(a[:, t]) ** 2))
    grads.W = np.dot(dLda.T, h[:, :-1].T)
    grads.U = np.dot(dLda.T, X.T)
    grads.b = np.sum(dLda, axis=0).reshape(-1, 1)
    return grads


def main():
    book_data, book_chars = load_data("goblet_book.txt")
    K = len(book_chars)
    net = RNN(100, K, 0.1, 25, 0.01)
    idx = {c: i for i, c in enumerate(book_chars)}
    X = np.eye(K)[[idx[c] for c in book_data[:25]]].T
    Y = np.eye(K)[[idx[c] for c in book_data[1:26]]].T
    a, h, o, p = forward_pass(net, np.zeros((100, 1)), X)
    g = backward_pass(net, X, Y, a, h, p)
    print(compute_loss(Y, p), g.W.max())


main()
