"""Networks that are lost after a start from 0: it is said, and generation begins with a state that training has seen."""

import copy
import json
import math
import pickle
import warnings

import numpy as np
import pytest

from charrnn import CharRNN, ModelFileError, SettingsError, line_bits
from charrnn.cli.main import main
from charrnn.files import modelfile

TEXT = "the tide comes in, the tide goes out;\nnobody asked the tide.\n" * 12
QUIET = {"progress": False, "sample_every": None}
ADAM = {"optimizer": "adam", "learning_rate": 0.01, "loss_reduction": "mean", "clip": None}


def two_sided(hold=4.0, carried=1.0, **options):
    """A network whose unit 0 is driven to +1 by a and the line end, to -1 by b; with a `hold` above 1 it stays there for ever. At +1 it
    expects a and b alike, at -1 a line end.
    """
    model = CharRNN(**({"hidden_size": 3, "init_std": 0, "vocabulary": "\nab"} | options))
    p = model.parameters
    p["W"][0, 0], p["U"][0], p["V"][0, 0] = hold, (1.0, 1.0, -1.0), -9.0
    if carried is not None:
        model._carried = np.array([[[carried, 0, 0]]], model.dtype)
    return model


@pytest.fixture(scope="module")
def trained():
    model = CharRNN(hidden_size=12, seed=1)
    return model, model.train(TEXT, updates=230, validation=TEXT[:200], validate_every=20, **ADAM, **QUIET)


# ---- it is found ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_network_that_is_stuck_by_construction(dtype, level):
    model, text = two_sided(dtype=dtype, level=level), "ba" * 700
    found = model.cold_start(text)
    assert (found.characters, found.is_stuck, found.units) == (1000, True, ((0, 0),))
    assert found.zero > 8
    assert found.carried == pytest.approx(math.log(2), abs=0.01)
    note = model.evaluate(text).note
    for words in ("from a state of 0 the first 1,000 characters have", "1 hidden unit held at the opposite", "is stuck", "start='carried'"):
        assert words in note
    assert note in str(model.evaluate(text))
    assert model.evaluate(text, start="carried").note == ""
    assert model.evaluate(text, start="carried").loss == pytest.approx(math.log(2), abs=0.01)
    assert model.evaluate(text, start="zero").loss == model.evaluate(text).loss > 8
    assert model.losses(text, start="carried").mean() == pytest.approx(math.log(2), abs=0.01)
    assert [line.bits_per_char for line in line_bits(model, text, "carried")] == pytest.approx([1], abs=0.02)
    assert "is stuck" in model.evaluate(text, dynamic=True).note


@pytest.mark.parametrize(("hold", "text"), [(4.0, "ab" * 700), (0.5, "ba" * 700), (4.0, "ba"), (4.0, "\nba" + "ab" * 400)])
def test_networks_that_are_not(hold, text):
    """One that begins on the right side, one whose unit moves, a text too short to cost anything, one after a line end."""
    model = two_sided(hold)
    assert not model.cold_start(text).is_stuck
    assert model.evaluate(text).note == ""


def test_a_model_without_a_carried_state_cannot_be_compared():
    model = two_sided(carried=None)
    assert (model.carried_state, model.cold_start("ba" * 700), model.evaluate("ba" * 700).note) == (None, None, "")
    for use in (
        lambda: model.evaluate("ba", start="carried"),
        lambda: model.generate("a", start="carried"),
        lambda: model.score("ab", start="carried"),
    ):
        with pytest.raises(SettingsError, match="the state at the end of training, which this model does not have"):
            use()
    with pytest.raises(SettingsError, match="unknown start 'carred'; did you mean 'carried'"):
        model.generate("a", start="carred")


def test_scores_warn_of_it():
    model, texts = two_sided(), ["baab"] * 300
    with pytest.warns(UserWarning, match="the first 1,000 characters of the texts have .* the model is stuck"):
        stuck = model.score(texts, context="b")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fine = model.score(texts, context="b", start="carried")
        assert model.score(texts).mean() > -1  # after a line end it is on the right side
        assert len(model.score([], start="carried")) == len(model.score([])) == 0
        two_sided(carried=None).score(texts, context="b")
    assert stuck.mean() < -4
    assert fine.mean() > -1


