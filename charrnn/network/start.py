"""The state that a text begins from: 0, or one that training has carried.

A network whose training began at 0 only where its text begins may be lost when it is started there anywhere else; see
`charrnn.evaluation.coldstart`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from charrnn.network.arrays import Array
from charrnn.network.network import Network
from charrnn.text.vocabulary import Vocabulary

STARTS = ZERO, CARRIED = "zero", "carried"


def line_end(vocabulary: Vocabulary) -> int | None:
    """The id of the line end, if the vocabulary has one."""
    character: Any = b"\n" if vocabulary.raw_bytes else "\n"
    return int(vocabulary.encode(character)[0]) if character in vocabulary else None


def start_states(network: Network, carried: Array | None, sequences: Sequence[Array]) -> Array | None:
    """(layers, states, n, m): the state before the first id of each of n sequences; None for 0.

    carried (layers, states, m): a state somewhere in the training text. A line end is read after it, so that no sequence goes on with a
    word that it does not belong to; not before a sequence that begins with one.
    """
    if carried is None:
        return None
    found = np.repeat(carried[:, :, None].astype(network.dtype), len(sequences), axis=2)
    end = line_end(network.vocabulary)
    others = [i for i, ids in enumerate(sequences) if ids[0] != end]
    if end is not None and others:
        work, x = network.workspace(1, 1, backward=False), np.full((1, 1), end, np.intc)
        work.states[:, :, 0, 0, : work.m] = carried
        network.kernels.forward(network.theta, work, x, x, gradient=False)
        found[:, :, others] = work.states[:, :, 1, :, : work.m]
    return found
