"""charrnn sweep: many runs of one recipe, the best by the validation loss."""

from __future__ import annotations

import argparse
import signal
from dataclasses import replace

from charrnn import arguments
from charrnn.cli import options
from charrnn.process import as_typed
from charrnn.recipes import load_recipe
from charrnn.sweeps.make import FOLDER, sweep
from charrnn.text.source import TextSource
from charrnn.text.split import SPLITS

DEFAULTS = {"validation": "0.1", "validation_split": "end", "checkpoint_every": "1m", "min_count": 1}
EXAMPLES = """\
examples:
  charrnn sweep mine.toml book.txt                      every run of the recipe's [grid] or [search], one process per core
  charrnn sweep mine.toml book.txt --out tide --workers 4
  charrnn sweep mine.toml book.txt --executor dask://10.0.0.5:8786    on the workers of a Dask scheduler
  charrnn sweep mine.toml book.txt --validation later.txt             chosen by the loss on another text
  charrnn generate charrnn-sweep                        write with the best model
Ctrl-C stops a sweep; the same command again continues it and repeats no finished run. A grid, in a recipe's file, is every combination of
  [grid]
  learning_rate = [0.003, 0.01, 0.03]
  hidden_size = [64, 128]
A search draws settings from ranges; successive halving trains the best third three times as long, and again:
  [search]
  method = "halving"
  runs = 27
  [search.space]
  learning_rate = { low = 0.001, high = 0.1, log = true }
  cell = ["gru", "lstm"]
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of charrnn sweep."""
    parser.add_argument("recipe", metavar="RECIPE", help="a .toml file with a [grid] or [search], or a name that `charrnn recipes` lists")
    options.add_text(parser)
    options.add_min_count(parser)
    parser.add_argument(
        "--out", metavar="DIR", default=FOLDER, help=f"the sweep's folder (default: {FOLDER}); if it exists, the sweep continues"
    )
    parser.add_argument(
        "--executor",
        metavar="dask://HOST:PORT",
        help="a Dask scheduler, whose workers must reach TEXT and DIR by the same names (default: processes on this machine)",
    )
    parser.add_argument(
        "--workers", type=options.whole, metavar="N", help="processes on this machine, one thread each (default: all cores)"
    )
    parser.add_argument(
        "--validation",
        metavar="PART|FILE",
        default=DEFAULTS["validation"],
        help="the validation text: a part of TEXT (default: 0.1, its last tenth) or a file",
    )
    parser.add_argument(
        "--validation-split",
        default=DEFAULTS["validation_split"],
        metavar="|".join(SPLITS),
        help="validate on the end of TEXT, or, for a list, on some of its lines, shuffled with the recipe's seed (default: end)",
    )
    parser.add_argument(
        "--checkpoint-every",
        default=DEFAULTS["checkpoint_every"],
        metavar="TIME|N",
        help="the most that a killed run loses: time or updates (default: 1m)",
    )
    parser.add_argument("--quiet", action="store_true", help="print errors only")


def run(args: argparse.Namespace) -> int:
    """Make the sweep; 0, 1 if every run failed, 128 + the number of the signal that interrupted it."""
    source = replace(options.source(args), min_count=arguments.whole_number("--min-count", args.min_count))
    try:
        found = sweep(
            load_recipe(args.recipe),
            source,
            args.executor,
            out=args.out,
            validation=args.validation,
            validation_split=args.validation_split,
            workers=args.workers,
            checkpoint_every=args.checkpoint_every,
            progress=not args.quiet,
            again=f"to continue: {command(args, source)}",
        )
    except KeyboardInterrupt as stopped:
        return 128 + int(next(iter(stopped.args), signal.SIGINT))
    return 0 if found.best is not None else 1


def command(args: argparse.Namespace, source: TextSource) -> str:
    """The line that goes on."""
    flags = "--bytes " * source.raw_bytes
    chosen = [("--encoding", source.encoding)] * (source.encoding != "utf-8")
    for name in ("out", "executor", "workers", "validation", "validation_split", "checkpoint_every", "min_count"):
        if (value := getattr(args, name)) != DEFAULTS.get(name):
            chosen.append((options.flag(name), str(value)))
    return as_typed(f"sweep {flags}", chosen, [args.recipe, *source.paths])
