"""charrnn train: what is asked for, checked before any work begins."""

from __future__ import annotations

import argparse
from dataclasses import replace

from charrnn import arguments
from charrnn.cli import options
from charrnn.errors import SettingsError, TextError
from charrnn.model import CharRNN
from charrnn.recipes import Recipe, from_toml, text_of
from charrnn.runs import folder as runfolder
from charrnn.runs.folder import METRICS, RECIPE, RunFolder
from charrnn.runs.resumption import REQUEST, is_read_once, recall, request_of
from charrnn.runs.trainingrun import Run
from charrnn.text.corpus import Corpus, read_corpus
from charrnn.threads import check_threads
from charrnn.training.checkpoint import interval
from charrnn.training.settings import Settings
from charrnn.training.trainer import check_memory

VALIDATE_EVERY = 10_000
HELD_OUT = 64  # characters at least: the loss of fewer says nothing
EXAMPLES = """\
examples:
  charrnn train                                     the story that comes with charrnn, 100,000 updates
  charrnn train book.txt --epochs 10 --seed 7       your own text, ten times through
  charrnn train *.txt --encoding latin-1            several files, read as one
  curl -s URL | charrnn train - --out from-the-web  standard input
  charrnn train book.txt --recipe dd2424-2025       settings by name; `charrnn recipes` lists them
  charrnn train book.txt --validation 0.1           the last tenth held out, and evaluated meanwhile
  charrnn train --resume charrnn-run                go on with a run that was stopped, to the very same end
Ctrl-C ends the training early and saves what was learned; a second Ctrl-C ends it at once.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of charrnn train."""
    options.add_text(parser)
    where = f"{runfolder.DEFAULT}, or {runfolder.DEFAULT}-2 ... when that is taken"
    parser.add_argument("--out", metavar="DIR", help=f"the folder to write (default: {where})")
    parser.add_argument("--force", action="store_true", help="replace the run that is in the folder --out")
    parser.add_argument(
        "--threads",
        type=options.whole,
        metavar="N",
        help="threads (default: 1 for few streams, else all cores); any number of them gives the same bits",
    )
    looking = options.add_settings(parser)[options.LOOKING]
    looking.add_argument(
        "--validation", metavar="PART|FILE", help="text to evaluate meanwhile: a part of TEXT, such as 0.1 for its last tenth, or a file"
    )
    looking.add_argument(
        "--log-every",
        type=options.whole,
        metavar="N",
        help=f"updates between two lines of {METRICS} (default: a thousandth of the run, at most 100)",
    )
    looking.add_argument(
        "--checkpoint-every",
        default="1m",
        metavar="TIME|N",
        help="time (30s, 0.5s, 2h) or number of updates between two checkpoints (default: 1m); one more at the end",
    )
    looking.add_argument("--keep", type=options.whole, default=3, metavar="N", help="checkpoints to keep (default: 3)")
    going_on = parser.add_argument_group("going on")
    going_on.add_argument("--resume", metavar="RUN", help="go on with the run in this folder; nothing else needs saying")
    going_on.add_argument("--allow-other-text", action="store_true", help="resume even if the text is another one now")
    going_on.add_argument(
        "--verify-resume",
        action="store_true",
        help="prove on this machine that a run killed at any moment, then resumed, ends with the same files, bit for bit",
    )
    looking.add_argument("--quiet", action="store_true", help="neither bar nor samples on the screen")


def run(args: argparse.Namespace) -> int:
    """Train, saying what happens; 0, or 128 + the number of the signal that ended it early."""
    if args.resume is not None:
        return resume(args)
    if args.allow_other_text:
        raise SettingsError("--allow-other-text belongs to --resume RUN, which is missing")
    recipe = options.chosen_recipe(args)
    if args.validation is None and getattr(args, "validate_every", None) is not None:
        raise SettingsError("--validate-every needs a text to evaluate: give --validation PART|FILE as well")
    if args.validation is not None and recipe.training.get("validate_every") is None:
        recipe.training["validate_every"] = VALIDATE_EVERY
    settings = Settings(**recipe.training).check()
    check_threads(args.threads)
    if args.log_every is not None:
        arguments.whole_number("log_every", args.log_every)
    interval(args.checkpoint_every)
    arguments.whole_number("keep", args.keep)
    whole = options.read_text(args)
    corpus, held_out = split(whole, args)
    corpus.require_window(settings.seq_length, settings.batch_size)
    model = CharRNN(**recipe.model, vocabulary=corpus.vocabulary)
    model.recipe = recipe.name or None
    total = settings.total(len(corpus) // settings.batch_size)
    check_memory(model.hidden_size, len(corpus.vocabulary), settings, model.dtype, total)
    full = in_full(recipe, model, settings)
    if args.verify_resume:
        from charrnn.runs.verification import verify

        return verify(args, full, whole)
    folder = RunFolder.new(args.out, args.force, needed=[*args.text, *([args.validation] if args.validation else [])])
    folder.write(RECIPE, full.to_toml())
    folder.write(REQUEST, request_of(args, folder.path, whole))
    return Run(folder, model, whole.description, corpus, held_out, replace(full, grid=recipe.grid), args).go()


def resume(args: argparse.Namespace) -> int:
    """Go on with a run from its newest checkpoint; from its beginning, if it was stopped before there was one."""
    folder = RunFolder(recall(args, options.given(args, add_arguments)))
    recipe = from_toml(text_of(folder / RECIPE), "", str(folder / RECIPE))
    whole = options.read_text(args)
    corpus, held_out = split(whole, args)
    model = CharRNN(**recipe.model, vocabulary=corpus.vocabulary)
    model.recipe = recipe.name or None
    description = whole.description if args.allow_other_text else args.description
    return Run(folder, model, description, corpus, held_out, recipe, args).go()


def split(corpus: Corpus, args: argparse.Namespace) -> tuple[Corpus, Corpus | None]:
    """The text to learn, and the one held out."""
    if args.validation is None:
        return corpus, None
    try:
        part = float(args.validation)
    except ValueError:
        if is_read_once(args.validation):
            raise SettingsError(
                f"validation must be a part of the text, or a file that a resumed run can read again, got {args.validation}"
            ) from None
        learned, held_out = corpus, read_corpus([args.validation], args.encoding, args.raw_bytes, corpus.vocabulary)
    else:
        if not 0 < part < 1:
            raise SettingsError(f"validation must be a part of the text between 0 and 1, or a file, got {part:g}")
        border = len(corpus) - round(part * len(corpus))
        learned, held_out = corpus.part(0, border), corpus.part(border, len(corpus))
    if len(held_out) < HELD_OUT:
        raise TextError(f"{held_out.name} is too short: validation needs {HELD_OUT} characters, got {len(held_out)}")
    return learned, held_out


def in_full(recipe: Recipe, model: CharRNN, settings: Settings) -> Recipe:
    """Every setting of the run, defaults included, as a recipe of its own."""
    network = {
        "hidden_size": model.hidden_size,
        "dtype": model.dtype.name,
        "init": model.init,
        "init_std": model.init_std,
        "seed": model.seed,
    }
    by_epochs = settings.epochs is not None
    length = {"epochs": settings.epochs} if by_epochs else {"updates": settings.total(0)}
    training = {key: value for key, value in vars(settings).items() if key not in ("updates", "epochs")}
    return Recipe(recipe.name, recipe.description, recipe.source, network, length | training)
