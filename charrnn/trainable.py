"""What a model does to learn: train, go on, resume, take the best, know more characters."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Self

from charrnn import arguments
from charrnn.base import Model
from charrnn.errors import SettingsError
from charrnn.network.arrays import Array
from charrnn.network.network import Network
from charrnn.text.corpus import AnyText, Corpus, as_corpus, read_corpus
from charrnn.text.reading import refuse_a_name

if TYPE_CHECKING:  # what training needs is imported when it begins: who loads a model to use it need not wait for that
    from charrnn.text.split import Parts
    from charrnn.training.checkpoint import Checkpoints
    from charrnn.training.events import Callback
    from charrnn.training.history import History
    from charrnn.training.plan import Settings, TrainingPlan
    from charrnn.training.run import Run

OF_ONE_CALL = ("updates", "epochs", "patience", "split")  # of train
SIZES = ("batch_size", "seq_length")  # what gives way where a text is too short, unless it was asked for


class Trainable(Model):
    """See `charrnn.CharRNN`."""

    def best(self) -> Self:
        """A copy of the model as it was when its loss was lowest, over all calls of `train` with the same text; without one, as it is.

        The loss is that on the validation text, if there is one; in runs of fewer than 5,000 updates the mean of the last windows';
        else the smooth loss. What it goes on with (settings, the optimiser's state) is that of the last update.

        >>> from charrnn import CharRNN
        >>> model = CharRNN(hidden_size=8)
        >>> history = model.train("she sells sea shells " * 9, updates=60, progress=False)
        >>> bool((model.best().theta == history.best.theta).all())
        True
        """
        other = self.copy()
        if other.run is not None:
            theta, step, _ = other.run.best_now(other.theta)
            other.theta[:], other._carried = theta, other.run.carried(other.hidden_size, best=True)
            other.run.done = max(0, other.run.done - (other.run.step - step))
            other.run.step = step
        return other

    def extend_vocabulary(self, text: AnyText) -> str:
        """Learn to read and write the characters of a text, too: those that are new, sorted, are returned.

        Existing parameters do not change. The new columns of the first layer's U and rows of V are drawn like initial
        weights, new entries of c are 0, and so is their optimiser state. The smooth loss and the best parameters, which belong to the
        old vocabulary, are dropped. Raises `TextError` if text and model are not both of bytes or both of characters.

        >>> from charrnn import CharRNN
        >>> model = CharRNN(hidden_size=4, vocabulary="abc")
        >>> model.extend_vocabulary("abba, dad"), model.vocabulary.characters
        (' ,d', ' ,abcd')
        """
        from charrnn.training.growth import extended

        if isinstance(text, os.PathLike):
            text = read_corpus(text, raw_bytes=self.vocabulary.raw_bytes)
        elif isinstance(text, (str, bytes)):
            refuse_a_name(text)
        with self._access.training():
            before, unknown = self._run_so_far()
            network, run, new = extended(self.network, before, text, self.rng)
            if new:
                self._network, self._loaded = network, None
                self.run = None if unknown else run  # what is not known is said when it trains
            return new

    def train(
        self,
        text: AnyText | Parts,
        updates: int | None = None,
        *,
        epochs: float | None = None,
        time: str | None = None,
        progress: bool | str = True,
        callbacks: Sequence[Callback] = (),
        validation: AnyText | float | None = None,
        validation_split: str = "end",
        min_count: int = 1,
        threads: int | None = None,
        checkpoint: str | os.PathLike[str] | None = None,
        checkpoint_every: str | int = "1m",
        keep: int = 3,
        **settings: Any,
    ) -> History:
        """Train by truncated backprop-through-time; a second call continues where the first ended.

        Args:
            text: the training text, or the parts that `charrnn.split` returns. Its characters become the vocabulary if the model has none.
            min_count: characters of the text that occur fewer times are read as U+FFFD, and so are, from then on, all characters that
                the model does not know; see `read_corpus`.
            updates, epochs: how long; by default 100,000 updates.
            time: the training time instead, such as "10m": a few updates are timed on a copy, and the number of updates (and so the
                schedule) is chosen to fit; history.planned is that number: give it as updates to repeat the run.
            seq_length: T, characters per window (25).
            batch_size: B: the text is cut into B sequences, which are read in parallel (1).
            optimizer: "adagrad", "adam", "rmsprop" or "sgd".
            learning_rate: (0.1, a usual value for AdaGrad).
            input_rate: the learning rate of U as a multiple of the others' (1): a character's column of U is updated only when the
                character occurs, and gains from larger steps.
            eps, beta1, beta2: the optimiser's constants (1e-8, 0.9, 0.999); beta1 is sgd's momentum.
            schedule: of the learning rate: "constant", "linear" or "cosine" down to 0, or "wsd": constant until the last fifth of the
                run, then linear.
            warmup: updates of linear rise before that (0).
            decay, decay_after: the learning rate is multiplied by `decay` (1) after every epoch but the first `decay_after` (0).
            clip: bound on each element of the gradient (5, None for none).
            clip_norm: bound on its Euclidean norm (None: none). With one, history.gradient_norm has the norms.
            weight_decay: decoupled from the gradient, as AdamW's (0): each update multiplies the weights, not the biases, by
                1 - learning_rate weight_decay.
            loss_reduction: "sum" over the window, or "mean" per character: scales the gradient.
            dropout: the share of units, between layers and below the output, that are dropped in each update (0).
            weight_drop: the share of the elements of each W, from a layer's state to the next, that are dropped in each update (0).
            recurrent_dropout: the share of the candidates, a GRU's n and an LSTM's g, that are dropped in each step before they are
                written into the state, which itself is kept (0). Semeniuta, Severyn & Barth 2016.
            rotate: from the second epoch on, each of the B sequences begins at a character chosen by a hash of seed, epoch and sequence,
                and goes round (False): the windows are then cut at other characters in every epoch, and other places are read together.
            state_reset: the share of windows that begin with a state of 0 in all parallel sequences, chosen by a hash of seed and update
                (0). A network that saw a state of 0 only at the beginning of the text may be lost when it starts anywhere else.
            average: the decay per update of an exponential moving average of the parameters, such as 0.999 (0: none). It begins after the
                warm-up; the average is validated, and is history.best; training itself uses the parameters without averaging.
            sample_every: updates between samples; the first is before update 1 (10,000; None: no samples).
            sample_length: characters of a sample (200).
            validation: the validation text, or a part of text, such as 0.1. It is evaluated every validate_every updates (by default
                about twenty times; in a short time, fewer) and at the end.
            split: in place of validation: the parts of the text for training, validation and test, such as "80/10/10" or
                (0.8, 0.1, 0.1); "90/10" has no test. The test part is evaluated once, at the end of the run, with the model of the
                lowest validation loss: history.test.
            validation_split: which part is for validation: "end", the end of the text; "lines", some of its lines, shuffled with the
                model's seed, for lists of independent lines.
            patience: end when the validation loss has not improved in so many evaluations (None: continue).
            rescue: when a loss, gradient or parameter is no longer finite, return to the last finite parameters and continue with half
                the learning rate, with a note in history.notes, instead of stopping.
            threads: by default one for small batches, else all cores (the maximum). Results are identical bit for bit for any number.
            progress: show a bar (True, False or "notebook").
            callbacks: called with an `Event` at every chunk, sample and validation; a true return value stops the run.
            checkpoint: a folder for the last `keep` checkpoints, from which `resume` continues.
            checkpoint_every: "30s", "1m", "2h", or a number of updates; one more at the start and at the end.

        Settings that are not given are those of the model's last training, or of its recipe. If a text is too short for their batch_size
        and seq_length, these are reduced, and history.notes says so.

        Returns a `History`. Ctrl-C, SIGTERM and SIGHUP stop cleanly: history.interrupted is then True, and the model is as after
        the last update; a second Ctrl-C ends at once. Raises `SettingsError`, `TextError` before any work;
        `NonFiniteError` when a loss or parameter is no longer finite (the model is reset to its last finite state);
        `OutputError` when a checkpoint cannot be written.

        >>> from charrnn import CharRNN
        >>> history = CharRNN(hidden_size=16).train("so it goes, " * 30, updates=50, batch_size=2, progress=False)
        >>> len(history), history.loss.shape
        (50, (50,))
        """
        from charrnn.threads import check_threads
        from charrnn.training.fitting import fitted, seconds_of
        from charrnn.training.pace import fit_to
        from charrnn.training.plan import Settings

        before = self.settings_so_far()
        if validation is not None:
            if settings.get("split") is not None:
                raise SettingsError(f"split={settings['split']!r} has a validation part already: leave out validation or split")
            settings["split"] = None  # in place of the recipe's
        free = [name for name in SIZES if name in before and name not in settings]
        settings = before | settings
        if time is not None and (updates is not None or epochs is not None):
            raise SettingsError(f"give a time, updates or epochs, not several; got time={time!r}")
        if updates is not None or epochs is not None or time is not None:  # replaces the recipe's length, in whichever unit that was
            settings |= {"updates": updates, "epochs": epochs}
        checked = Settings.given(settings)
        seconds = None if time is None else seconds_of(time)
        check_threads(threads)
        parts = self._parts(text, validation, validation_split, checked.split, min_count)
        checked, note = fitted(checked, len(parts.training), free)
        plan = self._plan(parts, checked)
        if seconds is not None:
            plan = fit_to(seconds, self.network_for(parts.training)[0], plan, checked, threads)
        return self.train_plan(
            plan,
            progress=progress,
            callbacks=callbacks,
            threads=threads,
            checkpoint=checkpoint,
            checkpoint_every=checkpoint_every,
            keep=keep,
            note=note,
        )

    def train_plan(
        self,
        plan: TrainingPlan,
        *,
        progress: bool | str = True,
        callbacks: Sequence[Callback] = (),
        threads: int | None = None,
        checkpoint: str | os.PathLike[str] | None = None,
        checkpoint_every: str | int = "1m",
        keep: int = 3,
        note: str = "",
    ) -> History:
        """`train`, of a plan that was checked when it was made; note: goes into the history's."""
        from charrnn.files.atomic import alone_in
        from charrnn.training.checkpoint import Checkpoints
        from charrnn.training.run import Run

        with self._access.training():
            before, unknown = self._run_so_far()
            notes = [text for text in (note, unknown) if text]
            run = before.next(plan) if before else Run(plan.settings, total=plan.updates, fingerprint=plan.corpus.fingerprint)
            if checkpoint is None:
                return self._train(plan, run, progress, callbacks, threads, notes=notes)
            keeper = Checkpoints(checkpoint, checkpoint_every, keep, {"recipe": self.recipe})
            with alone_in(keeper.folder):
                keeper.require_new(run.step)
                return self._train(plan, run, progress, callbacks, threads, keeper, notes=notes)

    def _run_so_far(self) -> tuple[Run | None, str]:
        """What training goes on from, and what is to be said about it."""
        if self.run is not None or self.trained is None:
            return self.run, ""
        from charrnn.training.state import run_of_model

        return run_of_model(self.network, self.trained, self._loaded or {}, "the model's file")

    def settings_so_far(self) -> dict[str, Any]:
        """The settings that training goes on with, where no others are given: the last ones, else the recipe's."""
        before, _ = self._run_so_far()
        if before is None:
            return dict(self.training_defaults)
        return self.training_defaults | {name: value for name, value in vars(before.settings).items() if name not in OF_ONE_CALL}

    @classmethod
    def resume(
        cls,
        path: str | os.PathLike[str],
        text: AnyText | Parts,
        updates: int | None = None,
        *,
        epochs: float | None = None,
        validation: AnyText | float | None = None,
        validation_split: str = "end",
        allow_other_text: bool = False,
        progress: bool | str = True,
        callbacks: Sequence[Callback] = (),
        threads: int | None = None,
        level: str | None = None,
        **settings: Any,
    ) -> tuple[Self, History]:
        """Continue a run from its newest checkpoint to its planned end, or to another; returns the model and the whole run's history.

        Settings, random generator and the schedule of checkpoints are the run's own: the result is identical, bit for bit, to that
        of a run without interruption.

        Args:
            path: a checkpoint, or the folder of them that `train` was given; instead of a damaged one, the one before
                is used, with a note in history.notes.
            text, validation, validation_split: the same as in `train`.
            updates, epochs: a new length of the whole run, finished or interrupted. With a constant learning rate, the result is
                identical, bit for bit, to that of a run of this length; a schedule continues as the one of the new length.
            patience: a new patience; the only setting that may change.
            allow_other_text: allow another text; training starts its first epoch.
            progress, callbacks, threads: as for `train`.
            level: the kernels to use.

        Raises `ModelFileError` if there is no valid checkpoint, `TextError` for another text, `OutputError` while another process
        continues the same run, otherwise like `train`.

        >>> import tempfile
        >>> from charrnn import CharRNN
        >>> text = "she sells sea shells by the sea shore. " * 30
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     plan = {"updates": 200, "checkpoint": folder, "checkpoint_every": 50, "progress": False}
        ...     first = CharRNN(hidden_size=16).train(text, **plan, callbacks=[lambda event: event.done == 50])
        ...     model, history = CharRNN.resume(folder, text, progress=False)
        ...     model, longer = CharRNN.resume(folder, text, updates=300, progress=False)
        >>> len(first), len(history), len(longer)
        (50, 200, 300)
        """
        from charrnn.files.atomic import alone_in
        from charrnn.threads import check_threads
        from charrnn.training.checkpoint import Checkpoints, folder_of, load_newest

        allow_other_text = arguments.yes_or_no("allow_other_text", allow_other_text)
        check_threads(threads)
        for name in settings:
            if name != "patience":
                raise SettingsError(f"resume uses the run's own settings: leave {name} out")
        with alone_in(folder_of(path)):
            found = load_newest(path, level)
            model = cls._of(found.network)
            model.rng, model.recipe = found.rng, found.recipe
            with model._access.training():
                length = {} if updates is None and epochs is None else {"updates": updates, "epochs": epochs}
                chosen = replace(found.run.settings, **(length | settings))
                if validation is not None and chosen.split is not None:
                    raise SettingsError(f"the run's own split, {chosen.split}, has a validation part already: leave validation out")
                plan = model._plan(model._parts(text, validation, validation_split, chosen.split), chosen)
                found.check_texts(plan.corpus, plan.validation, plan.test, allow_other_text)
                if chosen != found.run.settings:
                    found.go_to(plan)
                keeper = Checkpoints(found.folder, found.every, found.keep, {"recipe": found.recipe})
                return model, model._train(plan, found.run, progress, callbacks, threads, keeper, (found.losses, found.past))

    def _parts(self, text: AnyText | Parts, validation: AnyText | float | None, how: str, split: str | None, min_count: int = 1) -> Parts:
        """The texts to train on, for validation and for the test, as ids."""
        from charrnn.text import split as of

        arguments.one_of("validation_split", how, of.SPLITS)
        if isinstance(text, of.Parts):
            if validation is not None or how != "end":
                raise SettingsError("the text is in parts already, with one for validation: leave validation and validation_split out")
            return of.Parts(self.corpus_of(text.training, min_count), *(part and self.corpus_of(part) for part in text[1:]))
        corpus = self.corpus_of(text, min_count)
        if split is not None:
            return of.split(corpus, split, how, self.seed)
        if validation is not None and not isinstance(validation, (str, bytes, os.PathLike, Corpus)):
            return of.Parts(*of.held_out(corpus, validation, how, self.seed))
        if how != "end":
            raise SettingsError("validation_split says which part to validate on: give validation as a part, such as 0.1, or split")
        return of.Parts(corpus, None if validation is None else as_corpus(validation, corpus.vocabulary, "validation"))

    def network_for(self, text: AnyText) -> tuple[Network, Corpus]:
        """The network, or the one that there would be if it learned this text, and the text."""
        corpus = self.corpus_of(text)
        if self._network is not None:
            return self.copy_of_network(), corpus
        model = self.copy()
        model._begin(corpus.vocabulary)
        return model.network, corpus

    def _plan(self, parts: Parts, settings: Settings) -> TrainingPlan:
        """The plan for these texts, after every check."""
        from charrnn.training.plan import TrainingPlan

        if settings.patience is not None and parts.validation is None:
            raise SettingsError(f"patience {settings.patience} waits for a validation loss to improve: give a validation text as well")
        return TrainingPlan.of(self.settings, settings, *parts)

    def _train(
        self,
        plan: TrainingPlan,
        run: Run,
        progress: bool | str,
        callbacks: Sequence[Callback],
        threads: int | None,
        keeper: Checkpoints | None = None,
        past: tuple[Array, dict[str, Any]] | None = None,
        notes: Sequence[str] = (),
    ) -> History:
        from charrnn.training.log import log
        from charrnn.training.trainer import Trainer

        callbacks = arguments.listed("callbacks", callbacks)
        for callback in callbacks:
            if not callable(callback):
                raise SettingsError(f"callbacks must be functions of an Event, got {callback!r}")
        if progress:
            from charrnn.display.progress import bar

            callbacks = [bar(progress), *callbacks]
        callbacks = [log, *callbacks]
        if self._network is None:  # now that nothing was refused
            self._begin(plan.corpus.vocabulary)
        run.watch(plan)
        self._carried = None  # from now on it is the run's
        trainer = Trainer(self.network, run, plan, self.rng, self, threads)
        if past:
            trainer.recall(*past)
        trainer.history.notes.extend(notes)
        self.run = run
        history = trainer.run(callbacks, keeper)
        history.best = self.best()
        return history
