"""Training goes on as it was: from files, copies, pickles and the best model, on other texts, to other ends."""

import copy
import json
import pickle
import shutil

import numpy as np
import pytest

from charrnn import CharRNN, ModelFileError, SettingsError, TextError
from charrnn.cli.main import main
from charrnn.training.checkpoint import checkpoints_in

TEXT = "the tide comes in, the tide goes out; nobody asked the tide. " * 12
OTHER = "out goes the tide, and nobody comes; the tide asked in. " * 10
pytestmark = pytest.mark.usefixtures("undrawn")
ADAM = {"optimizer": "adam", "learning_rate": 0.01, "loss_reduction": "mean", "clip": None, "seq_length": 6, "batch_size": 3}
QUIET = {"progress": False, "sample_every": None}


def trained(updates=200, **settings):
    model = CharRNN(hidden_size=9, seed=5)
    model.train(TEXT, updates=updates, **(ADAM | QUIET | settings))
    return model


def saved(model, folder, **options):
    model.save(folder / "m.safetensors", **options)
    return CharRNN.load(folder / "m.safetensors")


WAYS = {
    "copy": lambda model, folder: model.copy(),
    "deepcopy": lambda model, folder: copy.deepcopy(model),
    "pickle": lambda model, folder: pickle.loads(pickle.dumps(model)),
    "file": saved,
    "one file": lambda model, folder: saved(model, folder, optimizer="inside"),
    "twice": lambda model, folder: saved(saved(model, folder), folder),
}


@pytest.mark.parametrize("way", WAYS)
def test_a_model_goes_on_as_it_was_trained(way, tmp_path):
    model = trained()
    other = WAYS[way](model, tmp_path)
    history, expected = (m.train(TEXT, updates=60, **QUIET) for m in (other, model))
    assert history.loss.tobytes() == expected.loss.tobytes()
    assert other.theta.tobytes() == model.theta.tobytes()
    assert (other.run.settings.optimizer, other.run.step, history.first_step, history.notes) == ("adam", 260, 201, [])


def test_the_best_model_goes_on_with_its_settings():
    model = CharRNN(hidden_size=9, seed=5)
    best = model.train(TEXT, updates=200, **ADAM, **QUIET).best
    before = best.evaluate(TEXT).loss
    history = best.train(TEXT, updates=60, **QUIET)
    assert best.run.settings.optimizer == "adam"
    assert best.run.moments == 260
    assert best.evaluate(TEXT).loss < before + 0.02
    assert history.notes == []


def test_the_state_lies_beside_the_file_and_a_missing_one_is_said(tmp_path):
    model = trained()
    model.save(tmp_path / "m.safetensors")
    (tmp_path / "m.optimizer.safetensors").unlink()
    other = CharRNN.load(tmp_path / "m.safetensors")
    history = other.train(TEXT, updates=5, **QUIET)
    assert history.notes == ["the model's file does not hold adam's state: it begins anew"]
    assert (other.run.settings.optimizer, other.run.moments, other.run.step) == ("adam", 5, 205)


def test_a_given_setting_replaces_the_remembered_one():
    model = trained()
    model.train(TEXT, updates=5, learning_rate=0.5, **QUIET)
    assert (model.run.settings.learning_rate, model.run.settings.optimizer) == (0.5, "adam")


# ---- another end ---------------------------------------------------------------------------------------------------------

PLAN = {"seq_length": 6, "sample_every": 70, "sample_length": 20, "progress": False}
VARIANTS = {
    "adagrad": {},
    "adam": ADAM,
    "validation": {"validation": TEXT[:150], "validate_every": 40, "optimizer": "adam", "learning_rate": 0.01},
}


def outcome(model, history):
    return (
        model.theta.tobytes(),
        history.best.theta.tobytes(),
        history.loss.tobytes(),
        history.smooth_loss.tobytes(),
        [(s.step, s.epoch, s.text) for s in history.samples],
        [(v.step, v.loss) for v in history.validation],
        (history.epoch_steps, history.best_step, history.best_by, history.best_loss_per_char, history.planned),
        model.rng.bit_generator.state,
        model.run.plain(),
    )


