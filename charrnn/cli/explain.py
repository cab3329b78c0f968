"""charrnn explain: a page that shows what a model expects of a text, what its states and gates do, and what its units track."""

from __future__ import annotations

import argparse
import sys

from charrnn.cli import options
from charrnn.errors import one_line
from charrnn.files.atomic import write_named
from charrnn.model import CharRNN
from charrnn.report.explain import READ, SHOWN, UNITS, look, to_html
from charrnn.runs.folder import model_in
from charrnn.runs.origin import text_for

EXAMPLES = """\
examples:
  charrnn explain charrnn-run                a run's own text, read by its best model
  charrnn explain model.safetensors letter.txt --out letter.html
  charrnn explain lstm-run --layer 1 --line 12    the units of the first layer; states and gates over the twelfth line
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of charrnn explain."""
    options.add_model(parser)
    options.add_text(parser, "the text that the run MODEL was trained on")
    parser.add_argument("--out", metavar="FILE", default="explain.html", help="the page (default: explain.html); - is standard output")
    parser.add_argument(
        "--layer",
        type=options.whole,
        metavar="L",
        help="search the units of this layer alone, and draw its states and gates (default: search all, draw the last)",
    )
    parser.add_argument(
        "--line",
        type=options.whole,
        metavar="N",
        help="the line of the text over which states and gates are drawn (default: the first of 40 characters or more)",
    )
    for option, default, meaning in (
        ("--limit", SHOWN, "characters of the text to show"),
        ("--read", READ, "characters on which lines and units are measured"),
        ("--units", UNITS, "hidden units to show as coloured text"),
    ):
        described = f"{meaning} (default: {default:,})"
        parser.add_argument(option, type=options.whole, default=default, metavar="N", help=described)


def run(args: argparse.Namespace) -> int:
    """Write the page and say in a few lines what is on it."""
    path = model_in(args.model)
    model = CharRNN.load(path)
    view = look(model, text_for(args.model, options.source(args), model.vocabulary), args.limit, args.read, args.layer, args.line)
    write_named(args.out, to_html(view, args.units, title=path))
    if view.note:
        print(f"note: {view.note}", file=sys.stderr)
    best = view.followers[0] if view.followers else None
    told = sys.stderr if args.out == "-" else sys.stdout
    print(f"{one_line(view.corpus.description)}\nread {view.length:,}: {view.bits_per_char:.4f} bits per character", file=told)
    if best is not None and best.follows:
        print(f"best tracked: {best.what.name}, by {view.unit_name(best.unit)}, r = {best.r:+.2f} on the second half", file=told)
    if args.out != "-":
        print(f"wrote {args.out}")
    return 0
