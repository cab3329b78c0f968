"""charrnn bench: the compiled kernels against NumPy, on the same updates, on this machine."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys

from charrnn import arguments
from charrnn.bench.compare import compare
from charrnn.bench.work import SIZES
from charrnn.files.atomic import write_named
from charrnn.files.schema import dumps
from charrnn.network import kernels
from charrnn.process import charrnn_command

EXAMPLES = """\
examples:
  charrnn bench                              the lab's size, large batches, gated cells, synthesis and scoring
  charrnn bench --sizes lab --rounds 31      one size, more exactly
  charrnn bench --threads 2 --sizes many     two threads, for the kernels and for NumPy
  charrnn bench --json bench.json --png bench.png
"""
BLAS = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS", "BLIS_NUM_THREADS")


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
    parser.add_argument("--rounds", type=int, default=11, help="how often each program is timed (default 11); medians are shown")
    parser.add_argument("--threads", type=int, default=1, help="threads for the kernels and for NumPy's BLAS (default 1)")
    parser.add_argument("--json", metavar="FILE", help="write every figure to FILE; - for standard output, instead of the table")
    parser.add_argument("--png", metavar="FILE", help="draw the table to FILE")


def run(args: argparse.Namespace) -> int:
    """Compare, print, write."""
    threads = arguments.whole_number("threads", args.threads)
    rounds = arguments.whole_number("rounds", args.rounds)
    if any(os.environ.get(name) != str(threads) for name in BLAS):  # BLAS reads these once, when NumPy is imported
        command, environment = charrnn_command(sys.argv[1:])
        return subprocess.run(command, env=environment | dict.fromkeys(BLAS, str(threads))).returncode
    quiet = args.json == "-"

    def tell(line: str) -> None:
        print(line, file=sys.stderr if quiet else sys.stdout, flush=True)

    machine = kernels.show_config()
    tell(f"{machine}\n")
    sizes = list(SIZES) if "all" in args.sizes else list(dict.fromkeys(args.sizes))
    results = compare(sizes, threads, rounds, tell)
    if args.json:
        write_named(args.json, dumps({"machine": machine.splitlines(), "results": results}, indent=1) + "\n")
    if args.png:
        from charrnn.display.plots import bench_chart

        bench_chart(results, args.png)
    return 0
