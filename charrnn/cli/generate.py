"""charrnn generate (and synthesize): a trained model writes, and what it writes is seen as it is written."""

from __future__ import annotations

import argparse
import contextlib
import json
import secrets
import sys
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from charrnn import arguments
from charrnn.cli import options, prompts
from charrnn.display.visible import shown
from charrnn.errors import OutputError, SettingsError
from charrnn.generation.generate import Passage
from charrnn.generation.rules import ORDER, DecodingRules
from charrnn.generation.selection import Selection
from charrnn.model import CharRNN
from charrnn.runs.folder import model_in
from charrnn.runs.origin import text_for
from charrnn.text.source import TextSource

LENGTH = 1000  # characters, unless asked for others
PIECE = 64  # characters between two flushes: small enough to be seen being written, large enough to cost nothing
TRIES = 100  # passages that are written for one that is wanted, at most
EXAMPLES = f"""\
examples:
  charrnn generate charrnn-run                          1,000 characters by the best model of a run
  charrnn generate charrnn-run --prime "Izzy said"      what comes after these words
  charrnn generate charrnn-run --interactive            write by turns
  charrnn generate model.safetensors --temperature 0.5 --seed 1
  charrnn generate charrnn-run --top-p 0.9 --min-p 0.05 --dry-multiplier 0.8
  charrnn generate names --n 50 --stop "\\n" --drop-stop --unseen --distinct     fifty new names
  charrnn generate charrnn-run --pattern "[A-Z][a-z ]{{10,40}}[.!?]" --n 3       three sentences
  charrnn generate charrnn-run --prompts beginnings.txt --json --log-probabilities > written.jsonl
  charrnn generate charrnn-run --adapt letters.txt      in the manner of another text

the rules apply in this order:
  {ORDER.replace(chr(10), chr(10) + "  ")}
"""


class Rule(NamedTuple):
    """One decoding rule as an option: its name in DecodingRules, how its value is read, and what it means."""

    name: str
    kind: Callable[[str], Any]
    metavar: str
    help: str


RULES = (
    Rule("temperature", float, "X", "below 1 safer, above 1 wilder, 0 the likeliest character (default: 1)"),
    Rule("top_k", options.whole, "N", "choose among the N likeliest characters only"),
    Rule("top_p", float, "P", "choose among the fewest of the likeliest that together have probability P"),
    Rule("min_p", float, "P", "choose among those with at least P times the likeliest one's probability only"),
    Rule("typical_p", float, "P", "choose among those that surprise about as much as expected, and have probability P together"),
    Rule("no_repeat_ngram_size", options.whole, "N", "never write N characters in a row twice, or that the prompt has"),
    Rule("dry_multiplier", float, "X", "make repetitions less likely, the longer the less: the penalty where it begins (try 0.8)"),
    Rule("dry_base", float, "X", "... its growth with each further character (default: 1.2)"),
    Rule("dry_allowed_length", options.whole, "N", "... characters that may be repeated without (default: 12)"),
    Rule("dry_range", options.whole, "N", "... how many characters it looks back (default: 1024)"),
    Rule("dry_sequence_breakers", str, "CHARS", "... characters beyond which it does not look"),
    Rule("allowed", str, "CHARS", "the only characters to be written"),
    Rule("banned", str, "CHARS", "characters not to be written"),
)
TEXTS = ("allowed", "banned", "dry_sequence_breakers")


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
    first.add_argument("--prime-file", metavar="FILE", help="a file with it, - for standard input; one line end at its end does not count")
    first.add_argument("--prompts", metavar="FILE", help="a file with several, one a line, which are computed side by side")
    what.add_argument("--n", type=options.whole, metavar="N", help="write N passages (after each prompt), with an empty line between them")
    what.add_argument(
        "--seed", type=options.whole, metavar="N", help="the same seed writes the same text (default: another text each time)"
    )
    what.add_argument(
        "--stop", action="append", metavar="TEXT", help="end after the first occurrence of this text; may be given several times"
    )
    what.add_argument("--drop-stop", action="store_true", help="leave the stop text out")
    what.add_argument("--pattern", metavar="REGEX", help="write what matches this regular expression as a whole")
    what.add_argument("--exact", action="store_true", help="... as often as the model would, were all else rejected; can be slow")
    what.add_argument("--unseen", action="store_true", help="only passages that are not in the text of the run MODEL")
    what.add_argument("--unseen-in", action="append", metavar="FILE", help="... that are not in this text")
    what.add_argument("--distinct", action="store_true", help="no two passages that are alike")
    what.add_argument("--adapt", action="append", metavar="FILE", help="read this text first and learn from it, to write in its manner")
    how = parser.add_argument_group("how to choose the characters (their order is below)")
    for rule in RULES:
        how.add_argument(options.flag(rule.name), type=rule.kind, metavar=rule.metavar, default=argparse.SUPPRESS, help=rule.help)
    how.add_argument(
        "--logit-bias", action="append", metavar="CHAR=X", default=[], help="add X to a character's logit, as in e=-1.5 or \\n=2"
    )
    where = parser.add_argument_group("where to")
    where.add_argument("--out", metavar="FILE", help="write to a file, in UTF-8")
    where.add_argument("--json", action="store_true", help="one JSON object a line for each passage")
    where.add_argument("--log-probabilities", action="store_true", help="... with the log-probability that the model gives it, in nats")
    where.add_argument("--interactive", action="store_true", help="type beginnings, watch them go on; /help tells what else")


