"""Signals and faults in the middle of a run: what was written last is sound, and nobody is left waiting."""

import errno
import importlib
import os
import shutil
import signal

import numpy as np
import pytest
from resuming import PLAN, TEXT, model, outcome, resume

from charrnn import CharRNN, ModelFileError, OutputError
from charrnn.files.atomic import alone_in
from charrnn.network.arrays import aligned_zeros
from charrnn.network.decoding import Rules
from charrnn.network.optimisers import UpdateRule
from charrnn.network.smooth import SmoothLoss
from charrnn.training import trainer as training
from charrnn.training.checkpoint import checkpoints_in, load

# ---- signals --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_run_and_keeps_it(number, tmp_path):
    plain = model()
    expected = outcome(plain, plain.train(TEXT, **PLAN))
    before = signal.getsignal(number)
    sent = []

    def send(event):
        if event.done >= 300 and not sent:
            sent.append(event.done)
            signal.raise_signal(number)

    settings = PLAN | {"checkpoint": tmp_path, "checkpoint_every": "1h"}
    history = model().train(TEXT, callbacks=[send], **settings)
    assert (history.interrupted, history.stopped_by) == (True, number)
    assert len(history) == sent[0]
    assert signal.getsignal(number) is before
    assert resume(tmp_path) == expected


def test_a_second_ctrl_c_ends_at_once():
    def twice(event):
        if event.kind == "progress":
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGINT)

    trained = model()
    with pytest.raises(KeyboardInterrupt):
        trained.train(TEXT, callbacks=[twice], threads=2, **PLAN)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    trained.train(TEXT, **PLAN)


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="there is no alarm clock")
@pytest.mark.parametrize("what", ["sample", "validation"])
def test_long_samples_and_validations_are_interrupted_and_made_up_for(what, tmp_path):
    """The signal comes in the middle of what takes long: it is broken off, and left to be done after resuming."""
    long = {"sample": {"sample_length": 10**7}, "validation": {"validation": TEXT * 30_000, "validate_every": 50}}[what]
    settings = PLAN | {"sample_every": None} | long | ({"sample_every": 100} if what == "sample" else {})

    def alarm(event):
        if event.kind == "start":  # by then the run answers signals itself, on however slow a machine
            signal.setitimer(signal.ITIMER_REAL, 0.3)

    old = signal.signal(signal.SIGALRM, lambda *_: signal.raise_signal(signal.SIGTERM))
    try:
        history = model(hidden_size=100).train(TEXT, checkpoint=tmp_path, callbacks=[alarm], **settings)
    finally:
        signal.signal(signal.SIGALRM, old)
    assert history.stopped_by == signal.SIGTERM
    assert not history.samples
    assert not history.validation
    p = load(checkpoints_in(tmp_path)[-1][1]).run
    assert (p.sampled, p.validated) == (-1, -1)


# ---- faults ---------------------------------------------------------------------------------------------------------


def test_two_runs_do_not_write_in_one_folder(tmp_path):
    pytest.importorskip("fcntl")  # nothing is locked on Windows, as docs/long_runs.md says
    plan, refused = PLAN | {"checkpoint": tmp_path, "checkpoint_every": 100}, []

    def other(event):
        if event.done >= 300 and not refused:
            for attempt in (lambda: CharRNN.resume(tmp_path, TEXT, progress=False), lambda: model().train(TEXT, **plan)):
                with pytest.raises(OutputError, match=r"another run is writing in .*: wait") as error:
                    attempt()
                refused.append(error)

    plain, disturbed = model(), model()
    assert outcome(disturbed, disturbed.train(TEXT, callbacks=[other], **plan)) == outcome(plain, plain.train(TEXT, **PLAN))
    assert len(refused) == 2
    assert len(CharRNN.resume(tmp_path, TEXT, progress=False)[1]) == PLAN["updates"]  # the lock went with the run


