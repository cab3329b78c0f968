"""charrnn report: the whole of a lab report, from gradient check to generated text, as one page."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any

from charrnn.cli import options
from charrnn.errors import SettingsError
from charrnn.files.atomic import as_path
from charrnn.process import as_typed
from charrnn.recipes import Recipe, load_recipe
from charrnn.report import make as report
from charrnn.report.plan import Named, Plan, with_options
from charrnn.text.source import TextSource, is_read_once

RECIPE = "dd2424-2017"
FOLDER = "charrnn-report"
EXAMPLES = """\
examples:
  charrnn report                                      the lab as dd2424-2017 sets it, on the story that comes with charrnn
  charrnn report book.txt --recipe report-000         a grid of windows and learning rates on your own text, side by side
  charrnn report book.txt --updates 20000 --seed 7    shorter, from another seed
  charrnn report book.txt --cell lstm --validation 0.1 --title "An LSTM reads" --author "A. Student"
  charrnn report --resume --out charrnn-report        finish an interrupted report
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of charrnn report."""
    options.add_text(parser)
    parser.add_argument("--out", metavar="DIR", default=FOLDER, help=f"the folder for the report (default: {FOLDER})")
    parser.add_argument("--force", action="store_true", help="replace the report in the folder --out")
    parser.add_argument("--resume", action="store_true", help="finish the interrupted report in the folder --out")
    parser.add_argument("--quiet", action="store_true", help="no bar and no messages")
    parser.add_argument("--title", metavar="TEXT", help="title of the page (default: the names of the recipe and of the text)")
    parser.add_argument("--author", metavar="TEXT", help="author, printed below the title")
    groups = options.add_settings(parser)
    groups[options.LOOKING].add_argument(
        "--validation", metavar="PART|FILE", help="the validation text: a part of TEXT, such as 0.1 for its last tenth, or a file"
    )


def run(args: argparse.Namespace) -> int:
    """Make the report; 0, 1 if a gradient is wrong or a run failed, 128 + the number of the signal that interrupted it."""
    folder, name = Path(as_path(args.out)), args.recipe or RECIPE
    text, overrides = options.source(args), options.overrides(args)
    named = Named(args.title, args.author, args.validation)
    if args.resume:
        plan = Plan.load(folder)
        if named.validation is not None and named.absolute().validation != plan.validation:
            raise SettingsError(f"the report in {folder} has --validation {plan.validation or 'none'}: leave it out, or give another --out")
        plan = replace(plan, title=named.title or plan.title, author=named.author or plan.author)
        if args.recipe or overrides:
            plan.require_same(chosen(name, overrides), folder)
        if args.text:
            plan = replace(plan, text=text.absolute())
        elif any(path != "-" and is_read_once(path) for path in plan.text.paths):
            raise SettingsError(f"the text of the report in {folder} was a pipe: name it again, as in charrnn report TEXT --resume")
        return report.resume(folder, plan, args.quiet)
    for setting in ("validate_every", "patience"):
        if args.validation is None and overrides.get(setting) is not None:
            raise SettingsError(f"{options.flag(setting)} needs a text to evaluate: give --validation PART|FILE as well")
    line = command(name, overrides, text, named, args.out)
    return report.make(folder, chosen(name, overrides), text, line, named, args.force, args.quiet)


def chosen(name: str, overrides: dict[str, Any]) -> Recipe:
    """The recipe of that name with the settings that were given."""
    return with_options(options.chosen_recipe(name, overrides), overrides)


def command(name: str, overrides: dict[str, Any], text: TextSource, named: Named, out: str) -> str:
    """The line that makes the same report."""
    chosen: list[tuple[str, str]] = [("--encoding", text.encoding)] * (text.encoding != "utf-8") + [("--recipe", name)]
    flags = "--bytes " * text.raw_bytes
    for setting, value in ({"seed": load_recipe(name).model.get("seed", 0)} | overrides).items():
        if value is True:
            flags += f"{options.flag(setting)} "
        else:
            chosen.append((options.flag(setting), "none" if value is None else str(value)))
    chosen += [(f"--{option}", value) for option, value in named._asdict().items() if value is not None]
    return as_typed(f"report {flags}", [*chosen, ("--out", out)], text.paths)
