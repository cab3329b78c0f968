"""The network, its gradients and its updates in NumPy, written to be read: the oracle of the compiled kernels.

The functions, arguments and array layouts are those of csrc/kernels.pxi, so either can stand for the other. Dimensions: m hidden
units, K symbols, T time steps, B lanes. Symbols are integer ids; x_t one-hot is never built, since U x_t is a column of U.
The equations are those of backprop-through-time for a vanilla RNN (Goodfellow, Bengio & Courville, Deep Learning, 10.2).
"""

from __future__ import annotations

import numpy as np

from charrnn.network.parameters import Array, Rule, Workspace, named_views

__all__ = ["backward", "exp", "follow", "forward", "renew", "sample", "softmax", "tanh", "train", "update"]


def softmax(logits: Array) -> Array:
    """p_k = exp(o_k) / sum over j of exp(o_j), along the last axis. The maximum is taken off first, so that nothing overflows.

    >>> softmax(np.array([1000.0, 1000.0]))
    array([0.5, 0.5])
    """
    shifted = np.exp(logits - logits.max(-1, keepdims=True))
    return shifted / shifted.sum(-1, keepdims=True)  # type: ignore[no-any-return]


def renew(theta: Array, work: Workspace) -> None:
    """Renew the transposed weights that the compiled kernels keep; NumPy transposes for nothing and needs none."""


def forward(theta: Array, work: Workspace, inputs: Array, targets: Array, scale: float = 1.0, learn: bool = True) -> None:
    """From the carried state hidden[0] and ids (T, B): hidden[1:] (T, B, m), losses (T, B) in nats, and error (T, B, K)::

        a_t = W h_{t-1} + U x_t + b     h_t = tanh(a_t)     o_t = V h_t + c     p_t = softmax(o_t)     loss_t = -log p_t[y_t]

    error is g_t = scale (p_t - y_t), or p_t itself unless `learn`.
    """
    m, K = work.m, work.K
    p = named_views(theta, m, K)
    U, W, V, b, c = p["U"], p["W"], p["V"], p["b"], p["c"]
    T, B = inputs.shape
    h = work.hidden[:, :, :m]
    for t in range(T):
        h[t + 1] = np.tanh(h[t] @ W.T + U.T[inputs[t]] + b)
    logits = h[1:] @ V.T + c
    logits -= logits.max(-1, keepdims=True)
    probability = softmax(logits)
    right = (np.arange(T)[:, None], np.arange(B), targets)
    work.losses[:] = np.log(np.exp(logits).sum(-1)) - logits[right]  # -log p, but finite where p is too small for its type
    if learn:
        probability[right] -= 1
        probability *= scale
    work.error[:, :, :K] = probability


def backward(theta: Array, work: Workspace, inputs: Array) -> None:
    """From hidden and error as `forward` left them: delta (T, B, m) = da and the gradients of the window's loss, shaped like theta::

        dh_t = V^T g_t + W^T da_{t+1}     da_t = dh_t * (1 - h_t^2)
        dV = sum g_t h_t^T     dc = sum g_t     dW = sum da_t h_{t-1}^T     dU[:, x_t] += da_t     db = sum da_t

    The sums run over t = 1 .. T and all lanes; h_0, the state carried in, counts in dW but is itself a constant.
    """
    m, K = work.m, work.K
    p, d = named_views(theta, m, K), named_views(work.gradients, m, K)
    h, g, da = work.hidden[:, :, :m], work.error[:, :, :K], work.delta[:, :, :m]
    from_next = np.zeros_like(h[0])
    for t in reversed(range(len(inputs))):
        da[t] = (g[t] @ p["V"] + from_next) * (1 - h[t + 1] ** 2)
        from_next = da[t] @ p["W"]
    d["W"][:] = np.einsum("tbi,tbj->ij", da, h[:-1])
    d["V"][:] = np.einsum("tbk,tbj->kj", g, h[1:])
    d["U"][:] = 0
    np.add.at(d["U"].T, inputs, da)
    d["b"][:] = da.sum((0, 1))
    d["c"][:] = g.sum((0, 1))


def update(theta: Array, slots: Array, gradients: Array, rate: float | Array, root: float, rule: Rule) -> None:
    """Change theta by its gradients: clip, then one step of the optimiser, whose memories are in slots. All in place.

    rate, one number or one for each row ``(R, 1)``, and root contain Adam's bias corrections (`Rule.rates`). All arrays are
    shaped like theta, ``(R, m_)``.
    """
    g = gradients
    norm = np.sqrt(np.sum(np.square(g, dtype=np.float64)))
    if norm > rule.clip_norm:
        g = g * (rule.clip_norm / norm)
    g = np.clip(g, -rule.clip, rule.clip)
    if rule.optimizer == "adagrad":  # eps inside the root
        slots[0] += g * g
        theta -= rate * g / np.sqrt(slots[0] + rule.eps)
    elif rule.optimizer == "adam":  # eps outside the root
        slots[0] += (1 - rule.beta1) * (g - slots[0])
        slots[1] += (1 - rule.beta2) * (g * g - slots[1])
        theta -= rate * slots[0] / (np.sqrt(slots[1]) * root + rule.eps)
    elif rule.optimizer == "rmsprop":
        slots[0] += (1 - rule.beta2) * (g * g - slots[0])
        theta -= rate * g / (np.sqrt(slots[0]) + rule.eps)
    else:  # stochastic gradient descent, beta1 its momentum
        slots[0] = rule.beta1 * slots[0] + g
        theta -= rate * slots[0]


