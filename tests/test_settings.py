"""What cannot be trained, or not so, is refused in one line before any work begins."""

import math
from dataclasses import FrozenInstanceError

import pytest

from charrnn import CharRNN, SettingsError, TextError
from charrnn.training.plan import Settings

TEXT = "the tide comes in, the tide goes out; nobody asked the tide. " * 12
QUIET = {"progress": False, "sample_every": None}


def model(**options):
    return CharRNN(**({"hidden_size": 7, "seed": 3} | options))


BAD = [
    ({"updates": 0}, "updates must be a whole number of at least 1, got 0"),
    ({"updates": 2.5}, "updates .* got 2.5"),
    ({"updates": True}, "updates .* got True"),
    ({"updates": 5, "epochs": 1}, "updates or epochs, not both"),
    ({"epochs": -1}, "epochs .* above 0, got -1"),
    ({"epochs": math.inf}, "epochs .* got inf"),
    ({"seq_length": 0}, "seq_length"),
    ({"seq_length": "25"}, "seq_length .* got '25'"),
    ({"batch_size": -1}, "batch_size"),
    ({"optimizer": "adamm"}, "unknown optimizer 'adamm'; did you mean 'adam'"),
    ({"learning_rate": 0}, "learning_rate .* above 0, got 0"),
    ({"learning_rate": math.nan}, "learning_rate .* got nan"),
    ({"learning_rate": 10**400}, "learning_rate .* finite number"),
    ({"schedule": "square"}, "unknown schedule 'square'; there are 'constant', 'linear', 'cosine'"),
    ({"warmup": -1}, "warmup"),
    ({"clip": 0}, "clip .* got 0"),
    ({"clip_norm": -2.0}, "clip_norm"),
    ({"input_rate": 0.0}, "input_rate"),
    ({"dropout": 1}, "dropout must be below 1, got 1"),
    ({"eps": 1e-50}, "eps must be at least 1e-30"),
    ({"eps": 0}, "eps"),
    ({"beta1": 1.0}, "beta1 must be below 1, got 1.0"),
    ({"beta2": -0.1}, "beta2 .* at least 0"),
    ({"loss_reduction": "total"}, "unknown loss_reduction 'total'"),
    ({"sample_every": 0}, "sample_every"),
    ({"sample_length": 0}, "sample_length"),
    ({"validate_every": 0}, "validate_every"),
    ({"rescue": "yes"}, "rescue must be True or False, got 'yes'"),
    ({"threads": 0}, "threads"),
    ({"threads": 100_000}, "threads must be at most 256, got 100,000"),
    ({"learning_rat": 0.1}, "no argument 'learning_rat'; did you mean 'learning_rate'"),
    ({"updates": 10**15}, "16,000,000,0.. bytes|bytes of memory"),
    ({"seq_length": 10**12}, r"would need [\d,]{15,} bytes"),
    ({"batch_size": 10**14}, r"would need [\d,]{15,} bytes"),
    ({"epochs": 1e300}, r"would need [\d,]{15,} bytes"),
]


@pytest.mark.parametrize(("options", "message"), BAD, ids=lambda value: next(iter(value)) if isinstance(value, dict) else "")
def test_settings_that_make_no_sense_are_refused_before_any_work(options, message):
    fresh = CharRNN(hidden_size=5)
    before = fresh.rng.bit_generator.state
    with pytest.raises(SettingsError, match=message) as caught:
        fresh.train(TEXT, progress=False, **options)
    assert "\n" not in str(caught.value)
    assert fresh.rng.bit_generator.state == before
    assert fresh.run is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "empty"),
        ("aaaa" * 100, "two distinct"),
        ("too short", "seq_length 25 needs 26 characters, got 9"),
        (5, "a text must be str or bytes, got int"),
        (None, "got NoneType"),
        (["a", "b"], "got list"),
        ("\ud800b" * 100, "surrogate"),
    ],
)
def test_texts_that_cannot_be_learned_are_refused(text, message):
    fresh = CharRNN(hidden_size=5)
    with pytest.raises(TextError, match=message):
        fresh.train(text, updates=5, progress=False)
    assert fresh.run is None


def test_lanes_need_a_window_each():
    with pytest.raises(TextError, match="in each of 4 parallel sequences, got 10"):
        model().train(TEXT[:43], updates=5, seq_length=10, batch_size=4, **QUIET)
    model().train(TEXT[:44], updates=5, seq_length=10, batch_size=4, **QUIET)


def test_validation_in_characters_that_the_text_lacks_is_refused():
    with pytest.raises(TextError, match="'Q'"):
        model().train(TEXT, updates=5, validation="QQ", **QUIET)
    with pytest.raises(TextError, match="too short"):
        model().train(TEXT, updates=5, validation="t", **QUIET)


def test_settings_are_checked_when_they_are_made_and_do_not_change():
    with pytest.raises(SettingsError, match="updates"):
        Settings(updates=0)
    with pytest.raises(FrozenInstanceError):
        Settings().updates = 0
