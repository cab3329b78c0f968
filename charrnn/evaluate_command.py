"""charrnn evaluate: how well a model expects a text."""
from __future__ import annotations

import argparse
import json
from dataclasses import asdict

from charrnn import options
from charrnn.model import CharRNN
from charrnn.runfolder import model_in

EXAMPLES = """\
examples:
  charrnn evaluate charrnn-run book.txt             the best model of a run
  charrnn evaluate model.safetensors - --json < book.txt
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of charrnn evaluate."""
    parser.add_argument("model", metavar="MODEL", help="a model file, or a run's folder: then its best model")
    options.add_text(parser)
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(args: argparse.Namespace) -> int:
    """Print the evaluation."""
    model = CharRNN.load(model_in(args.model))
    corpus = options.read_text(args, model)
    result = model.evaluate(corpus)
    if args.json:
        more = {"bits_per_char": result.bits_per_char, "perplexity": result.perplexity, "text": corpus.description}
        print(json.dumps(asdict(result) | more))
        return 0
    print(corpus.description)
    print(f"loss        {result.loss:.4f} nats per character")
    print(f"            {result.bits_per_char:.4f} bits per character")
    print(f"perplexity  {result.perplexity:.3f}: as unsure as among so many equally likely characters, of {len(model.vocabulary)}")
    print(f"accuracy    {result.accuracy:.2%} of {result.characters:,} characters guessed right")
    return 0
