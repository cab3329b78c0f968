"""The gradient check: it passes what is right, finds what is wrong, and says what it measured."""

import json

import numpy as np
import pytest
from networks import KINDS, MASKS, NO_MASKS, network, window
from problems import covering

from charrnn import CharRNN, KernelsError, NonFiniteError, SettingsError, TextError
from charrnn.gradients.check import first_window, gradcheck, initial_state
from charrnn.gradients.complex_step import complex_step
from charrnn.gradients.differences import Differences
from charrnn.gradients.report import relative_errors
from charrnn.network import kernels
from charrnn.network.blocks import blocks, views
from charrnn.text.corpus import Corpus

NAMES = "UWbVc"
TEXT = "She sells sea shells by the sea shore; the shells she sells are sea shells, I'm sure. " * 4


class Bent:
    """Kernels whose backward pass is changed: change(gradients by name, workspace)."""

    def __init__(self, right, change):
        self.right, self.change = right, change

    def __getattr__(self, name):
        return getattr(self.right, name)

    def backward(self, theta, work, inputs, *masks):
        self.right.backward(theta, work, inputs, *masks)
        self.change(views(work.gradients, work.architecture), work)


@pytest.fixture
def bent(monkeypatch):
    """A model whose kernels give gradients that are changed: bent(change, cell, layers)."""
    real = kernels.get

    def make(change, cell="rnn", layers=1, m=5):
        monkeypatch.setattr(kernels, "get", lambda *which: Bent(real(*which), change))
        return CharRNN(m, cell=cell, layers=layers, vocabulary=TEXT, seed=2, init_std=0.3)

    return make


@pytest.mark.parametrize("trained", [0, 500])
def test_passes_small_networks(trained, level):
    model = CharRNN(4, seed=1, level=level)
    if trained:
        model.train(TEXT, updates=trained, progress=False, sample_every=None)
    report = model.gradcheck(TEXT, 25)
    assert report.passed
    assert report.max_relative < 1e-6
    assert len(report.rows) == 10


@pytest.mark.skipif(kernels.chosen() == "numpy", reason="takes a minute in NumPy")
@pytest.mark.parametrize(("m", "T", "trained"), [(60, 3, 0), (30, 25, 2000)])
def test_passes_larger_networks(m, T, trained):
    model = CharRNN(m, seed=1)
    if trained:
        model.train(TEXT, updates=trained, progress=False, sample_every=None)
    report = model.gradcheck(TEXT, T, progress=False)
    assert report.passed
    for row in report.rows:
        assert row.max_relative < 1e-6
        assert trained or row.max_absolute < 1e-7  # gradients of a trained network may be large


@pytest.mark.parametrize(
    ("level", "cell", "layers"), [(level, *kind) for level in kernels.available() for kind in KINDS if level != "numpy" or kind[1] == 1]
)
def test_passes_every_cell_with_masks(cell, layers, level):
    model = CharRNN(2, cell=cell, layers=layers, seed=4, init_std=0.5, level=level)
    report = model.gradcheck("a cat sat", 2, batch_size=3, dropout=0.4)
    assert report.passed, report
    assert report.max_relative < 1e-6
    assert len(report.rows) == 2 * len(model.network_for("a cat sat")[0].parameters)


@pytest.mark.parametrize(("m", "T", "B"), [(1, 1, 1), (3, 7, 3), (17, 2, 2)])
def test_passes_odd_sizes(m, T, B, level):
    model = CharRNN(m, seed=4, init_std=0.5, vocabulary=TEXT)
    report = gradcheck(model.network, model.corpus_of(TEXT), T, batch_size=B, level=level)
    assert report.passed, report
    K = len(set(TEXT))
    assert {row.name: row.entries for row in report.rows} == {"U": m * K, "W": m * m, "V": K * m, "b": m, "c": K}


