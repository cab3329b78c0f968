"""CharRNN: a vanilla recurrent network over characters that learns a text and writes more of it."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from charrnn import arguments
from charrnn.errors import BusyError, SettingsError
from charrnn.evaluation import evaluate as evaluation
from charrnn.evaluation.evaluate import Evaluation
from charrnn.generation import sampling
from charrnn.network.network import DTYPES as DTYPES
from charrnn.network.network import INITS as INITS
from charrnn.network.network import Network
from charrnn.network.parameters import Array
from charrnn.text.corpus import Corpus

if TYPE_CHECKING:  # what training needs is imported when it begins: who loads a model to use it need not wait for that
    from charrnn.gradients.check import GradientReport
    from charrnn.training.history import History
    from charrnn.training.runstate import Progress
    from charrnn.training.settings import Settings
    from charrnn.training.trainer import Callback, Keeper


class CharRNN(Network):
    """A character-level vanilla RNN with one hidden layer (Goodfellow et al. 2016, 10.2)::

        a_t = W h_{t-1} + U x_t + b     h_t = tanh(a_t)     o_t = V h_t + c     p_t = softmax(o_t)

    Args:
        hidden_size: m, the number of hidden units.
        dtype: "float32" or "float64".
        init: how weights start: "normal", N(0, init_std^2); "scaled", U ~ N(0, 1)/sqrt(2K), W ~ N(0, 1)/sqrt(2m),
            V ~ N(0, 1)/sqrt(m); "orthogonal", W a random rotation, U ~ N(0, init_std^2), V ~ N(0, 1)/sqrt(m). b and
            c start at 0.
        init_std: the standard deviation for "normal" and "orthogonal".
        seed: of the random generator for weights and samples.
        vocabulary: the characters; by default those of the first text that the model trains on.
        level: the kernels to use ("base", "v3", "v4", "numpy"); by default the best for this processor.

    A model may be used by one thread at a time: another one gets a `BusyError`. Raises `SettingsError` for arguments
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
        from charrnn.recipes import MODEL, load_recipe

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
        with self._alone():
            other = self._copy()
            if self.progress is not None and self.progress.best is not None:
                other.theta[:] = self.progress.best
                assert other.origin is not None
                other.origin["step"] = abs(int(self.progress.smooth[3]))
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
        from dataclasses import fields

        from charrnn.threads import check_threads
        from charrnn.training.settings import Settings

        settings = self.training_defaults | settings
        if updates is not None or epochs is not None:  # replaces the recipe's length, in whichever unit that was
            settings |= {"updates": updates, "epochs": epochs}
        known = [f.name for f in fields(Settings)]
        for name in settings:
            if name not in known:
                raise SettingsError(f"train has no argument {name!r}{arguments.nearest(name, known)}")
        checked = Settings(**settings).check()
        check_threads(threads)
        with self._alone():
            corpus, held_out = self._texts(text, validation, checked)
            state = self._next_progress(checked, corpus)
            if checkpoint is None:
                return self._run(corpus, held_out, state, progress, callbacks, threads, None)
            from charrnn.files.atomic import alone_in
            from charrnn.training.checkpoint import Checkpoints

            keeper = Checkpoints(checkpoint, checkpoint_every, keep)
            with alone_in(keeper.folder):
                keeper.require_new(state.step)
                return self._run(corpus, held_out, state, progress, callbacks, threads, keeper)

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
            model, state = found.model, found.progress
            with model._alone():
                corpus, held_out = model._texts(text, validation, state.settings)
                found.check_texts(corpus, held_out, allow_other_text)
                keeper = Checkpoints(found.folder, found.every, found.keep)
                past = found.losses, found.past
                return model, model._run(corpus, held_out, state, progress, callbacks, threads, keeper, past)

    def _texts(
        self, text: str | bytes | Corpus, validation: str | bytes | Corpus | None, settings: Settings
    ) -> tuple[Corpus, Corpus | None]:
        """Both texts as ids, after every check."""
        from charrnn.training.trainer import check_memory

        corpus = self.corpus_of(text)
        updates = settings.total(len(corpus) // settings.batch_size)
        check_memory(self.hidden_size, len(corpus.vocabulary), settings, self.dtype, updates)
        corpus.require_window(settings.seq_length, settings.batch_size)
        held_out = None
        if validation is not None:
            held_out = validation if isinstance(validation, Corpus) else Corpus.from_text(validation, corpus.vocabulary, "validation")
            if held_out.vocabulary != corpus.vocabulary:
                held_out = Corpus.from_text(held_out.text(0, len(held_out)), corpus.vocabulary, held_out.name)
            held_out.require_window(1)
        return corpus, held_out

    def _run(
        self,
        corpus: Corpus,
        held_out: Corpus | None,
        state: Progress,
        progress: bool | str,
        callbacks: Sequence[Callback],
        threads: int | None,
        keeper: Keeper | None,
        past: tuple[Array, dict[str, Any]] | None = None,
    ) -> History:
        from charrnn.training.trainer import Trainer

        if self._training:
            raise BusyError("this model is being trained: a callback cannot train it as well; train a copy (model.copy())")
        callbacks = arguments.listed("callbacks", callbacks)
        for callback in callbacks:
            if not callable(callback):
                raise SettingsError(f"callbacks must be functions of an Event, got {callback!r}")
        if progress:
            from charrnn.display.progress import bar

            callbacks = [bar(progress), *callbacks]
        if self._vocabulary is None:  # now that nothing was refused
            self._set_vocabulary(corpus.vocabulary)
        state.held_out = held_out.fingerprint if held_out else None
        trainer = Trainer(self, corpus, state, held_out, threads)
        if past:
            trainer.recall(*past)
        self.progress, self._training = state, True
        try:
            history = trainer.run(callbacks, keeper)
        finally:
            self._training = False
        history.best = self.best()
        return history

    def _next_progress(self, settings: Settings, corpus: Corpus) -> Progress:
        """Where a new run starts: at the beginning, or where the last one ended, as far as its settings and text are
        the same.
        """
        from dataclasses import replace

        from charrnn.training.runstate import Progress

        last = self.progress
        total = settings.total(len(corpus) // settings.batch_size)
        if last is None:
            return Progress(total=total, fingerprint=corpus.fingerprint, settings=settings)
        now = replace(last, done=0, total=total, rescues=0, safe=None, settings=settings)
        now.smooth = last.smooth.copy()
        if last.settings.optimizer != settings.optimizer:
            now.slots, now.moments = None, 0
        now.smooth[:2] *= settings.window / last.settings.window  # smooth losses are sums over the window
        if last.fingerprint != corpus.fingerprint:
            now.open(corpus)
        elif last.settings.batch_size != settings.batch_size:
            now.open_epoch(corpus)
        return now

    # ---- gradients -------------------------------------------------------------------------------------------------

    def gradcheck(self, text: str | bytes | Corpus, seq_length: int = 25, **options: Any) -> GradientReport:
        """Compare the gradients with finite differences, in float64, on the first window of text: a `GradientReport`.

        The options are those of `charrnn.gradients.check.gradcheck`, and so are the errors.

        >>> CharRNN(hidden_size=4).gradcheck("hey diddle diddle", seq_length=8).passed
        True
        """
        from charrnn.gradients.check import gradcheck

        return gradcheck(self, text, seq_length, **options)

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
        with self._alone():
            sampling.check_stop(self.vocabulary, stop)
            ids = sampling.starting_ids(self.vocabulary, prime)
            drawn = sampling.Sampler(self, ids, lanes, None, temperature, top_k, top_p).draw(length, self._generator(seed))
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
        with self._alone():
            sampling.check_stop(self.vocabulary, stop)
            ids = sampling.starting_ids(self.vocabulary, prime)
            sampler = sampling.Sampler(self._copy(), ids, 1, None, temperature, top_k, top_p)
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
        with self._alone():
            self.vocabulary  # noqa: B018  raises when there is none
            return evaluation.evaluate(self, self.corpus_of(text), batch_size)

    def losses(self, text: str | bytes | Corpus) -> Array:
        """(N-1,): nats of each character after the first, given all before it. Raises `TextError` like `evaluate`.

        >>> CharRNN(hidden_size=4, init_std=0, vocabulary="ab").losses("aba").round(3)
        array([0.693, 0.693])
        """
        with self._alone():
            self.vocabulary  # noqa: B018  raises when there is none
            corpus = self.corpus_of(text)
            corpus.require_window(1)
            return np.concatenate([work.losses[:, 0].copy() for _, _, work in evaluation.windows_of(self, corpus)])
