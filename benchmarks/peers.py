"""charrnn and its peers on the same work, side by side: python benchmarks/peers.py --help

Losses are compared before anything is timed. Then all programs take turns, round after round; medians are shown.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import statistics
import sys
from collections.abc import Callable
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
from programs import ENTRIES, GENTLE_RATE, SAMPLERS, SCORERS, Entry, pin, start_all
from work import READ, SIZES, Array, Work, start, windows

from charrnn.bench.baselines import Student
from charrnn.bench.compare import LENGTH, named
from charrnn.bench.compiled import Compiled, sample_with, score_with
from charrnn.text.corpus import read_corpus

PACKAGES = ("charrnn", "numpy", "numba", "jax", "torch", "onnxruntime")
LARGEST_DIFFERENCE = {"float32": 1e-4, "float64": 1e-9}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", nargs="+", default=["lab", "many", "synthesis"], choices=[*SIZES, "synthesis", "scoring"])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--only", nargs="+", choices=list(ENTRIES | SAMPLERS), help="these programs only")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--seconds", type=float, default=0.3, help="how long each program works in a round")
    parser.add_argument("--text", help="a text file; default the bundled story")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything measured")
    parser.add_argument("--together", action="store_true", help="all programs in one process")
    options = parser.parse_args()
    pin(options.threads)
    ids, K = read_text(options.text)
    chosen = {name: ENTRIES[name] for name in options.only or ENTRIES if name in ENTRIES}
    print(f"{describe_machine()}\n{options.threads} thread(s), text of {len(ids):,} characters, K={K}")
    results = []
    programs = start_all(chosen, options.threads, options.together)
    for work in (work for size in options.sizes if size in SIZES for work in SIZES[size]):
        results.append(compare(work, programs, ids, K, options.rounds, options.seconds))
        print(table(results[-1]), flush=True)
    jobs: dict[str, tuple[dict[str, Entry], Callable[..., dict[str, Any]]]] = {
        "synthesis": (SAMPLERS, partial(compare_synthesis, K=K)),
        "scoring": (SCORERS, partial(compare_scoring, ids=ids, K=K)),
    }
    for entries, job in (jobs[size] for size in jobs if size in options.sizes):
        readers = {name: entry for name, entry in entries.items() if name in (options.only or entries)}
        running = start_all(readers, options.threads, options.together)
        for network in READ.values():
            results.append(job(network, running, rounds=options.rounds, seconds=options.seconds))
            print(table(results[-1]), flush=True)
    if options.json:
        record = {
            "machine": describe_machine(),
            "command": sys.argv,
            "threads": options.threads,
            "packages": installed_versions(),
            "K": K,
            "characters": len(ids),
            "results": results,
        }
        options.json.write_text(json.dumps(record, indent=1) + "\n")


def read_text(path: str | None) -> tuple[Array, int]:
    """The ids of a text's characters, int32, and how many symbols there are."""
    corpus = read_corpus([path] if path else None)
    return corpus.read(0, len(corpus)), len(corpus.vocabulary)


def compare(work: Work, programs: dict[str, Any], ids: Array, K: int, rounds: int, seconds: float) -> dict[str, Any]:
    """Losses first, then times. A program that fails or disagrees is named and not timed."""
    ready: dict[str, Any] = {}
    rows: list[dict[str, Any]] = []
    gentle = work.settings(learning_rate=min(work.learning_rate, GENTLE_RATE))
    right: Any = partial(Compiled, dtype="float64", level="numpy") if work.gated else Student
    expected = right(start(work.architecture, K), **gentle).run(*windows(ids, work))
    for name, program in programs.items():
        entry = ENTRIES[name]
        if not entry.can_do(work):
            continue
        try:
            losses = program.prepare(work, ids, K)
        except RuntimeError as error:
            print(f"{entry.title}: left out, {error}", file=sys.stderr)
            continue
        comparable = slice(1 if entry.larger_network else None)
        difference = float(np.max(np.abs(losses[comparable] / expected[comparable] - 1.0)))
        if not difference <= LARGEST_DIFFERENCE[entry.dtype]:
            print(f"{entry.title}: left out, its losses are off by {difference:.1e}", file=sys.stderr)
            continue
        ready[name] = program
        rows.append({"program": name, "title": entry.title, "difference": difference})
    times = take_turns({name: program.seconds for name, program in ready.items()}, rounds, seconds)
    sizes = {"cell": work.cell, "layers": work.layers, "m": work.m, "T": work.T, "B": work.B, "flops": work.flops(K)}
    return finish(work.title, "update", work.characters, rows, times) | sizes


