"""Dropout: how much it drops, how it scales, where it is off, and that seed and update alone decide."""

import math

import numpy as np
import pytest
from networks import network, window

from charrnn import CharRNN, SettingsError
from charrnn.network.dropout import Masks, candidates_kept, dropout_mask

TEXT = "the tide comes in, the tide goes out; nobody asked the tide. " * 12
PLAN = {"updates": 30, "seq_length": 7, "batch_size": 3, "progress": False, "sample_every": None}


@pytest.mark.parametrize("rate", [0.01, 0.25, 0.5, 0.9])
def test_the_share_dropped_and_the_scale_of_the_rest(rate):
    mask = dropout_mask(rate, seed=3, update=5, layer=1, shape=(40, 20, 250))
    n = mask.size
    assert set(np.unique(mask)) == {0, 1 / (1 - rate)}
    assert (mask == 0).mean() == pytest.approx(rate, abs=5 * math.sqrt(rate * (1 - rate) / n))
    assert mask.mean() == pytest.approx(1, abs=5 * math.sqrt(rate / (1 - rate) / n))
    for axis in range(3):  # no step, lane or unit that is dropped more than others
        others = tuple(i for i in range(3) if i != axis)
        share = (mask == 0).mean(others)
        assert np.abs(share - rate).max() < 6 * math.sqrt(rate * (1 - rate) * len(share) / n)


def test_units_steps_lanes_layers_updates_and_seeds_are_dropped_independently():
    base = dropout_mask(0.5, seed=1, update=2, layer=0, shape=(30, 10, 100)) > 0
    assert (base == (dropout_mask(0.5, 1, 2, 0, (30, 10, 100)) > 0)).all()
    others = [dropout_mask(0.5, *key, (30, 10, 100)) > 0 for key in ((2, 2, 0), (1, 3, 0), (1, 2, 1), (2, 1, 0), (0, 0, 0))]
    others += [np.roll(base, 1, axis) for axis in range(3)]
    for other in others:
        assert (base == other).mean() == pytest.approx(0.5, abs=5 * 0.5 / math.sqrt(base.size))


def test_a_mask_does_not_depend_on_the_window_s_size():
    large = dropout_mask(0.3, 1, 2, 0, (9, 5, 20))
    assert (dropout_mask(0.3, 1, 2, 0, (4, 2, 11)) == large[:4, :2, :11]).all()
    single = dropout_mask(0.3, 1, 2, 0, (4, 2, 11), np.float32)
    assert single.dtype == np.float32
    assert ((single > 0) == (large[:4, :2, :11] > 0)).all()


def test_kernels_drop_what_the_mask_says(level):
    made = network("gru", 2, 11, 5, level=level)
    x, y, state = window(made, 6, 3)
    work = made.workspace(6, 3, dropout=True)
    work.states[:, :, 0, :, :11] = state
    made.kernels.forward(made.theta, work, x, y, 1.0, True, 0.4, 7, 3)
    for layer in range(2):
        mask = dropout_mask(0.4, 7, 3, layer, (6, 3, 11))
        np.testing.assert_allclose(work.dropped[layer, :, :, :11], work.states[layer, 0, 1:, :, :11] * mask, rtol=1e-15)
    plain = made.workspace(6, 3)
    plain.states[:, :, 0, :, :11] = state
    made.kernels.forward(made.theta, plain, x, y)
    np.testing.assert_allclose(work.states[0], plain.states[0], rtol=1e-13)  # what is carried on in time is dropped nowhere
    assert np.abs(work.states[1] - plain.states[1]).max() > 0.01


@pytest.mark.parametrize(("cell", "layers", "m"), [("gru", 1, 11), ("lstm", 2, 300)])
def test_a_candidate_that_is_dropped_leaves_the_state_as_the_other_gates_say(cell, layers, m, level):
    made = network(cell, layers, m, 5, level=level)
    x, y, state = window(made, 6, 3)
    work = made.workspace(6, 3)
    work.states[:, :, 0, :, :m] = state
    masks = Masks(seed=7, update=3, recurrent_dropout=0.4)
    made.kernels.forward(made.theta, work, x, y, 1.0, True, *masks)
    for layer in range(layers):
        before, after = work.states[layer, -1, :-1, :, :m], work.states[layer, -1, 1:, :, :m]  # GRU: h; LSTM: c
        first, keeps, candidate, _ = np.moveaxis(work.gates[layer, ..., :m], 2, 0)  # GRU: r, z, n; LSTM: i, f, g
        mask = candidates_kept(masks, layer, made.architecture, 6, 3)
        dropped = mask == 0
        assert 0.3 < dropped.mean() < 0.5
        np.testing.assert_allclose(after[dropped], (keeps * before)[dropped], rtol=1e-14, atol=1e-300)
        written = (1 - keeps if cell == "gru" else first) * candidate / 0.6
        np.testing.assert_allclose(after[~dropped], (keeps * before + written)[~dropped], rtol=1e-12, atol=1e-14)