def test_the_command_line_says_so(tmp_path, capsys):
    two_sided().save(tmp_path / "m.safetensors")
    (tmp_path / "text.txt").write_text("ba" * 700)
    (tmp_path / "lines.txt").write_text("baba\n" * 300)
    words = ["evaluate", str(tmp_path / "m.safetensors"), str(tmp_path / "text.txt")]
    assert main(words) == 0
    assert "note        from a state of 0 the first 1,000 characters have" in capsys.readouterr().out
    assert main([*words, "--start", "carried"]) == 0
    assert "note" not in capsys.readouterr().out
    assert main([*words, "--json"]) == 0
    assert "is stuck" in json.loads(capsys.readouterr().out)["note"]
    assert main([*words, "--per-file"]) == 0
    assert "is stuck" in capsys.readouterr().err
    assert main([*words[:2], str(tmp_path / "lines.txt"), "--per-line"]) == 0
    assert capsys.readouterr().err == ""
    assert main(["explain", *words[1:], "--out", str(tmp_path / "page.html")]) == 0
    told = capsys.readouterr()
    assert "is stuck" in told.err
    assert "1.00" in told.out.partition("bits per character")[0]
    assert main([*words, "--start", "nought"]) == 2
    assert "unknown start 'nought'" in capsys.readouterr().err
    two_sided(carried=None).save(tmp_path / "m.safetensors")
    for command in (words, ["generate", words[1]]):
        assert main([*command, "--start", "carried"]) == 2
        assert "which this model does not have" in capsys.readouterr().err


# ---- generation begins with it -------------------------------------------------------------------------------------------


def test_generation_begins_with_the_carried_state(capsys, tmp_path):
    model = two_sided(vocabulary="\nab")
    prompts = ["b", "ba", "ab"]
    lost = [model.generate(p, 50, seed=1, start="zero").count("\n") for p in prompts]
    found = [model.generate(p, 50, seed=1).count("\n") for p in prompts]
    assert ([n > 45 for n in lost], found) == ([True, True, False], [0, 0, 0])
    assert model.generate("b", 50, seed=1) == model.generate("b", 50, seed=1, start="carried")
    assert "".join(model.stream(50, "b", seed=1)) == model.session(1).feed("b").sample(50) == model.generate("b", 50, seed=1)
    assert "".join(model.stream(50, "b", seed=1, start="zero")) == model.session(1, "zero").feed("b").sample(50)
    assert model.session(1, "zero").feed("b").sample(50) == model.generate("b", 50, seed=1, start="zero")
    assert model.probabilities("b")["\n"] < 0.01
    [passage] = model.generate(["b"], 50, seed=1, details=True, log_probabilities=True)
    assert passage.log_probability == pytest.approx(-50 * math.log(2), rel=0.01)
    assert "\n" not in model.generate("b", 30, seed=1, pattern="[ab]{20}")
    model.save(tmp_path / "m.safetensors")
    for start in ([], ["--start", "zero"]):
        assert main(["generate", str(tmp_path / "m.safetensors"), "--prime", "b", "--length", "50", "--seed", "1", *start]) == 0
        assert capsys.readouterr().out == "b" + model.generate("b", 50, seed=1, start="zero" if start else None)


@pytest.mark.parametrize(("cell", "layers"), [("rnn", 2), ("gru", 1), ("lstm", 2)])
def test_a_line_end_is_read_before_the_text(cell, layers, level):
    model = CharRNN(9, "float64", 0.5, 3, cell=cell, layers=layers, vocabulary=TEXT, level=level)
    shape = model.network.architecture.state_shape(1)
    carried = model._carried = np.random.default_rng(0).normal(0, 0.5, (*shape[:2], 9))
    for text, read in (("the tide", "\nthe tide"), ("\nthe", "\nthe")):
        ids = model.vocabulary.encode(read + "e")
        _, _, state = model.loss_and_gradients(ids[:-1], ids[1:], carried[:, :, None])
        session = model.session().feed(text)
        np.testing.assert_allclose(session.state, state, rtol=1e-12)
        loss, _, _ = model.loss_and_gradients(ids[:-1], ids[1:], carried[:, :, None])
        scored = model.losses(text + "e", start="carried").sum()
        extra = 0.0 if read == text else model.losses("\n" + text, start="carried")[0]
        assert scored + extra == pytest.approx(loss, rel=1e-12)
    assert model.score("the", start="carried") == pytest.approx(-model.losses("\nthe", start="carried").mean(), rel=1e-12)
    without = CharRNN(9, vocabulary="abc", init_std=0.5)
    without._carried = np.full((1, 1, 9), 0.5, np.float32)
    ids = without.vocabulary.encode("ab")
    _, _, state = without.loss_and_gradients(ids, ids, np.full((1, 1, 1, 9), 0.5))
    np.testing.assert_allclose(without.session().feed("ab").state, state, rtol=1e-5)


def test_untrained_models_begin_at_0():
    model = CharRNN(9, init_std=0.5, vocabulary=TEXT)
    assert model.carried_state is None
    assert model.generate("the", 20, seed=1) == model.generate("the", 20, seed=1, start="zero")


