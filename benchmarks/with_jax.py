"""JAX on the same work: one jitted call runs all updates in a lax.scan, each with scans over time inside.

The gradients come from jax.grad, as everybody gets them, or are written out: then everything that does not recur is one
product over the window, where jax.grad adds up dW in every time step.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

Array = np.ndarray[Any, Any]
Tree = dict[str, Any]

UNROLL = 5  # time steps per turn of a loop: its overhead is comparable with one lane's product


def derived(values: Tree, x: Any, y: Any, h0: Any, scale: float) -> tuple[Any, Tree, Any]:
    """The summed loss, the gradients times scale, and the last state, for x and y (T, B); gradients by jax.grad."""

    def loss_of(values: Tree) -> tuple[Any, Any]:
        def forward(h: Any, driven: Any) -> tuple[Any, Any]:
            h = jnp.tanh(h @ values["W"].T + driven)
            return h, h

        last, h = lax.scan(forward, h0, values["UT"][x] + values["b"], unroll=UNROLL)
        log_p = jax.nn.log_softmax(h @ values["V"].T + values["c"])
        loss = -jnp.sum(jnp.take_along_axis(log_p, y[..., None], -1))
        return loss * scale, (loss, last)

    gradients, (loss, last) = jax.grad(loss_of, has_aux=True)(values)
    return loss, gradients, last


def written(values: Tree, x: Any, y: Any, h0: Any, scale: float) -> tuple[Any, Tree, Any]:
    """The same, with the equations of backprop-through-time."""
    UT, W, V, b, c = (values[name] for name in ("UT", "W", "V", "b", "c"))
    T, B = x.shape
    m, K = W.shape[0], V.shape[0]

    def forward(h: Any, driven: Any) -> tuple[Any, Any]:
        h = jnp.tanh(h @ W.T + driven)
        return h, h

    last, h = lax.scan(forward, h0, UT[x] + b, unroll=UNROLL)
    rows = h.reshape(T * B, m)
    log_p = jax.nn.log_softmax(rows @ V.T + c)
    onehot = jax.nn.one_hot(y.reshape(-1), K, dtype=log_p.dtype)
    loss = -jnp.sum(log_p * onehot)
    g = (jnp.exp(log_p) - onehot) * scale

    def backward(da: Any, step: Any) -> tuple[Any, Any]:
        dh, slope = step
        da = (dh + da @ W) * slope
        return da, da

    _, da = lax.scan(backward, jnp.zeros_like(h0), ((g @ V).reshape(T, B, m), 1.0 - h * h), reverse=True, unroll=UNROLL)
    before = jnp.concatenate([h0[None], h[:-1]]).reshape(T * B, m)
    flat = da.reshape(T * B, m)
    seen = jax.nn.one_hot(x.reshape(-1), K, dtype=flat.dtype)
    gradients = {"UT": seen.T @ flat, "W": flat.T @ before, "V": g.T @ rows, "b": flat.sum(0), "c": g.sum(0)}
    return loss, gradients, last


@partial(jax.jit, static_argnames=("optimizer", "learning_rate", "clip", "scale", "gradients_by"), donate_argnums=(0,))
def updates(
    carried: tuple[Any, ...],
    inputs: Any,
    targets: Any,
    *,
    optimizer: str,
    learning_rate: float,
    clip: float | None,
    scale: float,
    gradients_by: Any,
) -> tuple[tuple[Any, ...], Any]:
    """One update per window; carried is (values, first, second, step, state)."""

    def update(carried: tuple[Any, ...], window: Any) -> tuple[tuple[Any, ...], Any]:
        values, first, second, step, state = carried
        loss, gradients, state = gradients_by(values, *window, state, scale)
        if clip is not None:
            gradients = {name: jnp.clip(g, -clip, clip) for name, g in gradients.items()}
        step = step + 1
        if optimizer == "adagrad":
            second = {name: second[name] + g * g for name, g in gradients.items()}
            values = {name: values[name] - learning_rate * g / jnp.sqrt(second[name] + 1e-8) for name, g in gradients.items()}
        else:
            first = {name: 0.9 * first[name] + 0.1 * g for name, g in gradients.items()}
            second = {name: 0.999 * second[name] + 0.001 * g * g for name, g in gradients.items()}
            rate, root = learning_rate / (1.0 - 0.9**step), jnp.sqrt(1.0 - 0.999**step)
            values = {name: value - rate * first[name] / (jnp.sqrt(second[name]) / root + 1e-8) for name, value in values.items()}
        return (values, first, second, step, state), loss

    return lax.scan(update, carried, (inputs, targets))


class Jax:
    """Arguments as charrnn.bench.baselines.Vectorised; gradients: "derived" by jax.grad, or "written" out."""

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
        gradients: str = "derived",
    ) -> None:
        if dtype == "float64":
            jax.config.update("jax_enable_x64", True)
        values = {"UT": parameters["U"].T} | {name: parameters[name] for name in "WVbc"}
        values = {name: jnp.array(value, dtype) for name, value in values.items()}
        first, second = ({name: jnp.zeros_like(value) for name, value in values.items()} for _ in range(2))
        state = jnp.zeros((batch_size, parameters["W"].shape[0]), dtype)
        self.carried: tuple[Any, ...] = (values, first, second, jnp.zeros((), dtype), state)
        scale = 1.0 / (seq_length * batch_size) if reduction == "mean" else 1.0
        self.settings = {
            "optimizer": optimizer,
            "learning_rate": learning_rate,
            "clip": clip,
            "scale": scale,
            "gradients_by": {"derived": derived, "written": written}[gradients],
        }

    def run(self, inputs: Array, targets: Array) -> Array:
        """One update per window of inputs and targets (n, T, B); returns the summed losses."""
        self.carried, losses = updates(self.carried, inputs, targets, **self.settings)
        return np.asarray(losses, np.float64)
