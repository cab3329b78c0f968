"""What a run says of itself: the loss that is true in a short run, the best by validation, the time, and what is hopeless."""

import io
import json
import math
import time
from dataclasses import replace

import numpy as np
import pytest

from charrnn import CharRNN, Corpus, SettingsError, TextError
from charrnn.cli.main import main
from charrnn.display.plots import Curve
from charrnn.display.progress import bar
from charrnn.text.split import held_out
from charrnn.training import pace
from charrnn.training.best import means_of, overfitting, windows_in_mean
from charrnn.training.fitting import first_look, fitted, seconds_of
from charrnn.training.plan import Settings, TrainingPlan

TEXT = "the tide comes in, the tide goes out; nobody asked the tide. " * 12
QUIET = {"progress": False, "sample_every": None}
ADAM = {"optimizer": "adam", "learning_rate": 0.01, "loss_reduction": "mean", "clip": None}


# ---- the mean of the last windows ------------------------------------------------------------------------------------------


def test_a_short_run_shows_the_mean_of_its_last_windows():
    history = CharRNN(hidden_size=12, seed=1).train(TEXT, updates=400, batch_size=3, **ADAM, **QUIET)
    mean = history.loss[-40:].mean()
    assert history.shown_loss[-1] == pytest.approx(mean, rel=1e-12)
    assert history.shown_now == pytest.approx(mean, rel=1e-12)
    assert history.shown_name == "mean loss of the last windows"
    smooth = history.loss[0]
    for loss in history.loss[1:]:
        smooth = 0.999 * smooth + 0.001 * loss
    assert history.smooth_loss[-1] == pytest.approx(smooth, rel=1e-9)  # the lab's, as it always was
    assert history.shown_now < history.smooth_loss[-1] - 0.3
    assert f"mean loss of the last windows {mean:.3f}" in repr(history)
    for done in (1, 7, 20, 21, 199, 400):
        assert means_of(history.loss)[done - 1] == pytest.approx(history.loss[done - windows_in_mean(done) : done].mean(), rel=1e-12)


def test_a_long_run_keeps_the_definition_of_the_lab():
    history = CharRNN(hidden_size=2).train(TEXT, updates=5000, seq_length=2, **QUIET)
    assert (history.shown_name, history.best_by) == ("smooth loss", "smooth loss")
    assert history.shown_loss is history.smooth_loss
    assert history.best_step == history.smooth_loss.argmin() + 1
    assert history.best_loss_per_char == history.smooth_loss.min() / 2
    stopped = CharRNN(hidden_size=2).train(TEXT, updates=5000, seq_length=2, callbacks=[lambda event: event.done > 50], **QUIET)
    assert stopped.shown_name == "smooth loss"


def test_bar_curve_metrics_and_last_line_show_it(tmp_path, capsys, monkeypatch):
    (tmp_path / "text.txt").write_text(TEXT)
    out = tmp_path / "run"
    assert main(["train", str(tmp_path / "text.txt"), "--updates", "300", "--hidden-size", "12", "--out", str(out)]) == 0
    said, drawn = capsys.readouterr()
    lines = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    mean = lines[-1]["train/mean_loss_per_char"]
    assert mean == pytest.approx(np.mean([line["train/loss_per_char"] for line in lines[-30:]]), rel=1e-9)
    assert lines[-1]["train/smooth_loss_per_char"] > mean
    assert f"mean loss of the last windows {25 * mean:.2f} nats per window, {mean:.3f} per character" in said
    assert f"mean loss {mean:.3f}/char" in drawn
    curve = Curve.of(out / "metrics.jsonl")
    assert (curve.name, curve.smooth[-1]) == ("mean loss of the last windows", mean)
    assert curve.raw[-1] == lines[-1]["train/loss_per_char"]
    assert main(["info", str(out / "model.safetensors")]) == 0
    assert f"mean loss of the last windows {mean:.4f} nats per character" in capsys.readouterr().out


def test_the_bar_of_a_long_run_shows_the_smooth_loss(monkeypatch):
    stream = io.StringIO()
    monkeypatch.setattr("sys.stderr", stream)
    history = CharRNN(hidden_size=2).train(TEXT, updates=5000, seq_length=2, progress=False, callbacks=[bar(True)])
    assert f"smooth loss {history.smooth_loss_per_char[-1]:.3f}/char" in stream.getvalue()