# ---- it is kept ----------------------------------------------------------------------------------------------------------


def test_files_and_copies_keep_it(trained, tmp_path):
    model, _ = trained
    carried = model.carried_state
    assert (carried.shape, bool(carried.any())) == ((1, 1, 12), True)
    np.testing.assert_array_equal(carried[:, :, None], model.run.state[..., :12])
    model.save(tmp_path / "m.safetensors", optimizer=False)
    for other in (CharRNN.load(tmp_path / "m.safetensors"), model.copy(), copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        np.testing.assert_array_equal(other.carried_state, carried)
        assert other.generate("the", 40, seed=1) == model.generate("the", 40, seed=1)
    assert model.astype("float64").carried_state == pytest.approx(carried)
    assert model.generate("the", 40, seed=1) != model.generate("the", 40, seed=1, start="zero")
    again = CharRNN.load(tmp_path / "m.safetensors")
    again.train(TEXT, updates=3, **QUIET)
    np.testing.assert_array_equal(again.carried_state[:, :, None], again.run.state[..., :12])  # the new one


def test_the_best_model_has_the_state_of_its_own_time(tmp_path):
    states = {}

    def keep(event):
        if event.validation:
            states[event.step] = event.model.carried_state

    plan = {"updates": 330, "validate_every": 20, "validation": "nobody comes in; the tide asked the tide out.\n" * 3}
    plan |= {**QUIET, **ADAM, "learning_rate": 0.02, "checkpoint": tmp_path / "c", "checkpoint_every": 200}
    history = CharRNN(hidden_size=60, seed=1, init="scaled").train(TEXT[:200], callbacks=[keep], **plan)
    assert history.best_step < 300
    np.testing.assert_array_equal(history.best.carried_state, states[history.best_step])
    stopping = plan | {"checkpoint": tmp_path / "d"}
    CharRNN(hidden_size=60, seed=1, init="scaled").train(TEXT[:200], callbacks=[lambda event: event.done >= 200], **stopping)
    model, resumed = CharRNN.resume(tmp_path / "d", TEXT[:200], validation=plan["validation"], progress=False)
    np.testing.assert_array_equal(resumed.best.carried_state, states[history.best_step])
    resumed.best.save(tmp_path / "a.safetensors", optimizer=False)
    history.best.save(tmp_path / "b.safetensors", optimizer=False)
    assert (tmp_path / "a.safetensors").read_bytes() == (tmp_path / "b.safetensors").read_bytes()
    np.testing.assert_array_equal(CharRNN.load(tmp_path / "d").carried_state, model.carried_state)  # of a checkpoint


@pytest.mark.parametrize(
    "wrong", [[], [[[0.5] * 11]], [[[0.5] * 12], [[0.5] * 12]], 3, [[["x"] * 12]], [[[1e300] * 12]], [[[None] * 12]], {"a": 1}]
)
def test_a_carried_state_that_does_not_fit_is_refused(trained, tmp_path, wrong):
    model, _ = trained
    modelfile.write(tmp_path / "m.safetensors", model.to_tensors(), model.to_metadata() | {"carried_state": wrong})
    with pytest.raises(ModelFileError, match=r"m\.safetensors: its carried state"):
        CharRNN.load(tmp_path / "m.safetensors")


def test_validation_of_a_network_that_is_stuck_begins_with_the_carried_state():
    """In a run whose network is such from the beginning: a learning rate of next to nothing, a training text that begins with a."""
    model, other = two_sided(carried=None), "ba" * 300
    notes = []
    how = {"updates": 40, "seq_length": 10, "learning_rate": 1e-9, "validation": other, "validate_every": 10, **QUIET}
    history = model.train("ab" * 300, **how, callbacks=[lambda event: notes.append(event.note) if event.note else None])
    assert [v.loss for v in history.validation] == pytest.approx([math.log(2)] * 4, abs=0.01)
    assert model.evaluate(other).loss > 8
    assert history.validation[-1].loss == pytest.approx(model.evaluate(other, start="carried").loss)
    [note] = [note for note in history.notes if "is stuck" in note]
    assert note.startswith("after update 10 the network is stuck when it starts from a state of 0")
    assert notes == [note]
    fine = two_sided(hold=0.5, carried=None).train("ab" * 300, **how)
    assert not [note for note in fine.notes if "is stuck" in note]


def test_the_test_part_likewise():
    model = two_sided(carried=None)
    history = model.train("ab" * 300 + "ba" * 300, split="50/25/25", updates=40, seq_length=10, learning_rate=1e-9, **QUIET)
    assert history.test.loss == pytest.approx(math.log(2), abs=0.01)