@pytest.mark.parametrize("stop", [None, 55])
@pytest.mark.parametrize("variant", VARIANTS)
def test_a_run_that_is_extended_is_as_if_planned_so(variant, stop, tmp_path):
    settings = PLAN | VARIANTS[variant]
    whole = CharRNN(hidden_size=9, seed=5)
    expected = outcome(whole, whole.train(TEXT, updates=250, **settings))
    callbacks = [lambda event: stop is not None and event.done >= stop]
    CharRNN(hidden_size=9, seed=5).train(TEXT, updates=130, checkpoint=tmp_path, callbacks=callbacks, **settings)
    text = {name: settings[name] for name in ("validation",) if name in settings}
    assert outcome(*CharRNN.resume(tmp_path, TEXT, 250, progress=False, **text)) == expected


def test_a_short_run_becomes_a_long_one(tmp_path):
    settings = {"seq_length": 2, "progress": False, "sample_every": None}
    whole = CharRNN(hidden_size=2)
    expected = outcome(whole, whole.train(TEXT, updates=5100, **settings))
    CharRNN(hidden_size=2).train(TEXT, updates=120, checkpoint=tmp_path, **settings)
    assert outcome(*CharRNN.resume(tmp_path, TEXT, updates=5100, progress=False)) == expected
    assert expected[6][2] == "smooth loss"


