"""onnxruntime on the same reading: RNN, GRU and LSTM operators, one call for a text or one call for each character."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import onnxruntime

from charrnn.bench.compiled import architecture_of, theta_of
from charrnn.export.onnx import model_of
from charrnn.network.tensors import tensors_of

Array = np.ndarray[Any, Any]
_sessions: dict[Any, Reader] = {}


class Reader:
    """A network in a session, as `charrnn export` writes it: ids and states in, logits and states out."""

    def __init__(self, parameters: dict[str, Array], cell: str, layers: int) -> None:
        architecture = architecture_of(parameters, cell, layers)
        model = model_of(architecture, tensors_of(theta_of(parameters, architecture, "float32"), architecture))
        self.K = architecture.symbols
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = int(os.environ.get("OMP_NUM_THREADS", "1"))
        self.session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        self.names = [each.name for each in self.session.get_inputs()[1:]]
        self.zero = np.zeros((1, 1, architecture.hidden_size), np.float32)

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
