"""Files inside a folder that charrnn keeps: a run's, a report's. Such a folder may have come from a stranger.

So nothing in it is trusted to be what its name says. A link that stands in the place of a file or folder is replaced, never
followed, so that nothing outside is read or written; only regular files are opened, so that a pipe does not keep anybody
waiting; a file that has a second name elsewhere is copied before anything is added to it.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import stat
from pathlib import Path
from typing import IO

from charrnn.errors import OutputError
from charrnn.files.atomic import atomic_write, why, writable_folder

MOST_READ = 1 << 30  # bytes of a file that is read whole
_SAFELY = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)

write = atomic_write  # which replaces a link


def read(path: str | os.PathLike[str], most: int = MOST_READ) -> bytes:
    """The bytes of a regular file. Raises OSError like `open`, also for a link, a pipe, and more than `most` bytes.

    >>> import tempfile, os
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     append(os.path.join(folder, "log"), "one\\n")
    ...     append(os.path.join(folder, "log"), "two\\n")
    ...     read(os.path.join(folder, "log"))
    b'one\\ntwo\\n'
    """
    with os.fdopen(_open(path, os.O_RDONLY), "rb") as file:
        if os.fstat(file.fileno()).st_size > most:
            raise OSError(errno.EFBIG, f"it has more than {most:,} bytes")
        return file.read(most)


def read_text(path: str | os.PathLike[str], most: int = MOST_READ) -> str:
    """The same as text (UTF-8). Raises OSError, and ValueError where it is no UTF-8."""
    return read(path, most).decode("utf-8")


def append(path: str | os.PathLike[str], text: str) -> None:
    """Add text at the end of a file, made if need be. Raises `OutputError`."""
    data = memoryview(text.encode("utf-8", "backslashreplace"))
    try:
        found = _status(path)
        if found is not None and stat.S_ISREG(found.st_mode) and found.st_nlink > 1:
            write(path, read(path))
        elif found is not None and not stat.S_ISREG(found.st_mode):
            os.unlink(path)
        descriptor = _open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        try:
            while data:
                data = data[os.write(descriptor, data) :]
        finally:
            os.close(descriptor)
    except OSError as error:
        raise OutputError(f"cannot write {os.fspath(path)}: {why(error)}") from error


def new_file(path: str | os.PathLike[str]) -> IO[bytes]:
    """A new, empty file to be written in pieces, in place of whatever file or link has the name. Raises OSError."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
    return os.fdopen(_open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL), "wb")


def subfolder(parent: str | os.PathLike[str], name: str) -> Path:
    """A folder in the folder, made if need be, in place of a link of that name. Raises `OutputError`."""
    path = Path(parent, name)
    found = _status(path)
    if found is not None and not stat.S_ISDIR(found.st_mode) and not stat.S_ISREG(found.st_mode):
        try:
            os.unlink(path)
        except OSError as error:
            raise OutputError(f"cannot replace {path}, which is a link or pipe: {why(error)}") from error
    return writable_folder(path)


def remove(path: str | os.PathLike[str]) -> None:
    """Remove a folder with all that is in it or, of a link or file of that name, itself; it need not be there."""
    found = _status(path)
    if found is not None and stat.S_ISDIR(found.st_mode):
        shutil.rmtree(path, ignore_errors=True)
    elif found is not None:
        with contextlib.suppress(OSError):
            os.unlink(path)


def remove_link(path: str | os.PathLike[str]) -> None:
    """Of a link alone, whatever it leads to stays."""
    if os.path.islink(path):
        remove(path)


def _status(path: str | os.PathLike[str]) -> os.stat_result | None:
    try:
        return os.lstat(path)
    except OSError:
        return None


def _open(path: str | os.PathLike[str], flags: int) -> int:
    """A descriptor of a regular file, or OSError that says what is there instead."""
    found = _status(path)
    if found is not None and stat.S_ISLNK(found.st_mode):  # where there is no O_NOFOLLOW, and in words
        raise OSError(errno.ELOOP, "it is a link, which is not followed here", os.fspath(path))
    descriptor = os.open(path, flags | _SAFELY, 0o666)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "it is no regular file", os.fspath(path))
    return descriptor
