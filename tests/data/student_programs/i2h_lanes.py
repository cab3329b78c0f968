import numpy as np

# names after the torch tutorial; arrays are (T, B, K)


class RNN:
    def __init__(self, input_size, hidden_size, output_size):
        self.hidden_size = hidden_size
        self.w_i2h = np.random.uniform(-.1, .1, (input_size, hidden_size))
        self.w_h2h = np.random.uniform(-.1, .1, (hidden_size, hidden_size))
        self.b_h = np.zeros(hidden_size)
        self.w_h2o = np.random.uniform(-.1, .1, (hidden_size, output_size))
        self.b_o = np.zeros(output_size)

    def init_hidden(self, batch):
        return np.zeros((batch, self.hidden_size))

    def forward(self, x, hidden):
        self.x = x
        self.h = [hidden]
        self.y = []
        for x_t in x:
            self.h.append(np.tanh(x_t.dot(self.w_i2h) + self.h[-1].dot(self.w_h2h) + self.b_h))
            s = np.exp(self.h[-1].dot(self.w_h2o) + self.b_o)
            self.y.append(s / s.sum(axis=-1, keepdims=True))
        self.y = np.array(self.y)
        return self.y, self.h[-1]

    def loss(self, labels):
        return -(labels * np.log(self.y)).sum()

    def backward(self, labels):
        self.grad_w_i2h, self.grad_w_h2h, self.grad_w_h2o = [np.zeros_like(w) for w in (self.w_i2h, self.w_h2h, self.w_h2o)]
        self.grad_b_h, self.grad_b_o = np.zeros_like(self.b_h), np.zeros_like(self.b_o)
        dnext = np.zeros_like(self.h[0])
        for t in reversed(range(len(self.x))):
            dout = self.y[t] - labels[t]
            self.grad_w_h2o += self.h[t + 1].T.dot(dout)
            self.grad_b_o += dout.sum(0)
            dpre = dout.dot(self.w_h2o.T) + dnext     # forgot something?
            self.grad_w_i2h += self.x[t].T.dot(dpre)
            self.grad_w_h2h += self.h[t].T.dot(dpre)
            self.grad_b_h += dpre.sum(0)
            dnext = dpre.dot(self.w_h2h.T)
