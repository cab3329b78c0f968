"""The gradient check: it passes what is right, finds what is wrong, and says what it measured."""

import json

import numpy as np
import pytest

from charrnn import CharRNN, KernelsError, NonFiniteError, SettingsError, TextError
from charrnn.gradients.check import Differences, complex_step, gradcheck, initial_state, window
from charrnn.gradients.report import relative_errors
from charrnn.network import kernels
from charrnn.network.parameters import named_views

NAMES = "UWVbc"
TEXT = "She sells sea shells by the sea shore; the shells she sells are sea shells, I'm sure. " * 4


class Bent:
    """Kernels whose backward pass is changed: change(gradients by name, workspace)."""

    def __init__(self, change):
        self.right, self.change = kernels.get(), change

    def __getattr__(self, name):
        return getattr(self.right, name)

    def backward(self, theta, work, inputs):
        self.right.backward(theta, work, inputs)
        self.change(named_views(work.gradients, work.m, work.K), work)


def bent(change, m=5):
    model = CharRNN(m, vocabulary=TEXT, seed=2, init_std=0.3)
    model.kernels = Bent(change)
    return model


@pytest.mark.parametrize("trained", [0, 2000])
def test_passes_small_networks(trained, level):
    model = CharRNN(5, seed=1, level=level)
    if trained:
        model.train(TEXT, updates=trained, progress=False, sample_every=None)
    report = model.gradcheck(TEXT, 25)
    assert report.passed
    assert report.max_relative < 1e-6
    assert len(report.rows) == 10


@pytest.mark.parametrize("trained", [0, 2000])
def test_passes_the_lab_size(trained):
    model = CharRNN(100, seed=1)
    if trained:
        model.train(TEXT, updates=trained, progress=False, sample_every=None)
    report = model.gradcheck(TEXT, 25, progress=False)
    assert report.passed
    for row in report.rows:
        assert row.max_relative < 1e-6
        assert trained or row.max_absolute < 1e-7  # gradients of a trained network may be large


@pytest.mark.parametrize(("m", "T", "B"), [(1, 1, 1), (3, 7, 3), (17, 2, 2)])
def test_passes_odd_sizes(m, T, B, level):
    report = gradcheck(CharRNN(m, seed=4, init_std=0.5), TEXT, T, batch_size=B, level=level)
    assert report.passed, report
    K = len(set(TEXT))
    assert {row.name: row.entries for row in report.rows} == {"U": m * K, "W": m * m, "V": K * m, "b": m, "c": K}


@pytest.mark.parametrize("name", NAMES)
def test_one_wrong_entry_is_found(name):
    index = (1, 2) if name in "UWV" else (2,)

    def change(gradients, work):
        x = index if name != "U" else (1, int(window(bent(lambda g, w: None), TEXT, 25, 1)[1][3, 0]))
        gradients[name][x] *= 1 + 1e-4

    report = bent(change).gradcheck(TEXT, 25)
    assert not report.passed
    wrong = [row for row in report.rows if not row.passed]
    assert {row.name for row in wrong} == {name}
    for row in wrong:
        assert row.max_relative == pytest.approx(5e-5, rel=0.01)
        assert row.worst[0] == index[0]
        assert row.analytic == pytest.approx(row.numeric * (1 + 1e-4), rel=1e-5)
    assert f"d{name} is wrong" in str(report)


def test_a_dropped_initial_state_shows_from_a_random_state_only():
    def change(gradients, work):
        gradients["W"] -= work.delta[0, :, : work.m].T @ work.hidden[0, :, : work.m]

    rows = {(row.state, row.name): row.passed for row in bent(change).gradcheck(TEXT, 25).rows}
    assert rows.pop(("random", "W")) is False
    assert all(rows.values())


def test_a_gradient_that_is_no_number_is_wrong():
    def change(gradients, work):
        gradients["b"][0] = np.nan

    report = bent(change).gradcheck(TEXT, 10)
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
    checked = window(CharRNN(6, seed=5), TEXT, 5, 1)[0]
    fresh = CharRNN(6, seed=5)
    fresh.train(TEXT, updates=1, learning_rate=1e-30, progress=False, sample_every=None)
    assert np.array_equal(checked.parameters["W"], fresh.parameters["W"])


def test_threads_make_no_difference():
    model = CharRNN(6, seed=5)
    assert model.gradcheck(TEXT, 9, threads=1).to_json() == model.gradcheck(TEXT, 9, threads=3).to_json()


@pytest.mark.parametrize("B", [1, 3])
def test_differences_are_those_of_the_kernels_loss(B, level):
    """U, W and b by running the kernels, V and c without: both against a plain difference of summed losses."""
    model, x, y = window(CharRNN(4, seed=1, init_std=0.4), TEXT, 6, B, level)
    state = initial_state("random", B, 4, 0)
    measured = Differences(model, x, y, state, 1e-3, 2, 1).all()
    rng = np.random.default_rng(0)
    for name in NAMES:
        for _ in range(6):
            index = tuple(rng.integers(0, n) for n in model.parameters[name].shape)
            losses = []
            for h in (1e-3, -1e-3):
                other = model.copy()
                other.parameters[name][index] += h
                losses.append(other.loss_and_gradients(x, y, state)[0])
            assert measured[name][index] == pytest.approx((losses[0] - losses[1]) / 2e-3, abs=1e-10)


@pytest.mark.parametrize("name", NAMES)
def test_complex_step(name):
    model, x, y = window(CharRNN(4, seed=1, init_std=0.4), TEXT, 6, 3)
    state = initial_state("random", 3, 4, 0)
    expected = model.loss_and_gradients(x, y, state)[1][name]
    every = np.unravel_index(np.arange(expected.size), expected.shape)
    found = complex_step(model.parameters, x, y, state, name, every).reshape(expected.shape)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-13)


def test_only_columns_of_symbols_in_the_window_are_run():
    model, x, y = window(CharRNN(4, seed=1), TEXT, 6, 1)
    found = list(Differences(model, x, y, np.zeros((1, 4)), 1e-3, 4, 1).symbols_that_matter())
    assert found == sorted(set(x.ravel().tolist()))


def test_relative_error():
    errors = relative_errors(np.array([1.0, 0.0, 1e-9, np.nan, -2.0]), np.array([1.1, 0.0, 0.0, 0.0, 2.0]), 1e-6)
    np.testing.assert_allclose(errors, [0.1 / 2.1, 0, 1e-3, np.inf, 1])


def test_cancellation_is_explained_and_passes():
    report = CharRNN(5, seed=1).gradcheck(TEXT, 25, step=1e-7, points=2)
    assert report.passed
    assert report.max_relative > 1e-6  # shown as measured
    assert any("no mistake in the gradient: two losses" in note for note in report.notes())
    assert max(row.after for row in report.rows) < 1e-9


def test_a_step_that_is_too_large_is_explained_and_passes():
    report = CharRNN(5, seed=1, init_std=0.5).gradcheck(TEXT, 25, step=0.1, points=2)
    assert report.passed
    assert any("h is so large" in note for note in report.notes())


def test_no_words_where_none_are_needed():
    assert CharRNN(5, seed=1).gradcheck(TEXT, 25).notes() == []


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
