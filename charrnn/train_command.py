"""charrnn train: a text becomes a run's folder."""
from __future__ import annotations

import argparse
import bisect
import math
import os
import sys
from typing import Any

from charrnn import arguments, options, runfolder
from charrnn.corpus import Corpus, read_corpus
from charrnn.errors import NonFiniteError, SettingsError, TextError
from charrnn.history import History, Sample
from charrnn.model import CharRNN
from charrnn.recipes import Recipe
from charrnn.runfolder import BEST, METRICS, MODEL, PLOT, RECIPE, SAMPLES, RunFolder
from charrnn.training import Event, Settings, windows_per_epoch

PASSAGE = 1000  # characters of the best model at the end
EXAMPLES = """\
examples:
  charrnn train                                     the story that comes with charrnn, 100,000 updates
  charrnn train book.txt --epochs 10 --seed 7       your own text, ten times through
  charrnn train *.txt --encoding latin-1            several files, read as one
  curl -s URL | charrnn train - --out from-the-web  standard input
  charrnn train book.txt --recipe dd2424-2025       settings by name; `charrnn recipes` lists them
  charrnn train book.txt --validation 0.1           the last tenth held out and evaluated as training goes on
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of charrnn train."""
    options.add_text(parser)
    parser.add_argument("--out", metavar="DIR", help=f"the folder for the run (default: {runfolder.DEFAULT}, or {runfolder.DEFAULT}-2 ... when it is taken)")
    parser.add_argument("--force", action="store_true", help="replace the run in the folder --out")
    parser.add_argument("--threads", type=options.whole, metavar="N", help="threads (default: 1 for few streams, else all cores); any number gives the same bits")
    options.add_settings(parser)
    group = next(g for g in parser._action_groups if g.title == options.LOOKING)
    group.add_argument("--validation", metavar="PART|FILE", help="a text to evaluate meanwhile: a part of TEXT, such as 0.1 for its last tenth, or a file")
    group.add_argument("--log-every", type=options.whole, metavar="N", help=f"updates between two lines of {METRICS} (default: a thousandth of the run, at most 100)")
    group.add_argument("--quiet", action="store_true", help="no bar and no samples on the screen")


def run(args: argparse.Namespace) -> int:
    """Train, saying what happens; 0, or 128 + the number of the signal that ended it early."""
    recipe = options.chosen_recipe(args)
    settings = Settings(**recipe.training).check()
    if args.threads is not None:
        arguments.whole_number("threads", args.threads)
    if args.log_every is not None:
        arguments.whole_number("log_every", args.log_every)
    corpus, held_out = texts(args)
    corpus.require_window(settings.seq_length, settings.batch_size)
    model = CharRNN(**recipe.model, vocabulary=corpus.vocabulary)
    model.recipe = recipe.name or None
    if held_out and settings.validate_every is None:
        recipe.training["validate_every"] = 10_000
    folder = RunFolder.new(args.out, args.force)
    folder.write(RECIPE, recipe_of(model, recipe, settings).to_toml())
    return Run(folder, model, corpus, held_out, args).go(recipe.training)


def texts(args: argparse.Namespace) -> tuple[Corpus, Corpus | None]:
    """The text to learn and the one held out."""
    corpus = options.read_text(args)
    if args.validation is None:
        return corpus, None
    try:
        part = float(args.validation)
    except ValueError:
        return corpus, read_corpus([args.validation], args.encoding, args.raw_bytes, corpus.vocabulary)
    if not 0 < part < 1:
        raise SettingsError(f"--validation must be a part of the text between 0 and 1, or a file; got {args.validation}")
    border = len(corpus) - round(part * len(corpus))
    if len(corpus) - border < 64:
        raise TextError(f"--validation {args.validation} holds out {len(corpus) - border} characters, at least 64 are needed")
    return corpus.part(0, border), corpus.part(border, len(corpus))


def recipe_of(model: CharRNN, recipe: Recipe, settings: Settings) -> Recipe:
    """Every setting of the run, defaults included."""
    network = {"hidden_size": model.hidden_size, "dtype": model.dtype.name, "init": model.init, "init_std": model.init_std, "seed": model.seed}
    training = {key: value for key, value in vars(settings).items() if key not in ("updates", "epochs")}
    length = {"updates": settings.updates or 100_000} if settings.epochs is None else {"epochs": settings.epochs}
    return Recipe(recipe.name, recipe.description, recipe.source, network, length | training)


