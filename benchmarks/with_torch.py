"""PyTorch on the same work: its own nn.RNN, and the same network written out for torch.compile."""

from __future__ import annotations

import os
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from charrnn.bench.compiled import architecture_of, theta_of
from charrnn.network.tensors import tensors_of

Array = np.ndarray[Any, Any]

torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))


class Modules(nn.Module):
    """nn.RNN, nn.GRU or nn.LSTM on gathered one-hot rows, and nn.Linear: the modules that a charrnn model file is named after."""

    def __init__(self, parameters: dict[str, Array], dtype: torch.dtype, cell: str = "rnn", layers: int = 1) -> None:
        super().__init__()
        architecture = architecture_of(parameters, cell, layers)
        m, K = architecture.hidden_size, architecture.symbols
        self.rnn, self.head = getattr(nn, cell.upper())(K, m, layers, dtype=dtype), nn.Linear(m, K, dtype=dtype)
        tensors = tensors_of(theta_of(parameters, architecture, "float64"), architecture)
        self.load_state_dict({name: torch.from_numpy(tensor) for name, tensor in tensors.items()})
        self.register_buffer("identity", torch.eye(K, dtype=dtype))
        for layer in range(layers):  # the network has one bias for each gate, and a second for the GRU's last
            second = getattr(self.rnn, f"bias_hh_l{layer}")
            if cell == "gru":
                second.register_hook(partial(_last_gate_only, m=m))
            else:
                second.requires_grad_(False)

    def forward(self, x: torch.Tensor, y: torch.Tensor, state: Any) -> tuple[torch.Tensor, Any]:
        states, state = self.rnn(self.identity[x], state)
        logits = self.head(states)
        return F.cross_entropy(logits.flatten(0, 1), y.flatten(), reduction="sum"), detached(state)


def _last_gate_only(gradient: torch.Tensor, m: int) -> torch.Tensor:
    gradient = gradient.clone()
    gradient[: 2 * m] = 0
    return gradient


def detached(state: Any) -> Any:
    """Without what it was computed from; an LSTM's is a pair."""
    return tuple(part.detach() for part in state) if isinstance(state, tuple) else state.detach()


