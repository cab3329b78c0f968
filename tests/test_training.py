"""Training through the public API: what is computed, in what order, and that nothing but text, settings and seed matters."""

import math

import naive
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from charrnn import CharRNN, Corpus, NonFiniteError, TextError
from charrnn.network import kernels
from charrnn.training import trainer as training
from charrnn.training.plan import SCHEDULES, Settings

TEXT = "the tide comes in, the tide goes out; nobody asked the tide. " * 12
QUIET = {"progress": False, "sample_every": None}


def model(**options):
    return CharRNN(**({"hidden_size": 7, "dtype": "float64", "init_std": 0.3, "seed": 3} | options))


def bits(*networks):
    return [network.theta.tobytes() for network in networks]


def parameters(network):
    return {name: array.copy() for name, array in network.parameters.items()}


# ---- against plain NumPy ------------------------------------------------------------------------------------------

SETTINGS = [
    {"optimizer": "adagrad", "learning_rate": 0.1, "clip": 5.0},
    {"optimizer": "adagrad", "learning_rate": 0.02, "clip": 0.3, "batch_size": 3},
    {"optimizer": "adam", "learning_rate": 0.01, "clip": None, "loss_reduction": "mean"},
    {"optimizer": "adam", "learning_rate": 0.01, "clip": None, "beta1": 0.5, "beta2": 0.9, "batch_size": 2},
    {"optimizer": "adam", "learning_rate": 0.01, "clip": None, "input_rate": 7.0, "batch_size": 2},
    {"optimizer": "adagrad", "learning_rate": 0.05, "clip": 1.0, "input_rate": 3.0, "clip_norm": 2.0},
    {"optimizer": "rmsprop", "learning_rate": 0.01, "clip": None, "clip_norm": 0.7},
    {"optimizer": "sgd", "learning_rate": 0.01, "clip": 1.0, "clip_norm": 0.5, "beta1": 0.0},
    {"optimizer": "sgd", "learning_rate": 0.0005, "clip": None, "beta1": 0.9, "batch_size": 4},
]


@pytest.mark.parametrize("settings", SETTINGS, ids=lambda s: f"{s['optimizer']}-{len(s)}")
def test_the_same_as_plain_numpy(settings):
    """On every level."""
    start = model(vocabulary=TEXT)
    p = parameters(start)
    options = {k: math.inf if v is None else v for k, v in settings.items()}
    expected = naive.train(
        p,
        start.vocabulary.encode(TEXT),
        130,
        11,
        options.pop("batch_size", 1),
        options.pop("optimizer"),
        options.pop("learning_rate"),
        reduction=options.pop("loss_reduction", "sum"),
        **options,
    )
    unit = 11 * settings.get("batch_size", 1) if settings.get("loss_reduction") == "mean" else 1
    best = int(np.argmin([e[1] for e in expected]))
    for level in kernels.available():
        trained = model(level=level, vocabulary=TEXT)
        history = trained.train(TEXT, updates=130, seq_length=11, **settings, **QUIET)
        np.testing.assert_allclose(history.loss, [e[0] / unit for e in expected], rtol=1e-9, err_msg=level)
        np.testing.assert_allclose(history.smooth_loss, [e[1] / unit for e in expected], rtol=1e-9, err_msg=level)
        assert history.best_step == best + 1
        assert history.best_smooth_loss == history.smooth_loss[best]
        for name, array in p.items():
            np.testing.assert_allclose(trained.parameters[name], array, rtol=1e-7, atol=1e-9, err_msg=level)
            np.testing.assert_allclose(history.best.parameters[name], expected[best][2][name], rtol=1e-7, atol=1e-9, err_msg=level)


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_warmup_and_schedules(schedule):
    trained = model(vocabulary=TEXT)
    p = parameters(trained)

    def rate(step):
        if step <= 10:
            return 0.05 * step / 10
        part = (step - 11) / (60 - 10)
        return (
            0.05
            * {"constant": 1, "linear": 1 - part, "cosine": (1 + math.cos(math.pi * part)) / 2, "wsd": min(1, (1 - part) / 0.2)}[schedule]
        )

    settings = {"optimizer": "sgd", "beta1": 0.0, "clip": None, "learning_rate": 0.05, "schedule": schedule, "warmup": 10}
    history = trained.train(TEXT, updates=60, seq_length=5, **settings, **QUIET)
    expected = naive.train(p, trained.vocabulary.encode(TEXT), 60, 5, 1, "sgd", rate, beta1=0.0)
    np.testing.assert_allclose(history.loss, [e[0] for e in expected], rtol=1e-9)


