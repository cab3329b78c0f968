"""The programs that compete, and the processes they run in.

Every program has a process of its own, with its pools at the same number of threads and pinned to the same cores, and
they take turns: while one works, the others wait for a message and cost nothing. In a common process the threads that
one pool leaves spinning run beside the next program: with two threads, the fastest updates of NumPy, Numba and JAX took
a fifth to a third longer there (m=128, 50 lanes; `peers.py --together` repeats it). With one thread it makes no
difference.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from typing import Any

import numpy as np
from work import Array, Work, start, windows

POOLS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")
GENTLE_RATE = 0.01  # for the comparison of losses, see Program.losses


@dataclass(frozen=True)
class Entry:
    """A program: where its class is, what it needs installed, and how it is called in tables."""

    title: str
    module: str
    name: str
    needs: str
    dtype: str = "float32"
    options: tuple[tuple[str, Any], ...] = ()
    one_lane_adagrad_only: bool = False
    gated: bool = False  # knows other cells than the vanilla one, and layers
    larger_network: bool = False  # only its first loss is the others'

    def can_do(self, work: Work) -> bool:
        return (self.gated or not work.gated) and (not self.one_lane_adagrad_only or (work.B == 1 and work.optimizer == "adagrad"))

    def installed(self) -> bool:
        return importlib.util.find_spec(self.needs) is not None


ENTRIES = {
    "charrnn": Entry("charrnn", "with_charrnn", "Charrnn", "charrnn", gated=True),
    "charrnn-f64": Entry("charrnn, float64", "with_charrnn", "Charrnn", "charrnn", "float64", gated=True),
    "reference": Entry("charrnn's NumPy reference", "with_charrnn", "Charrnn", "charrnn", options=(("level", "numpy"),), gated=True),
    "numpy": Entry("NumPy, vectorised", "charrnn.bench.baselines", "Vectorised", "charrnn"),
    "student": Entry("NumPy, student's, float64", "charrnn.bench.baselines", "Student", "charrnn", "float64"),
    "minchar": Entry("min-char-rnn's way, float64", "minchar", "MinChar", "numpy", "float64", (), True),
    "numba": Entry("Numba, loops", "with_numba", "Numba", "numba", options=(("blas", False),)),
    "numba-blas": Entry("Numba, products by BLAS", "with_numba", "Numba", "numba"),
    "jax": Entry("JAX, lax.scan, jax.grad", "with_jax", "Jax", "jax"),
    "jax-written": Entry("JAX, lax.scan, gradients by hand", "with_jax", "Jax", "jax", options=(("gradients", "written"),)),
    "torch": Entry("PyTorch nn.RNN (GRU, LSTM), eager", "with_torch", "Torch", "torch", gated=True),
    "torch-embedded": Entry(
        "PyTorch nn.Embedding + nn.RNN, eager", "with_torch", "Torch", "torch", options=(("network", "embedded"),), larger_network=True
    ),
    "torch-compiled": Entry("PyTorch nn.RNN, torch.compile", "with_torch", "Torch", "torch", options=(("compiled", True),)),
    "torch-written": Entry(
        "PyTorch written out, torch.compile", "with_torch", "Torch", "torch", options=(("network", "written"), ("compiled", True))
    ),
}

# Synthesis: function of (parameters, uniforms) -> ids; those that know gated cells take cell and layers as well.
SAMPLERS = {
    "charrnn": Entry("charrnn", "with_charrnn", "sample", "charrnn", gated=True),
    "numpy": Entry("NumPy", "charrnn.bench.baselines", "sample", "charrnn"),
    "torch": Entry("PyTorch, eager", "with_torch", "sample", "torch"),
    "torch-modules": Entry("PyTorch nn.RNN (GRU, LSTM), eager", "with_torch", "sample_modules", "torch", gated=True),
    "onnxruntime": Entry("onnxruntime, a call per character", "with_onnx", "sample", "onnxruntime", gated=True),
}
# Scoring: function of (parameters, ids) -> nats of every symbol but the first.
SCORERS = {
    "charrnn": Entry("charrnn", "with_charrnn", "score", "charrnn", gated=True),
    "torch": Entry("PyTorch nn.RNN (GRU, LSTM)", "with_torch", "score", "torch", gated=True),
    "onnxruntime": Entry("onnxruntime, one call", "with_onnx", "score", "onnxruntime", gated=True),
}


class Program:
    """One entry in the process where it runs."""

    def __init__(self, entry: Entry, threads: int) -> None:
        self.entry, self.threads = entry, threads
        self.load = getattr(importlib.import_module(entry.module), entry.name)

    def prepare(self, work: Work, ids: Array, K: int) -> Array:
        """Builds the program twice: first to compare (see `losses`), then warm and ready to be timed."""
        self.work, (self.inputs, self.targets) = work, windows(ids, work)
        self.parameters = start(work.architecture, K)
        losses = self._build(learning_rate=min(work.learning_rate, GENTLE_RATE)).run(self.inputs, self.targets)
        self.running = self._build()
        self.running.run(self.inputs, self.targets)
        return np.asarray(losses)

    def _build(self, **changes: Any) -> Any:
        return self.load(self.parameters, dtype=self.entry.dtype, **self.work.settings(**changes), **dict(self.entry.options))

    def seconds(self, at_least: float) -> float:
        """Mean time of an update, over calls that last at_least seconds together."""
        return self._mean_time(lambda: self.running.run(self.inputs, self.targets), at_least) / len(self.inputs)

    def prepare_reading(self, architecture: tuple[str, int, int], parameters: dict[str, Array], numbers: Array) -> Array:
        """What a sampler or scorer makes of these random numbers or ids."""
        cell, _, layers = architecture
        kind = {"cell": cell, "layers": layers} if self.entry.gated else {}
        self.call = partial(self.load, parameters, numbers, **kind)
        result = np.asarray(self.call())
        self.characters = len(result)
        return result

    def reading_seconds(self, at_least: float) -> float:
        """Mean time of a character."""
        return self._mean_time(self.call, at_least) / self.characters

    def _mean_time(self, call: Callable[[], Any], at_least: float) -> float:
        # On one thread the processor time of this process, which other programs do not lengthen; on several the wall's.
        clock = time.process_time if self.threads == 1 else time.perf_counter
        calls, begin = 0, clock()
        while (elapsed := clock() - begin) < at_least or not calls:
            call()
            calls += 1
        return elapsed / calls


def pin(threads: int) -> None:
    """Gives this process, and those it starts, `threads` cores and pools of that size; call before importing any."""
    os.environ.update(dict.fromkeys(POOLS, str(threads)))
    # JAX sizes its pool by the cores it may use; without this it would use more than it is given.
    if hasattr(os, "sched_setaffinity"):
        cores = sorted(os.sched_getaffinity(0))
        if len(cores) < threads:
            raise SystemExit(f"--threads {threads} needs as many cores, this process may use {len(cores)}")
        os.sched_setaffinity(0, cores[-threads:])


class Remote:
    """A `Program` in a process of its own; its methods are called here and run there."""

    def __init__(self, entry: Entry, threads: int) -> None:
        context = get_context("spawn")
        self.connection, other = context.Pipe()
        self.process = context.Process(target=_serve, args=(other, entry, threads), daemon=True)
        self.process.start()
        other.close()

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:
            self.connection.send((name, arguments))
            fine, answer = self.connection.recv()
            if not fine:
                raise RuntimeError(answer)
            return answer

        return call

    def close(self) -> None:
        self.connection.close()
        self.process.join()


def _serve(connection: Any, entry: Entry, threads: int) -> None:
    """Answers calls until the other end closes."""
    program = None
    while True:
        try:
            name, arguments = connection.recv()
        except EOFError:
            return
        try:
            program = program or Program(entry, threads)
            connection.send((True, getattr(program, name)(*arguments)))
        except Exception as error:  # whatever a peer raises is told, and the others go on
            connection.send((False, f"{type(error).__name__}: {error}".splitlines()[0]))


def start_all(entries: dict[str, Entry], threads: int, together: bool = False) -> dict[str, Any]:
    """name -> running program, for those installed; says on stderr which are not."""
    programs = {}
    for name, entry in entries.items():
        if entry.installed():
            programs[name] = Program(entry, threads) if together else Remote(entry, threads)
        else:
            print(f"{entry.title}: left out, {entry.needs} is not installed", file=sys.stderr)
    return programs
