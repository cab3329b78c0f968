"""Checkpoints: whatever ends a run, it goes on from the newest sound one and comes to the same bits."""

import errno
import io
import json
import os
import shutil
import signal
import threading
import time

import numpy as np
import pytest
from charrnn.network.parameters import Rule, Workspace

from charrnn import CharRNN, ModelFileError, NonFiniteError, OutputError, SettingsError, TextError
from charrnn.cli import main as cli
from charrnn.files.atomic import alone_in
from charrnn.runs import recorder, verification
from charrnn.training import checkpoint
from charrnn.training import trainer as training
from charrnn.training.checkpoint import Checkpoints, checkpoints_in, interval, load

TEXT = "the tide comes in, the tide goes out; nobody asked the tide. " * 12
PLAN = {"updates": 1300, "seq_length": 6, "sample_every": 170, "sample_length": 30, "progress": False}
VARIANTS = {
    "adagrad": {},
    "adam": {"optimizer": "adam", "learning_rate": 0.01, "loss_reduction": "mean", "clip": None},
    "lanes": {"batch_size": 3, "threads": 2, "optimizer": "rmsprop", "learning_rate": 0.003},
    "schedule": {"optimizer": "sgd", "learning_rate": 0.01, "schedule": "cosine", "warmup": 90, "clip_norm": 1.0},
    "epochs": {"updates": None, "epochs": 10.5, "optimizer": "adam", "learning_rate": 0.01},
    "validation": {"validation": TEXT[:150], "validate_every": 130},
    "rescue": {"rescue": True, "learning_rate": 3e38, "clip": None},
}


def model(**options):
    return CharRNN(**({"hidden_size": 9, "seed": 5} | options))


def outcome(trained, history):
    """Everything that must be the same: bits, losses, samples, validation, notes and the random generator."""
    return (
        trained.theta.tobytes(),
        history.best.theta.tobytes(),
        history.loss.tobytes(),
        history.smooth_loss.tobytes(),
        [(s.step, s.epoch, s.text, s.loss_per_char == s.loss_per_char and s.loss_per_char) for s in history.samples],
        [(v.step, v.loss) for v in history.validation],
        history.epoch_steps,
        (history.best_step, history.rescues),
        history.notes,
        history.first_step,
        trained.rng.bit_generator.state,
        trained.progress.plain(),
    )


def resume(folder, text=TEXT, **options):
    return outcome(*CharRNN.resume(folder, text, progress=False, **options))


@pytest.fixture(scope="module", params=VARIANTS)
def run(request, tmp_path_factory):
    """A run with a checkpoint at every 97th update, all of them kept, and what it came to."""
    folder = tmp_path_factory.mktemp(request.param)
    settings = PLAN | VARIANTS[request.param]
    trained = model()
    history = trained.train(TEXT, checkpoint=folder, checkpoint_every=97, keep=1000, **settings)
    return folder, settings, outcome(trained, history)


def still(settings):
    return {name: settings[name] for name in ("validation",) if name in settings}


# ---- bit for bit ----------------------------------------------------------------------------------------------------


def test_from_every_checkpoint_a_run_comes_to_the_same_end(run, tmp_path):
    folder, settings, expected = run
    plain = model()
    assert outcome(plain, plain.train(TEXT, **settings)) == expected  # checkpoints change nothing
    assert bool(expected[8]) == ("rescue" in settings)
    every = checkpoints_in(folder)
    assert [step for step, _ in every] == [*range(0, expected[-1]["done"], 97), expected[-1]["done"]]
    for _, file in every:
        shutil.copy(file, tmp_path)
        assert resume(tmp_path / file.name, **still(settings)) == expected
        for left in tmp_path.iterdir():
            left.unlink()


