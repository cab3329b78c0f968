"""ONNX, opset 22: the format's own RNN, GRU and LSTM operators, ids and states in, logits and states out.

T and B are free; layout 0, as the operators have it by default. Names: `ids` (T, B) int64; `h0` (1, B, m), and of an LSTM `c0`, for the
first layer, `h1` ... above; `logits` (T, B, K); `h0_out` ... All but the ids are float32.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from charrnn.errors import SettingsError
from charrnn.files.schema import dumps
from charrnn.network.architecture import Architecture
from charrnn.network.arrays import Array
from charrnn.network.blocks import parameter_count
from charrnn.network.network import Network
from charrnn.network.tensors import metadata_of, tensors_of
from charrnn.version import __version__

if TYPE_CHECKING:
    from onnx import ModelProto

OPSET, IR_VERSION = 22, 10
ORDER = {"rnn": (0,), "gru": (1, 0, 2), "lstm": (0, 3, 1, 2)}  # ONNX has z r h and i o f c; the tensors r z n and i f g o
MOST = (1 << 31) - 1  # bytes of a protocol buffer


def to_onnx(network: Network) -> bytes:
    """The bytes of the file, checked; vocabulary and settings are its metadata. Raises `SettingsError` for a network beyond 2 GiB, which
    one such file cannot hold, and where the package onnx is not installed.
    """
    try:
        from onnx import checker, helper
    except ImportError:
        raise SettingsError("the package onnx is not installed here: pip install 'charrnn[onnx]'") from None
    if (size := 4 * parameter_count(network.architecture)) > MOST - (1 << 20):
        raise SettingsError(f"{network.architecture} have {size:,} bytes of weights, an ONNX file holds {MOST:,}: export to .npz or .pt")
    tensors = {name: array.astype(np.float32) for name, array in tensors_of(network.theta, network.architecture).items()}
    model = model_of(network.architecture, tensors)
    helper.set_model_props(model, {name: dumps(value) for name, value in metadata_of(network).items()})
    checker.check_model(model, full_check=True)
    data: bytes = model.SerializeToString()
    return data


def model_of(architecture: Architecture, tensors: Mapping[str, Array]) -> ModelProto:
    """The model of float32 tensors under the names of `charrnn.network.tensors`."""
    from onnx import TensorProto, helper, numpy_helper

    cell, m, K = architecture.cell, architecture.hidden_size, architecture.symbols
    letters = architecture.kind.states
    states = [f"{letter}{layer}" for layer in range(architecture.layers) for letter in letters]
    options: dict[str, Any] = {"linear_before_reset": 1} if architecture.kind.apart else {}  # as torch.nn.GRU has it
    constants = {"K": np.array([K]), "off_on": np.array([0, 1], np.float32), "direction": np.array([1])}
    nodes = [helper.make_node("OneHot", ["ids", "K", "off_on"], ["x0"])]
    for layer in range(architecture.layers):
        parts = {kind: gates(tensors[f"rnn.{kind}_l{layer}"], cell) for kind in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")}
        bias = np.concatenate([parts["bias_ih"], parts["bias_hh"]], axis=1)
        constants |= {f"W{layer}": parts["weight_ih"], f"R{layer}": parts["weight_hh"], f"B{layer}": bias}
        own = [f"{letter}{layer}" for letter in letters]
        given, after = [f"x{layer}", f"W{layer}", f"R{layer}", f"B{layer}", "", *own], [f"{name}_out" for name in own]
        nodes.append(helper.make_node(cell.upper(), given, [f"y{layer}", *after], hidden_size=m, **options))
        nodes.append(helper.make_node("Squeeze", [f"y{layer}", "direction"], [f"x{layer + 1}"]))
    constants |= {"V": np.ascontiguousarray(tensors["head.weight"].T), "c": tensors["head.bias"]}
    nodes.append(helper.make_node("MatMul", [f"x{architecture.layers}", "V"], ["product"]))
    nodes.append(helper.make_node("Add", ["product", "c"], ["logits"]))

    def described(names: list[str]) -> list[Any]:
        return [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, "B", m]) for name in names]

    graph = helper.make_graph(
        nodes,
        "charrnn",
        [helper.make_tensor_value_info("ids", TensorProto.INT64, ["T", "B"]), *described(states)],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["T", "B", K]), *described([f"{name}_out" for name in states])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
        doc_string=f"{architecture} over {K} symbols",
    )
    opset = helper.make_opsetid("", OPSET)
    return helper.make_model(graph, opset_imports=[opset], ir_version=IR_VERSION, producer_name="charrnn", producer_version=__version__)


def gates(tensor: Array, cell: str) -> Array:
    """(1, G m, ...): the tensor's gates in ONNX's order, for one direction."""
    parts = np.split(tensor, len(ORDER[cell]))
    return np.concatenate([parts[g] for g in ORDER[cell]])[None]
