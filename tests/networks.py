"""Random networks of every kind, windows for them, and PyTorch's autograd on both."""

from __future__ import annotations

from typing import Any

import numpy as np

from charrnn.network import kernels, reference
from charrnn.network.blocks import views
from charrnn.network.cells import CELLS
from charrnn.network.dropout import NO_MASKS as NO_MASKS
from charrnn.network.dropout import Masks, candidates_kept, dropout_mask
from charrnn.network.network import Network
from charrnn.network.settings import NetworkSettings
from charrnn.network.tensors import tensors_of
from charrnn.text.vocabulary import Vocabulary

COMPILED = [level for level in kernels.available() if level != "numpy"]
KINDS = [(cell, layers) for cell in ("rnn", "gru", "lstm") for layers in (1, 2, 3)]  # every cell, one to three layers
MASKS = Masks(0.4, 7, 3, 0.3)


def network(cell: str, layers: int, m: int, K: int, std: float = 0.4, seed: int = 0, level: str = "numpy") -> Network:
    """All parameters ~ N(0, std^2), biases too."""
    rng = np.random.default_rng([seed, m, K, layers])
    settings = NetworkSettings(m, cell, layers, "float64")
    made = Network.new(settings, Vocabulary("".join(chr(200 + k) for k in range(K))), rng, level)
    for array in made.parameters.values():
        array[:] = rng.normal(0, std, array.shape)
    return made


def window(network: Network, T: int, B: int, zero: bool = False, seed: int = 0) -> tuple[Any, Any, Any]:
    """Inputs and targets (T, B), and a carried state, uniform in (-1, 1) or 0."""
    rng = np.random.default_rng([seed, T, B])
    inputs, targets = rng.integers(0, len(network.vocabulary), (2, T, B)).astype(np.intc)
    shape = network.architecture.state_shape(B)
    return inputs, targets, np.zeros(shape) if zero else rng.uniform(-1, 1, shape)


def masks_of(network: Network, T: int, B: int) -> list[Any]:
    """What MASKS drop: for each layer (T, B, m) of what it hands up, and of its candidates or None."""
    architecture = network.architecture
    m = architecture.hidden_size
    return [
        (dropout_mask(*MASKS[:3], layer, (T, B, m)), candidates_kept(MASKS, layer, architecture, T, B))
        for layer in range(architecture.layers)
    ]


def step_by_step(recurrent: Any, inputs: Any, carried: Any, kept: Any) -> Any:
    """What a layer of PyTorch's computes, (T, B, m), by the formulas of its documentation, with its candidates multiplied by kept."""
    import torch

    W_ih, W_hh, b_ih, b_hh = recurrent.parameters()
    (h, *c), out = [part[0] for part in carried], []
    for x, k in zip(inputs, torch.from_numpy(kept), strict=True):
        from_x, from_h = x @ W_ih.T + b_ih, h @ W_hh.T + b_hh
        if c:
            i, f, g, o = (from_x + from_h).chunk(4, 1)
            c = [torch.sigmoid(f) * c[0] + torch.sigmoid(i) * (k * torch.tanh(g))]
            h = torch.sigmoid(o) * torch.tanh(c[0])
        else:
            (x_r, x_z, x_n), (h_r, h_z, h_n) = from_x.chunk(3, 1), from_h.chunk(3, 1)
            z, n = torch.sigmoid(x_z + h_z), torch.tanh(x_n + torch.sigmoid(x_r + h_r) * h_n)
            h = (1 - z) * (k * n) + z * h
        out.append(h)
    return torch.stack(out)