@pytest.mark.parametrize(
    ("cell", "layers", "name"),
    [*(("rnn", 1, name) for name in NAMES), *(("lstm", 2, name) for name in ("layer1.U_i", "layer2.U_g", "layer2.W_o", "layer1.b_f", "V"))]
    + [("gru", 1, name) for name in ("b_hn", "W_n", "b_z")],
)
def test_one_wrong_entry_is_found(cell, layers, name, bent):
    first = int(first_window(Corpus.from_text(TEXT), 9, 1)[0][3, 0])  # the column of a character that occurs
    index = (2,) if "b" in name or name == "c" else (1, first) if name in ("U", "layer1.U_i") else (1, 2)

    def change(gradients, work):
        gradients[name][index] *= 1 + 1e-4

    report = bent(change, cell, layers, 3).gradcheck(TEXT, 9)
    assert not report.passed
    wrong = [row for row in report.rows if not row.passed]
    assert {row.name for row in wrong} == {name}
    for row in wrong:
        assert row.max_relative == pytest.approx(5e-5, rel=0.01)
        assert row.worst[0] == index[0]
        assert row.analytic == pytest.approx(row.numeric * (1 + 1e-4), rel=1e-5)
    assert f"d{name} is wrong" in str(report)


def test_a_dropped_initial_state_shows_from_a_random_state_only(bent):
    def change(gradients, work):
        m, h = work.m, work.states[0, 0]
        first = work.delta[1, :, :m] * (1 - h[1, :, :m] ** 2)  # da of the first step
        gradients["W"] -= first.T @ h[0, :, :m]

    rows = {(row.state, row.name): row.passed for row in bent(change, m=3).gradcheck(TEXT, 5, level="numpy").rows}
    assert rows.pop(("random", "W")) is False
    assert all(rows.values())


def test_a_gradient_that_is_no_number_is_wrong(bent):
    def change(gradients, work):
        gradients["b"][0] = np.nan

    report = bent(change, m=3).gradcheck(TEXT, 5)
    assert not report.passed
    assert next(row for row in report.rows if row.name == "b").max_relative == np.inf
    json.dumps(report.to_json(), allow_nan=False)


def test_the_model_is_not_touched():
    model = CharRNN(6, seed=5)
    model.gradcheck(TEXT, 5)
    with pytest.raises(SettingsError, match="no vocabulary"):
        model.vocabulary  # noqa: B018
    model.train(TEXT, updates=3, progress=False, sample_every=None)
    theta, random = model.theta.copy(), model.rng.bit_generator.state
    first = model.gradcheck(TEXT, 5)
    assert np.array_equal(theta, model.theta)
    assert model.rng.bit_generator.state == random
    assert model.gradcheck(TEXT, 5).to_json() == first.to_json()  # and the check itself is repeatable


def test_a_new_model_is_checked_as_it_would_start_to_learn():
    fresh = CharRNN(6, seed=5)
    loss = fresh.gradcheck(TEXT, 5).losses["zero"]
    history = fresh.train(TEXT, updates=1, seq_length=5, progress=False, sample_every=None)
    assert history.loss[0] == pytest.approx(loss, rel=1e-6)


def test_threads_make_no_difference():
    model = CharRNN(6, seed=5)
    assert model.gradcheck(TEXT, 9, threads=1).to_json() == model.gradcheck(TEXT, 9, threads=3).to_json()


@pytest.mark.parametrize(
    ("level", "kind", "masks"), covering(kernels.available(), [("rnn", 1), ("gru", 2), ("lstm", 2)], [NO_MASKS, MASKS])
)
def test_differences_are_those_of_the_kernels_loss(kind, masks, level):
    """The layers' by running the kernels, V and c without: both against a plain difference of summed losses."""
    made = network(*kind, 3, 5, level=level)
    x, y, state = window(made, 4, 2)
    measured = Differences(made, x, y, state, masks, 1e-3, 2, 1).all()
    rng = np.random.default_rng(0)
    assert set(measured) == set(made.parameters)
    for name, array in made.parameters.items():
        index = tuple(rng.integers(0, n) for n in array.shape)
        losses = []
        for h in (1e-3, -1e-3):
            other = made.copy()
            other.parameters[name][index] += h
            losses.append(other.loss_and_gradients(x, y, state, masks)[0])
        assert measured[name][index] == pytest.approx((losses[0] - losses[1]) / 2e-3, abs=1e-10), name


