"""Atomic writing: whatever call of the system fails, the old file stays and no temporary is left."""

import errno
import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from charrnn.errors import OutputError, SettingsError
from charrnn.files import atomic as files

posix = pytest.mark.skipif(os.name == "nt", reason="folders are not synced, links and pipes are rare there")


def fail_at(monkeypatch, name, code, nth=1):
    """Make the nth call of os.<name> fail with the error number `code`."""
    real, calls = getattr(os, name), []

    def call(*args, **kwargs):
        calls.append(args)
        if len(calls) == nth:
            raise OSError(code, os.strerror(code))
        return real(*args, **kwargs)

    monkeypatch.setattr(files.os, name, call)
    return calls


@pytest.mark.parametrize("data", [b"\x00\xff\r\n", b"", "text ü \U0001f642\r\n", bytearray(b"ab"), b"x" * 3_000_000])
def test_writes_exactly_and_leaves_nothing_else(tmp_path, data):
    target = tmp_path / "file"
    for _ in range(2):  # new, then over the old one
        files.atomic_write(target, data)
        assert target.read_bytes() == (data.encode("utf-8") if isinstance(data, str) else bytes(data))
    assert os.listdir(tmp_path) == ["file"]


def test_short_writes_are_continued(tmp_path, monkeypatch):
    real = os.write
    monkeypatch.setattr(files.os, "write", lambda fd, data: real(fd, bytes(data[:3])))
    files.atomic_write(tmp_path / "file", b"0123456789")
    assert (tmp_path / "file").read_bytes() == b"0123456789"


FAULTS = [
    ("open", errno.EACCES, "there is no permission"),
    ("open", errno.EROFS, "the file system is read-only"),
    ("write", errno.ENOSPC, "the disk is full"),
    ("write", errno.EIO, os.strerror(errno.EIO)),
    ("fsync", errno.EIO, os.strerror(errno.EIO)),
    ("fsync", errno.ENOSPC, "the disk is full"),
    pytest.param("close", errno.EIO, os.strerror(errno.EIO), marks=posix),  # elsewhere what is open cannot be removed
    ("replace", errno.EPERM, "there is no permission"),
    ("replace", errno.ENOENT, "its folder does not exist or has vanished"),
]


@pytest.mark.parametrize("older", [True, False])
@pytest.mark.parametrize(("name", "code", "reason"), FAULTS)
def test_every_fault_keeps_the_older_file(tmp_path, monkeypatch, name, code, reason, older):
    target = tmp_path / "run.safetensors"
    if older:
        target.write_bytes(b"good")
    calls = fail_at(monkeypatch, name, code)
    with pytest.raises(OutputError) as caught:
        files.atomic_write(target, b"new content")
    monkeypatch.undo()
    assert calls
    message = str(caught.value)
    assert str(target) in message
    assert reason in message
    assert "\n" not in message
    assert ("the older file is unchanged" in message) == older
    assert os.listdir(tmp_path) == (["run.safetensors"] if older else [])
    assert not older or target.read_bytes() == b"good"


