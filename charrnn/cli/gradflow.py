"""charrnn gradflow: how far gradients reach back through time, of several models in one figure."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from charrnn.cli import options
from charrnn.display.plots import require_picture
from charrnn.errors import SettingsError, one_line
from charrnn.files.atomic import as_path, write_named
from charrnn.gradients.flow import gradient_flow
from charrnn.model import CharRNN
from charrnn.process import as_typed
from charrnn.report import gradflow
from charrnn.report.gradflow import Measured
from charrnn.runs.folder import model_in
from charrnn.runs.origin import text_for
from charrnn.text.source import TextSource

STEPS, PLACES, OUT = 100, 64, "gradflow.html"
EXAMPLES = """\
examples:
  charrnn train --cell rnn --out rnn-run && charrnn train --cell lstm --out lstm-run
  charrnn gradflow rnn-run lstm-run                     |dL_t/dh_{t-k}| against k: the RNN's gradient vanishes sooner
  charrnn gradflow rnn-run lstm-run --steps 200 --png flow.png
  charrnn gradflow model.safetensors --text book.txt
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of charrnn gradflow."""
    parser.add_argument(
        "models", nargs="+", metavar="MODEL", help="a model file, a checkpoint, or a run's folder: then its best model; one or several"
    )
    parser.add_argument("--text", metavar="FILE", help="the text that all models read (default: for each model, the text of its run)")
    parser.add_argument("--encoding", default="utf-8", metavar="NAME", help="encoding of --text, any that Python knows (default: utf-8)")
    parser.add_argument("--steps", type=options.whole, default=STEPS, metavar="K", help=f"steps back, at most (default: {STEPS})")
    parser.add_argument("--places", type=options.whole, default=PLACES, metavar="N", help=f"places of the text (default: {PLACES})")
    parser.add_argument("--out", metavar="FILE", default=OUT, help=f"the page (default: {OUT}); - is standard output")
    parser.add_argument("--png", metavar="FILE", help="also draw the figure as a picture: .png, .pdf or .svg")


def run(args: argparse.Namespace) -> int:
    """Write the page, and print the medians."""
    if args.png:
        require_picture(args.png)
    names = named(args.models)
    source = TextSource((args.text,) if args.text else (), args.encoding)
    models = {name: CharRNN.load(model_in(path)) for name, path in names.items()}
    corpora = {name: text_for(path, source, models[name].vocabulary, "--text FILE") for name, path in names.items()}
    found = {
        name: Measured(about(model), corpora[name].description, gradient_flow(model.network, corpora[name], args.steps, args.places))
        for name, model in models.items()
    }
    chosen = [("--text", args.text)] * bool(args.text) + [("--encoding", args.encoding)] * (args.encoding != "utf-8")
    chosen += [("--steps", str(args.steps))] * (args.steps != STEPS) + [("--places", str(args.places))] * (args.places != PLACES)
    write_named(args.out, gradflow.to_html(found, as_typed("gradflow", chosen, args.models)))
    if args.png:
        gradflow.to_png(found, args.png)
    told = sys.stderr if args.out == "-" else sys.stdout
    print("\n".join(map(one_line, gradflow.table(found).split("\n"))), file=told)
    for name in [args.out] * (args.out != "-") + [args.png] * bool(args.png):
        print(f"wrote {name}", file=told)
    return 0


def named(paths: list[str]) -> dict[str, str]:
    """The models by what they are called: their run's folder, or their file; the whole path where two are called alike."""
    real = [os.path.realpath(as_path(path)) for path in paths]
    if twice := [path for path, where in zip(paths, real, strict=True) if real.count(where) > 1]:
        raise SettingsError(f"the model {twice[0]} is named twice: name each once")
    short = [Path(where).stem if Path(where).is_file() else Path(where).name for where in real]
    return {name if short.count(name) == 1 else path: path for path, name in zip(paths, short, strict=True)}


def about(model: CharRNN) -> str:
    """The network in a word or two."""
    a = model.network.architecture
    return f"{a.kind.torch or a.cell}, {a.layers} x {a.hidden_size}" if a.layers > 1 else f"{a.kind.torch or a.cell}, {a.hidden_size}"
