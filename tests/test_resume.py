"""Checkpoints: whatever ends a run, it goes on from the newest sound one and comes to the same bits."""

import shutil
import time

import numpy as np
import pytest
from resuming import PLAN, TEXT, model, outcome, resume

from charrnn import CharRNN, ModelFileError, NonFiniteError, OutputError, SettingsError, TextError
from charrnn.files import modelfile
from charrnn.network import kernels
from charrnn.training import checkpoint
from charrnn.training.checkpoint import Checkpoints, checkpoints_in, interval, load

VARIANTS = {
    "adagrad": {},
    "adam": {"optimizer": "adam", "learning_rate": 0.01, "loss_reduction": "mean", "clip": None},
    "lanes": {"batch_size": 3, "threads": 2, "optimizer": "rmsprop", "learning_rate": 0.003},
    "schedule": {
        "optimizer": "sgd",
        "learning_rate": 0.01,
        "schedule": "wsd",
        "warmup": 90,
        "clip_norm": 1.0,
        "decay": 0.9,
        "average": 0.98,
    },
    "epochs": {"updates": None, "epochs": 10.5, "optimizer": "adam", "learning_rate": 0.01},
    "validation": {"validation": TEXT[:150], "validate_every": 130},
    "lstm": {
        "network": {"cell": "lstm", "layers": 2},
        "dropout": 0.2,
        "recurrent_dropout": 0.3,
        "state_reset": 0.1,
        "rotate": True,
        "optimizer": "adam",
        "learning_rate": 0.01,
        "batch_size": 2,
    },
    "rescue": {"rescue": True, "learning_rate": 3e38, "clip": None},
}


@pytest.fixture(scope="module", params=VARIANTS)
def run(request, tmp_path_factory):
    """A run with a checkpoint at every 97th update, all of them kept, and what it came to."""
    folder = tmp_path_factory.mktemp(request.param)
    settings = PLAN | VARIANTS[request.param]
    trained = model(**settings.pop("network", {}))
    history = trained.train(TEXT, checkpoint=folder, checkpoint_every=97, keep=1000, **settings)
    return folder, settings, outcome(trained, history)


def like(run):
    """A new model like the one whose run this is."""
    return model(**VARIANTS[run[0].name.rstrip("0123456789")].get("network", {}))


def still(settings):
    return {name: settings[name] for name in ("validation",) if name in settings}


# ---- bit for bit ----------------------------------------------------------------------------------------------------


def test_from_checkpoints_all_along_it_a_run_comes_to_the_same_end(run, tmp_path):
    folder, settings, expected = run
    plain = like(run)
    assert outcome(plain, plain.train(TEXT, **settings)) == expected  # checkpoints change nothing
    assert bool(expected[8]) == ("rescue" in settings)
    every = checkpoints_in(folder)
    assert [step for step, _ in every] == [*range(0, expected[-1]["done"], 97), expected[-1]["done"]]
    for _, file in every[::3]:
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

    like(run).train(TEXT, checkpoint=tmp_path, checkpoint_every="1h", callbacks=[stop], **settings)
    rounds = 0
    while load(checkpoints_in(tmp_path)[-1][1]).run.done < expected[-1]["done"]:
        at, rounds = next(stops), rounds + 1
        trained, history = CharRNN.resume(tmp_path, TEXT, progress=False, callbacks=[stop], **still(settings))
    if rounds:
        assert outcome(trained, history) == expected
    assert resume(tmp_path, **still(settings)) == expected  # a finished run is just given back


def test_the_level_and_the_threads_may_differ(run, tmp_path):
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
    monkeypatch.setattr(Checkpoints, "write", lambda self, network, run, *rest: (steps.append(run.done), real(self, network, run, *rest)))
    model().train(TEXT, checkpoint=tmp_path, checkpoint_every="0.05s", callbacks=[lambda e: e.seconds > 1], **(PLAN | {"updates": 10**6}))
    assert 3 <= len(steps) <= 21


def test_checkpoints_take_little_of_the_time(tmp_path, monkeypatch):
    keeper = Checkpoints(tmp_path, "0.001s")
    real = checkpoint.atomic_write
    monkeypatch.setattr(checkpoint, "atomic_write", lambda *args: (time.sleep(0.1), real(*args)))
    trained = model()
    history = trained.train(TEXT, **PLAN)
    trained.train(TEXT, updates=1, progress=False, sample_every=None)  # for the arrays that only a running run has
    keeper.write(trained.network, trained.run, trained.rng, history)
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
    assert len(history) == trained.run.total
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
    assert trained.run is None


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
    "another cell": lambda t, d: d.update(cell="gru"),
    "more layers": lambda t, d: d.update(layers=2),
    "a dropout that is none": lambda t, d: d["run"]["settings"].update(dropout=1.5),
    "a state of other shape": lambda t, d: t.update(state=t["state"][:, :, :, 1:]),
    "a smooth loss of other shape": lambda t, d: t.update(smooth=np.zeros(3)),
    "no weights": lambda t, d: t.pop("head.weight"),
    "weights that are not finite": lambda t, d: t.update({"head.bias": t["head.bias"] * np.float32(np.nan)}),
}


@pytest.mark.parametrize("change", CHANGES)
def test_checkpoints_whose_parts_do_not_belong_together_are_refused(change, tmp_path):
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
