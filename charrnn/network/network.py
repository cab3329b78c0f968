"""The network of a CharRNN: its parameters, vocabulary, precision and random generator, and its gradients."""

from __future__ import annotations

import copy
import math
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from charrnn import arguments
from charrnn.errors import BusyError, SettingsError, TextError
from charrnn.network import kernels
from charrnn.network.exchange import model_metadata, model_of, model_tensors
from charrnn.network.parameters import Array, Workspace, aligned_copy, named_views, new_theta, padded, rows_of
from charrnn.text.corpus import IN_MEMORY, Corpus
from charrnn.text.vocabulary import Vocabulary

if TYPE_CHECKING:
    from charrnn.training.runstate import Progress

DTYPES = ("float32", "float64")
INITS = ("normal", "scaled", "orthogonal")


class Network:
    """What `charrnn.CharRNN` is made of; see there."""

    def __init__(
        self,
        hidden_size: int = 100,
        dtype: str = "float32",
        init_std: float = 0.01,
        seed: int = 0,
        *,
        init: str = "normal",
        vocabulary: Vocabulary | str | bytes | None = None,
        level: str | None = None,
    ) -> None:
        self.hidden_size = arguments.whole_number("hidden_size", hidden_size)
        self.dtype = _precision(dtype)
        self.init_std = arguments.number("init_std", init_std, at_least=0, at_most=1e6)
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

    # ---- parameters ------------------------------------------------------------------------------------------------

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
        """Views of U (m, K), W (m, m), V (K, m), b (m,) and c (K,), by name; writing into them changes the model.

        >>> from charrnn import CharRNN
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
        """Take over parameters in the layout of `charrnn.network.parameters` and the vocabulary that they are for."""
        self._vocabulary, self._theta = vocabulary, theta

    # ---- copies and turns ------------------------------------------------------------------------------------------

    def copy(self) -> Self:
        """A model of its own with the same parameters, vocabulary and random generator; without what `train` goes on
        from.

        >>> from charrnn import CharRNN
        >>> model = CharRNN(hidden_size=4, vocabulary="ab")
        >>> model.copy().synthesize(5) == model.synthesize(5)
        True
        """
        with self._alone():
            return self._copy()

    def _copy(self) -> Self:
        other = object.__new__(type(self))
        other.__dict__ |= self.__dict__ | {"_lock": threading.RLock(), "_training": False, "progress": None}
        other.rng = copy.deepcopy(self.rng)
        other.training_defaults = dict(self.training_defaults)
        other.origin = self.progress.plain() if self.progress else self.origin
        if self._theta is not None:
            other._theta = aligned_copy(self._theta)
        return other

    def __copy__(self) -> Self:
        return self.copy()

    def __deepcopy__(self, memo: Any) -> Self:
        return self.copy()

    def __getstate__(self) -> dict[str, Any]:
        """For pickle, as for another process: what `copy` copies. The file format of models is that of `save`."""
        state = self.copy().__dict__
        del state["kernels"], state["_lock"]
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        level = state["level"] if state["level"] in kernels.available() else kernels.chosen()
        self.__dict__ |= state | {"level": level, "kernels": kernels.get(level), "_lock": threading.RLock()}
        if self._theta is not None:  # what pickle makes need not start on a line
            self._theta = aligned_copy(self._theta)

    def astype(self, dtype: str) -> Self:
        """A copy in another precision, "float32" or "float64"; `SettingsError` for any other.

        >>> from charrnn import CharRNN
        >>> CharRNN(hidden_size=4, vocabulary="ab").astype("float64").parameters["W"].dtype
        dtype('float64')
        """
        other = self.copy()
        other.dtype = _precision(dtype)
        if self._theta is not None:
            other._theta = new_theta(self.hidden_size, len(self.vocabulary), dtype)
            for name, array in self.parameters.items():
                other.parameters[name][:] = array
        return other

    def __repr__(self) -> str:
        K = "no vocabulary yet" if self._vocabulary is None else f"vocabulary of {len(self._vocabulary)}"
        done = f", {self.progress.step:,} updates" if self.progress else ""
        return f"CharRNN({self.hidden_size} hidden units, {K}, {self.dtype.name}{done})"

    def _repr_html_(self) -> str:
        from charrnn.display.notebook import model_html

        return model_html(self)

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

    # ---- gradients -------------------------------------------------------------------------------------------------

    def loss_and_gradients(self, inputs: Any, targets: Any, state: Any = None) -> tuple[float, dict[str, Array], Array]:
        """The summed loss of one window in nats, its unclipped gradients, and the state after it.

        inputs, targets (T, B) or (T,): ids below K. state (B, m): the carried state, 0 by default. Gradients come by
        the names and in the shapes of `parameters`, as arrays of their own; the new state is (B, m). Source:
        Goodfellow et al. 2016, 10.2.2.

        >>> from charrnn import CharRNN
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
        work = Workspace(m, K, T, B, self.dtype)
        if state is not None:
            work.hidden[0, :, :m] = self._state(state, (B, m))
        with self._alone():
            self.kernels.renew(self.theta, work)
            self.kernels.forward(self.theta, work, x, y)
            self.kernels.backward(self.theta, work, x)
        gradients = {name: array.copy() for name, array in named_views(work.gradients, m, K).items()}
        return float(work.losses.sum()), gradients, work.hidden[-1, :, :m].copy()

    def _state(self, state: Any, shape: tuple[int, int]) -> Array:
        array = arguments.array("state", state)
        if array.dtype.kind not in "fiu":
            raise SettingsError(f"state must be numbers, got {array.dtype} values")
        if array.shape != shape:
            raise SettingsError(f"state must have shape {shape}, got {array.shape}")
        with np.errstate(over="ignore"):
            array = array.astype(self.dtype)
        if not np.isfinite(array).all():
            raise SettingsError(f"state must be finite in {self.dtype.name}, got NaN, infinity or a number too large in it")
        return array

    def _ids(self, name: str, ids: Any) -> Array:
        array = arguments.array(name, ids)
        if array.ndim == 1:
            array = array[:, None]
        if array.ndim != 2 or not array.size:
            raise SettingsError(f"{name} must have shape (T, B) with at least one id, got {array.shape}")
        if array.dtype.kind not in "iu":
            raise SettingsError(f"{name} must be integer ids (T, B), got {array.dtype} values; one-hot rows become ids by argmax")
        T, B = array.shape
        row = 3 * self.dtype.itemsize * (padded(self.hidden_size, self.dtype) + len(self.vocabulary))
        arguments.memory(f"a window of {T:,} steps in {B:,} lanes", T * B * row)
        if array.min() < 0 or array.max() >= len(self.vocabulary):
            raise SettingsError(f"{name} must lie in 0..{len(self.vocabulary) - 1}, got {array.min()}..{array.max()}")
        return np.ascontiguousarray(array, np.intc)

    # ---- files -----------------------------------------------------------------------------------------------------

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the model to a .safetensors file, atomically; docs/file_format.md says what is in it.

        Raises `OutputError` where it cannot be written, `NonFiniteError` for weights that are not finite.

        >>> import tempfile, pathlib
        >>> from charrnn import CharRNN
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = pathlib.Path(folder, "small.safetensors")
        ...     CharRNN(hidden_size=4, vocabulary="ab").save(path)
        ...     print(CharRNN.load(path))
        CharRNN(4 hidden units, vocabulary of 2, float32)
        """
        from charrnn.files import modelfile

        with self._alone():
            modelfile.write(path, self.to_tensors(), self.to_metadata())

    def to_tensors(self) -> dict[str, Array]:
        """The parameters as a file holds them, under the names of torch.nn.RNN (rnn) and torch.nn.Linear (head).

        >>> from charrnn import CharRNN
        >>> for name, array in CharRNN(hidden_size=4, vocabulary="abc").to_tensors().items():
        ...     print(name, array.shape)
        rnn.weight_ih_l0 (4, 3)
        rnn.weight_hh_l0 (4, 4)
        rnn.bias_ih_l0 (4,)
        head.weight (3, 4)
        head.bias (3,)
        rnn.bias_hh_l0 (4,)
        """
        return model_tensors(self)

    def to_metadata(self) -> dict[str, Any]:
        """What the file says beside the parameters: vocabulary, sizes, recipe and how far it was trained."""
        return model_metadata(self)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """The model in a file that `save` wrote. Raises `ModelFileError` for any other file or a damaged one."""
        from charrnn.files import modelfile

        file = modelfile.read(path, kind="model")
        return model_of(cls, file.tensors, file.metadata, os.fspath(path))

    @classmethod
    def from_tensors(cls, tensors: dict[str, Array], metadata: dict[str, Any], name: str = "model") -> Self:
        """A model from the tensors and metadata of a file; ModelFileError where they do not belong together."""
        return model_of(cls, tensors, metadata, name)


def _precision(dtype: Any) -> np.dtype[Any]:
    try:  # NumPy takes None for float64
        name = dtype if isinstance(dtype, str) else repr(None) if dtype is None else np.dtype(dtype).name
    except TypeError:
        name = repr(dtype)
    return np.dtype(arguments.one_of("dtype", name, DTYPES))
