"""PyTorch on the same work: its own nn.RNN, and the same network written out for torch.compile."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

Array = np.ndarray[Any, Any]

torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))


class Modules(nn.Module):
    """nn.RNN on gathered one-hot rows, and nn.Linear: the modules that a charrnn model file is named after."""

    def __init__(self, parameters: dict[str, Array], dtype: torch.dtype) -> None:
        super().__init__()
        m, K = parameters["U"].shape
        self.register_buffer("identity", torch.eye(K, dtype=dtype))
        self.rnn, self.head = nn.RNN(K, m, dtype=dtype), nn.Linear(m, K, dtype=dtype)
        names = {"weight_ih_l0": "U", "weight_hh_l0": "W", "bias_ih_l0": "b"}
        with torch.no_grad():
            self.rnn.bias_hh_l0.zero_()
            for ours, name in names.items():
                getattr(self.rnn, ours).copy_(torch.from_numpy(parameters[name]))
            self.head.weight.copy_(torch.from_numpy(parameters["V"]))
            self.head.bias.copy_(torch.from_numpy(parameters["c"]))
        self.rnn.bias_hh_l0.requires_grad_(False)  # the network has one b

    def forward(self, x: torch.Tensor, y: torch.Tensor, h: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        states, h = self.rnn(self.identity[x], h[None])
        logits = self.head(states)
        return F.cross_entropy(logits.flatten(0, 1), y.flatten(), reduction="sum"), h[0].detach()


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
        states, h = self.rnn(self.embedding(x), h[None])
        return F.cross_entropy(self.head(states).flatten(0, 1), y.flatten(), reduction="sum"), h[0].detach()


class Written(nn.Module):
    """The same network with the loop over time written out; U is an nn.Embedding-like table."""

    def __init__(self, parameters: dict[str, Array], dtype: torch.dtype) -> None:
        super().__init__()
        table = {"UT": parameters["U"].T} | {name: parameters[name] for name in "WVbc"}
        for name, value in table.items():
            setattr(self, name, nn.Parameter(torch.tensor(np.ascontiguousarray(value), dtype=dtype)))

    def forward(self, x: torch.Tensor, y: torch.Tensor, h: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        driven = F.embedding(x, self.UT) + self.b
        states = []
        for t in range(len(x)):
            h = torch.tanh(torch.addmm(driven[t], h, self.W.t()))
            states.append(h)
        logits = F.linear(torch.stack(states), self.V, self.c)
        return F.cross_entropy(logits.flatten(0, 1), y.flatten(), reduction="sum"), h.detach()


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
    ) -> None:
        real: torch.dtype = getattr(torch, dtype)
        networks: dict[str, Any] = {"modules": Modules, "embedded": Embedded, "written": Written}
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
        self.state = torch.zeros(batch_size, parameters["W"].shape[0], dtype=real)

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
