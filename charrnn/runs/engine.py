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
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from concurrent.futures import BrokenExecutor, Executor, Future, ProcessPoolExecutor
from types import ModuleType, TracebackType
from typing import Any, Self, TypeVar

from charrnn.errors import CharRNNError, Interrupted, WorkersError, one_line

TRIES = 3  # how often the same work, or a pool without a result in between, may be lost
LOOK = 0.02  # seconds between two looks at the futures

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
        self._lost = 0  # pools in a row without any result

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._make:
            self._executor.shutdown(wait=kind is None)

    def results(
        self, work: Callable[..., Any], tasks: Mapping[Key, Sequence[Any]], stop: Callable[[], Any] = lambda: None
    ) -> Iterator[tuple[Key, Any]]:
        """(key, work(*arguments)) for each of the tasks (key: arguments), as they come.

        stop: called when no more results are wanted, because of an error or Ctrl-C, to tell work that goes on to end soon; what goes
        on is then waited for. Raises `WorkersError` when the same work is lost `TRIES` times more.
        """
        waiting: dict[Future[Any], Key] = {}
        tries = dict.fromkeys(tasks, 0)
        try:
            for key, arguments in tasks.items():
                waiting[self._submit(work, arguments)] = key
            while waiting:
                ended = [future for future in waiting if future.done()]
                for future in ended:
                    key = waiting.pop(future)
                    try:
                        result = future.result()
                    except Exception as error:
                        if isinstance(error, CharRNNError) and not isinstance(error, Interrupted):
                            raise
                        if not isinstance(error, BrokenExecutor):  # which takes the innocent along: it counts in `_submit`
                            tries[key] += 1
                        if tries[key] > TRIES:
                            raise WorkersError(f"a worker was lost {tries[key]} times over {key}: {said(error)}") from error
                        waiting[self._submit(work, tasks[key])] = key
                    else:
                        self._lost = 0
                        yield key, result
                if not ended:
                    time.sleep(LOOK)
        except BaseException:
            stop()
            for future in waiting:
                future.cancel()
            while not all(future.done() for future in waiting):
                time.sleep(LOOK)
            raise

    def _submit(self, work: Callable[..., Any], arguments: Sequence[Any]) -> Future[Any]:
        """A future; of a new executor, where the old one is broken and can be made anew."""
        while True:
            try:
                future: Future[Any] = self._executor.submit(work, *arguments)
                return future
            except CharRNNError:
                raise
            except Exception as error:
                self._lost += 1
                if self._make is None or self._lost > TRIES or not isinstance(error, BrokenExecutor):
                    raise WorkersError(f"the executor takes no more work, its workers died or it was shut down: {said(error)}") from error
                self._executor.shutdown(wait=True)
                self._executor = self._make()


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
        with _without_main():
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