@pytest.mark.parametrize("masks", [NO_MASKS, MASKS], ids=["", "dropout"])
@pytest.mark.parametrize(("cell", "layers"), KINDS)
def test_complex_step(cell, layers, masks):
    made = network(cell, layers, 4, 5)
    x, y, state = window(made, 6, 3)
    gradients = made.loss_and_gradients(x, y, state, masks)[1]
    for block in blocks(made.architecture):
        expected = gradients[block.name]
        every = np.unravel_index(np.arange(expected.size), expected.shape)
        found = complex_step(made, x, y, state, masks, block, every).reshape(expected.shape)
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-13, err_msg=block.name)


def test_only_columns_of_symbols_in_the_window_are_run():
    made = network("lstm", 2, 4, 20)
    x, y, state = window(made, 6, 1)
    found = list(Differences(made, x, y, state, MASKS, 1e-3, 4, 1).symbols_that_matter())
    assert found == sorted(set(x.ravel().tolist()))


def test_relative_error():
    errors = relative_errors(np.array([1.0, 0.0, 1e-9, np.nan, -2.0]), np.array([1.1, 0.0, 0.0, 0.0, 2.0]), 1e-6)
    np.testing.assert_allclose(errors, [0.1 / 2.1, 0, 1e-3, np.inf, 1])


def test_cancellation_is_explained_and_passes():
    report = CharRNN(5, seed=1).gradcheck(TEXT, 10, step=1e-7, points=2)
    assert report.passed
    assert report.max_relative > 1e-6  # shown as measured
    assert any("no mistake in the gradient: two losses" in note for note in report.notes())
    assert max(row.after for row in report.rows) < 1e-9


def test_a_step_that_is_too_large_is_explained_and_passes():
    report = CharRNN(5, seed=1, init_std=0.5).gradcheck(TEXT, 10, step=0.1, points=2)
    assert report.passed
    assert any("h is so large" in note for note in report.notes())


def test_no_words_where_none_are_needed():
    assert CharRNN(5, seed=1).gradcheck(TEXT, 10).notes() == []


def test_the_report_says_all():
    report = CharRNN(5, seed=1).gradcheck(TEXT, 25)
    numbers = json.loads(json.dumps(report.to_json(), allow_nan=False))
    assert numbers["passed"] is True
    assert [(row["state"], row["name"]) for row in numbers["rows"]] == [(s, n) for s in ("zero", "random") for n in NAMES]
    text = str(report)
    for words in ("m=5", "T=25", "float64", "1e-06", "h_0 = 0", "random state", "worst entry", "max absolute", "All gradients pass"):
        assert words in text
    page = report._repr_html_()
    assert page.count("<table>") == 2
    assert "<script" not in page
    assert len(page) < 10_000


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"points": 3}, SettingsError, "points must be 2 or 4, got 3"),
        ({"step": 0}, SettingsError, "step"),
        ({"step": float("nan")}, SettingsError, "step"),
        ({"eps": -1}, SettingsError, "eps"),
        ({"threshold": "x"}, SettingsError, "threshold"),
        ({"seq_length": 0}, SettingsError, "seq_length"),
        ({"seq_length": 10**6}, TextError, "characters"),
        ({"batch_size": 0}, SettingsError, "batch_size"),
        ({"states": ("zero", "radnom")}, SettingsError, "random"),
        ({"states": ()}, SettingsError, "at least one"),
        ({"level": "v99"}, KernelsError, "v99"),
        ({"threads": 0}, SettingsError, "threads"),
        ({"seed": -1}, SettingsError, "seed"),
        ({"dropout": 1.0}, SettingsError, "dropout .* at most 0.99"),
    ],
)
def test_bad_arguments(arguments, error, words):
    with pytest.raises(error, match=words):
        CharRNN(5).gradcheck(TEXT, **arguments)


def test_a_network_of_nonsense_is_refused():
    model = CharRNN(5, vocabulary=TEXT)
    model.parameters["W"][0, 0] = np.nan
    with pytest.raises(NonFiniteError, match="loss of this model"):
        model.gradcheck(TEXT)


def test_one_state_alone():
    assert {row.state for row in CharRNN(5).gradcheck(TEXT, 5, states=["random"]).rows} == {"random"}


def test_the_initial_state_has_the_architecture_s_shape():
    made = network("lstm", 3, 4, 5)
    assert initial_state("random", made, 2, seed=1).shape == (3, 2, 2, 4)
    assert not initial_state("zero", made, 2, seed=1).any()
