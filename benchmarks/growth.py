"""Time per character against the width of the network and the batch size, for each cell, charrnn beside its peers.

python benchmarks/growth.py --png growth.png --json growth.json
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from peers import compare, describe_machine, installed_versions, read_text
from programs import ENTRIES, pin, start_all
from work import LAB, Work

WIDTHS = (32, 64, 128, 256, 512, 1024)
LANES = (1, 2, 4, 8, 16, 32, 64, 128)
WIDTH_OF_LANES = 256
PROGRAMS = ("charrnn", "reference", "numpy", "numba-blas", "jax-written", "torch")
# Okabe and Ito's colours, which people with any colour vision can tell apart; markers say it once more.
STYLES = {
    "charrnn": ("#000000", "o"),
    "reference": ("#0072B2", "v"),
    "numpy": ("#56B4E9", "^"),
    "numba-blas": ("#009E73", "s"),
    "jax-written": ("#E69F00", "D"),
    "torch": ("#D55E00", "X"),
}
FLOPS_IN_A_CALL = 5e8
# Title, label, what is on the axis, what is fixed, and the ticks.
PANELS: list[tuple[str, str, str, dict[str, Any], tuple[int, ...]]] = [
    ("RNN, batch size 1", "hidden units m", "m", {"cell": "rnn", "B": 1}, WIDTHS),
    ("RNN, batch size 32", "hidden units m", "m", {"cell": "rnn", "B": 32}, WIDTHS),
    (f"RNN, m = {WIDTH_OF_LANES}", "batch size B", "B", {"cell": "rnn", "m": WIDTH_OF_LANES}, LANES),
    ("GRU, batch size 32", "hidden units m", "m", {"cell": "gru", "B": 32}, WIDTHS[:-1]),
    ("LSTM, batch size 32", "hidden units m", "m", {"cell": "lstm", "B": 32}, WIDTHS[:-1]),
    (f"LSTM, m = {WIDTH_OF_LANES}", "batch size B", "B", {"cell": "lstm", "m": WIDTH_OF_LANES}, LANES),
]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--only", nargs="+", choices=PROGRAMS, default=PROGRAMS, help="these programs only")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=0.05, help="how long each program works in a round, at least")
    parser.add_argument("--text", help="a text file; default the bundled story")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything measured")
    parser.add_argument("--png", type=Path, metavar="FILE", help="draw it")
    options = parser.parse_args()
    pin(options.threads)
    ids, K = read_text(options.text)
    programs = start_all({name: ENTRIES[name] for name in options.only}, options.threads)
    works = dict.fromkeys(size(**fixed, **{key: tick}, K=K) for _, _, key, fixed, ticks in PANELS for tick in ticks)
    results = []
    for work in works:
        results.append(compare(work, programs, ids, K, options.rounds, options.seconds))
        print(line(results[-1]), file=sys.stderr, flush=True)
    record = {"machine": describe_machine(), "threads": options.threads, "packages": installed_versions(), "K": K, "results": results}
    if options.json:
        options.json.write_text(json.dumps(record, indent=1) + "\n")
    if options.png:
        draw(record, options.png)


def size(cell: str, m: int, B: int, K: int) -> Work:
    """The lab's update with another cell, width and number of lanes.

    The wider the network, the gentler the steps: at the lab's rate it would saturate, which no two programs do alike,
    and its vanishing gradients become subnormal numbers, which slow every program down.
    """
    work = replace(LAB, title=f"{cell} m={m}, B={B}", cell=cell, m=m, B=B, learning_rate=min(0.01, 0.5 / m))
    return replace(work, windows=max(2, min(50, int(FLOPS_IN_A_CALL / work.flops(K)))))


def line(result: dict[str, Any]) -> str:
    """One size as a line of µs per character."""
    return f"{result['title']:20}" + "".join(f"{row['program']} {1e6 / row['characters_per_second']:.3g}  " for row in result["rows"])


def draw(record: dict[str, Any], path: Path) -> None:
    """Every panel log-log, and all with the same times."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(2, 3, figsize=(13, 8.6), sharey=True, layout="constrained")
    for axis, (title, label, key, fixed, ticks) in zip(axes.flat, PANELS, strict=True):
        chosen = [result for result in record["results"] if all(result[name] == value for name, value in fixed.items())]
        chosen.sort(key=lambda result: int(result[key]))
        for program, (colour, marker) in STYLES.items():
            points = [
                (result[key], 1e6 / row["characters_per_second"])
                for result in chosen
                for row in result["rows"]
                if row["program"] == program
            ]
            if points:
                axis.plot(
                    *zip(*points, strict=True),
                    color=colour,
                    marker=marker,
                    markersize=5,
                    linewidth=2 if program == "charrnn" else 1.2,
                    label=ENTRIES[program].title,
                )
        axis.set(xscale="log", yscale="log", title=title, xlabel=label, xticks=ticks, xticklabels=map(str, ticks))
        axis.minorticks_off()
        axis.grid(alpha=0.3)
    for axis in axes[:, 0]:
        axis.set_ylabel("training time per character (µs)")
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=3, frameon=False)
    threads = f"{record['threads']} thread{'s' if record['threads'] > 1 else ''}"
    figure.suptitle(f"Training updates of 25 characters with AdaGrad, K = {record['K']}, {threads}, {record['machine']}", fontsize=10)
    figure.savefig(path, dpi=150)


if __name__ == "__main__":
    main()
