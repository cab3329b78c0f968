"""The loop over windows of text: chunks of updates in the kernels, and events in between: samples, validation, the log.

A run is a function of text, settings and seed. Where the chunks are cut depends on the machine's speed and has no
influence: all that is random or periodic hangs on the number of the update. So does what happens when numbers go
wrong. Every SAFE_EVERY-th update, what was learned is copied if it is sound: finite, and with a finite loss on the next
window. A loss that is not finite, or a state that is not sound when it should be copied, puts the last copy back; the
run then stops or, on request, goes on from the same place in the text with half the learning rate.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from charrnn.errors import Interrupted, NonFiniteError
from charrnn.evaluation.coldstart import is_lost
from charrnn.evaluation.evaluate import evaluate
from charrnn.generation.sampling import passage
from charrnn.network.arrays import Array
from charrnn.network.network import Network
from charrnn.text.corpus import Corpus
from charrnn.threads import Team, capped, default_threads, deferred_signals, together
from charrnn.training.best import EVERY, MEAN, VALIDATION, mean_at
from charrnn.training.events import Callback, Event, Keeper
from charrnn.training.fitting import first_look, hopeless
from charrnn.training.history import History, Sample, Validation
from charrnn.training.plan import TrainingPlan
from charrnn.training.run import AVERAGED_EVERY, Run, Snapshot
from charrnn.training.windows import next_windows, windows_at

CHUNK_SECONDS = 0.05  # between two looks at the clock and at Ctrl-C
SAFE_EVERY = 1000  # updates between two copies of a sound state
MOST_RESCUES = 64
LOST = (
    "the network is stuck when it starts from a state of 0: the validation text is read from the carried state where that happens; "
    "state_reset (--state-reset 0.02) lets it see such starts"
)


class Trainer:
    """Runs the updates of one run. `model` is what callbacks are given, whatever it is; the trainer looks at the network alone."""

    def __init__(
        self, network: Network, run: Run, plan: TrainingPlan, rng: np.random.Generator, model: Any = None, threads: int | None = None
    ) -> None:
        settings = plan.settings
        m, T, B = network.architecture.hidden_size, settings.seq_length, settings.batch_size
        self.network, self.progress, self.plan, self.rng, self.model = network, run, plan, rng, model
        self.corpus, self.validation, self.stream = plan.corpus, plan.validation, plan.stream
        size, self.word = capped(default_threads(m, B) if threads is None else threads)
        self.team = Team(size)
        self.rule = settings.rule(network.settings.seed)
        self.chunk = 1  # then by the clock: it alone knows what characters, threads and the machine make of an update
        self.work = network.workspace(T, B, dropout=settings.dropout > 0, weight_drop=settings.weight_drop > 0, threads=self.team.size)
        self.losses = np.empty((run.total, 3))
        run.allocate(network, plan)
        assert run.slots is not None
        assert run.best is not None
        assert run.state is not None
        self.slots, self.best = run.slots, run.best
        self.carried = self.work.states[:, :, 0]
        self.carried[:] = run.state
        run.state = self.carried
        first_loss = float(np.log(len(network.vocabulary))) * settings.window * settings.scale
        self.history = History(run.step - run.done + 1, settings.window, settings.loss_reduction, first_loss, planned=run.total)
        self.callbacks: Sequence[Callback] = ()
        self.keeper: Keeper | None = None
        self.begun = time.perf_counter()

    @property
    def first_state(self) -> Array:
        """(layers, states, m): what the first stream carries. A view."""
        return self.carried[:, :, 0, : self.work.m]

    def recall(self, losses: Array, plain: dict[str, Any]) -> None:
        """Take over the history of the updates that a resumed run has done already; losses (done, 3)."""
        self.losses[: self.progress.done] = losses
        self.history.take(plain, self.network.vocabulary.raw_bytes)

    def run(self, callbacks: Sequence[Callback], keeper: Keeper | None = None) -> History:
        """All that is left of the planned updates, with events between chunks."""
        p = self.progress
        self.callbacks, self.keeper, self.begun = callbacks, keeper, time.perf_counter() - self.history.seconds
        if p.safe is None and (wrong := self.copy_if_sound()):
            raise NonFiniteError(f"{wrong} before the first update: the model's parameters are no good, or far too large")
        if p.done < p.total and not self.is_out_of_patience():
            self.forget_test()
        with deferred_signals() as asked_to_stop, self.team:
            stopped = self.tell("start")
            if self.word:
                stopped = self.tell("note", note=self.word) or stopped
            if not p.done:
                self.keep()  # whatever comes, there is something to go on from
            try:
                while p.done < p.total or self.validation_is_due():
                    if number := asked_to_stop():
                        self.history.interrupted, self.history.stopped_by = True, number
                    if stopped or self.history.interrupted or self.is_out_of_patience():
                        break
                    stopped = self.step(lambda: bool(asked_to_stop()))
                else:
                    stopped = False
                if not (stopped or asked_to_stop()):
                    self.test(lambda: bool(asked_to_stop()))
            except NonFiniteError:
                self.tell("end")
                raise
            self.end()
        return self.history

    def keep(self) -> None:
        """A checkpoint, if checkpoints are kept."""
        if self.keeper:
            self.keeper.write(self.network, self.progress, self.rng, self.history)

    def step(self, stop: Callable[[], bool]) -> bool:
        """One event or one chunk of updates; whether a callback wants to stop. `stop` interrupts what takes long."""
        try:
            if self.validation_is_due():
                return self.validate(stop)
            if self.sample_is_due():
                return self.sample(stop)
        except Interrupted:  # it will be due again when the run goes on
            return False
        note = self.advance(self.updates_until_event())
        if not note:
            self.look_for_lowest_mean()
        stopped = self.tell("progress")
        if note := note or self.warning():
            stopped = self.tell("note", note=note) or stopped
        if self.keeper and self.progress.done < self.progress.total and self.keeper.is_due(self.progress.done):
            self.keep()
        return stopped

    def end(self) -> None:
        """Leave a sound model, keep a last checkpoint and tell everybody."""
        try:
            if not np.isfinite(self.network.theta).all():
                self.put_back()  # stopped between two looks at the numbers: a resumed run will come to it again
            else:
                self.progress.smooth.settle(self.network.theta, self.best)
                self.keep()
        finally:
            self.tell("end")

    def tell(self, kind: str, **more: Any) -> bool:
        """Bring the history up to date and tell every callback; whether one of them wants to stop."""
        p, history = self.progress, self.history
        history.loss, history.smooth_loss, history.gradient_norm = self.losses[: p.done].T
        history.best_smooth_loss, history.best_by = p.smooth.lowest * p.settings.scale, p.best_by
        _, history.best_step, history.best_loss_per_char = p.best_now(self.network.theta)
        history.seconds = time.perf_counter() - self.begun
        event = Event(kind, p.step, p.done, p.total, p.epoch, history, self.model, history.seconds, **more)
        answers = [callback(event) for callback in self.callbacks]  # of every one, before any may stop the run
        return any(answers)

    # ---- samples and validation ------------------------------------------------------------------------------------

    def sample_is_due(self) -> bool:
        """Before update 1 and before every sample_every-th."""
        every, step = self.progress.settings.sample_every, self.progress.step
        return bool(every) and step != self.progress.sampled and (step == 0 or (step + 1) % every == 0)  # type: ignore[operator]

    def sample(self, stop: Callable[[], bool]) -> bool:
        """Draw a sample from the carried state of the first lane and the first character of its next window."""
        p, s, start = self.progress, self.progress.settings, self.start_of_window()
        first = int(self.corpus.read(start, start + 1)[0])
        state = self.carried[:, :, :1] if start else np.zeros_like(self.carried[:, :, :1])
        before = self.rng.bit_generator.state
        try:
            text = passage(self.network, state, first, s.sample_length, self.rng, stop)
        except BaseException:
            self.rng.bit_generator.state = before
            raise
        smooth = p.smooth.value
        sample = Sample(p.step + 1, p.epoch, smooth * s.scale, smooth / s.window, text)
        p.sampled = p.step
        self.history.samples.append(sample)
        return self.tell("sample", sample=sample)

    def validation_is_due(self) -> bool:
        """After every validate_every-th update and after the last."""
        p = self.progress
        if self.validation is None or p.validated == p.step or p.done == 0:
            return False
        return p.done == p.total or p.done % (p.settings.validate_every or p.total) == 0

    def validate(self, stop: Callable[[], bool]) -> bool:
        """Evaluate the validation text."""
        assert self.validation is not None
        p = self.progress
        network = p.judged(self.network)
        loss = self.loss_of(network, self.validation, p.carried(self.work.m), stop)
        result = Validation(p.step, loss, time.perf_counter() - self.begun)
        p.validated = p.step
        every = p.settings.validate_every
        p.lowest.offer(loss, p.step, network.theta, self.first_state, bool(every) and p.done % every == 0)  # type: ignore[operator]
        self.history.validation.append(result)
        return self.tell("validation", validation=result)

    def loss_of(self, network: Network, text: Corpus, carried: Array | None, stop: Callable[[], bool]) -> float:
        """Nats per character of a text, in as many streams as are trained on: each start may cost something.

        It begins at 0 unless the network is lost after that, as some are that training has started so only where its text begins: a loss
        of 7 in place of 2 for thousands of characters would say nothing. Then it begins with the carried state.
        """
        B = min(self.progress.settings.batch_size, len(text) // 2)
        if carried is None or not is_lost(network, text, B, carried):
            return evaluate(network, text, B, stop).loss
        if not any(LOST in note for note in self.history.notes):
            self.history.notes.append(f"after update {self.progress.step:,} {LOST}")
            self.tell("note", note=self.history.notes[-1])
        return evaluate(network, text, B, stop, carried).loss

    def test(self, stop: Callable[[], bool]) -> None:
        """At the end of the run, once: the test part, by the best model."""
        p, text = self.progress, self.plan.test
        if text is None or self.history.test is not None:
            return
        theta, step, _ = p.best_now(self.network.theta)
        best = Network(self.network.settings, self.network.vocabulary, theta, self.network.level)
        try:
            loss = self.loss_of(best, text, p.carried(self.work.m, best=True), stop)
        except Interrupted:  # a resumed run comes to it again
            return
        self.history.test = Validation(step, loss, time.perf_counter() - self.begun)
        self.tell("test")

    def forget_test(self) -> None:
        """A run that was at its end goes on: its test part will be evaluated a second time, which is said."""
        if before := self.history.test:
            self.history.notes.append(
                f"the test part was evaluated after update {self.progress.step:,} already, {before.loss:.4f} nats per character, and "
                "will be again: whoever goes on because of that number fits the model to the test part"
            )
            self.history.test = None

    def is_out_of_patience(self) -> bool:
        """Whether the validation loss has not improved in so many evaluations that the run ends."""
        p, patience = self.progress, self.progress.settings.patience
        if patience is None or p.lowest.by != VALIDATION or p.lowest.waited < patience:
            return False
        note = f"ended after update {p.step:,}: the validation loss has not improved since update {p.lowest.step:,} (patience {patience})"
        if note not in self.history.notes:
            self.history.notes.append(note)
        return True

    def look_for_lowest_mean(self) -> None:
        """In a short run without validation, the best parameters by the mean of the last windows' losses."""
        p = self.progress
        done = p.done - p.lowest.start
        if p.best_by == MEAN and done > 0 and (p.done % EVERY == 0 or p.done == p.total):
            loss = mean_at(self.losses[p.lowest.start :, 0], done) / (p.settings.scale * p.settings.window)
            p.lowest.offer(loss, p.step, p.judged(self.network).theta, self.first_state, p.done % EVERY == 0)

    def warning(self) -> str:
        """At a twentieth of the run, if it does no better than guessing: that, and what to change."""
        p, s = self.progress, self.progress.settings
        if p.done != first_look(p.total):
            return ""
        loss = mean_at(self.losses[:, 0], p.done) / (s.scale * s.window)
        note = hopeless(loss, len(self.network.vocabulary), p.done, s, self.network.settings)
        if note:
            self.history.notes.append(note)
        return note

    # ---- updates ---------------------------------------------------------------------------------------------------

    def start_of_window(self) -> int:
        """Where the next window of the first stream starts; past the last whole window the text begins anew."""
        p = self.progress
        return 0 if p.cursor + p.settings.seq_length + 1 > self.stream else p.cursor

    def updates_until_event(self) -> int:
        """How many updates may run before the next event is due, bounded by the chunk."""
        p, s = self.progress, self.progress.settings
        n = min(self.chunk, p.total - p.done, SAFE_EVERY - p.step % SAFE_EVERY)
        if p.done < first_look(p.total):
            n = min(n, first_look(p.total) - p.done)
        if p.best_by == MEAN:
            n = min(n, EVERY - p.done % EVERY)
        if s.average:
            n = min(n, AVERAGED_EVERY - p.step % AVERAGED_EVERY)
        if s.sample_every:
            n = min(n, s.sample_every - 1 - p.step % s.sample_every or s.sample_every)
        if s.validate_every:
            n = min(n, s.validate_every - p.done % s.validate_every)
        if self.keeper:
            n = min(n, self.keeper.updates_until_due(p.done))
        return n

    def advance(self, n: int) -> str:
        """n updates, or fewer when a loss is not finite: then what `rescue` says, else nothing."""
        p, T = self.progress, self.progress.settings.seq_length
        starts, begins = next_windows(p.cursor if p.step else None, n, self.stream, T)
        epochs = p.epoch - 1 + np.cumsum(begins, dtype=np.int64)  # completed before each window
        losses = self.update(starts, begins, epochs)
        finite = np.isfinite(losses[:, 0])
        good = n if finite.all() else int(finite.argmin())
        wrong = "" if good == n else f"the loss became {losses[good, 0]:g}"
        losses[:, :2] *= p.settings.scale
        self.losses[p.done : p.done + n] = losses
        begun = (np.flatnonzero(begins[:good]) + p.step + 1).tolist()
        self.history.epoch_steps += begun
        p.step, p.done, p.moments = p.step + good, p.done + good, p.moments + good
        p.epoch += len(begun)
        p.cursor = int(starts[good - 1]) + T if good else p.cursor
        if wrong:
            return self.rescue(wrong, p.step + 1, self.place(starts[good], epochs[good]))
        p.take_into_average(self.network.theta)
        if p.step % SAFE_EVERY == 0 or p.done == p.total:
            wrong = self.copy_if_sound() if p.step % SAFE_EVERY == 0 else self.unsound()  # an end is no end for a run that is extended
            return wrong and self.rescue(wrong, p.step, self.place(starts[-1], epochs[-1]))
        return ""

    def offsets(self, epochs: Array) -> Array:
        """(n, B): where in each stream these epochs (n,) begin."""
        return self.progress.settings.offsets(epochs, self.stream, self.network.settings.seed)

    def windows(self, starts: Array, epochs: Array) -> tuple[Array, Array]:
        """inputs and targets (n, T, B) of the windows that start so far into their epochs."""
        return windows_at(self.corpus, starts, self.offsets(epochs), self.work.T)

    def place(self, start: int, epoch: int) -> int:
        """The character of the text at which a window of the first stream starts."""
        return int(start + self.offsets(np.array([epoch]))[0, 0]) % self.stream

    def update(self, starts: Array, begins: Array, epochs: Array) -> Array:
        """The kernels' work on the windows that start there; (n, 3): loss, smooth loss and gradient's norm of each."""
        p, n, theta, losses = self.progress, len(starts), self.network.theta, np.empty((len(starts), 3))
        inputs, targets = self.windows(starts, epochs)
        resets = begins | p.settings.resets(p.step + 1, n, self.network.settings.seed)
        learning_rates = p.settings.learning_rates(p.done, n, p.total, epochs) * 0.5**p.rescues
        rates = self.rule.rates(learning_rates, p.moments + 1)
        self.network.kernels.pack(theta, self.work)  # a callback may have changed the parameters
        arrays = (theta, self.slots, self.work, inputs, targets, resets, losses, rates, self.rule, p.smooth.numbers, self.best, p.step + 1)
        begun = time.perf_counter()
        together(self.team, self.network.kernels.train, arrays, self.work.barrier)
        took = time.perf_counter() - begun
        with np.errstate(over="ignore", invalid="ignore"):
            if not np.isfinite(theta.sum()):
                p.clear_padding(self.network)
        self.chunk = max(1, int(n * min(4.0, CHUNK_SECONDS / max(took, 1e-6))))
        return losses

    # ---- numbers that go wrong -------------------------------------------------------------------------------------

    def unsound(self) -> str:
        """What is wrong with the present state, or nothing."""
        theta = self.network.theta
        self.progress.clear_padding(self.network)
        if not np.isfinite(theta).all():
            return "a parameter is not finite"
        if not np.isfinite(self.slots).all():
            return "a gradient was so large that the optimizer's memory of it is not finite"
        start = self.start_of_window()
        inputs, targets = self.windows(np.array([start]), np.array([self.progress.epoch - bool(start)]))
        self.network.kernels.pack(theta, self.work)
        self.network.kernels.forward(theta, self.work, inputs[0], targets[0], gradient=False)  # overwrites nothing that is carried
        with np.errstate(over="ignore"):  # the answer is given below
            loss = self.work.losses.sum()
        if not np.isfinite(loss):
            return f"the loss of the next window is {loss:g}"
        return ""

    def copy_if_sound(self) -> str:
        """Make the present state the safe one if it is sound; else what is wrong with it."""
        p, theta = self.progress, self.network.theta
        if wrong := self.unsound():
            return wrong
        if p.safe is None:
            p.safe = Snapshot(p.step, theta.copy(), self.slots.copy(), self.best.copy(), p.smooth.copy())
        else:
            p.safe.update(p.step, theta, self.slots, self.best, p.smooth)
        return ""

    def put_back(self) -> Snapshot:
        """Make the safe state the present one, with a carried state of 0. The text is not gone back over."""
        p, safe = self.progress, self.progress.safe
        assert safe is not None
        self.network.theta[:], self.slots[:], self.best[:] = safe.theta, safe.slots, safe.best
        p.smooth.take(safe.smooth)
        p.smooth.numbers[2] = p.step  # windows seen: their count goes on
        p.smooth.settle(self.network.theta, self.best)
        self.carried[:], p.average = 0, None  # which begins anew
        return safe

    def rescue(self, wrong: str, step: int, where: int) -> str:
        """Put the safe state back. Then a note, if the settings allow to go on with half the rate; else
        NonFiniteError.
        """
        p, s = self.progress, self.progress.settings
        safe = self.put_back()
        around = self.corpus.text(max(0, where - 10), min(len(self.corpus), where + s.seq_length + 10))
        place = (
            f"{wrong} at update {step:,}, characters {where:,} to {where + s.seq_length:,} of the text, "
            f"{around[:120]!r}; "
            f"the model is as it was after update {safe.step:,}"
        )
        rate = s.learning_rate * 0.5**p.rescues
        if not s.rescue or p.rescues >= MOST_RESCUES:
            spent = f", after {p.rescues} rescues" if p.rescues else ", or rescue=True (--rescue), which halves it where that happens"
            raise NonFiniteError(f"{place}. Try a lower learning rate than {rate:g}, or a clip{spent}")
        p.rescues += 1
        note = f"{place}, and goes on with half the learning rate, {rate / 2:g}"
        self.history.rescues.append(p.step)
        self.history.notes.append(note)
        return note