def run(args: argparse.Namespace) -> int:
    """Write to standard output or a file: text, or the bytes themselves from a model of bytes."""
    model = CharRNN.load(model_in(args.model))
    rules = rules_given(args, model)
    if args.adapt:
        model = model.adapted(TextSource(tuple(args.adapt), raw_bytes=model.vocabulary.raw_bytes).read(model.vocabulary))
    if args.interactive:
        from charrnn.cli.interactive import converse

        return converse(model, rules, args)
    if args.log_probabilities and not args.json:
        raise SettingsError("--log-probabilities are written as JSON: give --json as well")
    first = beginnings(args, model)
    args.length = LENGTH if args.length is None else args.length
    with output(args.out, model.vocabulary.raw_bytes) as write:
        complete = True
        if args.n is None and not (args.json or args.prompts or wanted(args)):
            write(first[0])
            for piece in model.stream(args.length, first[0], piece=PIECE, **planned(args, model), **rules, seed=seed_of(args)):
                write(piece)
        else:
            complete = several(args, model, first, rules, write)
    if args.out is None and sys.stdout.isatty():
        print()
    return 0 if complete else 1


def rules_given(args: argparse.Namespace, model: CharRNN) -> dict[str, Any]:
    """The decoding rules that were given, by their names in the API; refused here, before anything is written."""
    rules = {rule.name: getattr(args, rule.name) for rule in RULES if hasattr(args, rule.name)}
    for name in TEXTS:
        if name in rules:
            rules[name] = prompts.from_words(options.flag(name), rules[name], model.vocabulary)
    bias = {}
    for word in args.logit_bias:
        character, sign, value = word.rpartition("=")
        try:
            bias[prompts.from_words("--logit-bias", character, model.vocabulary)] = float(value)
        except ValueError:
            sign = ""
        if not sign or not character:
            raise SettingsError(f"--logit-bias must be a character and a number, such as e=-1.5, got {word!r}")
    if bias:
        rules["logit_bias"] = bias
    DecodingRules.given(rules).for_vocabulary(model.vocabulary, model.dtype)
    return rules


def planned(args: argparse.Namespace, model: CharRNN) -> dict[str, Any]:
    """The other arguments of `CharRNN.generate` and `stream`."""
    stop = [prompts.from_words("--stop", text, model.vocabulary) for text in args.stop or []]
    pattern = args.pattern if args.pattern is None or not model.vocabulary.raw_bytes else args.pattern.encode("utf-8", "surrogateescape")
    return {"stop": stop or None, "keep_stop": not args.drop_stop, "pattern": pattern, "exact": args.exact}


