"""Text, settings and seed alone decide every bit: not how updates are cut into chunks, nor threads, kills, samples or callbacks."""

import numpy as np
import pytest

from charrnn import CharRNN
from charrnn.network import kernels

TEXT = "the tide comes in, the tide goes out; nobody asked the tide. " * 12
KINDS = {
    "rnn": {"updates": 1100},
    "rnn-lanes": {"batch_size": 3, "layers": 2, "dropout": 0.3, "optimizer": "rmsprop", "learning_rate": 0.01},
    "gru": {"cell": "gru", "layers": 2, "dropout": 0.2, "recurrent_dropout": 0.3, "optimizer": "adam", "learning_rate": 0.01},
    "lstm": {"cell": "lstm", "layers": 2, "dropout": 0.4, "recurrent_dropout": 0.2, "batch_size": 5, "clip_norm": 0.5},
}


def run(kind, level=None, **options):
    """A model trained so, and all that must be the same."""
    settings = {"updates": 120, "seq_length": 6, "sample_every": 50, "sample_length": 30, "progress": False} | KINDS[kind]
    network = {name: settings.pop(name) for name in ("cell", "layers") if name in settings}
    trained = CharRNN(9, seed=3, init_std=0.3, level=level, **network)
    history = trained.train(TEXT, **(settings | options))
    return trained, outcome(trained, history)


def outcome(trained, history):
    return {
        "weights": trained.theta.tobytes(),
        "best": history.best.theta.tobytes(),
        "loss": history.loss.tobytes(),
        "smooth loss": history.smooth_loss.tobytes(),
        "samples": [sample.text for sample in history.samples],
        "generator": trained.rng.bit_generator.state,
        "run": trained.run.plain(),
        "state": trained.run.state.tobytes(),
        "slots": trained.run.slots.tobytes(),
    }


@pytest.fixture(scope="module", params=KINDS)
def undisturbed(request):
    return request.param, *run(request.param)


def test_any_chunking_gives_the_same_bits(chunks, undisturbed):
    kind, _, expected = undisturbed
    assert run(kind)[1] == expected


def test_any_number_of_threads_gives_the_same_bits(undisturbed):
    kind, trained, expected = undisturbed
    if trained.level == "numpy":
        pytest.skip("NumPy uses one thread")
    for threads in (2, 3):  # more than a lane, and than some machines' processors
        assert run(kind, threads=threads)[1] == expected


@pytest.mark.parametrize("level", ["v3", "v4"])
def test_levels_with_fused_multiply_add_give_the_same_bits(level, undisturbed):
    kind, trained, expected = undisturbed
    if not {level, trained.level} <= set(kernels.available()) or trained.level not in ("v3", "v4"):
        pytest.skip("this processor does not have it")
    assert run(kind, level)[1] == expected


def test_checkpoints_samples_and_callbacks_change_nothing(undisturbed, tmp_path):
    kind, _, expected = undisturbed
    assert run(kind, checkpoint=tmp_path, checkpoint_every=37, callbacks=[lambda event: None])[1] == expected
    silent = run(kind, sample_every=None)[1]
    assert (silent["weights"], silent["best"]) == (expected["weights"], expected["best"])


def test_a_killed_run_goes_on_in_a_new_model(undisturbed, tmp_path):
    """Again and again: killed within an update, or stopped between two, always between two checkpoints."""
    kind, _, expected = undisturbed

    def die_at(update):
        def die(event):
            if event.kind == "progress" and event.done >= update:
                raise SystemExit

        return [die]

    with pytest.raises(SystemExit):
        run(kind, checkpoint=tmp_path, checkpoint_every=13, callbacks=die_at(20))
    for update in (47, 90):
        with pytest.raises(SystemExit):
            CharRNN.resume(tmp_path, TEXT, progress=False, callbacks=die_at(update))
    trained, history = CharRNN.resume(tmp_path, TEXT, progress=False)
    assert outcome(trained, history) == expected


def test_two_calls_are_as_one(undisturbed):
    kind, _, expected = undisturbed
    settings = KINDS[kind]
    updates = settings.get("updates", 120)
    trained, _ = run(kind, updates=updates // 2)
    rest = {name: value for name, value in settings.items() if name not in ("cell", "layers")}
    history = trained.train(
        TEXT, **({"seq_length": 6, "sample_every": 50, "sample_length": 30, "progress": False} | rest | {"updates": updates // 2})
    )
    found = outcome(trained, history)
    for name in ("weights", "best", "state", "slots", "generator"):
        assert found[name] == expected[name]


@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_the_seed_decides_the_masks_and_nothing_else_about_a_second_model(cell):
    """The same weights under another seed: without dropout the same course, with it another."""
    losses = {}
    for seed in (1, 2):
        for dropout in (0.0, 0.3):
            made = CharRNN(7, cell=cell, layers=2, seed=seed, vocabulary=TEXT)
            for array in made.parameters.values():
                array[:] = np.random.default_rng(0).normal(0, 0.3, array.shape)
            history = made.train(TEXT, updates=20, seq_length=6, dropout=dropout, sample_every=None, progress=False)
            losses[seed, dropout] = history.loss.tobytes()
    assert losses[1, 0.0] == losses[2, 0.0]
    assert losses[1, 0.3] != losses[2, 0.3]
