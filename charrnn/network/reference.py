"""The network, its gradients and its updates in NumPy, written to be read: the oracle of the compiled kernels.

The functions, arguments and array layouts are those of csrc/kernels.pxi, so either can stand for the other. Dimensions: m hidden
units, K symbols, T time steps, B lanes, L layers. Symbols are integer ids; x_t one-hot is never built, since U x_t is a column of U.
What a layer is made of is the cell's business (charrnn/network/cells/); the rest is backprop-through-time, Goodfellow, Bengio &
Courville, Deep Learning, 10.2. Whatever is given in complex numbers is computed in them, for derivatives by a complex step.
"""

from __future__ import annotations

import numpy as np

from charrnn.network.arrays import Array
from charrnn.network.blocks import blocks, layer_views, views
from charrnn.network.decoding import Rules, draw
from charrnn.network.dropout import Masks, candidates_kept, dropout_mask, weight_dropped
from charrnn.network.optimisers import UpdateRule, update
from charrnn.network.smooth import SmoothLoss
from charrnn.network.workspace import Workspace

__all__ = ["backward", "exp", "forward", "pack", "sample", "scratch_size", "sigmoid", "softmax", "tanh", "train"]


def softmax(logits: Array) -> Array:
    """p_k = exp(o_k) / sum over j of exp(o_j), along the last axis. The maximum is taken off first, so that nothing overflows.

    >>> softmax(np.array([1000.0, 1000.0]))
    array([0.5, 0.5])
    """
    shifted = np.exp(logits - logits.max(-1, keepdims=True))
    return shifted / shifted.sum(-1, keepdims=True)  # type: ignore[no-any-return]


def scratch_size(work: Workspace) -> int:
    """How many elements the kernels need for themselves: NumPy none."""
    return 0


def pack(theta: Array, work: Workspace) -> None:
    """Renew the copies of the weights that the compiled kernels keep; NumPy keeps none."""


def forward(
    theta: Array,
    work: Workspace,
    inputs: Array,
    targets: Array,
    scale: float = 1.0,
    gradient: bool = True,
    dropout: float = 0.0,
    seed: int = 0,
    update: int = 0,
    recurrent_dropout: float = 0.0,
) -> None:
    """From the carried states[:, :, 0] and ids (T, B): states[:, :, 1:], gates, losses (T, B) in nats, and error (T, B, K)::

        a_g = U_g x_t + W_g h_{t-1} + b_g     h_t = cell(a)        in each layer, whose h_t is the x_t of the layer above
        o_t = V h_t + c     p_t = softmax(o_t)     loss_t = -log p_t[y_t]

    error is g_t = scale (p_t - y_t) if `gradient`, else p_t itself. dropout is the share of units that no layer hands up,
    recurrent_dropout that of the candidates that are not written into the state, chosen by (seed, update); see `charrnn.network.dropout`.
    """
    m, K, cell = work.m, work.K, work.architecture.kind
    T, B = inputs.shape
    masks = Masks(dropout, seed, update, recurrent_dropout)
    below = inputs
    for layer, (U, W, b) in enumerate(layer_views(theta, work.architecture)):
        a, states = np.moveaxis(work.gates[layer, ..., :m], 2, 0), work.states[layer, ..., :m]
        kept = candidates_kept(masks, layer, work.architecture, T, B, work.dtype)
        a[:] = b[:, None, None]
        for g in range(len(cell.gates)):
            a[g] += U[g].T[below] if layer == 0 else below @ U[g].T
        for t in range(T):
            for g in range(len(cell.gates)):
                a[cell.recurrent_row(g), t] += states[0, t] @ W[g].T
            for state, after in zip(states, cell.forward(a[:, t], tuple(states[:, t]), *_at(kept, t)), strict=True):
                state[t + 1] = after
        below = states[0, 1:]
        if dropout:
            below = work.dropped[layer, :, :, :m] = below * dropout_mask(dropout, seed, update, layer, (T, B, m), work.dtype)
    p = views(theta, work.architecture)
    logits = below @ p["V"].T + p["c"]
    logits -= logits.real.max(-1, keepdims=True)
    probability = softmax(logits)
    right = (np.arange(T)[:, None], np.arange(B), targets)
    losses = np.log(np.exp(logits).sum(-1)) - logits[right]  # -log p, but finite where p is too small for its type
    work.losses[:] = losses if np.iscomplexobj(work.losses) else losses.real
    if gradient:
        probability[right] -= 1
        probability *= scale
    work.error[:, :, :K] = probability