def autograd(network: Network, inputs: Any, targets: Any, state: Any, masks: Any = None) -> tuple[float, dict[str, Any]]:
    """The summed loss and its gradients, by PyTorch's own layers in float64, with what `masks_of` drops.

    The gradients come by PyTorch's names, rnn.weight_ih_l0 ... head.bias.
    """
    import torch

    architecture, tensors = network.architecture, tensors_of(network.theta, network.architecture)
    m, K = architecture.hidden_size, architecture.symbols
    below, gradients, layers = torch.nn.functional.one_hot(torch.from_numpy(inputs.astype(np.int64)), K).double(), {}, []
    for layer in range(architecture.layers):
        recurrent = getattr(torch.nn, CELLS[architecture.cell].torch)(m if layer else K, m, dtype=torch.float64)
        names = [f"{kind}_{place}_l" for kind in ("weight", "bias") for place in ("ih", "hh")]
        recurrent.load_state_dict({f"{name}0": torch.from_numpy(tensors[f"rnn.{name}{layer}"]) for name in names})
        carried = tuple(torch.from_numpy(part[None].copy()) for part in state[layer])
        handed_up, kept = masks[layer] if masks else (None, None)
        if kept is None:
            below, _ = recurrent(below, carried if len(carried) > 1 else carried[0])
        else:
            below = step_by_step(recurrent, below, carried, kept)
        if handed_up is not None:
            below = below * torch.from_numpy(handed_up)
        layers.append((layer, recurrent))
    head = torch.nn.Linear(m, K, dtype=torch.float64)
    head.load_state_dict({name: torch.from_numpy(tensors[f"head.{name}"]) for name in ("weight", "bias")})
    ids = torch.from_numpy(targets.astype(np.int64)).reshape(-1)
    loss = torch.nn.functional.cross_entropy(head(below).reshape(-1, K), ids, reduction="sum")
    loss.backward()
    for layer, recurrent in layers:
        gradients |= {f"rnn.{name[:-1]}{layer}": parameter.grad.numpy() for name, parameter in recurrent.named_parameters()}
    gradients |= {f"head.{name}": parameter.grad.numpy() for name, parameter in head.named_parameters()}
    return float(loss.detach()), gradients


def by_block(tensors: dict[str, Any], network: Network) -> dict[str, Any]:
    """Gradients by PyTorch's names as gradients by charrnn's, read off without charrnn's table of blocks."""
    cell, L = network.architecture.cell, network.architecture.layers
    gates = {"rnn": [""], "gru": ["_r", "_z", "_n"], "lstm": ["_i", "_f", "_g", "_o"]}[cell]
    found = {"V": tensors["head.weight"], "c": tensors["head.bias"]}
    for layer in range(L):
        prefix = f"layer{layer + 1}." if L > 1 else ""
        for letter, name in (("U", "weight_ih"), ("W", "weight_hh"), ("b", "bias_ih")):
            parts = np.split(tensors[f"rnn.{name}_l{layer}"], len(gates))
            found |= {f"{prefix}{letter}{gate}": part for gate, part in zip(gates, parts, strict=True)}
        if cell == "gru":
            found[f"{prefix}b_hn"] = np.split(tensors[f"rnn.bias_hh_l{layer}"], 3)[2]
    return found


def distance(found: Any, expected: Any) -> float:
    """The largest difference in an array, over the largest entry of what is expected."""
    assert found.shape == expected.shape
    return float(np.abs(found - expected).max() / (np.abs(expected).max() or 1))


def complex_gradients(made: Network, inputs: Any, targets: Any, state: Any, masks: Any = NO_MASKS) -> dict[str, Any]:
    """Im L(theta + ih) / h for every entry: the reference runs in complex numbers, so that nothing is subtracted."""
    work = made.workspace(*inputs.shape, backward=False, dropout=masks[0] > 0)
    for name in ("states", "gates", "dropped", "error", "losses"):
        setattr(work, name, getattr(work, name).astype(complex))
    theta, found = made.theta.astype(complex), {}
    work.states[:, :, 0, :, : work.m] = state
    for name, parameter in views(theta, made.architecture).items():
        found[name] = np.zeros(parameter.shape)
        for place in np.ndindex(parameter.shape):
            parameter[place] += 1e-30j
            reference.forward(theta, work, inputs, targets, 1.0, False, *masks)
            found[name][place] = work.losses.sum().imag / 1e-30
            parameter[place] = parameter[place].real
    return found


def agrees_with_a_complex_step(made: Network, T: int, B: int, masks: Any = NO_MASKS) -> None:
    """Assert that each gradient is that of a complex step within 1e-12 of its largest entry."""
    inputs, targets, state = window(made, T, B)
    gradients = made.loss_and_gradients(inputs, targets, state, masks)[1]
    for name, expected in complex_gradients(made, inputs, targets, state, masks).items():
        assert distance(gradients[name], expected) < 1e-12, name