def compare_synthesis(network: tuple[str, int, int], samplers: dict[str, Any], K: int, rounds: int, seconds: float) -> dict[str, Any]:
    """The same text from the same random numbers first, then times."""
    cell, m, layers = network
    # Weights of a size where the state matters and no probability is near 0.
    parameters = start(network, K, std=m**-0.5)
    uniforms = np.random.default_rng(1).random(LENGTH)
    expected = sample_with("numpy", parameters, uniforms, "float64", cell, layers)

    def fits(written: Array) -> tuple[str, dict[str, Any]]:
        # A number within rounding of a boundary may choose the neighbour, and all that follows differs.
        same = int(np.argmin(np.append(written == expected, False)))
        return f"it writes another text from character {same}" if same < 200 else "", {"same_characters": same}

    title = f"synthesis: {named(network)}, one character after another"
    return compare_reading(title, network, SAMPLERS, samplers, parameters, uniforms, fits, rounds, seconds)


def compare_scoring(
    network: tuple[str, int, int], scorers: dict[str, Any], ids: Array, K: int, rounds: int, seconds: float
) -> dict[str, Any]:
    """The same losses of a text first, then times."""
    cell, m, layers = network
    parameters, text = start(network, K, std=m**-0.5), np.ascontiguousarray(ids[: LENGTH + 1], np.intc)
    expected = score_with("numpy", parameters, text, "float64", cell, layers)

    def fits(losses: Array) -> tuple[str, dict[str, Any]]:
        difference = float(np.max(np.abs(losses / expected - 1)))
        return f"its losses are off by {difference:.1e}" if not difference <= 1e-4 else "", {"difference": difference}

    title = f"scoring: {named(network)}, one text"
    return compare_reading(title, network, SCORERS, scorers, parameters, text, fits, rounds, seconds)


def compare_reading(
    title: str,
    network: tuple[str, int, int],
    entries: dict[str, Entry],
    programs: dict[str, Any],
    parameters: dict[str, Array],
    numbers: Array,
    fits: Callable[[Array], tuple[str, dict[str, Any]]],
    rounds: int,
    seconds: float,
) -> dict[str, Any]:
    """Programs that read or write LENGTH characters: those whose result fits are timed, the others named."""
    rows, ready = [], {}
    for name, program in programs.items():
        entry = entries[name]
        if network[::2] != ("rnn", 1) and not entry.gated:
            continue
        try:
            wrong, found = fits(program.prepare_reading(network, parameters, numbers))
        except RuntimeError as error:
            wrong, found = str(error), {}
        if wrong:
            print(f"{entry.title}: left out, {wrong}", file=sys.stderr)
            continue
        ready[name] = program
        rows.append({"program": name, "title": entry.title} | found)
    times = take_turns({name: program.reading_seconds for name, program in ready.items()}, rounds, seconds)
    return finish(title, "character", 1, rows, times)


def take_turns(programs: dict[str, Any], rounds: int, seconds: float) -> dict[str, list[float]]:
    """name -> the mean time of an update in every round; the order turns round every time."""
    times: dict[str, list[float]] = {name: [] for name in programs}
    for turn in range(rounds):
        for name in list(programs)[:: 1 if turn % 2 else -1]:
            times[name].append(programs[name](seconds))
    return times


def finish(title: str, unit: str, characters: int, rows: list[dict[str, Any]], times: dict[str, list[float]]) -> dict[str, Any]:
    """Adds medians, spread, rates and ratios to the first row."""
    for row in rows:
        measured = times[row["program"]]
        middle = statistics.median(measured)
        base = statistics.median(times[rows[0]["program"]])
        row |= {
            "median_seconds": middle,
            "fastest_seconds": min(measured),
            "slowest_seconds": max(measured),
            "characters_per_second": characters / middle,
            "ratio": middle / base,
            "seconds": measured,
        }
    return {"title": title, "unit": unit, "rows": rows}


def table(result: dict[str, Any]) -> str:
    """One result as text."""
    head = f"{'':36}{'µs / ' + result['unit']:>15}{'fastest':>13}{'slowest':>13}{'characters/s':>14}{'ratio':>8}"
    flops = result.get("flops")
    lines = ["", result["title"], head + (f"{'GFLOP/s':>9}" if flops else "")]
    for row in result["rows"]:
        line = (
            f"{row['title']:36}{row['median_seconds'] * 1e6:15,.1f}{row['fastest_seconds'] * 1e6:13,.1f}"
            f"{row['slowest_seconds'] * 1e6:13,.1f}{row['characters_per_second']:14,.0f}{row['ratio']:8.2f}"
        )
        lines.append(line + (f"{flops / row['median_seconds'] / 1e9:9.1f}" if flops else ""))
    return "\n".join(lines)


def describe_machine() -> str:
    """The processor, how many cores, and the system."""
    name = platform.processor() or platform.machine()
    with contextlib.suppress(OSError, StopIteration):
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        name = next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    return f"{name}, {os.cpu_count()} cores, {platform.system()}, Python {platform.python_version()}"


def installed_versions() -> dict[str, str]:
    """package -> version, for those that are installed."""
    found = {}
    for package in PACKAGES:
        with contextlib.suppress(PackageNotFoundError):
            found[package] = version(package)
    return found


if __name__ == "__main__":
    main()
