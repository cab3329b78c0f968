"""Gradients back through time: their norms against a complex step, and charrnn gradflow."""

import re

import numpy as np
import pytest
from commands import run

from charrnn import CharRNN, Corpus, SettingsError, TextError
from charrnn.gradients.flow import Flow, gradient_flow, states_back
from charrnn.network import reference
from charrnn.network.workspace import Workspace

TEXT = "the tide comes in, the tide goes out.\n" * 30
CELLS = [("rnn", 1), ("rnn", 2), ("gru", 1), ("gru", 2), ("lstm", 1), ("lstm", 2)]


@pytest.mark.parametrize(("cell", "layers"), CELLS)
def test_gradients_by_earlier_states_are_those_of_a_complex_step(cell, layers, level):
    model = CharRNN(hidden_size=4, cell=cell, layers=layers, init_std=0.6, seed=2, vocabulary="abc", dtype="float64", level=level)
    network, rng, T, B, steps = model.network, np.random.default_rng(1), 6, 2, 4
    ids = rng.integers(0, 3, (T + 1, B)).astype(np.intc)
    work = network.workspace(T, B, backward=False)
    network.kernels.forward(network.theta, work, ids[:-1], ids[1:], gradient=False)
    kept = work.states[..., :4].copy()
    found = [gradient.copy() for gradient in states_back(network, work, ids[-1], steps)]
    assert len(found) == steps + 1
    theta = network.theta.astype(complex)
    for k in range(1, steps + 1):
        again = Workspace(reference, network.architecture, k, B, complex, backward=False)
        for place in np.ndindex(kept[:, :, 0].shape):
            again.states[:, :, 0, :, :4] = kept[:, :, T - k]
            again.states[(*place[:2], 0, *place[2:])] += 1e-20j
            again.losses = again.losses.astype(complex)
            reference.forward(theta, again, ids[T - k : T], ids[T - k + 1 :], gradient=False)
            assert again.losses[-1].sum().imag / 1e-20 == pytest.approx(found[k][place], rel=1e-9, abs=1e-13)


def test_norms_are_over_layers_and_places_are_spread():
    corpus = Corpus.from_text(TEXT)
    model = CharRNN(hidden_size=5, cell="lstm", layers=2, init_std=0.5, seed=1, vocabulary=corpus.vocabulary)
    flow = gradient_flow(model.network, corpus, steps=7, places=40)
    assert flow.h.shape == flow.c.shape == (40, 8)
    assert (flow.h > 0).all()
    assert (flow.c[:, 0] == 0).all()  # p_t hangs on h_t alone
    # the last place, read from 14 characters before
    network = model.network.astype("float64")
    ids = corpus.read(len(corpus) - 15, len(corpus))[:, None]
    work = network.workspace(14, 1, backward=False)
    network.kernels.forward(network.theta, work, ids[:-1].copy(), ids[1:].copy(), gradient=False)
    for k, gradient in enumerate(states_back(network, work, ids[-1], 7)):
        assert flow.h[-1, k] == pytest.approx(np.linalg.norm(gradient[:, 0]))
        assert flow.c[-1, k] == pytest.approx(np.linalg.norm(gradient[:, 1]))


def test_a_linear_chain_decays_as_its_weights_say():
    """Near 0 tanh is linear: each step back multiplies the gradient by W."""
    model = CharRNN(hidden_size=3, init_std=0.0, vocabulary="ab", dtype="float64")
    model.parameters["W"][:] = 0.5 * np.eye(3)
    model.parameters["V"][:] = [[1, 2, 3], [0, 1, 0]]
    flow = gradient_flow(model.network, Corpus.from_text("abba" * 20, model.vocabulary), steps=12, places=3)
    np.testing.assert_allclose(flow.h[:, 1:] / flow.h[:, :-1], 0.5)
    assert flow.reach(0.3) == 3
    assert flow.reach(1e-9) is None


def test_quartiles_and_reach():
    flow = Flow(np.array([[4.0, 2, 1, 2], [4.0, 2, 0, 0], [4.0, 2, 3, 0]]), None)
    assert flow.quartiles()[1].tolist() == [4, 2, 1, 0]
    assert (flow.reach(0.4), flow.reach(0.6)) == (3, 2)
    with pytest.raises(ValueError, match="h alone"):
        flow.quartiles("c")


def test_bad_requests():
    model = CharRNN(hidden_size=3, vocabulary="ab")
    corpus = Corpus.from_text("abba", model.vocabulary)
    with pytest.raises(TextError):
        gradient_flow(model.network, corpus, steps=4)
    with pytest.raises(SettingsError, match="steps"):
        gradient_flow(model.network, corpus, steps=0)


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """An RNN and an LSTM that were trained for a moment."""
    folder = tmp_path_factory.mktemp("flow")
    (folder / "text.txt").write_text(TEXT, "utf-8")
    for cell in ("rnn", "lstm"):
        run("train", "text.txt", "--cell", cell, "--hidden-size", "8", "--updates", "60", "--quiet", "--out", cell, cwd=folder)
    return folder


def test_command(models):
    out, _ = run("gradflow", "rnn", "lstm/best.safetensors", "--steps", "20", "--places", "8", "--png", "flow.png", cwd=models)
    assert "wrote gradflow.html\nwrote flow.png" in out
    page = (models / "gradflow.html").read_text("utf-8")
    assert "<script" not in page
    model = CharRNN.load(models / "rnn" / "best.safetensors")
    flow = gradient_flow(model.network, Corpus.from_text(TEXT, model.vocabulary), steps=20, places=8)
    row = re.search(r"^rnn .*$", out, re.MULTILINE)[0].split()
    assert [float(norm) for norm in row[1:]] == pytest.approx([flow.quartiles()[1][k] for k in (1, 5, 10)], rel=0.06)
    assert "by c" in page
    assert (models / "flow.png").read_bytes().startswith(b"\x89PNG")


def test_command_refuses_in_one_line(models):
    for words, message in {
        ("rnn", "--steps", "5000"): "characters",
        ("rnn", "--text", "absent.txt"): "absent.txt",
        ("rnn", "rnn"): "twice",
        ("absent",): "absent",
    }.items():
        _, errors = run("gradflow", *words, cwd=models, code=2)
        assert errors.count("\n") == 1
        assert message in errors