def test_a_run_stopped_again_and_again_comes_to_the_same_end(run, tmp_path):
    _, settings, expected = run
    stops = iter(range(50, 10_000, 211))
    at = next(stops)

    def stop(event):
        return event.kind == "progress" and event.done >= at

    model().train(TEXT, checkpoint=tmp_path, checkpoint_every="1h", callbacks=[stop], **settings)
    rounds = 0
    while load(checkpoints_in(tmp_path)[-1][1]).progress.done < expected[-1]["done"]:
        at, rounds = next(stops), rounds + 1
        trained, history = CharRNN.resume(tmp_path, TEXT, progress=False, callbacks=[stop], **still(settings))
    if rounds:
        assert outcome(trained, history) == expected
    assert resume(tmp_path, **still(settings)) == expected  # a finished run is just given back


def test_the_level_and_the_threads_may_differ(run, tmp_path):
    from charrnn.network import kernels

    folder, settings, expected = run
    levels = [level for level in kernels.available() if level in ("v3", "v4")] if "v3" in kernels.available() else [None]
    for level in levels:
        file = shutil.copy(checkpoints_in(folder)[-3][1], tmp_path)
        assert resume(file, level=level, threads=3, **still(settings)) == expected


def test_raw_bytes_and_float64(tmp_path):
    raw = bytes(range(256)) * 8
    plain = model(dtype="float64")
    expected = outcome(plain, plain.train(raw, **PLAN))
    model(dtype="float64").train(raw, checkpoint=tmp_path, checkpoint_every=500, callbacks=[lambda e: e.done >= 500], **PLAN)
    assert resume(tmp_path, raw) == expected


def test_a_second_run_of_a_model_is_resumed_too(tmp_path):
    plain, stopped = model(), model()
    for trained in (plain, stopped):
        trained.train(TEXT, updates=70, seq_length=5, progress=False)
    expected = outcome(plain, plain.train(TEXT[50:], **PLAN))
    stopped.train(TEXT[50:], checkpoint=tmp_path, checkpoint_every=700, callbacks=[lambda e: e.done >= 700], **PLAN)
    assert resume(tmp_path, TEXT[50:]) == expected
    assert expected[9] == 71


def test_a_resumed_model_can_be_trained_on(tmp_path):
    plain = model()
    plain.train(TEXT, **PLAN)
    history = plain.train(TEXT, **PLAN)
    model().train(TEXT, checkpoint=tmp_path, callbacks=[lambda e: e.done >= 100], **PLAN)
    trained, _ = CharRNN.resume(tmp_path, TEXT, progress=False)
    assert outcome(trained, trained.train(TEXT, **PLAN)) == outcome(plain, history)


# ---- numbers that go wrong ------------------------------------------------------------------------------------------


def test_a_run_that_fails_fails_again_at_the_same_place(tmp_path):
    settings = PLAN | {"learning_rate": 3e38, "clip": None, "updates": 50}
    messages = []
    with pytest.raises(NonFiniteError) as failed:
        model().train(TEXT, checkpoint=tmp_path, checkpoint_every=1, keep=10, **settings)
    messages.append(str(failed.value))
    for _, file in checkpoints_in(tmp_path):
        with pytest.raises(NonFiniteError) as failed:
            CharRNN.resume(file, TEXT, progress=False)
        messages.append(str(failed.value))
    assert len(messages) > 1
    assert len(set(messages)) == 1


def test_a_second_run_that_is_killed_at_once_is_not_taken_for_the_first(tmp_path):
    def die(event):
        if event.kind == "sample":
            raise SystemExit

    plain, killed = model(), model()
    plain.train(TEXT, **PLAN)
    killed.train(TEXT, checkpoint=tmp_path, **PLAN)
    expected = outcome(plain, plain.train(TEXT, **(PLAN | {"sample_every": 1301})))
    with pytest.raises(SystemExit):
        killed.train(TEXT, checkpoint=tmp_path, callbacks=[die], **(PLAN | {"sample_every": 1301}))
    assert resume(tmp_path) == expected


