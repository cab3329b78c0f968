import numpy as np, sys

class CharRnn:
    def __init__(self, text, hidden_size=100, seq_length=25, learning_rate=1e-1):
        self.chars = list(set(text))
        self.vocab_size = len(self.chars)
        self.char_to_ix = {c: i for i, c in enumerate(self.chars)}
        self.hidden_size = hidden_size
        self.seq_length = seq_length
        self.learning_rate = learning_rate
        self.Wxh = np.random.randn(hidden_size, self.vocab_size) * .01
        self.Whh = np.random.randn(hidden_size, hidden_size) * .01
        self.Why = np.random.randn(self.vocab_size, hidden_size) * .01
        self.bh = np.zeros((hidden_size, 1))
        self.by = np.zeros((self.vocab_size, 1))
        self.h_prev = np.zeros((hidden_size, 1))
        self.mem = [np.zeros_like(p) for p in self.weights()]

    def weights(self):
        return [self.Wxh, self.Whh, self.Why, self.bh, self.by]

    def forward(self, inputs, targets):
        self.x, self.h, self.p = {}, {-1: np.copy(self.h_prev)}, {}
        loss = 0
        for t in range(len(inputs)):
            self.x[t] = np.zeros((self.vocab_size, 1))
            self.x[t][inputs[t]] = 1
            self.h[t] = np.tanh(self.Wxh.dot(self.x[t]) + self.Whh.dot(self.h[t - 1]) + self.bh)
            y = self.Why.dot(self.h[t]) + self.by
            self.p[t] = np.exp(y) / np.exp(y).sum()
            loss += -np.log(self.p[t][targets[t], 0])
        return loss

    def backward(self, inputs, targets):
        dWxh, dWhh, dWhy, dbh, dby = [np.zeros_like(w) for w in self.weights()]
        dhnext = np.zeros_like(self.h[0])
        for t in reversed(range(len(inputs))):
            dy = np.copy(self.p[t])
            dy[targets[t]] -= 1
            dWhy += dy.dot(self.h[t].T)
            dby += dy
            dh = self.Why.T.dot(dy) + dhnext
            dhraw = (1 - self.h[t] ** 2) * dh
            dbh += dhraw
            dWxh += dhraw.dot(self.x[t].T)
            dWhh += dhraw.dot(self.h[t - 1].T)
            dhnext += self.Whh.T.dot(dhraw)
        return [np.clip(g, -5, 5) for g in (dWxh, dWhh, dWhy, dbh, dby)]

    def train_step(self, inputs, targets):
        loss = self.forward(inputs, targets)
        for w, g, m in zip(self.weights(), self.backward(inputs, targets), self.mem):
            m += g * g
            w -= self.learning_rate * g / np.sqrt(m + 1e-8)
        self.h_prev = self.h[len(inputs) - 1]
        return loss


if __name__ == '__main__':
    text = open(sys.argv[1]).read()
    net = CharRnn(text)
    i = 0
    while 1:
        x = [net.char_to_ix[c] for c in text[i:i + net.seq_length]]
        y = [net.char_to_ix[c] for c in text[i + 1:i + net.seq_length + 1]]
        print(net.train_step(x, y))
        i = (i + net.seq_length) % (len(text) - net.seq_length - 1)
