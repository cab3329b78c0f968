"""What a network is made with: the arguments of `CharRNN`, checked."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from charrnn import arguments
from charrnn.errors import SettingsError
from charrnn.network.architecture import Architecture
from charrnn.network.arrays import Array
from charrnn.network.blocks import Block, blocks, new_theta, theta_bytes
from charrnn.network.cells import CELLS

DTYPES = ("float32", "float64")
INITS = ("normal", "scaled", "orthogonal")
MOST_LAYERS = 64


@dataclass(frozen=True)
class NetworkSettings:
    """A network before it meets a text, and so a number of symbols. See `charrnn.CharRNN` for the meaning of each.

    Raises `SettingsError` for the first value that makes no sense, and, before anything is allocated, for sizes that no memory holds.

    >>> NetworkSettings(hidden_size=20, cell="gru").architecture(65).symbols
    65
    """

    hidden_size: int = 100
    cell: str = "rnn"
    layers: int = 1
    dtype: str = "float32"
    init: str = "normal"
    init_std: float = 0.01
    seed: int = 0

    def __post_init__(self) -> None:
        values: dict[str, Any] = {
            "hidden_size": arguments.whole_number("hidden_size", self.hidden_size),
            "cell": arguments.one_of("cell", self.cell, CELLS),
            "layers": arguments.whole_number("layers", self.layers),
            "dtype": precision(self.dtype),
            "init": arguments.one_of("init", self.init, INITS),
            "init_std": arguments.number("init_std", self.init_std, at_least=0, at_most=1e6),
            "seed": arguments.whole_number("seed", self.seed, at_least=0),
        }
        if values["layers"] > MOST_LAYERS:
            raise SettingsError(f"layers must be at most {MOST_LAYERS}, got {self.layers!r}")
        for name, value in values.items():
            object.__setattr__(self, name, value)
        self.architecture(2)

    def architecture(self, symbols: int) -> Architecture:
        """The network for that many symbols; SettingsError if no memory holds it and its gradient."""
        m, L, G = self.hidden_size, self.layers, len(CELLS[self.cell].gates)
        # before the table of blocks is made, which for absurd sizes would itself be large
        least = 2 * self.itemsize * m * (G * m * (2 * L - 1) + 2 * symbols)
        arguments.memory(f"a network of {L:,} x {m:,} hidden units and {symbols:,} symbols", least)
        found = Architecture(self.cell, m, L, symbols)
        arguments.memory(f"a network of {found} and {symbols:,} symbols", 2 * theta_bytes(found, self.dtype))
        return found

    @property
    def itemsize(self) -> int:
        return int(np.dtype(self.dtype).itemsize)

    def initial_theta(self, architecture: Architecture, rng: np.random.Generator) -> Array:
        """The parameters that training starts from, drawn block by block."""
        theta = new_theta(architecture, self.dtype)
        for block in blocks(architecture):
            if block.letter in "UWV":
                block.view(theta)[:] = self._drawn(block, rng)
            elif block.letter == "b":
                block.view(theta)[:] = architecture.kind.bias.get(architecture.kind.gates[block.gate], 0.0)
        return theta

    def _drawn(self, block: Block, rng: np.random.Generator) -> Array:
        """The first values of a matrix. Only the first layer's U is driven by one-hot symbols; above, U is a matrix like W."""
        m, K = block.shape[0], block.shape[-1]
        std = self.init_std
        if self.init != "normal":
            first = block.letter == "U" and block.layer == 0
            scaled = {"U": 1 / np.sqrt(2 * K), "W": 1 / np.sqrt(2 * m), "V": 1 / np.sqrt(K)}[block.letter]
            std = self.init_std if self.init == "orthogonal" and first else float(scaled)
        if self.init == "orthogonal" and block.letter != "V" and not (block.letter == "U" and block.layer == 0):
            q, r = np.linalg.qr(rng.normal(0, 1.0, block.shape).astype(self.dtype).astype(np.float64))
            return q * np.sign(np.diag(r))
        return rng.normal(0, std, block.shape) if std else np.zeros(block.shape)


MODEL = tuple(field.name for field in fields(NetworkSettings))  # the names of the settings, for recipes and options


def precision(dtype: Any) -> str:
    """The name of a precision, however it is given, or SettingsError."""
    try:  # NumPy takes None for float64
        name = dtype if isinstance(dtype, str) else repr(None) if dtype is None else np.dtype(dtype).name
    except TypeError:
        name = repr(dtype)
    return arguments.one_of("dtype", name, DTYPES)
