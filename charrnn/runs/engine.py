"""Work done by any PEP 3148 executor (`submit` -> future): results as they come, and again whatever was lost with a worker.

The work is a function of its arguments that can be called again: it goes on from what an earlier call has left behind. It says what
went wrong with the work itself in its result, or raises a `CharRNNError` where nobody could do it; any other exception that comes out
of a future means that the worker, or the way to it, was lost.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Collection, Hashable, Iterator, Mapping, Sequence
from concurrent.futures import BrokenExecutor, Executor, Future, ProcessPoolExecutor
from types import ModuleType
from typing import Any, Self, TypeVar

from charrnn.errors import CharRNNError, Interrupted, WorkersError, one_line

TRIES = 3  # how often the same work, or a pool without a result in between, may be lost
LOOK = 0.05  # seconds between two looks at the futures

Key = TypeVar("Key", bound=Hashable)


class Engine:
    """A context manager around an executor, or a function that makes one: then it is made anew when its workers have died, and
    shut down at the end.

    >>> from concurrent.futures import ThreadPoolExecutor
    >>> with Engine(lambda: ThreadPoolExecutor(2)) as engine:
    ...     sorted(engine.results(pow, {"a": (2, 3), "b": (2, 4)}))
    [('a', 8), ('b', 16)]
    """

    def __init__(self, executor: Executor | Callable[[], Executor]) -> None:
        self._make = None if hasattr(executor, "submit") else executor
        self._executor: Any = executor() if self._make else executor  # type: ignore[operator]
        self._lost = self._made = 0  # pools that broke without any result in between; pools that were made anew

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._make:
            self._executor.shutdown()

    def results(
        self,
        work: Callable[..., Any],
        tasks: Mapping[Key, Sequence[Any]],
        stop: Callable[[], Any] = lambda: None,
        meanwhile: Callable[[], Any] = lambda: None,
    ) -> Iterator[tuple[Key, Any]]:
        """(key, work(*arguments)) for each of the tasks (key: arguments), which are submitted at once, as they come.

        stop: called when no more results are wanted, because of an error or Ctrl-C, to tell work that goes on to end soon; what goes
        on is then waited for. meanwhile: called again and again. Raises `WorkersError` when the same work is lost `TRIES` times more.
        """
        waiting: dict[Future[Any], tuple[Key, int]] = {}
        with _leaving(waiting, stop):
            for key in tasks:
                waiting[self._submit(work, tasks[key])] = key, self._made
        return self._as_they_come(waiting, work, tasks, stop, meanwhile)

    def _as_they_come(
        self,
        waiting: dict[Future[Any], tuple[Key, int]],
        work: Callable[..., Any],
        tasks: Mapping[Key, Sequence[Any]],
        stop: Callable[[], Any],
        meanwhile: Callable[[], Any],
    ) -> Iterator[tuple[Key, Any]]:
        tries = dict.fromkeys(tasks, 0)
        with _leaving(waiting, stop):
            while waiting:
                meanwhile()
                ended = [future for future in waiting if future.done()]
                for future in ended:
                    key, made = waiting.pop(future)
                    try:
                        result = future.result()
                    except Exception as error:
                        if isinstance(error, CharRNNError) and not isinstance(error, Interrupted):
                            raise
                        if not isinstance(error, BrokenExecutor):
                            tries[key] += 1
                        elif made == self._made:  # the first that this pool has lost, perhaps not the one that broke it
                            self._renew(error)
                        if tries[key] > TRIES:
                            raise WorkersError(f"a worker was lost {tries[key]} times over {key}: {said(error)}") from error
                        waiting[self._submit(work, tasks[key])] = key, self._made
                    else:
                        self._lost = 0
                        yield key, result
                if not ended:
                    time.sleep(LOOK)

    def _submit(self, work: Callable[..., Any], arguments: Sequence[Any]) -> Future[Any]:
        """A future; of a new executor, where the old one is broken and can be made anew."""
        while True:
            try:
                future: Future[Any] = self._executor.submit(work, *arguments)
                return future
            except CharRNNError:
                raise
            except Exception as error:
                if self._make is None or not isinstance(error, BrokenExecutor):
                    raise WorkersError(f"the executor takes no more work, its workers died or it was shut down: {said(error)}") from error
                self._renew(error)

    def _renew(self, error: BaseException) -> None:
        """Another executor in place of a broken one; one that was given may mend itself."""
        self._lost, self._made = self._lost + 1, self._made + 1
        if self._lost > TRIES:
            raise WorkersError(f"workers died {self._lost} times before any result came: {said(error)}") from error
        if self._make:
            self._executor.shutdown()
            self._executor = self._make()


@contextlib.contextmanager
def _leaving(waiting: Collection[Future[Any]], stop: Callable[[], Any]) -> Iterator[None]:
    """Whatever ends this early: nothing that was submitted goes on."""
    try:
        yield
    except BaseException:
        stop()
        for future in waiting:
            future.cancel()
        while not all(future.done() for future in waiting):
            time.sleep(LOOK)
        raise


def said(error: BaseException) -> str:
    """An error of a library in one line."""
    return one_line(f"{type(error).__name__}: {error}".strip(": "))


# ---- processes on this machine ---------------------------------------------------------------------------------------


class Processes(ProcessPoolExecutor):
    """A pool of processes that are started afresh (spawned), leave Ctrl-C to the one that started them, and end when that one does,
    however it ended.
    """

    def __init__(self, count: int) -> None:
        super().__init__(count, multiprocessing.get_context("spawn"), _start_worker)

    def submit(self, *args: Any, **named: Any) -> Future[Any]:
        """As of any executor; it may start a process."""
        with _without_main(), _sigint_blocked():
            return super().submit(*args, **named)


def _start_worker() -> None:
    """Run first in every process of the pool."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """Python's pools leave their processes behind when the one that made them is killed."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


@contextlib.contextmanager
def _sigint_blocked() -> Iterator[None]:
    """A process that is started here is not ended by Ctrl-C before `_start_worker` has run; the caller gets it when this ends."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextlib.contextmanager
def _without_main() -> Iterator[None]:
    """A spawned process runs its maker's script again, unless there is none. What is done here does not need it, and a script that
    does not ask for `__name__ == "__main__"` would begin anew in every process.
    """
    main = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main
