"""Files that version 0.1 wrote (data/v0_1/make.py): they load, write, score and go on as they did."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from charrnn import CharRNN
from charrnn.training.checkpoint import checkpoints_in

DATA = Path(__file__).parent / "data" / "v0_1"
EXPECTED = json.loads((DATA / "expected.json").read_text("utf-8"))
TEXT = "Der Bär frißt Äpfel — she sells sea shells by the sea shore.\n" * 30


def test_a_model_of_text(level, monkeypatch):
    monkeypatch.setenv("CHARRNN_KERNELS", level)
    model, expected = CharRNN.load(DATA / "text.safetensors"), EXPECTED["text"]
    assert (model.level, model.cell, model.layers, model.hidden_size, model.settings.init) == (level, "rnn", 1, 12, "scaled")
    assert model.evaluate(TEXT).loss == pytest.approx(expected["loss"], rel=1e-5)
    assert model.synthesize(60, prime="she", temperature=0) == expected["greedy"]


def test_a_model_of_bytes(level, monkeypatch):
    monkeypatch.setenv("CHARRNN_KERNELS", level)
    model, expected = CharRNN.load(DATA / "bytes.safetensors"), EXPECTED["bytes"]
    assert (model.dtype, model.vocabulary.raw_bytes) == (np.float64, True)
    assert model.evaluate(TEXT.encode()).loss == pytest.approx(expected["loss"], rel=1e-12)
    assert model.synthesize(60, prime=b"she", temperature=0).decode("latin-1") == expected["greedy"]


@pytest.mark.parametrize("name", ["text", "bytes"])
def test_models_are_saved_anew_and_trained_on(name, tmp_path):
    model, text = CharRNN.load(DATA / f"{name}.safetensors"), TEXT if name == "text" else TEXT.encode()
    model.save(tmp_path / "again")
    again = CharRNN.load(tmp_path / "again")
    assert again.theta.tobytes() == model.theta.tobytes()
    assert again.evaluate(text).loss == model.evaluate(text).loss
    before = model.evaluate(text).loss
    history = model.train(text, updates=40, learning_rate=0.01, progress=False, sample_every=None)
    assert history.first_step == (301 if name == "text" else 101)
    assert model.evaluate(text).loss < before


def test_a_run_goes_on_to_its_end(level, tmp_path):
    expected = EXPECTED["run"]
    shutil.copytree(DATA / "run", tmp_path / "run")
    model, history = CharRNN.resume(tmp_path / "run", TEXT, validation=TEXT[:200], progress=False, level=level)
    assert len(history) == model.run.done == expected["updates"]
    assert model.evaluate(TEXT).loss == pytest.approx(expected["loss"], rel=1e-4)
    assert history.smooth_loss[-1] == pytest.approx(expected["smooth"], rel=1e-6)
    assert history.best_step == expected["best_step"]
    assert [sample.step for sample in history.samples] == expected["samples"]
    assert [result.step for result in history.validation] == [60, 120]
    assert [step for step, _ in checkpoints_in(tmp_path / "run")] == [120]
    again, whole = CharRNN.resume(tmp_path / "run", TEXT, validation=TEXT[:200], progress=False, level=level)  # now of this version
    assert again.theta.tobytes() == model.theta.tobytes()
    assert len(whole) == len(history)
