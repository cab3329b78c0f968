"""Where the ids of a text stay: in memory while they are few, in a temporary file when they are many."""

from __future__ import annotations

import io
import os
import threading
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from charrnn.errors import OutputError, TextError
from charrnn.text.vocabulary import BLOCK, id_type

if TYPE_CHECKING:
    from numpy.typing import NDArray


class IdStore:
    """N ids in memory or, beyond ``in_memory`` bytes (None: never), in a temporary file in ``folder``."""

    def __init__(self, in_memory: int | None, folder: str | os.PathLike[str] | None = None) -> None:
        self._in_memory = in_memory
        self._folder = folder
        self._file: IO[bytes] = io.BytesIO()
        self._type = id_type(0)
        self._length = 0
        self._lock = threading.Lock()
        self._ids: NDArray[Any] | None = None  # all of them, once complete and in memory

    def __len__(self) -> int:
        return self._length

    @property
    def on_disk(self) -> bool:
        return not isinstance(self._file, io.BytesIO)

    def append(self, ids: NDArray[Any], dtype: np.dtype[Any]) -> None:
        """Add ids at the end; all fit ``dtype``, which never gets narrower from call to call."""
        if dtype != self._type:
            self._rewrite(dtype, None)
        end = (self._length + len(ids)) * dtype.itemsize
        if self._in_memory is not None and end > self._in_memory and not self.on_disk:
            self.move_to_file()
        self._put(self._length, ids)
        self._length += len(ids)

    def finish(self, ranks: NDArray[Any] | None) -> None:
        """No more ids will come; put ranks[id] in the place of every id."""
        if ranks is not None:
            self._rewrite(self._type, ranks)
        if not self.on_disk:
            self._ids = np.frombuffer(self._file.getbuffer(), self._type)  # type: ignore[attr-defined]
            self._ids.flags.writeable = False

    def move_to_file(self) -> None:
        """Go on in a file: a nameless one where the system can, so that it vanishes however the process ends."""
        kept = self._file
        try:
            import tempfile

            self._file = tempfile.TemporaryFile(  # noqa: SIM115 (`close` closes it)
                buffering=0, prefix="charrnn-ids-", dir=self._folder
            )
        except OSError as error:
            raise self._unwritable(error) from None
        kept.seek(0)
        for start in range(0, self._length, BLOCK):
            self._put(start, np.frombuffer(kept.read(BLOCK * self._type.itemsize), self._type))

    def read(self, start: int, stop: int) -> NDArray[np.int32]:
        if self._ids is not None:
            return self._ids[start:stop].astype(np.int32)
        ids = np.empty(stop - start, np.int32)
        for at in range(0, len(ids), 1 << 20):
            piece = ids[at : at + (1 << 20)]
            piece[:] = self._get(start + at, len(piece))
        return ids

    def array(self) -> NDArray[Any]:
        if self._ids is not None:
            return self._ids
        self._check_open()
        return np.memmap(self._file, self._type, "r", shape=(self._length,))

    def close(self) -> None:
        self._file = io.BytesIO() if self._ids is not None else self._file
        self._ids = None
        self._file.close()

    def _rewrite(self, dtype: np.dtype[Any], ranks: NDArray[Any] | None) -> None:
        # From the back, so that wider ids overwrite only what was read before.
        for start in reversed(range(0, self._length, BLOCK)):
            ids = self._get(start, min(BLOCK, self._length - start))
            self._put(start, ids if ranks is None else ranks[ids], dtype)
        self._type = dtype

    def _get(self, start: int, count: int) -> NDArray[Any]:
        # Not through a memory map: its pages stay resident until the system wants them back. One sweep over 1 GB
        # of ids left 990 MB resident that way, and 33 MB (all of Python) this way, in the same 0.3 s.
        self._check_open()
        offset, size = start * self._type.itemsize, count * self._type.itemsize
        if self.on_disk and hasattr(os, "pread"):  # which threads need no lock for
            data = os.pread(self._file.fileno(), size, offset)
        else:
            with self._lock:
                self._file.seek(offset)
                data = self._file.read(size)
        if len(data) != size:
            raise TextError(f"the temporary file of ids lost some: wanted {size:,} bytes, got {len(data):,}")
        return np.frombuffer(data, self._type)

    def _put(self, start: int, ids: NDArray[Any], dtype: np.dtype[Any] | None = None) -> None:
        dtype = dtype or self._type
        data = ids.astype(dtype).data.cast("B")
        try:
            self._file.seek(start * dtype.itemsize)
            while data:
                data = data[self._file.write(data) :]
        except OSError as error:
            raise self._unwritable(error) from None

    def _check_open(self) -> None:
        if self._file.closed:
            raise TextError("this corpus was closed: read the text again")

    def _unwritable(self, error: OSError) -> OutputError:
        import tempfile

        return OutputError(
            f"cannot keep the ids of a long text in {os.fspath(self._folder or tempfile.gettempdir())}: {reason(error)}; "
            "make room, or choose another folder (cache=, or the environment variable TMPDIR)"
        )


def reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)
