import numpy as np

# notation of the lecture notes: h_t = tanh(Wh x_t + Uh h_{t-1} + bh),  y_t = softmax(Wy h_t + by)


def predict(x, h, theta):
    Wh, Uh, bh, Wy, by = theta
    hidden, output = [], []
    for t in range(x.shape[0]):
        h = np.tanh(np.matmul(Wh, x[t]) + np.matmul(Uh, h) + bh)
        z = np.matmul(Wy, h) + by
        z = np.exp(z - np.max(z))
        hidden.append(h)
        output.append(z / np.sum(z))
    return hidden, output


def cost_and_gradient(x, y, h_init, theta):
    """x, y: (T, K, 1) one-hot; h_init: (m, 1); theta: list of the five arrays"""
    Wh, Uh, bh, Wy, by = theta
    hidden, output = predict(x, h_init, theta)
    T = x.shape[0]
    J = 0.0
    for t in range(T):
        J += -np.sum(y[t] * np.log(output[t]))
    J /= T
    gWh, gUh, gbh, gWy, gby = np.zeros_like(Wh), np.zeros_like(Uh), np.zeros_like(bh), np.zeros_like(Wy), np.zeros_like(by)
    delta = np.zeros_like(h_init)
    for t in range(T - 1, -1, -1):
        dz = (output[t] - y[t]) / T
        gWy += np.matmul(dz, hidden[t].T)
        gby += dz
        dh = np.matmul(Wy.T, dz) + np.matmul(Uh.T, delta)
        delta = dh * (1 - np.square(hidden[t]))
        gWh += np.matmul(delta, x[t].T)
        prev = hidden[t - 1] if t > 0 else h_init
        gUh += np.matmul(delta, prev.T)
        gbh += delta
    return J, [gWh, gUh, gbh, gWy, gby]
