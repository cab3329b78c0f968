"""The making of a report: the whole of a lab report, from gradient check to generated text, as one page.

The folder of a report:

    report.html             everything, in one file
    report.md, figures/     the same as Markdown with pictures
    report.json             every number
    best.safetensors        the best model (best-1.safetensors, best-2 ... of a recipe that is a grid)
    parts/                  what is done so far, for resuming
"""

from __future__ import annotations

import os
import platform
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np

from charrnn.errors import SettingsError, resources
from charrnn.files import modelfile, owned
from charrnn.files.atomic import alone_in, remove_leftovers, writable_folder
from charrnn.files.owned import read, subfolder
from charrnn.files.schema import loads
from charrnn.network import kernels
from charrnn.process import as_typed
from charrnn.recipes import Recipe, from_toml
from charrnn.report import parts
from charrnn.report.folder import clear, require_free
from charrnn.report.parts import Part, Run
from charrnn.report.partschema import checked
from charrnn.report.plan import NAMELESS, Named, Plan, checked_runs, write_json
from charrnn.runs.engine import Engine
from charrnn.runs.plan import RunPlan
from charrnn.text.corpus import Corpus
from charrnn.text.source import TextSource
from charrnn.threads import interrupting_signals, usable_cores
from charrnn.version import __version__


def make(
    folder: Path, recipe: Recipe, text: TextSource, command: str, named: Named = NAMELESS, force: bool = False, quiet: bool = False
) -> int:
    """A new report; 0, 1 if a gradient is wrong or a run failed, 128 + the number of the signal that broke it off.

    command: the line that makes the same report. named: its title and author, and the validation text. force: replace the report that is
    in the folder.
    """
    begun = time.perf_counter()
    checked = checked_runs(recipe)
    plan = Plan.new(recipe, text, command, named)
    corpus = text.read()
    runs = [plan.run_plan(run, settings, corpus) for run, settings in checked]
    plan = replace(plan, fingerprint=corpus.fingerprint, described=corpus.description)
    require_free(folder, force)
    writable_folder(folder)
    with alone_in(subfolder(folder, "parts")):
        clear(folder)
        plan.save(folder)
        return Report(folder, plan, recipe, runs, corpus, quiet, begun).make()


def resume(folder: Path, plan: Plan, quiet: bool = False) -> int:
    """Finish the report in a folder; the exit code as of `make`."""
    begun = time.perf_counter()
    recipe = from_toml(plan.recipe, plan.name, f"{plan.name} with your options")
    corpus = plan.text.read()
    if corpus.fingerprint != plan.fingerprint:
        raise SettingsError(
            f"the report in {folder} is about another text ({plan.described}) than {corpus.description}; give that one, or another --out"
        )
    runs = [plan.run_plan(run, settings, corpus) for run, settings in checked_runs(recipe)]
    writable_folder(folder)
    with alone_in(subfolder(folder, "parts")):
        for place in (folder, folder / "parts", folder / "figures"):
            remove_leftovers(place)
        return Report(folder, plan, recipe, runs, corpus, quiet, begun).make()


