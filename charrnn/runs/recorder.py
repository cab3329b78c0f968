"""What is written and said during a run: the training's events become lines, samples, models and messages."""

from __future__ import annotations

import contextlib
import math
import os
import sys
from collections.abc import Sequence
from typing import Any

from charrnn.errors import NonFiniteError, OutputError, one_line
from charrnn.files.atomic import remove_leftovers
from charrnn.model import CharRNN
from charrnn.network.blocks import parameter_count
from charrnn.process import as_typed
from charrnn.runs.folder import BEST, CHECKPOINTS, FILES, MODEL, PLOT, RunFolder, sample_text
from charrnn.runs.plan import RunPlan
from charrnn.training.best import SETTLED, SMOOTH, VALIDATION, mean_at, windows_in_mean
from charrnn.training.checkpoint import checkpoints_in
from charrnn.training.events import Event
from charrnn.training.history import History, Sample
from charrnn.training.metrics import Metrics, place
from charrnn.training.pace import Pace, words
from charrnn.training.plan import windows_per_epoch

PASSAGE = 1000  # characters by the best model at the end
CONTROLS = {i: ascii(chr(i))[1:-1] for i in (*range(32), *range(127, 160)) if chr(i) not in "\t\n"}


class Recorder:
    """Is told what happens in a run, writes it into the run's folder and says it.

    text: the description of the text. log_every: updates between two lines of metrics. resumed: whether the folder holds a part of
    the run already. notes: said before it begins. picture: whether the losses are drawn. pace: of the run, if it was measured.
    """

    def __init__(
        self,
        folder: RunFolder,
        plan: RunPlan,
        text: str,
        log_every: int | None = None,
        quiet: bool = False,
        resumed: bool = False,
        notes: Sequence[str] = (),
        picture: bool = True,
    ) -> None:
        self.folder, self.plan, self.text, self.quiet, self.resumed = folder, plan, text, quiet, resumed
        self.model, self.settings, self.total = plan.model, plan.training.settings, plan.training.updates
        self.metrics = Metrics(log_every)
        self.notes, self.picture = notes, picture
        self.pace: Pace | None = None
        self.told: list[str] = []  # notes, as they came
        self.history: History | None = None

    # ---- what is said ------------------------------------------------------------------------------------------

    def introduce(self, event: Event) -> None:
        """What was read, what will be done, what to expect, where it goes."""
        s, plan, recipe, architecture = self.settings, self.plan.training, self.plan.recipe, self.model.network.architecture
        windows, K = windows_per_epoch(plan.stream, s.seq_length), architecture.symbols
        lanes = f" in each of {s.batch_size} parallel sequences" if s.batch_size > 1 else ""
        clips = (("clip", s.clip), ("clip norm", s.clip_norm))
        how = [s.optimizer, f"learning rate {s.learning_rate:g}" + f" ({s.schedule})" * (s.schedule != "constant")]
        how += [f"{name} {value:g}" for name, value in clips if value is not None] + [f"{s.loss_reduction} loss"]
        more = {
            name.replace("_", " "): getattr(s, name)
            for name in ("dropout", "weight_drop", "recurrent_dropout", "weight_decay", "state_reset", "average")
        }
        how += (
            [f"{name} {value:g}" for name, value in more.items() if value]
            + ["rotate"] * s.rotate
            + [f"recipe {recipe.name}"] * bool(recipe.name)
        )
        first = f"{s.window * math.log(K):.2f} nats per window ({s.window} x ln {K}), " * (s.loss_reduction == "sum")
        self.say(f"text      {one_line(self.text)}")
        if plan.validation:
            self.say(f"validate  {plan.validation.description}")
        if plan.test:
            self.say(f"test      {plan.test.description}; once, at the end")
        self.say(
            f"network   {architecture}, {parameter_count(architecture):,} parameters, {self.model.dtype.name}, "
            f"seed {self.model.seed}, kernels {self.model.level}"
        )
        self.say(
            f"training  {self.total:,} updates ({self.total / windows:.3g} epochs) of {s.seq_length} characters{lanes}: {', '.join(how)}"
        )
        self.say(f"expected  first loss {first}{math.log(K):.3f} per character (ln {K}), that of a uniform prediction")
        if s.optimizer in ("adam", "rmsprop") and s.learning_rate > 0.03:
            self.say(f"note      {s.learning_rate:g} is much for {s.optimizer}: consider --learning-rate 0.001")
        if recipe.grid:
            self.say(f"note      this recipe has {len(recipe.grid)} runs for `charrnn report` and `charrnn sweep`; this is its base")
        if event.history.first_step > 1:
            self.say(f"start     a model of {event.history.first_step - 1:,} updates")
        if recipe.search:
            self.say("note      this recipe has a search for `charrnn sweep`; this is its base")
        for note in self.notes:
            self.say(f"note      {note}")
        if self.pace is not None:
            seconds = self.pace.of(plan, event.done)
            self.say(f"time      about {words(seconds)}, measured at {s.window / self.pace.update:,.0f} characters per second")
        self.say(f"writing   {self.folder}\n")

    def say(self, text: str) -> None:
        """A line on standard output, above the bar if there is one. Training goes on when nobody reads it any more."""
        if self.quiet:
            return
        from charrnn.display.progress import write

        try:
            write(text)
        except OSError:
            sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115

    def loss(self, per_char: float, name: str = SMOOTH) -> str:
        """A loss in words: per window (unless the mean is trained on, or it is that of another text) and per character."""
        of_window = self.settings.loss_reduction == "sum" and name != VALIDATION
        window = f"{per_char * self.settings.window:.2f} nats per window, " if of_window else ""
        return f"{name} {window}{per_char:.3f} per character"

    def passage(self, head: str, text: str | bytes) -> None:
        """Generated text under its head: in the folder, and on the screen, where control characters do no harm."""
        self.folder.add_sample(head, plain(text))
        self.say(f"{head}\n{plain(text).translate(CONTROLS)}\n")

    # ---- what happens ------------------------------------------------------------------------------------------

    def listen(self, event: Event) -> None:
        """Told by the training at its start and end, after each chunk of updates, at each sample and validation."""
        self.history = event.history
        lines = self.metrics.lines(event)
        if event.kind == "start":
            self.model = event.model
            self.introduce(event)  # now that nothing was refused
            if self.resumed:
                self.catch_up(event, lines)
            return
        if lines:
            self.folder.add_metrics(lines)
        if event.sample is not None:
            self.sampled(event.sample)
        elif event.note:
            self.told.append(event.note)
            self.say(f"note      {event.note}")
        elif event.validation is not None:
            result = event.validation
            self.say(f"--- after update {result.step:,}: validation loss {result.loss:.4f} nats per character ---\n")

    def catch_up(self, event: Event, lines: list[dict[str, Any]]) -> None:
        """Write samples and metrics anew, up to where a resumed run goes on: more may be there than it remembers."""
        remove_leftovers(self.folder.path)  # of whoever was killed: the run is locked by now
        old = {place(line): line for line in self.folder.metrics()}
        for line in lines:
            before = old.get(place(line), {})
            line |= {name: before[name] for name in ("time", "chars_per_sec") if name in line and name in before}
        samples = [sample_text(self.head(sample), plain(sample.text)) for sample in event.history.samples]
        self.folder.restart("".join(samples), lines)
        if event.done:
            self.say(f"resumed after update {event.step:,}\n")

    def sampled(self, sample: Sample) -> None:
        """A sample, before an update."""
        self.passage(self.head(sample), sample.text)

    def head(self, sample: Sample) -> str:
        """The line above a sample."""
        history = self.history
        shown = math.nan if history is None else history.shown_before(sample.step)
        loss = "nothing learned yet"
        if math.isfinite(shown) and history is not None:
            loss = self.loss(shown, history.shown_name)
        elif math.isfinite(sample.loss_per_char):  # of the training before this one
            loss = self.loss(sample.loss_per_char)
        return f"--- before update {sample.step:,}, epoch {max(1, sample.epoch)}: {loss} ---"

    # ---- what is kept ------------------------------------------------------------------------------------------

    def write_models(self, best: CharRNN, history: History, updates: int) -> None:
        """The model after this many updates of the run, and the best one, each saying how far it came."""
        first, last = history.first_step, history.first_step + updates - 1
        common = {"expected_first_loss": history.expected_first_loss, "text": self.text, "settings": vars(self.settings)}
        shown = history.per_char(history.shown_loss[:updates])
        at_end = (history.shown_name, float(shown[-1]) if updates else math.inf)
        for name, model, step, (measure, per_char) in (
            (MODEL, self.model, last, at_end),
            (BEST, best, history.best_step, (history.best_by, history.best_loss_per_char)),
        ):
            smooth = float(history.smooth_loss[step - first]) if first <= step <= last else math.inf
            known = math.isfinite(smooth)  # not before the first update on a text
            done: dict[str, Any] = {"step": step, "loss": measure, "loss_per_char": per_char if math.isfinite(per_char) else None}
            done |= {"smooth_loss": smooth if known else None, "smooth_loss_per_char": history.per_char(smooth) if known else None}
            metadata = model.to_metadata()
            if name == BEST and history.test:
                done["test_loss_per_char"] = history.test.loss
            metadata["training"] |= done | common
            self.folder.write_model(name, model.to_tensors(), metadata)
            self.folder.write_state(name, *model.optimizer_state())

    def conclude(self, history: History) -> None:
        """After the models all that can be made again: the best one's passage, the curve, what was done."""
        if len(history) and history.best is not None:
            loss = self.loss(history.best_loss_per_char, history.best_by)
            passage = history.best.synthesize(PASSAGE, seed=self.model.seed)
            self.passage(f"=== best model, after update {history.best_step:,}: {loss} ===", passage)
            self.draw(history)
            validation = f"; validation loss {history.validation[-1].loss:.4f} per character" if history.validation else ""
            self.say(
                f"{len(history):,} updates in {history.seconds:.1f} s, {history.characters_per_second:,.0f} characters "
                f"per second; at the end {self.loss(history.per_char(history.shown_now), history.shown_name)}{validation}"
            )
            if len(history) < SETTLED <= history.planned:
                mean = history.per_char(mean_at(history.loss, len(history)))
                self.say(
                    f"the last {windows_in_mean(len(history)):,} windows alone have {mean:.3f} per character: "
                    "a smooth loss of so few updates still remembers the first"
                )
            if history.overfitting:
                self.say(f"note      {history.overfitting}")
            if history.test:
                self.say(history.test_words)
        for note in history.notes:
            if note not in self.told:
                self.say(f"note      {note}")
        if history.stopped_by:
            last = history.first_step + len(history) - 1
            self.say(f"stopped after update {last:,}, before the end; what was learned is saved")
        self.say(f"{self.folder}: {', '.join(name for name in FILES if (self.folder / name).exists())}")
        if history.stopped_by:
            self.say(f"go on with: {as_typed('train', [('--resume', str(self.folder))])}")
            return
        self.say(f"go on with: {as_typed('generate', names=[str(self.folder)])}")

    def rescue(self) -> str:
        """Save what there was before the loss went wrong; says so."""
        run, history = self.model.run, self.history
        if run is None or run.safe is None or history is None or not len(history):
            return "Nothing was learned before that"
        self.write_models(self.model.best(), history, run.safe.step - history.first_step + 1)
        self.draw(history)
        return f"The last good model and the best one are in {self.folder}"

    def salvage(self, error: str) -> str:
        """Save what was learned before something could not be written, as far as that can be; says so, and what else there is."""
        history, said = self.history, ""
        if history is None:
            return ""
        there = checkpoints_in(self.folder / CHECKPOINTS)
        if there and str(there[-1][1]) not in error:
            said = f"; the last good checkpoint is {there[-1][1]}"
        if len(history):
            with contextlib.suppress(OutputError, NonFiniteError):
                self.write_models(self.model.best(), history, len(history))
                said += f"; what was learned is in {self.folder / MODEL}"
        return said

    def draw(self, history: History) -> None:
        """The loss curve."""
        if not self.picture:
            return
        from charrnn.display.plots import loss_curve

        loss_curve(history, self.folder / PLOT)


def plain(text: str | bytes) -> str:
    """Generated text as a file of text can hold it."""
    return text if isinstance(text, str) else text.decode("utf-8", "backslashreplace")