def test_states_that_are_not_finite_are_not_kept(tmp_path):
    def break_it(event):
        if (event.kind, event.done) == ("progress", 150):
            event.model.parameters["U"][:] = np.nan

    with pytest.raises(NonFiniteError):
        model().train(TEXT, checkpoint=tmp_path, checkpoint_every=50, keep=10, callbacks=[break_it], **PLAN)
    assert [step for step, _ in checkpoints_in(tmp_path)] == [0, 50, 100]
    stopped = model()

    def break_and_stop(event):
        break_it(event)
        return event.done == 150

    stopped.train(TEXT, checkpoint=tmp_path / "2", checkpoint_every=50, callbacks=[break_and_stop], **PLAN)
    assert np.isfinite(stopped.theta).all()
    assert [step for step, _ in checkpoints_in(tmp_path / "2")] == [0, 50, 100]


# ---- which are kept -------------------------------------------------------------------------------------------------


def test_the_last_few_are_kept(tmp_path):
    model().train(TEXT, checkpoint=tmp_path / "new" / "folder", checkpoint_every=100, keep=2, **PLAN)
    assert [step for step, _ in checkpoints_in(tmp_path / "new" / "folder")] == [1200, 1300]
    assert len(list((tmp_path / "new" / "folder").iterdir())) == 2


def test_checkpoints_come_by_the_clock(tmp_path, monkeypatch):
    steps = []
    monkeypatch.setattr(checkpoint, "SHARE", 1.0)
    real = Checkpoints.write
    monkeypatch.setattr(Checkpoints, "write", lambda self, m, h: (steps.append(m.progress.done), real(self, m, h)))
    model().train(TEXT, checkpoint=tmp_path, checkpoint_every="0.05s", callbacks=[lambda e: e.seconds > 1], **(PLAN | {"updates": 10**6}))
    assert 3 <= len(steps) <= 21


def test_checkpoints_take_little_of_the_time(tmp_path, monkeypatch):
    keeper = Checkpoints(tmp_path, "0.001s")
    real = checkpoint.atomic_write
    monkeypatch.setattr(checkpoint, "atomic_write", lambda *args: (time.sleep(0.1), real(*args)))
    trained = model()
    history = trained.train(TEXT, **PLAN)
    keeper.write(trained, history)
    assert keeper.next - time.monotonic() > 4


def test_a_damaged_newest_one_is_passed_over(run, tmp_path):
    folder, settings, expected = run
    files = [shutil.copy(file, tmp_path) for _, file in checkpoints_in(folder)[3:7]]
    with open(files[-1], "r+b") as file:
        file.truncate(5000)
    with open(files[-2], "r+b") as file:
        file.seek(20_000)
        file.write(b"!?")
    (tmp_path / ".1-abc.charrnn-tmp").write_bytes(b"left by a killed writer")
    trained, history = CharRNN.resume(tmp_path, TEXT, progress=False, **still(settings))
    note = next(note for note in history.notes if note.startswith("passed over"))
    assert "step-0000000582.safetensors" in note
    assert "step-0000000485.safetensors" in note
    assert note.endswith("went on from step-0000000388.safetensors instead")
    history.notes.remove(note)
    assert outcome(trained, history) == expected
    assert not list(tmp_path.glob(".*"))
    assert checkpoints_in(tmp_path)[-1][0] == expected[-1]["done"]
    load(checkpoints_in(tmp_path)[-1][1])


def test_keeping_one_beside_a_damaged_newer_one(tmp_path):
    settings = PLAN | {"checkpoint": tmp_path, "checkpoint_every": 100, "keep": 1}
    model().train(TEXT, callbacks=[lambda e: e.done == 500], **settings)
    (tmp_path / "step-0000009000.safetensors").write_bytes(b"damaged")
    CharRNN.resume(tmp_path, TEXT, progress=False, callbacks=[lambda e: e.done == 600])
    assert [step for step, _ in checkpoints_in(tmp_path)] == [600]


def test_another_runs_checkpoints_are_not_overwritten(tmp_path):
    trained = model()
    trained.train(TEXT, checkpoint=tmp_path, **PLAN)
    with pytest.raises(OutputError, match=r"another run's checkpoint of update 1,300: resume that run, or choose"):
        model().train(TEXT, checkpoint=tmp_path, **PLAN)
    trained.train(TEXT, checkpoint=tmp_path, **PLAN)
    assert [step for step, _ in checkpoints_in(tmp_path)] == [0, 1300, 2600]


