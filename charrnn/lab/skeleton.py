"""An adapter to paste, for a program that cannot be called as it is: filled in as far as it was understood."""

from __future__ import annotations

from charrnn.lab import names
from charrnn.lab.finding import Found
from charrnn.lab.routines import Routine


def cannot_be_called(found: Found, name: str) -> str:
    """Why nothing could be checked, in one line."""
    if not found.routines:
        return f"{name}: there is no function and no class in it; name the file that defines the loss and the gradients"
    failure = found.search.failure
    absent = [said.removesuffix(" (not installed)").removeprefix("import ") for said in found.left_out if said.endswith("(not installed)")]
    missing = f"; not installed: {', '.join(absent)}" if absent else ""
    if failure is None:
        return (
            f"{name}: none of {listed(found.routines)} could be given parameters, inputs and targets{missing}; write an adapter "
            "(parameters, inputs, targets, state) -> loss, gradients"
        )
    return (
        f"{name}: {failure.plan} {'fails' if ' + ' not in failure.plan else 'fail'} however called; where it came furthest, at "
        f"{failure.words}{missing}; mend that line, name what to call, or write an adapter (parameters, inputs, targets, state) -> loss, "
        "gradients"
    )


def listed(routines: list[Routine]) -> str:
    every = [str(routine) for routine in routines if not routine.name.startswith("__")]
    return ", ".join(every[:8]) + (", .." if len(every) > 8 else "")


def skeleton(found: Found, module: str) -> str:
    """A function (parameters, inputs, targets, state) -> loss, gradients that calls the likeliest routines of a file."""
    usable = [r for r in found.routines if not r.excluded and not r.name.startswith("__")]
    chosen = [next((r for r in usable if kind in r.kinds), None) for kind in ("forward", "loss", "backward")]
    calls = list(dict.fromkeys(r for r in chosen if r)) or usable[:1]
    owner = next((r.owner for r in calls if r.owner), "")
    lines = [
        '"""Adapter for charrnn gradcheck: fill in what is marked, then run charrnn gradcheck --mine this_file.py:adapter"""',
        "import numpy as np",
        "",
        f"from {module} import {owner or ', '.join(r.name for r in calls) or '...'}",
        "",
        "",
        "def adapter(parameters, inputs, targets, state):",
        '    """parameters: a dict of U (m, K), W (m, m), V (K, m), b (m, 1), c (K, 1); inputs, targets: indices (T,); state: (m, 1)."""',
        '    U, W, V, b, c = (parameters[name] for name in "UWVbc")',
    ]
    if owner:
        lines += [
            f"    net = {owner}(...)  # TODO: its sizes",
            "    net.U, net.W, net.V, net.b, net.c = U, W, V, b, c  # TODO: under your names",
        ]
    for routine in calls:
        given = ", ".join(f"{a.name}={guess(a.name)}" for a in routine.arguments if not a.optional)
        results = [next(iter(sorted(words)), f"result{i}") for i, words in enumerate(routine.returns)]
        left = ", ".join(results) if results else "result"
        lines.append(f"    {left} = {'net.' if routine.owner else ''}{routine.name}({given})")
    gradients = ", ".join(f'"{name}": d{name}' for name in "UWVbc")
    lines.append(f"    return loss, {{{gradients}}}  # TODO: the loss, and your gradients under these names")
    return "\n".join(lines) + "\n"


def guess(name: str) -> str:
    """What an argument may be given, by its name."""
    role = names.role(name)
    known = {"inputs": "inputs", "targets": "targets", "state": "state", "params": "parameters", "rate": "1.0"}
    return known.get(role or "", names.canonical_name(name) or name if role is None else "...")
