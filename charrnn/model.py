"""CharRNN: a vanilla recurrent network over characters. Validates, owns the parameters and the random generator, and delegates."""
from __future__ import annotations

import copy
import math
import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from charrnn import arguments, kernels
from charrnn.corpus import Corpus
from charrnn.errors import BusyError, ModelFileError, SettingsError, TextError
from charrnn.history import History
from charrnn.parameters import Array, Workspace, named_views, new_theta, rows_of
from charrnn.sampling import PIECE, Sampler, starting_ids, stream
from charrnn.training import Callback, Progress, Settings, Trainer
from charrnn.vocabulary import Vocabulary

if TYPE_CHECKING:
    from charrnn.gradcheck import GradientReport

DTYPES = ("float32", "float64")
INITS = ("normal", "scaled", "orthogonal")


@dataclass(frozen=True)
class Evaluation:
    """How well a model expects a text: loss in nats per character, over `characters` predictions."""

    loss: float
    accuracy: float
    characters: int

    @property
    def bits_per_char(self) -> float:
        """loss / ln 2."""
        return self.loss / math.log(2)

    @property
    def perplexity(self) -> float:
        """exp(loss): the number of equally likely characters it would be as unsure among."""
        return math.exp(self.loss)

    def __str__(self) -> str:
        return (
            f"{self.loss:.4f} nats per character, {self.bits_per_char:.4f} bits per character, perplexity {self.perplexity:.3f}, "
            f"{self.accuracy:.1%} of {self.characters:,} characters guessed right"
        )


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

    Raises `SettingsError` for arguments that make no sense.

    >>> model = CharRNN(hidden_size=16, seed=1)
    >>> history = model.train("to be or not to be, that is the question. " * 20, updates=300, progress=False)
    >>> history.smooth_loss_per_char[-1] < history.smooth_loss_per_char[0]
    True
    >>> len(model.synthesize(20, seed=1))
    20
    """

    def __init__(
        self, hidden_size: int = 100, dtype: str = "float32", init_std: float = 0.01, seed: int = 0, *, init: str = "normal",
        vocabulary: Vocabulary | str | None = None, level: str | None = None,
    ) -> None:  # fmt: skip
        self.hidden_size = arguments.whole_number("hidden_size", hidden_size)
        self.dtype = np.dtype(arguments.one_of("dtype", dtype if isinstance(dtype, str) else np.dtype(dtype).name, DTYPES))
        self.init_std = arguments.number("init_std", init_std, at_least=0)
        self.init = arguments.one_of("init", init, INITS)
        self.seed = arguments.whole_number("seed", seed, at_least=0)
        self.level = level or kernels.chosen()
        self.kernels = kernels.get(level)
        self.rng = np.random.Generator(np.random.PCG64(self.seed))
        self.recipe: str | None = None
        self.training_defaults: dict[str, Any] = {}
        self.progress: Progress | None = None
        self._lock = threading.Lock()
        self._vocabulary: Vocabulary | None = None
        self._theta: Array | None = None
        if vocabulary is not None:
            self._set_vocabulary(Vocabulary.from_text(vocabulary) if isinstance(vocabulary, str) else vocabulary)

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

    def _set_vocabulary(self, vocabulary: Vocabulary) -> None:
        m, K = self.hidden_size, len(vocabulary)
        if K < 2:
            raise TextError(f"a vocabulary needs at least two characters, got {K}")
        arguments.memory(f"a network of {m:,} hidden units and {K:,} symbols", 8 * rows_of(m, K, self.dtype) * m * self.dtype.itemsize)
        self._vocabulary, self._theta = vocabulary, new_theta(m, K, self.dtype)
        p = self.parameters
        spread = {"U": self.init_std, "W": self.init_std, "V": self.init_std}
        if self.init != "normal":
            spread = {"U": 1 / math.sqrt(2 * K), "W": 1 / math.sqrt(2 * m), "V": 1 / math.sqrt(m)}
        if self.init == "orthogonal":
            spread |= {"U": self.init_std, "W": 1.0}
        for name, std in spread.items():
            p[name][:] = self.rng.normal(0, std, p[name].shape) if std else 0
        if self.init == "orthogonal":
            q, r = np.linalg.qr(p["W"].astype(np.float64))
            p["W"][:] = q * np.sign(np.diag(r))

    def copy(self) -> CharRNN:
        """A model of its own with the same parameters, vocabulary and random generator; what a run left to go on with is not copied."""
        other = copy.copy(self)
        other._lock, other.progress, other.rng = threading.Lock(), None, copy.deepcopy(self.rng)
        if self._theta is not None:
            other._theta = new_theta(self.hidden_size, len(self.vocabulary), self.dtype)
            other._theta[:] = self._theta
        return other

    def astype(self, dtype: str) -> CharRNN:
        """A copy in another precision."""
        other = self.copy()
        other.dtype = np.dtype(arguments.one_of("dtype", dtype, DTYPES))
        if self._theta is not None:
            other._theta = new_theta(self.hidden_size, len(self.vocabulary), dtype)
            for name, array in self.parameters.items():
                other.parameters[name][:] = array
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
                return Corpus.from_text(text.text(0, len(text)), self._vocabulary, text.name)
            return text
        if not isinstance(text, (str, bytes)):
            raise TextError(f"text must be a str, bytes or a Corpus, got {type(text).__name__}; for files see charrnn.read_corpus")
        return Corpus.from_text(text, self._vocabulary)

    # ---- training -------------------------------------------------------------------------------------------------------

    def train(
        self, text: str | bytes | Corpus, updates: int | None = None, *, epochs: float | None = None, progress: bool | str = True,
        callbacks: Sequence[Callback] = (), validation: str | bytes | Corpus | None = None, threads: int | None = None, **settings: Any,
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
            threads: by default one for few lanes, else all cores. Any number gives the same bits.
            progress: show a bar (True, False or "notebook").
            callbacks: called with an `Event` at every chunk, sample and validation; a true answer stops the run.

        Returns a `History`. Ctrl-C stops cleanly: the history says `interrupted` and the model is as the last update left it.
        Raises `SettingsError`, `TextError` before any work; `NonFiniteError` when the loss is no longer finite (the model is
        put back to its last good state).
        """
        settings = self.training_defaults | settings
        if updates is not None or epochs is not None:  # what the caller says replaces the recipe's length, in either unit
            settings = {k: v for k, v in settings.items() if k not in ("updates", "epochs")} | {"updates": updates, "epochs": epochs}
        known = [f.name for f in fields(Settings)]
        for name in settings:
            if name not in known:
                raise SettingsError(f"train has no argument {name!r}{arguments.nearest(name, known)}")
        with self._alone():
            return self._train(text, Settings(**settings).check(), progress, callbacks, validation, threads)

    def _train(
        self, text: str | bytes | Corpus, settings: Settings, progress: bool | str, callbacks: Sequence[Callback],
        validation: str | bytes | Corpus | None, threads: int | None,
    ) -> History:  # fmt: skip
        corpus = self.corpus_of(text)
        corpus.require_window(settings.seq_length, settings.batch_size)
        if self._vocabulary is None:
            self._set_vocabulary(corpus.vocabulary)
        held_out = None if validation is None else self.corpus_of(validation)
        state = self._next_progress(settings, corpus)
        state.total = settings.total(len(corpus) // settings.batch_size)
        trainer = Trainer(self, corpus, state, held_out, threads)
        self.progress = state
        if progress:
            from charrnn.progress import bar

            callbacks = [bar(progress), *callbacks]
        history = trainer.run(callbacks, self._draw_sample)
        state.hidden = trainer.work.hidden[0].copy()
        history.best = self.copy()
        assert state.best is not None
        history.best.theta[:] = state.best
        return history

    def _next_progress(self, settings: Settings, corpus: Corpus) -> Progress:
        """Where a new run starts: at the beginning, or where the last one ended, as far as its settings and text are the same."""
        last = self.progress
        if last is None:
            return Progress(fingerprint=corpus.fingerprint, settings=settings)
        now = replace(last, done=0, fingerprint=corpus.fingerprint, settings=settings)
        if last.settings.optimizer != settings.optimizer:
            now.slots = None
        if (last.fingerprint, last.settings.batch_size) != (corpus.fingerprint, settings.batch_size):
            now.cursor, now.hidden = len(corpus), None  # past the end: the next window opens an epoch
        units = [s.seq_length * s.batch_size for s in (last.settings, settings)]
        if units[0] != units[1]:  # smooth losses are sums over the window
            now.smooth = last.smooth * [units[1] / units[0], units[1] / units[0], 1, 1]
        return now

    def _draw_sample(self, state: Array, first: int, length: int) -> Any:
        sampler = Sampler(self, np.array([first]), state=state)
        return self.vocabulary.decode(sampler.draw(length, self.rng)[:, 0])

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
        work = Workspace(m, K, *x.shape, self.dtype)
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
        """
        length = arguments.whole_number("length", length, at_least=0)
        if n is None:
            return (b"" if self.vocabulary.raw_bytes else "").join(
                self.stream(length, prime, temperature, seed, top_k=top_k, top_p=top_p, stop=stop)
            )
        with self._alone():
            sampler = Sampler(self, starting_ids(self.vocabulary, prime), n, None, temperature, top_k, top_p)
            passages = [self.vocabulary.decode(lane) for lane in sampler.draw(length, self._generator(seed)).T]
        if stop is None:
            return passages
        return [text[: text.find(stop) + len(stop)] if stop in text else text for text in passages]

    def stream(
        self, length: int, prime: str | bytes = "", temperature: float = 1.0, seed: int | None = None, *, top_k: int | None = None,
        top_p: float = 1.0, stop: str | bytes | None = None, piece: int = PIECE,
    ) -> Iterator[Any]:  # fmt: skip
        """`synthesize`, given out in pieces of so many characters as they are drawn."""
        length = arguments.whole_number("length", length, at_least=0)
        sampler = Sampler(self.copy(), starting_ids(self.vocabulary, prime), 1, None, temperature, top_k, top_p)
        return stream(sampler, length, self._generator(seed), stop, arguments.whole_number("piece", piece))

    def _generator(self, seed: int | None) -> np.random.Generator:
        if seed is None:
            return self.rng
        return np.random.Generator(np.random.PCG64(arguments.whole_number("seed", seed, at_least=0)))

    def evaluate(self, text: str | bytes | Corpus, batch_size: int = 1) -> Evaluation:
        """The loss of a text, read from its beginning with the state carried through.

        batch_size cuts it into so many streams read side by side: faster, each with a cold start. Raises `TextError` for a text
        of fewer than two characters or with characters outside the vocabulary.

        >>> CharRNN(hidden_size=4, init_std=0, vocabulary="ab").evaluate("abab").perplexity
        2.0
        """
        corpus = self.corpus_of(text)
        if self._vocabulary is None:
            raise SettingsError("the model has no vocabulary yet: train it on a text first")
        B = arguments.whole_number("batch_size", batch_size)
        corpus.require_window(1, B)
        total, right = 0.0, 0
        for losses, hits in self._read(corpus, B):
            total, right = total + float(losses.sum()), right + int(hits.sum())
        count = (len(corpus) // B - 1) * B
        return Evaluation(total / count, right / count, count)

    def losses(self, text: str | bytes | Corpus) -> Array:
        """(N-1,): nats of each character after the first, given all before it."""
        return np.concatenate([losses[:, 0].copy() for losses, _ in self._read(self.corpus_of(text), 1)])

    def _read(self, corpus: Corpus, B: int) -> Iterator[tuple[Array, Array]]:
        """Losses (T, B) and whether the likeliest character was right (T, B), window by window."""
        stream = len(corpus) // B
        K, at, state = len(self.vocabulary), 0, None
        work = None
        while at < stream - 1:
            T = min(256, stream - 1 - at)
            if work is None or not work.fits(self.hidden_size, K, T, B, self.dtype):
                work = Workspace(self.hidden_size, K, T, B, self.dtype)
                self.kernels.renew(self.theta, work)
            if state is not None:
                work.hidden[0] = state
            ids = np.stack([corpus.read(lane * stream + at, lane * stream + at + T + 1) for lane in range(B)], axis=1)
            targets = np.ascontiguousarray(ids[1:])
            self.kernels.forward(self.theta, work, np.ascontiguousarray(ids[:-1]), targets, learn=False)
            state, at = work.hidden[T].copy(), at + T
            yield work.losses, work.error[:, :, :K].argmax(-1) == targets

    # ---- files ----------------------------------------------------------------------------------------------------------

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the model to a .safetensors file, under the names that torch.nn.RNN and Linear use; see docs on the file format."""
        from charrnn import modelfile

        modelfile.write(path, self.to_tensors(), self.to_metadata())

    def to_tensors(self) -> dict[str, Array]:
        """The parameters under the names of torch.nn.RNN (rnn.*) and torch.nn.Linear (head.*)."""
        p = self.parameters
        return {
            "rnn.weight_ih_l0": p["U"], "rnn.weight_hh_l0": p["W"], "rnn.bias_ih_l0": p["b"], "rnn.bias_hh_l0": np.zeros_like(p["b"]),
            "head.weight": p["V"], "head.bias": p["c"],
        }  # fmt: skip

    def to_metadata(self) -> dict[str, Any]:
        """What the file says beside the parameters: vocabulary, sizes, recipe and how far it was trained."""
        done = self.progress.plain() if self.progress else None
        return {
            "vocabulary": self.vocabulary.to_json(), "hidden_size": self.hidden_size, "dtype": self.dtype.name, "init": self.init,
            "init_std": self.init_std, "seed": self.seed, "recipe": self.recipe, "training": done,
        }  # fmt: skip

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> CharRNN:
        """The model in a file that `save` wrote. Raises `ModelFileError` for any other file or a damaged one."""
        from charrnn import modelfile

        file = modelfile.read(path, kind="model")
        return cls.from_tensors(file.tensors, file.metadata, os.fspath(path))

    @classmethod
    def from_tensors(cls, tensors: dict[str, Array], metadata: dict[str, Any], name: str = "model") -> CharRNN:
        """A model from the tensors and metadata of a file; ModelFileError where they do not belong together."""
        try:
            vocabulary = Vocabulary.from_json(metadata["vocabulary"])
            model = cls(
                metadata["hidden_size"], metadata["dtype"], metadata["init_std"], metadata["seed"], init=metadata["init"]
            )
            m, K = model.hidden_size, len(vocabulary)
            shapes = {
                "rnn.weight_ih_l0": (m, K), "rnn.weight_hh_l0": (m, m), "rnn.bias_ih_l0": (m,), "rnn.bias_hh_l0": (m,),
                "head.weight": (K, m), "head.bias": (K,),
            }  # fmt: skip
            for tensor, shape in shapes.items():
                if tensor not in tensors:
                    raise ModelFileError(f"{name}: there is no tensor {tensor}")
                found = tensors[tensor]
                if found.shape != shape or found.dtype != model.dtype:
                    raise ModelFileError(f"{name}: {tensor} is {found.dtype} {found.shape}, expected {model.dtype} {shape}")
            model._vocabulary, model._theta = vocabulary, new_theta(m, K, model.dtype)
            model.recipe = metadata.get("recipe")
        except (KeyError, TypeError, SettingsError, TextError) as error:
            raise ModelFileError(f"{name}: the model's description is incomplete or wrong: {error}") from error
        p = model.parameters
        p["U"][:], p["W"][:], p["V"][:] = (tensors[t] for t in ("rnn.weight_ih_l0", "rnn.weight_hh_l0", "head.weight"))
        p["b"][:], p["c"][:] = tensors["rnn.bias_ih_l0"] + tensors["rnn.bias_hh_l0"], tensors["head.bias"]
        return model