def test_a_schedule_becomes_that_of_the_new_length_and_epochs_count(tmp_path):
    CharRNN(hidden_size=5).train(TEXT, updates=100, schedule="linear", checkpoint=tmp_path, **QUIET)
    model, history = CharRNN.resume(tmp_path, TEXT, epochs=6, progress=False)
    assert len(history) == round(6 * ((len(TEXT) - 1) // 25)) == model.run.total
    assert any("linear schedule of 100 updates became one of" in note for note in history.notes)


def test_an_end_that_is_past_and_other_settings_are_refused(tmp_path):
    CharRNN(hidden_size=5).train(TEXT, updates=100, checkpoint=tmp_path, **QUIET)
    with pytest.raises(SettingsError, match="the run has 100 updates already: give more, got 99"):
        CharRNN.resume(tmp_path, TEXT, updates=99, progress=False)
    with pytest.raises(SettingsError, match="not both"):
        CharRNN.resume(tmp_path, TEXT, updates=200, epochs=3, progress=False)
    with pytest.raises(SettingsError, match="the run's own settings: leave learning_rate out"):
        CharRNN.resume(tmp_path, TEXT, learning_rate=0.5, progress=False)


# ---- more characters -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [{}, {"cell": "gru", "layers": 2}, {"cell": "lstm", "dtype": "float64"}], ids=str)
def test_new_characters_leave_everything_else_as_it_was(shape):
    model = CharRNN(hidden_size=7, seed=2, init="scaled", **shape)
    model.train(TEXT, updates=60, **ADAM, **QUIET)
    before, old = model.copy(), model.vocabulary
    assert model.extend_vocabulary("Tide & time: tide!") == "!&:T"
    assert model.vocabulary.characters == "".join(sorted(old.characters + "!&:T"))
    kept = [model.vocabulary.characters.index(c) for c in old.characters]
    new = [k for k in range(len(model.vocabulary)) if k not in kept]
    for name, array in model.parameters.items():
        was = before.parameters[name]
        is_input = name.split(".")[-1].startswith("U") and not name.startswith("layer2")
        if is_input or name in "Vc":
            taken, fresh = (array[:, kept], array[:, new]) if is_input else (array[kept], array[new])
            assert taken.tobytes() == was.tobytes()
            assert (fresh == 0).all() if name == "c" else (0.01 < fresh.std() < 1)
        else:
            assert array.tobytes() == was.tobytes()
    slots = [model.run.slots, before.run.slots]
    assert slots[0].sum() == pytest.approx(slots[1].sum(), rel=1e-5)  # the same numbers, and zeros
    history = model.train("Tide & time: tide! " * 20, updates=40, **QUIET)
    assert history.first_step == 61
    assert history.loss_per_char[-10:].mean() < history.loss_per_char[:10].mean()


def test_nothing_new_changes_nothing_and_kinds_are_not_mixed():
    model = trained(20)
    theta = model.theta
    assert model.extend_vocabulary("tide") == ""
    assert model.theta is theta
    with pytest.raises(TextError, match="a model of characters"):
        model.extend_vocabulary(b"tide")
    raw = CharRNN(hidden_size=3, vocabulary=b"ab")
    assert raw.extend_vocabulary(b"\xff\x00a") == "\x00\xff"
    assert raw.vocabulary.encode(b"\x00ab\xff").tolist() == [0, 1, 2, 3]


# ---- checkpoints and runs as models ----------------------------------------------------------------------------------------


def test_a_checkpoint_is_a_model(tmp_path):
    model = trained(checkpoint=tmp_path)
    step, file = checkpoints_in(tmp_path)[-1]
    for path in (file, tmp_path):
        other = CharRNN.load(path)
        assert (other.theta.tobytes(), other.run.step) == (model.theta.tobytes(), step)
    other.train(TEXT, updates=40, **QUIET)
    model.train(TEXT, updates=40, **QUIET)
    assert other.theta.tobytes() == model.theta.tobytes()
    with pytest.raises(ModelFileError, match="holds no model"):
        CharRNN.load(tmp_path.parent)


@pytest.fixture
def run(tmp_path, capsys):
    """A text and a run of it, in one folder; the words for a run like it."""
    (tmp_path / "text.txt").write_text(TEXT)
    words = ["train", str(tmp_path / "text.txt"), "--hidden-size", "8", "--seq-length", "6", "--checkpoint-every", "50", "--quiet"]
    assert main([*words, "--updates", "120", "--out", str(tmp_path / "run")]) == 0
    capsys.readouterr()
    return tmp_path / "run", words


def unfinished(folder):
    """Make a run as if it had been killed after its 100th update."""
    for name in ("model.safetensors", "best.safetensors", "model.optimizer.safetensors", "best.optimizer.safetensors"):
        (folder / name).unlink()
    checkpoints_in(folder / "checkpoints")[-1][1].unlink()


def test_a_command_takes_the_newest_checkpoint_of_an_unfinished_run(run, capsys, tmp_path):
    folder, _ = run
    finished = CharRNN.load(folder)
    assert finished.trained["step"] == 120
    unfinished(folder)
    assert CharRNN.load(folder).run.step == 100
    for words in (
        ["synthesize", folder, "--length", "9"],
        ["info", folder],
        ["evaluate", folder],
        ["explain", folder, "--out", tmp_path / "x.html"],
    ):
        assert main([str(word) for word in words]) == 0
        out, err = capsys.readouterr()
        assert "a run that is not finished: this is its newest checkpoint, of update 100" in err
        assert "not finished" not in out
    file = checkpoints_in(folder / "checkpoints")[-1][1]
    assert main(["info", str(file)]) == 0
    assert "updates     100" in capsys.readouterr().out
    assert main(["evaluate", str(file)]) == 0
    assert "text.txt" in capsys.readouterr().out


def test_a_run_that_was_extended_and_killed_is_unfinished_again(run):
    folder, _ = run
    file = checkpoints_in(folder / "checkpoints")[-1][1]
    model = CharRNN.load(file)
    assert model.run.step == 120
    shutil.copy(file, file.with_name("step-0000000150.safetensors"))
    assert CharRNN.load(folder).run is not None  # the checkpoint: the files at the end are older than it


def files(folder):
    kept = {name: (folder / name).read_bytes() for name in ("model.safetensors", "best.safetensors", "samples.txt", "recipe.toml")}
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return kept, [{k: v for k, v in line.items() if k not in ("time", "chars_per_sec")} for line in lines]


def test_the_command_extends_a_run(run, tmp_path, capsys):
    folder, words = run
    assert main([*words, "--updates", "300", "--out", str(tmp_path / "whole")]) == 0
    assert main(["train", "--resume", str(folder), "--updates", "300", "--quiet"]) == 0
    assert files(folder) == files(tmp_path / "whole")
    assert main(["train", "--resume", str(folder), "--updates", "250", "--quiet"]) == 2
    assert "the run has 300 updates already" in capsys.readouterr().err
    assert "updates = 300" in (folder / "recipe.toml").read_text()  # what was refused changed nothing
    assert main(["train", "--resume", str(folder), "--learning-rate", "1"]) == 2


def test_a_run_and_its_text_may_move(run, tmp_path, capsys):
    folder, _ = run
    unfinished(folder)
    shutil.copytree(tmp_path, tmp_path.parent / "moved")
    home = tmp_path.parent / "moved"
    (tmp_path / "text.txt").write_text("another text. " * 30)  # at the old place, which is not looked at first
    assert main(["train", "--resume", str(home / "run"), "--quiet"]) == 0
    (home / "text.txt").rename(home / "elsewhere.txt")
    for words in (["evaluate"], ["train", "--quiet", "--updates", "130", "--resume"]):
        assert main([*words, str(home / "run")]) == 2
        assert "is not the text that this run was trained on" in capsys.readouterr().err
    assert main(["train", "--resume", str(home / "run"), str(tmp_path / "text.txt"), "--updates", "130", "--quiet"]) == 2
    assert main(["train", "--resume", str(home / "run"), str(home / "elsewhere.txt"), "--updates", "130", "--quiet"]) == 0
    capsys.readouterr()
    assert main(["evaluate", str(home / "run")]) == 0  # the new place is remembered
    assert "elsewhere.txt" in capsys.readouterr().out


def test_without_text_a_run_says_which_or_the_command_asks(run, tmp_path, capsys):
    folder, _ = run
    assert main(["gradcheck", "--model", str(folder), "--seq-length", "4", "--json"]) == 0
    capsys.readouterr()
    shutil.copy(folder / "best.safetensors", tmp_path / "alone.safetensors")
    for words in (["evaluate"], ["explain"], ["gradcheck", "--model"]):
        assert main([*words, str(tmp_path / "alone.safetensors")]) == 2
        assert "which text?" in capsys.readouterr().err


def test_the_command_starts_from_a_model_on_another_text(run, tmp_path, capsys):
    folder, _ = run
    (tmp_path / "other.txt").write_text("Tides & tides. " * 60)
    words = ["train", str(tmp_path / "other.txt"), "--from", str(folder), "--updates", "80", "--out", str(tmp_path / "two"), "--quiet"]
    assert main(words) == 2
    assert "--extend-vocabulary" in capsys.readouterr().err
    words.append("--extend-vocabulary")
    assert main(words) == 0
    model, before = CharRNN.load(tmp_path / "two" / "model.safetensors"), CharRNN.load(folder)
    assert set(model.vocabulary.characters) == set(before.vocabulary.characters) | set("T&")
    assert model.trained["step"] == before.trained["step"] + 80
    assert model.trained["settings"]["seq_length"] == 6
    assert main([*words, "--hidden-size", "9", "--force"]) == 2
    expected = files(tmp_path / "two")
    for name in ("model.safetensors", "best.safetensors"):
        (tmp_path / "two" / name).unlink()
    shutil.rmtree(tmp_path / "two" / "checkpoints")  # killed before there was one: it starts anew
    assert main(["train", "--resume", str(tmp_path / "two"), "--quiet"]) == 0
    assert files(tmp_path / "two") == expected
    assert main(["train", "--resume", str(tmp_path / "two"), "--quiet", "--updates", "100"]) == 0
    assert len(CharRNN.load(tmp_path / "two").vocabulary) == len(model.vocabulary)


def test_the_python_model_starts_on_another_text_with_its_settings():
    model = trained()
    history = model.train(OTHER, updates=50, **QUIET)
    assert (model.run.settings.optimizer, model.run.moments, history.first_step) == ("adam", 250, 201)
    assert np.isfinite(history.best_loss_per_char)
