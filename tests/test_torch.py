"""The gradients against PyTorch's autograd in float64: from golden files everywhere, and live where torch is installed."""

from pathlib import Path

import numpy as np
import pytest
from networks import KINDS, MASKS, NO_MASKS, autograd, by_block, distance, masks_of, network, window

from charrnn import CharRNN, SettingsError
from charrnn.gradients.check import compare_with_torch, torch_gradients, torch_is_installed
from charrnn.network import kernels

GOLDEN = np.load(Path(__file__).parent / "data" / "gradients.npz")
CASES = sorted({key.split("/")[0] for key in GOLDEN.files if "/" in key}, key=int)
TOLERANCE = 1e-11  # of the largest entry of each array; measured: below 1e-14


def agree(made, inputs, targets, state, expected_loss, expected, masks=NO_MASKS):
    loss, gradients, _ = made.loss_and_gradients(inputs, targets, state, masks)
    assert loss == pytest.approx(expected_loss, rel=TOLERANCE)
    assert set(gradients) == set(expected)
    for name, array in expected.items():
        assert distance(gradients[name], array) < TOLERANCE, name


@pytest.mark.parametrize("case", CASES)
def test_golden_gradients(case, level):
    golden = {key.split("/")[1]: GOLDEN[key] for key in GOLDEN.files if key.startswith(f"{case}/")}
    cell, layers, m, K = str(golden["cell"]), *golden["sizes"].tolist()
    made = network(cell, layers, m, K, level=level)
    for name, array in by_block({name: golden[name] for name in golden if name.startswith(("rnn.", "head."))}, made).items():
        made.parameters[name][:] = array
    gradients = {name[1:]: array for name, array in golden.items() if name.startswith(("drnn.", "dhead."))}
    masks = MASKS if golden["dropout"] else NO_MASKS
    window = golden["inputs"].astype(np.intc), golden["targets"].astype(np.intc), golden["state"]
    agree(made, *window, float(golden["loss"]), by_block(gradients, made), masks)


def test_golden_files_cover_what_they_should():
    kinds = {(str(GOLDEN[f"{c}/cell"]), int(GOLDEN[f"{c}/sizes"][0])) for c in CASES}
    assert kinds >= {(cell, layers) for cell in ("rnn", "gru", "lstm") for layers in (1, 2)}
    m, K, T, B = map(set, zip(*((*GOLDEN[f"{c}/sizes"][1:], *GOLDEN[f"{c}/inputs"].shape) for c in CASES), strict=True))
    assert min(K) == 2
    assert max(K) == 300
    assert {1, 25} <= T
    assert {1, 3} <= B
    assert all(size % 4 for size in m)
    assert any(np.any(GOLDEN[f"{c}/state"]) for c in CASES)
    assert {(str(GOLDEN[f"{c}/cell"])) for c in CASES if GOLDEN[f"{c}/dropout"]} == {"rnn", "gru", "lstm"}


SIZES = [(17, 13, 25, 1), (11, 5, 25, 3), (5, 30, 1, 3)]  # m, K, T, B


@pytest.mark.parametrize("dropout", [False, True], ids=["", "dropout"])
@pytest.mark.parametrize(("m", "K", "T", "B"), SIZES)
@pytest.mark.parametrize(("cell", "layers"), KINDS)
def test_live_gradients(cell, layers, m, K, T, B, dropout):
    pytest.importorskip("torch")
    made = network(cell, layers, m, K, seed=m)
    inputs, targets, state = window(made, T, B)
    loss, gradients = autograd(made, inputs, targets, state, masks_of(made, T, B) if dropout else None)
    for level in kernels.available():
        made = network(cell, layers, m, K, seed=m, level=level)
        agree(made, inputs, targets, state, loss, by_block(gradients, made), MASKS if dropout else NO_MASKS)


def test_live_gradients_in_the_lab_s_sizes(level):
    pytest.importorskip("torch")
    made = network("rnn", 1, 100, 79, std=0.2, level=level)
    inputs, targets, state = window(made, 25, 1)
    loss, gradients = autograd(made, inputs, targets, state)
    agree(made, inputs, targets, state, loss, by_block(gradients, made))


@pytest.mark.parametrize("cell", ["rnn", "gru", "lstm"])
def test_compare_with_torch(cell, level):
    pytest.importorskip("torch")
    model = CharRNN(20, cell=cell, layers=2, seed=3, vocabulary="a rose is")
    result = compare_with_torch(model.network, model.corpus_of("a rose is a rose is a rose is a rose"), 10, batch_size=2, level=level)
    assert set(result) == {"zero", "random"}
    for errors in result.values():
        assert set(errors) == set(model.parameters)
        assert max(errors.values()) < TOLERANCE


def test_pytorch_s_stack_of_layers_is_the_layers_one_by_one():
    """Two ways to ask PyTorch: num_layers, as a file is loaded, and a module a layer, between which a mask fits."""
    pytest.importorskip("torch")
    made = network("gru", 2, 6, 5)
    inputs, targets, state = window(made, 7, 2)
    loss, gradients = torch_gradients(made, inputs, targets, state)
    one_by_one, tensors = autograd(made, inputs, targets, state)
    assert loss == pytest.approx(one_by_one, rel=1e-14)
    for name, array in by_block(tensors, made).items():
        assert distance(gradients[name], array) < 1e-13, name


def test_comparison_without_torch_says_so(monkeypatch):
    monkeypatch.setattr("charrnn.gradients.check.torch_is_installed", lambda: False)
    model = CharRNN(5, vocabulary="abc")
    with pytest.raises(SettingsError, match="pip install torch"):
        compare_with_torch(model.network, model.corpus_of("abcabcabc"), 4)


def test_torch_is_found_if_it_can_be_imported():
    try:
        import torch  # noqa: F401
    except ImportError:
        assert not torch_is_installed()
    else:
        assert torch_is_installed()
