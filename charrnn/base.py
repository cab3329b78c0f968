"""What a model is apart from what it does: settings, network, random generator, the run behind it; copies, pickles, files."""

from __future__ import annotations

import copy
import os
import zlib
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from charrnn import arguments
from charrnn.access import Access
from charrnn.errors import SettingsError, resources
from charrnn.network import kernels
from charrnn.network.arrays import Array, aligned_copy
from charrnn.network.blocks import parameter_count
from charrnn.network.network import Network
from charrnn.network.settings import MODEL, NetworkSettings, precision
from charrnn.network.start import STARTS, ZERO
from charrnn.network.tensors import metadata_of, network_of, state_from, tensors_of
from charrnn.text.corpus import AnyText, Corpus, as_corpus
from charrnn.text.reading import refuse_a_name
from charrnn.text.vocabulary import Vocabulary

if TYPE_CHECKING:  # what training needs is imported when it begins: who loads a model to use it need not wait for that
    from charrnn.files.modelfile import ModelFile
    from charrnn.training.run import Run

MOST_CARRIED = 1 << 18  # numbers of a carried state that the header of a file has room for
SMALL = 1_000_000  # parameters: with at most so many, the optimiser's state is saved as well


def beside_of(path: str | os.PathLike[str]) -> Path:
    """The file that holds the optimiser's state of the model in another.

    >>> beside_of("runs/model.safetensors").name
    'model.optimizer.safetensors'
    """
    from charrnn.files.atomic import as_path

    return Path(as_path(path)).with_suffix(".optimizer.safetensors")


def fingerprint(theta: Array) -> str:
    """By which an optimiser's state knows the parameters that it belongs to."""
    return f"crc32:{zlib.crc32(theta.tobytes()):08x}"


