"""Settings that suit the text and the time, and a word when a run does no better than guessing."""

from __future__ import annotations

import math
import re
from collections.abc import Collection
from dataclasses import replace
from typing import Any

from charrnn.errors import SettingsError
from charrnn.network.settings import NetworkSettings
from charrnn.training.plan import Settings

UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0}
FIRST_LOOK = 0.05  # of the updates, after which the loss should be below that of guessing
SHORTEST = 100  # updates of a run that is looked at so


def seconds_of(time: Any, name: str = "time") -> float:
    """A time such as "90s", "10m" or "2h" in seconds; SettingsError for anything else.

    >>> seconds_of("10m"), seconds_of("1.5 h")
    (600.0, 5400.0)
    """
    found = re.fullmatch(r"\s*(\d+(?:\.\d*)?|\.\d+)\s*([a-z]+)\s*", time) if isinstance(time, str) and len(time) < 99 else None
    if found is None or found[2] not in UNITS or not 0 < float(found[1]) * UNITS[found[2]] < 1e9:
        raise SettingsError(f"{name} must be a time such as '30s', '10m' or '2h', got {time!r}")
    return float(found[1]) * UNITS[found[2]]


def fitted(settings: Settings, length: int, free: Collection[str]) -> tuple[Settings, str]:
    """Fewer parallel sequences and shorter windows where a text of this length is too short for the settings, and a word about it.

    free: the names of those that may change: what somebody asked for may not.

    >>> fitted(Settings(seq_length=32, batch_size=32), 700, ("seq_length", "batch_size"))[0].batch_size
    21
    """
    T, B = settings.seq_length, settings.batch_size
    if length // B > T:
        return settings, ""
    if "batch_size" in free:
        B = max(1, min(B, length // (T + 1)))
    if "seq_length" in free:
        T = max(1, min(T, length // B - 1))
    if length // B <= T or (settings.seq_length, settings.batch_size) == (T, B):
        return settings, ""  # the text is refused, in words that say why
    changes = [f"batch size {B} in place of {settings.batch_size}"] * (settings.batch_size != B)
    changes += [f"sequence length {T} in place of {settings.seq_length}"] * (settings.seq_length != T)
    return replace(
        settings, seq_length=T, batch_size=B
    ), f"the text of {length:,} characters is too short for these settings: {', '.join(changes)}"


def first_look(total: int) -> int:
    """After how many updates a run is asked whether it does better than guessing; 0 for one too short to ask."""
    return max(20, math.ceil(FIRST_LOOK * total)) if total >= SHORTEST else 0


def hopeless(loss: float, symbols: int, done: int, settings: Settings, network: NetworkSettings) -> str:
    """What to change where the loss (nats per character) is above ln K, that of guessing; else nothing."""
    if loss <= math.log(symbols):
        return ""
    advice = [f"a lower learning rate (--learning-rate {settings.learning_rate / 10:g})"]
    if network.init == "normal" and network.hidden_size >= 256:
        advice.append("weights scaled to the layer (--init scaled)")
    if settings.clip is None and settings.clip_norm is None:
        advice.append("clipped gradients (--clip-norm 1)")
    if settings.loss_reduction == "sum" and settings.optimizer == "sgd":
        advice.append("the mean loss (--loss-reduction mean)")
    return (
        f"after {done:,} updates the loss is {loss:.2f} nats per character, above the {math.log(symbols):.2f} of a uniform prediction "
        f"(ln {symbols}): nothing is learned like this; try {' or '.join(advice)}"
    )
