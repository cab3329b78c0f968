"""The comparison: every program computes the same, and then they are timed.

Everything runs in one process, with BLAS on as many threads as the kernels. Before anything is timed, all programs must have computed
the same losses. Then they are timed one after the other, forwards and backwards, and the medians are shown: times on a busy machine
drift, ratios hold. On one thread the clock is the processor time of this process, which other programs do not lengthen; on several it
is the wall's.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from charrnn.bench import baselines
from charrnn.bench.compiled import Compiled, sample_with, score_with
from charrnn.bench.work import GATED, LAB, MANY, READ, SIZES, Work, start, windows
from charrnn.errors import CharRNNError
from charrnn.network import kernels
from charrnn.network.arrays import Array
from charrnn.text.corpus import read_corpus

LENGTH = 2048  # characters that are written or scored: whole windows of an evaluation
SECONDS = 0.08  # the least for which a program is timed in a round
TOLERANCE = {"float32": 1e-4, "float64": 1e-9}  # of the losses, relative, over the first windows


def compare(sizes: Sequence[str], threads: int, rounds: int, tell: Callable[[str], None]) -> list[dict[str, Any]]:
    """What the programs took at each of these `SIZES`, on the bundled story; each result is told as a table when it is there."""
    story = read_corpus(None)
    ids, K = story.ids, len(story.vocabulary)
    jobs: list[Callable[[], dict[str, Any]]] = [
        partial(compare_training, work, ids, K, threads, rounds, tell) for size in sizes for work in SIZES[size]
    ]
    jobs += [partial(compare_synthesis, network, K, rounds, tell) for network in READ if "synthesis" in sizes]
    jobs += [partial(compare_scoring, network, ids, K, rounds, tell) for network in READ if "scoring" in sizes]
    results = []
    for job in jobs:
        results.append(job())
        tell(f"\n{table(results[-1])}\n")
    return results


def programs(work: Work, threads: int) -> dict[str, tuple[Callable[..., Any], dict[str, Any]]]:
    """What is compared at a size: title -> how to build it. The first is what the others are compared with."""
    found: dict[str, tuple[Callable[..., Any], dict[str, Any]]] = {
        "charrnn, float32": (Compiled, {"threads": threads}),
        "charrnn, float64": (Compiled, {"dtype": "float64", "threads": threads}),
    }
    if work not in GATED:
        found["NumPy, vectorised, float32"] = (baselines.Vectorised, {})
    if work not in MANY:
        found["NumPy, readable reference, float32"] = (Compiled, {"level": "numpy"})
    if work is LAB:
        found["NumPy, a student's, float64"] = (baselines.Student, {})
    kind = {"cell": work.cell, "layers": work.layers} if work in GATED else {}
    return {name: (build, options | kind) for name, (build, options) in found.items()}


def time_rounds(jobs: dict[str, Callable[[], Any]], rounds: int, threads: int) -> dict[str, list[float]]:
    """Seconds per call of each job, in each round; jobs of less than SECONDS are repeated within a round."""
    clock = time.process_time if threads == 1 else time.perf_counter
    repeats = {}
    for name, job in jobs.items():
        begun = clock()
        job()
        repeats[name] = max(1, round(SECONDS / max(clock() - begun, 1e-6)))
    times: dict[str, list[float]] = {name: [] for name in jobs}
    for number in range(rounds):
        for name in list(jobs) if number % 2 else list(jobs)[::-1]:
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
    first = windows(ids, work, 100 if work is LAB else 3)
    parameters = start(work.architecture, K)
    # AdaGrad's rate of 0.1 makes the first updates chaotic: rounding errors grow until any two programs differ. A tenth of it does not.
    oracle: Any = partial(Compiled, level="numpy", cell=work.cell, layers=work.layers) if work in GATED else baselines.Vectorised
    right = oracle(parameters, dtype="float64", learning_rate=work.learning_rate / 10, **settings).run(*first)
    built = {}
    for name, (build, options) in programs(work, threads).items():
        losses = build(parameters, learning_rate=work.learning_rate / 10, **settings, **options).run(*first)
        tell(f"  {name}: the same losses, to {checked(losses, right, name):.0e}")
        built[name] = build(parameters, learning_rate=work.learning_rate, **settings, **options)
    timed = windows(ids, work, 500 if work is LAB else 1 if work in GATED else 4)
    peaks = {"float32": np.zeros(1, np.float32), "float64": np.zeros(1)}
    peak_of: Any = kernels.get()
    has_peak = hasattr(peak_of, "peak")
    jobs: dict[str, Callable[[], Any]] = {name: partial(program.run, *timed) for name, program in built.items()}
    if has_peak:
        jobs |= {f"peak {dtype}": partial(peak_of.peak, sink, 100_000) for dtype, sink in peaks.items()}
    times = time_rounds(jobs, rounds, threads)
    rows = []
    base = times["charrnn, float32"]
    for name in built:
        per_update = statistics.median(times[name]) / len(timed[0])
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
            parts = (work.flops(K) * len(timed[0]) / a / (flops / b) for a, b in zip(times[name], times[f"peak {dtype}"], strict=True))
            row["share_of_peak"] = statistics.median(parts)
        rows.append(row)
    return {"title": work.title, "threads": threads, "K": K, "rounds": rounds, "unit": "update", "rows": rows}


def compare_synthesis(architecture: tuple[str, int, int], K: int, rounds: int, tell: Callable[[str], None]) -> dict[str, Any]:
    """Characters drawn one after the other: all programs must write the same text from the same random numbers."""
    cell, m, layers = architecture
    parameters = start(architecture, K, std=m**-0.5)
    uniforms = np.random.default_rng(1).random(LENGTH)
    kind: dict[str, Any] = {"cell": cell, "layers": layers}
    samplers: dict[str, Callable[[], Array]] = {"charrnn, float32": lambda: sample_with(None, parameters, uniforms, **kind)}
    if (cell, layers) == ("rnn", 1):
        samplers["NumPy, vectorised, float32"] = lambda: baselines.sample(parameters, uniforms)
    samplers["NumPy, readable reference, float32"] = lambda: sample_with("numpy", parameters, uniforms, **kind)
    texts = {name: sampler() for name, sampler in samplers.items()}
    for name, text in texts.items():
        same = float(np.mean(text == texts["charrnn, float32"]))
        if same < 0.99:  # once a rounding error tips one choice, the texts part
            raise CharRNNError(f"{name} writes another text than charrnn, equal in {same:.0%} of the characters")
        tell(f"  {name}: the same text, {same:.0%} of {LENGTH:,} characters")
    return one_by_one(f"synthesis: {named(architecture)}, one passage", samplers, K, rounds)


def compare_scoring(architecture: tuple[str, int, int], ids: Array, K: int, rounds: int, tell: Callable[[str], None]) -> dict[str, Any]:
    """A text scored in one lane from its beginning: all programs must find the same loss for every character."""
    cell, m, layers = architecture
    parameters, text = start(architecture, K, std=m**-0.5), np.ascontiguousarray(ids[: LENGTH + 1], np.intc)
    kind: dict[str, Any] = {"cell": cell, "layers": layers}
    right = score_with("numpy", parameters, text, "float64", **kind)
    scorers: dict[str, Callable[[], Array]] = {
        "charrnn, float32": lambda: score_with(None, parameters, text, **kind),
        "NumPy, readable reference, float32": lambda: score_with("numpy", parameters, text, **kind),
    }
    for name, scorer in scorers.items():
        tell(f"  {name}: the same losses, to {checked(scorer(), right, name):.0e}")
    return one_by_one(f"scoring: {named(architecture)}, one text", scorers, K, rounds)


def named(architecture: tuple[str, int, int]) -> str:
    """In a title: what is said of the vanilla network is its width alone."""
    cell, m, layers = architecture
    return f"{layers} x " * (layers > 1) + f"{cell.upper()}, " * (cell != "rnn") + f"m={m}"


def checked(losses: Array, right: Array, name: str) -> float:
    """How far the losses are from those in float64, relative; CharRNNError where that is too far."""
    error = float(np.max(np.abs(losses / right - 1)))
    if not error <= TOLERANCE["float64" if "float64" in name else "float32"]:
        raise CharRNNError(f"{name} computes other losses than NumPy in float64 does, {error:.1e} apart: the comparison means nothing")
    return error


def one_by_one(title: str, jobs: dict[str, Callable[[], Array]], K: int, rounds: int) -> dict[str, Any]:
    """Programs that take LENGTH characters one after another, timed on one thread: one row per program."""
    times = time_rounds(jobs, rounds, 1)
    rows = [
        {
            "program": name,
            "seconds_per_update": statistics.median(t) / LENGTH,
            "characters_per_second": LENGTH / statistics.median(t),
            "times_slower": statistics.median(a / b for a, b in zip(t, times["charrnn, float32"], strict=True)),
        }
        for name, t in times.items()
    ]
    return {"title": title, "threads": 1, "K": K, "rounds": rounds, "unit": "character", "rows": rows}


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
