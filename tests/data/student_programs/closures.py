import numpy as np

def make_model(vocab, units, seed=0):
    rs = np.random.RandomState(seed)
    theta = {"Wx": rs.randn(units, vocab) * .1, "Wh": rs.randn(units, units) * .1, "Wp": rs.randn(vocab, units) * .1,
             "bh": np.zeros(units), "bp": np.zeros(vocab)}

    def loss_grad(xs, ys, h):
        hs, ps = [h], []
        for x in xs:
            hs.append(np.tanh(theta["Wx"][:, x] + theta["Wh"] @ hs[-1] + theta["bh"]))
            e = np.exp(theta["Wp"] @ hs[-1] + theta["bp"])
            ps.append(e / e.sum())
        loss = sum(-np.log(p[y]) for p, y in zip(ps, ys))
        g = {k: np.zeros_like(v) for k, v in theta.items()}
        d = np.zeros(units)
        for t in range(len(xs))[::-1]:
            q = ps[t].copy(); q[ys[t]] -= 1
            g["Wp"] += np.outer(q, hs[t + 1]); g["bp"] += q
            d = (theta["Wp"].T @ q + theta["Wh"].T @ d) * (1 - hs[t + 1] ** 2)
            g["Wx"][:, xs[t]] += d; g["Wh"] += np.outer(d, hs[t]); g["bh"] += d
        return loss, g

    return theta, loss_grad
