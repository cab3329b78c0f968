"""How far a gradient reaches back through time: the norm of dL_t/dh_{t-k} against k.

L_t = -log p_t[y_t] is the loss of one character. Going back a step multiplies its gradient by the Jacobian of that step; where these
products shrink, the gradient vanishes, and nothing is learned of what lies further back (Hochreiter 1991; Bengio, Simard & Frasconi 1994;
Pascanu, Mikolov & Bengio 2013). The carried state counts as one point: dL_t/dh_{t-k} holds the other arrays of the state after step t-k
fixed, c of an LSTM among them, and it is what backprop-through-time hands from step t-k+1 to step t-k.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from charrnn import arguments
from charrnn.errors import TextError
from charrnn.network.arrays import Array
from charrnn.network.blocks import layer_views, views
from charrnn.network.network import Network
from charrnn.network.workspace import Workspace
from charrnn.text.corpus import Corpus

LANES = 16  # places of the text that are worked on side by side


@dataclass(frozen=True)
class Flow:
    """Norms of gradients, for n places t of a text and k = 0 .. steps.

    h: (n, steps + 1), of dL_t/dh_{t-k}, over the units of all layers. c: the same by the cell's second state; None where it has none.
    """

    h: Array
    c: Array | None

    @property
    def steps(self) -> int:
        """The largest k."""
        return int(self.h.shape[1]) - 1

    def quartiles(self, state: str = "h") -> Array:
        """(3, steps + 1): the lower quartile, the median and the upper quartile over the places; state: "h" or "c"."""
        norms = self.h if state == "h" else self.c
        if norms is None:
            raise ValueError("this cell carries h alone")
        found: Array = np.quantile(norms, (0.25, 0.5, 0.75), axis=0)
        return found

    def reach(self, part: float, state: str = "h") -> int | None:
        """The first k from which on the median stays below this part of the median at k = 1; None if it never does."""
        median = self.quartiles(state)[1]
        above = np.flatnonzero(median >= part * median[min(1, self.steps)])
        last = int(above[-1]) if len(above) else 0
        return last + 1 if last < self.steps else None


def gradient_flow(network: Network, corpus: Corpus, steps: int = 100, places: int = 64) -> Flow:
    """The norms at `places` places, evenly spread over the text, in float64; reading starts up to 2 `steps` characters before each.

    Raises `TextError` for a text of fewer than steps + 2 characters, `SettingsError` for numbers below 1.

    >>> from charrnn import CharRNN, Corpus
    >>> model = CharRNN(hidden_size=8, init_std=0.01, vocabulary="ab ")  # with such small weights, gradients vanish at once
    >>> flow = gradient_flow(model.network, Corpus.from_text("ab ba " * 20, model.vocabulary), steps=10, places=5)
    >>> flow.h.shape, flow.c is None, flow.reach(0.1)
    ((5, 11), True, 2)
    """
    steps = arguments.whole_number("steps", steps)
    places = arguments.whole_number("places", places)
    if len(corpus) < steps + 2:
        raise TextError(
            f"{corpus.name} is too short: {steps:,} steps need {steps + 2:,} characters, got {len(corpus):,}; "
            "give a longer text or fewer steps"
        )
    exact = network.astype(np.float64)
    T = min(2 * steps, len(corpus) - 1)
    arguments.memory(f"gradients through {steps:,} steps", exact.window_bytes(T, min(LANES, places), backward=False))
    starts = np.unique(np.linspace(0, len(corpus) - T - 1, places).astype(np.int64))
    h, c = np.zeros((len(starts), steps + 1)), np.zeros((len(starts), steps + 1))
    for first in range(0, len(starts), LANES):
        part = slice(first, first + LANES)
        ids = np.stack([corpus.read(start, start + T + 1) for start in starts[part].tolist()], axis=1)
        work = exact.workspace(T, ids.shape[1], backward=False)
        exact.kernels.forward(exact.theta, work, np.ascontiguousarray(ids[:-1]), np.ascontiguousarray(ids[1:]), gradient=False)
        for k, states in enumerate(states_back(exact, work, ids[-1], steps)):
            norms = np.sqrt(np.square(states).sum((0, 3)))  # (N, B), over layers and units
            h[part, k] = norms[0]
            c[part, k] = norms[-1]
    return Flow(h, c if len(exact.architecture.kind.states) > 1 else None)


def states_back(network: Network, work: Workspace, targets: Array, steps: int) -> Iterator[Array]:
    """The gradients of the last step's loss, for targets (B,), by the states k = 0 .. steps before: each (L, N, B, m)::

        dL_t/dh_t = V^T (p_t - y_t) in the last layer, 0 in those below;    then step by step as in `charrnn.network.reference.backward`

    work: as `forward` leaves it with gradient=False; its gates are overwritten.
    """
    m, K, T, cell = work.m, work.K, work.T, work.architecture.kind
    parameters = layer_views(network.theta, work.architecture)
    error = work.error[-1, :, :K].copy()
    error[np.arange(work.B), targets] -= 1
    found = np.zeros((work.layers, len(cell.states), work.B, m), work.dtype)
    found[-1, 0] = error @ views(network.theta, work.architecture)["V"]
    yield found
    for t in range(T - 1, T - steps - 1, -1):
        before, above = np.zeros_like(found), np.zeros_like(found[0, 0])
        for layer in reversed(range(work.layers)):
            U, W, _ = parameters[layer]
            a, states = np.moveaxis(work.gates[layer, t, ..., :m], 1, 0), work.states[layer, ..., :m]
            after = (found[layer, 0] + above, *found[layer, 1:])
            before[layer] = cell.backward(a, tuple(states[:, t]), tuple(states[:, t + 1]), after)
            before[layer, 0] += sum(a[cell.recurrent_row(g)] @ W[g] for g in range(len(cell.gates)))
            if layer:
                above = sum(a[g] @ U[g] for g in range(len(cell.gates)))
        found = before
        yield found