def test_only_the_run_s_own_folder_is_locked(tmp_path):
    pytest.importorskip("fcntl")  # nothing is locked on Windows, as docs/long_runs.md says

    def inside(event):
        with pytest.raises(ModelFileError, match=r"no checkpoint|no such file"):
            CharRNN.resume(tmp_path / "missing", TEXT, progress=False)
        model().train(TEXT, **(PLAN | {"updates": 5, "checkpoint": tmp_path / f"second-{event.kind}-{event.done}"}))

    first = model().train(TEXT, **(PLAN | {"updates": 5, "checkpoint": tmp_path / "first"}), callbacks=[inside])
    newest = checkpoints_in(tmp_path / "first")[-1][1]
    with alone_in(tmp_path / "first"), pytest.raises(OutputError, match="another run is writing"):
        CharRNN.resume(newest, TEXT, progress=False)
    with alone_in(tmp_path):
        assert len(CharRNN.resume(newest, TEXT, progress=False)[1]) == len(first) == 5


class Faults:
    """Makes the nth call of one of os's functions fail; counts them all."""

    def __init__(self, monkeypatch, name, number, at):
        self.calls, self.real = 0, getattr(os, name)

        def call(*args, **kwargs):
            self.calls += 1
            if self.calls == at:
                raise OSError(number, os.strerror(number))
            return self.real(*args, **kwargs)

        monkeypatch.setattr(os, name, call)


@pytest.mark.parametrize(
    ("name", "number"), [("open", errno.EMFILE), ("write", errno.ENOSPC), ("fsync", errno.EIO), ("replace", errno.ENOENT)]
)
def test_a_write_that_fails_anywhere_leaves_the_last_good_checkpoint(name, number, tmp_path, monkeypatch):
    settings = PLAN | {"updates": 400, "checkpoint_every": 100, "keep": 2}
    plain = model()
    expected = outcome(plain, plain.train(TEXT, **(PLAN | {"updates": 400})))
    at = 0
    while True:
        at += 1
        folder = tmp_path / f"{name}-{at}"
        folder.mkdir()
        with monkeypatch.context() as patch:
            faults = Faults(patch, name, number, at)
            try:
                model().train(TEXT, checkpoint=folder, **settings)
                failed = None
            except OutputError as error:
                failed = error
        assert not list(folder.glob(".*"))
        there = checkpoints_in(folder)
        for _, path in there:
            load(path)
        if failed is None:
            assert faults.calls < at  # every call has failed once
            break
        assert "\n" not in str(failed)
        if there:
            if "could not be brought to the disk" not in str(failed):
                assert f"the last good checkpoint is {there[-1][1]}" in str(failed)
            assert resume(folder) == expected
        else:
            early = "there is no checkpoint yet", "cannot write in the folder", "cannot lock the folder"
            assert any(message in str(failed) for message in early)
    assert at > 4


def test_a_folder_that_vanishes_is_an_error(tmp_path):
    def remove(event):
        if event.done == 200:
            shutil.rmtree(tmp_path / "run", ignore_errors=True)

    with pytest.raises(OutputError, match=r"its folder does not exist or has vanished.*there is no checkpoint yet"):
        model().train(TEXT, checkpoint=tmp_path / "run", checkpoint_every=100, callbacks=[remove], **PLAN)


ALLOCATIONS = [
    "charrnn.network.network.Workspace",
    "charrnn.training.trainer.np.empty",
    "charrnn.training.run.aligned_zeros",
    "charrnn.training.trainer.Snapshot",
    "charrnn.training.checkpoint.modelfile.to_bytes",
    "charrnn.training.checkpoint.tensors_of",
    "charrnn.network.settings.new_theta",
    "charrnn.generation.sampling.np.empty",
]


