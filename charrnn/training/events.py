"""What happens in a run, as callbacks are told it, and who keeps checkpoints of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from charrnn.network.network import Network
from charrnn.training.history import History, Sample, Validation
from charrnn.training.run import Run


@dataclass
class Event:
    """What callbacks get, at the "start", each "sample", "validation", chunk ("progress") and "note", the "test", and the "end".

    >>> from charrnn import CharRNN
    >>> kinds = []
    >>> plan = {"updates": 1, "sample_every": None, "progress": False}
    >>> history = CharRNN(4).train("a rose is a rose is a rose", **plan, callbacks=[lambda event: kinds.append(event.kind)])
    >>> kinds
    ['start', 'progress', 'end']
    """

    kind: str
    step: int  # updates done by this model so far
    done: int  # ... and in this run
    total: int  # planned for this run
    epoch: int
    history: History
    model: Any  # the CharRNN
    seconds: float
    sample: Sample | None = None
    validation: Validation | None = None
    note: str = ""


Callback = Callable[[Event], Any]


class Keeper(Protocol):
    """Who writes checkpoints; see `charrnn.training.checkpoint`."""

    def updates_until_due(self, done: int) -> int: ...
    def is_due(self, done: int) -> bool: ...
    def write(self, network: Network, run: Run, rng: np.random.Generator, history: History) -> None: ...
