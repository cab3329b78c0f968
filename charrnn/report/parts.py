"""The parts of a report, each a function that measures something and returns it as JSON holds it.

What is drawn and said about them is elsewhere: a page can be made again from the parts alone.
"""

from __future__ import annotations

import bisect
import math
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from charrnn.errors import ModelFileError, NonFiniteError
from charrnn.evaluation import textmeasures
from charrnn.files.owned import append, read_text, remove, remove_link
from charrnn.files.schema import dumps, loads, whole
from charrnn.gradients import check
from charrnn.model import CharRNN
from charrnn.network.architecture import Architecture
from charrnn.network.arrays import Array
from charrnn.network.blocks import parameter_count
from charrnn.network.settings import NetworkSettings
from charrnn.recipes import Recipe
from charrnn.report.partschema import SHARE
from charrnn.runs.plan import RunPlan
from charrnn.text.corpus import Corpus
from charrnn.text.split import Parts
from charrnn.training.events import Event
from charrnn.training.history import History
from charrnn.training.plan import Settings

Part = dict[str, Any]

SMALL = (5, 10)  # hidden units of the gradient checks, besides the recipe's own number
MOST_CHECKED = 128  # the time of a check grows with the fourth power of the number of hidden units; 128 of an RNN take some ten seconds
MOST_WORK = 3.5e10  # parameters squared times steps and gates: what those 128 take with 80 symbols and 25 steps
POINTS = 2000  # of a run's curve that are kept
RECENT = 1000  # the last updates, at most, whose losses are averaged: the smooth loss lags about so far behind them
PASSAGE = 1000  # characters of the best model that are shown
MEASURED = 2000  # characters that known words are counted in: of the best model, and along the way at most
MOST_MEASURED = 50  # passages of a run that are drawn for nothing but that
KNOWN = "known.jsonl"  # in a run's folder: the known words so far
BLOCK = 1 << 22


def text_facts(corpus: Corpus) -> Part:
    """N, K, how the text was decoded, and how often each character occurs."""
    counts = np.zeros(len(corpus.vocabulary), np.int64)
    for start in range(0, len(corpus), BLOCK):
        counts += np.bincount(corpus.read(start, min(start + BLOCK, len(corpus))), minlength=len(counts))
    characters = corpus.vocabulary.characters
    return {
        "name": corpus.name,
        "description": corpus.description,
        "characters": len(corpus),
        "distinct": len(counts),
        "raw_bytes": corpus.vocabulary.raw_bytes,
        "fingerprint": corpus.fingerprint,
        "histogram": [[characters[i], int(counts[i])] for i in np.argsort(-counts, kind="stable")],
    }


@dataclass(frozen=True)
class Check:
    """A gradient check to be made: of a recipe's network with so many hidden units."""

    recipe: Recipe
    hidden_size: int

    @property
    def what(self) -> str:
        """What a person calls it."""
        cell, layers = (self.recipe.model.get(name, default) for name, default in (("cell", "rnn"), ("layers", 1)))
        network = str(Architecture(cell, self.hidden_size, layers, 2))
        return f"gradient check of {network}"


def checks(recipe: Recipe, symbols: int) -> dict[str, Check]:
    """The gradient checks of a recipe by the names of their parts: of each kind of network among its runs at 5, 10 and its own number of
    hidden units, or at those that the recipe lists.

    >>> from charrnn.recipes import load_recipe
    >>> list(checks(load_recipe("dd2424-2017"), symbols=80))
    ['gradients-5', 'gradients-10', 'gradients-100']
    """
    found: dict[str, Check] = {}
    kinds: dict[tuple[Any, Any], Recipe] = {}
    for run in recipe.runs():
        own = all(run.model.get(name) == recipe.model.get(name) for name in ("cell", "layers"))
        kinds.setdefault((run.model.get("cell", "rnn"), run.model.get("layers", 1)), recipe if own else replace(recipe, model=run.model))
    for (cell, layers), run in kinds.items():
        kind = "" if len(kinds) == 1 else f"-{cell}-{layers}"
        sizes = recipe.gradcheck.get("hidden_sizes") or sorted({*SMALL, largest_checked(run, symbols)})
        found |= {f"gradients-{m}{kind}": Check(run, m) for m in sizes}
    return found


def largest_checked(recipe: Recipe, symbols: int) -> int:
    """The recipe's own number of hidden units or, where a check of so many takes too long, the most that do not."""
    settings, T = NetworkSettings(**recipe.model), checked_length(recipe)

    def work(m: int) -> float:
        architecture = replace(settings, hidden_size=m).architecture(symbols)
        return float(parameter_count(architecture)) ** 2 * T * len(architecture.kind.gates)

    own = settings.hidden_size
    return max(min(own, max(SMALL)), bisect.bisect_right(range(1, min(own, MOST_CHECKED) + 1), MOST_WORK, key=work))