class Run:
    """One run: listens to the training's events, tells the person and fills the folder."""

    def __init__(self, folder: RunFolder, model: CharRNN, corpus: Corpus, held_out: Corpus | None, args: argparse.Namespace) -> None:
        self.folder, self.model, self.corpus, self.held_out, self.args = folder, model, corpus, held_out, args
        self.settings = Settings()
        self.log_every, self.logged, self.first_epoch = 1, 0, 0
        self.history: History | None = None

    def go(self, training: dict[str, Any]) -> int:
        """Train and save."""
        self.settings = Settings(**training).check()
        total = self.settings.total(len(self.corpus) // self.settings.batch_size)
        self.log_every = self.args.log_every or max(1, min(100, total // 1000))
        self.introduce(total)
        try:
            history = self.model.train(
                self.corpus, progress=not self.args.quiet, callbacks=[self.listen], validation=self.held_out, threads=self.args.threads, **training
            )
        except NonFiniteError as error:
            raise NonFiniteError(f"{error}. {self.rescue()}") from None
        self.save(history)
        return 128 + history.stopped_by if history.stopped_by else 0

    # ---- what is said ---------------------------------------------------------------------------------------------------

    def introduce(self, total: int) -> None:
        """What was read, what will be done, what to expect, where it goes."""
        s, m, K = self.settings, self.model.hidden_size, len(self.corpus.vocabulary)
        unit = s.seq_length * s.batch_size
        windows = windows_per_epoch(len(self.corpus) // s.batch_size, s.seq_length)
        lanes = f" in {s.batch_size} streams" if s.batch_size > 1 else ""
        clips = (("clip", s.clip), ("clip norm", s.clip_norm))
        clip = "".join(f", {name} {value:g}" for name, value in clips if value is not None)
        window = "" if s.loss_reduction == "mean" else f"{unit * math.log(K):.2f} nats per window ({unit} x ln {K}), "
        self.say(f"text       {self.corpus.description}")
        if self.held_out:
            self.say(f"held out   {self.held_out.description}")
        self.say(f"network    {m} hidden units, {m * m + 2 * m * K + m + K:,} parameters, {self.model.dtype.name}, seed {self.model.seed}, kernels {self.model.level}")
        self.say(
            f"training   {total:,} updates ({total / windows:.3g} epochs) of {s.seq_length} characters{lanes}: "
            f"{s.optimizer}, learning rate {s.learning_rate:g}{'' if s.schedule == 'constant' else ' ' + s.schedule}{clip}, {s.loss_reduction} loss"
            + (f"; recipe {self.model.recipe}" if self.model.recipe else "")
        )
        self.say(f"expected   first loss {window}{math.log(K):.3f} per character (ln {K}): as good as guessing")
        self.say(f"writing to {self.folder}\n")

    def say(self, text: str) -> None:
        """A line on standard output, beside the bar if there is one. When nobody reads it any more, training goes on."""
        try:
            if self.args.quiet:
                print(text, flush=True)
            else:
                from tqdm import tqdm

                tqdm.write(text, file=sys.stdout)
                sys.stdout.flush()
        except BrokenPipeError:
            sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115

    def loss(self, smooth: float, per_char: float) -> str:
        """A smooth loss for a person: per window and per character."""
        window = "" if self.settings.loss_reduction == "mean" else f"{smooth:.2f} nats per window, "
        return f"smooth loss {window}{per_char:.3f} per character"

    # ---- what happens ---------------------------------------------------------------------------------------------------

    def listen(self, event: Event) -> None:
        """Told by the training loop at its start and end, after each chunk of updates, and at each sample and validation."""
        self.history = event.history
        if event.kind == "start":
            self.first_epoch = event.epoch
        elif event.sample:
            self.show_sample(event.sample)
        elif event.validation:
            v = event.validation
            self.folder.add_metrics([self.stamp(v.step, event) | {"val/loss": v.loss, "val/bits_per_char": v.loss / math.log(2)}])
            if not self.args.quiet:
                self.say(f"--- after update {v.step:,}: held-out text {v.loss:.4f} nats per character ---\n")
        elif event.kind in ("progress", "end"):
            self.log(event)

    def show_sample(self, sample: Sample) -> None:
        """A sample: on the screen and in its file."""
        loss = self.loss(sample.smooth_loss, sample.loss_per_char) if math.isfinite(sample.loss_per_char) else "nothing learned yet"
        self.passage(f"--- before update {sample.step:,}, epoch {max(1, sample.epoch)}: {loss} ---", sample.text, not self.args.quiet)

    def passage(self, head: str, text: str | bytes, shown: bool = True) -> None:
        """Generated text under its head."""
        plain = text if isinstance(text, str) else text.decode("utf-8", "backslashreplace")
        self.folder.add_sample(head, plain)
        if shown:
            self.say(f"{head}\n{plain}\n")

    def stamp(self, step: int, event: Event) -> dict[str, Any]:
        """What every line of metrics has."""
        epoch = self.first_epoch + bisect.bisect_right(event.history.epoch_steps, step)
        return {"step": step, "epoch": epoch, "time": round(event.seconds, 3)}

    def log(self, event: Event) -> None:
        """Metrics of the first update, of every log_every-th, and of the last."""
        history, s, lines = event.history, self.settings, []
        for step in range(max(self.logged + 1, history.first_step), event.step + 1):
            last = event.kind == "end" or event.done == event.total
            if step % self.log_every and step != 1 and not (last and step == event.step):
                continue
            i = step - history.first_step
            lines.append(
                self.stamp(step, event)
                | {
                    "train/loss": float(history.loss[i]), "train/loss_per_char": float(history.loss_per_char[i]),
                    "train/smooth_loss": float(history.smooth_loss[i]), "train/smooth_loss_per_char": float(history.smooth_loss_per_char[i]),
                    "lr": float(s.learning_rates(step - event.step + event.done - 1, 1, event.total)[0]),
                    "chars_per_sec": round(history.characters_per_second),
                }
            )  # fmt: skip
            self.logged = step
        if lines:
            self.folder.add_metrics(lines)

    # ---- what is kept ---------------------------------------------------------------------------------------------------

    def save(self, history: History) -> None:
        """The models first, then what can be made again."""
        best = history.best
        assert best is not None
        self.write_models(best, history)
        last = history.first_step + len(history) - 1
        if history.stopped_by:
            self.say(f"stopped after update {last:,}; what was learned so far is saved\n")
        if len(history):
            head = f"=== best model, after update {history.best_step:,}: {self.loss(history.best_smooth_loss, history.best_smooth_loss_per_char)} ==="
            self.passage(head, best.synthesize(PASSAGE, seed=self.model.seed), not self.args.quiet)
            from charrnn.plots import loss_curve

            loss_curve(history, self.folder / PLOT)
            smooth = self.loss(history.smooth_loss[-1], history.smooth_loss_per_char[-1])
            self.say(f"{len(history):,} updates in {history.seconds:.1f} s, {history.characters_per_second:,.0f} characters per second; {smooth}")
        for note in history.notes:
            self.say(note)
        self.say(f"{self.folder}: {MODEL} (last), {BEST}, {METRICS}, {SAMPLES}, {PLOT}, {RECIPE}")
        self.say(f"go on with: charrnn synthesize {self.folder}")

    def write_models(self, best: CharRNN, history: History) -> None:
        """The last and the best model, each saying how far it came."""
        about = {"text": self.corpus.description, "settings": vars(self.settings), "expected_first_loss": history.expected_first_loss}
        p = self.model.progress
        assert p is not None
        per_char = history.characters_per_window if self.settings.loss_reduction == "sum" else 1
        for name, model, step, smooth in (
            (MODEL, self.model, p.step, float(history.smooth_loss[-1]) if len(history) else None),
            (BEST, best, history.best_step, history.best_smooth_loss if len(history) else None),
        ):
            done = {"step": step, "smooth_loss": smooth, "smooth_loss_per_char": None if smooth is None else smooth / per_char}
            self.folder.write_model(name, model.to_tensors(), model.to_metadata() | {"training": about | done})

    def rescue(self) -> str:
        """Save what there was before the loss went wrong; says so."""
        p = self.model.progress
        if p is None or p.best is None or self.history is None:
            return "Nothing was learned that could be saved"
        best = self.model.copy()
        best.theta[:] = p.best
        self.write_models(best, self.history)
        return f"The last good model and the best one are in {self.folder}"
