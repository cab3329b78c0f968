"""Where people look at a run: metrics.csv, TensorBoard, logging, and callbacks of their own."""

import csv
import json
import logging
import subprocess
import sys

import numpy as np
import pytest
from commands import run

from charrnn import CharRNN, Metrics, OutputError, SettingsError, TensorBoard
from charrnn.training import tensorboard
from charrnn.training.metrics import COLUMNS, TIME

TEXT = "the tide comes in, the tide goes out; nobody asked the tide. " * 20
SMALL = {"updates": 60, "sample_every": 30, "sample_length": 20, "progress": False}
WORDS = ["--hidden-size", 4, "--updates", 60, "--sample-every", 30, "--sample-length", 20, "--log-every", 7, "--checkpoint-every", 20]


@pytest.fixture
def place(tmp_path, undrawn):
    (tmp_path / "text.txt").write_text(TEXT)
    return tmp_path


# ---- metrics --------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("chunks")
def test_lines_are_the_same_for_any_chunks():
    metrics, lines = Metrics(every=20), []
    history = CharRNN(hidden_size=4).train(TEXT, **SMALL, validation=0.2, callbacks=[lambda event: lines.extend(metrics.lines(event))])
    steps = [(line["step"], "val/loss" in line) for line in lines]
    assert [step for step, validated in steps if not validated] == [1, 20, 40, 60]
    assert [step for step, validated in steps if validated] == [result.step for result in history.validation]
    for line in lines:
        if "train/loss" in line:
            assert line["train/loss"] == history.loss[line["step"] - 1]
    assert set().union(*lines) <= set(COLUMNS)


def test_a_resumed_run_gives_the_lines_of_what_it_did_before(tmp_path):
    def of(metrics, lines):
        return lambda event: lines.extend(metrics.lines(event))

    whole, first, again = [], [], []
    how = SMALL | {"validation": 0.2, "validate_every": 25}
    CharRNN(hidden_size=4).train(TEXT, **how, callbacks=[of(Metrics(10), whole)])
    stop = [of(Metrics(10), first), lambda event: event.done >= 30]
    CharRNN(hidden_size=4).train(TEXT, **how, checkpoint=tmp_path, checkpoint_every=10, callbacks=stop)
    CharRNN.resume(tmp_path, TEXT, validation=0.2, progress=False, callbacks=[of(Metrics(10), again)])
    assert len(first) < len(again) <= len(whole) + 1  # the run that stopped has a line for its last update, too
    by_place = {(line["step"], "val/loss" in line): line for line in again}
    for line in whole:
        found = by_place[line["step"], "val/loss" in line]
        assert {k: v for k, v in found.items() if k not in ("time", "chars_per_sec")} == {
            k: v for k, v in line.items() if k not in ("time", "chars_per_sec")
        }


def rows_of(path):
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_the_table_says_what_the_lines_say(place):
    run("train", "text.txt", *WORDS, "--validation", 0.2, "--clip-norm", 1, "--out", "run", cwd=place)
    run("train", "--resume", "run", "--updates", 80, cwd=place)
    lines = [json.loads(line) for line in (place / "run/metrics.jsonl").read_text().splitlines()]
    rows = rows_of(place / "run/metrics.csv")
    assert list(rows[0]) == list(COLUMNS)
    assert [{name: float(value) for name, value in row.items() if value} for row in rows] == lines
    assert any("train/gradient_norm" in line for line in lines)
    (place / "run/metrics.csv").unlink()  # of a run that was made before there was one
    run("train", "--resume", "run", "--updates", 90, cwd=place)
    assert len(rows_of(place / "run/metrics.csv")) > len(rows)


# ---- TensorBoard ----------------------------------------------------------------------------------------------------


def read(folder):
    """Scalars by name, (steps, values), and texts by name, as TensorBoard reads them."""
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.plugin_event_accumulator import EventAccumulator
    from tensorboard.util.tensor_util import make_ndarray

    found = EventAccumulator(str(folder), size_guidance={"tensors": 0}, tensor_size_guidance={"scalars": 0, "text": 0}).Reload()
    series = {tag: [(e.step, make_ndarray(e.tensor_proto).item()) for e in found.Tensors(tag)] for tag in found.Tags()["tensors"]}
    texts = {tag: [(step, text.decode()) for step, text in series.pop(tag)] for tag in found.PluginTagToContent("text")}
    return series, texts


