"""CharRNN: a vanilla recurrent network over characters. Validates, owns the parameters and the random generator, and delegates."""
from __future__ import annotations

import copy
import math
import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from charrnn import arguments, evaluation, kernels, sampling
from charrnn.corpus import IN_MEMORY, Corpus
from charrnn.errors import BusyError, SettingsError, TextError
from charrnn.evaluation import Evaluation
from charrnn.exchange import model_metadata, model_of, model_tensors
from charrnn.history import History
from charrnn.parameters import Array, Workspace, named_views, new_theta, padded, rows_of
from charrnn.settings import Settings
from charrnn.training import Callback, Keeper, Progress, Trainer, check_memory
from charrnn.vocabulary import Vocabulary

if TYPE_CHECKING:
    from charrnn.gradcheck import GradientReport

DTYPES = ("float32", "float64")
INITS = ("normal", "scaled", "orthogonal")


class CharRNN:
    """A character-level vanilla RNN with one hidden layer.

        a_t = W h_{t-1} + U x_t + b     h_t = tanh(a_t)     o_t = V h_t + c     p_t = softmax(o_t)

    Args:
        hidden_size: m, the number of hidden units.
        dtype: "float32" or "float64".
        init: how weights start: "normal", N(0, init_std^2); "scaled", U ~ N(0, 1)/sqrt(2K), W ~ N(0, 1)/sqrt(2m),
            V ~ N(0, 1)/sqrt(m); "orthogonal", W a random rotation, U ~ N(0, init_std^2), V ~ N(0, 1)/sqrt(m). b and c start at 0.
        init_std: the standard deviation for "normal" and "orthogonal".
        seed: of the random generator for weights and samples.
        vocabulary: the characters; by default those of the first text that the model trains on.
        level: the kernels to use ("base", "v3", "v4", "numpy"); by default the best for this processor.

    A model may be used by one thread at a time: another one gets a `BusyError`. Raises `SettingsError` for arguments that make no
    sense, and before anything is allocated for sizes that no memory holds.

    >>> model = CharRNN(hidden_size=16, seed=1)
    >>> history = model.train("to be or not to be, that is the question. " * 20, updates=300, progress=False)
    >>> bool(history.smooth_loss_per_char[-1] < history.smooth_loss_per_char[0])
    True
    >>> len(model.synthesize(20, seed=1))
    20
    """

    def __init__(
        self, hidden_size: int = 100, dtype: str = "float32", init_std: float = 0.01, seed: int = 0, *, init: str = "normal",
        vocabulary: Vocabulary | str | bytes | None = None, level: str | None = None,
    ) -> None:  # fmt: skip
        self.hidden_size = arguments.whole_number("hidden_size", hidden_size)
        self.dtype = _precision(dtype)
        self.init_std = arguments.number("init_std", init_std, at_least=0)
        self.init = arguments.one_of("init", init, INITS)
        self.seed = arguments.whole_number("seed", seed, at_least=0)
        self.kernels = kernels.get(level)
        self.level = level or kernels.chosen()
        self.rng = np.random.Generator(np.random.PCG64(self.seed))
        self.recipe: str | None = None
        self.training_defaults: dict[str, Any] = {}
        self.progress: Progress | None = None
        self.origin: dict[str, Any] | None = None  # what the file that it was loaded from says of its training
        self._lock = threading.RLock()
        self._training = False
        self._vocabulary: Vocabulary | None = None
        self._theta: Array | None = None
        self._check_size(2)
        if vocabulary is not None:
            self._set_vocabulary(vocabulary if isinstance(vocabulary, Vocabulary) else Vocabulary.from_text(vocabulary))

    @classmethod
    def from_recipe(cls, name: str, **overrides: Any) -> CharRNN:
        """A model with a recipe's settings, for its arguments and as defaults of its `train`; see `charrnn.recipes`.

        >>> CharRNN.from_recipe("dd2424-2017", seed=7).training_defaults["optimizer"]
        'adagrad'
        """
        from charrnn.recipes import load_recipe

        recipe = load_recipe(name)
        model = cls(**(recipe.model | overrides))
        model.recipe, model.training_defaults = recipe.name, dict(recipe.training)
        return model

    # ---- parameters -----------------------------------------------------------------------------------------------------

    @property
    def vocabulary(self) -> Vocabulary:
        """The characters that the model knows. SettingsError before it has any."""
        if self._vocabulary is None:
            raise SettingsError("the model has no vocabulary yet: train it on a text first, or give CharRNN a vocabulary=")
        return self._vocabulary

    @property
    def theta(self) -> Array:
        """All parameters in the layout of the kernels (csrc/kernels.pxi, note b)."""
        if self._theta is None:
            self.vocabulary  # noqa: B018  raises, saying why there are none
        assert self._theta is not None
        return self._theta

    @property
    def parameters(self) -> dict[str, Array]:
        """U (m, K), W (m, m), V (K, m), b (m,), c (K,): views, so writing into them changes the model.

        >>> {name: array.shape for name, array in CharRNN(hidden_size=5, vocabulary="abc").parameters.items()}
        {'U': (5, 3), 'W': (5, 5), 'V': (3, 5), 'b': (5,), 'c': (3,)}
        """
        return named_views(self.theta, self.hidden_size, len(self.vocabulary))

    def _check_size(self, K: int) -> None:
        m = self.hidden_size
        size = 2 * rows_of(m, K, self.dtype) * padded(m, self.dtype) * self.dtype.itemsize
        arguments.memory(f"a network of {m:,} hidden units and {K:,} symbols", size)

    def _set_vocabulary(self, vocabulary: Vocabulary) -> None:
        m, K = self.hidden_size, len(vocabulary)
        self._check_size(K)
        rng, theta = copy.deepcopy(self.rng), new_theta(m, K, self.dtype)
        p = named_views(theta, m, K)
        spread = {"U": self.init_std, "W": self.init_std, "V": self.init_std}
        if self.init != "normal":
            spread = {"U": 1 / math.sqrt(2 * K), "W": 1 / math.sqrt(2 * m), "V": 1 / math.sqrt(m)}
        if self.init == "orthogonal":
            spread |= {"U": self.init_std, "W": 1.0}
        for name, std in spread.items():
            p[name][:] = rng.normal(0, std, p[name].shape) if std else 0
        if self.init == "orthogonal":
            q, r = np.linalg.qr(p["W"].astype(np.float64))
            p["W"][:] = q * np.sign(np.diag(r))
        self.adopt(vocabulary, theta)
        self.rng = rng  # all or nothing: a model whose memory did not suffice is as it was

    def adopt(self, vocabulary: Vocabulary, theta: Array) -> None:
        """Take over parameters in the layout of `charrnn.parameters` and the vocabulary that they are for."""
        self._vocabulary, self._theta = vocabulary, theta

    def copy(self) -> CharRNN:
        """A model of its own with the same parameters, vocabulary and random generator; what a run left to go on with is not copied."""
        with self._alone():
            return self._copy()

    def _copy(self) -> Self:
        other = object.__new__(type(self))
        other.__dict__ |= self.__dict__ | {"_lock": threading.RLock(), "_training": False, "progress": None, "rng": copy.deepcopy(self.rng)}
        other.training_defaults = dict(self.training_defaults)
        other.origin = self.progress.plain() if self.progress else self.origin
        if self._theta is not None:
            other._theta = new_theta(self.hidden_size, len(self.vocabulary), self.dtype)
            other._theta[:] = self._theta
        return other

    def __copy__(self) -> CharRNN:
        return self.copy()

    def __deepcopy__(self, memo: Any) -> CharRNN:
        return self.copy()

    def astype(self, dtype: str) -> CharRNN:
        """A copy in another precision."""
        other = self.copy()
        other.dtype = _precision(dtype)
        if self._theta is not None:
            other._theta = new_theta(self.hidden_size, len(self.vocabulary), dtype)
            for name, array in self.parameters.items():
                other.parameters[name][:] = array
        return other

    def best(self) -> CharRNN:
        """A copy of the model as it was, in the last call of `train`, when its smooth loss was lowest; without one, as it is."""
        with self._alone():
            other = self._copy()
            if self.progress is not None and self.progress.best is not None:
                other.theta[:] = self.progress.best
                assert other.origin is not None
                other.origin["step"] = abs(int(self.progress.smooth[3]))
            return other

    def __repr__(self) -> str:
        K = "no vocabulary yet" if self._vocabulary is None else f"vocabulary of {len(self._vocabulary)}"
        done = f", {self.progress.step:,} updates" if self.progress else ""
        return f"CharRNN({self.hidden_size} hidden units, {K}, {self.dtype.name}{done})"

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """One thread at a time: another one gets a BusyError instead of a corrupted model."""
        if not self._lock.acquire(blocking=False):
            raise BusyError("this model is being used by another thread; give each thread a model of its own (model.copy())")
        try:
            yield
        finally:
            self._lock.release()

    def corpus_of(self, text: str | bytes | Corpus) -> Corpus:
        """text as ids of this model's vocabulary, or, before there is one, of its own."""
        if isinstance(text, Corpus):
            if self._vocabulary is not None and text.vocabulary != self._vocabulary:
                if len(text) > IN_MEMORY:
                    raise TextError(f"{text.name} is too long to be numbered anew: read it with vocabulary=model.vocabulary")
                return Corpus.from_text(text.text(0, len(text)), self._vocabulary, text.name)
            return text
        if not isinstance(text, (str, bytes)):
            raise TextError(f"text must be a str, bytes or a Corpus, got {type(text).__name__}; for files see charrnn.read_corpus")
        return Corpus.from_text(text, self._vocabulary)

    # ---- training -------------------------------------------------------------------------------------------------------

    def train(
        self, text: str | bytes | Corpus, updates: int | None = None, *, epochs: float | None = None, progress: bool | str = True,
        callbacks: Sequence[Callback] = (), validation: str | bytes | Corpus | None = None, threads: int | None = None,
        checkpoint: str | os.PathLike[str] | None = None, checkpoint_every: str | float = "1m", keep: int = 3, **settings: Any,
    ) -> History:  # fmt: skip
        """Train by truncated backprop-through-time; a second call goes on from where the first ended.

        Args:
            text: what to learn. Its characters become the vocabulary if the model has none.
            updates, epochs: how long; by default 100,000 updates.
            seq_length: T, characters per window (25).  batch_size: B, streams the text is cut into and walked side by side (1).
            optimizer: "adagrad", "adam", "rmsprop" or "sgd"; eps, beta1, beta2: their constants (beta1 is sgd's momentum).
            learning_rate: 0.1 (AdaGrad).  schedule: "constant", "linear" or "cosine", down to 0; warmup: updates of linear rise.
            clip: bound on each element of the gradient (5, None for none).  clip_norm: bound on its Euclidean norm (None).
            loss_reduction: "sum" over the window, or "mean" per character: scales the gradient.
            sample_every: a sample of sample_length (200) characters before update 1 and every so many-th (10,000; None: no samples).
            validation: a text to be evaluated every `validate_every` updates and at the end.
            rescue: when a loss, gradient or parameter is no longer finite, go back to the last sound parameters and on with half
                the learning rate, noted in history.notes, instead of stopping.
            threads: by default one for few lanes, else all cores. Any number gives the same bits.
            progress: show a bar (True, False or "notebook").
            callbacks: called with an `Event` at every chunk, sample and validation; a true answer stops the run.
            checkpoint: a folder for the last `keep` checkpoints, from which `resume` goes on; written every `checkpoint_every`
                ("30s", "1m", "2h", or a number of updates) and at the end.

        Returns a `History`. Ctrl-C and SIGTERM stop cleanly: the history says `interrupted` and the model is as the last update
        left it; a second Ctrl-C ends at once. Raises `SettingsError`, `TextError` before any work; `NonFiniteError` when numbers
        are no longer finite (the model is put back to its last sound state); `OutputError` when a checkpoint cannot be written.
        """
        settings = self.training_defaults | settings
        if updates is not None or epochs is not None:  # what the caller says replaces the recipe's length, in either unit
            settings = {k: v for k, v in settings.items() if k not in ("updates", "epochs")} | {"updates": updates, "epochs": epochs}
        known = [f.name for f in fields(Settings)]
        for name in settings:
            if name not in known:
                raise SettingsError(f"train has no argument {name!r}{arguments.nearest(name, known)}")
        checked = Settings(**settings).check()
        with self._alone():
            corpus, held_out = self._texts(text, validation, checked)
            state = self._next_progress(checked, corpus)
            keeper = None
            if checkpoint is not None:
                from charrnn.checkpoint import Checkpoints

                keeper = Checkpoints(checkpoint, checkpoint_every, keep)
                keeper.require_new(state.step)
            return self._run(corpus, held_out, state, progress, callbacks, threads, keeper)

    @classmethod
    def resume(
        cls, path: str | os.PathLike[str], text: str | bytes | Corpus, *, validation: str | bytes | Corpus | None = None,
        allow_other_text: bool = False, progress: bool | str = True, callbacks: Sequence[Callback] = (), threads: int | None = None,
        level: str | None = None,
    ) -> tuple[CharRNN, History]:  # fmt: skip
        """Go on with a run from its newest checkpoint to its planned end; the model and the whole run's history.

        path: a checkpoint, or the folder of them that `train` was given; a damaged one is passed over for the one before, with a
        note in history.notes. Settings, random generator and the schedule of checkpoints are the run's own: what comes out is,
        bit for bit, what the run would have come to undisturbed. text, validation: the same as then; another text raises
        `TextError`, unless allow_other_text: then its first epoch begins. The other arguments are those of `train`.

        Raises `ModelFileError` if there is no sound checkpoint, otherwise like `train`.

        >>> import tempfile
        >>> text = "she sells sea shells by the sea shore. " * 30
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     first = CharRNN(hidden_size=16).train(
        ...         text, updates=200, progress=False, checkpoint=folder, checkpoint_every=50, callbacks=[lambda event: event.done >= 50])
        ...     model, history = CharRNN.resume(folder, text, progress=False)
        >>> len(first), len(history)
        (50, 200)
        """
        from charrnn.checkpoint import Checkpoints, load_newest

        allow_other_text = arguments.yes_or_no("allow_other_text", allow_other_text)
        found = load_newest(path, level)
        model, state = found.model, found.progress
        with model._alone():
            corpus, held_out = model._texts(text, validation, state.settings)
            found.check_texts(corpus, held_out, allow_other_text)
            keeper = Checkpoints(found.folder, found.every, found.keep)
            return model, model._run(corpus, held_out, state, progress, callbacks, threads, keeper, (found.losses, found.past))

    def _texts(
        self, text: str | bytes | Corpus, validation: str | bytes | Corpus | None, settings: Settings
    ) -> tuple[Corpus, Corpus | None]:
        """Both texts as ids, after every check, and from then on a vocabulary."""
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
        if self._vocabulary is None:
            self._set_vocabulary(corpus.vocabulary)
        return corpus, held_out

    def _run(
        self, corpus: Corpus, held_out: Corpus | None, state: Progress, progress: bool | str, callbacks: Sequence[Callback],
        threads: int | None, keeper: Keeper | None, past: tuple[Array, dict[str, Any]] | None = None,
    ) -> History:  # fmt: skip
        if self._training:
            raise BusyError("this model is being trained: a callback cannot train it as well; train a copy (model.copy())")
        state.held_out = held_out.fingerprint if held_out else None
        trainer = Trainer(self, corpus, state, held_out, threads)
        if past:
            trainer.recall(*past)
        if progress:
            from charrnn.progress import bar

            callbacks = [bar(progress), *callbacks]
        self.progress, self._training = state, True
        try:
            history = trainer.run(callbacks, keeper)
        finally:
            self._training = False
        history.best = self.best()
        return history

    def _next_progress(self, settings: Settings, corpus: Corpus) -> Progress:
        """Where a new run starts: at the beginning, or where the last one ended, as far as its settings and text are the same."""
        last = self.progress
        total = settings.total(len(corpus) // settings.batch_size)
        if last is None:
            return Progress(total=total, fingerprint=corpus.fingerprint, settings=settings)
        now = replace(last, done=0, total=total, rescues=0, safe=None, fingerprint=corpus.fingerprint, settings=settings)
        now.smooth = last.smooth.copy()
        if last.settings.optimizer != settings.optimizer:
            now.slots, now.moments = None, 0
        if (last.fingerprint, last.settings.batch_size) != (corpus.fingerprint, settings.batch_size):
            now.cursor, now.hidden = len(corpus), None  # past the end: the next window opens an epoch
        now.smooth[:2] *= settings.window / last.settings.window  # smooth losses are sums over the window
        return now

    # ---- gradients ------------------------------------------------------------------------------------------------------

    def loss_and_gradients(
        self, inputs: Any, targets: Any, state: Any = None
    ) -> tuple[float, dict[str, Array], Array]:
        """The summed loss of one window in nats, its unclipped gradients, and the state after it.

        inputs, targets (T, B) or (T,): ids below K. state (B, m): the carried state, 0 by default. Gradients come by the names
        and in the shapes of `parameters`, as arrays of their own; the new state is (B, m). Source: Goodfellow et al. 2016, 10.2.2.

        >>> model = CharRNN(hidden_size=4, vocabulary="ab", dtype="float64")
        >>> loss, gradients, state = model.loss_and_gradients([0, 1, 0], [1, 0, 1])
        >>> round(loss / 3, 3), gradients["W"].shape, state.shape
        (0.693, (4, 4), (1, 4))
        """
        x, y = self._ids("inputs", inputs), self._ids("targets", targets)
        if x.shape != y.shape:
            raise SettingsError(f"inputs and targets must have one shape, got {x.shape} and {y.shape}")
        m, K = self.hidden_size, len(self.vocabulary)
        T, B = x.shape
        arguments.memory(f"a window of {T:,} steps in {B:,} lanes", T * B * 3 * self.dtype.itemsize * (padded(m, self.dtype) + K))
        work = Workspace(m, K, T, B, self.dtype)
        if state is not None:
            state = np.asarray(state)
            if state.shape != (x.shape[1], m):
                raise SettingsError(f"state must have shape {(x.shape[1], m)}, got {state.shape}")
            work.hidden[0, :, :m] = state
        with self._alone():
            self.kernels.renew(self.theta, work)
            self.kernels.forward(self.theta, work, x, y)
            self.kernels.backward(self.theta, work, x)
        gradients = {name: array.copy() for name, array in named_views(work.gradients, m, K).items()}
        return float(work.losses.sum()), gradients, work.hidden[-1, :, :m].copy()

    def _ids(self, name: str, ids: Any) -> Array:
        array = np.asarray(ids)
        if array.dtype.kind not in "iu":
            raise SettingsError(f"{name} must be integer ids (T, B), got {array.dtype} values; one-hot rows become ids by argmax")
        if array.ndim == 1:
            array = array[:, None]
        if array.ndim != 2 or not array.size:
            raise SettingsError(f"{name} must have shape (T, B) with at least one id, got {np.shape(ids)}")
        if array.min() < 0 or array.max() >= len(self.vocabulary):
            raise SettingsError(f"{name} must lie in 0..{len(self.vocabulary) - 1}, got {array.min()}..{array.max()}")
        return np.ascontiguousarray(array, np.intc)

    def gradcheck(self, text: str | bytes | Corpus, seq_length: int = 25, **options: Any) -> GradientReport:
        """Compare the gradients with finite differences, in float64, on the first window of text; see `charrnn.gradcheck`."""
        from charrnn.gradcheck import gradcheck

        return gradcheck(self, text, seq_length, **options)

    # ---- use ------------------------------------------------------------------------------------------------------------

    def synthesize(
        self, length: int = 1000, prime: str | bytes = "", temperature: float = 1.0, seed: int | None = None, *,
        top_k: int | None = None, top_p: float = 1.0, stop: str | bytes | None = None, n: int | None = None,
    ) -> Any:  # fmt: skip
        """`length` characters that continue `prime`, which is not repeated (`bytes` from a model of raw bytes).

        temperature divides the logits: below 1 safer, above 1 wilder, 0 always the likeliest character. top_k and top_p keep only
        the likeliest characters (Holtzman et al. 2020 for top_p). stop ends the passage after its first occurrence. n asks for a
        list of so many passages, computed side by side. seed makes it repeatable; without one the model's own generator runs on.

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
        self, length: int, prime: str | bytes = "", temperature: float = 1.0, seed: int | None = None, *, top_k: int | None = None,
        top_p: float = 1.0, stop: str | bytes | None = None, piece: int = sampling.PIECE,
    ) -> Iterator[Any]:  # fmt: skip
        """`synthesize`, given out as it is drawn, in pieces of so many characters (rounded up to an even number).

        It goes on from the model as it is now, whatever becomes of it meanwhile.
        """
        length, piece = arguments.whole_number("length", length, at_least=0), arguments.whole_number("piece", piece)
        with self._alone():
            sampling.check_stop(self.vocabulary, stop)
            ids = sampling.starting_ids(self.vocabulary, prime)
            sampler = sampling.Sampler(self._copy(), ids, 1, None, temperature, top_k, top_p)
            return sampling.stream(sampler, length, self._generator(seed), stop, piece)

    def _generator(self, seed: int | None) -> np.random.Generator:
        """For one passage: from the seed or, without one, from the model's own generator, which moves on by one number."""
        if seed is None:
            return np.random.Generator(np.random.PCG64(int(self.rng.integers(1 << 63))))
        return np.random.Generator(np.random.PCG64(arguments.whole_number("seed", seed, at_least=0)))

    def evaluate(self, text: str | bytes | Corpus, batch_size: int = 1) -> Evaluation:
        """The loss of a text, read from its beginning with the state carried through.

        batch_size cuts it into so many streams read side by side: faster, each with a cold start. Raises `TextError` for a text
        of fewer than two characters or with characters outside the vocabulary.

        >>> CharRNN(hidden_size=4, init_std=0, vocabulary="ab").evaluate("abab").perplexity
        2.0
        """
        with self._alone():
            self.vocabulary  # noqa: B018  raises when there is none
            return evaluation.evaluate(self, self.corpus_of(text), batch_size)

    def losses(self, text: str | bytes | Corpus) -> Array:
        """(N-1,): nats of each character after the first, given all before it."""
        with self._alone():
            self.vocabulary  # noqa: B018  raises when there is none
            corpus = self.corpus_of(text)
            corpus.require_window(1)
            return np.concatenate([losses[:, 0].copy() for losses, _ in evaluation.windows_of(self, corpus, 1)])

    # ---- files ----------------------------------------------------------------------------------------------------------

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the model to a .safetensors file, under the names that torch.nn.RNN and Linear use; see docs on the file format."""
        from charrnn import modelfile

        with self._alone():
            modelfile.write(path, self.to_tensors(), self.to_metadata())

    def to_tensors(self) -> dict[str, Array]:
        """The parameters under the names of torch.nn.RNN (rnn.*) and torch.nn.Linear (head.*)."""
        return model_tensors(self)

    def to_metadata(self) -> dict[str, Any]:
        """What the file says beside the parameters: vocabulary, sizes, recipe and how far it was trained."""
        return model_metadata(self)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> CharRNN:
        """The model in a file that `save` wrote. Raises `ModelFileError` for any other file or a damaged one."""
        from charrnn import modelfile

        file = modelfile.read(path, kind="model")
        return model_of(file.tensors, file.metadata, os.fspath(path))

    @classmethod
    def from_tensors(cls, tensors: dict[str, Array], metadata: dict[str, Any], name: str = "model") -> CharRNN:
        """A model from the tensors and metadata of a file; ModelFileError where they do not belong together."""
        return model_of(tensors, metadata, name)


def _precision(dtype: Any) -> np.dtype[Any]:
    try:
        name = dtype if isinstance(dtype, str) else np.dtype(dtype).name
    except TypeError:
        name = repr(dtype)
    return np.dtype(arguments.one_of("dtype", name, DTYPES))