# ---- what is refused ------------------------------------------------------------------------------------------------


def test_another_text_is_refused_unless_allowed(run, tmp_path):
    folder, settings, _ = run
    file = shutil.copy(checkpoints_in(folder)[3][1], tmp_path)
    other = TEXT[:-1] + "t"
    with pytest.raises(TextError, match=r"is not the text that this run was trained on.*--allow-other-text"):
        CharRNN.resume(file, other, progress=False, **still(settings))
    trained, history = CharRNN.resume(file, other, progress=False, allow_other_text=True, **still(settings))
    assert len(history) == trained.progress.total
    assert 292 in history.epoch_steps
    with pytest.raises(TextError, match="'Q'"):
        CharRNN.resume(file, "Q" + TEXT, progress=False, allow_other_text=True, **still(settings))


def test_the_validation_text_belongs_to_the_run(tmp_path):
    model().train(TEXT, checkpoint=tmp_path, validation=TEXT[:90], callbacks=[lambda e: e.done > 9], **PLAN)
    for validation, words in ((None, "the run has a validation text, and none was given"), (TEXT[:91], "is not the validation text of")):
        with pytest.raises(TextError, match=words):
            CharRNN.resume(tmp_path, TEXT, progress=False, validation=validation)
    CharRNN.resume(tmp_path, TEXT, progress=False, validation=TEXT[:90])


def test_folders_and_files_without_a_run_are_refused(tmp_path):
    with pytest.raises(ModelFileError, match="holds no checkpoint"):
        CharRNN.resume(tmp_path, TEXT)
    with pytest.raises(ModelFileError, match="there is no such file"):
        CharRNN.resume(tmp_path / "none", TEXT)
    model(vocabulary=TEXT).save(tmp_path / "step-0000000001.safetensors")
    with pytest.raises(ModelFileError, match="it is a 'model' file, a checkpoint file was asked for"):
        CharRNN.resume(tmp_path, TEXT)
    with pytest.raises(SettingsError, match="a path must be"):
        CharRNN.resume(5, TEXT)
    with pytest.raises(SettingsError, match="allow_other_text"):
        CharRNN.resume(tmp_path, TEXT, allow_other_text=1)


@pytest.mark.parametrize("every", ["", "soon", "-5s", "0s", "0", "1.5", "5 days", 0, -1, 2.5, None, True, float("nan"), "1e999s"])
def test_intervals_that_make_no_sense_are_refused(every, tmp_path):
    with pytest.raises(SettingsError, match="checkpoint_every must be"):
        model().train(TEXT, checkpoint=tmp_path, checkpoint_every=every, **PLAN)
    assert not list(tmp_path.iterdir())


def test_intervals():
    assert interval("90s") == interval("1.5m") == interval("1.5 min") == (0, 90.0)
    assert interval("250ms") == (0, 0.25)
    assert interval("1_000") == interval(np.int64(1000)) == (1000, 0.0)


@pytest.mark.parametrize("keep", [0, -1, 1.0, "3"])
def test_keeping_none_is_refused(keep, tmp_path):
    with pytest.raises(SettingsError, match="keep must be"):
        model().train(TEXT, checkpoint=tmp_path, keep=keep, **PLAN)


def test_a_folder_that_cannot_be_written_is_refused_before_any_work(tmp_path):
    (tmp_path / "file").write_text("")
    trained = model()
    with pytest.raises(OutputError, match=r"a file of that name is there|is a file"):
        trained.train(TEXT, checkpoint=tmp_path / "file", **PLAN)
    assert trained.progress is None


