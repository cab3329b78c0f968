"""charrnn bench: the compiled kernels against NumPy, on the same updates, on this machine.

Everything runs in one process, with BLAS on as many threads as the kernels. Before anything is timed, all programs must have computed
the same losses. Then they take turns, forwards and backwards, and the medians are shown: times on a busy machine drift, ratios hold.
On one thread the clock is the processor time of this process, which other programs do not lengthen; on several it is the wall's.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from charrnn import arguments
from charrnn.bench import baselines
from charrnn.cli.another import another_charrnn
from charrnn.errors import CharRNNError
from charrnn.files.atomic import atomic_write
from charrnn.network import kernels
from charrnn.network.parameters import SLOTS, Array, Rule, Workspace, aligned_zeros, named_views, new_theta
from charrnn.text.corpus import read_corpus
from charrnn.threads import Team, together

EXAMPLES = """\
examples:
  charrnn bench                              the lab's size, many lanes, and synthesis
  charrnn bench --sizes lab --rounds 31      one size, more exactly
  charrnn bench --threads 2 --sizes many     two threads, for the kernels and for NumPy
  charrnn bench --json bench.json --png bench.png
"""
BLAS = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS", "BLIS_NUM_THREADS")
SECONDS = 0.08  # the least that one turn of a program takes
TOLERANCE = {"float32": 1e-4, "float64": 1e-9}  # of the losses, relative, over the first windows


@dataclass(frozen=True)
class Work:
    """One size of training: the update that is timed, on windows of the bundled story."""

    title: str
    m: int
    T: int
    B: int
    optimizer: str
    learning_rate: float
    clip: float | None
    reduction: str

    def flops(self, K: int) -> int:
        """Multiplications and additions in the matrix products of one update: two for each weight of W and V, three times over."""
        return 6 * self.T * self.B * self.m * (self.m + K)


LAB = Work("lab: m=100, T=25, one lane, AdaGrad", 100, 25, 1, "adagrad", 0.1, 5.0, "sum")
MANY = [Work(f"many lanes: m={m}, T=50, B=50, Adam", m, 50, 50, "adam", 1e-3, None, "mean") for m in (128, 256, 512)]
SIZES = {"lab": [LAB], "many": MANY, "synthesis": []}


class Compiled:
    """The kernels as a program to compare: arguments as `charrnn.bench.baselines.Vectorised`; level: which kernels, None for the best."""

    def __init__(
        self,
        parameters: dict[str, Array],
        *,
        seq_length: int,
        batch_size: int,
        optimizer: str,
        learning_rate: float,
        clip: float | None,
        reduction: str,
        dtype: str = "float32",
        level: str | None = None,
        threads: int = 1,
    ) -> None:
        m, K = parameters["U"].shape
        self.kernels = kernels.get(level)
        self.theta = theta_of(parameters, dtype)
        self.slots = aligned_zeros((SLOTS[optimizer], *self.theta.shape), dtype)
        self.best, self.smooth = aligned_zeros(self.theta.shape, dtype), np.array([np.nan, np.inf, 0.0, 0.0])
        self.work = Workspace(m, K, seq_length, batch_size, dtype)
        scale = 1.0 / (seq_length * batch_size) if reduction == "mean" else 1.0
        self.rule = Rule(optimizer, clip=np.inf if clip is None else clip, scale=scale)
        self.learning_rate, self.step, self.threads = learning_rate, 0, min(threads, batch_size)
        self.kernels.renew(self.theta, self.work)

    def run(self, inputs: Array, targets: Array) -> Array:
        """One update per window of inputs and targets (n, T, B); returns the summed losses (n,)."""
        n = len(inputs)
        rates = self.rule.rates(np.full(n, self.learning_rate), self.step + 1)
        losses, resets = np.empty((n, 2)), np.zeros(n, np.uint8)
        resets[0] = self.step == 0
        self.step += n
        every = (self.theta, self.slots, self.work, inputs, targets, resets, losses, rates, self.rule, self.smooth, self.best)
        with Team(self.threads) as team:
            together(team, self.kernels.train, every, self.work.barrier)
        return losses[:, 0]


def theta_of(parameters: dict[str, Array], dtype: str) -> Array:
    """The kernels' flat array with these parameters."""
    m, K = parameters["U"].shape
    theta = new_theta(m, K, dtype)
    for name, view in named_views(theta, m, K).items():
        view[...] = parameters[name]
    return theta


def sample_with(level: str | None, parameters: dict[str, Array], uniforms: Array, dtype: str = "float32") -> Array:
    """Synthesis from a zero state and symbol 0, one character after another: uniforms (n,), ids (n,)."""
    m, K = parameters["U"].shape
    theta, work = theta_of(parameters, dtype), Workspace(m, K, 1, 1, dtype)
    chosen, ids = kernels.get(level), np.empty((len(uniforms), 1), np.intc)
    chosen.renew(theta, work)
    chosen.sample(theta, work, ids, np.zeros(1, np.intc), uniforms[:, None])
    return ids[:, 0]


