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
from charrnn.files import owned

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


def test_halves_of_characters_in_names_do_not_keep_a_file_from_being_written(tmp_path):
    files.atomic_write(tmp_path / "file", "about \udcff.txt")
    assert (tmp_path / "file").read_bytes() == rb"about \udcff.txt"


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
def test_links_are_replaced_and_followed_only_where_their_user_named_them(tmp_path, capfdbinary):
    (tmp_path / "there").mkdir()
    mine = tmp_path / "there" / "mine"
    mine.write_bytes(b"mine")
    for name, link in (("link", mine), ("broken", tmp_path / "nowhere"), ("loop", tmp_path / "loop"), ("folder", tmp_path / "there")):
        (tmp_path / name).symlink_to(link)
        files.atomic_write(tmp_path / name, b"data")
        assert not (tmp_path / name).is_symlink()
        assert (tmp_path / name).read_bytes() == b"data"
    os.link(mine, tmp_path / "second name")
    files.atomic_write(tmp_path / "second name", b"data")
    assert mine.read_bytes() == b"mine"
    assert os.listdir(tmp_path / "there") == ["mine"]
    (tmp_path / "link").unlink()
    (tmp_path / "link").symlink_to(mine)
    for write in (lambda *a: files.atomic_write(*a, follow=True), files.write_named):
        write(tmp_path / "link", b"through")
        assert (tmp_path / "link").is_symlink()
        assert mine.read_bytes() == b"through"


@posix
def test_the_folder_itself_may_be_a_link(tmp_path):
    (tmp_path / "there").mkdir()
    (tmp_path / "run").symlink_to(tmp_path / "there")
    files.atomic_write(tmp_path / "run" / "file", b"data")
    assert (tmp_path / "there" / "file").read_bytes() == b"data"


@posix
def test_a_pipe_is_replaced_and_never_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OutputError, match="a pipe is there"):
        files.write_named(tmp_path / "pipe", b"data")
    files.atomic_write(tmp_path / "pipe", b"data")
    assert (tmp_path / "pipe").read_bytes() == b"data"
    os.mkfifo(tmp_path / "another")
    with files.alone_in(tmp_path / "another"):
        pass  # what is no folder cannot be locked


def test_a_dash_is_standard_output(capsysbinary):
    files.write_named("-", "page ü\n")
    files.write_named("-", b"\x00")
    assert capsysbinary.readouterr().out == "page ü\n".encode() + b"\0"
    assert not os.path.exists("-")


# ---- folders that may have come from a stranger ---------------------------------------------------------------------------


@pytest.fixture
def hostile(tmp_path):
    """A folder whose files are links, pipes and second names; and the file of its user's that they aim at."""
    mine = tmp_path / "mine"
    mine.write_bytes(b"mine\n")
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "link").symlink_to(mine)
    (folder / "broken").symlink_to(tmp_path / "made by a stranger")
    (folder / "loop").symlink_to(folder / "loop")
    os.link(mine, folder / "second")
    os.mkfifo(folder / "pipe")
    (folder / "away").symlink_to(tmp_path)
    yield folder
    assert mine.read_bytes() == b"mine\n"
    assert sorted(os.listdir(tmp_path)) == ["mine", "run"]


@posix
@pytest.mark.parametrize("name", ["link", "broken", "loop", "pipe", "second", "away", "none"])
def test_nothing_outside_a_folder_is_written(hostile, name):
    before = b"mine\n" if name == "second" else b""
    owned.append(hostile / name, "two ü \udc80\n")
    owned.append(hostile / name, "three\n")
    assert (hostile / name).read_bytes() == before + "two ü \\udc80\nthree\n".encode()
    assert (hostile / name).stat().st_nlink == 1
    assert not (hostile / name).is_symlink()
    owned.write(hostile / name, b"whole")
    assert owned.read(hostile / name) == b"whole"


@posix
@pytest.mark.parametrize("name", ["link", "broken", "loop", "pipe", "second", "away", "none"])
def test_a_file_in_pieces_is_a_new_one(hostile, name):
    with owned.new_file(hostile / name) as file:
        file.write(b"piece")
    assert owned.read_text(hostile / name) == "piece"