CHANGES = {
    "no run": lambda t, d: d.pop("run"),
    "a run that is none": lambda t, d: d.update(run=[]),
    "more done than planned": lambda t, d: d["run"].update(done=10**6),
    "a negative cursor": lambda t, d: d["run"].update(cursor=-5),
    "settings that are none": lambda t, d: d["run"].update(settings={"optimizer": "x"}),
    "unknown settings": lambda t, d: d["run"]["settings"].update(fast=True),
    "another optimizer": lambda t, d: d["run"]["settings"].update(optimizer="adam"),
    "another batch": lambda t, d: d["run"]["settings"].update(batch_size=2),
    "another generator": lambda t, d: d.update(rng={"bit_generator": "MT19937", "state": {}}),
    "a generator's state that is none": lambda t, d: d["rng"]["state"].update(inc="x"),
    "a generator's state that is too large": lambda t, d: d["rng"]["state"].update(state=2**200),
    "no random generator": lambda t, d: d.pop("rng"),
    "an interval that is none": lambda t, d: d["checkpoints"].update(every="x"),
    "nothing kept": lambda t, d: d["checkpoints"].update(keep=0),
    "no state": lambda t, d: t.pop("state"),
    "no memory": lambda t, d: t.pop("optimizer.0.head.bias"),
    "no best model": lambda t, d: t.pop("best.rnn.weight_hh_l0"),
    "no sound state": lambda t, d: t.pop("safe.head.weight"),
    "another history": lambda t, d: t.update(history=np.frombuffer(b'{"samples": 5}', np.uint8)),
    "a history that is none": lambda t, d: t.update(history=np.frombuffer(b"\xff[[[", np.uint8)),
    "a history that is nested deeply": lambda t, d: t.update(history=np.frombuffer(b"[" * 100_000, np.uint8)),
    "too few losses": lambda t, d: t.update(losses=t["losses"][:5]),
    "a smooth loss of other shape": lambda t, d: t.update(smooth=np.zeros(3)),
    "no weights": lambda t, d: t.pop("head.weight"),
    "weights that are not finite": lambda t, d: t.update({"head.bias": t["head.bias"] * np.float32(np.nan)}),
}


@pytest.mark.parametrize("change", CHANGES)
def test_checkpoints_whose_parts_do_not_belong_together_are_refused(change, tmp_path):
    from charrnn.files import modelfile

    model().train(TEXT, checkpoint=tmp_path, callbacks=[lambda e: e.done > 9], **PLAN)
    (_, path) = checkpoints_in(tmp_path)[-1]
    file = modelfile.read(path, finite=False)
    CHANGES[change](file.tensors, file.metadata)
    path.write_bytes(modelfile.to_bytes(file.tensors, file.metadata, "checkpoint", finite=False))
    with pytest.raises(ModelFileError) as caught:
        CharRNN.resume(path, TEXT, progress=False)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 500


