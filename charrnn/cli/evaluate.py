"""charrnn evaluate: how well a model expects a text."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from typing import Any

from charrnn import arguments
from charrnn.cli import options
from charrnn.display.visible import shown
from charrnn.evaluation.surprise import SHORTEST, Line, describe_extremes, extremes, line_bits
from charrnn.model import CharRNN
from charrnn.runs.folder import model_in
from charrnn.runs.origin import text_for

EXAMPLES = """\
examples:
  charrnn evaluate charrnn-run                      the best model of a run, on the run's own text
  charrnn evaluate charrnn-run book.txt             ... on another one
  charrnn evaluate charrnn-run book.txt --lines 5   which lines it expected least, and most
  charrnn evaluate model.safetensors - --json < book.txt
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of charrnn evaluate."""
    options.add_model(parser)
    options.add_text(parser, "the text that the run MODEL was trained on")
    parser.add_argument(
        "--lines",
        type=options.whole,
        metavar="N",
        help=f"also print the N least and the N most expected lines, of those with {SHORTEST} characters or more",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(args: argparse.Namespace) -> int:
    """Print the evaluation."""
    model = CharRNN.load(model_in(args.model))
    corpus = text_for(args.model, options.source(args), model.vocabulary)
    count = 0 if args.lines is None else arguments.whole_number("--lines", args.lines)
    result = model.evaluate(corpus)
    least, most = extremes(line_bits(model, corpus), count) if count else ([], [])
    if args.json:
        measures: dict[str, Any] = {"bits_per_char": result.bits_per_char, "perplexity": result.perplexity}
        measures["text"] = corpus.description
        if count:
            measures["least_expected"] = [as_json(line) for line in least]
            measures["most_expected"] = [as_json(line) for line in most]
        print(json.dumps(asdict(result) | measures))
        return 0
    print(corpus.description)
    print(f"loss        {result.loss:.4f} nats per character")
    print(f"            {result.bits_per_char:.4f} bits per character")
    print(f"perplexity  {result.perplexity:.3f}, as unsure as among that many equally likely characters")
    print(f"accuracy    {result.accuracy:.2%} of {result.characters:,} characters guessed right")
    if count:
        print(describe_extremes(least, most))
    return 0


def as_json(line: Line) -> dict[str, Any]:
    """What is known about one line."""
    text = line.text if isinstance(line.text, str) else shown(line.text)
    return {"line": line.number, "bits_per_char": line.bits_per_char, "characters": line.characters, "text": text}
