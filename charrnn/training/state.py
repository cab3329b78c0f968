"""A run's counters and the optimiser's state as metadata and tensors, in checkpoints and in models that go on as they were trained."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from charrnn import arguments
from charrnn.errors import ModelFileError, SettingsError
from charrnn.files.schema import COURSE
from charrnn.network.architecture import Architecture
from charrnn.network.arrays import Array, aligned_zeros, padded
from charrnn.network.network import Network
from charrnn.network.optimisers import SLOTS
from charrnn.network.smooth import SmoothLoss
from charrnn.network.tensors import check_shapes, fill, tensors_of
from charrnn.training.best import Lowest
from charrnn.training.plan import TRAINING, Settings
from charrnn.training.run import COUNTERS, Run

PREFIX = "optimizer."


def run_of(described: Mapping[str, Any]) -> Run:
    """The counters and settings that `Run.plain` wrote; KeyError, TypeError or ValueError for anything else."""
    COURSE(described, "the run")
    run = Run(Settings(**described["settings"]))
    for name in COUNTERS:
        setattr(run, name, arguments.whole_number(name, described[name], at_least=-1))
    run.fingerprint = described["fingerprint"]
    if "lowest" in described:
        run.lowest = Lowest.of(described["lowest"])
    run.validation = described["validation"] if "validation" in described else described["held_out"]  # the name in version 1
    run.test = described.get("test")
    if not 0 <= run.done <= run.total or run.step < run.done or min(run.cursor, run.rescues, run.moments) < 0:
        raise SettingsError(f"update {run.done} of {run.total} after {run.step}, at {run.cursor}, cannot be")
    return run


def run_of_model(network: Network, trained: Mapping[str, Any], tensors: Mapping[str, Array], name: str) -> tuple[Run | None, str]:
    """What a model goes on with that was loaded from a file, as far as the file says: and in words what it does not say."""
    try:
        run = run_of(trained)
    except (KeyError, TypeError, ValueError):  # a file of version 0.1, or somebody else's
        try:
            settings = trained["settings"]
            run = Run(Settings(**{key: settings[key] for key in TRAINING if key in settings}))
            run.step = arguments.whole_number("step", trained["step"], at_least=0)
        except (KeyError, TypeError, ValueError):
            return None, "the model's file does not say how it was trained: training begins with the settings given here"
    run.done = run.total = run.moments  # nothing of it is left to do
    run.total = max(run.total, 1)
    run.lowest = Lowest()
    count = SLOTS[run.settings.optimizer]
    if not all(any(tensor.startswith(f"{PREFIX}{i}.") for tensor in tensors) for i in range(count)):
        run.moments = 0
        return run, f"the model's file does not hold {run.settings.optimizer}'s state: it begins anew"
    run.slots = slots_of(network, run, tensors, name)
    if "state" in tensors and "smooth" in tensors:
        run.state, run.smooth = state_of(network, run, tensors, name), smooth_of(tensors, "smooth", name)
        run.smooth.numbers[[1, 3, 4]] = np.inf, 0, 0  # the best parameters are not in the file
    return run, ""


def slots_of(network: Network, run: Run, tensors: Mapping[str, Array], name: str, prefix: str = "") -> Array:
    """The optimiser's state (slots, R, m_) from the tensors of `tensors_of_slots`; ModelFileError where they do not fit."""
    slots = aligned_zeros((SLOTS[run.settings.optimizer], *network.theta.shape), network.dtype)
    for i, slot in enumerate(slots):
        fill(slot, network.architecture, tensors, name, f"{prefix}{PREFIX}{i}.")
    return slots


def tensors_of_slots(slots: Array, architecture: Architecture, prefix: str = "") -> dict[str, Array]:
    """The optimiser's state under the names of the parameters, each slot with a prefix."""
    tensors: dict[str, np.ndarray[Any, np.dtype[Any]]] = {}
    for i, slot in enumerate(slots):
        tensors |= tensors_of(slot, architecture, f"{prefix}{PREFIX}{i}.")
    return tensors


def tensors_of_run(run: Run, architecture: Architecture) -> dict[str, Array]:
    """The optimiser's state, the carried state (layers, states, B, m) and the numbers of the smooth loss."""
    assert run.slots is not None
    assert run.state is not None
    return tensors_of_slots(run.slots, architecture) | {"state": run.state[..., : architecture.hidden_size], "smooth": run.smooth.numbers}


def state_of(network: Network, run: Run, tensors: Mapping[str, Array], name: str) -> Array:
    """The carried state; in version 1 it is (B, m)."""
    shape, found = network.architecture.state_shape(run.settings.batch_size), dict(tensors)
    if "state" in found and found["state"].ndim == 2:
        found["state"] = found["state"][None, None]
    check_shapes(found, {"state": shape}, network.dtype, name)
    state = aligned_zeros((*shape[:3], padded(shape[3], network.dtype)), network.dtype)
    state[..., : shape[3]] = found["state"]
    return state


def smooth_of(tensors: Mapping[str, Array], tensor: str, name: str) -> SmoothLoss:
    """The smooth loss; in version 1 it is (4,), with a negative number of the best update while its copy was pending."""
    found = dict(tensors)
    if tensor in found and found[tensor].shape == (4,):
        numbers = np.append(found[tensor], found[tensor][3] < 0)
        numbers[3] = abs(numbers[3])
        found[tensor] = numbers
    check_shapes(found, {tensor: (5,)}, np.dtype(np.float64), name)
    value, lowest, *counts = found[tensor].tolist()
    if math.isinf(value) or math.isnan(lowest) or lowest == -math.inf or not all(0 <= n <= 1 << 62 and n == int(n) for n in counts):
        raise ModelFileError(f"{name}: {tensor} {found[tensor].tolist()} is no smooth loss")
    return SmoothLoss(found[tensor].copy())
