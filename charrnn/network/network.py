"""A network: its architecture, vocabulary, parameters, and the kernels that compute it. What trains, writes and scores takes this."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Self

import numpy as np

from charrnn import arguments
from charrnn.errors import SettingsError
from charrnn.network import kernels
from charrnn.network.arrays import Array, aligned_copy
from charrnn.network.blocks import new_theta, views
from charrnn.network.dropout import NO_MASKS, Masks
from charrnn.network.settings import NetworkSettings, precision
from charrnn.network.workspace import Workspace
from charrnn.text.vocabulary import Vocabulary


class Network:
    """Settings, vocabulary and parameters, and which kernels compute them; `theta` is the array of `charrnn.network.blocks`."""

    def __init__(self, settings: NetworkSettings, vocabulary: Vocabulary, theta: Array, level: str | None = None) -> None:
        self.settings, self.vocabulary, self.theta = settings, vocabulary, theta
        self.architecture = settings.architecture(len(vocabulary))
        self.level = level or kernels.chosen()
        self.kernels = kernels.get(self.level, settings.cell)

    @classmethod
    def new(cls, settings: NetworkSettings, vocabulary: Vocabulary, rng: np.random.Generator, level: str | None = None) -> Self:
        """A network that has learned nothing."""
        return cls(settings, vocabulary, settings.initial_theta(settings.architecture(len(vocabulary)), rng), level)

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.theta.dtype

    @property
    def parameters(self) -> dict[str, Array]:
        """Views of the parameters by name; see `charrnn.CharRNN.parameters`."""
        return views(self.theta, self.architecture)

    def copy(self) -> Self:
        """One with parameters of its own."""
        return type(self)(self.settings, self.vocabulary, aligned_copy(self.theta), self.level)

    def astype(self, dtype: Any, level: str | None = None) -> Self:
        """A copy in another precision, and, on request, for other kernels."""
        settings = replace(self.settings, dtype=precision(dtype))
        theta = new_theta(self.architecture, settings.dtype)
        for name, view in views(theta, self.architecture).items():
            view[:] = self.parameters[name]
        return type(self)(settings, self.vocabulary, theta, level or self.level)

    def workspace(self, T: int, B: int, **more: Any) -> Workspace:
        """The arrays for windows of T steps in B lanes, with the weights as they are now; see `Workspace`."""
        work = Workspace(self.kernels, self.architecture, T, B, self.dtype, **more)
        self.kernels.pack(self.theta, work)
        return work

    def window_bytes(self, T: int, B: int, **more: Any) -> int:
        """About how much memory `workspace` takes."""
        return Workspace.bytes(self.architecture, T, B, self.dtype, **more)

    def loss_and_gradients(
        self, inputs: Array, targets: Array, state: Array | None = None, masks: Masks = NO_MASKS
    ) -> tuple[float, dict[str, Array], Array]:
        """See `charrnn.CharRNN.loss_and_gradients`; ids (T, B) and the state are taken as they are.

        masks: what is dropped.
        """
        work = self.workspace(*inputs.shape, dropout=masks[0] > 0)
        if state is not None:
            work.states[:, :, 0, :, : work.m] = state
        self.kernels.forward(self.theta, work, inputs, targets, 1.0, True, *masks)
        self.kernels.backward(self.theta, work, inputs, *masks)
        gradients = {name: array.copy() for name, array in views(work.gradients, self.architecture).items()}
        return float(work.losses.sum()), gradients, work.states[:, :, -1, :, : work.m].copy()

    def state(self, state: Any, batch_size: int) -> Array:
        """A carried state in its shape (layers, states, B, m) and this precision, or SettingsError.

        A network of one layer that carries only h may be given h alone, (B, m).
        """
        array, shape = arguments.array("state", state), self.architecture.state_shape(batch_size)
        if array.dtype.kind not in "fiu":
            raise SettingsError(f"state must be numbers, got {array.dtype} values")
        if array.shape == shape[2:] and shape[:2] == (1, 1):
            array = array[None, None]
        if array.shape != shape:
            raise SettingsError(f"state must have shape (layers, states, B, m) = {shape}, got {array.shape}")
        with np.errstate(over="ignore"):
            array = array.astype(self.dtype)
        if not np.isfinite(array).all():
            raise SettingsError(f"state must be finite in {self.dtype.name}, got NaN, infinity or a number too large in it")
        return array

    def ids(self, name: str, ids: Any) -> Array:
        """Ids as a contiguous array (T, B) of their own, or SettingsError."""
        array = arguments.array(name, ids)
        if array.ndim == 1:
            array = array[:, None]
        if array.ndim != 2 or not array.size:
            raise SettingsError(f"{name} must have shape (T, B) with at least one id, got {array.shape}")
        if array.dtype.kind not in "iu":
            raise SettingsError(f"{name} must be integer ids (T, B), got {array.dtype} values; one-hot rows become ids by argmax")
        T, B = array.shape
        arguments.memory(f"a window of {T:,} steps of {B:,} parallel sequences", self.window_bytes(T, B))
        K = len(self.vocabulary)
        if array.min() < 0 or array.max() >= K:
            raise SettingsError(f"{name} must lie in 0..{K - 1}, got {array.min()}..{array.max()}")
        return np.array(array, np.intc, order="C")  # a copy: what others change meanwhile does not matter