def test_the_rate_falls_from_epoch_to_epoch():
    trained, text = model(vocabulary=TEXT), TEXT[:52]  # ten windows of five characters
    p = parameters(trained)
    settings = {"optimizer": "sgd", "beta1": 0.0, "clip": None, "learning_rate": 0.05, "decay": 0.5, "decay_after": 2}
    history = trained.train(text, updates=25, seq_length=5, **settings, **QUIET)
    history_2 = trained.train(text, updates=25, seq_length=5, **settings, **QUIET)
    expected = naive.train(
        p, trained.vocabulary.encode(text), 50, 5, 1, "sgd", lambda u: 0.05 * 0.5 ** max(0, (u - 1) // 10 - 2), beta1=0.0
    )
    np.testing.assert_allclose([*history.loss, *history_2.loss], [e[0] for e in expected], rtol=1e-9)


def test_states_are_reset_by_chance(level):
    trained = model(vocabulary=TEXT, cell="lstm", level=level)
    settings = {"optimizer": "sgd", "learning_rate": 1e-30, "seq_length": 5, "batch_size": 2, **QUIET}
    losses = [trained.copy().train(TEXT, updates=12, state_reset=p, **settings).loss for p in (0.0, 0.5, 1.0)]
    ids = trained.vocabulary.encode(TEXT)
    lanes = ids[: len(ids) // 2], ids[len(ids) // 2 :]
    fresh = [sum(trained.loss_and_gradients(lane[i : i + 5], lane[i + 1 : i + 6])[0] for lane in lanes) for i in range(0, 60, 5)]
    np.testing.assert_allclose(losses[2], fresh, rtol=1e-5)
    assert (losses[0] != losses[2]).sum() == 11  # all but the first
    reset = Settings(state_reset=0.5).resets(1, 12, trained.seed)
    assert 0 < reset[1:].sum() < 11
    assert ((losses[1] == losses[2]) >= reset).all()


@given(st.integers(0, 2**63), st.integers(1, 10**9), st.integers(0, 20), st.integers(0, 20))
def test_which_states_are_reset_does_not_depend_on_chunks(seed, first, a, b):
    s = Settings(state_reset=0.3)
    parts = [*s.resets(first, a, seed), *s.resets(first + a, b, seed)]
    assert parts == s.resets(first, a + b, seed).tolist()


def test_the_average_of_the_parameters_is_what_is_validated_and_the_best():
    def trained(updates, **more):
        network = model(vocabulary=TEXT)
        return network, network.train(TEXT, updates=updates, seq_length=5, warmup=15, validation=TEXT[:90], **more, **QUIET)

    average = None
    for step in range(20, 101, 10):  # it begins after the warm-up
        theta = trained(step)[0].theta
        average = theta.copy() if average is None else average + (theta - average) * (1 - 0.9**10)
    network, history = trained(100, average=0.9, validate_every=100)
    np.testing.assert_array_equal(network.theta, theta)
    np.testing.assert_allclose(history.best.theta, average, rtol=1e-12, atol=1e-12)
    assert history.validation[-1].loss == history.best.evaluate(TEXT[:90]).loss
    assert network.train(TEXT, 1, **QUIET).best.run.settings.average == 0.9


def test_the_best_model_is_found_where_it_lies_in_the_middle():
    """An easy text that becomes a hard one: the lowest smooth loss is neither at the start nor at the end."""
    text = "ab" * 1000 + "".join(np.random.default_rng(0).choice(list("abcdefghij"), 1001))
    trained = model(vocabulary=text)
    p = parameters(trained)
    history = trained.train(text, updates=300, seq_length=10, learning_rate=0.01, **QUIET)
    expected = naive.train(p, trained.vocabulary.encode(text), 300, 10, 1, "adagrad", 0.01, clip=5)
    best = int(np.argmin([e[1] for e in expected]))
    assert 150 < best < 290
    assert history.best_step == best + 1
    np.testing.assert_allclose(history.best.parameters["W"], expected[best][2]["W"], rtol=1e-9)
    assert not np.shares_memory(history.best.theta, trained.theta)


# ---- walking the text -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rotate", [False, True])
@pytest.mark.parametrize(("T", "B", "N"), [(5, 1, 51), (5, 1, 50), (5, 3, 100), (7, 2, 16), (10, 1, 11)])
def test_windows_follow_each_other_to_the_end_of_the_text(T, B, N, rotate, chunks):
    seen = []

    class Watched:
        """The kernels, with every window that they are given written down."""

        def __init__(self, real):
            self.real = real

        def __getattr__(self, name):
            return getattr(self.real, name)

        def train(self, theta, slots, work, inputs, targets, resets, *rest):
            seen.extend(zip(inputs.copy(), targets.copy(), resets.copy(), strict=True))
            return self.real.train(theta, slots, work, inputs, targets, resets, *rest)

    text = (TEXT * 3)[:N]
    trained = model(vocabulary=TEXT)
    trained.network.kernels = Watched(trained.kernels)
    history = trained.train(text, updates=37, seq_length=T, batch_size=B, rotate=rotate, **QUIET)
    ids = trained.vocabulary.encode(text)
    stream, epoch = N // B, -1
    lanes = ids[: N // B * B].reshape(B, N // B).T
    walked = list(naive.windows(N, T, B, 37))
    assert len(seen) == 37
    for (e, begins), (x, y, reset) in zip(walked, seen, strict=True):
        epoch += begins
        offsets = Settings(batch_size=B, rotate=rotate).offsets(np.array([epoch]), stream, trained.seed)[0]
        rolled = np.column_stack([np.roll(lane, -offset) for lane, offset in zip(lanes.T, offsets, strict=True)])
        assert (x == rolled[e : e + T]).all()
        assert (y == rolled[e + 1 : e + T + 1]).all()
        assert reset == begins
    assert history.epoch_steps == [step for step, (_, begins) in enumerate(walked, 1) if begins]


def test_with_rotate_epochs_begin_anywhere_but_the_first():
    s, epochs = Settings(batch_size=5, rotate=True), np.arange(2000)
    offsets = s.offsets(epochs, 100, seed=3)
    assert (offsets[0] == 0).all()
    counts = np.bincount(offsets[1:].ravel(), minlength=100)
    assert len(counts) == 100
    assert (abs(counts - 100) < 50).all()
    assert abs(np.corrcoef(offsets[1:].T)[0, 1:]).max() < 0.1  # the streams do not go together
    assert (s.offsets(epochs[[7, 4]], 100, seed=3) == offsets[[7, 4]]).all()
    assert (s.offsets(epochs[1:], 100, seed=4) != offsets[1:]).mean() > 0.9


def test_a_model_that_begins_to_rotate_begins_the_text_anew():
    trained = model(vocabulary=TEXT)
    history = [trained.train(TEXT, updates=3, seq_length=5, rotate=rotate, **QUIET) for rotate in (False, False, True)]
    assert [h.epoch_steps for h in history] == [[1], [], [7]]


def test_epochs_are_as_many_windows_as_the_text_has():
    assert len(model().train(TEXT[:51], epochs=3, seq_length=5, **QUIET)) == 30
    assert len(model().train(TEXT[:50], epochs=3, seq_length=5, **QUIET)) == 27
    assert len(model().train(TEXT[:51], epochs=0.5, seq_length=5, **QUIET)) == 5
    assert len(model().train(TEXT[:51], epochs=0.001, seq_length=5, **QUIET)) == 1


def test_losses_are_said_per_window_and_per_character():
    history = model().train(TEXT, updates=5, seq_length=10, batch_size=2, **QUIET)
    assert history.loss_per_char == pytest.approx(history.loss / 20)
    assert history.expected_first_loss == pytest.approx(20 * math.log(len(set(TEXT))))
    mean = model().train(TEXT, updates=5, seq_length=10, batch_size=2, loss_reduction="mean", **QUIET)
    assert mean.loss[0] == pytest.approx(history.loss[0] / 20)
    assert mean.loss_per_char[0] == pytest.approx(mean.loss[0])
    assert mean.expected_first_loss == pytest.approx(math.log(len(set(TEXT))))


def test_the_default_is_100_000_updates_of_the_lab():
    settings = Settings()
    assert settings.total(1000) == 100_000
    assert (settings.seq_length, settings.optimizer, settings.learning_rate, settings.clip) == (25, "adagrad", 0.1, 5.0)


# ---- samples, validation, events ------------------------------------------------------------------------------------


def test_samples_come_before_the_first_and_every_nth_update(chunks):
    trained = model()
    history = trained.train(TEXT, updates=40, seq_length=5, sample_every=10, sample_length=13, progress=False)
    assert [sample.step for sample in history.samples] == [1, 10, 20, 30, 40]
    assert all(len(sample.text) == 13 for sample in history.samples)
    assert math.isnan(history.samples[0].smooth_loss)
    assert history.samples[1].smooth_loss == history.smooth_loss[8]
    assert history.samples[1].loss_per_char == pytest.approx(history.smooth_loss[8] / 5)
    again = trained.train(TEXT, updates=20, seq_length=5, sample_every=10, sample_length=13, progress=False)
    assert [sample.step for sample in again.samples] == [50, 60]


def test_a_sample_starts_from_the_carried_state_and_the_first_character_of_the_window():
    trained = model()
    trained.train(TEXT, updates=9, seq_length=5, **QUIET)
    ids = trained.vocabulary.encode(TEXT)
    rng = np.random.Generator(np.random.PCG64())
    rng.bit_generator.state = trained.rng.bit_generator.state
    uniforms, p = rng.random(13), parameters(trained)
    h, x, text = trained.run.state[0, 0, 0, :7].copy(), ids[45], ""
    for u in uniforms:
        h = np.tanh(p["W"] @ h + p["U"][:, x] + p["b"])
        o = np.exp(p["V"] @ h + p["c"])
        x = int(np.searchsorted(np.cumsum(o / o.sum()), u))
        text += trained.vocabulary.characters[x]
    history = trained.train(TEXT, updates=1, seq_length=5, sample_every=10, sample_length=13, progress=False)
    assert [(sample.step, sample.text) for sample in history.samples] == [(10, text)]


def test_validation_is_evaluated_on_time_and_at_the_end(chunks):
    held_out = TEXT[:200]
    trained = model()
    history = trained.train(TEXT, updates=25, validation=held_out, validate_every=10, **QUIET)
    assert [result.step for result in history.validation] == [10, 20, 25]
    assert history.validation[-1].loss == trained.evaluate(held_out).loss
    assert [r.step for r in model().train(TEXT, updates=50, validation=held_out, **QUIET).validation] == [*range(2, 51, 2)]
    trained = model()
    history = trained.train(TEXT, updates=5, batch_size=3, validation=held_out, **QUIET)
    assert history.validation[-1].loss == trained.evaluate(held_out, batch_size=3).loss


def test_events_come_in_order_and_can_stop_the_run():
    events = []

    def stop_at_30(event):
        events.append((event.kind, event.done))
        return event.done >= 30

    history = model().train(TEXT, updates=1000, seq_length=5, sample_every=10, progress=False, callbacks=[stop_at_30])
    assert events[:3] == [("start", 0), ("sample", 0), ("progress", 1)]
    assert events[-2:] == [("progress", 39), ("end", 39)] or events[-1] == ("end", len(history))
    assert 30 <= len(history) < 1000
    assert not history.interrupted


def test_a_callback_may_look_at_and_use_the_model():
    def use(event):
        event.model.synthesize(5, seed=1)
        event.model.evaluate("the tide")
        event.model.copy().train(TEXT, updates=1, **QUIET)

    plain, watched = model(), model()
    plain.train(TEXT, updates=50, **QUIET)
    watched.train(TEXT, updates=50, callbacks=[use], **QUIET)
    assert bits(plain) == bits(watched)


def test_what_a_callback_changes_is_what_training_goes_on_with():
    def zero(event):
        if event.kind == "start":
            event.model.parameters["W"][:] = 0

    changed, other = model(vocabulary=TEXT), model(vocabulary=TEXT)
    other.parameters["W"][:] = 0
    changed.train(TEXT, updates=10, callbacks=[zero], **QUIET)
    other.train(TEXT, updates=10, **QUIET)
    assert bits(changed) == bits(other)


# ---- going on -------------------------------------------------------------------------------------------------------


def test_a_second_call_goes_on_where_the_first_ended():
    whole, parts = model(), model()
    history = whole.train(TEXT, updates=300, **QUIET)
    first = parts.train(TEXT, updates=100, **QUIET)
    second = parts.train(TEXT, updates=200, **QUIET)
    assert bits(whole, history.best) == bits(parts, second.best)
    assert (np.concatenate([first.loss, second.loss]) == history.loss).all()
    assert (np.concatenate([first.smooth_loss, second.smooth_loss]) == history.smooth_loss).all()
    assert (second.first_step, second.best_step) == (101, history.best_step)
    assert first.best_step <= 100


def test_another_text_opens_an_epoch_and_keeps_the_vocabulary():
    trained = model()
    trained.train(TEXT, updates=20, **QUIET)
    history = trained.train(TEXT[::-1], updates=20, **QUIET)
    assert history.epoch_steps[0] == 21
    with pytest.raises(TextError, match="'Q'"):
        trained.train("QQQ" * 50, updates=5, **QUIET)


@pytest.mark.parametrize("how", ["train", "resume"])
def test_another_text_has_a_best_model_of_its_own(how, tmp_path):
    """What was lowest on an easy text is no model of a hard one."""
    hard = "".join(np.random.default_rng(1).permutation(list(TEXT)))
    if how == "train":
        trained = model()
        trained.train(TEXT, updates=600, **QUIET)
        history = trained.train(hard, updates=300, **QUIET)
    else:
        plan = {"updates": 900, "checkpoint": tmp_path, "checkpoint_every": 600}
        model().train(TEXT, callbacks=[lambda event: event.done == 600], **plan, **QUIET)
        trained, history = CharRNN.resume(tmp_path, hard, progress=False, allow_other_text=True)
    assert 600 < history.best_step <= 900
    assert history.best_smooth_loss == history.smooth_loss[-300:].min()
    assert history.best.evaluate(hard).loss < 1.2 * trained.evaluate(hard).loss


def test_another_optimizer_starts_with_fresh_memories():
    trained = model()
    trained.train(TEXT, updates=50, **QUIET)
    fresh = model(vocabulary=trained.vocabulary)
    fresh.theta[:] = trained.theta
    trained.train(TEXT[100:], updates=30, optimizer="adam", learning_rate=0.01, **QUIET)
    fresh.train(TEXT[100:], updates=30, optimizer="adam", learning_rate=0.01, **QUIET)
    assert bits(trained) == bits(fresh)


def test_smooth_loss_goes_on_in_the_new_windows_unit():
    trained = model()
    first = trained.train(TEXT, updates=50, seq_length=10, **QUIET)
    second = trained.train(TEXT, updates=1, seq_length=20, **QUIET)
    assert second.smooth_loss[0] == pytest.approx(0.999 * 2 * first.smooth_loss[-1] + 0.001 * second.loss[0])


def test_a_corpus_and_raw_bytes_are_learned_alike():
    texts = (TEXT, Corpus.from_text(TEXT))
    networks = [model() for _ in texts]
    for network, text in zip(networks, texts, strict=True):
        network.train(text, updates=20, **QUIET)
    assert bits(networks[0]) == bits(networks[1])
    raw = model()
    history = raw.train(TEXT.encode(), updates=20, sample_every=10, progress=False)
    assert isinstance(history.samples[0].text, bytes)
    assert isinstance(raw.synthesize(10), bytes)
    assert bits(raw) == bits(networks[0])


# ---- numbers that go wrong ------------------------------------------------------------------------------------------

OVERFLOWS = pytest.mark.filterwarnings("ignore::RuntimeWarning")  # which NumPy says aloud
WILD = {"learning_rate": 1e37, "clip": None, "seq_length": 6, "progress": False, "sample_every": 500}


@OVERFLOWS
def test_a_loss_that_is_not_finite_stops_with_the_place_and_a_sound_model():
    trained = model(dtype="float32")
    with pytest.raises(NonFiniteError, match=r"update \d+, characters [\d,]+ to [\d,]+ of the text, '.*update 0.*1e\+37"):
        trained.train(TEXT, updates=1000, **WILD)
    assert np.isfinite(trained.theta).all()
    assert math.isfinite(trained.evaluate(TEXT).loss)
    trained.train(TEXT, updates=10, **QUIET)


def test_the_last_sound_state_is_that_of_the_last_thousandth_update():
    trained, expected = model(), model()
    expected.train(TEXT, updates=2000, seq_length=6, **QUIET)

    def break_at(event):
        if (event.kind, event.done) == ("progress", 2500):
            event.model.parameters["W"][0, 0] = np.nan

    with pytest.raises(NonFiniteError, match=r"nan at update 2,501, .* after update 2,000\."):
        trained.train(TEXT, updates=5000, seq_length=6, sample_every=2501, progress=False, sample_length=1, callbacks=[break_at])
    assert bits(trained) == bits(expected)
    assert bits(trained.best())


def test_a_wrong_number_that_no_window_shows_is_found_at_the_next_look():
    text = "ab" * 100
    trained = model(vocabulary="abc", dtype="float32")

    def break_it(event):
        if event.kind == "start":
            event.model.parameters["U"][:, 2] = np.inf  # the column of a character that never comes

    with pytest.raises(NonFiniteError, match="a parameter is not finite at update 1,000"):
        trained.train(text, updates=3000, seq_length=5, callbacks=[break_it], **QUIET)
    assert np.isfinite(trained.theta).all()


def test_a_model_that_is_no_good_from_the_start_is_refused():
    trained = model(vocabulary=TEXT)
    trained.parameters["V"][0, 0] = np.nan
    with pytest.raises(NonFiniteError, match="before the first update"):
        trained.train(TEXT, updates=10, **QUIET)


def test_a_loss_too_large_to_be_added_is_found():
    trained = model(vocabulary=TEXT)
    trained.parameters["c"][:] = np.where(np.arange(len(trained.vocabulary)) % 2, 1e308, -1e308)
    with pytest.raises(NonFiniteError, match="the loss of the next window is inf before the first update"):
        trained.train(TEXT, updates=10, **QUIET)


@OVERFLOWS
def test_rescue_halves_the_rate_and_goes_on():
    notes = []
    trained = model(dtype="float32")
    history = trained.train(TEXT, updates=1500, rescue=True, **WILD, callbacks=[lambda e: notes.append(e.note) if e.note else None])
    assert len(history) == 1500
    assert np.isfinite(history.loss).all()
    assert math.isfinite(trained.evaluate(TEXT).loss)
    assert history.notes == notes
    assert "above the 3.00 of a uniform prediction" in next(note for note in history.notes if "half the" not in note)
    assert "5e+36" in next(note for note in history.notes if "half the" in note)
    assert len(history.rescues) == trained.run.rescues > 0
    assert history.rescues == sorted(history.rescues)


@pytest.fixture(scope="module")
def rescued():
    with np.errstate(all="ignore"):
        return rescued_run()


def rescued_run():
    trained = model(dtype="float32")
    history = trained.train(TEXT, updates=2200, rescue=True, **WILD)
    return bits(trained, history.best), history.loss.tobytes(), [s.text for s in history.samples], history.notes


@OVERFLOWS
def test_a_rescued_run_gives_the_same_bits_for_any_chunking(chunks, rescued):
    assert rescued[3]
    assert rescued_run() == rescued


@OVERFLOWS
def test_rescue_gives_up_in_the_end(monkeypatch):
    monkeypatch.setattr(training, "MOST_RESCUES", 1)
    with pytest.raises(NonFiniteError, match="after 1 rescues"):
        model(dtype="float32").train(TEXT, updates=1000, rescue=True, **(WILD | {"learning_rate": 3e38}))
