"""charrnn generate (and synthesize): a trained model writes, and what it writes is seen as it is written."""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import secrets
import sys
from collections.abc import Callable, Iterator
from typing import Any

from charrnn import arguments
from charrnn.cli import options, prompts
from charrnn.cli.rules import add_rules, rules_given
from charrnn.display.visible import shown
from charrnn.errors import OutputError, SettingsError
from charrnn.generation.generate import GenerationPlan, Passage
from charrnn.generation.rules import ORDER, DecodingRules
from charrnn.generation.selection import Selection
from charrnn.model import CharRNN
from charrnn.runs.folder import model_in
from charrnn.runs.origin import run_of, text_for
from charrnn.text.source import TextSource

LENGTH, INTERACTIVE = 1000, 200  # characters, unless asked for others
PIECE = 64  # characters between two flushes: small enough to be seen being written, large enough to cost nothing
TRIES = 100  # passages that are written for one that is wanted, at most
EXAMPLES = f"""\
examples:
  charrnn generate charrnn-run                          1,000 characters by the best model of a run
  charrnn generate charrnn-run --prime "Izzy said"      continue these words
  charrnn generate charrnn-run --interactive            type beginnings, and see them continued
  charrnn generate model.safetensors --temperature 0.5 --seed 1
  charrnn generate charrnn-run --top-p 0.9 --min-p 0.05 --dry-multiplier 0.8
  charrnn generate names --n 50 --stop "\\n" --drop-stop --unseen --distinct     fifty new names
  charrnn generate charrnn-run --pattern "[A-Z][a-z ]{{10,40}}[.!?]" --n 3       three sentences
  charrnn generate charrnn-run --prompts beginnings.txt --json --log-probabilities > written.jsonl
  charrnn generate charrnn-run --start zero             from a state of 0, in place of the state at the end of training
  charrnn generate charrnn-run --adapt letters.txt      in the style of another text

the rules apply in this order:
  {ORDER.replace(chr(10), chr(10) + "  ")}
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of charrnn generate."""
    options.add_model(parser)
    what = parser.add_argument_group("what to write")
    what.add_argument(
        "--length", "--max-new", type=options.whole, metavar="N", help="characters, at most (default: 1000; interactive: 200)"
    )
    first = what.add_mutually_exclusive_group()
    first.add_argument(
        "--prime", "--prompt", metavar="TEXT", help=r"text to continue, which is printed first; \n is a line end, \t a tab, \\ a backslash"
    )
    first.add_argument("--prime-file", metavar="FILE", help="a file with that text, - for standard input; a line end at its end is dropped")
    first.add_argument("--prompts", metavar="FILE", help="a file with several texts to continue, one per line, computed in parallel")
    what.add_argument("--n", type=options.whole, metavar="N", help="write N passages (after each prompt), with an empty line between them")
    what.add_argument("--seed", type=options.whole, metavar="N", help="the same seed gives the same text (default: a new text each time)")
    what.add_argument(
        "--stop", action="append", metavar="TEXT", help="end after the first occurrence of this text; may be given several times"
    )
    what.add_argument("--drop-stop", action="store_true", help="leave the stop text out")
    what.add_argument("--pattern", metavar="REGEX", help="write text that matches this regular expression as a whole")
    what.add_argument("--exact", action="store_true", help="... with the model's own probabilities among the texts that match; can be slow")
    what.add_argument("--unseen", action="store_true", help="only passages that do not occur in the training text of the run MODEL")
    what.add_argument("--unseen-in", action="append", metavar="FILE", help="... that do not occur in this text")
    what.add_argument("--distinct", action="store_true", help="no passage twice")
    what.add_argument("--adapt", action="append", metavar="FILE", help="train a copy of the model on this text first, to match its style")
    options.add_start(what, "carried, if the model knows it")
    add_rules(parser)
    where = parser.add_argument_group("output")
    where.add_argument("--out", metavar="FILE", help="write to a file, in UTF-8")
    where.add_argument("--json", action="store_true", help="one JSON object per line for each passage")
    where.add_argument("--log-probabilities", action="store_true", help="... with the log-probability that the model gives it, in nats")
    where.add_argument("--interactive", action="store_true", help="type beginnings, and see them continued; /help lists the commands")


def run(args: argparse.Namespace) -> int:
    """Write to standard output or a file: text, or the bytes themselves from a model of bytes."""
    belong_together(args)
    model = CharRNN.load(model_in(args.model))
    model.state_at(args.start)  # an error before anything else is read
    rules, first, how = rules_given(args, model), prompts.beginnings(args, model.vocabulary), planned(args, model)
    length = args.length if args.length is not None else INTERACTIVE if args.interactive else LENGTH
    length = arguments.whole_number("length", length, at_least=0)
    plan = GenerationPlan.of(model.vocabulary, length, DecodingRules.given(rules), **how)
    seed = secrets.randbits(32) if args.seed is None else arguments.whole_number("seed", args.seed, at_least=0)
    n = 1 if args.n is None else arguments.whole_number("n", args.n)
    selection = selection_for(args, model)
    if args.adapt:
        model = model.adapted(TextSource(tuple(args.adapt), raw_bytes=model.vocabulary.raw_bytes).read(model.vocabulary))
    if args.interactive:
        from charrnn.cli.interactive import converse

        return converse(model, plan, args.seed, first[0], args.start)
    how |= rules | {"start": args.start}
    if args.n is None and not (args.json or args.prompts or selection):
        pieces = itertools.chain([first[0]], model.stream(length, first[0], piece=PIECE, **how, seed=seed))
        with output(args.out, model.vocabulary.raw_bytes) as write:
            for piece in pieces:
                write(piece)
        complete = True
    else:
        how |= {"details": True, "log_probabilities": args.log_probabilities}
        if selection:
            found = selected(model, selection, first, length, n, seed, how)
        else:
            found = iter(model.generate(first, length, n=n, seed=seed, **how))
        with output(args.out, model.vocabulary.raw_bytes) as write:
            complete = write_each(found, seed if args.json else None, write) == n * len(first)
    if args.out is None and sys.stdout.isatty() and not args.json:
        print()
    if selection:
        print(selection, file=sys.stderr)
    return 0 if complete else 1


