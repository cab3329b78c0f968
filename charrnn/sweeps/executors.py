"""Where the runs of a sweep are made: what the user gave as an executor, as the engine takes it."""

from __future__ import annotations

import re
from collections.abc import Callable
from concurrent.futures import Executor
from importlib import import_module
from typing import Any

from charrnn import arguments
from charrnn.errors import SettingsError, WorkersError, brief
from charrnn.runs.engine import Processes, said
from charrnn.threads import usable_cores

ADDRESS = re.compile(r"dask://([^/\s]+:\d+)/?")
PATIENCE = 10  # seconds to wait for a scheduler's answer


def executor_of(given: Any, workers: int | None, runs: int) -> tuple[Executor | Callable[[], Executor], str]:
    """The executor, or the function that makes it, and its name in words.

    given: None for processes on this machine, "dask://HOST:PORT", an executor, or a function that makes one. Raises `SettingsError`
    for anything else, `WorkersError` where nobody answers at the address.
    """
    if given is None:
        count = min(usable_cores() if workers is None else arguments.whole_number("workers", workers, at_most=1024), max(1, runs))
        return lambda: Processes(count), f"{count} process{'es' * (count > 1)} on this machine, one thread each"
    if workers is not None:
        raise SettingsError("workers is the number of processes on this machine: leave it out where an executor is given")
    if isinstance(given, str):
        return of_dask(given)
    if not hasattr(given, "submit") and not callable(given):
        raise SettingsError(f"executor must have a method submit (PEP 3148), or be 'dask://HOST:PORT', got {brief(given)}")
    return given, type(given).__name__ if hasattr(given, "submit") else "an executor"


def of_dask(address: str) -> tuple[Executor, str]:
    """The workers of a Dask scheduler."""
    found = ADDRESS.fullmatch(address)
    if not found:
        raise SettingsError(f"executor must be dask://HOST:PORT, such as dask://127.0.0.1:8786, got {brief(address)}; others: from Python")
    try:
        distributed: Any = import_module("distributed")
    except ImportError:
        raise SettingsError(f"{address} needs Dask: pip install 'charrnn[dask]'") from None
    try:
        client = distributed.Client(f"tcp://{found[1]}", timeout=PATIENCE, set_as_default=False)
        count = len(client.nthreads())
    except Exception as error:  # whatever is at that address
        raise WorkersError(f"no Dask scheduler answers at {address} ({said(error)}): start one with `dask scheduler`") from None
    return client.get_executor(), f"{count} Dask worker{'s' * (count != 1)} at {found[1]}"