def test_the_raw_loss_is_always_drawn():
    for updates in (60, 5000):
        history = CharRNN(hidden_size=2).train(TEXT, updates=updates, seq_length=2, **QUIET)
        labels = [line.get_label() for line in history.plot().get_lines()]
        assert "loss of single windows" in labels
        assert history.shown_name in labels


def test_the_best_of_a_short_run_is_by_the_mean():
    def spoil(event):
        if event.kind == "progress" and event.done == 240:
            event.model.parameters["V"][3] += 30

    model = CharRNN(hidden_size=12, seed=1)
    history = model.train(TEXT, updates=300, callbacks=[spoil], **ADAM, **QUIET)
    means = history.per_char(history.mean_loss)
    looked = np.arange(20, 300, 20)
    assert history.best_step == looked[means[looked - 1].argmin()] <= 240
    assert history.best_loss_per_char == pytest.approx(means[looked - 1].min(), rel=1e-12)
    assert history.best.evaluate(TEXT).loss < model.evaluate(TEXT).loss


# ---- validation ----------------------------------------------------------------------------------------------------------


def test_the_best_follows_the_validation_loss():
    thetas = {}

    def keep(event):
        if event.validation:
            thetas[event.step] = event.model.theta.copy()

    model = CharRNN(hidden_size=60, seed=1, init="scaled")
    text, other = TEXT[:200], "nobody comes in; the tide asked the tide out. " * 3
    history = model.train(
        text, updates=330, validation=other, validate_every=20, callbacks=[keep], **(ADAM | {"learning_rate": 0.02}), **QUIET
    )
    losses = {v.step: v.loss for v in history.validation}
    step = min(losses, key=losses.get)
    assert step < 300
    assert (history.best_by, history.best_step, history.best_loss_per_char) == ("validation loss", step, losses[step])
    assert history.best.theta.tobytes() == thetas[step].tobytes()
    assert history.best.evaluate(other).loss == pytest.approx(losses[step], rel=1e-5)
    assert "it overfits" in history.overfitting
    assert f"that of update {step}" in history.overfitting


def test_a_validation_that_is_not_asked_for_by_number_happens_some_twenty_times():
    history = CharRNN(hidden_size=5).train(TEXT, updates=205, validation=TEXT[:99], **QUIET)
    assert [v.step for v in history.validation] == [*range(10, 205, 10), 205]


def test_overfitting_is_said_only_where_it_is():
    train = np.linspace(3, 1, 100)
    assert overfitting(train, [(20, 2.5), (50, 2.0), (100, 2.6)], 1).startswith("it overfits: since update 50")
    assert overfitting(train, [(20, 2.5), (50, 2.0), (100, 2.01)], 1) == ""
    assert overfitting(train, [(50, 2.0), (100, 1.9)], 1) == ""
    assert overfitting(train[::-1], [(50, 2.0), (100, 2.6)], 1) == ""  # it diverges


def test_patience_ends_a_run_and_a_resumed_one(tmp_path):
    plan = {"updates": 2000, "validation": "nobody comes in. " * 6, "validate_every": 20, "patience": 3, **ADAM, **QUIET}
    model = CharRNN(hidden_size=30, seed=1)
    history = model.train(TEXT[:200], checkpoint=tmp_path, **plan)
    losses = [v.loss for v in history.validation]
    assert len(history) == 20 * len(losses) == history.best_step + 60 < 2000
    assert min(losses[-3:]) >= losses[-4]
    assert not history.interrupted
    assert any("(patience 3)" in note for note in history.notes)
    options = {"validation": plan["validation"], "progress": False}
    again, same = CharRNN.resume(tmp_path, TEXT[:200], **options)
    assert (again.theta.tobytes(), len(same), same.notes) == (model.theta.tobytes(), len(history), history.notes)
    _, longer = CharRNN.resume(tmp_path, TEXT[:200], len(history) + 40, patience=None, **options)
    assert len(longer) == len(history) + 40
    with pytest.raises(SettingsError, match="patience 3 waits for a validation loss"):
        model.train(TEXT[:200], updates=9, patience=3)


