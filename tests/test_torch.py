"""The gradients against PyTorch's autograd in float64: from golden files everywhere, and live where torch is installed."""

from pathlib import Path

import numpy as np
import pytest

from charrnn import CharRNN, SettingsError
from charrnn.gradients.check import compare_with_torch, torch_gradients, torch_is_installed

GOLDEN = np.load(Path(__file__).parent / "data" / "gradients.npz")
CASES = sorted({key.split("/")[0] for key in GOLDEN.files if "/" in key}, key=int)
TOLERANCE = 1e-11  # absolute, for every entry; measured: 1.1e-12 where gradients are up to 97, else below 1e-13
NAMES = "UWVbc"


def network(m, K, level, parameters):
    model = CharRNN(m, "float64", vocabulary="".join(chr(200 + k) for k in range(K)), level=level)
    for name in NAMES:
        model.parameters[name][:] = parameters[name]
    return model


@pytest.mark.parametrize("case", CASES)
def test_golden_gradients(case, level):
    golden = {key.split("/")[1]: GOLDEN[key] for key in GOLDEN.files if key.startswith(f"{case}/")}
    m, K = golden["U"].shape
    model = network(m, K, level, golden)
    loss, gradients, _ = model.loss_and_gradients(golden["inputs"], golden["targets"], golden["state"])
    assert loss == pytest.approx(float(golden["loss"]), abs=TOLERANCE)
    for name in NAMES:
        np.testing.assert_allclose(gradients[name], golden[f"d{name}"], rtol=0, atol=TOLERANCE, err_msg=name)


def test_golden_files_cover_what_they_should():
    sizes = [(*GOLDEN[f"{c}/U"].shape, *GOLDEN[f"{c}/inputs"].shape) for c in CASES]
    m, K, T, B = map(set, zip(*sizes, strict=True))
    assert min(K) == 2
    assert max(K) == 300
    assert 1 in T
    assert {1, 3} <= B
    assert all(size % 4 for size in m)
    assert any(np.any(GOLDEN[f"{c}/state"]) for c in CASES)


@pytest.mark.parametrize(("m", "K", "T", "B"), [(100, 79, 25, 1), (13, 5, 1, 3), (20, 300, 7, 2)])
def test_live_gradients(m, K, T, B, level):
    pytest.importorskip("torch")
    rng = np.random.default_rng(m)
    shapes = {"U": (m, K), "W": (m, m), "V": (K, m), "b": (m,), "c": (K,)}
    parameters = {name: rng.normal(0, 0.2, shape) for name, shape in shapes.items()}
    inputs, targets, state = *rng.integers(0, K, (2, T, B)), rng.uniform(-1, 1, (B, m))
    loss, gradients, _ = network(m, K, level, parameters).loss_and_gradients(inputs, targets, state)
    expected_loss, expected = torch_gradients(parameters, inputs, targets, state)
    assert loss == pytest.approx(expected_loss, abs=TOLERANCE)
    for name in NAMES:
        np.testing.assert_allclose(gradients[name], expected[name], rtol=0, atol=TOLERANCE, err_msg=name)


def test_compare_with_torch(level):
    pytest.importorskip("torch")
    result = compare_with_torch(CharRNN(30, seed=3), "a rose is a rose is a rose is a rose", 10, batch_size=2, level=level)
    assert set(result) == {"zero", "random"}
    for errors in result.values():
        assert set(errors) == set(NAMES)
        assert max(errors.values()) < TOLERANCE


def test_comparison_without_torch_says_so(monkeypatch):
    monkeypatch.setattr("charrnn.gradients.check.torch_is_installed", lambda: False)
    with pytest.raises(SettingsError, match="pip install torch"):
        compare_with_torch(CharRNN(5), "abcabcabc", 4)


def test_torch_is_found_if_it_can_be_imported():
    try:
        import torch  # noqa: F401
    except ImportError:
        assert not torch_is_installed()
    else:
        assert torch_is_installed()
