"""Networks as tensors and metadata: the names in a file, and everything that must fit before a file becomes a network.

The tensors are called as torch.nn.RNN, GRU or LSTM (rnn.*) and torch.nn.Linear (head.*) call theirs, so that PyTorch can load
them. It has two biases for each gate, which add up: the second is 0 in files written here, but for the GRU's last gate, and is added
to the first when reading.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from charrnn.errors import ModelFileError
from charrnn.files import schema
from charrnn.network.architecture import Architecture
from charrnn.network.arrays import Array
from charrnn.network.blocks import blocks, new_theta, views
from charrnn.network.network import Network
from charrnn.network.settings import MODEL, NetworkSettings
from charrnn.text.vocabulary import Vocabulary

BEFORE_VERSION_2: dict[str, Any] = {"cell": "rnn", "layers": 1}  # what files said nothing about


def shapes_of(architecture: Architecture, prefix: str = "") -> dict[str, tuple[int, ...]]:
    """The shape of each tensor, the second biases included, by its name in a file."""
    gates, shapes = len(architecture.kind.gates), {}
    for block in blocks(architecture):
        parts = gates if block.letter in "UWb" else 1
        shapes[prefix + block.tensor] = (parts * block.shape[0], *block.shape[1:])
    for layer in range(architecture.layers):
        shapes[f"{prefix}rnn.bias_hh_l{layer}"] = (gates * architecture.hidden_size,)
    return shapes


def tensors_of(theta: Array, architecture: Architecture, prefix: str = "") -> dict[str, Array]:
    """The parameters inside theta, or inside anything shaped like it, as tensors by their names in a file."""
    tensors = {name: np.zeros(shape, theta.dtype) for name, shape in shapes_of(architecture, prefix).items()}
    for block in blocks(architecture):
        view = block.view(theta)
        tensors[prefix + block.tensor][block.part * len(view) : (block.part + 1) * len(view)] = view
    return tensors


def fill(theta: Array, architecture: Architecture, tensors: Mapping[str, Array], name: str, prefix: str = "") -> None:
    """The reverse of `tensors_of`: the tensors, checked, into theta. Files before version 2 may leave a second bias out."""
    shapes = shapes_of(architecture, prefix)
    second = {tensor for tensor in shapes if ".bias_hh_" in tensor and tensor not in tensors and prefix}
    check_shapes(tensors, {tensor: shape for tensor, shape in shapes.items() if tensor not in second}, theta.dtype, name)
    for block in blocks(architecture):
        view = block.view(theta)
        rows = slice(block.part * len(view), (block.part + 1) * len(view))
        view[:] = tensors[prefix + block.tensor][rows]
        other = block.tensor.replace("_ih_", "_hh_")
        stands_apart = architecture.kind.apart and block.part == len(architecture.kind.gates) - 1
        if block.letter == "b" and other != block.tensor and not stands_apart and prefix + other in tensors:
            view[:] += tensors[prefix + other][rows]


def check_shapes(tensors: Mapping[str, Array], shapes: Mapping[str, tuple[int, ...]], dtype: Any, name: str) -> None:
    """ModelFileError unless these tensors are there, in these shapes and this precision."""
    for tensor, shape in shapes.items():
        if tensor not in tensors:
            raise ModelFileError(f"{name}: there is no tensor {tensor}")
        found = tensors[tensor]
        if found.shape != shape or found.dtype != dtype:
            raise ModelFileError(f"{name}: {tensor} is {found.dtype} {found.shape}, expected {np.dtype(dtype)} {shape}")


def metadata_of(network: Network) -> dict[str, Any]:
    """What a file says beside the tensors: vocabulary and settings."""
    unknown = network.vocabulary.unknown
    described = {"vocabulary": network.vocabulary.to_json()} | {name: getattr(network.settings, name) for name in MODEL}
    return described if unknown is None else described | {"unknown_character": unknown}


def state_from(described: Any, network: Network, name: str = "model") -> Array | None:
    """The carried state (layers, states, m) of a file's metadata, where it has one; ModelFileError where that does not fit."""
    if described is None:
        return None
    layers, states, _, m = network.architecture.state_shape(1)
    try:
        found = schema.list_of(schema.list_of(schema.list_of(schema.number(), m, m), states, states), layers, layers)(
            described, "its carried state"
        )
    except schema.Mismatch as error:
        raise ModelFileError(f"{name}: {error}") from None
    with np.errstate(over="ignore"):
        state = np.array(found).astype(network.dtype)
    if not np.isfinite(state).all():
        raise ModelFileError(f"{name}: its carried state is not finite in {network.dtype.name}")
    return state


def network_of(tensors: Mapping[str, Array], metadata: Mapping[str, Any], name: str = "model", level: str | None = None) -> Network:
    """A network from the tensors and metadata of a file; ModelFileError where they do not belong together."""
    described: dict[str, Any] = BEFORE_VERSION_2 | dict(metadata)
    try:
        schema.MODEL(described, "it")
        vocabulary = Vocabulary.from_json(described["vocabulary"], described.get("unknown_character"))
        settings = NetworkSettings(**{key: described[key] for key in MODEL})
        architecture = settings.architecture(len(vocabulary))
    except (KeyError, TypeError, ValueError) as error:  # `Mismatch`, SettingsError and TextError are the last
        raise ModelFileError(f"{name}: the model's description is incomplete or wrong: {error}") from error
    dtype = np.dtype(settings.dtype)
    check_shapes(tensors, shapes_of(architecture), dtype, name)  # before anything is allocated
    theta = new_theta(architecture, dtype)
    fill(theta, architecture, tensors, name)
    if not all(np.isfinite(view).all() for view in views(theta, architecture).values()):
        raise ModelFileError(f"{name}: its weights are not all finite")
    return Network(settings, vocabulary, theta, level)
