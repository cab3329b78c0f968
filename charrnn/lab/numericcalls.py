"""Calling somebody's numerical gradient in the way in which the program itself is called."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from charrnn.errors import SettingsError
from charrnn.lab.limits import quiet
from charrnn.lab.planning import bindings
from charrnn.lab.routines import Calls, describe, node_of
from charrnn.lab.running import Failed, run
from charrnn.lab.ways import Way
from charrnn.lab.window import Problem

SECONDS = 10.0


def outcome_of(way: Way, function: Callable[..., Any], p: Problem) -> Any:
    """The outcome of a run of a numerical gradient; `SettingsError` if it fails however it is called."""
    owner = ""
    if way.world.kind == "instance" and function.__qualname__.count(".") and not function.__qualname__.count("<"):
        owner = function.__qualname__.split(".")[-2]
    routine = describe(function, node_of(function), Calls(), owner)
    failure: BaseException | None = None
    for step in bindings(routine, (), way.world) if routine else ():
        try:
            with quiet():
                return run(way.world, (replace(step),), way.formats, p, seconds=SECONDS)
        except Failed as failed:
            failure = failure or failed.error
    raise SettingsError(
        f"your numerical gradient fails: {type(failure).__name__}: {failure}" if failure else "your numerical gradient cannot be called"
    )