class Model:
    """What `charrnn.CharRNN` is made of; see there."""

    def __init__(
        self,
        hidden_size: int = 100,
        dtype: str = "float32",
        init_std: float = 0.01,
        seed: int = 0,
        *,
        cell: str = "rnn",
        layers: int = 1,
        init: str = "normal",
        vocabulary: Vocabulary | str | bytes | None = None,
        level: str | None = None,
        **others: Any,
    ) -> None:
        arguments.no_others("CharRNN", others, (*MODEL, "vocabulary", "level"))
        self.settings = NetworkSettings(hidden_size, cell, layers, dtype, init, init_std, seed)
        kernels.get(level, self.settings.cell)
        self.level = level or kernels.chosen()
        self.rng = np.random.Generator(np.random.PCG64(self.settings.seed))
        self.recipe: str | None = None
        self.training_defaults: dict[str, Any] = {}
        self.run: Run | None = None
        self.trained: dict[str, Any] | None = None  # what the file that it was loaded from says of its training
        self._loaded: dict[str, Array] | None = None  # ... and the optimiser's state in it, until training goes on
        self._carried: Array | None = None
        self._access = Access()
        self._network: Network | None = None
        if vocabulary is not None:
            if isinstance(vocabulary, (str, bytes)):
                refuse_a_name(vocabulary)
            with resources():
                self._begin(vocabulary if isinstance(vocabulary, Vocabulary) else Vocabulary.from_text(vocabulary))

    def _begin(self, vocabulary: Vocabulary) -> None:
        rng = copy.deepcopy(self.rng)
        self._network = Network.new(self.settings, vocabulary, rng, self.level)
        self.rng = rng  # all or nothing: a model whose memory did not suffice is as it was

    # ---- what it is made of ----------------------------------------------------------------------------------------

    @property
    def network(self) -> Network:
        """Architecture, vocabulary, parameters and kernels. SettingsError before there is a vocabulary."""
        if self._network is None:
            raise SettingsError("the model has no vocabulary yet: train it on a text first, or give CharRNN a vocabulary=")
        return self._network

    @property
    def hidden_size(self) -> int:
        return self.settings.hidden_size

    @property
    def cell(self) -> str:
        return self.settings.cell

    @property
    def layers(self) -> int:
        return self.settings.layers

    @property
    def dtype(self) -> np.dtype[Any]:
        return np.dtype(self.settings.dtype)

    @property
    def seed(self) -> int:
        return self.settings.seed

    @property
    def kernels(self) -> kernels.Kernels:
        return kernels.get(self.level, self.cell)

    @property
    def vocabulary(self) -> Vocabulary:
        """The characters that the model knows. SettingsError if it has no vocabulary yet."""
        return self.network.vocabulary

    @property
    def theta(self) -> Array:
        """All parameters in the layout of `charrnn.network.blocks`."""
        return self.network.theta

    @property
    def parameters(self) -> dict[str, Array]:
        """Views of the parameters by name; writing into them changes the model.

        Vanilla: U (m, K), W (m, m), b (m,), V (K, m), c (K,). A gated cell has U, W and b for each gate, such as W_f; the GRU
        also has b_hn, inside the reset. With more than one layer, names begin with "layer1." ..., and U of the upper layers is
        (m, m).

        >>> from charrnn import CharRNN
        >>> {name: array.shape for name, array in CharRNN(hidden_size=5, vocabulary="abc").parameters.items()}
        {'U': (5, 3), 'W': (5, 5), 'b': (5,), 'V': (3, 5), 'c': (3,)}
        """
        return self.network.parameters

    @property
    def carried_state(self) -> Array | None:
        """(layers, states, m): the state at the end of training, of the first parallel sequence.

        None for a model that was not trained, or whose file does not contain it. `generate` starts from it.

        >>> from charrnn import CharRNN
        >>> model = CharRNN(hidden_size=4)
        >>> history = model.train("so it goes, " * 30, updates=5, progress=False)
        >>> model.carried_state.shape
        (1, 1, 4)
        """
        if self._carried is None and self.run is not None:
            return self.run.carried(self.hidden_size)
        return self._carried

    def state_at(self, start: str | None) -> Array | None:
        """The state that a text begins with: None for "zero"; for "carried" the carried state, for None that if there is one.

        SettingsError for another start, and for "carried" where there is none.
        """
        if start is not None and arguments.one_of("start", start, STARTS) == ZERO:
            return None
        carried = self.carried_state
        if carried is None and start is not None:
            raise SettingsError("start='carried' is the state at the end of training, which this model does not have: leave start out")
        return carried

    def corpus_of(self, text: AnyText, min_count: int = 1) -> Corpus:
        """text as ids of this model's vocabulary, or, before there is one, of its own, for which min_count is; see `read_corpus`."""
        return as_corpus(text, self._network.vocabulary if self._network else None, min_count=min_count)

    # ---- copies ----------------------------------------------------------------------------------------------------

    def copy(self) -> Self:
        """An independent model with the same parameters, vocabulary, random generator and training state.

        >>> from charrnn import CharRNN
        >>> model = CharRNN(hidden_size=4, vocabulary="ab")
        >>> model.copy().synthesize(5) == model.synthesize(5)
        True
        """
        with self._access.reading():
            other = object.__new__(type(self))
            other.__dict__ |= self.__dict__ | {"_access": Access()}
            other.rng = copy.deepcopy(self.rng)
            other.training_defaults = dict(self.training_defaults)
            other._network = self._network.copy() if self._network else None
            other.run = self.run.copy() if self.run else None
            return other

    def copy_of_network(self) -> Network:
        """The network alone, for whoever reads it while the model goes on."""
        with self._access.reading():
            return self.network.copy()

    def __copy__(self) -> Self:
        return self.copy()

    def __deepcopy__(self, memo: Any) -> Self:
        return self.copy()

    def __getstate__(self) -> dict[str, Any]:
        """For pickle, as for another process: what `copy` copies. The file format of models is that of `save`."""
        state = self.copy().__dict__
        del state["_access"]
        network = state.pop("_network")
        return state | {"network": (network.vocabulary, network.theta) if network else None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        kept = state.pop("network")
        self.__dict__ |= state | {"_access": Access(), "_network": None}
        if self.level not in kernels.available():
            self.level = kernels.chosen()
        if kept:  # what pickle makes need not start on a line
            self._network = Network(self.settings, kept[0], aligned_copy(kept[1]), self.level)
        if self.run:
            self.run = self.run.copy()

    def astype(self, dtype: str) -> Self:
        """A copy in another precision, "float32" or "float64"; `SettingsError` for any other. It has no optimiser state.

        >>> from charrnn import CharRNN
        >>> CharRNN(hidden_size=4, vocabulary="ab").astype("float64").parameters["W"].dtype
        dtype('float64')
        """
        other = self.copy()
        other.settings = replace(self.settings, dtype=precision(dtype))
        if (carried := self.carried_state) is not None:
            other._carried = carried.astype(other.settings.dtype)
        if other._network is not None:
            other._network = other._network.astype(dtype)
        if other.run is not None:
            other.trained, other.run, other._loaded = other.run.plain(), None, None
        return other

    def __repr__(self) -> str:
        K = "no vocabulary yet" if self._network is None else f"vocabulary of {len(self._network.vocabulary)}"
        done = f", {self.run.step:,} updates" if self.run else ""
        return f"CharRNN({self.settings.architecture(2)}, {K}, {self.dtype}{done})"

    def _repr_html_(self) -> str:
        from charrnn.display.notebook import model_html

        return model_html(self)

    # ---- files -----------------------------------------------------------------------------------------------------

    def save(self, path: str | os.PathLike[str], optimizer: bool | str | None = None) -> None:
        """Write the model to a .safetensors file, atomically; docs/file_format.md describes it.

        optimizer: whether to save the optimiser state too, so that training continues from the file as if it had never stopped: True,
        in a second file, NAME.optimizer.safetensors; "inside", in the same file (PyTorch's load_state_dict then needs strict=False);
        False, not at all. By default in a second file, if the model has at most a million parameters.

        Raises `OutputError` if the file cannot be written, `NonFiniteError` for weights that are not finite.

        >>> import tempfile, pathlib
        >>> from charrnn import CharRNN
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = pathlib.Path(folder, "small.safetensors")
        ...     CharRNN(hidden_size=4, vocabulary="ab").save(path)
        ...     print(CharRNN.load(path))
        CharRNN(4 hidden units, vocabulary of 2, float32)
        """
        from charrnn.files import modelfile

        if optimizer not in (None, True, False, "inside"):
            raise SettingsError(f"optimizer must be True, False, 'inside' or None, got {optimizer!r}")
        with self._access.reading():
            state, about = self.optimizer_state(optimizer)
            modelfile.write(path, self.to_tensors() | (state if optimizer == "inside" else {}), self.to_metadata(), follow=True)
            beside = beside_of(path)
            if state and optimizer != "inside":
                modelfile.write(beside, state, about, "optimizer")
            elif beside.is_file():  # of the model that was in the file before
                beside.unlink()

    def export(self, path: str | os.PathLike[str], *, float16: bool = False, title: str | None = None) -> None:
        """Write the model for other programs, atomically; the ending of `path` chooses the format; docs/export.md describes each.

        .html, a page that generates and scores text in any browser; .onnx, ids and states in, logits and states out (extra "onnx");
        .npz, the arrays of `parameters`; .pt, a state dictionary for PyTorch, which must be installed. .npz and .pt have the model's
        precision, .html and .onnx float32.

        float16: for a page, weights in half the bytes. title: for a page, its heading.

        Raises `SettingsError` for another ending, a package that is not installed, and a model that is too large for the format;
        `OutputError` if the file cannot be written; `NonFiniteError` for weights that are not finite.

        >>> import tempfile, pathlib
        >>> from charrnn import CharRNN
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = pathlib.Path(folder, "model.npz")
        ...     CharRNN(hidden_size=4, vocabulary="ab").export(path)
        ...     print(np.load(path)["W"].shape)
        (4, 4)
        """
        from charrnn.export import export

        with self._access.reading():
            export(self.network, path, float16=float16, title=title)

    def optimizer_state(self, wanted: bool | str | None = None) -> tuple[dict[str, Array], dict[str, str]]:
        """The optimiser's state, as far as there is one that could be gone on with and it is wanted (None: of a small model), as the
        tensors and the metadata of the file beside the model's.
        """
        about = {"of": fingerprint(self.theta)}
        if wanted is False or (wanted is None and parameter_count(self.network.architecture) > SMALL):
            return {}, about
        if self.run is None or self.run.slots is None:
            return dict(self._loaded or {}), about
        from charrnn.training.state import tensors_of_run

        tensors = tensors_of_run(self.run, self.network.architecture)
        return {name: array for name, array in tensors.items() if name != "smooth" or np.isfinite(array).all()}, about

    def to_tensors(self) -> dict[str, Array]:
        """The parameters as a file holds them, under the names of torch.nn.RNN, GRU or LSTM (rnn) and torch.nn.Linear (head).

        >>> from charrnn import CharRNN
        >>> for name, array in CharRNN(hidden_size=4, cell="gru", vocabulary="abc").to_tensors().items():
        ...     print(name, array.shape)
        rnn.weight_ih_l0 (12, 3)
        rnn.weight_hh_l0 (12, 4)
        rnn.bias_ih_l0 (12,)
        rnn.bias_hh_l0 (12,)
        head.weight (3, 4)
        head.bias (3,)
        """
        return tensors_of(self.theta, self.network.architecture)

    def to_metadata(self) -> dict[str, Any]:
        """What the file says beside the parameters: vocabulary, settings, recipe, how far it was trained and the carried state."""
        carried = self.carried_state
        found = metadata_of(self.network) | {"recipe": self.recipe, "training": self.run.plain() if self.run else self.trained}
        return found if carried is None or carried.size > MOST_CARRIED else found | {"carried_state": carried.tolist()}

    @classmethod
    def load(cls, path: str | os.PathLike[str], level: str | None = None) -> Self:
        """The model in a file that `save` wrote, or in a checkpoint; for a run's folder, its best model, or its newest checkpoint if the
        run is not finished. level: the kernels to use. Raises `ModelFileError` for any other file or a damaged one.
        """
        from charrnn.training.saved import read

        with resources():
            return cls.from_file(*read(path), level)

    @classmethod
    def from_file(cls, file: ModelFile, path: Path, level: str | None = None) -> Self:
        """A model from the content of a model file or a checkpoint; ModelFileError for anything else."""
        from charrnn.files import modelfile

        if file.kind == "checkpoint":
            from charrnn.training.checkpoint import found_in

            found = found_in(file, path, level)
            model = cls._of(found.network)
            model.recipe, model.rng, model.run = found.recipe, found.rng, found.run.copy()
            return model
        model = cls.from_tensors(file.tensors, file.metadata, str(path), level)
        beside = beside_of(path)
        if beside.is_file():
            state = modelfile.read(beside, kind="optimizer")
            if state.metadata.get("of") == fingerprint(model.theta):  # else of another model that had this name
                model._loaded = state.tensors
        return model

    @classmethod
    def from_tensors(cls, tensors: dict[str, Array], metadata: dict[str, Any], name: str = "model", level: str | None = None) -> Self:
        """A model from the tensors and metadata of a file; ModelFileError where they do not belong together."""
        model = cls._of(network_of(tensors, metadata, name, level))
        model.recipe, model.trained = metadata.get("recipe"), metadata.get("training")
        model._carried = state_from(metadata.get("carried_state"), model.network, name)
        model._loaded = {name: array for name, array in tensors.items() if name.startswith("optimizer.") or name in ("state", "smooth")}
        return model

    @classmethod
    def _of(cls, network: Network) -> Self:
        model = cls(**{name: getattr(network.settings, name) for name in MODEL}, level=network.level)
        model._network = network
        return model