def train(
    theta: Array,
    slots: Array,
    work: Workspace,
    inputs: Array,
    targets: Array,
    resets: Array,
    losses: Array,
    rates: Array,
    rule: Rule,
    smooth: Array,
    best: Array,
    thread: int = 0,
    threads: int = 1,
) -> None:
    """Many updates: window u of inputs and targets (n, T, B) is one step of truncated backprop-through-time.

    hidden[0] carries the state from window to window and is 0 where resets[u]; losses (n, 2) receives the window's loss in
    nats and the smooth loss; rates (n, 2) holds each update's rate and root. smooth and best: see `follow`. NumPy uses one
    thread: the first does everything.
    """
    if thread:
        return
    for u in range(len(inputs)):
        if resets[u]:
            work.hidden[0] = 0
        forward(theta, work, inputs[u], targets[u], rule.scale)
        losses[u] = follow(work.losses.sum(), smooth, theta, best)
        backward(theta, work, inputs[u])
        rate = rates[u, 0]
        if rule.input_rate != 1:
            rate = np.full((len(theta), 1), rate, theta.dtype)
            rate[work.m + work.K : work.m + 2 * work.K] *= rule.input_rate
        update(theta, slots, work.gradients, rate, rates[u, 1], rule)
        work.hidden[0] = work.hidden[-1]


def follow(loss: float, smooth: Array, theta: Array, best: Array) -> tuple[float, float]:
    """The window's loss and smooth = 0.999 smooth + 0.001 loss; best = theta as the lowest smooth loss left it.

    smooth (4,): the smooth loss (NaN before the first window), its lowest value, the number of windows so far, the number of
    the lowest (negative while best has yet to be copied). The parameters after the update of a lowest window are theta when
    the next window arrives, so they are copied then, and only if that window is no new lowest.
    """
    smooth[2] += 1
    smooth[0] = loss if np.isnan(smooth[0]) else 0.999 * smooth[0] + 0.001 * loss
    if smooth[0] < smooth[1]:
        smooth[1], smooth[3] = smooth[0], -smooth[2]
    elif smooth[3] < 0:
        best[:] = theta
        smooth[3] = -smooth[3]
    return loss, float(smooth[0])


def sample(
    theta: Array, work: Workspace, out: Array, first: Array, uniforms: Array, temperature: float = 1.0, top_k: int = 0, top_p: float = 1.0
) -> None:
    """out (n, B): symbols drawn one after the other from the state hidden[0] and the inputs `first` (B,), each fed back in.

    The symbol is the first whose cumulated probability exceeds uniforms (n, B), among the top_k likeliest (0: all) and the
    fewest that reach probability top_p together (Holtzman et al. 2020). temperature divides the logits; 0 takes the likeliest.
    """
    m, K = work.m, work.K
    p = named_views(theta, m, K)
    x, h = first, work.hidden[0, :, :m]
    for t in range(len(out)):
        h = np.tanh(h @ p["W"].T + p["U"].T[x] + p["b"])
        logits = h @ p["V"].T + p["c"]
        for lane in range(len(first)):
            out[t, lane] = draw(logits[lane], uniforms[t, lane], temperature, top_k or K, top_p)
        x = out[t]
    work.hidden[0, :, :m] = h


def draw(logits: Array, uniform: float, temperature: float, top_k: int, top_p: float) -> int:
    """One symbol by inversion of the cumulated distribution; see `sample`."""
    if temperature == 0:
        return int(logits.argmax())
    p = softmax(logits / temperature)
    if top_k < len(p) or top_p < 1:
        likeliest = np.argsort(-p, kind="stable")[:top_k]
        enough = int(np.searchsorted(np.cumsum(p[likeliest]), top_p)) + 1
        kept = np.zeros_like(p)
        kept[likeliest[:enough]] = p[likeliest[:enough]]
        p = kept
    cumulated = np.cumsum(p, dtype=np.float64)
    k = int(np.searchsorted(cumulated, uniform * cumulated[-1], side="right"))
    return min(k, int(np.flatnonzero(p)[-1]))


def tanh(out: Array, x: Array) -> None:
    """out = tanh(x)."""
    np.tanh(x, out=out)


def exp(out: Array, x: Array) -> None:
    """out = exp(x)."""
    np.exp(x, out=out)
