"""charrnn synthesize: a trained model writes, and what it writes is seen as it is written."""

from __future__ import annotations

import argparse
import os
import secrets
import sys
from collections.abc import Iterator, Mapping
from typing import Any

from charrnn.cli import options
from charrnn.model import CharRNN
from charrnn.runs.folder import model_in

PIECE = 64  # characters between two flushes: small enough to be seen being written, large enough to cost nothing
EXAMPLES = """\
examples:
  charrnn synthesize charrnn-run                         1,000 characters by the best model of a run
  charrnn synthesize charrnn-run --prime "Izzy said"     what comes after these words
  charrnn synthesize model.safetensors --temperature 0.5 --seed 1
  charrnn synthesize charrnn-run --n 3 --prime "Izzy said" --stop "\\n"   three paragraphs that begin so
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of charrnn synthesize."""
    options.add_model(parser)
    for name, kind, default, metavar, described in (
        ("length", options.whole, 1000, "N", "characters to write (default: 1000)"),
        ("prime", str, "", "TEXT", "text to continue, which is printed first; \\n in it is a line end"),
        ("temperature", float, 1.0, "X", "below 1 safer, above 1 wilder, 0 the likeliest character (default: 1)"),
        ("top-k", options.whole, None, "N", "choose among the N likeliest characters only"),
        ("top-p", float, 1.0, "P", "choose among the likeliest that together have probability P (default: 1)"),
        ("seed", options.whole, None, "N", "the same seed writes the same text (default: another text each time)"),
        ("stop", str, None, "TEXT", "end after the first occurrence of this text; \\n in it is a line end"),
        ("n", options.whole, None, "N", "write N passages, with an empty line between them"),
    ):
        parser.add_argument(f"--{name}", type=kind, default=default, metavar=metavar, help=described)


def run(args: argparse.Namespace) -> int:
    """Write to standard output: text, or the bytes themselves from a model of bytes."""
    model = CharRNN.load(model_in(args.model))
    out: Any = sys.stdout.buffer if model.vocabulary.raw_bytes else sys.stdout

    def read(text: str) -> Any:
        text = text.replace("\\n", "\n")
        return os.fsencode(text) if model.vocabulary.raw_bytes else text

    seed = secrets.randbits(32) if args.seed is None else args.seed
    stop = None if args.stop is None else read(args.stop)
    how = {"temperature": args.temperature, "seed": seed, "top_k": args.top_k, "top_p": args.top_p, "stop": stop}
    for piece in pieces(model, args.length, read(args.prime), read("\n"), args.n, how):
        out.write(piece)
        out.flush()
    if sys.stdout.isatty():
        print()
    return 0


def pieces(model: CharRNN, length: int, prime: Any, line_end: Any, n: int | None, how: Mapping[str, Any]) -> Iterator[Any]:
    """What to write, piece by piece: one passage, or n of them with an empty line between; how: as `CharRNN.synthesize`."""
    if n is None:
        first = model.stream(length, prime, piece=PIECE, **how)
        yield prime
        yield from first
        return
    passages = model.synthesize(length, prime, n=n, **how)
    for i, passage in enumerate(passages):
        if i:
            yield line_end if passages[i - 1].endswith(line_end) else line_end + line_end
        yield prime + passage
