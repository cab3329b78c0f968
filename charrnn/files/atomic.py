"""Writing files so that a crash, a full disk or a vanished folder never costs the last good one."""

import contextlib
import errno
import os
import re
import secrets
import stat
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from charrnn.errors import OutputError, SettingsError

_TEMPORARY = ".charrnn-tmp"
_ABANDONED = 60  # seconds
_PATIENCE = 0.2  # seconds between two looks at a lock that somebody else has
_LEFTOVER = re.compile(r"\.([1-9]\d{0,9})-[0-9a-f]+" + re.escape(_TEMPORARY))
_REASONS = {
    errno.ENOSPC: "the disk is full",
    errno.ENOENT: "its folder does not exist or has vanished",
    errno.ENOTDIR: "a part of its path is a file, not a folder",
    errno.EACCES: "there is no permission",
    errno.EPERM: "there is no permission",
    errno.EROFS: "the file system is read-only",
    errno.ENAMETOOLONG: "its name is too long",
}
if hasattr(errno, "EDQUOT"):
    _REASONS[errno.EDQUOT] = "the disk quota is used up"

_NO_LOCKS = (errno.ENOENT, errno.ENOTDIR, errno.EACCES, errno.EPERM, errno.EINVAL, errno.ENOSYS, errno.ENOLCK, errno.ENOTSUP)


def atomic_write(path: str | os.PathLike[str], data: bytes | str, *, follow: bool = False) -> None:
    """Write `data` (text as UTF-8) to `path`: afterwards all of it is there, on the disk, or the old file is.

    A temporary file in the same folder is written, synced and renamed, then the folder is synced. What is there under that
    name is never opened: a link is replaced and not followed (a folder may come from a stranger), unless `follow` says that
    its user has named the very file. After a failure the temporary file is gone and the old file untouched.

    Raises `OutputError` (what failed, why, and which file remains) and `SettingsError` (no usable path).

    >>> import tempfile, os
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     atomic_write(os.path.join(folder, "note.txt"), "kept")
    ...     os.listdir(folder)
    ['note.txt']
    """
    shown = as_path(path)
    target = os.path.realpath(shown) if follow else os.path.join(os.path.realpath(os.path.dirname(shown)), os.path.basename(shown))
    rest = memoryview(data.encode("utf-8", "backslashreplace") if isinstance(data, str) else data).cast("B")
    size = len(rest)
    if os.path.lexists(target) and not (os.path.isfile(target) or os.path.islink(target) or _is_pipe(target)):
        raise OutputError(f"cannot write {shown}: a folder or device is there; give the name of a file")
    # One name per writer: two processes that save the same file each rename a whole one. Its length does not
    # grow with the target's, which may already be the longest the file system takes.
    temporary = os.path.join(os.path.dirname(target), f".{os.getpid()}-{secrets.token_hex(4)}{_TEMPORARY}")
    if follow and _is_pipe(target):
        raise OutputError(f"cannot write {shown}: a pipe is there; give the name of a file")
    doing = "creating a file beside it"
    try:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
        descriptor = os.open(temporary, flags, 0o666)
        try:
            doing = f"writing {size:,} bytes"
            while rest:
                rest = rest[os.write(descriptor, rest) :]
            doing = "bringing it to the disk (fsync)"
            _sync(descriptor)
        finally:
            os.close(descriptor)
        doing = "renaming the finished file"
        os.replace(temporary, target)
    except BaseException as error:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        if not isinstance(error, OSError):
            raise
        kept = "the older file is unchanged" if os.path.lexists(target) else "nothing was left behind"
        raise OutputError(f"cannot write {shown}: {why(error)} ({doing}); {kept}") from error
    try:
        _sync_folder(os.path.dirname(target))
    except OSError as error:
        raise OutputError(
            f"wrote {shown}, but its folder could not be brought to the disk: {why(error)}; a power cut could bring the older file back"
        ) from error


def write_named(path: str | os.PathLike[str], data: bytes | str) -> None:
    """Write to a file that the user has named: as `atomic_write`, but through a link, and to standard output for ``-``."""
    if as_path(path) != "-":
        atomic_write(path, data, follow=True)
    elif isinstance(data, bytes):
        sys.stdout.buffer.write(data)
    else:
        sys.stdout.write(data)