def test_tensorboard_reads_what_training_writes(tmp_path):
    pytest.importorskip("tensorboard")
    lines, metrics = [], Metrics(10)
    callbacks = [TensorBoard(tmp_path / "one", every=10), lambda event: lines.extend(metrics.lines(event))]
    history = CharRNN(hidden_size=4).train(TEXT, **SMALL, validation=0.2, callbacks=callbacks)
    scalars, texts = read(tmp_path / "one")
    assert set(scalars) == set().union(*lines) - {*TIME} | {"epoch"}
    for name, found in scalars.items():
        wanted = [(line["step"], line[name]) for line in lines if name in line]
        assert [step for step, _ in found] == [step for step, _ in wanted]
        assert np.allclose([value for _, value in found], [value for _, value in wanted], rtol=1e-6)
    assert texts["sample"] == [(s.step - 1, "".join(f"    {line}\n" for line in s.text.splitlines())) for s in history.samples]
    assert "| hidden_size | 4 |" in texts["settings"][0][1]


def test_a_resumed_run_is_one_curve(place):
    pytest.importorskip("tensorboard")
    run("train", "text.txt", *WORDS, "--tensorboard", "logs", "--out", "run", cwd=place)
    run("train", "--resume", "run", "--updates", 80, "--tensorboard", "logs", cwd=place)
    scalars, texts = read(place / "logs/run")
    steps = [step for step, _ in scalars["train/loss"]]
    assert steps == [1, *range(7, 80, 7), 80]
    assert [step for step, _ in texts["sample"]] == [0, 29, 59]


def test_no_run_begins_where_tensorboards_folder_cannot_be_written(place):
    pytest.importorskip("tensorboard")
    _, error = run("train", "text.txt", *WORDS, "--tensorboard", "text.txt", "--out", "unbegun", cwd=place, code=1)
    assert "cannot write in the folder" in error
    assert not list((place / "unbegun").iterdir())


def test_a_missing_tensorboard_is_named_before_any_work(place, monkeypatch):
    monkeypatch.setattr(tensorboard, "find_spec", lambda name: None)
    _, error = run("train", "text.txt", "--tensorboard", "logs", cwd=place, code=2)
    assert "pip install 'charrnn[tensorboard]'" in error
    assert not (place / "charrnn-run").exists()
    with pytest.raises(SettingsError, match="tensorboard"):
        TensorBoard(place)


def test_a_folder_that_cannot_be_written_is_an_error(tmp_path):
    pytest.importorskip("tensorboard")
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError):
        CharRNN(hidden_size=4).train(TEXT, **SMALL, callbacks=[TensorBoard(tmp_path / "file" / "logs")])


# ---- logging --------------------------------------------------------------------------------------------------------


def test_events_are_records(caplog):
    with caplog.at_level(logging.INFO, "charrnn"):
        CharRNN(hidden_size=4).train(TEXT, **SMALL, validation=0.2, validate_every=30)
    kinds = [(record.kind, record.step) for record in caplog.records]
    assert kinds == [("start", 0), ("sample", 0), ("sample", 29), ("validation", 30), ("sample", 59), ("validation", 60), ("end", 60)]
    assert {record.levelno for record in caplog.records} == {logging.INFO}
    assert "updates 1 to 60" in caplog.text
    assert "after update 60: validation loss" in caplog.text
    assert caplog.messages[-1].startswith("training ended after update 60")
    caplog.clear()
    with caplog.at_level(logging.DEBUG, "charrnn"):
        CharRNN(hidden_size=4).train(TEXT, updates=200, learning_rate=1e6, clip=None, clip_norm=1.0, optimizer="sgd", progress=False)
    assert {record.levelno for record in caplog.records if record.kind == "note"} == {logging.WARNING}
    assert {record.levelno for record in caplog.records if record.kind == "progress"} == {logging.DEBUG}


def test_nothing_is_printed_unless_asked_for():
    code = (
        "from charrnn import CharRNN\n"
        "CharRNN(4).train('abc ' * 50, updates=200, learning_rate=1e6, clip=None, clip_norm=1.0, optimizer='sgd', progress=False)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout + done.stderr == ""
    asked = "import logging; logging.basicConfig(level=logging.INFO)\n"
    assert "INFO:charrnn:training" in subprocess.run([sys.executable, "-c", asked + code], capture_output=True, text=True).stderr