def programs(work: Work, threads: int) -> dict[str, tuple[Callable[..., Any], dict[str, Any]]]:
    """What is compared at a size: title -> how to build it. The first is what the others are compared with."""
    found: dict[str, tuple[Callable[..., Any], dict[str, Any]]] = {
        "charrnn, float32": (Compiled, {"threads": threads}),
        "charrnn, float64": (Compiled, {"dtype": "float64", "threads": threads}),
        "NumPy, vectorised, float32": (baselines.Vectorised, {}),
    }
    if work is LAB:
        found["NumPy, readable reference, float32"] = (Compiled, {"level": "numpy"})
        found["NumPy, a student's, float64"] = (baselines.Student, {})
    return found


def start(m: int, K: int, std: float = 0.01) -> dict[str, Array]:
    """Parameters to start from: N(0, std^2) weights, zero biases, float64."""
    rng = np.random.default_rng(0)
    shapes = {"U": (m, K), "W": (m, m), "V": (K, m)}
    return {n: std * rng.standard_normal(s) for n, s in shapes.items()} | {"b": np.zeros(m), "c": np.zeros(K)}


def windows(ids: Array, work: Work, n: int) -> tuple[Array, Array]:
    """The first n windows of the text in B streams: inputs and targets (n, T, B)."""
    stream = (len(ids) - 1) // work.B
    n = min(n, stream // work.T)
    at = np.arange(n * work.T)[:, None] + stream * np.arange(work.B)
    shape = (n, work.T, work.B)
    return ids[at].astype(np.intc).reshape(shape), ids[at + 1].astype(np.intc).reshape(shape)


def take_turns(jobs: dict[str, Callable[[], Any]], rounds: int, threads: int) -> dict[str, list[float]]:
    """Seconds per call of each job, in each round; jobs of less than SECONDS are repeated within their turn."""
    clock = time.process_time if threads == 1 else time.perf_counter
    repeats = {}
    for name, job in jobs.items():
        begun = clock()
        job()
        repeats[name] = max(1, round(SECONDS / max(clock() - begun, 1e-6)))
    times: dict[str, list[float]] = {name: [] for name in jobs}
    for turn in range(rounds):
        for name in list(jobs) if turn % 2 else list(jobs)[::-1]:
            begun = clock()
            for _ in range(repeats[name]):
                jobs[name]()
            times[name].append((clock() - begun) / repeats[name])
    return times


def compare_training(work: Work, ids: Array, K: int, threads: int, rounds: int, tell: Callable[[str], None]) -> dict[str, Any]:
    """Losses compared, then times: one row per program. Raises CharRNNError if a program computes something else."""
    settings: dict[str, Any] = {
        "seq_length": work.T,
        "batch_size": work.B,
        "optimizer": work.optimizer,
        "clip": work.clip,
        "reduction": work.reduction,
    }
    few = windows(ids, work, 100 if work is LAB else 3)
    parameters = start(work.m, K)
    # AdaGrad's rate of 0.1 makes the first updates chaotic: rounding errors grow until any two programs differ. A tenth of it does not.
    right = baselines.Vectorised(parameters, dtype="float64", learning_rate=work.learning_rate / 10, **settings).run(*few)
    built = {}
    for name, (build, more) in programs(work, threads).items():
        losses = build(parameters, learning_rate=work.learning_rate / 10, **settings, **more).run(*few)
        error = float(np.max(np.abs(losses / right - 1)))
        if not error <= TOLERANCE["float64" if "float64" in name else "float32"]:
            raise CharRNNError(f"{name} computes other losses than NumPy in float64 does, {error:.1e} apart: the comparison means nothing")
        built[name] = build(parameters, learning_rate=work.learning_rate, **settings, **more)
        tell(f"  {name}: the same losses, to {error:.0e}")
    lot = windows(ids, work, 500 if work is LAB else 4)
    peaks = {"float32": np.zeros(1, np.float32), "float64": np.zeros(1)}
    peak_of: Any = kernels.get()
    has_peak = hasattr(peak_of, "peak")
    jobs: dict[str, Callable[[], Any]] = {name: partial(program.run, *lot) for name, program in built.items()}
    if has_peak:
        jobs |= {f"peak {dtype}": partial(peak_of.peak, sink, 100_000) for dtype, sink in peaks.items()}
    times = take_turns(jobs, rounds, threads)
    rows = []
    base = times["charrnn, float32"]
    for name in built:
        per_update = statistics.median(times[name]) / len(lot[0])
        row = {
            "program": name,
            "seconds_per_update": per_update,
            "characters_per_second": work.T * work.B / per_update,
            "times_slower": statistics.median(a / b for a, b in zip(times[name], base, strict=True)),
            "gflops": work.flops(K) / per_update / 1e9,
        }
        if has_peak:
            dtype = "float64" if "float64" in name else "float32"
            flops = peak_of.peak(peaks[dtype], 100_000)
            each = (work.flops(K) * len(lot[0]) / a / (flops / b) for a, b in zip(times[name], times[f"peak {dtype}"], strict=True))
            row["share_of_peak"] = statistics.median(each)
        rows.append(row)
    return {"title": work.title, "threads": threads, "K": K, "rounds": rounds, "unit": "update", "rows": rows}


def compare_synthesis(K: int, rounds: int, tell: Callable[[str], None], m: int = 100, length: int = 2000) -> dict[str, Any]:
    """Characters drawn one after the other: all programs must write the same text from the same random numbers."""
    parameters = start(m, K, std=0.1)
    uniforms = np.random.default_rng(1).random(length)
    samplers: dict[str, Callable[[], Array]] = {
        "charrnn, float32": lambda: sample_with(None, parameters, uniforms),
        "NumPy, vectorised, float32": lambda: baselines.sample(parameters, uniforms),
        "NumPy, readable reference, float32": lambda: sample_with("numpy", parameters, uniforms),
    }
    texts = {name: sampler() for name, sampler in samplers.items()}
    for name, text in texts.items():
        same = float(np.mean(text == texts["charrnn, float32"]))
        if same < 0.99:  # once a rounding error tips one choice, the texts part
            raise CharRNNError(f"{name} writes another text than charrnn, equal in {same:.0%} of the characters")
        tell(f"  {name}: the same text, {same:.0%} of {length:,} characters")
    times = take_turns(samplers, rounds, 1)
    rows = [
        {
            "program": name,
            "seconds_per_update": statistics.median(t) / length,
            "characters_per_second": length / statistics.median(t),
            "times_slower": statistics.median(a / b for a, b in zip(t, times["charrnn, float32"], strict=True)),
        }
        for name, t in times.items()
    ]
    return {"title": f"synthesis: m={m}, one passage", "threads": 1, "K": K, "rounds": rounds, "unit": "character", "rows": rows}


def table(result: dict[str, Any]) -> str:
    """A result as text."""
    head = f"{result['title']}, K={result['K']}, {result['threads']} thread{'s' * (result['threads'] > 1)}"
    lines = [head, f"  {'':36}{'µs per ' + result['unit']:>17}{'chars/s':>13}{'time ratio':>12}"]
    for name, title in (("gflops", f"{'GFLOP/s':>9}"), ("share_of_peak", f"{'of FMA peak':>13}")):
        lines[-1] += title if name in result["rows"][0] else ""
    for row in result["rows"]:
        lines.append(
            f"  {row['program']:36}{row['seconds_per_update'] * 1e6:17,.2f}{row['characters_per_second']:13,.0f}{row['times_slower']:12.2f}"
            + (f"{row['gflops']:9.1f}" if "gflops" in row else "")
            + (f"{row['share_of_peak']:13.0%}" if "share_of_peak" in row else "")
        )
    return "\n".join(lines)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of charrnn bench."""
    parser.add_argument(
        "--sizes",
        nargs="+",
        choices=[*SIZES, "all"],
        default=["all"],
        metavar="SIZE",
        help=f"what to compare: {', '.join(SIZES)} or all (default)",
    )
    parser.add_argument("--rounds", type=int, default=11, help="turns that each program takes (default 11); medians are shown")
    parser.add_argument("--threads", type=int, default=1, help="threads for the kernels and for NumPy's BLAS (default 1)")
    parser.add_argument("--json", metavar="FILE", help="write every figure to FILE; - for standard output, instead of the table")
    parser.add_argument("--png", metavar="FILE", help="draw the table to FILE")


def run(args: argparse.Namespace) -> int:
    """Compare, print, write."""
    threads = arguments.whole_number("threads", args.threads)
    rounds = arguments.whole_number("rounds", args.rounds)
    if any(os.environ.get(name) != str(threads) for name in BLAS):  # BLAS reads these once, when NumPy is imported
        command, environment = another_charrnn(sys.argv[1:])
        return subprocess.run(command, env=environment | dict.fromkeys(BLAS, str(threads))).returncode
    corpus = read_corpus(None)
    ids, K = corpus.ids, len(corpus.vocabulary)
    quiet = args.json == "-"

    def tell(line: str) -> None:
        print(line, file=sys.stderr if quiet else sys.stdout, flush=True)

    tell(f"{kernels.show_config()}\n")
    sizes = list(SIZES) if "all" in args.sizes else list(dict.fromkeys(args.sizes))
    results = []
    for work in [work for size in sizes for work in SIZES[size]]:
        results.append(compare_training(work, ids, K, threads, rounds, tell))
        tell(f"\n{table(results[-1])}\n")
    if "synthesis" in sizes:
        results.append(compare_synthesis(K, rounds, tell))
        tell(f"\n{table(results[-1])}\n")
    found = json.dumps({"machine": kernels.show_config().splitlines(), "results": results}, indent=1)
    if quiet:
        print(found)
    elif args.json:
        atomic_write(args.json, found + "\n")
    if args.png:
        from charrnn.display.plots import bench_chart

        bench_chart(results, args.png)
    return 0