def writable_folder(path: str | os.PathLike[str]) -> Path:
    """The folder `path`, made if need be, after a trial file in it: to be asked before any long work. What killed writers have
    left in it is removed.

    Raises `OutputError` when it cannot be made or written, `SettingsError` when `path` is no usable path.
    """
    folder = as_path(path)
    try:
        os.makedirs(folder, exist_ok=True)
        # Permissions alone do not tell: lists of access rights, quotas and read-only mounts have a say too.
        trial = os.path.join(folder, f".{os.getpid()}-{secrets.token_hex(4)}{_TEMPORARY}")
        descriptor = os.open(trial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
        os.close(descriptor)
        os.unlink(trial)
        remove_leftovers(folder, abandoned=True)
    except FileExistsError as error:
        raise OutputError(f"cannot use {folder} as a folder: a file of that name is there") from error
    except OSError as error:
        raise OutputError(f"cannot write in the folder {folder}: {why(error)}") from error
    return Path(folder)


@contextlib.contextmanager
def alone_in(folder: str | os.PathLike[str], patient: Callable[[], bool] | None = None) -> Iterator[None]:
    """Lock a folder: while this lasts, no other process can, nor another run of this one.

    The lock goes with the process that holds it, however that ends. Where a folder cannot be locked (Windows, some network file
    systems) or is not there, nothing is. Raises `OutputError` if somebody else has it; waits as long as `patient` says so.
    """
    with contextlib.ExitStack() as stack:
        try:
            import fcntl

            descriptor = os.open(folder, os.O_RDONLY | getattr(os, "O_DIRECTORY", 0))  # a pipe of that name would not answer
            stack.callback(os.close, descriptor)
            while True:
                try:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if patient is None or not patient():
                        raise
                    time.sleep(_PATIENCE)
            stack.callback(fcntl.flock, descriptor, fcntl.LOCK_UN)  # closing is not enough while a forked process has it, too
        except BlockingIOError:
            raise OutputError(f"another run is writing in {as_path(folder)}: wait until it has ended, or choose another folder") from None
        except ImportError:
            pass
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                raise OutputError(f"cannot lock the folder {as_path(folder)}: {why(error)}") from error
        yield


def remove_leftovers(folder: str | os.PathLike[str], abandoned: bool = False) -> int:
    """Remove the temporary files of writers that have been killed; how many.

    All of them: only for a folder that nobody is writing in. `abandoned`: those whose writer is gone and has written nothing for a
    minute (a process elsewhere that writes to the same disk has a number that means nothing here).
    """
    removed = 0
    with contextlib.suppress(OSError), os.scandir(as_path(folder)) as entries:
        for entry in entries:
            if not (entry.name.startswith(".") and entry.name.endswith(_TEMPORARY)):
                continue
            with contextlib.suppress(OSError):
                if not abandoned or _is_abandoned(entry):
                    os.unlink(entry.path)
                    removed += 1
    return removed


def _is_abandoned(entry: os.DirEntry[str]) -> bool:
    found = _LEFTOVER.fullmatch(entry.name)
    if found is None or time.time() - entry.stat(follow_symlinks=False).st_mtime < _ABANDONED:
        return False
    return not _is_alive(int(found[1]))


def _is_alive(process: int) -> bool:
    """Whether there is a process of this number. On Windows the question would end it; there a file in use cannot be removed."""
    if os.name == "nt":
        return process == os.getpid()
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True  # somebody else's
    return True


def as_path(path: str | os.PathLike[str]) -> str:
    """`path` as a string. Raises `SettingsError` for what can be no path (a file descriptor is none)."""
    try:
        text = os.fsdecode(path)
    except TypeError:
        raise SettingsError(f"a path must be a string or a Path, got {type(path).__name__}") from None
    if not text or "\0" in text:
        raise SettingsError(f"a path must not be empty or hold a NUL character, got {text!r}")
    return text


def why(error: OSError) -> str:
    """What went wrong, in words."""
    return _REASONS.get(error.errno or 0, error.strerror or str(error))


def _is_pipe(path: str) -> bool:
    """Whether there is a named pipe or socket, which a rename replaces without asking whoever may listen."""
    try:
        mode = os.lstat(path).st_mode
    except OSError:
        return False
    return stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)


def _sync(descriptor: int) -> None:
    """Bring a file to the disk; on macOS, whose fsync leaves it in the disk's own memory, by asking for more."""
    with contextlib.suppress(ImportError, OSError):
        import fcntl

        if hasattr(fcntl, "F_FULLFSYNC"):
            fcntl.fcntl(descriptor, fcntl.F_FULLFSYNC)
            return
    os.fsync(descriptor)


def _sync_folder(folder: str) -> None:
    if os.name == "nt":  # no such thing there: a folder cannot be opened
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # network file systems that know no folder sync
            raise
    finally:
        os.close(descriptor)
