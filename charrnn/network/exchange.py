"""Models as tensors and metadata: the names in a file, and everything that must fit before a file becomes a model.

The tensors are called as torch.nn.RNN (rnn.*) and torch.nn.Linear (head.*) call theirs, so that PyTorch can load
them. It has a second bias, which is 0 in files written here and is added to the first when reading.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from charrnn.errors import ModelFileError, SettingsError, TextError
from charrnn.network.parameters import Array, named_views, new_theta
from charrnn.text.vocabulary import Vocabulary

if TYPE_CHECKING:
    from charrnn.network.network import Network

Kind = TypeVar("Kind", bound="Network")

NAMES = {"U": "rnn.weight_ih_l0", "W": "rnn.weight_hh_l0", "b": "rnn.bias_ih_l0", "V": "head.weight", "c": "head.bias"}
SECOND_BIAS = "rnn.bias_hh_l0"


def tensors_of(theta: Array, m: int, K: int, prefix: str = "") -> dict[str, Array]:
    """The five parameters inside theta, or inside anything shaped like it, under their names in a file."""
    views = named_views(theta, m, K)
    return {prefix + tensor: views[name] for name, tensor in NAMES.items()}


def check_shapes(tensors: Mapping[str, Array], shapes: Mapping[str, tuple[int, ...]], dtype: Any, name: str) -> None:
    """ModelFileError unless these tensors are there, in these shapes and this precision."""
    for tensor, shape in shapes.items():
        if tensor not in tensors:
            raise ModelFileError(f"{name}: there is no tensor {tensor}")
        found = tensors[tensor]
        if found.shape != shape or found.dtype != dtype:
            raise ModelFileError(f"{name}: {tensor} is {found.dtype} {found.shape}, expected {np.dtype(dtype)} {shape}")


def shapes_of(m: int, K: int, prefix: str = "") -> dict[str, tuple[int, ...]]:
    """The shapes that belong to the names of `tensors_of`."""
    shapes = {"U": (m, K), "W": (m, m), "b": (m,), "V": (K, m), "c": (K,)}
    return {prefix + tensor: shapes[name] for name, tensor in NAMES.items()}


def fill(theta: Array, m: int, K: int, tensors: Mapping[str, Array], name: str, prefix: str = "") -> None:
    """The reverse of `tensors_of`: the tensors, checked, into theta."""
    check_shapes(tensors, shapes_of(m, K, prefix), theta.dtype, name)
    for tensor, view in tensors_of(theta, m, K, prefix).items():
        view[:] = tensors[tensor]


def model_tensors(model: Network) -> dict[str, Array]:
    """The parameters under their names in a file, PyTorch's second bias included."""
    tensors = tensors_of(model.theta, model.hidden_size, len(model.vocabulary))
    return tensors | {SECOND_BIAS: np.zeros(model.hidden_size, model.dtype)}


def model_metadata(model: Network) -> dict[str, Any]:
    """What a file says beside the parameters: vocabulary, sizes, recipe and how the model was trained."""
    return {
        "vocabulary": model.vocabulary.to_json(),
        "hidden_size": model.hidden_size,
        "dtype": model.dtype.name,
        "init": model.init,
        "init_std": model.init_std,
        "seed": model.seed,
        "recipe": model.recipe,
        "training": model.progress.plain() if model.progress else model.origin,
    }


def model_of(
    kind: type[Kind], tensors: Mapping[str, Array], metadata: Mapping[str, Any], name: str = "model", level: str | None = None
) -> Kind:
    """A model from the tensors and metadata of a file; ModelFileError where they do not belong together."""
    try:
        vocabulary = Vocabulary.from_json(metadata["vocabulary"])
        size, dtype, init_std, seed, init = (metadata[key] for key in ("hidden_size", "dtype", "init_std", "seed", "init"))
        model = kind(size, dtype, init_std, seed, init=init, level=level)
    except (KeyError, TypeError, SettingsError, TextError) as error:
        raise ModelFileError(f"{name}: the model's description is incomplete or wrong: {error}") from error
    for key, expected in {"recipe": str, "training": dict}.items():
        value = metadata.get(key)
        if value is not None and not isinstance(value, expected):
            raise ModelFileError(f"{name}: {key} must be {expected.__name__} or nothing, got {type(value).__name__}")
    m, K = model.hidden_size, len(vocabulary)
    check_shapes(tensors, shapes_of(m, K) | {SECOND_BIAS: (m,)}, model.dtype, name)  # before anything is allocated
    theta = new_theta(m, K, model.dtype)
    fill(theta, m, K, tensors, name)
    if tensors[SECOND_BIAS].any():
        named_views(theta, m, K)["b"][:] += tensors[SECOND_BIAS]
    if not np.isfinite(theta).all():
        raise ModelFileError(f"{name}: its weights are not all finite")
    model.adopt(vocabulary, theta)
    model.recipe, model.origin = metadata.get("recipe"), metadata.get("training")
    return model
