"""charrnn itself, called where its own training calls its kernels."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from charrnn.bench.compiled import Compiled, sample_with, score_with

Array = np.ndarray[Any, Any]


class Charrnn(Compiled):
    """`charrnn.bench.compiled.Compiled` on as many threads as the peers' libraries were given."""

    def __init__(self, parameters: dict[str, Array], **settings: Any) -> None:
        super().__init__(parameters, threads=int(os.environ.get("OMP_NUM_THREADS", "1")), **settings)


def sample(parameters: dict[str, Array], uniforms: Array, cell: str = "rnn", layers: int = 1) -> Array:
    """Synthesis, one character after another, as charrnn.bench.baselines.sample defines it."""
    return sample_with(None, parameters, uniforms, cell=cell, layers=layers)


def score(parameters: dict[str, Array], ids: Array, cell: str = "rnn", layers: int = 1) -> Array:
    """-ln p of every symbol but the first."""
    return score_with(None, parameters, ids, cell=cell, layers=layers)
