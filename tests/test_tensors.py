"""Models go to PyTorch and come from it: the same losses, from files everywhere, and live where torch is installed."""

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors import safe_open

from charrnn import CharRNN, ModelFileError
from charrnn.files import modelfile
from charrnn.network.exchange import NAMES, SECOND_BIAS

FROM_PYTORCH = Path(__file__).parent / "data" / "from_pytorch.safetensors"  # make_from_pytorch.py made it
TEXT = "the tide comes in, the tide goes out; nobody asked the tide.\n" * 6
TOLERANCE = {"float32": 1e-5, "float64": 1e-12}  # nats; measured: 1e-6 and 2e-15


def test_a_file_that_pytorch_wrote_has_the_losses_that_pytorch_found(level, monkeypatch):
    monkeypatch.setenv("CHARRNN_KERNELS", level)
    model, metadata = CharRNN.load(FROM_PYTORCH), modelfile.read(FROM_PYTORCH).metadata
    assert model.level == level
    found = model.losses(metadata["text"])
    assert len(found) > 50
    assert np.std(metadata["losses"]) > 0.3  # a network that says something
    np.testing.assert_allclose(found, metadata["losses"], rtol=0, atol=TOLERANCE["float32"])


def test_its_second_bias_counts():
    tensors, metadata, _ = modelfile.read(FROM_PYTORCH)
    assert np.abs(tensors[SECOND_BIAS]).max() > 0.1
    silent = CharRNN.from_tensors(tensors | {SECOND_BIAS: np.zeros_like(tensors[SECOND_BIAS])}, metadata)
    assert np.abs(silent.losses(metadata["text"]) - metadata["losses"]).max() > 0.01


def test_what_a_file_must_say_of_a_model():
    tensors, metadata, _ = modelfile.read(FROM_PYTORCH)
    for missing in ("vocabulary", "hidden_size", "dtype", "init", "init_std", "seed"):
        with pytest.raises(ModelFileError, match=missing):
            CharRNN.from_tensors(tensors, {key: value for key, value in metadata.items() if key != missing})
    for missing in (*NAMES.values(), SECOND_BIAS):
        with pytest.raises(ModelFileError, match=missing):
            CharRNN.from_tensors({key: value for key, value in tensors.items() if key != missing}, metadata)


@pytest.mark.parametrize(("m", "dtype"), [(100, "float32"), (7, "float32"), (33, "float64")])
def test_pytorch_loads_a_file_and_finds_the_same_losses(m, dtype, level, tmp_path):
    torch = pytest.importorskip("torch")
    model = CharRNN(m, dtype, init="scaled", seed=m, level=level)
    model.train(TEXT, updates=200, progress=False)
    model.save(tmp_path / "model.safetensors")
    with safe_open(tmp_path / "model.safetensors", "pt") as file:
        characters = json.loads(file.metadata()["vocabulary"])["characters"]
        state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    network = torch.nn.ModuleDict({"rnn": torch.nn.RNN(len(characters), m), "head": torch.nn.Linear(m, len(characters))})
    network.to(getattr(torch, dtype)).load_state_dict(state)
    ids = torch.tensor([characters.index(character) for character in TEXT])
    with torch.no_grad():
        hidden, _ = network["rnn"](torch.nn.functional.one_hot(ids[:-1], len(characters)).to(getattr(torch, dtype)))
        expected = torch.nn.functional.cross_entropy(network["head"](hidden), ids[1:], reduction="none").numpy()
    assert expected.mean() < np.log(len(characters)) - 0.5  # it has learned something
    np.testing.assert_allclose(model.losses(TEXT), expected, rtol=0, atol=TOLERANCE[dtype])