def test_lines_are_held_out_as_the_seed_shuffles_them():
    names = sorted(f"{a}{b}{a}\n" for a in "abcdefghij" for b in "klmno")
    whole = Corpus.from_text("".join(names)[:-1])  # the last line has no end
    parts = [held_out(whole, 0.2, "lines", seed=3) for _ in range(2)]
    texts = [corpus.text(0, len(corpus)) for corpus in parts[0]]
    assert texts == [corpus.text(0, len(corpus)) for corpus in parts[1]]
    lines = [text.splitlines(keepends=True) for text in texts]
    assert sorted(lines[0] + lines[1]) == names
    assert len(lines[1]) == 10
    assert len({line[0] for line in lines[1]}) > 4  # not the end of the alphabet
    assert texts[0] != held_out(whole, 0.2, "lines", seed=4)[0].text(0, len(texts[0]))
    with pytest.raises(TextError, match="single line"):
        held_out(Corpus.from_text("one line\n"), 0.5, "lines")
    with pytest.raises(TextError, match="no lines"):
        held_out(Corpus.from_text("no line"), 0.5, "lines")
    for part in (0, 1, -0.5, math.nan, True, [0.1]):
        with pytest.raises(SettingsError, match="validation must be"):
            CharRNN(hidden_size=3).train(TEXT, updates=5, validation=part, progress=False)


def test_a_part_is_held_out_in_python_and_on_the_command_line(tmp_path, undrawn, capsys):
    text = "".join(f"{a}nn{b}\n" for a in "abcdefgh" for b in "aeiouvwxyz")
    (tmp_path / "names.txt").write_text(text)
    model = CharRNN(hidden_size=8, seed=4)
    how = {"validation": 0.25, "validation_split": "lines"}
    history = model.train(text, updates=100, checkpoint=tmp_path / "c", **how, **QUIET)
    words = [
        "--validation",
        "0.25",
        "--validation-split",
        "lines",
        "--seed",
        "4",
        "--hidden-size",
        "8",
        "--updates",
        "100",
        "--sample-every",
        "none",
    ]
    assert main(["train", str(tmp_path / "names.txt"), *words, "--out", str(tmp_path / "run"), "--quiet"]) == 0
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert [line["val/loss"] for line in lines if "val/loss" in line] == [v.loss for v in history.validation]
    assert main(["train", "--resume", str(tmp_path / "run"), "--updates", "120", "--quiet"]) == 0
    assert len(CharRNN.resume(tmp_path / "c", text, 120, progress=False, **how)[1]) == 120
    capsys.readouterr()
    assert main(["train", str(tmp_path / "names.txt"), "--validation-split", "lines", "--out", str(tmp_path / "no")]) == 2
    assert "give --validation PART" in capsys.readouterr().err


# ---- time ------------------------------------------------------------------------------------------------------------------


def test_a_run_takes_the_time_that_it_is_given_and_can_be_repeated(tmp_path, undrawn, capsys):
    (tmp_path / "text.txt").write_text(TEXT)
    words = ["train", str(tmp_path / "text.txt"), "--hidden-size", "16", "--schedule", "linear", "--sample-every", "none"]
    assert main([*words, "--time", "0.25s", "--out", str(tmp_path / "run")]) == 0
    said = capsys.readouterr().out
    assert "measured at" in said
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert 0.05 < lines[-1]["time"] < 2  # other processes may be busy
    assert lines[-1]["lr"] < 0.1 / 100  # the schedule ends with it
    recipe = (tmp_path / "run" / "recipe.toml").read_text()
    assert f"updates = {lines[-1]['step']}\n" in recipe
    assert (
        main(
            [
                "train",
                str(tmp_path / "text.txt"),
                "--recipe",
                str(tmp_path / "run" / "recipe.toml"),
                "--out",
                str(tmp_path / "again"),
                "--quiet",
            ]
        )
        == 0
    )
    for name in ("model.safetensors", "best.safetensors"):
        assert (tmp_path / "run" / name).read_bytes() == (tmp_path / "again" / name).read_bytes()


def test_python_trains_for_a_time():
    begun = time.perf_counter()
    model = CharRNN(hidden_size=16)
    history = model.train(TEXT, time="0.25s", validation=TEXT[:99], **QUIET)
    assert time.perf_counter() - begun < 10
    assert history.planned == len(history) == model.run.settings.updates
    assert 1 <= len(history.validation) <= 45


