"""Chooses the compiled kernels for this processor; the only importer of compiled modules.

``CHARRNN_KERNELS`` forces a level: base, v3, v4, or numpy for the readable reference.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import platform
from pathlib import Path
from typing import Any, Protocol

from charrnn.errors import KernelsError
from charrnn.network import reference
from charrnn.network.arrays import Array
from charrnn.network.decoding import Rules
from charrnn.network.optimisers import UpdateRule
from charrnn.network.workspace import Workspace
from charrnn.version import __version__

LEVELS = ("numpy", "base", "v3", "v4")


class Kernels(Protocol):
    """The functions that every level offers; charrnn/network/reference.py says what each computes."""

    def scratch_size(self, work: Workspace) -> int: ...
    def pack(self, theta: Array, work: Workspace) -> None: ...
    def forward(
        self,
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
    ) -> None: ...
    def backward(
        self,
        theta: Array,
        work: Workspace,
        inputs: Array,
        dropout: float = 0.0,
        seed: int = 0,
        update: int = 0,
        recurrent_dropout: float = 0.0,
    ) -> None: ...
    def train(
        self,
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
    ) -> None: ...
    def sample(self, theta: Array, work: Workspace, ids: Array, start: int, uniforms: Array, rules: Rules) -> None: ...
    def tanh(self, out: Array, x: Array) -> None: ...
    def sigmoid(self, out: Array, x: Array) -> None: ...
    def exp(self, out: Array, x: Array) -> None: ...


def available() -> list[str]:
    """The levels that this machine can run, best first; "numpy" always closes the list.

    >>> available()[-1]
    'numpy'
    """
    if importlib.util.find_spec("charrnn._cpu") is None:
        return ["numpy"]
    cpu: Any = importlib.import_module("charrnn._cpu")
    built = [level for level in cpu.levels() if importlib.util.find_spec(f"charrnn._kernels_{level}")]
    return [*built, "numpy"]


def chosen() -> str:
    """The level in use: what CHARRNN_KERNELS asks for, else the best one available.

    Raises KernelsError if CHARRNN_KERNELS names a level that does not exist or cannot run here, and where nothing is compiled.
    """
    wanted = os.environ.get("CHARRNN_KERNELS", "")
    have = available()
    if not wanted and have == ["numpy"]:  # a checkout, most likely; the reference would be a slow surprise
        raise KernelsError(
            f"charrnn in {Path(__file__).parents[1]} is not compiled: install it there with `pip install -e .`, or, if it is installed, "
            "start Python in another folder; CHARRNN_KERNELS=numpy takes the slow reference, which needs no compiling"
        )
    if not wanted:
        return have[0]
    if wanted not in LEVELS:
        raise KernelsError(f"CHARRNN_KERNELS={wanted!r} is no level; this machine runs {', '.join(have)}")
    if wanted not in have:
        raise KernelsError(f"CHARRNN_KERNELS={wanted!r} cannot run on this machine, which runs {', '.join(have)}")
    return wanted


def get(level: str | None = None, cell: str = "rnn") -> Kernels:
    """The kernels of a level, by default of the chosen one. A compiled level is imported only after the processor was asked.

    Raises KernelsError for a level that is not available, and for a cell that is not compiled.
    """
    if level is not None and (not isinstance(level, str) or level not in available()):
        raise KernelsError(f"kernels {level!r} are not available; this machine runs {', '.join(available())}")
    level = level or chosen()
    if level == "numpy":
        return reference
    kernels: Any = importlib.import_module(f"charrnn._kernels_{level}")
    if cell not in kernels.CELLS:
        raise KernelsError(f"the cell {cell!r} is not compiled, only {', '.join(kernels.CELLS)}; level='numpy' computes every cell")
    return kernels  # type: ignore[no-any-return]


def show_config() -> str:
    """Which kernels run, and why: one line each, for bug reports.

    >>> print(show_config())  # doctest: +ELLIPSIS
    charrnn ...
    """
    import numpy

    forced = os.environ.get("CHARRNN_KERNELS")
    reason = f"forced by CHARRNN_KERNELS={forced}" if forced else "the best that was built for this processor"
    return "\n".join(
        [
            f"charrnn   {__version__}, Python {platform.python_version()}, NumPy {numpy.__version__}",
            f"processor {platform.machine()}, {os.cpu_count()} cores",
            f"kernels   {chosen()} ({reason})",
            f"available {', '.join(available())}",
        ]
    )