def test_flipped_bits_and_truncated_files_are_refused(tmp_path):
    model(hidden_size=2).train("ab" * 20, updates=5, seq_length=3, sample_every=None, progress=False, checkpoint=tmp_path)
    (_, path) = checkpoints_in(tmp_path)[-1]
    data = path.read_bytes()
    rng = np.random.default_rng(1)
    for length in [*range(200), *rng.integers(0, len(data), 100)]:
        path.write_bytes(data[:length])
        with pytest.raises(ModelFileError):
            load(path)
    for bit in rng.integers(0, 8 * len(data), 400):
        damaged = bytearray(data)
        damaged[bit // 8] ^= 1 << bit % 8
        path.write_bytes(damaged)
        with pytest.raises(ModelFileError):
            load(path)


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
    p = load(checkpoints_in(tmp_path)[-1][1]).progress
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
    "charrnn.training.trainer.Workspace",
    "charrnn.training.trainer.np.empty",
    "charrnn.training.trainer.aligned_zeros",
    "charrnn.training.trainer.Safe",
    "charrnn.training.checkpoint.modelfile.to_bytes",
    "charrnn.training.checkpoint.tensors_of",
    "charrnn.network.network.new_theta",
    "charrnn.generation.sampling.Workspace",
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
        elif trained.progress is None:
            assert outcome(trained, trained.train(TEXT, **(PLAN | {"updates": 400}))) == expected
        else:
            assert np.isfinite(trained.theta).all()
            trained.train(TEXT, updates=10, progress=False)
    assert failures


def resolve(dotted):
    import importlib

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


@pytest.mark.parametrize("name", ["train", "forward", "backward", "renew", "sample"])
def test_every_allocation_in_the_kernels_may_fail(name, level):
    """Python's own allocator is made to fail at the first, the second, ... request: MemoryError, and nothing has changed."""
    _testcapi = pytest.importorskip("_testcapi")
    if level == "numpy":
        pytest.skip("NumPy itself crashes under this")
    m = model(vocabulary=TEXT, level=level)
    work, one = Workspace(9, len(m.vocabulary), 5, 2, "float32"), Workspace(9, len(m.vocabulary), 1, 2, "float32")
    x, out, smooth = np.zeros((3, 5, 2), np.intc), np.empty((3, 2)), np.array([np.nan, np.inf, 0, 0])
    rule, best, slots = Rule(), m.theta.copy(), np.zeros((1, *m.theta.shape), np.float32)
    rates, resets = rule.rates(np.full(3, 0.1), 1), np.zeros(3, np.uint8)
    arguments = {
        "train": (m.theta, slots, work, x, x, resets, out, rates, rule, smooth, best),
        "forward": (m.theta, work, x[0], x[0]),
        "backward": (m.theta, work, x[0]),
        "renew": (m.theta, work),
        "sample": (m.theta, one, np.empty((5, 2), np.intc), np.zeros(2, np.intc), np.full((5, 2), 0.5)),
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
    assert 5 < failures < 200


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


# ---- the command line -----------------------------------------------------------------------------------------------

SETTINGS = "--hidden-size 9 --updates 3000 --sample-every 400 --sample-length 20 --quiet --log-every 50 --seed 4"


@pytest.fixture
def train(tmp_path, monkeypatch, capsys):
    """`charrnn train` in a folder with a text; it is stopped after so many updates as if by SIGTERM. Gives what is said."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "text.txt").write_text(TEXT, "utf-8")

    def run(words, stop=None, code=0):
        with monkeypatch.context() as patch:
            real = training.Trainer.advance

            def advance(self, n):
                if stop is not None and self.progress.done >= stop:
                    signal.raise_signal(signal.SIGTERM)
                    return ""
                return real(self, min(n, 170))

            patch.setattr(training.Trainer, "advance", advance)
            patch.setattr(recorder.Recorder, "draw", lambda *_: None)  # which takes longer than all the rest
            assert cli.main(["train", *words.split()]) == code
        return capsys.readouterr()

    return run


def test_a_stopped_run_needs_nothing_else_said(train, tmp_path, monkeypatch):
    words = f"text.txt {SETTINGS} --validation 0.2 --validate-every 700"
    train(f"{words} --out whole")
    said = train(f"{words} --out stopped --checkpoint-every 500 --keep 2", stop=900, code=143)
    assert "go on with: charrnn train --resume stopped" in said.out
    assert verification.differences(tmp_path / "whole", tmp_path / "stopped")
    with open(tmp_path / "stopped" / "metrics.jsonl", "a") as file:
        file.write('{"step": 950, "train/lo')
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    train("--resume ../stopped --quiet --threads 2", stop=2000, code=143)
    said = train("--resume ../stopped --quiet")
    assert "resumed after update 2,0" in said.out
    assert "3,000 updates in " in said.out
    assert verification.differences(tmp_path / "whole", tmp_path / "stopped") == []
    assert [step for step, _ in checkpoints_in(tmp_path / "stopped" / "checkpoints")] == [2500, 3000]
    train("--resume ../stopped --quiet")  # nothing is left to do, and nothing changes
    assert verification.differences(tmp_path / "whole", tmp_path / "stopped") == []


def test_a_run_killed_before_its_first_checkpoint_begins_anew(train, tmp_path):
    train(f"text.txt {SETTINGS} --out whole")
    train(f"text.txt {SETTINGS} --out killed", stop=600, code=143)
    shutil.rmtree(tmp_path / "killed" / "checkpoints")
    train("--resume killed --quiet")
    assert verification.differences(tmp_path / "whole", tmp_path / "killed") == []


@pytest.mark.parametrize("raw", ["", " --bytes"])
def test_a_text_from_standard_input_is_kept_for_resuming(raw, train, tmp_path, monkeypatch):
    data = TEXT.replace("\n", "\r\n").encode() + bytes(range(256)) * bool(raw)
    for out in ("whole", "stopped"):
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(data)))
        train(f"-{raw} {SETTINGS} --out {out}", stop=600 if out == "stopped" else None, code=143 * (out == "stopped"))
    monkeypatch.setattr("sys.stdin", None)
    train("--resume stopped --quiet")
    assert verification.differences(tmp_path / "whole", tmp_path / "stopped") == []


def test_a_text_that_has_changed_is_refused_unless_allowed(train, tmp_path):
    train(f"text.txt {SETTINGS} --out run", stop=600, code=143)
    (tmp_path / "text.txt").write_text(TEXT[:-1], "utf-8")
    said = train("--resume run --quiet", code=2)
    assert "is not the text that this run was trained on" in said.err
    assert (said.err.count("\n"), said.out) == (1, "")
    train("--resume run --quiet --allow-other-text")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--resume run --updates 5", "leave --updates out"),
        ("--resume run text.txt", "leave TEXT out"),
        ("--resume run --out other", "leave --out out"),
        ("--resume run --validation 0.1", "leave --validation out"),
        ("--resume run --recipe fast", "leave --recipe out"),
        ("--resume run --keep 5", "leave --keep out"),
        ("--resume run --seed 0", "leave --seed out"),
        ("--resume run --clip none", "leave --clip out"),
        ("--resume nowhere", "nowhere holds no run that could be resumed: there is no run.json"),
        ("--resume text.txt", "run.json"),
        ("--allow-other-text", "belongs to --resume"),
        ("text.txt --checkpoint-every soon", "checkpoint_every must be a time such as '30s'"),
        ("text.txt --keep 0", "keep must be"),
    ],
)
def test_requests_that_make_no_sense_are_refused(words, message, train, tmp_path):
    train(f"text.txt {SETTINGS} --out run", stop=600, code=143)
    before = {path: path.read_bytes() for path in (tmp_path / "run").rglob("*") if path.is_file()}
    said = train(words, code=2)
    assert message in said.err
    assert (said.err.count("\n"), said.out) == (1, "")
    assert {path: path.read_bytes() for path in (tmp_path / "run").rglob("*") if path.is_file()} == before
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes")
def test_a_text_that_can_be_read_only_once_is_kept(train, tmp_path):
    """A second byte-order mark is a part of the text."""
    text = "\ufeff" + TEXT
    os.mkfifo(tmp_path / "pipe")
    writer = threading.Thread(target=(tmp_path / "pipe").write_bytes, args=[("\ufeff" + text).encode()])
    writer.start()
    train(f"pipe {SETTINGS} --out run", stop=600, code=143)
    writer.join()
    (tmp_path / "pipe").unlink()
    train("--resume run")
    (tmp_path / "text.txt").write_bytes(("\ufeff" + text).encode())
    train(f"text.txt {SETTINGS} --out whole")
    one, other = (CharRNN.load(tmp_path / name / "model.safetensors") for name in ("run", "whole"))
    assert one.theta.tobytes() == other.theta.tobytes()
    for validation in ("-", "/dev/null"):
        assert "validation must be" in train(f"text.txt --validation {validation} --out third", code=2).err


def test_force_is_refused_while_the_run_goes_on(train, tmp_path):
    pytest.importorskip("fcntl")  # nothing is locked on Windows, as docs/long_runs.md says
    train(f"text.txt {SETTINGS} --out run", stop=600, code=143)
    before = {path: path.read_bytes() for path in (tmp_path / "run").rglob("*") if path.is_file()}
    with alone_in(tmp_path / "run" / "checkpoints"):
        assert "another run is writing in" in train(f"text.txt {SETTINGS} --out run --force", code=1).err
    assert {path: path.read_bytes() for path in (tmp_path / "run").rglob("*") if path.is_file()} == before
    train(f"text.txt {SETTINGS} --out run --force")


@pytest.mark.parametrize("line", ['{"step": [1]}', '{"step": 100, "time": NaN}', "[" * 200_000, "5", '{"loss": 1}'])
def test_odd_lines_of_metrics_are_written_anew(line, train, tmp_path):
    train(f"text.txt {SETTINGS} --out run", stop=600, code=143)
    with open(tmp_path / "run" / "metrics.jsonl", "a", encoding="utf-8") as file:
        file.write(line + "\n")
    train("--resume run")
    lines = (tmp_path / "run" / "metrics.jsonl").read_text("utf-8").splitlines()
    assert [json.loads(one)["step"] for one in lines] == sorted({json.loads(one)["step"] for one in lines})


def test_metrics_have_the_first_each_due_and_the_last_update(train, tmp_path):
    for every, steps in ((400, [1, 400, 800, 1000]), (10**6, [1, 1000]), (1, [*range(1, 1001)])):
        words = f"text.txt --hidden-size 5 --seq-length 4 --updates 1000 --sample-every none --out run-{every} --log-every {every}"
        train(words, stop=600, code=143)
        train(f"--resume run-{every}")
        lines = (tmp_path / f"run-{every}" / "metrics.jsonl").read_text("utf-8").splitlines()
        assert [json.loads(line)["step"] for line in lines] == steps


@pytest.mark.parametrize("content", ["", "[]", "{", '{"text": 5}', "[" * 10**5, "\xff"])
def test_a_description_of_a_run_that_is_none_is_refused(content, train, tmp_path):
    train(f"text.txt {SETTINGS} --out run", stop=600, code=143)
    (tmp_path / "run" / "run.json").write_bytes(content.encode("latin-1"))
    assert f"cannot read {os.path.join('run', 'run.json')}: " in train("--resume run", code=2).err


@pytest.mark.skipif(not hasattr(os, "fork"), reason="takes too long without fork")
def test_kill_9_at_random_moments(capsys):
    import kill_rounds

    assert kill_rounds.main(3, seed=7) == 0
    assert "every one resumed to the same files, bit for bit" in capsys.readouterr().out


def test_verify_resume_proves_it_on_this_machine(train, monkeypatch):
    monkeypatch.setattr(verification, "ROUNDS", 1)
    monkeypatch.setattr(verification, "KILLS", 1)
    said = train("text.txt --hidden-size 5 --verify-resume --validation 0.2 --validate-every 300 --epochs 90")
    assert "left no trace" in said.out
    assert sorted(os.listdir()) == ["text.txt"]


def test_verify_resume_would_notice(train, monkeypatch):
    monkeypatch.setattr(verification.Proof, "_run", lambda self, words, seconds=None: None)
    monkeypatch.setattr(verification, "differences", lambda one, other: ["model.safetensors"])
    assert "NOT the same: model.safetensors" in train("text.txt --verify-resume", code=1).out


def test_differences_are_found(train, tmp_path):
    for out in ("one", "other"):
        train(f"text.txt {SETTINGS} --out {out}")
    assert verification.differences(tmp_path / "one", tmp_path / "other") == []
    for name in ("samples.txt", "metrics.jsonl", "best.safetensors"):
        path = tmp_path / "other" / name
        path.write_bytes(path.read_bytes().replace(b"1", b"2"))
    assert set(verification.differences(tmp_path / "one", tmp_path / "other")) == {"samples.txt", "metrics.jsonl", "best.safetensors"}


def test_force_removes_a_run_and_nothing_else(train, tmp_path):
    train(f"text.txt {SETTINGS} --out run", stop=600, code=143)
    for name in ("notes.txt", "checkpoints/other.safetensors"):
        (tmp_path / "run" / name).write_text("mine")
    train(f"text.txt {SETTINGS} --out run --force --updates 100")
    assert (tmp_path / "run" / "notes.txt").read_text() == "mine"
    assert sorted(path.name for path in (tmp_path / "run" / "checkpoints").iterdir()) == [
        "other.safetensors",
        "step-0000000000.safetensors",
        "step-0000000100.safetensors",
    ]
