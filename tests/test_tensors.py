"""Models go to PyTorch and come from it: the same losses, from files everywhere, and live where torch is installed."""

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors import safe_open

from charrnn import CharRNN, ModelFileError
from charrnn.files import modelfile
from charrnn.network import kernels

DATA = Path(__file__).parent / "data"  # make_from_pytorch.py made what is used here
CELLS = ("rnn", "gru", "lstm")
TEXT = "the tide comes in, the tide goes out; nobody asked the tide.\n" * 6
TOLERANCE = {"float32": 1e-5, "float64": 1e-12}  # nats; measured: 1e-6 and 2e-15


def from_pytorch(cell):
    return DATA / f"from_pytorch_{cell}.safetensors"


@pytest.mark.parametrize("cell", CELLS)
def test_a_file_that_pytorch_wrote_has_the_losses_that_pytorch_found(cell, level, monkeypatch):
    monkeypatch.setenv("CHARRNN_KERNELS", level)
    model, metadata = CharRNN.load(from_pytorch(cell)), modelfile.read(from_pytorch(cell)).metadata
    assert (model.level, model.cell, model.layers) == (level, cell, 2 if cell == "lstm" else 1)
    found = model.losses(metadata["text"])
    assert len(found) > 50
    assert np.std(metadata["losses"]) > 0.3  # a network that says something
    np.testing.assert_allclose(found, metadata["losses"], rtol=0, atol=TOLERANCE["float32"])


@pytest.mark.parametrize("cell", CELLS)
def test_its_second_bias_counts(cell):
    tensors, metadata, _ = modelfile.read(from_pytorch(cell))
    for name in [name for name in tensors if "bias_hh" in name]:
        assert np.abs(tensors[name]).max() > 0.1
        silent = CharRNN.from_tensors(tensors | {name: np.zeros_like(tensors[name])}, metadata)
        assert np.abs(silent.losses(metadata["text"]) - metadata["losses"]).max() > 0.01


@pytest.mark.parametrize("cell", CELLS)
def test_a_file_that_pytorch_wrote_is_trained_on_and_saved(cell, tmp_path):
    model = CharRNN.load(from_pytorch(cell))
    model.save(tmp_path / "again")
    again = CharRNN.load(tmp_path / "again")
    assert again.theta.tobytes() == model.theta.tobytes()
    tensors = again.to_tensors()
    for name in [name for name in tensors if "bias_hh" in name]:
        assert bool(tensors[name].any()) == (cell == "gru")
        assert not tensors[name][: len(tensors[name]) * 2 // 3].any()
    before = model.evaluate(TEXT).loss
    model.train(TEXT, updates=30, learning_rate=0.01, sample_every=None, progress=False)
    assert model.evaluate(TEXT).loss < before


@pytest.mark.parametrize("cell", CELLS)
def test_what_a_file_must_say_of_a_model(cell):
    tensors, metadata, _ = modelfile.read(from_pytorch(cell))
    for missing in ("vocabulary", "hidden_size", "dtype", "init", "init_std", "seed"):
        with pytest.raises(ModelFileError, match=missing):
            CharRNN.from_tensors(tensors, {key: value for key, value in metadata.items() if key != missing})
    for missing in tensors:
        with pytest.raises(ModelFileError, match=missing):
            CharRNN.from_tensors({key: value for key, value in tensors.items() if key != missing}, metadata)


@pytest.mark.parametrize(
    ("cell", "layers", "m", "dtype"),
    [
        ("rnn", 1, 100, "float32"),
        ("rnn", 3, 7, "float64"),
        ("gru", 1, 20, "float32"),
        ("gru", 2, 7, "float64"),
        ("lstm", 2, 20, "float32"),
        ("lstm", 1, 13, "float64"),
    ],
)
def test_pytorch_loads_a_file_and_finds_the_same_losses(cell, layers, m, dtype, tmp_path):
    torch = pytest.importorskip("torch")
    model = CharRNN(m, dtype, init="scaled", seed=m, cell=cell, layers=layers)
    model.train(TEXT, updates=200, optimizer="adam", learning_rate=0.02, clip=None, loss_reduction="mean", progress=False)
    model.save(tmp_path / "model.safetensors")
    with safe_open(tmp_path / "model.safetensors", "pt") as file:
        characters = json.loads(file.metadata()["vocabulary"])["characters"]
        state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    recurrent = getattr(torch.nn, cell.upper())(len(characters), m, num_layers=layers)
    network = torch.nn.ModuleDict({"rnn": recurrent, "head": torch.nn.Linear(m, len(characters))})
    network.to(getattr(torch, dtype)).load_state_dict(state)
    ids = torch.tensor([characters.index(character) for character in TEXT])
    with torch.no_grad():
        hidden, _ = network["rnn"](torch.nn.functional.one_hot(ids[:-1], len(characters)).to(getattr(torch, dtype)))
        expected = torch.nn.functional.cross_entropy(network["head"](hidden), ids[1:], reduction="none").numpy()
    assert expected.mean() < np.log(len(characters)) - 0.5  # it has learned something
    for level in kernels.available():
        found = CharRNN.load(tmp_path / "model.safetensors", level=level).losses(TEXT)
        np.testing.assert_allclose(found, expected, rtol=0, atol=TOLERANCE[dtype], err_msg=level)