def beginnings(args: argparse.Namespace, model: CharRNN) -> list[Any]:
    """The prompts."""
    vocabulary = model.vocabulary
    if args.prompts is not None:
        found = prompts.prompts_in(args.prompts, vocabulary)
    elif args.prime_file is not None:
        found = [prompts.prime_in(args.prime_file, vocabulary)]
    else:
        found = [prompts.from_words("--prime", args.prime or "", vocabulary)]
    for prompt in found:
        vocabulary.encode(prompt)
    return found


def seed_of(args: argparse.Namespace) -> int:
    """The seed that was given, or one that nobody knows."""
    return secrets.randbits(32) if args.seed is None else arguments.whole_number("seed", args.seed, at_least=0)


def wanted(args: argparse.Namespace) -> bool:
    """Whether some passages are rejected."""
    return bool(args.unseen or args.unseen_in or args.distinct)


def several(args: argparse.Namespace, model: CharRNN, first: list[Any], rules: dict[str, Any], write: Callable[[Any], None]) -> bool:
    """Write passages, each by itself; whether there are as many as were asked for."""
    n = 1 if args.n is None else arguments.whole_number("n", args.n)
    seed, line_end = seed_of(args), prompts.as_read("\n", model.vocabulary)
    how = {"details": True, "log_probabilities": args.log_probabilities, **planned(args, model), **rules}
    everything = not wanted(args)
    found = model.generate(first, args.length, n=n, seed=seed, **how) if everything else selected(args, model, first, n, seed, how)
    before: Any = None
    count = 0
    for passage in found:
        count += 1
        if args.json:
            line = json.dumps(as_json(passage, seed), ensure_ascii=False) + "\n"
            write(line.encode() if model.vocabulary.raw_bytes else line)
            continue
        if before is not None:
            write(line_end if before.endswith(line_end) else line_end + line_end)
        before = passage.prompt + passage.text
        write(before)
    if not everything and before is not None and not before.endswith(line_end):
        write(line_end)  # what was rejected is said on a line of its own
    return count == n * len(first)


def as_json(passage: Passage, seed: int) -> dict[str, Any]:
    """What is known about one passage."""
    texts = {name: text if isinstance(text, str) else shown(text) for name, text in (("prompt", passage.prompt), ("text", passage.text))}
    found: dict[str, Any] = texts | {"finished": passage.finished, "seed": seed}
    return found if passage.log_probability is None else found | {"log_probability": passage.log_probability}


def selected(args: argparse.Namespace, model: CharRNN, first: list[Any], n: int, seed: int, how: dict[str, Any]) -> Iterator[Passage]:
    """n passages after each prompt that are not known, or not alike; fewer, if too many are rejected. At the end standard error says how
    many were.
    """
    known = [prompts.from_file(file, model.vocabulary) for file in args.unseen_in or []]
    if args.unseen:
        whole = text_for(args.model, TextSource(), model.vocabulary)
        known.append(whole.text(0, len(whole)))
    selection = Selection(known, args.distinct)
    for number, prompt in enumerate(first):
        missing, tried = n, 0
        while missing and tried < TRIES * n:
            size = min(max(2 * missing, 16), TRIES * n - tried)
            for passage in model.generate([prompt], args.length, n=size, seed=seed + ((number << 64) + tried << 32), **how):
                if missing and selection.takes(passage.prompt + passage.text):
                    missing -= 1
                    yield passage
            tried += size
        if missing:
            print(f"after {tried:,} passages {missing:,} are still missing: they have become too rare", file=sys.stderr)
    print(selection, file=sys.stderr)


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
        if isinstance(error, OutputError):
            raise
        raise OutputError(f"cannot write {path}: {error.strerror or error}") from None
