"""Derivatives by a complex step (Squire & Trapp 1998), f'(x) = Im f(x + ih) / h: nothing is subtracted, so h may be 1e-30."""

from __future__ import annotations

import numpy as np

from charrnn.gradients.report import relative_errors
from charrnn.network.arrays import Array
from charrnn.network.blocks import Block, layer_views, views
from charrnn.network.dropout import Masks, candidates_kept, dropout_mask
from charrnn.network.network import Network

ENTRIES = 64  # whose networks are computed side by side


def measure_again(
    network: Network,
    inputs: Array,
    targets: Array,
    state: Array,
    masks: Masks,
    block: Block,
    analytic: Array,
    numeric: Array,
    eps: float,
    threshold: float,
) -> Array:
    """numeric, with the entries that exceed the threshold measured again by a complex step (note c of check.py).

    The worst come first, and it ends with the first lot that stays above the threshold: then the gradient is wrong anyway.
    """
    errors = relative_errors(analytic, numeric, eps)
    order = np.argsort(-errors, axis=None, kind="stable")[: np.count_nonzero(~(errors < threshold))]
    again = numeric.copy()
    for start in range(0, len(order), ENTRIES):
        lot = np.unravel_index(order[start : start + ENTRIES], numeric.shape)
        again[lot] = complex_step(network, inputs, targets, state, masks, block, lot)
        if not (relative_errors(analytic[lot], again[lot], eps) < threshold).all():
            break
    return again


def complex_step(
    network: Network, inputs: Array, targets: Array, state: Array, masks: Masks, block: Block, entries: tuple[Array, ...], h: float = 1e-30
) -> Array:
    """(n,): the derivatives of the summed loss by n entries of one parameter, from NumPy alone.

    entries: n row indices and, for a matrix, n column indices. All n networks run side by side: number i of n has its own entry
    moved by ih, which adds ih times that entry's factor to one pre-activation or logit.

    >>> from charrnn import CharRNN
    >>> from charrnn.network.blocks import blocks
    >>> from charrnn.network.dropout import Masks
    >>> network = CharRNN(hidden_size=3, vocabulary="ab", dtype="float64").network
    >>> x, y, state, c = np.array([[0]]), np.array([[1]]), np.zeros((1, 1, 1, 3)), blocks(network.architecture)[-1]
    >>> complex_step(network, x, y, state, Masks(), c, (np.array([0, 1]),)).round(3)
    array([ 0.5, -0.5])
    """
    cell, m = network.architecture.kind, network.architecture.hidden_size
    row, column, n = entries[0], entries[-1], len(entries[0])
    (T, B), each, L = inputs.shape, np.arange(n), network.architecture.layers
    below: Array | None = None  # (T, n, B, m): what the layer below hands up
    for layer, (U, W, b) in enumerate(layer_views(network.theta.astype(complex), network.architecture)):
        carried = tuple(np.repeat(array[None].astype(complex), n, axis=0) for array in state[layer])  # each (n, B, m)
        up: Array = np.empty((T, n, B, m), complex)
        mine = layer == block.layer
        kept = candidates_kept(masks, layer, network.architecture, T, B)
        for t in range(T):
            a = np.repeat(b[:, None, None], n, 1).repeat(B, 2)
            for g in range(len(cell.gates)):
                # flat products: BLAS is slow on many small ones
                a[g] += U[g].T[inputs[t]] if below is None else (below[t].reshape(-1, m) @ U[g].T).reshape(n, B, m)
                a[cell.recurrent_row(g)] += (carried[0].reshape(-1, m) @ W[g].T).reshape(n, B, m)
            if mine and block.letter == "b":
                a[cell.rows - 1 if "_hh_" in block.tensor else block.gate, each, :, row] += 1j * h
            elif mine and block.letter == "W":
                a[cell.recurrent_row(block.gate), each, :, row] += 1j * h * carried[0][each, :, column]
            elif mine and block.letter == "U":
                factor = inputs[t] == column[:, None] if below is None else below[t][each, :, column]
                a[block.gate, each, :, row] += 1j * h * factor
            carried = cell.forward(a, carried, *(() if kept is None else (kept[t],)))
            up[t] = carried[0]
        below = up
        if masks.dropout:
            below = up * dropout_mask(masks.dropout, masks.seed, masks.update, layer, (T, B, m))[:, None]
    assert below is not None
    p = views(network.theta, network.architecture)
    o = (below.reshape(-1, m) @ p["V"].T).reshape(T, n, B, -1) + p["c"]
    if block.layer == L:
        o[:, each, :, row] += 1j * h * (below[:, each, :, column] if block.letter == "V" else 1)
    o -= o.real.max(-1, keepdims=True)
    right = np.take_along_axis(o, np.broadcast_to(targets[:, None, :, None], (T, n, B, 1)), -1)[..., 0]
    loss = (np.log(np.exp(o).sum(-1)) - right).sum((0, 2))
    return np.asarray(loss.imag / h)
