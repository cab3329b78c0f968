"""charrnn report: the whole of a lab report, from gradient check to generated text, as one page.

The folder of a report:

    report.html             everything, in one file
    report.md, figures/     the same as Markdown with pictures
    report.json             every number
    best.safetensors        the best model (best-1.safetensors, best-2 ... of a recipe that is a grid)
    parts/                  what is done so far, for --resume
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import shlex
import shutil
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

import numpy as np

from charrnn import __version__
from charrnn.cli import options
from charrnn.errors import OutputError, SettingsError
from charrnn.files.atomic import alone_in, as_path, atomic_write, remove_leftovers, why, writable_folder
from charrnn.model import CharRNN
from charrnn.network import kernels
from charrnn.recipes import Recipe, from_toml, load_recipe
from charrnn.report import parts
from charrnn.report.parts import Part, Run
from charrnn.text.corpus import Corpus
from charrnn.threads import answered_by, usable_cores
from charrnn.training.plan import Settings
from charrnn.training.trainer import check_memory

RECIPE = "dd2424-2017"
FOLDER = "charrnn-report"
OURS = re.compile(
    r"report\.(html|md|json)|best(-\d+)?\.safetensors|figures/(comparison|loss-\d+|words-\d+)\.png|"
    r"parts/(plan|text|pytorch|gradients-\d+|run-\d+)\.json"
)
PLAN = {"charrnn", "recipe", "name", "text", "command", "seconds", "fingerprint", "described"}
NEEDED = {
    "text": {"name", "histogram"},
    "gradients": {"rows", "passed", "seconds"},
    "pytorch": {"installed", "seconds"},
    "run": {"done", "total", "error", "best", "samples", "curve"},
}  # what a part holds, if it is whole
EXAMPLES = """\
examples:
  charrnn report                                      the lab as dd2424-2017 sets it, on the story that comes with charrnn
  charrnn report book.txt --recipe report-000         a grid of windows and learning rates on your own text, side by side
  charrnn report book.txt --updates 20000 --seed 7    shorter, from another seed
  charrnn report --resume --out charrnn-report        finish a report that was broken off
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of charrnn report."""
    options.add_text(parser)
    parser.add_argument("--out", metavar="DIR", default=FOLDER, help=f"the folder for the report (default: {FOLDER})")
    parser.add_argument("--force", action="store_true", help="replace the report in the folder --out")
    parser.add_argument("--resume", action="store_true", help="finish the report in the folder --out, which was broken off")
    parser.add_argument("--quiet", action="store_true", help="no bar and no messages")
    options.add_settings(parser, without=("validate_every",))


def run(args: argparse.Namespace) -> int:
    """Make the report; 0, 1 if a gradient is wrong or a run failed, 128 + the number of the signal that broke it off."""
    begun = time.perf_counter()
    folder = Path(as_path(args.out))
    plan = resumed(folder, args) if args.resume else planned(args)
    recipe = from_toml(plan["recipe"], plan["name"], f"{plan['name']} with your options")
    corpus = options.read_text(argparse.Namespace(**plan["text"]))
    if args.resume:
        if corpus.fingerprint != plan["fingerprint"]:
            raise SettingsError(
                f"the report in {folder} is about another text ({plan['described']}) than {corpus.description}; "
                "give that one, or another --out"
            )
    else:
        for each in recipe.runs():
            model, settings, K = CharRNN(**each.model), Settings(**each.training).check(), len(corpus.vocabulary)
            corpus.require_window(settings.seq_length, settings.batch_size)
            check_memory(model.hidden_size, K, settings, model.dtype, settings.total(len(corpus) // settings.batch_size))
        plan |= {"fingerprint": corpus.fingerprint, "described": corpus.description}
        require_free(folder, args.force)
    with alone_in(writable_folder(folder / "parts")):
        if not args.resume:
            clear(folder)
            write_json(folder / "parts" / "plan.json", plan)
        report = Report(folder, plan, recipe, corpus, args.quiet, begun)
        with signals() as caught:
            report.make(caught)
        return report.finish(caught[0] if caught else 0)


def planned(args: argparse.Namespace) -> Part:
    """What a new report is to be: everything that its making depends on, as JSON."""
    args.recipe = args.recipe or RECIPE
    given = vars(args).keys() & {*parts.SETTINGS}
    recipe = parts.with_options(options.chosen_recipe(args), given)
    for each in recipe.runs():  # before it is written as TOML, whose errors would be about the writing
        CharRNN(**each.model)
        Settings(**each.training).check()
    text = {
        "text": [name if name == "-" else os.path.abspath(name) for name in args.text],
        "encoding": args.encoding,
        "raw_bytes": args.raw_bytes,
    }
    return {"charrnn": __version__, "recipe": recipe.to_toml(), "name": recipe.name, "text": text, "command": command(args), "seconds": 0.0}


def resumed(folder: Path, args: argparse.Namespace) -> Part:
    """The plan of the report in a folder, which what is said on the command line must not contradict."""
    try:
        plan: Part = json.loads((folder / "parts" / "plan.json").read_text("utf-8"))
        if not isinstance(plan, dict) or not plan.keys() >= PLAN:
            raise ValueError
    except (OSError, ValueError, RecursionError):
        raise SettingsError(f"there is no report in {folder} to be finished; leave out --resume to make one") from None
    if plan["charrnn"] != __version__:
        raise SettingsError(
            f"the report in {folder} was begun by charrnn {plan['charrnn']}, this is {__version__}; make it anew "
            "with --force instead of --resume"
        )
    if args.recipe or vars(args).keys() & {*parts.SETTINGS}:
        now = planned(args)
        if now["recipe"] != plan["recipe"]:
            raise SettingsError(f"the report in {folder} has other settings than those now given; leave them out, or give another --out")
    if args.text:
        plan["text"] = planned(args)["text"]
    return plan


def command(args: argparse.Namespace) -> str:
    """The line that makes the same report."""
    words = ["charrnn", "report", *args.text]
    words += ["--bytes"] * args.raw_bytes + ["--encoding", args.encoding] * (args.encoding != "utf-8")
    words += ["--recipe", args.recipe]
    seed = {"seed": load_recipe(args.recipe).model.get("seed", 0)}
    for name, value in (seed | {k: v for k, v in vars(args).items() if k in parts.SETTINGS}).items():
        words.append(options.flag(name))
        if value is not True:
            words.append("none" if value is None else str(value))
    return shlex.join([*words, "--out", args.out])


def require_free(folder: Path, force: bool) -> None:
    """OutputError for a folder that holds something, unless it is a report that is to be replaced."""
    try:
        if not folder.is_dir() or not any(folder.iterdir()):
            return
    except OSError as error:
        raise OutputError(f"cannot use the folder {folder}: {why(error)}") from error
    if not (folder / "parts" / "plan.json").is_file():
        raise OutputError(f"the folder {folder} is not empty, and holds no report: give another --out")
    if not force:
        raise OutputError(
            f"the folder {folder} is not empty: give another --out, --resume to finish the report in it, or --force to replace it"
        )


def clear(folder: Path) -> None:
    """Remove what a report has left; whatever else is there stays."""
    for part in ("", "parts", "figures"):
        place = writable_folder(folder / part)
        remove_leftovers(place)
        for old in place.iterdir():
            if OURS.fullmatch(old.relative_to(folder).as_posix()):
                old.unlink()
    for checkpoints in folder.glob("parts/run-*"):
        shutil.rmtree(checkpoints, ignore_errors=True)


@contextmanager
def signals() -> Iterator[list[int]]:
    """Ctrl-C and SIGTERM end in a KeyboardInterrupt; their numbers are in the list, for Python drops an exception that comes up
    while an object is being thrown away.
    """
    caught: list[int] = []

    def note(number: int, frame: Any) -> None:
        caught.append(number)
        raise KeyboardInterrupt

    with answered_by(note):
        yield caught


class Report:
    """The making of one report: parts that are not done yet are made, each is written as soon as it is."""

    def __init__(self, folder: Path, plan: Part, recipe: Recipe, corpus: Corpus, quiet: bool, begun: float) -> None:
        self.folder, self.plan, self.recipe, self.corpus, self.quiet = folder, plan, recipe, corpus, quiet
        self.begun = begun
        self.runs = [
            Run(each, parts.special_name(each, recipe), corpus, folder / "parts" / f"run-{i}") for i, each in enumerate(recipe.runs(), 1)
        ]
        self.sizes = parts.sizes_to_check(recipe)
        self.parts: dict[str, Part] = {}
        for name in self.names():
            with suppress(OSError, ValueError, RecursionError):  # what is damaged is made again
                part = json.loads((folder / "parts" / f"{name}.json").read_text("utf-8"))
                if isinstance(part, dict) and part.keys() >= NEEDED[name.split("-")[0]]:
                    self.parts[name] = part

    def names(self) -> dict[str, str]:
        """Every part's name, and what a person calls it."""
        names = {"text": "the text's facts"}
        names |= {f"gradients-{m}": f"gradient check of {m} hidden units" for m in self.sizes}
        names |= {"pytorch": "comparison with PyTorch"}
        return names | {f"run-{i}": "training" if len(self.runs) == 1 else f"training {r.label}" for i, r in enumerate(self.runs, 1)}

    def missing(self) -> list[str]:
        """The parts that are not done, or not to their end."""
        return [name for name in self.names() if not self.is_done(name)]

    def missing_words(self) -> list[str]:
        """The missing parts, as a person calls them; many runs by their number."""
        missing, names = self.missing(), self.names()
        runs = [name for name in missing if name.startswith("run-")]
        if len(runs) > 3:
            return [names[name] for name in missing if name not in runs] + [f"{len(runs)} of {len(self.runs)} runs"]
        return [names[name] for name in missing]

    def is_done(self, name: str) -> bool:
        """Whether a part is complete."""
        part = self.parts.get(name)
        if part is None or not name.startswith("run-"):
            return part is not None
        return part["done"] == part["total"] or part["error"] is not None

    def keep(self, name: str, part: Part) -> None:
        """Write a part down; also says that it is done."""
        self.parts[name] = part
        write_json(self.folder / "parts" / f"{name}.json", part)

    def make(self, caught: list[int]) -> None:
        """Make all missing parts: gradients here, training in threads beside it; Ctrl-C ends both. caught: see `signals`."""
        todo: SimpleQueue[int] = SimpleQueue()
        waiting = [i for i in range(1, len(self.runs) + 1) if not self.is_done(f"run-{i}")]
        for i in waiting:
            todo.put(i)
        stop = threading.Event()
        errors: list[BaseException] = []

        def train() -> None:
            while not stop.is_set():
                try:
                    i = todo.get_nowait()
                except Empty:
                    return
                try:
                    part, best = self.runs[i - 1].train(None if len(waiting) == 1 else 1, stop.is_set)
                    if best is not None:
                        best.save(self.folder / f"best{f'-{i}' if len(self.runs) > 1 else ''}.safetensors")
                    self.keep(f"run-{i}", part)
                except BaseException as error:
                    errors.append(error)
                    stop.set()

        threads = [threading.Thread(target=train, daemon=True) for _ in range(min(usable_cores(), len(waiting)))]
        try:
            if not self.is_done("text"):
                self.keep("text", parts.text_facts(self.corpus))
            for thread in threads:
                thread.start()
            self.check_gradients(max(1, usable_cores() - len(threads)), caught)
            self.wait(threads, caught)
        except KeyboardInterrupt:
            self.say("\nstopping; what is done is kept")
        finally:
            stop.set()
            for thread in threads:
                if thread.ident:
                    thread.join()
        if errors:
            raise errors[0]

    def check_gradients(self, threads: int, caught: list[int]) -> None:
        """The parts about gradients."""
        for m in self.sizes:
            if caught:
                raise KeyboardInterrupt
            if not self.is_done(f"gradients-{m}"):
                part = parts.gradients(self.recipe, self.corpus, m, threads, not self.quiet)
                self.keep(f"gradients-{m}", part)
                verdict = "passed" if part["passed"] else "WRONG"
                self.say(f"gradients of {m} hidden units: {verdict}, {part['seconds']:.1f} s")
        if not self.is_done("pytorch"):
            self.keep("pytorch", parts.pytorch(self.recipe, self.corpus, self.sizes[-1]))

    def wait(self, threads: list[threading.Thread], caught: list[int]) -> None:
        """Until all training is done, with a bar over the updates of all runs."""
        from tqdm import tqdm

        total = sum(run.total for run in self.runs)
        with tqdm(total=total, unit=" updates", unit_scale=True, dynamic_ncols=True, disable=self.quiet) as bar:
            while not caught:
                done = sum(r.total if self.is_done(f"run-{i}") else r.done for i, r in enumerate(self.runs, 1))
                bar.update(done - bar.n)
                alive = [thread for thread in threads if thread.is_alive()]
                if not alive:
                    return
                alive[0].join(0.1)
        raise KeyboardInterrupt

    def finish(self, caught: int) -> int:
        """Write the pages; the exit code."""
        from charrnn.report.page import pages

        report = self.to_json()
        for name, data in pages(report).items():
            writable_folder((self.folder / name).parent)
            atomic_write(self.folder / name, data)
        write_json(self.folder / "report.json", report)
        write_json(self.folder / "parts" / "plan.json", self.plan | {"seconds": report["seconds"]})
        if not report["complete"]:
            self.say(f"{self.folder / 'report.html'} shows what was done; to finish: {report['resume_command']}")
            return 128 + caught if caught else 1
        self.say(f"{self.folder / 'report.html'}: {self.seconds():.1f} s in all")
        failed = [part for part in self.parts.values() if part.get("error") or part.get("passed") is False]
        for part in failed:
            if part.get("error"):
                self.say(f"{part['label']} failed: {part['error']}")
        return 1 if failed else 0

    def to_json(self) -> Part:
        """Every number of the report."""
        names = self.names()
        done = {name: self.parts[name] for name in names if name in self.parts}
        made = {
            "charrnn": __version__,
            "level": kernels.chosen(),
            "python": platform.python_version(),
            "numpy": np.__version__,
            "machine": platform.machine(),
            "cores": os.cpu_count(),
            "date": time.strftime("%Y-%m-%d %H:%M %Z"),
        }
        recipe = {
            "name": self.recipe.name,
            "description": self.recipe.description,
            "source": self.recipe.source,
            "toml": self.plan["recipe"],
        }
        text = self.parts.get("text") or parts.text_facts(self.corpus)
        own = self.recipe.model.get("hidden_size", 100)
        return {
            "title": f"{self.recipe.name or 'Report'}: {text['name']}",
            "complete": not self.missing(),
            "missing": self.missing_words(),
            "command": self.plan["command"],
            "resume_command": shlex.join(["charrnn", "report", "--resume", "--out", str(self.folder)]),
            "made": made,
            "recipe": recipe,
            "text": text,
            "seconds": self.seconds(),
            "timings": [[names[name], part["seconds"]] for name, part in done.items() if part.get("seconds")],
            "gradients": [part for name, part in done.items() if name.startswith("gradients")],
            "checked_less": own if own > max(self.sizes) and "hidden_sizes" not in self.recipe.gradcheck else None,
            "pytorch": done.get("pytorch"),
            "runs": [self.parts.get(f"run-{i}") or run.part() for i, run in enumerate(self.runs, 1)],
        }

    def seconds(self) -> float:
        """How long the report took so far, without the time between being broken off and resumed."""
        return float(self.plan["seconds"]) + time.perf_counter() - self.begun

    def say(self, text: str) -> None:
        """A line for the person at the screen."""
        if not self.quiet:
            from tqdm import tqdm

            tqdm.write(text, file=sys.stderr)


def write_json(path: Path, value: Part) -> None:
    """A JSON file, whole or not at all."""
    atomic_write(path, json.dumps(value, indent=1, allow_nan=False))
