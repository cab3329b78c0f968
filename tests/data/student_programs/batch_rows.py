import numpy as np
from typing import Dict, Tuple


def init_params(V: int, H: int, rng: np.random.Generator) -> Dict[str, np.ndarray]:
    return {
        "W_xh": rng.standard_normal((V, H)) / np.sqrt(V),
        "W_hh": rng.standard_normal((H, H)) / np.sqrt(H),
        "W_hy": rng.standard_normal((H, V)) / np.sqrt(H),
        "b_h": np.zeros(H),
        "b_y": np.zeros(V),
    }


def forward_backward(x_seq: np.ndarray, y_seq: np.ndarray, params: Dict[str, np.ndarray], h0: np.ndarray
                     ) -> Tuple[float, Dict[str, np.ndarray], np.ndarray]:
    """
    x_seq: (B, T, V) one-hot, y_seq: (B, T) integer labels, h0: (B, H)
    """
    B, T, V = x_seq.shape
    hs = [h0]
    probs = []
    total = 0.0
    for t in range(T):
        h = np.tanh(x_seq[:, t] @ params["W_xh"] + hs[-1] @ params["W_hh"] + params["b_h"])
        logits = h @ params["W_hy"] + params["b_y"]
        logits -= logits.max(axis=1, keepdims=True)
        pr = np.exp(logits)
        pr /= pr.sum(axis=1, keepdims=True)
        total += -np.log(pr[np.arange(B), y_seq[:, t]]).sum()
        hs.append(h)
        probs.append(pr)
    loss = total / (B * T)

    grads = {k: np.zeros_like(v) for k, v in params.items()}
    dh_next = np.zeros_like(h0)
    for t in range(T - 1, -1, -1):
        dlog = probs[t].copy()
        dlog[np.arange(B), y_seq[:, t]] -= 1
        dlog /= B * T
        grads["W_hy"] += hs[t + 1].T @ dlog
        grads["b_y"] += dlog.sum(axis=0)
        dh = dlog @ params["W_hy"].T + dh_next
        dz = dh * (1.0 - hs[t + 1] ** 2)
        grads["W_xh"] += x_seq[:, t].T @ dz
        grads["W_hh"] += hs[t].T @ dz
        grads["b_h"] += dz.sum(axis=0)
        dh_next = dz @ params["W_hh"].T
    return loss, grads, hs[-1]


def train(text: str, steps: int = 1000) -> None:
    vocab = sorted(set(text))
    params = init_params(len(vocab), 64, np.random.default_rng(0))
    for step in range(steps):
        pass