@posix
@pytest.mark.parametrize(
    ("name", "message"),
    [("link", "it is a link"), ("broken", "it is a link"), ("loop", "it is a link"), ("pipe", "no regular file"), ("away", "it is a link")],
)
def test_only_regular_files_are_read(hostile, name, message):
    with pytest.raises(OSError, match=message):
        owned.read(hostile / name)


@posix
def test_reading_has_a_limit(hostile):
    (hostile / "long").write_bytes(b"12345")
    assert owned.read(hostile / "long", most=5) == b"12345"
    with pytest.raises(OSError, match="more than 4 bytes"):
        owned.read(hostile / "long", most=4)
    with pytest.raises(FileNotFoundError):
        owned.read(hostile / "none")
    (hostile / "latin").write_bytes(b"\xe9")
    with pytest.raises(ValueError, match="utf-8"):
        owned.read_text(hostile / "latin")


@posix
@pytest.mark.parametrize("name", ["link", "broken", "loop", "pipe", "away", "none"])
def test_a_folder_in_a_folder_is_its_own(hostile, name):
    folder = owned.subfolder(hostile, name)
    assert folder.is_dir()
    assert not folder.is_symlink()
    assert owned.subfolder(hostile, name) == folder
    (hostile / "file").write_bytes(b"x")
    with pytest.raises(OutputError, match="a file of that name is there"):
        owned.subfolder(hostile, "file")


@posix
def test_what_cannot_be_appended_to_is_said(hostile):
    (hostile / "folder").mkdir()
    for path in (hostile / "folder", hostile / "gone" / "file"):
        with pytest.raises(OutputError, match="cannot write "):
            owned.append(path, "x")


@posix
def test_a_run_folders_files_stay_in_it(tmp_path):
    """The writers that a run's folder uses, on a folder of links."""
    from charrnn import CharRNN
    from charrnn.display.plots import loss_curve
    from charrnn.runs.folder import BEST, MODEL, PLOT, SAMPLES, RunFolder

    mine = tmp_path / "mine"
    mine.write_bytes(b"mine")
    run = tmp_path / "run"
    run.mkdir()
    for name in (MODEL, BEST, PLOT, SAMPLES):
        (run / name).symlink_to(mine)
    folder, model = RunFolder(run), CharRNN(hidden_size=3)
    history = model.train("abcab" * 9, updates=2, progress=False)
    folder.write_model(MODEL, model.to_tensors(), model.to_metadata())
    folder.write_model(BEST, model.to_tensors(), model.to_metadata())
    folder.restart("samples", [])
    loss_curve(history, run / PLOT)
    assert mine.read_bytes() == b"mine"
    assert not any((run / name).is_symlink() for name in (MODEL, BEST, PLOT, SAMPLES))


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
from charrnn.files import owned
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


def test_what_killed_writers_left_goes_at_the_next_use_and_what_living_ones_write_stays(tmp_path):
    done = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, text=True, timeout=60, check=True)
    gone, here = int(done.stdout), os.getpid()
    left, kept = (
        [f".{gone}-0123abcd.charrnn-tmp"],
        [f".{here}-0123abcd.charrnn-tmp", ".x-1.charrnn-tmp", ".0-1.charrnn-tmp", "1-1.charrnn-tmp"],
    )
    kept += [f".{'9' * 20}-1.charrnn-tmp", f".{gone}-89abcdef.charrnn-tmp"]
    for name in [*left, *kept]:
        (tmp_path / name).write_bytes(b"half")
        os.utime(tmp_path / name, (1e9, 1e9))
    (tmp_path / kept[-1]).write_bytes(b"written a moment ago, perhaps by another machine")
    files.writable_folder(tmp_path)
    assert sorted(os.listdir(tmp_path)) == sorted(kept)
    assert files.remove_leftovers(tmp_path) == len(kept) - 1  # nobody else is here
    assert os.listdir(tmp_path) == ["1-1.charrnn-tmp"]
