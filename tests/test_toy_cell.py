"""A fourth cell, made here: all that a cell must say is its gates, its states and two functions; the rest works with it."""

import numpy as np
import pytest
from networks import COMPILED, MASKS, agrees_with_a_complex_step, network

from charrnn import CharRNN, KernelsError, ModelFileError, SettingsError
from charrnn.gradients.check import compare_with_torch
from charrnn.network import kernels, tensors
from charrnn.network.cells import CELLS, Cell
from charrnn.network.cells.cell import sigmoid

TEXT = "the tide comes in, the tide goes out; nobody asked the tide. " * 12


def forward(a, before):
    """f = sigmoid(a_f)   n = tanh(a_n + f q)   h = (1 - f) h' + f n   s = (s' + h) / 2, with q = W_n h' + b_hn."""
    f, n, q = a
    f[:] = sigmoid(f)
    np.tanh(n + f * q, out=n)
    h = before[0] + f * (n - before[0])
    return h, (before[1] + h) / 2


def backward(a, before, after, d_after):
    f, n, q = a
    dh = d_after[0] + d_after[1] / 2
    da_n = dh * f * (1 - n**2)
    df = dh * (n - before[0]) + da_n * q
    d_before = dh * (1 - f)
    q[:], n[:] = da_n * f, da_n
    f[:] = df * f * (1 - f)
    return d_before, d_after[1] / 2


@pytest.fixture(autouse=True)
def toy(monkeypatch):
    """A minimal gated unit (Zhou et al. 2016) with a running mean that nobody reads."""
    cell = Cell("toy", ("f", "n"), ("h", "s"), "", forward, backward, apart=True, bias={"f": -1.0})
    monkeypatch.setitem(CELLS, "toy", cell)
    return cell


def model(**options):
    return CharRNN(**({"hidden_size": 8, "cell": "toy", "layers": 2, "seed": 3, "level": "numpy", "init": "scaled"} | options))


PLAN = {"seq_length": 8, "optimizer": "adam", "learning_rate": 0.01, "clip": None, "dropout": 0.1, "progress": False}


def test_it_is_described():
    made = model(vocabulary=TEXT)
    assert [name for name in made.parameters if name.startswith("layer2.")] == [
        *("layer2.U_f", "layer2.U_n", "layer2.W_f", "layer2.W_n", "layer2.b_f", "layer2.b_n", "layer2.b_hn")
    ]
    assert (made.parameters["layer1.b_f"] == -1).all()
    assert "toy" in repr(made)
    assert made.loss_and_gradients([0, 1], [1, 2])[2].shape == (2, 2, 1, 8)


def test_its_gradients_are_right():
    for layers in (1, 2, 3):
        agrees_with_a_complex_step(network("toy", layers, 2, 4), 5, 3, MASKS)
    report = model(hidden_size=3).gradcheck(TEXT, 6, batch_size=2, dropout=0.3)
    assert report.passed, report


def test_it_learns_is_saved_loaded_and_writes(tmp_path):
    made = model()
    history = made.train(TEXT, updates=300, sample_every=100, sample_length=20, **PLAN)
    assert made.evaluate(TEXT).loss < 0.6 * np.log(len(made.vocabulary))
    assert len(history.samples) == 4
    made.save(tmp_path / "toy.safetensors")
    other = CharRNN.load(tmp_path / "toy.safetensors", level="numpy")
    assert (other.cell, other.layers) == ("toy", 2)
    assert other.theta.tobytes() == made.theta.tobytes()
    assert other.synthesize(50, prime="the ", seed=1) == made.synthesize(50, prime="the ", seed=1)
    assert (other.losses(TEXT) == made.losses(TEXT)).all()


def test_its_run_is_resumed_bit_for_bit(tmp_path):
    whole, plan = model(), PLAN | {"updates": 60, "batch_size": 2}
    history = whole.train(TEXT, **plan)
    model().train(TEXT, checkpoint=tmp_path, checkpoint_every=7, callbacks=[lambda event: event.done >= 30], **plan)
    resumed, again = CharRNN.resume(tmp_path, TEXT, progress=False, level="numpy")
    assert resumed.theta.tobytes() == whole.theta.tobytes()
    assert again.loss.tobytes() == history.loss.tobytes()


@pytest.mark.parametrize("compiled", COMPILED)
def test_a_level_that_does_not_have_it_says_so(compiled):
    with pytest.raises(KernelsError, match="the cell 'toy' is not compiled, only rnn, gru, lstm; level='numpy' computes every cell"):
        model(level=compiled)
    with pytest.raises(KernelsError, match="'toy' is not compiled"):
        kernels.get(compiled, "toy")


def test_pytorch_does_not_have_it():
    pytest.importorskip("torch")
    made = model(vocabulary=TEXT)
    with pytest.raises(SettingsError, match="PyTorch has no cell 'toy'"):
        compare_with_torch(made.network, made.corpus_of(TEXT), 5)


def test_without_it_its_file_is_refused(tmp_path, monkeypatch):
    made = model(vocabulary=TEXT)
    made.save(tmp_path / "toy.safetensors")
    monkeypatch.delitem(CELLS, "toy")
    with pytest.raises(ModelFileError, match="unknown cell 'toy'"):
        CharRNN.load(tmp_path / "toy.safetensors")


def test_its_tensors_have_names_like_the_others():
    made = model(vocabulary=TEXT)
    shapes = {name: array.shape for name, array in made.to_tensors().items()}
    assert shapes["rnn.weight_ih_l1"] == (16, 8)
    assert shapes == tensors.shapes_of(made.network.architecture)
