"""charrnn animate: a run's samples on its loss curve, as a page with a slider."""

from __future__ import annotations

import argparse
import sys

from charrnn.files.atomic import write_named
from charrnn.report import animate
from charrnn.runs.record import Record

EXAMPLES = """\
examples:
  charrnn train book.txt --sample-every 500 --out book-run    a sample before every 500th update
  charrnn animate book-run                                    ... and a page that plays them
  charrnn animate book-run --out book.html
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of charrnn animate."""
    parser.add_argument("folder", metavar="RUN", help="a folder of `charrnn train`; its run may be finished, running or interrupted")
    parser.add_argument("--out", metavar="FILE", default="animation.html", help="the page (default: animation.html); - is standard output")


def run(args: argparse.Namespace) -> int:
    """Write the page."""
    record = Record.load(args.folder)
    write_named(args.out, animate.to_html(record))
    count = len(record.samples)
    told = f"{count:,} sample{'s' * (count != 1)} from {record.done:,} updates"
    print(told, file=sys.stderr if args.out == "-" else sys.stdout)
    if args.out != "-":
        print(f"wrote {args.out}")
    return 0
