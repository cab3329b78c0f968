"""Writing files so that a crash, a full disk or a vanished folder never costs the last good one."""

import contextlib
import errno
import os
import secrets
from collections.abc import Iterator
from pathlib import Path

from charrnn.errors import OutputError, SettingsError

_TEMPORARY = ".charrnn-tmp"
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


def atomic_write(path: str | os.PathLike[str], data: bytes | str) -> None:
    """Write `data` (text as UTF-8) to `path`: afterwards all of it is there, on the disk, or the old file is.

    A temporary file in the same folder is written, synced and renamed, then the folder is synced. A symbolic
    link is followed. After a failure the temporary file is gone and the old file untouched.

    Raises `OutputError` (what failed, why, and which file remains) and `SettingsError` (no usable path).

    >>> import tempfile, os
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     atomic_write(os.path.join(folder, "note.txt"), "kept")
    ...     os.listdir(folder)
    ['note.txt']
    """
    shown = as_path(path)
    target = os.path.realpath(shown)
    rest = memoryview(data.encode("utf-8") if isinstance(data, str) else data).cast("B")
    size = len(rest)
    if os.path.exists(target) and not os.path.isfile(target):
        raise OutputError(f"cannot write {shown}: a folder or device is there; give the name of a file")
    # One name per writer: two processes that save the same file each rename a whole one. Its length does not
    # grow with the target's, which may already be the longest the file system takes.
    temporary = os.path.join(os.path.dirname(target), f".{os.getpid()}-{secrets.token_hex(4)}{_TEMPORARY}")
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
        kept = "the older file is unchanged" if os.path.exists(target) else "nothing was left behind"
        raise OutputError(f"cannot write {shown}: {why(error)} ({doing}); {kept}") from error
    try:
        _sync_folder(os.path.dirname(target))
    except OSError as error:
        raise OutputError(
            f"wrote {shown}, but its folder could not be brought to the disk: {why(error)}; a power cut could bring the older file back"
        ) from error


def writable_folder(path: str | os.PathLike[str]) -> Path:
    """The folder `path`, made if need be, after a trial file in it: to be asked before any long work.

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
    except FileExistsError as error:
        raise OutputError(f"cannot use {folder} as a folder: a file of that name is there") from error
    except OSError as error:
        raise OutputError(f"cannot write in the folder {folder}: {why(error)}") from error
    return Path(folder)


@contextlib.contextmanager
def alone_in(folder: str | os.PathLike[str]) -> Iterator[None]:
    """Lock a folder: while this lasts, no other process can, nor another run of this one.

    The lock goes with the process that holds it, however that ends. Where a folder cannot be locked (Windows, some network file
    systems) or is not there, nothing is. Raises `OutputError` if somebody else has it.
    """
    with contextlib.ExitStack() as stack:
        try:
            import fcntl

            descriptor = os.open(folder, os.O_RDONLY)
            stack.callback(os.close, descriptor)
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            stack.callback(fcntl.flock, descriptor, fcntl.LOCK_UN)  # closing is not enough while a forked process has it, too
        except BlockingIOError:
            raise OutputError(f"another run is writing in {as_path(folder)}: wait until it has ended, or choose another folder") from None
        except ImportError:
            pass
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                raise OutputError(f"cannot lock the folder {as_path(folder)}: {why(error)}") from error
        yield


def remove_leftovers(folder: str | os.PathLike[str]) -> int:
    """Remove what killed writers left; how many files. Only for a folder that nobody is writing in."""
    leftovers = list(Path(as_path(folder)).glob(f".*{_TEMPORARY}"))
    for leftover in leftovers:
        with contextlib.suppress(OSError):
            leftover.unlink()
    return len(leftovers)


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
