"""Threads that compute one chunk of updates together, and the signals that the main thread answers in between."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, Self

from charrnn import arguments
from charrnn.errors import SettingsError, resources
from charrnn.network.arrays import Array
from charrnn.network.workspace import ABANDONED

MOST = 256


class Team:
    """`size` threads that do one job at a time, each its share: `team(job)` calls job(thread, size) on all and waits.

    All are started before the first job and wait at a barrier. If the caller is interrupted, both barriers break; leaving the team
    waits for every thread to end, so that none works on in the background. Raises `ThreadsError` where they cannot be started.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self._job: Callable[[int, int], Any] | None = None
        self._errors: list[BaseException] = []
        self._started: list[threading.Thread] = []
        self._begin, self._end = threading.Barrier(self.size + 1), threading.Barrier(self.size + 1)

    def __enter__(self) -> Self:
        if self.size > 1:
            try:
                with resources():
                    for number in range(self.size):
                        thread = threading.Thread(target=self._work, args=(number,), name=f"charrnn-{number}", daemon=True)
                        thread.start()
                        self._started.append(thread)
            except BaseException:
                self.end()
                raise
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def end(self) -> None:
        """Both barriers break, and every thread ends: what it computes must have been told to end, see `together`."""
        self._begin.abort()
        self._end.abort()
        for thread in self._started:
            while thread.is_alive():
                with suppress(KeyboardInterrupt):  # a third Ctrl-C: they end within one update, and the model is not let go before
                    thread.join()

    def __call__(self, job: Callable[[int, int], Any]) -> None:
        if self.size == 1:
            job(0, 1)
            return
        self._job = job
        self._begin.wait()
        self._end.wait()
        errors, self._errors = self._errors, []
        if errors:
            raise errors[0]

    def _work(self, thread: int) -> None:
        try:
            while True:
                self._begin.wait()
                assert self._job is not None
                try:
                    self._job(thread, self.size)
                except BaseException as error:
                    self._errors.append(error)
                self._end.wait()
        except threading.BrokenBarrierError:
            pass


def together(team: Team, train: Callable[..., Any], arrays: tuple[Any, ...], barrier: Array) -> None:
    """train(*arrays, thread, threads) on the whole team. Inside it they wait for each other: if it fails for one before it gets
    there, or the caller is interrupted, `barrier` (see csrc/barrier.h) lets the others go, and nothing runs on in the background.
    """

    def share(thread: int, threads: int) -> None:
        try:
            train(*arrays, thread, threads)
        except BaseException:
            barrier[ABANDONED] = 1
            raise

    try:
        team(share)
    except BaseException:
        barrier[ABANDONED] = 1
        team.end()
        raise


def check_threads(threads: Any) -> None:
    """SettingsError unless threads is None or a sensible number of them."""
    if threads is not None and arguments.whole_number("threads", threads) > MOST:
        raise SettingsError(f"threads must be at most {MOST}, got {threads:,}")


def capped(threads: int) -> tuple[int, str]:
    """As many threads as there are cores for them, and a word if that is fewer: more would only wait for each other."""
    cores = usable_cores()
    if threads <= cores:
        return threads, ""
    return cores, f"{cores} thread{'s' * (cores > 1)} in place of {threads}: this process has no more cores"


def usable_cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def default_threads(m: int, B: int) -> int:
    """One for a small batch or a small network, where waiting for each other would cost more than the work; else all."""
    return max(1, min(usable_cores(), B // 4)) if B * m >= 1024 else 1


@contextmanager
def answered_by(handler: Callable[[int, Any], None]) -> Iterator[None]:
    """SIGINT, SIGTERM and SIGHUP call this handler: in the main thread, which alone may ask for them, and unless they are ignored,
    as a script's shell asks for in what it starts with &, and nohup for SIGHUP.
    """
    known = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]  # the last is not Windows'
    numbers = known if threading.current_thread() is threading.main_thread() else []
    before = {number: signal.getsignal(number) for number in numbers}
    before = {number: old for number, old in before.items() if old not in (None, signal.SIG_IGN)}  # None: not set from Python
    for number in before:
        signal.signal(number, handler)
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)


@contextmanager
def deferred_signals() -> Iterator[Callable[[], int]]:
    """Ctrl-C, SIGTERM and SIGHUP are noted, to be answered between two chunks; a second one ends at once.

    Yields a function: the number of the signal that came, or 0.
    """
    caught: list[int] = []

    def note(number: int, frame: Any) -> None:
        if caught:
            raise KeyboardInterrupt
        caught.append(number)

    with answered_by(note):
        yield lambda: caught[0] if caught else 0


@contextmanager
def interrupting_signals() -> Iterator[list[int]]:
    """Ctrl-C, SIGTERM and SIGHUP end in a KeyboardInterrupt of their number. The numbers are in the list as well, for Python drops an
    exception that comes up while an object is being thrown away.
    """
    caught: list[int] = []

    def note(number: int, frame: Any) -> None:
        caught.append(number)
        raise KeyboardInterrupt(number)

    with answered_by(note):
        yield caught
