"""Whether gradients were clipped: bounded in each entry, all together or some of them, or shortened to a norm.

It shows where right gradients are very large. Clipping is no mistake in a gradient, but hides from a gradient check what it cuts off.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from charrnn.lab.diagnosis import Finding
from charrnn.lab.explanation import deviation, norm_of
from charrnn.lab.mistakes import BY_KEY
from charrnn.lab.window import Array

Gradients = Mapping[str, Array]


@dataclass
class Clipping:
    """What is known: bounds of entries by parameter, what undoes a bound on the norm by state, and the finding in words."""

    bounds: dict[str, float] = field(default_factory=dict)
    stretch: dict[str, float] = field(default_factory=dict)
    finding: Finding | None = None
    remark: str = ""

    def undone(self, state: str, gradients: Gradients) -> dict[str, Array]:
        """Gradients with a bound on their norm undone; entries at a bound stay where they are."""
        return {name: self.stretch.get(state, 1.0) * array for name, array in gradients.items()}

    def clipped(self, gradients: Gradients) -> dict[str, Array]:
        """Other gradients, with the same bounds on their entries."""
        return {
            name: np.clip(array, -self.bounds.get(name, math.inf), self.bounds.get(name, math.inf)) for name, array in gradients.items()
        }


def clipping(
    large: Gradients,
    right_large: Gradients | None,
    given: Mapping[str, Gradients],
    right: Mapping[str, Gradients | None],
    names: Sequence[str],
    equal: float,
) -> Clipping:
    """Compare gradients with the right ones where these are large; given and right: those of the usual problems, by state."""
    reach = math.inf if right_large is None else max(float(np.abs(right_large[name]).max()) for name in names)
    off = {} if right_large is None else {name: deviation(large[name], right_large[name], np.array([reach])) for name in names}
    if right_large is not None and max(off.values()) < equal:
        return Clipping()
    largest = max(float(np.abs(large[name]).max(initial=0)) for name in names)
    # One such entry in each of two gradients may be chance: db_i is dU_ix where unit i is active at one step only.
    if 0 < largest < reach and sum(int((np.abs(np.abs(large[name]) - largest) < 1e-12 * largest).sum()) >= 2 for name in names) >= 2:
        evidence = f"with larger weights V several gradients end at {largest:g}" + (
            "" if right_large is None else f"; the right ones reach {reach:.3g}"
        )
        finding = Finding(BY_KEY["clipped"], tuple(names), 0.0, 1 - largest / reach, f"to +-{largest:g}", evidence)
        return Clipping(dict.fromkeys(names, float(f"{largest:.12g}")), {}, finding)
    if right_large is None or any(part is None for part in right.values()):
        return Clipping()
    known = {state: part for state, part in right.items() if part is not None}
    return by_norm(large, right_large, given, known, names, equal) or of_some(large, right_large, given, known, names, off, equal)


def by_norm(
    large: Gradients,
    right_large: Gradients,
    given: Mapping[str, Gradients],
    right: Mapping[str, Gradients],
    names: Sequence[str],
    equal: float,
) -> Clipping | None:
    """Whether the whole is shortened to a norm. Wrong gradients are too: those of V and c alone say how much, if they are right."""
    shrink = common_factor(large, right_large, names, equal)
    if not shrink or not 0 < shrink < 0.99:
        return None
    norm = norm_of(large[name] for name in names)
    stretch = {}
    for state, part in given.items():
        factor = common_factor(part, right[state], names, equal)
        length = norm_of(part[name] for name in names)
        if not factor or length > norm * (1 + 1e-6) or (abs(factor - 1) > 1e-6 and abs(length - norm) > 1e-6 * norm):
            return None
        stretch[state] = 1 / factor
    if all(abs(value * shrink - 1) < 1e-6 for value in stretch.values()):
        return None  # one constant everywhere: a factor, not a bound
    true = norm_of(right_large[name] for name in names)
    evidence = f"with larger weights V the norm of your gradient is {norm:g}; that of the right one is {true:.3g}"
    return Clipping({}, stretch, Finding(BY_KEY["clipped"], tuple(names), 0.0, 1 - norm / true, f"to the norm {norm:g}", evidence))


def common_factor(given: Gradients, right: Gradients, names: Sequence[str], equal: float) -> float | None:
    """The constant between all gradients and the right ones; if not all are right, that of V and c, or of any two that share one."""
    factors = {}
    for name in names:
        if given[name].size != right[name].size or not right[name].any():
            continue
        factor = float((given[name].ravel() * right[name].ravel()).sum() / (right[name] ** 2).sum())
        if deviation(given[name], factor * right[name], right[name]) < equal * max(1.0, abs(factor)) and factor:
            factors[name] = factor
    for name, factor in factors.items():
        alike = [other for other, value in factors.items() if abs(value / factor - 1) < 1e-6]
        if len(alike) >= 2 and (name in "Vc" or len(alike) > 2):
            return factor
    return None


def of_some(
    large: Gradients,
    right_large: Gradients,
    given: Mapping[str, Gradients],
    right: Mapping[str, Gradients],
    names: Sequence[str],
    off: Mapping[str, float],
    equal: float,
) -> Clipping:
    """Whether each gradient that is wrong only where it is large is the right one bounded by itself."""
    wrong = [name for name in names if not off[name] < equal]
    if any(deviation(given[state][name], right[state][name], right[state][name]) > equal for state in given for name in wrong):
        return Clipping()
    how = {name: bounded(large[name], right_large[name], equal) for name in wrong}
    if not all(how.values()):
        return Clipping(
            remark=f"With weights V 40 times as large, {', '.join('d' + name for name in wrong)} differ from the right ones: "
            "does something overflow?"
        )
    evidence = "they are right, but with larger weights V " + "; ".join(
        f"d{name} ends at {np.abs(large[name]).max():g} where the right one reaches {np.abs(right_large[name]).max():.3g}" for name in wrong
    )
    farthest = max(deviation(large[name], right_large[name], right_large[name]) for name in wrong)
    return Clipping(finding=Finding(BY_KEY["clipped"], tuple(wrong), 0.0, farthest, " and ".join(dict.fromkeys(how.values())), evidence))


def bounded(given: Array, right: Array, equal: float) -> str:
    """In which way a gradient is the right one kept small, in words; "" if it is not."""
    if given.shape != right.shape:
        return ""
    largest, norm, true = float(np.abs(given).max()), norm_of([given]), norm_of([right])
    forms = {
        f"to +-{largest:g}": np.clip(right, -largest, largest),
        f"to at most {largest:g}": np.minimum(right, given.max()),
        f"to at least {-largest:g}": np.maximum(right, given.min()),
        f"to the norm {norm:g}": right * min(1.0, norm / true),
    }
    return next((words for words, form in forms.items() if deviation(given, form, right) < equal), "")