def gradients(recipe: Recipe, corpus: Corpus, hidden_size: int, threads: int | None = None, progress: bool = False) -> Part:
    """The gradient check of a new model of that size."""
    begun = time.perf_counter()
    model = CharRNN(**(recipe.model | {"hidden_size": hidden_size}))
    report = model.gradcheck(
        corpus, checked_length(recipe), step=recipe.gradcheck.get("h"), seed=model.seed, threads=threads, progress=progress
    )
    return report.to_json() | {"notes": report.notes(), "seconds": time.perf_counter() - begun}


def pytorch(recipe: Recipe, corpus: Corpus, hidden_size: int) -> Part:
    """How far the gradients are from those of PyTorch's autograd, where it is installed."""
    begun = time.perf_counter()
    if not check.torch_is_installed():
        return {"installed": False, "wanted": bool(recipe.report.get("pytorch")), "seconds": 0.0}
    model = CharRNN(**(recipe.model | {"hidden_size": hidden_size}))
    differences = check.compare_with_torch(*model.network_for(corpus), checked_length(recipe), seed=model.seed)
    import torch

    return {
        "installed": True,
        "version": torch.__version__,
        "hidden_size": hidden_size,
        "network": str(model.settings.architecture(2)),
        "seq_length": checked_length(recipe),
        "differences": differences,
        "seconds": time.perf_counter() - begun,
    }


def checked_length(recipe: Recipe) -> int:
    """T of the gradient checks."""
    return int(recipe.gradcheck.get("seq_length", recipe.training.get("seq_length", Settings.seq_length)))


