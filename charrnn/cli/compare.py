"""charrnn compare: several runs side by side, as a page and a picture."""

from __future__ import annotations

import argparse
import sys

from charrnn.display.plots import require_picture
from charrnn.errors import one_line
from charrnn.files.atomic import write_named
from charrnn.process import as_typed
from charrnn.report import compare
from charrnn.runs.record import load_all

EXAMPLES = """\
examples:
  charrnn compare rnn-run lstm-run                curves over updates, characters and seconds, and the settings that differ
  charrnn compare run-1 run-2 run-3 --png runs.png    ... as a picture as well
  charrnn compare charrnn-run                     one run, also while it is running
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of charrnn compare."""
    parser.add_argument(
        "runs", nargs="+", metavar="RUN", help="folders of `charrnn train`, of runs that are finished, running or interrupted"
    )
    parser.add_argument("--out", metavar="FILE", default="compare.html", help="the page (default: compare.html); - is standard output")
    parser.add_argument("--png", metavar="FILE", help="also draw the curves as a picture: .png, .pdf or .svg")


def run(args: argparse.Namespace) -> int:
    """Write the page, and print the results."""
    if args.png:
        require_picture(args.png)
    runs = load_all(args.runs)
    write_named(args.out, compare.to_html(runs, as_typed("compare", [("--out", args.out)] * (args.out != "-"), args.runs)))
    if args.png:
        compare.to_png(runs, args.png)
    told = sys.stderr if args.out == "-" else sys.stdout
    print(one_table(compare.table(runs)), file=told)
    for name in [args.out] * (args.out != "-") + [args.png] * bool(args.png):
        print(f"wrote {name}", file=told)
    return 0


def one_table(text: str) -> str:
    """The lines of a table, whatever the names in it hold."""
    return "\n".join(map(one_line, text.split("\n")))
