"""Whatever a checkpoint says that no run ever wrote is a ModelFileError, before anything is made of it."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from charrnn import CharRNN, CharRNNError, ModelFileError
from charrnn.files import modelfile
from charrnn.training.checkpoint import checkpoints_in, load

TEXT = "the tide comes in, the tide goes out. " * 6
ODD = [10**99, -5, 1e308, 2.5, "x", [1], {"a": 1}, True, 2**63, "9" * 5000]


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    folder = tmp_path_factory.mktemp("kept")
    CharRNN(3).train(TEXT, updates=9, seq_length=5, sample_every=4, sample_length=5, validation=0.2, checkpoint=folder, progress=False)
    return modelfile.read(checkpoints_in(folder)[-1][1], finite=False)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("changed") / "step-0000000009.safetensors"


def refused(place, tensors, metadata):
    place.write_bytes(modelfile.to_bytes(tensors, metadata, "checkpoint", finite=False))
    for read in (load, CharRNN.load):
        with pytest.raises(ModelFileError) as caught:
            read(place)
        assert str(caught.value).isprintable()


@pytest.mark.parametrize("name", ["step", "done", "total", "epoch", "cursor", "moments", "rescues", "settings", "fingerprint", "lowest"])
def test_numbers_of_a_run(kept, place, name):
    run = kept.metadata["run"]
    for odd in ODD:
        if not (name == "fingerprint" and odd == "x"):
            refused(place, kept.tensors, kept.metadata | {"run": run | {name: odd}})
    refused(
        place,
        kept.tensors,
        kept.metadata | {"run": {key: value for key, value in run.items() if key != name or key == "lowest"} | {"done": -1}},
    )


@pytest.mark.parametrize("name", ["run", "rng", "checkpoints", "vocabulary", "hidden_size", "dtype", "seed"])
def test_entries_of_the_file(kept, place, name):
    for odd in ODD:
        if not (name in ("hidden_size", "seed") and odd in (True, 2**63)):
            refused(place, kept.tensors, kept.metadata | {name: odd})


@pytest.mark.parametrize("name", ["samples", "validation", "epoch_steps", "rescues", "notes", "seconds"])
def test_the_history(kept, place, name):
    history = json.loads(kept.tensors["history"].tobytes())
    texts = [json.dumps(history | {name: odd}) for odd in ("x", {"a": 1}, [[None]], -1, [{"step": 1}])]
    texts += [
        json.dumps(history).replace('"seconds": ', '"seconds": 1' + "0" * 400),
        "[" * 10**5,
        "{",
        "\ud800".encode("utf-8", "replace").decode(),
    ]
    for text in texts:
        refused(place, kept.tensors | {"history": np.frombuffer(text.encode(), np.uint8)}, kept.metadata)


@pytest.mark.parametrize("number", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("name", ["losses", "head.bias", "best.head.bias", "safe.head.bias", "lowest.head.bias"])
def test_numbers_that_are_not_finite(kept, place, name, number):
    changed = kept.tensors[name].copy()
    changed.flat[0] = number
    refused(place, kept.tensors | {name: changed}, kept.metadata)


@pytest.mark.parametrize(
    ("place_of", "number"), [(0, np.inf), (1, np.nan), (1, -np.inf), (2, -1), (2, 0.5), (3, np.nan), (3, 1e300), (4, np.inf)]
)
def test_the_smooth_loss(kept, place, place_of, number):
    for name in ("smooth", "safe.smooth"):
        changed = kept.tensors[name].copy()
        changed[place_of] = number
        refused(place, kept.tensors | {name: changed}, kept.metadata)


def test_what_earlier_versions_wrote_of_a_loss_before_the_first_update(kept, place):
    """NaN, which is not JSON; now it is null."""
    text = kept.tensors["history"].tobytes().decode()
    sample = {"step": 1, "epoch": 0, "smooth_loss": float("nan"), "loss_per_char": float("nan"), "text": "a"}
    old = json.loads(text) | {"samples": [sample]}
    place.write_bytes(
        modelfile.to_bytes(
            kept.tensors | {"history": np.frombuffer(json.dumps(old).encode(), np.uint8)}, kept.metadata, "checkpoint", finite=False
        )
    )
    assert load(place).past["samples"][0]["smooth_loss"] is None
    assert "NaN" not in text


@given(st.recursive(st.none() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(), st.lists, max_leaves=5))
def test_foreign_entries_are_told_or_refused(kept, place, value):
    """`charrnn info` shows a model whose file says something else under the names that it shows."""
    from charrnn.cli import info

    model = {name: array for name, array in kept.tensors.items() if name.startswith(("rnn.", "head."))}
    said = {name: kept.metadata[name] for name in kept.metadata if name not in ("run", "rng", "checkpoints")}
    for name in ("run", "file", "kind_", "parameters", "network", "K", "training", "init", "recipe"):
        try:
            data = modelfile.to_bytes(model, said | {name: value})
        except CharRNNError:  # more digits than are read
            return
        place.with_name("model.safetensors").write_bytes(data)
        try:
            info.show(info.describe(str(place.with_name("model.safetensors"))))
        except ModelFileError:
            assert name in ("training", "init", "recipe")
