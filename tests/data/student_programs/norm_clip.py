import numpy as np


class CharLM:
    GRAD_NORM = 5.0

    def __init__(self, size_vocab: int, size_hidden: int):
        rng = np.random.default_rng()
        self.theta = {
            "embed": rng.normal(0, 0.1, (size_hidden, size_vocab)),
            "recur": rng.normal(0, 0.1, (size_hidden, size_hidden)),
            "project": rng.normal(0, 0.1, (size_vocab, size_hidden)),
            "bias_hidden": np.zeros((size_hidden, 1)),
            "bias_out": np.zeros((size_vocab, 1)),
        }

    def value_and_grad(self, tokens, labels, state):
        th = self.theta
        states, probs = [state], []
        for tok in tokens:
            states.append(np.tanh(th["embed"][:, tok, None] + th["recur"] @ states[-1] + th["bias_hidden"]))
            logits = th["project"] @ states[-1] + th["bias_out"]
            e = np.exp(logits - np.max(logits))
            probs.append(e / np.sum(e))
        value = 0.0
        for p, lab in zip(probs, labels):
            value -= np.log(p[lab, 0])
        grad = {k: np.zeros_like(v) for k, v in th.items()}
        flow = np.zeros_like(state)
        for t in range(len(tokens) - 1, -1, -1):
            err = probs[t].copy()
            err[labels[t]] -= 1.0
            grad["project"] += err @ states[t + 1].T
            grad["bias_out"] += err
            flow = (th["project"].T @ err + flow) * (1.0 - states[t + 1] ** 2)
            grad["embed"][:, tokens[t]] += flow[:, 0]
            grad["recur"] += flow @ states[t].T
            grad["bias_hidden"] += flow
            flow = th["recur"].T @ flow
        total = np.sqrt(sum((g ** 2).sum() for g in grad.values()))
        if total > self.GRAD_NORM:
            for k in grad:
                grad[k] *= self.GRAD_NORM / total
        return value, grad, states[-1]