class Report:
    """The making of one report: parts that are not done yet are made, each is written as soon as it is."""

    def __init__(self, folder: Path, plan: Plan, recipe: Recipe, runs: list[RunPlan], corpus: Corpus, quiet: bool, begun: float) -> None:
        self.folder, self.plan, self.recipe, self.corpus, self.quiet = folder, plan, recipe, corpus, quiet
        self.begun = begun
        self.runs = [Run(run, parts.special_name(run.recipe, recipe), folder / "parts" / f"run-{i}") for i, run in enumerate(runs, 1)]
        self.checks = parts.checks(recipe, len(corpus.vocabulary))
        self.parts: dict[str, Part] = {}
        for name in self.names():
            with suppress(OSError, ValueError):  # what is damaged is made again
                self.parts[name] = checked(name, loads(read(folder / "parts" / f"{name}.json")))

    def names(self) -> dict[str, str]:
        """Every part's name, and what a person calls it."""
        names = {"text": "the text's facts"}
        names |= {name: check.what for name, check in self.checks.items()}
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

    def make(self) -> int:
        """Make what is missing, and write the pages; the exit code."""
        with interrupting_signals() as caught:
            self.make_parts(caught)
        return self.finish(caught[0] if caught else 0)

    def make_parts(self, caught: list[int]) -> None:
        """Make all missing parts: gradients here, training in threads meanwhile; Ctrl-C ends both. caught: see `interrupting_signals`."""
        from charrnn.display.progress import advance, new_bar

        waiting = [i for i in range(1, len(self.runs) + 1) if not self.is_done(f"run-{i}")]
        threads, stop = min(usable_cores(), len(waiting)), threading.Event()

        def train(i: int) -> None:
            if stop.is_set():
                return
            with resources():
                part, best = self.runs[i - 1].train(None if len(waiting) == 1 else 1, stop.is_set)
                if best is not None:
                    path = self.folder / f"best{f'-{i}' if len(self.runs) > 1 else ''}.safetensors"
                    modelfile.write(path, best.to_tensors(), best.to_metadata())
                self.keep(f"run-{i}", part)

        def look() -> None:
            if caught:
                raise KeyboardInterrupt
            advance(bar, sum(r.total if self.is_done(f"run-{i}") else r.done for i, r in enumerate(self.runs, 1)))

        with Engine(lambda: ThreadPoolExecutor(max(1, threads))) as engine:
            try:
                if not self.is_done("text"):
                    self.keep("text", parts.text_facts(self.corpus))
                results = engine.results(train, {i: (i,) for i in waiting}, stop.set, look)
                self.check_gradients(max(1, usable_cores() - threads), caught)
                with new_bar(sum(run.total for run in self.runs), disable=self.quiet) as bar:
                    for _ in results:
                        pass
            except KeyboardInterrupt:
                self.say("\nstopping; what is done is kept")
            finally:
                stop.set()

    def check_gradients(self, threads: int, caught: list[int]) -> None:
        """The parts about gradients."""
        for name, check in self.checks.items():
            if caught:
                raise KeyboardInterrupt
            if not self.is_done(name):
                part = parts.gradients(check.recipe, self.corpus, check.hidden_size, threads, not self.quiet)
                self.keep(name, part)
                self.say(f"{check.what}: {'passed' if part['passed'] else 'WRONG'}, {part['seconds']:.1f} s")
        if not self.is_done("pytorch"):
            last = list(self.checks.values())[-1]
            self.keep("pytorch", parts.pytorch(last.recipe, self.corpus, last.hidden_size))

    def finish(self, caught: int) -> int:
        """Write the pages; the exit code."""
        from charrnn.report.page import pages

        report = self.to_json()
        for name, data in pages(report).items():
            if parent := os.path.dirname(name):
                subfolder(self.folder, parent)
            owned.write(self.folder / name, data)
        write_json(self.folder / "report.json", report)
        replace(self.plan, seconds=report["seconds"]).save(self.folder)
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
        recipe = {"name": self.recipe.name, "description": self.recipe.description, "source": self.recipe.source, "toml": self.plan.recipe}
        text = self.parts.get("text") or parts.text_facts(self.corpus)
        own, checked_sizes = self.recipe.model.get("hidden_size", 100), [check.hidden_size for check in self.checks.values()]
        return {
            "title": self.plan.title or f"{self.recipe.name or 'Report'}: {text['name']}",
            "author": self.plan.author,
            "complete": not self.missing(),
            "missing": self.missing_words(),
            "command": self.plan.command,
            "resume_command": as_typed("report --resume", [("--out", str(self.folder))]),
            "made": made,
            "recipe": recipe,
            "text": text,
            "seconds": self.seconds(),
            "timings": [[names[name], part["seconds"]] for name, part in done.items() if part.get("seconds")],
            "gradients": [part for name, part in done.items() if name.startswith("gradients")],
            "checked_less": own if own > max(checked_sizes) and "hidden_sizes" not in self.recipe.gradcheck else None,
            "pytorch": done.get("pytorch"),
            "runs": [self.parts.get(f"run-{i}") or run.part() for i, run in enumerate(self.runs, 1)],
        }

    def seconds(self) -> float:
        """How long the report took so far, without the time between being broken off and resumed."""
        return self.plan.seconds + time.perf_counter() - self.begun

    def say(self, text: str) -> None:
        """A line for the person at the screen."""
        if not self.quiet:
            from charrnn.display.progress import write

            write(text, sys.stderr)
