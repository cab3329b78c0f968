"""The work that is compared: text cut into windows, and the parameters that every program starts from."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from charrnn.bench import work as bench
from charrnn.bench.work import start

__all__ = ["LAB", "MANY", "SIZES", "Work", "start", "windows"]
Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Work(bench.Work):
    """One size of training. `windows` updates go into one call; `learning_rate` is that of the timed updates."""

    windows: int = 1

    @property
    def characters(self) -> int:
        """Characters in one update."""
        return self.T * self.B

    def settings(self, **changes: Any) -> dict[str, Any]:
        """The arguments a program is built with, parameters and dtype apart."""
        fields = asdict(replace(self, **changes))
        names = ("optimizer", "learning_rate", "clip", "reduction", *(("cell", "layers") if self.gated else ()))
        return {"seq_length": self.T, "batch_size": self.B} | {name: fields[name] for name in names}

    @property
    def gated(self) -> bool:
        """Whether it is another network than the vanilla one of one layer, which is all that most programs know."""
        return (self.cell, self.layers) != ("rnn", 1)


# The lab's update, and many lanes at three widths.
LAB = Work("lab: m=100, T=25, one lane, AdaGrad", 100, 25, 1, "adagrad", 0.1, 5.0, "sum", windows=300)
MANY = [
    Work(f"many lanes: m={m}, T=50, B=50, Adam", m, 50, 50, "adam", 1e-3, None, "mean", windows=windows)
    for m, windows in ((128, 20), (256, 10), (512, 5))
]
GATED = [
    Work(f"{title} m={m}, T=50, B=50, Adam", m, 50, 50, "adam", 1e-3, None, "mean", cell, layers, windows)
    for title, cell, m, layers, windows in (
        ("LSTM", "lstm", 128, 1, 5),
        ("LSTM", "lstm", 256, 1, 2),
        ("LSTM", "lstm", 512, 1, 1),
        ("GRU", "gru", 256, 1, 2),
        ("GRU", "gru", 512, 1, 1),
        ("two layers of LSTM", "lstm", 256, 2, 1),
        ("two layers, vanilla", "rnn", 512, 2, 1),
    )
]
GATED_LAB = [
    Work(f"{cell.upper()}, lab size: m=100, T=25, one lane, AdaGrad", 100, 25, 1, "adagrad", 0.1, 5.0, "sum", cell, 1, 50)
    for cell in ("lstm", "gru")
]
SIZES = {"lab": [LAB], "many": MANY, "gated": GATED, "gated-lab": GATED_LAB} | {f"m{work.m}": [work] for work in MANY}
READ = {"rnn": ("rnn", 100, 1), "lstm": ("lstm", 512, 1)}  # the networks that write and score: cell, hidden units, layers


def windows(ids: Array, work: Work) -> tuple[Array, Array]:
    """Inputs and targets, int32 (windows, T, B): B equal consecutive streams of the text, walked side by side."""
    length = (len(ids) - 1) // work.B
    needed = work.windows * work.T
    if length < needed:
        raise SystemExit(f"{work.title} needs {work.B * needed + 1:,} characters of text, got {len(ids):,}: give more")

    def cut(first: int) -> Array:
        streams = np.asarray(ids[first : first + work.B * length], np.int32).reshape(work.B, length)
        return np.ascontiguousarray(streams.T[:needed].reshape(work.windows, work.T, work.B))

    return cut(0), cut(1)