def test_a_vanilla_network_has_no_candidate():
    with pytest.raises(
        SettingsError,
        match=r"recurrent_dropout 0.2 drops what a gated cell would write .* take cell 'gru' or 'lstm', or recurrent_dropout 0",
    ):
        CharRNN(5).train(TEXT, recurrent_dropout=0.2, **PLAN)
    with pytest.raises(SettingsError, match=r"recurrent_dropout 0.2 drops what a gated cell would write"):
        CharRNN(5).gradcheck(TEXT, 5, recurrent_dropout=0.2)


@pytest.mark.parametrize("cell", ["rnn", "lstm"])
def test_it_is_off_where_a_model_is_used(cell, level):
    trained = CharRNN(11, cell=cell, layers=2, seed=2, level=level)
    more = {} if cell == "rnn" else {"recurrent_dropout": 0.3}
    history = trained.train(TEXT, dropout=0.5, validation=TEXT[:200], **more, **PLAN)
    fresh = CharRNN(11, cell=cell, layers=2, seed=9, vocabulary=trained.vocabulary, level=level)
    fresh.theta[:] = trained.theta
    assert history.validation[-1].loss == fresh.evaluate(TEXT[:200], batch_size=3).loss
    assert trained.losses(TEXT).tobytes() == fresh.losses(TEXT).tobytes()
    assert trained.synthesize(50, seed=1, start="zero") == fresh.synthesize(50, seed=1)
    ids = [0, 1, 2], [1, 2, 3]
    assert trained.loss_and_gradients(*ids)[0] == fresh.loss_and_gradients(*ids)[0]


def losses(seed=1, start=0, **options):
    """Of runs that differ in nothing but what is said here: the learning rate is too small to matter."""
    made = CharRNN(11, layers=2, seed=5, dtype="float64", init="scaled", vocabulary=TEXT)
    made.settings = type(made.settings)(**(vars(made.settings) | {"seed": seed}))
    made.network.settings = made.settings
    plan = {"optimizer": "sgd", "beta1": 0.0, "learning_rate": 1e-300, "seq_length": 7, "sample_every": None, "progress": False}
    if start:
        made.train(TEXT, updates=start, **plan)
    text = TEXT if not start else TEXT + " "  # another text begins anew, with the same windows
    return made.train(text, **({"updates": 4, "dropout": 0.5} | plan | options)).loss


def test_each_update_drops_others_and_the_seed_decides():
    plain, first = losses(dropout=0.0), losses()
    assert (first == losses()).all()
    assert (np.abs(first - plain) > 1e-3).all()
    assert (np.abs(losses(seed=2) - first) > 1e-6).all()
    assert (np.abs(losses(start=4) - first) > 1e-6).all()  # updates 5 to 8 read the same windows
    assert (losses(start=4, dropout=0.0) == plain).all()
    unlike = losses(dropout=0.25)
    assert (np.abs(unlike - first) > 1e-6).all()


@pytest.mark.parametrize("seed", [0, 2**63, 2**64 - 1, 2**70])
def test_every_seed_that_a_model_may_have(seed, level):
    made = CharRNN(5, seed=seed, level=level)
    assert np.isfinite(made.train(TEXT, dropout=0.5, **PLAN).loss).all()
    assert made.gradcheck("so it goes, so it goes", 3, dropout=0.5, seed=seed).passed


@pytest.mark.parametrize("rate", [1.0, -0.1, math.nan, "x", True, None])
def test_rates_that_make_no_sense_are_refused(rate):
    for name in ("dropout", "recurrent_dropout", "weight_drop"):
        with pytest.raises(SettingsError, match=f"{name} must be"):
            CharRNN(5, cell="gru").train(TEXT, **{name: rate}, **PLAN)
