"""charrnn train: what is asked for, checked before any work begins."""

from __future__ import annotations

import argparse
from pathlib import Path

from charrnn.cli import options
from charrnn.errors import SettingsError
from charrnn.files.atomic import as_path
from charrnn.runs import execution
from charrnn.runs.folder import DEFAULT, METRICS, RunFolder
from charrnn.runs.plan import RunPlan
from charrnn.runs.request import Request
from charrnn.threads import check_threads
from charrnn.training.plan import Settings

VALIDATE_EVERY = 10_000
MAY_DIFFER = ("resume", "allow_other_text", "threads", "quiet")  # in a resumed run
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
    where = f"{DEFAULT}, or {DEFAULT}-2 ... when that is taken"
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
        path = Path(as_path(args.resume))
        for name in options.given(args, add_arguments):
            if name not in MAY_DIFFER:
                raise SettingsError(f"--resume goes on with the run's own settings and text: leave {options.flag(name)} out")
        return execution.resume(path, args.allow_other_text, args.threads, args.quiet)
    if args.allow_other_text:
        raise SettingsError("--allow-other-text belongs to --resume RUN, which is missing")
    overrides = options.overrides(args)
    recipe = options.chosen_recipe(args.recipe, overrides)
    if args.validation is None and overrides.get("validate_every") is not None:
        raise SettingsError("--validate-every needs a text to evaluate: give --validation PART|FILE as well")
    if args.validation is not None and recipe.training.get("validate_every") is None:
        recipe.training["validate_every"] = VALIDATE_EVERY
    settings = Settings(**recipe.training)
    check_threads(args.threads)
    request = Request(options.source(args), args.validation, args.log_every, args.checkpoint_every, args.keep).check()
    whole = request.source.read()
    corpus, validation = request.split(whole)
    plan = RunPlan.of(recipe, settings, corpus, validation)
    if args.verify_resume:
        from charrnn.runs.verification import verify

        return verify(plan.in_full(), request, whole, args.threads)
    folder = RunFolder.new(args.out, args.force, needed=request.files)
    return execution.start(plan, request, whole, folder, args.threads, args.quiet)