class Run:
    """One training run of a report. It can be stopped from another thread, and goes on from its checkpoints in `folder`."""

    def __init__(self, plan: RunPlan, label: str, folder: Path) -> None:
        self.label, self.corpus, self.folder, self.validation = label, plan.training.corpus, folder, plan.training.validation
        self.parts = Parts(self.corpus, self.validation, plan.training.test)
        self.model, self.settings, self.total = plan.model, plan.training.settings, plan.training.updates
        every = self.settings.sample_every
        if every and self.total < 2 * every:  # too short for the text's evolution to be seen
            self.settings = replace(self.settings, sample_every=max(1, self.total // 10))
        if self.validation is None:
            self.settings = replace(self.settings, patience=None, validate_every=None)
        self.done = 0
        self.known: dict[int, textmeasures.TextMeasures] = {}  # of long passages, drawn where samples were

    def train(self, threads: int | None, stop: Callable[[], bool]) -> tuple[Part, CharRNN | None]:
        """Train to the end, or until `stop` says so; the part, and the best model if there is one."""

        def look(event: Event) -> bool:
            self.done = event.done
            if event.sample is not None:
                self.measure_words(event)
            return stop()

        settings = without_length(self.settings)
        remove_link(self.folder)
        how: dict[str, Any] = {"progress": False, "callbacks": [look], "threads": threads}
        self.recall_words()
        try:
            try:
                self.model, history = CharRNN.resume(self.folder, self.parts, **how)
            except ModelFileError:  # there is no sound checkpoint, so there is nothing to go on from
                remove(self.folder)
                history = self.model.train(self.parts, self.total, checkpoint=self.folder, keep=1, **how, **settings)
        except NonFiniteError as error:
            remove(self.folder)
            return self.part() | {"error": str(error)}, None
        if len(history) == self.total:
            remove(self.folder)
        return self.part() | self.results(history), history.best

    def measure_words(self, event: Event) -> None:
        """Count the known words of a passage that is longer than the sample: its few words say little."""
        assert event.sample is not None
        samples = self.total // (self.settings.sample_every or self.total) + 1
        if len(event.history.samples) % -(-samples // MOST_MEASURED) == 0:
            passage = event.model.synthesize(MEASURED, seed=event.sample.step)
            [found] = textmeasures.measure([passage], self.corpus)
            self.known[event.sample.step] = found
            append(self.folder / KNOWN, dumps({"step": event.sample.step, "words": found.words, "share": found.known_words}) + "\n")

    def recall_words(self) -> None:
        """What was counted before the run was broken off."""
        with suppress(OSError, ValueError):
            for line in read_text(self.folder / KNOWN).splitlines():
                found = loads(line)
                share, words = SHARE(found["share"], "share"), whole()(found["words"], "words")
                self.known[whole(1)(found["step"], "step")] = textmeasures.TextMeasures(words, (share,), ())

    def part(self) -> Part:
        """What is known before the run."""
        model = {name: getattr(self.model.settings, name) for name in ("hidden_size", "cell", "layers", "init", "init_std")}
        return {
            "label": self.label,
            "total": self.total,
            "done": 0,
            "level": self.model.level,
            "seed": self.model.seed,
            "model": model | {"dtype": self.model.dtype.name},
            "training": without_length(self.settings),
            "epochs": self.settings.epochs,
            "error": None,
            "samples": [],
            "best": None,
            "curve": {"steps": [], "smooth_loss_per_char": [], "mean_loss_per_char": []},
        }

    def results(self, history: History) -> Part:
        """The losses, samples and best model of the run, measured."""
        n, unit = len(history), history.characters_per_window
        per_char = history.shown_loss_per_char
        stride = -(-self.total // POINTS)
        kept = sorted({0, n - 1, *range(stride - 1, n, stride)} if n else set())
        texts = [sample.text for sample in history.samples]
        measures = textmeasures.measure(texts, self.corpus)
        samples = [
            {
                "step": sample.step,
                "epoch": sample.epoch,
                "smooth_loss_per_char": finite(history.shown_before(sample.step)),
                "text": plain(sample.text),
                "words": found.words,
                "known_words": found.known_words,
                "known_interval": textmeasures.interval(found.known_words, found.words),
            }
            for sample, own in zip(history.samples, measures, strict=True)
            for found in [self.known.get(sample.step, own)]
        ]
        part: Part = {
            "done": n,
            "seconds": history.seconds,
            "characters_per_second": history.characters_per_second,
            "characters_per_window": unit,
            "measure": history.shown_name,
            "best_by": history.best_by,
            "characters": len(self.corpus),
            "validation": [[v.step, v.loss] for v in history.validation],
            "validated_on": self.validation.description if self.validation else None,
            "reduction": history.loss_reduction,
            "expected_first_loss_per_char": math.log(len(self.corpus.vocabulary)),
            "epoch_steps": history.epoch_steps,
            "notes": [*history.notes, *([history.test_words] if history.test else [])],
            "curve": {
                "steps": [i + 1 for i in kept],
                "smooth_loss_per_char": [float(per_char[i]) for i in kept],
                "mean_loss_per_char": means_up_to(history.loss_per_char, kept),
            },
            "samples": samples,
        }
        if not n:
            return part
        assert history.best is not None
        recent = min(RECENT, max(1, n // 10))
        part |= {
            "first_loss_per_char": float(history.loss_per_char[0]),
            "final_loss_per_char": float(per_char[-1]),
            "recent_updates": recent,
            "recent_loss_per_char": float(history.loss_per_char[-recent:].mean()),
        }
        longer = history.best.synthesize(MEASURED, seed=self.model.seed)
        passage = longer[:PASSAGE]
        found, known = textmeasures.measure([passage, longer], self.corpus)
        copied, source = textmeasures.longest_copy(passage, self.corpus)
        part["best"] = {
            "step": history.best_step,
            "loss_per_char": history.best_loss_per_char,
            "text": plain(passage),
            "words": known.words,
            "known_words": known.known_words,
            "known_interval": textmeasures.interval(known.known_words, known.words),
            "ngram_overlap": found.ngram_overlap,
            "distinct": found.distinct,
            "copied": plain(copied),
            "copied_from": source,
        }
        return part


def means_up_to(values: Array, ends: list[int]) -> list[float]:
    """The means of the values after each end (an index) up to and including the next; the first from the beginning.

    >>> means_up_to(np.array([1.0, 2.0, 4.0, 8.0]), [0, 2, 3])
    [1.0, 3.0, 8.0]
    """
    starts = [0, *(end + 1 for end in ends[:-1])]
    return [float(values[a : b + 1].mean()) for a, b in zip(starts, ends, strict=True)] if ends else []


def without_length(settings: Settings) -> dict[str, Any]:
    """All settings but how long to train, which `Run.total` says."""
    return {name: value for name, value in vars(settings).items() if name not in ("updates", "epochs")}


def special_name(run: Recipe, recipe: Recipe) -> str:
    """What a run of a grid differs by: "seq_length=20 learning_rate=0.1"; of a single run its recipe's name."""
    return run.name.removeprefix(recipe.name).strip() or recipe.name or "your settings"


def plain(text: str | bytes) -> str:
    """A passage as JSON can hold it: bytes as the characters of the same codes."""
    return text if isinstance(text, str) else bytes(text).decode("latin-1")


def finite(value: float) -> float | None:
    """None for what JSON has no number for."""
    return value if math.isfinite(value) else None
