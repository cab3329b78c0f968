"""What a run needs to go on where it stopped."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from charrnn.network.parameters import Array
from charrnn.training.settings import Settings

if TYPE_CHECKING:
    from charrnn.text.corpus import Corpus


@dataclass
class Safe:
    """A copy of what was learned, known to be sound."""

    step: int
    theta: Array
    slots: Array
    best: Array
    smooth: Array


@dataclass
class Progress:
    """Everything, beside the parameters and the random generator, that a run needs to go on where it stopped."""

    step: int = 0  # updates ever
    done: int = 0  # updates of the planned total
    total: int = 0
    epoch: int = 0
    cursor: int = 0  # where in each stream the next window starts
    sampled: int = -1  # the number of updates at which the last sample was drawn, so that none is drawn twice
    validated: int = -1  # the same for the last validation
    moments: int = 0  # updates since the optimiser's memories were 0
    rescues: int = 0  # how often the learning rate was halved
    fingerprint: str = ""  # of the text that the cursor belongs to
    held_out: str | None = None  # the fingerprint of the validation text
    settings: Settings = field(default_factory=Settings)
    smooth: Array = field(default_factory=lambda: np.array([np.nan, np.inf, 0.0, 0.0]))
    slots: Array | None = None
    hidden: Array | None = None  # (B, m_): the carried state
    best: Array | None = None
    safe: Safe | None = None

    def open(self, corpus: Corpus) -> None:
        """Begin another text: what was lowest on the one before says nothing about it."""
        self.open_epoch(corpus)
        self.fingerprint, self.best, self.safe = corpus.fingerprint, None, None
        self.smooth[[0, 1, 3]] = np.nan, np.inf, 0.0  # see `charrnn.network.reference.follow`; the count goes on

    def open_epoch(self, corpus: Corpus) -> None:
        """Begin the text anew: past its end, where the next window is its first."""
        self.cursor, self.hidden = len(corpus), None

    def plain(self) -> dict[str, Any]:
        """The numbers and settings as JSON can hold them."""
        names = ("step", "done", "total", "epoch", "cursor", "sampled", "validated", "moments", "rescues", "fingerprint", "held_out")
        return {name: getattr(self, name) for name in names} | {"settings": asdict(self.settings)}