def backward(
    theta: Array, work: Workspace, inputs: Array, dropout: float = 0.0, seed: int = 0, update: int = 0, recurrent_dropout: float = 0.0
) -> None:
    """The gradients of the window's loss, shaped like theta, from what `forward` left with the same arguments::

        g_t = dL/do_t     dV = sum g_t h_t^T     dc = sum g_t     dh_t = V^T g_t + what comes back through the cell and W
        da_g by the cell     dW_g = sum da_g h_{t-1}^T     dU_g = sum da_g x_t^T     db_g = sum da_g     dx_t = sum over g of U_g^T da_g

    The sums run over t = 1 .. T and all lanes; the carried state counts in dW but is itself a constant. gates become da; delta
    (T+1, B, m) receives dh, of the first layer in the end.
    """
    m, K, cell = work.m, work.K, work.architecture.kind
    T, B = inputs.shape
    p, d = views(theta, work.architecture), views(work.gradients, work.architecture)
    parameters, gradients = layer_views(theta, work.architecture), layer_views(work.gradients, work.architecture)
    g_t = work.error[:, :, :K]
    masks = Masks(dropout, seed, update, recurrent_dropout)

    def handed_up(layer: int) -> Array:
        return work.dropped[layer, :, :, :m] if dropout else work.states[layer, 0, 1:, :, :m]

    d["V"][:] = np.einsum("tbk,tbj->kj", g_t, handed_up(-1))
    d["c"][:] = g_t.sum((0, 1))
    from_above = g_t @ p["V"]
    for layer in reversed(range(work.layers)):
        (U, W, _), d_layer = parameters[layer], gradients[layer]
        a, states = np.moveaxis(work.gates[layer, ..., :m], 2, 0), work.states[layer, ..., :m]
        if dropout:
            from_above = from_above * dropout_mask(dropout, seed, update, layer, (T, B, m), work.dtype)
        kept = candidates_kept(masks, layer, work.architecture, T, B, work.dtype)
        delta = work.delta[:, :, :m]
        d_states = tuple(np.zeros_like(states[0, 0]) for _ in cell.states)
        for t in reversed(range(T)):
            delta[t + 1] = from_above[t] + d_states[0]
            d_after = (delta[t + 1], *d_states[1:])
            d_before = cell.backward(a[:, t], tuple(states[:, t]), tuple(states[:, t + 1]), d_after, *_at(kept, t))
            through_w = sum(a[cell.recurrent_row(g), t] @ W[g] for g in range(len(cell.gates)))
            d_states = (d_before[0] + through_w, *d_before[1:])
        delta[0] = d_states[0]
        from_above = np.zeros_like(from_above)
        for g in range(len(cell.gates)):
            d_layer.W[g] = np.einsum("tbi,tbj->ij", a[cell.recurrent_row(g)], states[0, :-1])
            if layer:
                d_layer.U[g] = np.einsum("tbi,tbj->ij", a[g], handed_up(layer - 1))
                from_above += a[g] @ U[g]
            else:
                d_layer.U[g] = 0
                np.add.at(d_layer.U[g].T, inputs, a[g])
        d_layer.b[:] = a.sum((1, 2))


def _at(kept: Array | None, t: int) -> tuple[Array, ...]:
    """One more argument for a cell, where there is dropout for it."""
    return () if kept is None else (kept[t],)


def train(
    theta: Array,
    slots: Array,
    work: Workspace,
    inputs: Array,
    targets: Array,
    resets: Array,
    losses: Array,
    rates: Array,
    rule: UpdateRule,
    smooth: Array,
    best: Array,
    first_update: int = 1,
    thread: int = 0,
    threads: int = 1,
) -> None:
    """Many updates: window u of inputs and targets (n, T, B) is one step of truncated backprop-through-time.

    states[:, :, 0] carries the state from window to window and is 0 where resets[u]; losses (n, 3) receives the window's loss in
    nats, the smooth loss, and the gradient's norm where rule.clip_norm bounds it, else NaN; rates (n, 3): `UpdateRule.rates`;
    first_update is the number by which dropout knows the first. smooth (5,) and best: see `charrnn.network.smooth.SmoothLoss`.
    NumPy uses one thread: the first does everything.
    """
    if thread:
        return
    tracker = SmoothLoss(smooth)
    for u in range(len(inputs)):
        if resets[u]:
            work.states[:, :, 0] = 0
        masks = Masks(rule.dropout, rule.seed, first_update + u, rule.recurrent_dropout)
        weights = (work.architecture, rule.weight_drop, rule.seed, first_update + u)
        used = weight_dropped(theta, *weights) if rule.weight_drop else theta
        forward(used, work, inputs[u], targets[u], rule.scale, True, *masks)
        loss = float(work.losses.sum())
        losses[u, :2] = loss, tracker.add(loss, theta, best)
        backward(used, work, inputs[u], *masks)
        gradients = weight_dropped(work.gradients, *weights) if rule.weight_drop else work.gradients
        rate = np.full((len(theta), 1), rates[u, 0], theta.dtype)
        for block in blocks(work.architecture):
            if block.letter == "U" and block.layer == 0:
                rate[block.rows] *= rule.input_rate
            if block.letter in "UWV":
                theta[block.rows] *= theta.dtype.type(rates[u, 2])
        norm = update(theta, slots, gradients, rate, rates[u, 1], rule)
        losses[u, 2] = norm if rule.clip_norm < np.inf else np.nan
        work.states[:, :, 0] = work.states[:, :, -1]


def sample(theta: Array, work: Workspace, ids: Array, start: int, uniforms: Array, rules: Rules) -> None:
    """ids (B, start + n): the last n columns receive symbols drawn one after the other from states[:, :, 0], each fed back in.

    The first `start` columns are given: the last of them is the first input, all are what `rules` look back on (-1: nothing).
    uniforms (n, B) in [0, 1) are the random numbers; see `charrnn.network.decoding.draw`. work must have T = 1.
    """
    V, c = (views(theta, work.architecture)[name] for name in ("V", "c"))
    for t in range(start, ids.shape[1]):
        x = np.ascontiguousarray(ids[None, :, t - 1])
        forward(theta, work, x, x, gradient=False)
        work.states[:, :, 0] = work.states[:, :, 1]
        logits = work.states[-1, 0, 1, :, : work.m] @ V.T + c
        for lane in range(len(ids)):
            ids[lane, t] = draw(logits[lane], uniforms[t - start, lane], rules, ids[lane, :t])


def tanh(out: Array, x: Array) -> None:
    """out = tanh(x)."""
    np.tanh(x, out=out)


def sigmoid(out: Array, x: Array) -> None:
    """out = 1 / (1 + exp(-x))."""
    out[:] = 0.5 + 0.5 * np.tanh(0.5 * x)


def exp(out: Array, x: Array) -> None:
    """out = exp(x)."""
    np.exp(x, out=out)