@pytest.mark.parametrize("place", ALLOCATIONS)
def test_memory_that_runs_out_corrupts_nothing(place, tmp_path, monkeypatch):
    settings = PLAN | {"updates": 400, "checkpoint_every": 100}
    plain = model()
    expected = outcome(plain, plain.train(TEXT, **(PLAN | {"updates": 400})))
    owner, _, name = place.rpartition(".")
    at, failures = 0, 0
    while True:
        at += 1 if at < 8 else 7
        folder = tmp_path / str(at)
        trained, calls = model(), 0
        with monkeypatch.context() as patch:
            target = resolve(owner)
            real = getattr(target, name)

            def allocate(*args, real=real, at=at, **kwargs):
                nonlocal calls
                calls += 1
                if calls == at:
                    raise MemoryError("injected")
                return real(*args, **kwargs)

            patch.setattr(target, name, allocate)
            try:
                trained.train(TEXT, checkpoint=folder, **settings)
            except MemoryError:
                failures += 1
            else:
                break
        assert not folder.exists() or not list(folder.glob(".*"))
        if checkpoints_in(folder):
            assert resume(folder) == expected
        elif trained.run is None:
            assert outcome(trained, trained.train(TEXT, **(PLAN | {"updates": 400}))) == expected
        else:
            assert np.isfinite(trained.theta).all()
            trained.train(TEXT, updates=10, progress=False)
    assert failures


def resolve(dotted):
    module, rest = dotted, []
    while True:
        try:
            found = importlib.import_module(module)
            break
        except ImportError:
            module, _, last = module.rpartition(".")
            rest.insert(0, last)
    for part in rest:
        found = getattr(found, part)
    return found


@pytest.mark.parametrize("name", ["train", "forward", "backward", "pack", "sample"])
def test_every_allocation_in_the_kernels_may_fail(name, level):
    """Python's own allocator is made to fail at the first, the second, ... request: MemoryError, and nothing has changed."""
    _testcapi = pytest.importorskip("_testcapi")
    if level == "numpy":
        pytest.skip("NumPy itself crashes under this")
    m = model(vocabulary=TEXT, level=level, cell="lstm", layers=2)
    work, one = m.network.workspace(5, 2, dropout=True), m.network.workspace(1, 2)
    x, out, smooth = np.zeros((3, 5, 2), np.intc), np.empty((3, 3)), SmoothLoss().numbers
    rule, best, slots = UpdateRule(dropout=0.3), m.theta.copy(), aligned_zeros((1, *m.theta.shape), np.float32)
    rates, resets = rule.rates(np.full(3, 0.1), 1), np.zeros(3, np.uint8)
    arguments = {
        "train": (m.theta, slots, work, x, x, resets, out, rates, rule, smooth, best),
        "forward": (m.theta, work, x[0], x[0]),
        "backward": (m.theta, work, x[0]),
        "pack": (m.theta, work),
        "sample": (m.theta, one, np.zeros((2, 6), np.intc), 1, np.full((5, 2), 0.5), Rules()),
    }[name]
    call, before, failures = getattr(m.kernels, name), m.theta.copy(), 0
    for number in range(1, 1000):
        try:
            _testcapi.set_nomemory(number, number + 1)
            call(*arguments)
            _testcapi.remove_mem_hooks()
            break
        except MemoryError:
            _testcapi.remove_mem_hooks()
            failures += 1
            assert (m.theta == before).all()
    assert 2 < failures < 300


def test_a_callback_that_fails_leaves_a_model_that_goes_on():
    def fail(event):
        if event.done == 100:
            raise ZeroDivisionError

    settings = PLAN | {"sample_every": 101}
    plain, failed = model(), model()
    with pytest.raises(ZeroDivisionError):
        failed.train(TEXT, callbacks=[fail], **settings)
    failed.train(TEXT, **(settings | {"updates": 300}))
    plain.train(TEXT, **(settings | {"updates": 400}))
    assert failed.theta.tobytes() == plain.theta.tobytes()


def test_chunks_of_every_size_reach_checkpoints_on_time(tmp_path, monkeypatch):
    monkeypatch.setattr(training, "CHUNK_SECONDS", 10.0)
    model().train(TEXT, checkpoint=tmp_path, checkpoint_every=33, keep=100, **PLAN)
    assert [step for step, _ in checkpoints_in(tmp_path)] == [*range(0, 1300, 33), 1300]
