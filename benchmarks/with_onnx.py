"""onnxruntime on the same reading: RNN, GRU and LSTM operators, one call for a text or one call for each character."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from charrnn.bench.compiled import architecture_of, theta_of
from charrnn.network.tensors import tensors_of

Array = np.ndarray[Any, Any]
GATES = {"rnn": [0], "gru": [1, 0, 2], "lstm": [0, 3, 1, 2]}  # ONNX has z r h and i o f c; the tensors r z n and i f g o
_sessions: dict[Any, Reader] = {}


class Reader:
    """A network as an ONNX model in a session: ids and states in, logits and states out."""

    def __init__(self, parameters: dict[str, Array], cell: str, layers: int) -> None:
        architecture = architecture_of(parameters, cell, layers)
        tensors = tensors_of(theta_of(parameters, architecture, "float32"), architecture)
        m, K = architecture.hidden_size, architecture.symbols
        self.K = K
        constants = {"eye": np.eye(K, dtype=np.float32), "V": tensors["head.weight"].T, "c": tensors["head.bias"], "one": np.array([1])}
        nodes = [helper.make_node("Gather", ["eye", "ids"], ["x0"])]
        states = [f"{letter}{layer}" for layer in range(layers) for letter in ("h", "c_")[: 1 + (cell == "lstm")]]
        for layer in range(layers):

            def gates(name: str, layer: int = layer) -> Array:
                parts = np.split(tensors[f"rnn.{name}_l{layer}"], len(GATES[cell]))
                return np.concatenate([parts[i] for i in GATES[cell]])[None]

            constants |= {f"W{layer}": gates("weight_ih"), f"R{layer}": gates("weight_hh")}
            constants[f"B{layer}"] = np.concatenate([gates("bias_ih"), gates("bias_hh")], axis=1)
            own = [name for name in states if name.endswith(str(layer))]
            given = [f"x{layer}", f"W{layer}", f"R{layer}", f"B{layer}", "", *own]
            options = {"linear_before_reset": 1} if cell == "gru" else {}
            nodes.append(helper.make_node(cell.upper(), given, [f"y{layer}", *(f"{n}_out" for n in own)], hidden_size=m, **options))
            nodes.append(helper.make_node("Squeeze", [f"y{layer}", "one"], [f"x{layer + 1}"]))
        nodes.append(helper.make_node("MatMul", [f"x{layers}", "V"], ["product"]))
        nodes.append(helper.make_node("Add", ["product", "c"], ["logits"]))
        graph = helper.make_graph(
            nodes,
            "charrnn",
            [helper.make_tensor_value_info("ids", TensorProto.INT64, ["T", 1])]
            + [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 1, m]) for name in states],
            [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in ("logits", *(f"{n}_out" for n in states))],
            [numpy_helper.from_array(np.ascontiguousarray(value), name) for name, value in constants.items()],
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 22)], ir_version=10)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = int(os.environ.get("OMP_NUM_THREADS", "1"))
        self.session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        self.names, self.zero = states, np.zeros((1, 1, m), np.float32)

    def start(self) -> list[Array]:
        """The state that a text begins from."""
        return [self.zero] * len(self.names)

    def read(self, ids: Array, states: list[Array]) -> tuple[Array, list[Array]]:
        """Logits (T, K) after ids (T,), and the states after the last."""
        logits, *after = self.session.run(None, {"ids": ids[:, None]} | dict(zip(self.names, states, strict=True)))
        return logits.reshape(-1, self.K), after


def reader(parameters: dict[str, Array], cell: str, layers: int) -> Reader:
    """Made once for each network: loading is not what is compared."""
    key = cell, layers, id(parameters)
    if key not in _sessions:
        _sessions[key] = Reader(parameters, cell, layers)
    return _sessions[key]


def sample(parameters: dict[str, Array], uniforms: Array, cell: str = "rnn", layers: int = 1) -> Array:
    """Synthesis, one character after another, as charrnn.bench.baselines.sample defines it."""
    network = reader(parameters, cell, layers)
    symbol, states, ids = np.zeros(1, np.int64), network.start(), np.empty(len(uniforms), np.int32)
    for i, number in enumerate(uniforms):
        logits, states = network.read(symbol, states)
        p = np.exp(logits[0] - logits[0].max())
        total = p.cumsum()
        symbol[0] = ids[i] = min(int(np.searchsorted(total, number * total[-1], side="right")), network.K - 1)
    return ids


def score(parameters: dict[str, Array], ids: Array, cell: str = "rnn", layers: int = 1) -> Array:
    """-ln p of every symbol but the first, in one call: ids (n,), nats (n - 1,)."""
    network = reader(parameters, cell, layers)
    logits, _ = network.read(ids[:-1].astype(np.int64), network.start())
    most = logits.max(axis=1)
    chosen = np.take_along_axis(logits, ids[1:, None], axis=1)[:, 0]
    losses: Array = np.log(np.exp(logits - most[:, None]).sum(axis=1)) + most - chosen
    return losses