class Embedded(nn.Module):
    """nn.Embedding, nn.RNN and nn.Linear, as character models are commonly put together in PyTorch.

    It starts as the same function, U = W_ih E^T with W_ih = 1, but it is a larger network: an embedding as wide as the
    hidden layer, and one more product per character. Training changes both factors, so only its first loss is ours.
    """

    def __init__(self, parameters: dict[str, Array], dtype: torch.dtype) -> None:
        super().__init__()
        m, K = parameters["U"].shape
        self.embedding, self.rnn = nn.Embedding(K, m, dtype=dtype), nn.RNN(m, m, dtype=dtype)
        self.head = nn.Linear(m, K, dtype=dtype)
        with torch.no_grad():
            self.embedding.weight.copy_(torch.from_numpy(parameters["U"].T))
            self.rnn.weight_ih_l0.copy_(torch.eye(m, dtype=dtype))
            self.rnn.bias_hh_l0.zero_()
            for ours, name in {"weight_hh_l0": "W", "bias_ih_l0": "b"}.items():
                getattr(self.rnn, ours).copy_(torch.from_numpy(parameters[name]))
            self.head.weight.copy_(torch.from_numpy(parameters["V"]))
            self.head.bias.copy_(torch.from_numpy(parameters["c"]))

    def forward(self, x: torch.Tensor, y: torch.Tensor, h: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        states, h = self.rnn(self.embedding(x), h)
        return F.cross_entropy(self.head(states).flatten(0, 1), y.flatten(), reduction="sum"), h.detach()


class Written(nn.Module):
    """The same network with the loop over time written out; U is an nn.Embedding-like table."""

    def __init__(self, parameters: dict[str, Array], dtype: torch.dtype) -> None:
        super().__init__()
        table = {"UT": parameters["U"].T} | {name: parameters[name] for name in "WVbc"}
        for name, value in table.items():
            setattr(self, name, nn.Parameter(torch.tensor(np.ascontiguousarray(value), dtype=dtype)))

    def forward(self, x: torch.Tensor, y: torch.Tensor, h: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        driven = F.embedding(x, self.UT) + self.b
        states, h = [], h[0]
        for t in range(len(x)):
            h = torch.tanh(torch.addmm(driven[t], h, self.W.t()))
            states.append(h)
        logits = F.linear(torch.stack(states), self.V, self.c)
        return F.cross_entropy(logits.flatten(0, 1), y.flatten(), reduction="sum"), h[None].detach()


class Torch:
    """Arguments as charrnn.bench.baselines.Vectorised; `network` is "modules", "embedded" or "written"."""

    def __init__(
        self,
        parameters: dict[str, Array],
        *,
        seq_length: int,
        batch_size: int,
        optimizer: str,
        learning_rate: float,
        clip: float | None,
        reduction: str,
        dtype: str = "float32",
        network: str = "modules",
        compiled: bool = False,
        cell: str = "rnn",
        layers: int = 1,
    ) -> None:
        real: torch.dtype = getattr(torch, dtype)
        networks: dict[str, Any] = {"modules": partial(Modules, cell=cell, layers=layers), "embedded": Embedded, "written": Written}
        model = networks[network](parameters, real)
        self.trained = [value for value in model.parameters() if value.requires_grad]
        if optimizer == "adagrad":
            # An accumulator that starts at epsilon puts epsilon inside the root, where charrnn has it.
            self.optimizer: torch.optim.Optimizer = torch.optim.Adagrad(
                self.trained, learning_rate, initial_accumulator_value=1e-8, eps=0.0, fused=True
            )
        else:
            self.optimizer = torch.optim.Adam(self.trained, learning_rate, fused=True)
        self.model = torch.compile(model) if compiled else model
        self.scale = 1.0 / (seq_length * batch_size) if reduction == "mean" else 1.0
        self.clip = clip
        self.state = zero_state(cell, layers, batch_size, parameters["V"].shape[1], real)

    def run(self, inputs: Array, targets: Array) -> Array:
        """One update per window of inputs and targets (n, T, B); returns the summed losses."""
        losses = []
        for x, y in zip(torch.from_numpy(inputs).long(), torch.from_numpy(targets).long(), strict=True):
            loss, self.state = self.model(x, y, self.state)
            self.optimizer.zero_grad()
            (loss * self.scale if self.scale != 1.0 else loss).backward()
            if self.clip is not None:
                nn.utils.clip_grad_value_(self.trained, self.clip)
            self.optimizer.step()
            losses.append(loss.detach())
        return torch.stack(losses).double().numpy()


def zero_state(cell: str, layers: int, B: int, m: int, dtype: torch.dtype) -> Any:
    """The state that a text begins from."""
    h = torch.zeros(layers, B, m, dtype=dtype)
    return (h, torch.zeros_like(h)) if cell == "lstm" else h


@torch.inference_mode()
def sample_modules(parameters: dict[str, Array], uniforms: Array, cell: str = "rnn", layers: int = 1) -> Array:
    """Synthesis with the modules, a call for each character, as charrnn.bench.baselines.sample defines it."""
    model = Modules(parameters, torch.float32, cell, layers)
    state, numbers = zero_state(cell, layers, 1, model.head.in_features, torch.float32), torch.tensor(uniforms, dtype=torch.float32)
    symbol, ids = torch.zeros(1, 1, dtype=torch.long), np.empty(len(uniforms), np.int32)
    for i in range(len(uniforms)):
        states, state = model.rnn(model.identity[symbol], state)
        total = torch.softmax(model.head(states)[0, 0], 0).cumsum(0)
        symbol[0, 0] = ids[i] = min(int(torch.searchsorted(total, numbers[i], right=True)), len(total) - 1)
    return ids


@torch.inference_mode()
def score(parameters: dict[str, Array], ids: Array, cell: str = "rnn", layers: int = 1) -> Array:
    """-ln p of every symbol but the first, in one call: ids (n,), nats (n - 1,)."""
    model, text = Modules(parameters, torch.float32, cell, layers), torch.from_numpy(ids).long()
    states, _ = model.rnn(model.identity[text[:-1, None]])
    return F.cross_entropy(model.head(states)[:, 0], text[1:], reduction="none").numpy()


@torch.inference_mode()
def sample(parameters: dict[str, Array], uniforms: Array, dtype: str = "float32") -> Array:
    """Synthesis, one character after another, as charrnn.bench.baselines.sample defines it."""
    real = getattr(torch, dtype)
    U, W, V, b, c = (torch.tensor(parameters[name], dtype=real) for name in "UWVbc")
    columns = U.T.contiguous() + b
    h = torch.zeros_like(b)
    numbers = torch.tensor(uniforms, dtype=real)
    last = len(c) - 1
    symbol, ids = 0, np.empty(len(uniforms), np.int32)
    for i in range(len(uniforms)):
        h = torch.tanh(torch.addmv(columns[symbol], W, h))
        total = torch.softmax(torch.addmv(c, V, h), 0).cumsum(0)
        symbol = ids[i] = min(int(torch.searchsorted(total, numbers[i], right=True)), last)
    return ids