def test_disk_full_after_half_the_bytes(tmp_path, monkeypatch):
    target = tmp_path / "file"
    target.write_bytes(b"good")
    real, written = os.write, []

    def write(descriptor, data):
        if written:
            raise OSError(errno.ENOSPC, "No space left on device")
        written.append(real(descriptor, data[: len(data) // 2]))
        return written[0]

    monkeypatch.setattr(files.os, "write", write)
    with pytest.raises(OutputError, match=r"the disk is full \(writing 1,000 bytes\); the older file is unch"):
        files.atomic_write(target, b"n" * 1000)
    assert written == [500]
    assert target.read_bytes() == b"good"
    assert os.listdir(tmp_path) == ["file"]


@posix
@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full")
def test_a_really_full_device(tmp_path, monkeypatch):
    real = os.open
    monkeypatch.setattr(files.os, "open", lambda path, flags, mode=0: real("/dev/full", os.O_WRONLY))
    with pytest.raises(OutputError, match="the disk is full"):
        files.atomic_write(tmp_path / "file", b"data")
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("name", ["open", "write", "fsync", "replace"])
@pytest.mark.parametrize("kind", [KeyboardInterrupt, MemoryError])
def test_an_interruption_cleans_up_and_passes_on(tmp_path, monkeypatch, name, kind):
    target = tmp_path / "file"
    target.write_bytes(b"good")

    def stop(*args):
        raise kind

    monkeypatch.setattr(files.os, name, stop)
    with pytest.raises(kind):
        files.atomic_write(target, b"new")
    monkeypatch.undo()
    assert target.read_bytes() == b"good"
    assert os.listdir(tmp_path) == ["file"]


@posix
def test_order_of_calls_and_the_folder_is_synced(tmp_path, monkeypatch):
    log = []
    for name in ("open", "write", "fsync", "close", "replace"):
        real = getattr(os, name)
        monkeypatch.setattr(files.os, name, lambda *a, n=name, r=real: (log.append(n), r(*a))[1])
    files.atomic_write(tmp_path / "file", b"data")
    assert log == ["open", "write", "fsync", "close", "replace", "open", "fsync", "close"]


@posix
@pytest.mark.parametrize(("name", "nth"), [("open", 2), ("fsync", 2)])
def test_folder_that_cannot_be_synced_is_told_apart(tmp_path, monkeypatch, name, nth):
    fail_at(monkeypatch, name, errno.EIO, nth)
    with pytest.raises(OutputError, match="its folder could not be brought to the disk"):
        files.atomic_write(tmp_path / "file", b"new")
    assert (tmp_path / "file").read_bytes() == b"new"
    assert os.listdir(tmp_path) == ["file"]


@posix
@pytest.mark.parametrize("code", [errno.EINVAL, errno.ENOTSUP])
def test_file_systems_without_folder_sync_are_fine(tmp_path, monkeypatch, code):
    calls = fail_at(monkeypatch, "fsync", code, nth=2)
    files.atomic_write(tmp_path / "file", b"new")
    assert len(calls) == 2
    assert (tmp_path / "file").read_bytes() == b"new"


def test_vanished_folder(tmp_path):
    with pytest.raises(OutputError, match=r"its folder does not exist or has vanished .*nothing was left behind"):
        files.atomic_write(tmp_path / "gone" / "file", b"data")
    (tmp_path / "file").write_bytes(b"x")
    with pytest.raises(OutputError, match=r"a part of its path is a file|does not exist"):
        files.atomic_write(tmp_path / "file" / "inner", b"data")


def test_a_folder_or_device_is_never_replaced(tmp_path):
    with pytest.raises(OutputError, match="a folder or device is there"):
        files.atomic_write(tmp_path, b"data")
    with pytest.raises(OutputError, match="a folder or device is there"):
        files.atomic_write(os.devnull, b"data")
    assert os.path.exists(os.devnull)
    assert not os.path.isfile(os.devnull)


@posix
def test_symbolic_links_are_followed(tmp_path):
    (tmp_path / "there").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "there" / "file")
    files.atomic_write(tmp_path / "link", b"data")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "there" / "file").read_bytes() == b"data"


@posix
def test_longest_name_and_ordinary_permissions(tmp_path):
    target = tmp_path / ("n" * 255)
    files.atomic_write(target, b"data")
    (tmp_path / "plain").write_bytes(b"")
    assert target.stat().st_mode == (tmp_path / "plain").stat().st_mode
    with pytest.raises(OutputError, match="its name is too long"):
        files.atomic_write(tmp_path / ("n" * 256), b"data")
    assert sorted(os.listdir(tmp_path)) == sorted([target.name, "plain"])


@posix  # elsewhere a file that is being read cannot be replaced
def test_writers_at_once_never_mix(tmp_path):
    contents = [bytes([65 + i]) * 50_000 for i in range(4)]

    def work(content):
        for _ in range(10):
            files.atomic_write(tmp_path / "file", content)
            assert (tmp_path / "file").read_bytes() in contents

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, contents))
    assert os.listdir(tmp_path) == ["file"]


@pytest.mark.parametrize("path", ["", "a\0b", 3, None, [], object()])
def test_what_is_no_path(path):
    for function in (files.as_path, files.writable_folder, lambda p: files.atomic_write(p, b"x")):
        with pytest.raises(SettingsError, match="path must"):
            function(path)


def test_paths_of_every_kind():
    assert files.as_path(Path("a")) == files.as_path("a") == files.as_path(b"a") == "a"


def test_writable_folder_makes_and_tries_it(tmp_path):
    folder = files.writable_folder(tmp_path / "a" / "b")
    assert folder == tmp_path / "a" / "b"
    assert os.listdir(folder) == []
    assert files.writable_folder(str(folder)) == folder


def test_writable_folder_refuses(tmp_path, monkeypatch):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(OutputError, match="a file of that name is there"):
        files.writable_folder(tmp_path / "file")
    with pytest.raises(OutputError, match=r"cannot write in the folder|a file of that name"):
        files.writable_folder(tmp_path / "file" / "inner")
    for name, code, reason in [
        ("makedirs", errno.EACCES, "no permission"),
        ("open", errno.EROFS, "read-only"),
        ("open", errno.ENOSPC, "the disk is full"),
    ]:
        with monkeypatch.context() as patch:
            fail_at(patch, name, code)
            with pytest.raises(OutputError, match=reason):
                files.writable_folder(tmp_path / "new")
    assert os.listdir(tmp_path / "new") == []


KILLED = """
import os, signal, sys
from charrnn.files import atomic as files
real = os.{name}
files.os.{name} = lambda *a: (real(*a), os.kill(os.getpid(), signal.SIGKILL))
files.atomic_write(sys.argv[1], b"new" * 1000)
"""


@posix
@pytest.mark.parametrize(("name", "after"), [("write", b"good"), ("fsync", b"good"), ("replace", b"new" * 1000)])
def test_killed_in_the_middle(tmp_path, name, after):
    """A process killed between two calls leaves one of the two files whole, and a temporary to be removed."""
    target = tmp_path / "file"
    target.write_bytes(b"good")
    done = subprocess.run([sys.executable, "-c", KILLED.format(name=name), str(target)], timeout=60)
    assert done.returncode == -signal.SIGKILL
    assert target.read_bytes() == after
    assert files.remove_leftovers(tmp_path) == (0 if name == "replace" else 1)
    assert os.listdir(tmp_path) == ["file"]
    assert files.remove_leftovers(tmp_path / "no such folder") == 0
