"""CharRNN: a recurrent network over characters that learns a text and writes more of it."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from charrnn import arguments
from charrnn.base import Model
from charrnn.errors import SettingsError
from charrnn.evaluation import evaluate as evaluation
from charrnn.evaluation.evaluate import Evaluation
from charrnn.generation import sampling
from charrnn.network.arrays import Array
from charrnn.network.network import Network
from charrnn.network.settings import MODEL
from charrnn.text.corpus import Corpus

if TYPE_CHECKING:  # what training needs is imported when it begins: who loads a model to use it need not wait for that
    from charrnn.gradients.report import GradientReport
    from charrnn.training.checkpoint import Checkpoints
    from charrnn.training.history import History
    from charrnn.training.plan import Settings, TrainingPlan
    from charrnn.training.run import Run
    from charrnn.training.trainer import Callback

LENGTH = ("updates", "epochs")  # of one call of train


class CharRNN(Model):
    """A character-level recurrent network. The vanilla one, with one layer (Goodfellow et al. 2016, 10.2)::

        a_t = W h_{t-1} + U x_t + b     h_t = tanh(a_t)     o_t = V h_t + c     p_t = softmax(o_t)

    Args:
        hidden_size: m, the number of hidden units of each layer.
        cell: "rnn", "gru" or "lstm", as torch.nn.RNN, GRU and LSTM define them.
        layers: how many recurrent layers; each above the first reads the h of the one below.
        dtype: "float32" or "float64".
        init: how weights start: "normal", N(0, init_std^2); "scaled", U ~ N(0, 1)/sqrt(2K), W ~ N(0, 1)/sqrt(2m),
            V ~ N(0, 1)/sqrt(m); "orthogonal", W (of each gate) orthogonal, and U above the first layer too; U of the first layer
            ~ N(0, init_std^2), V ~ N(0, 1)/sqrt(m). Biases start at 0, but for the LSTM's forget gate, at 1.
        init_std: the standard deviation for "normal" and "orthogonal".
        seed: of the random generator for weights and samples.
        vocabulary: the characters; by default those of the first text that the model trains on.
        level: the kernels to use ("base", "v3", "v4", "numpy"); by default the best for this processor.

    Many threads may read a model at the same time (`synthesize`, `evaluate`, `copy`, `save` ...), one may train it while none reads:
    others get a `BusyError`. Raises `SettingsError` for arguments
    that make no sense, and before anything is allocated for sizes that no memory holds.

    >>> model = CharRNN(hidden_size=16, seed=1)
    >>> history = model.train("to be or not to be, that is the question. " * 20, updates=300, progress=False)
    >>> bool(history.smooth_loss_per_char[-1] < history.smooth_loss_per_char[0])
    True
    >>> len(model.synthesize(20, seed=1))
    20
    """

    @classmethod
    def from_recipe(cls, name: str, **overrides: Any) -> CharRNN:
        """A model with a recipe's settings, for its arguments and as defaults of its `train`; see `charrnn.recipes`.

        >>> CharRNN.from_recipe("dd2424-2017", seed=7).training_defaults["optimizer"]
        'adagrad'
        """
        from charrnn.recipes import load_recipe

        recipe = load_recipe(name)
        for key in overrides:
            arguments.one_of("argument of CharRNN", key, (*MODEL, "level", "vocabulary"))
        model = cls(**(recipe.model | overrides))
        model.recipe, model.training_defaults = recipe.name, dict(recipe.training)
        return model

    def best(self) -> CharRNN:
        """A copy of the model as it was when its smooth loss on the text that it learns was lowest, over all calls of
        `train` with that text; without one, as it is.

        >>> model = CharRNN(hidden_size=8)
        >>> history = model.train("she sells sea shells " * 9, updates=60, progress=False)
        >>> bool((model.best().theta == history.best.theta).all())
        True
        """
        other = self.copy()
        if other.run is not None and other.run.best is not None:
            other.theta[:] = other.run.best
            since = other.run.step - other.run.smooth.best_step
            other.run.step, other.run.done = other.run.smooth.best_step, max(0, other.run.done - since)
        return other

    # ---- training --------------------------------------------------------------------------------------------------

    def train(
        self,
        text: str | bytes | Corpus,
        updates: int | None = None,
        *,
        epochs: float | None = None,
        progress: bool | str = True,
        callbacks: Sequence[Callback] = (),
        validation: str | bytes | Corpus | None = None,
        threads: int | None = None,
        checkpoint: str | os.PathLike[str] | None = None,
        checkpoint_every: str | int = "1m",
        keep: int = 3,
        **settings: Any,
    ) -> History:
        """Train by truncated backprop-through-time; a second call goes on from where the first ended.

        Args:
            text: what to learn. Its characters become the vocabulary if the model has none.
            updates, epochs: how long; by default 100,000 updates.
            seq_length: T, characters per window (25).
            batch_size: B, streams the text is cut into and walked side by side (1).
            optimizer: "adagrad", "adam", "rmsprop" or "sgd".
            learning_rate: 0.1, as AdaGrad wants it.
            input_rate: the learning rate of U as a multiple of the others' (1): a character's column of U learns only
                when the character occurs, and gains from larger steps.
            eps, beta1, beta2: the optimizer's constants (1e-8, 0.9, 0.999); beta1 is sgd's momentum.
            schedule: of the learning rate: "constant", or "linear" or "cosine" down to 0.
            warmup: updates of linear rise before that (0).
            clip: bound on each element of the gradient (5, None for none).
            clip_norm: bound on its Euclidean norm (None).
            loss_reduction: "sum" over the window, or "mean" per character: scales the gradient.
            dropout: the share of units, between layers and below the output, that are dropped in each update (0).
            sample_every: updates between samples, of which the first is before update 1 (10,000; None: no samples).
            sample_length: its characters (200).
            validation: a text to be evaluated every validate_every updates and at the end.
            rescue: when a loss, gradient or parameter is no longer finite, go back to the last sound parameters and
                on with half the learning rate, noted in history.notes, instead of stopping.
            threads: by default one for few lanes, else all cores. Any number gives the same bits.
            progress: show a bar (True, False or "notebook").
            callbacks: called with an `Event` at every chunk, sample and validation; a true answer stops the run.
            checkpoint: a folder for the last `keep` checkpoints, from which `resume` goes on.
            checkpoint_every: "30s", "1m", "2h", or a number of updates; one more at the start and at the end.

        Returns a `History`. Ctrl-C and SIGTERM stop cleanly: the history says `interrupted` and the model is as the
        last update left it; a second Ctrl-C ends at once. Raises `SettingsError`, `TextError` before any work;
        `NonFiniteError` when numbers are no longer finite (the model is put back to its last sound state);
        `OutputError` when a checkpoint cannot be written.

        >>> history = CharRNN(hidden_size=16).train("so it goes, " * 30, updates=50, batch_size=2, progress=False)
        >>> len(history), history.loss.shape
        (50, (50,))
        """
        from charrnn.threads import check_threads
        from charrnn.training.plan import Settings

        settings = self._settings_so_far() | settings
        if updates is not None or epochs is not None:  # replaces the recipe's length, in whichever unit that was
            settings |= {"updates": updates, "epochs": epochs}
        checked = Settings.given(settings)
        check_threads(threads)
        plan = self._plan(text, validation, checked)
        return self.train_plan(
            plan,
            progress=progress,
            callbacks=callbacks,
            threads=threads,
            checkpoint=checkpoint,
            checkpoint_every=checkpoint_every,
            keep=keep,
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
    ) -> History:
        """`train`, of a plan that was checked when it was made."""
        from charrnn.files.atomic import alone_in
        from charrnn.training.checkpoint import Checkpoints
        from charrnn.training.run import Run

        with self._access.training():
            before, note = self._run_so_far()
            run = before.next(plan) if before else Run(plan.settings, total=plan.updates, fingerprint=plan.corpus.fingerprint)
            if checkpoint is None:
                return self._train(plan, run, progress, callbacks, threads, note=note)
            keeper = Checkpoints(checkpoint, checkpoint_every, keep, {"recipe": self.recipe})
            with alone_in(keeper.folder):
                keeper.require_new(run.step)
                return self._train(plan, run, progress, callbacks, threads, keeper, note=note)

    def _run_so_far(self) -> tuple[Run | None, str]:
        """What training goes on from, and what is to be said about it."""
        if self.run is not None or self.trained is None:
            return self.run, ""
        from charrnn.training.state import run_of_model

        return run_of_model(self.network, self.trained, self._loaded or {}, "the model's file")

    def _settings_so_far(self) -> dict[str, Any]:
        """The settings that training goes on with, where no others are given: the last ones, else the recipe's."""
        before, _ = self._run_so_far()
        if before is None:
            return dict(self.training_defaults)
        return self.training_defaults | {name: value for name, value in vars(before.settings).items() if name not in LENGTH}

    @classmethod
    def resume(
        cls,
        path: str | os.PathLike[str],
        text: str | bytes | Corpus,
        *,
        validation: str | bytes | Corpus | None = None,
        allow_other_text: bool = False,
        progress: bool | str = True,
        callbacks: Sequence[Callback] = (),
        threads: int | None = None,
        level: str | None = None,
    ) -> tuple[CharRNN, History]:
        """Go on with a run from its newest checkpoint to its planned end; the model and the whole run's history.

        Settings, random generator and the schedule of checkpoints are the run's own: what comes out is, bit for bit,
        what the run would have come to undisturbed.

        Args:
            path: a checkpoint, or the folder of them that `train` was given; a damaged one is passed over for the one
                before, with a note in history.notes.
            text, validation: the same as then.
            allow_other_text: take another text; its first epoch begins.
            progress, callbacks, threads: as for `train`.
            level: the kernels to use.

        Raises `ModelFileError` if there is no sound checkpoint, `TextError` for another text, `OutputError` while another process
        goes on with the same run, otherwise like `train`.

        >>> import tempfile
        >>> text = "she sells sea shells by the sea shore. " * 30
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     plan = {"updates": 200, "checkpoint": folder, "checkpoint_every": 50, "progress": False}
        ...     first = CharRNN(hidden_size=16).train(text, **plan, callbacks=[lambda event: event.done == 50])
        ...     model, history = CharRNN.resume(folder, text, progress=False)
        >>> len(first), len(history)
        (50, 200)
        """
        from charrnn.files.atomic import alone_in
        from charrnn.threads import check_threads
        from charrnn.training.checkpoint import Checkpoints, folder_of, load_newest

        allow_other_text = arguments.yes_or_no("allow_other_text", allow_other_text)
        check_threads(threads)
        with alone_in(folder_of(path)):
            found = load_newest(path, level)
            model = cls._of(found.network)
            model.rng, model.recipe = found.rng, found.recipe
            with model._access.training():
                plan = model._plan(text, validation, found.run.settings)
                found.check_texts(plan.corpus, plan.validation, allow_other_text)
                keeper = Checkpoints(found.folder, found.every, found.keep, {"recipe": found.recipe})
                return model, model._train(plan, found.run, progress, callbacks, threads, keeper, (found.losses, found.past))

    def _plan(self, text: str | bytes | Corpus, validation: str | bytes | Corpus | None, settings: Settings) -> TrainingPlan:
        """Both texts as ids, after every check."""
        from charrnn.training.plan import TrainingPlan

        corpus, held_out = self.corpus_of(text), None
        if validation is not None:
            held_out = validation if isinstance(validation, Corpus) else Corpus.from_text(validation, corpus.vocabulary, "validation")
            if held_out.vocabulary != corpus.vocabulary:
                held_out = Corpus.from_text(held_out.text(0, len(held_out)), corpus.vocabulary, held_out.name)
        return TrainingPlan.of(self.settings, settings, corpus, held_out)

    def _train(
        self,
        plan: TrainingPlan,
        run: Run,
        progress: bool | str,
        callbacks: Sequence[Callback],
        threads: int | None,
        keeper: Checkpoints | None = None,
        past: tuple[Array, dict[str, Any]] | None = None,
        note: str = "",
    ) -> History:
        from charrnn.training.trainer import Trainer

        callbacks = arguments.listed("callbacks", callbacks)
        for callback in callbacks:
            if not callable(callback):
                raise SettingsError(f"callbacks must be functions of an Event, got {callback!r}")
        if progress:
            from charrnn.display.progress import bar

            callbacks = [bar(progress), *callbacks]
        if self._network is None:  # now that nothing was refused
            self._begin(plan.corpus.vocabulary)
        run.validation = plan.validation.fingerprint if plan.validation else None
        trainer = Trainer(self.network, run, plan, self.rng, self, threads)
        if past:
            trainer.recall(*past)
        if note:
            trainer.history.notes.append(note)
        self.run = run
        history = trainer.run(callbacks, keeper)
        history.best = self.best()
        return history

    # ---- gradients -------------------------------------------------------------------------------------------------

    def loss_and_gradients(self, inputs: Any, targets: Any, state: Any = None) -> tuple[float, dict[str, Array], Array]:
        """The summed loss of one window in nats, its unclipped gradients, and the state after it.

        inputs, targets (T, B) or (T,): ids below K. state (layers, states, B, m), the states being h and, of an LSTM, c: the carried
        state, 0 by default; (B, m) will do where that is all. Gradients come by the names and in the shapes of `parameters`, as
        arrays of their own; the new state is (layers, states, B, m). Source: Goodfellow et al. 2016, 10.2.2.

        >>> model = CharRNN(hidden_size=4, vocabulary="ab", dtype="float64")
        >>> loss, gradients, state = model.loss_and_gradients([0, 1, 0], [1, 0, 1])
        >>> round(loss / 3, 3), gradients["W"].shape, state.shape
        (0.693, (4, 4), (1, 1, 1, 4))
        """
        with self._access.reading():
            network = self.network
            x, y = network.ids("inputs", inputs), network.ids("targets", targets)
            if x.shape != y.shape:
                raise SettingsError(f"inputs and targets must have one shape, got {x.shape} and {y.shape}")
            return network.loss_and_gradients(x, y, None if state is None else network.state(state, x.shape[1]))

    def gradcheck(self, text: str | bytes | Corpus, seq_length: int = 25, **options: Any) -> GradientReport:
        """Compare the gradients with finite differences, in float64, on the first window of text: a `GradientReport`.

        The options are those of `charrnn.gradients.check.gradcheck`, and so are the errors. A model without a vocabulary is
        checked with the text's.

        >>> CharRNN(hidden_size=4).gradcheck("hey diddle diddle", seq_length=8).passed
        True
        """
        from charrnn.gradients.check import gradcheck

        network, corpus = self.network_for(text)
        return gradcheck(network, corpus, seq_length, **options)

    def network_for(self, text: str | bytes | Corpus) -> tuple[Network, Corpus]:
        """The network, or the one that there would be if it learned this text, and the text."""
        corpus = self.corpus_of(text)
        if self._network is not None:
            return self.copy_of_network(), corpus
        model = self.copy()
        model._begin(corpus.vocabulary)
        return model.network, corpus

    # ---- use -------------------------------------------------------------------------------------------------------

    def synthesize(
        self,
        length: int = 1000,
        prime: str | bytes = "",
        temperature: float = 1.0,
        seed: int | None = None,
        *,
        top_k: int | None = None,
        top_p: float = 1.0,
        stop: str | bytes | None = None,
        n: int | None = None,
    ) -> Any:
        """`length` characters that continue `prime`, which is not repeated (`bytes` from a model of raw bytes).

        Args:
            length: how many characters.
            prime: what the model reads first; without one, as if a line had just ended.
            temperature: divides the logits: below 1 safer, above 1 wilder, 0 always the likeliest character.
            seed: makes it repeatable; without one the model's own generator runs on.
            top_k: keep only this many of the likeliest characters.
            top_p: keep only the likeliest that together have this probability (Holtzman et al. 2020).
            stop: a text after whose first occurrence the passage ends.
            n: return a list of `n` passages, computed side by side.

        Raises `TextError` for a prime outside the vocabulary, `SettingsError` for other arguments.

        >>> CharRNN(hidden_size=4, vocabulary="ab").synthesize(6, prime="a", temperature=0) in ("aaaaaa", "bbbbbb")
        True
        """
        length = arguments.whole_number("length", length, at_least=0)
        lanes = 1 if n is None else arguments.whole_number("n", n)
        arguments.memory(f"{lanes:,} passages of {length:,} characters", (8 if n is None else 20) * length * lanes)
        if n is None:
            pieces = self.stream(length, prime, temperature, seed, top_k=top_k, top_p=top_p, stop=stop)
            return (b"" if self.vocabulary.raw_bytes else "").join(pieces)
        with self._access.reading():
            sampling.check_stop(self.vocabulary, stop)
            ids = sampling.starting_ids(self.vocabulary, prime)
            drawn = sampling.Sampler(self.network, ids, lanes, None, temperature, top_k, top_p).draw(length, self._generator(seed))
            return [sampling.up_to(self.vocabulary.decode(lane), stop) for lane in drawn.T]

    def stream(
        self,
        length: int,
        prime: str | bytes = "",
        temperature: float = 1.0,
        seed: int | None = None,
        *,
        top_k: int | None = None,
        top_p: float = 1.0,
        stop: str | bytes | None = None,
        piece: int = sampling.PIECE,
    ) -> Iterator[Any]:
        """`synthesize`, given out as it is drawn, in pieces of `piece` characters.

        It goes on from the model as it is now, whatever becomes of it meanwhile. The text and the errors are those of
        `synthesize`.

        >>> model = CharRNN(hidden_size=4, vocabulary="ab")
        >>> "".join(model.stream(9, seed=1, piece=2)) == model.synthesize(9, seed=1)
        True
        """
        length, piece = arguments.whole_number("length", length, at_least=0), arguments.whole_number("piece", piece)
        with self._access.reading():
            sampling.check_stop(self.vocabulary, stop)
            ids = sampling.starting_ids(self.vocabulary, prime)
            sampler = sampling.Sampler(self.network.copy(), ids, 1, None, temperature, top_k, top_p)
            return sampling.stream(sampler, length, self._generator(seed), stop, piece)

    def _generator(self, seed: int | None) -> np.random.Generator:
        """For one passage: from the seed or, without one, from the model's own generator, which moves on by one
        number.
        """
        if seed is None:
            return np.random.Generator(np.random.PCG64(int(self.rng.integers(1 << 63))))
        return np.random.Generator(np.random.PCG64(arguments.whole_number("seed", seed, at_least=0)))

    def evaluate(self, text: str | bytes | Corpus, batch_size: int = 1) -> Evaluation:
        """The loss of a text, in nats per character, read from its beginning with the state carried through.

        batch_size is the number of streams that it is cut into, to be read side by side: faster, each with a cold start.
        Raises `TextError` for a text of fewer than two characters or with characters outside the vocabulary.

        >>> CharRNN(hidden_size=4, init_std=0, vocabulary="ab").evaluate("abab").perplexity
        2.0
        """
        with self._access.reading():
            return evaluation.evaluate(self.network, self.corpus_of(text), batch_size)

    def losses(self, text: str | bytes | Corpus) -> Array:
        """(N-1,): nats of each character after the first, given all before it. Raises `TextError` like `evaluate`.

        >>> CharRNN(hidden_size=4, init_std=0, vocabulary="ab").losses("aba").round(3)
        array([0.693, 0.693])
        """
        with self._access.reading():
            network, corpus = self.network, self.corpus_of(text)
            corpus.require_window(1)
            return np.concatenate([work.losses[:, 0].copy() for _, _, work in evaluation.windows_of(network, corpus)])
