"""Running other people's code: without its output, and not for longer than it should."""

from __future__ import annotations

import contextlib
import io
import signal
import threading
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np


class OutOfTime(BaseException):
    """Raised inside of code that took too long. No `Exception`, so that `except Exception` does not swallow it."""


@contextlib.contextmanager
def limited(seconds: float) -> Iterator[None]:
    """Raise `OutOfTime` in the block after so many seconds, where the system has timers and this is the main thread.

    Blocks may be nested: the outer timer goes on after the inner one.
    """
    if not hasattr(signal, "setitimer") or threading.current_thread() is not threading.main_thread():
        yield
        return
    running = True

    def stop(*given: Any) -> None:
        if running:
            raise OutOfTime

    before = signal.signal(signal.SIGALRM, stop)
    outer, _ = signal.setitimer(signal.ITIMER_REAL, seconds, seconds)  # again and again: a bare except may swallow the first
    try:
        yield
    finally:
        running = False
        signal.setitimer(signal.ITIMER_REAL, max(outer, 0.01) if outer else 0, outer)
        signal.signal(signal.SIGALRM, before)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Without prints, warnings, and messages of NumPy about overflow."""
    with (
        contextlib.redirect_stdout(io.StringIO()),
        contextlib.redirect_stderr(io.StringIO()),
        np.errstate(all="ignore"),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore")
        yield
