"""charrnn train: checks all options before any work begins."""

from __future__ import annotations

import argparse
import textwrap
from dataclasses import replace
from pathlib import Path
from typing import Any

from charrnn import arguments
from charrnn.cli import options
from charrnn.errors import SettingsError
from charrnn.files.atomic import as_path, writable_folder
from charrnn.model import CharRNN
from charrnn.network.settings import MODEL
from charrnn.recipes import AUTO, Recipe, load_recipe
from charrnn.runs import execution
from charrnn.runs.folder import DEFAULT, METRICS, RunFolder
from charrnn.runs.plan import RunPlan
from charrnn.runs.request import Request
from charrnn.text.split import SPLITS
from charrnn.threads import check_threads
from charrnn.trainable import SIZES
from charrnn.training.events import Callback
from charrnn.training.fitting import fitted, seconds_of
from charrnn.training.plan import Settings
from charrnn.training.tensorboard import TensorBoard, require_tensorboard

OTHER_END = ("updates", "epochs", "patience")
MAY_DIFFER = (
    "resume",
    "allow_other_text",
    "threads",
    "quiet",
    "tensorboard",
    "text",
    "encoding",
    "raw_bytes",
    *OTHER_END,
)  # in a resumed run
EXAMPLES = """\
examples:
  charrnn train                                     the story that comes with charrnn, 100,000 updates
  charrnn train book.txt --epochs 10 --seed 7       your own text, ten times through
  charrnn train *.txt --encoding latin-1            several files, read as one
  curl -s URL | charrnn train - --out from-the-web  standard input
  charrnn train book.txt --recipe dd2424-2025       settings by name; `charrnn recipes` lists them
  charrnn train book.txt --validation 0.1           the last tenth is the validation text
  charrnn train book.txt --split 80/10/10           a tenth for validation, and a tenth for one test at the end
  charrnn train book.txt --time 10m                 as many updates as fit into ten minutes here
  charrnn train book.txt --recipe auto --time 10m   ... with settings that suit this text and this time
  charrnn train book.txt --tensorboard logs         then: tensorboard --logdir logs
  charrnn train --resume charrnn-run                continue a run that was stopped; the result is the same
  charrnn train --resume charrnn-run --updates 2e5  ... and train it for more updates
  charrnn train letters.txt --from charrnn-run      train a trained model further, on another text
Ctrl-C ends the training early and saves the model; a second Ctrl-C ends it at once.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of charrnn train."""
    options.add_text(parser)
    where = f"{DEFAULT}, or {DEFAULT}-2 ... when that is taken"
    options.add_min_count(parser)
    parser.add_argument("--out", metavar="DIR", help=f"the folder to write (default: {where})")
    parser.add_argument("--force", action="store_true", help="replace the run that is in the folder --out")
    parser.add_argument(
        "--threads",
        type=options.whole,
        metavar="N",
        help="threads (default: 1 for small batches, else all cores); the result is identical bit for bit for any number",
    )
    groups = options.add_settings(parser)
    looking = groups[options.LOOKING]
    groups[options.LENGTH].add_argument(
        "--time", metavar="TIME", help="in place of --updates: as many updates as fit into 90s, 10m, 2h on this machine"
    )
    looking.add_argument(
        "--validation", metavar="PART|FILE", help="the validation text: a part of TEXT, such as 0.1 for its last tenth, or a file"
    )
    looking.add_argument(
        "--validation-split",
        default="end",
        metavar="|".join(SPLITS),
        help="validate on the end of TEXT, or, for a list, on some of its lines, shuffled with the seed (default: end)",
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
    going_on = parser.add_argument_group("continuing")
    going_on.add_argument(
        "--resume",
        metavar="RUN",
        help="continue the run in this folder with its own settings; --updates, --epochs or --patience change its end, and TEXT says "
        "where its text is now",
    )
    going_on.add_argument("--from", dest="start", metavar="MODEL", help="start from a model file, or the best model of a run's folder")
    going_on.add_argument("--extend-vocabulary", action="store_true", help="with --from: add the text's characters to the vocabulary")
    going_on.add_argument("--allow-other-text", action="store_true", help="resume even if the text has changed")
    going_on.add_argument(
        "--verify-resume",
        action="store_true",
        help="test on this machine that a run that is killed at random moments and resumed ends with the same files, bit for bit",
    )
    looking.add_argument(
        "--tensorboard",
        metavar="DIR",
        help="also write metrics, samples and settings for TensorBoard, into a folder in DIR that is named like the run; "
        "repeat this option with --resume",
    )
    looking.add_argument("--quiet", action="store_true", help="print errors only")


def run(args: argparse.Namespace) -> int:
    """Train, saying what happens; 0, or 128 + the number of the signal that ended it early."""
    check_threads(args.threads)
    if args.tensorboard is not None:
        require_tensorboard()
    if args.resume is not None:
        return resume(args)
    if args.allow_other_text:
        raise SettingsError("--allow-other-text belongs to --resume RUN, which is missing")
    if args.extend_vocabulary and args.start is None:
        raise SettingsError("--extend-vocabulary belongs to --from MODEL, which is missing")
    overrides = options.overrides(args)
    seconds = None if args.time is None else seconds_of(args.time, "--time")
    if seconds is not None and overrides.keys() & {"updates", "epochs"}:
        raise SettingsError("--time takes the place of --updates and --epochs: leave them out")
    if args.validation is not None:
        if overrides.get("split") is not None:
            raise SettingsError("--split has a validation part already: leave out --validation or --split")
        overrides["split"] = None  # in place of the recipe's
    automatic = args.recipe == AUTO
    if automatic:
        seconds = automatic_seconds(args, overrides, seconds)
    recipe = options.chosen_recipe(None if automatic else args.recipe, overrides)
    settings = Settings(**recipe.training)
    if args.min_count != 1 and args.start is not None and not args.extend_vocabulary:
        raise SettingsError("--from brings a vocabulary: leave --min-count out, or add characters to it with --extend-vocabulary")
    if settings.split is None:
        if args.validation is None and args.validation_split != "end":
            raise SettingsError(
                "--validation-split says which part to validate on: give --validation PART, such as 0.1, or --split 80/10/10"
            )
        for name in ("validate_every", "patience"):
            if args.validation is None and overrides.get(name) is not None and not automatic:
                raise SettingsError(f"{options.flag(name)} needs a text to evaluate: give --validation PART|FILE or --split as well")
    request = Request(
        replace(options.source(args), min_count=arguments.whole_number("--min-count", args.min_count)),
        args.validation,
        args.log_every,
        args.checkpoint_every,
        args.keep,
        validation_split=args.validation_split,
        start=args.start,
        extend_vocabulary=args.extend_vocabulary,
    ).check()
    whole = request.source.read()
    request, model = replace(request, fingerprint=whole.fingerprint), None
    if args.start is not None:
        for name in overrides:
            if name in MODEL:
                raise SettingsError(f"--from brings a network: leave {options.flag(name)} out")
        if args.verify_resume:
            raise SettingsError("--verify-resume proves it with a new model: leave --from out")
        model, whole = execution.starting_model(request, whole)
        recipe = going_on(model, args.recipe, overrides)
        settings = Settings(**recipe.training)
    notes: list[str] = []
    if automatic:
        from charrnn.recipes import auto

        assert seconds is not None
        facts = auto.Facts.of(whole)
        if request.validation is None and settings.split is None and len(whole) >= auto.HELD_OUT_FROM:
            request = replace(request, validation="0.1", validation_split="lines" if facts.is_list else args.validation_split)
        training = request.parts(whole, settings.split, recipe.model.get("seed", 0)).training
        choice = auto.choose(facts, seconds, auto.speed_on(training, args.threads), overrides.get("cell", ""))
        notes.append("these settings are chosen for the text and the time\n\n" + textwrap.indent(str(choice), "  ") + "\n")
        recipe = replace(choice.recipe.run(overrides), name=AUTO)
        settings = Settings(**recipe.training)
        seconds = None if settings.epochs is not None else seconds
    parts = request.parts(whole, settings.split, recipe.model.get("seed", 0))
    for name in ("validate_every", "patience"):
        if parts.validation is None and overrides.get(name) is not None:
            raise SettingsError(f"{options.flag(name)}: recipe auto holds out no part of so short a text: give --validation FILE")
    if parts.validation is None and settings.patience is not None:
        settings = replace(settings, patience=None)  # the recipe's
    settings, note = fitted(settings, len(parts.training), [name for name in SIZES if name in recipe.training and name not in overrides])
    plan = RunPlan.of(recipe, settings, parts, model)
    if args.verify_resume:
        from charrnn.runs.verification import verify

        return verify(plan.in_full(), request, whole, args.threads)
    if seconds is not None:
        plan = plan.in_time(seconds, settings, args.threads)
    folder = RunFolder.new(args.out, args.force, needed=request.files)
    return execution.start(plan, request, whole, folder, args.threads, args.quiet, notes + [note] * bool(note), events(args, folder.path))


def automatic_seconds(args: argparse.Namespace, overrides: dict[str, Any], seconds: float | None) -> float:
    """How long a run of --recipe auto takes; SettingsError for what does not go with it."""
    if overrides.keys() & {"updates", "epochs"}:
        raise SettingsError("--recipe auto chooses by the available time: give --time in place of --updates and --epochs")
    if args.start is not None or args.verify_resume:
        raise SettingsError("--recipe auto chooses a new network: leave --from and --verify-resume out")
    return 60.0 if seconds is None else seconds


def resume(args: argparse.Namespace) -> int:
    """Go on with a run."""
    path, given = Path(as_path(args.resume)), options.given(args, add_arguments)
    for name in given:
        if name not in MAY_DIFFER:
            raise SettingsError(f"--resume uses the run's own settings: leave {options.flag(name)} out")
    text = None
    if args.text:
        source = Request.load(path).source
        raw_bytes = source.raw_bytes or args.raw_bytes
        encoding = args.encoding if "encoding" in given else source.encoding
        text = replace(source, paths=tuple(args.text), encoding=encoding, raw_bytes=raw_bytes)
    elif "encoding" in given or args.raw_bytes:
        raise SettingsError("--encoding and --bytes belong to a TEXT: name it, or leave them out")
    other = {name: value for name, value in vars(args).items() if name in OTHER_END}  # only what was given is there
    return execution.resume(
        path, args.allow_other_text, args.threads, args.quiet, text, other, events(args, path, Request.load(path).log_every)
    )


def events(args: argparse.Namespace, run: Path, every: int | None = None) -> list[Callback]:
    """The callback that writes for TensorBoard, if that is wanted: into a folder with the name of the run's."""
    if args.tensorboard is None:
        return []
    folder = writable_folder(Path(as_path(args.tensorboard), run.resolve().name))  # or the run would begin, and end at once
    return [TensorBoard(folder, args.log_every or every)]


def going_on(model: CharRNN, name: str | None, overrides: dict[str, Any]) -> Recipe:
    """The settings with which a trained model goes on: its own, those of a recipe, and those that were given."""
    own, base = model.settings_so_far(), load_recipe(name) if name else None
    described = Recipe(model.recipe or "", "going on with a trained model", training=own)
    changed = described.run(dict(base.training) if base else {}).training
    training = replace(described, training=changed).run(overrides).training
    named = base.name if base else described.name
    return Recipe(named, described.description, model={key: getattr(model.settings, key) for key in MODEL}, training=training)