@pytest.mark.parametrize(
    ("validation", "updates", "every"),
    [(0.0, 2000, 100), (0.011, 1970, 99), (0.2, 1800, 180), (1.9, 1810, 1810), (5.0, 1500, 1500), (30.0, 1, 1)],
)
def test_validations_take_a_small_part_of_a_short_time(monkeypatch, validation, updates, every):
    monkeypatch.setattr(pace, "measure", lambda *_: pace.Pace(update=0.01, validation=validation))
    settings = Settings(sample_every=None)
    network = CharRNN(hidden_size=3, vocabulary=TEXT).network
    plan = TrainingPlan.of(network.settings, settings, *held_out(Corpus.from_text(TEXT * 50), 0.1))
    planned = pace.fit_to(20.0, network, plan, settings)
    assert (planned.updates, planned.settings.validate_every) == (updates, every)
    given = replace(settings, validate_every=7)
    assert pace.fit_to(20.0, network, plan, given).settings.validate_every == 7


@pytest.mark.parametrize("wrong", ["", "10", "10 days", "-1s", "0s", "1e9h", 10, None, "m", "9" * 200 + "s"])
def test_times_that_make_no_sense_are_refused(wrong):
    with pytest.raises(SettingsError, match="time must be a time such as '30s'"):
        seconds_of(wrong)


def test_a_time_replaces_a_number(tmp_path, capsys):
    assert [seconds_of(text) for text in ("90s", "1.5m", "2h", "250ms")] == [90, 90, 7200, 0.25]
    with pytest.raises(SettingsError, match="give a time, updates or epochs"):
        CharRNN(hidden_size=3).train(TEXT, time="1s", updates=5)
    assert main(["train", "--time", "1s", "--updates", "5", "--out", str(tmp_path / "x")]) == 2
    assert "--time takes the place of --updates" in capsys.readouterr().err
    assert not (tmp_path / "x").exists()


# ---- what suits ------------------------------------------------------------------------------------------------------------


def test_a_run_that_does_no_better_than_guessing_is_told_so_early():
    history = CharRNN(hidden_size=30, seed=1).train(TEXT, updates=400, learning_rate=5.0, **QUIET)
    [note] = history.notes
    assert note.startswith("after 20 updates the loss is")
    assert f"(ln {len(set(TEXT))})" in note
    assert "--learning-rate 0.5" in note
    assert CharRNN(hidden_size=30, seed=1).train(TEXT, updates=400, **QUIET).notes == []
    assert [first_look(total) for total in (99, 100, 1000, 100_000)] == [0, 20, 50, 5000]


def test_a_short_text_gets_fewer_sequences_and_shorter_windows_unless_they_were_asked_for(tmp_path, undrawn, capsys):
    model = CharRNN.from_recipe("fast", hidden_size=8)
    history = model.train(TEXT[:300], updates=30, **QUIET)
    assert (model.run.settings.batch_size, model.run.settings.seq_length) == (12, 24)
    assert history.notes[0] == "the text of 300 characters is too short for these settings: batch size 12 in place of 32"
    with pytest.raises(TextError, match="too short"):
        CharRNN.from_recipe("fast", hidden_size=8).train(TEXT[:300], updates=30, batch_size=32, seq_length=32, **QUIET)
    with pytest.raises(TextError, match="too short"):
        CharRNN(hidden_size=8).train(TEXT[:20], updates=30, **QUIET)
    (tmp_path / "text.txt").write_text(TEXT[:20])
    words = ["train", str(tmp_path / "text.txt"), "--recipe", "fast", "--updates", "30", "--hidden-size", "8"]
    assert main([*words, "--out", str(tmp_path / "run")]) == 0
    said = capsys.readouterr().out
    assert "batch size 1 in place of 32, sequence length 19 in place of 24" in said
    assert "seq_length = 19" in (tmp_path / "run" / "recipe.toml").read_text()
    assert main([*words, "--batch-size", "32", "--out", str(tmp_path / "no")]) == 2
    assert "too short" in capsys.readouterr().err
    assert fitted(Settings(), 26, ("seq_length",)) == (Settings(), "")


def test_a_run_says_beforehand_how_long_it_takes(tmp_path, undrawn, capsys):
    (tmp_path / "text.txt").write_text(TEXT)
    assert main(["train", str(tmp_path / "text.txt"), "--updates", "200", "--hidden-size", "8", "--out", str(tmp_path / "run")]) == 0
    said = capsys.readouterr().out
    assert "time      about less than a second, measured at" in said or "time      about" in said
    assert said.index("time  ") < said.index("before update 1")
