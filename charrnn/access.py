"""Who may use a model at the same time."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from charrnn.errors import BusyError, resources


class Access:
    """Who may use a model now: any number of threads that read it, or one that trains it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._trainer: int | None = None
        self._readers: dict[int, int] = {}

    @contextmanager
    def reading(self) -> Iterator[None]:
        """BusyError while another thread trains; what is read in the thread that trains, by a callback, is the callback's business."""
        me = threading.get_ident()
        with self._lock:
            if self._trainer not in (None, me):
                raise BusyError("this model is being trained by another thread: wait for it, or use a copy made before (model.copy())")
            self._readers[me] = self._readers.get(me, 0) + 1
        try:
            with resources():
                yield
        finally:
            with self._lock:
                self._readers[me] -= 1
                if not self._readers[me]:
                    del self._readers[me]

    @contextmanager
    def training(self) -> Iterator[None]:
        """BusyError while the model is trained already, or read by another thread."""
        me = threading.get_ident()
        with self._lock:
            if self._trainer == me:
                raise BusyError("this model is being trained: a callback cannot train it as well; train a copy (model.copy())")
            if self._trainer is not None or any(reader != me for reader in self._readers):
                raise BusyError("this model is being used by another thread: train a copy (model.copy())")
            self._trainer = me
        try:
            with resources():
                yield
        finally:
            self._trainer = None