def belong_together(args: argparse.Namespace) -> None:
    """SettingsError for options that exclude or need each other."""
    needs = {"drop_stop": "stop", "exact": "pattern", "log_probabilities": "json"}
    for name, other in needs.items():
        if getattr(args, name) and not getattr(args, other):
            raise SettingsError(f"{options.flag(name)} belongs to {options.flag(other)}, which is missing")
    if not args.interactive:
        return
    for name in ("prompts", "n", "pattern", "drop_stop", "unseen", "unseen_in", "distinct", "out", "json"):
        if getattr(args, name) not in (None, False):
            raise SettingsError(f"--interactive answers what is typed: leave out {options.flag(name)}")
    if args.prime_file == "-":
        raise SettingsError("--interactive reads what is typed from standard input: give another --prime-file")


def planned(args: argparse.Namespace, model: CharRNN) -> dict[str, Any]:
    """The other arguments of `CharRNN.generate` and `stream`."""
    stop = [prompts.from_words("--stop", text, model.vocabulary) for text in args.stop or []]
    pattern = args.pattern if args.pattern is None or not model.vocabulary.raw_bytes else args.pattern.encode("utf-8", "surrogateescape")
    return {"stop": stop or None, "keep_stop": not args.drop_stop, "pattern": pattern, "exact": args.exact}


def selection_for(args: argparse.Namespace, model: CharRNN) -> Selection | None:
    """Which passages are wanted; None for all."""
    if not (args.unseen or args.unseen_in or args.distinct):
        return None
    known = [prompts.from_file(file, model.vocabulary) for file in args.unseen_in or []]
    if args.unseen:
        if run_of(args.model) is None:
            raise SettingsError(f"--unseen: {args.model} is no run's folder, so name the text with --unseen-in FILE")
        whole = text_for(args.model, TextSource(), model.vocabulary)
        known.append(whole.text(0, len(whole)))
    return Selection(known, args.distinct)


def write_each(passages: Iterator[Passage], seed: int | None, write: Callable[[Any], None]) -> int:
    """Write passages, an empty line between them, or as JSON lines that hold the seed; returns how many there were."""
    before: Any = None
    count = 0
    for passage in passages:
        count += 1
        whole = passage.prompt + passage.text
        if seed is not None:
            line = json.dumps(as_json(passage, seed), ensure_ascii=False) + "\n"
            write(line.encode("utf-8") if isinstance(whole, bytes) else line)
            continue
        line_end: Any = b"\n" if isinstance(whole, bytes) else "\n"
        if before is not None:
            write(line_end if before.endswith(line_end) else line_end + line_end)
        before = whole
        write(whole)
    return count


def as_json(passage: Passage, seed: int) -> dict[str, Any]:
    """What is known about one passage."""
    texts = {name: text if isinstance(text, str) else shown(text) for name, text in (("prompt", passage.prompt), ("text", passage.text))}
    found: dict[str, Any] = texts | {"finished": passage.finished, "seed": seed}
    return found if passage.log_probability is None else found | {"log_probability": passage.log_probability}


def selected(
    model: CharRNN, selection: Selection, first: list[Any], length: int, n: int, seed: int, how: dict[str, Any]
) -> Iterator[Passage]:
    """n passages after each prompt that the selection takes; fewer, if it rejects too many."""
    for number, prompt in enumerate(first):
        missing, tried = n, 0
        while missing and tried < TRIES * n:
            size = min(max(2 * missing, 16), TRIES * n - tried)
            for passage in model.generate([prompt], length, n=size, seed=seed + ((number << 64) + tried << 32), **how):
                if missing and selection.takes(passage.prompt + passage.text):
                    missing -= 1
                    yield passage
            tried += size
        if missing:
            print(f"after {tried:,} passages {missing:,} are still missing: too few of the model's passages pass", file=sys.stderr)


@contextlib.contextmanager
def output(path: str | None, raw_bytes: bool) -> Iterator[Callable[[Any], None]]:
    """What writes a piece of text, or bytes, so that it is seen at once: to standard output, or to a file in UTF-8."""
    if path is None:
        stream: Any = sys.stdout.buffer if raw_bytes else sys.stdout

        def write(piece: Any) -> None:
            stream.write(piece)
            stream.flush()

        yield write
        return
    try:
        with open(path, "wb") as file:

            def keep(piece: Any) -> None:
                file.write(piece if raw_bytes else piece.encode("utf-8"))
                file.flush()

            yield keep
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror or error}") from None
