"""charrnn evaluate: how well a model predicts a text, its lines, or several texts."""

from __future__ import annotations

import argparse
import math
import sys
import warnings
from collections.abc import Iterable
from dataclasses import asdict, replace
from typing import Any

from charrnn import arguments
from charrnn.cli import options
from charrnn.display.visible import shown
from charrnn.errors import SettingsError
from charrnn.evaluation.evaluate import Evaluation
from charrnn.evaluation.score import UNKNOWN
from charrnn.evaluation.surprise import SHORTEST, Line, describe_extremes, extremes, line_bits
from charrnn.files.schema import dumps
from charrnn.model import CharRNN
from charrnn.network.start import ZERO
from charrnn.runs.folder import model_in
from charrnn.runs.origin import text_for
from charrnn.text.corpus import Corpus
from charrnn.text.decoding import Decoding
from charrnn.text.reading import files_of

EXAMPLES = """\
examples:
  charrnn evaluate charrnn-run                      the best model of a run, on the run's own text
  charrnn evaluate charrnn-run book.txt             ... on another one
  charrnn evaluate charrnn-run book.txt --dynamic   ... and train on each part after it is scored (dynamic evaluation)
  charrnn evaluate charrnn-run book.txt --lines 5   ... with the least and the most expected lines
  charrnn evaluate charrnn-run --start carried      ... from the state at the end of training, in place of 0
  charrnn evaluate names new.txt --per-line         each line by itself, the most surprising first
  charrnn evaluate charrnn-run --per-file letters   each file of a folder by itself
  charrnn evaluate model.safetensors - --json < book.txt
"""
WIDTH = 100  # characters of a line that are shown


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of charrnn evaluate."""
    options.add_model(parser)
    options.add_text(parser, "the text that the run MODEL was trained on")
    how = parser.add_mutually_exclusive_group()
    how.add_argument(
        "--lines",
        type=options.whole,
        metavar="N",
        help=f"also print the N least and the N most expected lines, of those with {SHORTEST} characters or more",
    )
    how.add_argument(
        "--per-line", action="store_true", help="score each line by itself, from a fresh state, and list the most surprising first"
    )
    how.add_argument("--per-file", action="store_true", help="evaluate each file by itself, and list the most surprising first")
    parser.add_argument(
        "--dynamic",
        action="store_true",
        help="dynamic evaluation: train a copy of the model on each part of the text after that part is scored (Krause et al. 2018)",
    )
    parser.add_argument(
        "--unknown",
        default="error",
        metavar="|".join(UNKNOWN),
        help="with --per-line: what to do with characters that the model does not know: skip leaves them out, uniform takes p = 1/K",
    )
    options.add_start(parser, "zero")
    parser.add_argument("--json", action="store_true", help="print one JSON object; with --per-line one for each line")


def run(args: argparse.Namespace) -> int:
    """Print the evaluation."""
    arguments.one_of("value of --unknown", args.unknown, UNKNOWN)
    model, start = CharRNN.load(model_in(args.model)), args.start or ZERO
    model.state_at(start)  # an error before a text is read
    if args.per_line:
        if args.dynamic:
            raise SettingsError("--per-line reads each line from a fresh state, so --dynamic has nothing to train on: leave one out")
        return per_line(args, model)
    if args.unknown != "error":
        raise SettingsError("--unknown is for --per-line: a text is read as a whole, or not at all")
    if args.per_file:
        return per_file(args, model)
    corpus = text_for(args.model, options.source(args), model.vocabulary)
    count = 0 if args.lines is None else arguments.whole_number("--lines", args.lines)
    result = model.evaluate(corpus, dynamic=args.dynamic, start=start)
    least, most = extremes(line_bits(model, corpus, start), count) if count else ([], [])
    if args.json:
        measures: dict[str, Any] = {"text": corpus.description}
        if count:
            measures["least_expected"] = [as_json(line) for line in least]
            measures["most_expected"] = [as_json(line) for line in most]
        print(dumps(measured(result) | measures))
        return 0
    print(corpus.description)
    print(f"loss        {result.loss:.4f} nats per character{', dynamic evaluation' if args.dynamic else ''}")
    print(f"            {result.bits_per_char:.4f} bits per character")
    print(f"perplexity  {result.perplexity:.3f}, as uncertain as among that many equally likely characters")
    print(f"accuracy    {result.accuracy:.2%} of {result.characters:,} characters predicted correctly")
    if result.note:
        print(f"note        {result.note}")
    if count:
        print(describe_extremes(least, most))
    return 0


def measured(result: Evaluation) -> dict[str, Any]:
    """All measures of an evaluation."""
    return asdict(result) | {"bits_per_char": result.bits_per_char, "perplexity": result.perplexity}


def as_json(line: Line) -> dict[str, Any]:
    """What is known about one line."""
    text = line.text if isinstance(line.text, str) else shown(line.text)
    return {"line": line.number, "bits_per_char": line.bits_per_char, "characters": line.characters, "text": text}


def per_line(args: argparse.Namespace, model: CharRNN) -> int:
    """Score lines by themselves, each with its line end, and print them sorted."""
    source = replace(options.source(args), raw_bytes=args.raw_bytes or model.vocabulary.raw_bytes)
    strict = args.unknown == "error" and model.vocabulary.unknown is None  # else lines are shown as they are
    corpus = text_for(args.model, source, model.vocabulary if strict else None)
    for line in sorted(scored_lines(model, corpus, args.unknown, args.start or ZERO), key=lambda line: -line.bits_per_char):
        if args.json:
            print(dumps(as_json(line)))
        else:
            print(f"{line.bits_per_char:7.3f}  line {line.number:,}: {shown(line.text, WIDTH)}")
    return 0


def scored_lines(model: CharRNN, corpus: Corpus, unknown: str, start: str = ZERO) -> Iterable[Line]:
    """The lines that are not empty; bits per character mean over each line and its line end."""
    whole = corpus.text(0, len(corpus))
    line_end = b"\n" if isinstance(whole, bytes) else "\n"
    at, numbered = 0, []
    for number, text in enumerate(whole.split(line_end), 1):
        if text:
            numbered.append((number, at, text))
        at += len(text) + 1
    ends = line_end if line_end in model.vocabulary else line_end[:0]
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        scores = model.score([text + ends for _, _, text in numbered], reduction="none", unknown=unknown, start=start)
    for warning in found:
        print(f"note: {warning.message}", file=sys.stderr)
    for (number, at, text), logs in zip(numbered, scores, strict=True):
        if len(logs):
            yield Line(number, at, text, float(-logs.sum()) / math.log(2), len(logs))


def per_file(args: argparse.Namespace, model: CharRNN) -> int:
    """Evaluate files by themselves, and print them sorted."""
    source = options.source(args)
    if not args.text:
        raise SettingsError("--per-file needs files: name them, or a folder of them")
    decoding = None if source.raw_bytes or model.vocabulary.raw_bytes else Decoding(source.encoding)
    names = [file for name in args.text for file in ([name] if name == "-" else files_of(name, decoding))]
    corpora = {name: replace(source, paths=(name,)).read(model.vocabulary) for name in names}
    for corpus in corpora.values():
        corpus.require_window(1)
    results = {name: model.evaluate(corpus, dynamic=args.dynamic, start=args.start or ZERO) for name, corpus in corpora.items()}
    order = sorted(names, key=lambda name: -results[name].loss)
    count = sum(result.characters for result in results.values())
    mean = sum(result.loss * result.characters for result in results.values()) / count / math.log(2)
    if args.json:
        files = [{"file": name} | measured(results[name]) for name in order]
        print(dumps({"files": files, "bits_per_char": mean, "characters": count}))
        return 0
    print("bits per character, characters, file")
    for name in [name for name in order if results[name].note]:
        print(f"note: {shown(name)}: {results[name].note}", file=sys.stderr)
    for name in order:
        print(f"{results[name].bits_per_char:7.3f}  {results[name].characters:>12,}  {shown(name)}")
    print(f"{mean:7.3f}  {count:>12,}  all together")
    return 0
