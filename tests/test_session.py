"""A session: a text that a network reads and writes in anybody's own loop, and that can be copied anywhere."""

import copy
from dataclasses import replace

import numpy as np
import pytest

from charrnn import CharRNN, SettingsError, TextError
from charrnn.generation.rules import DecodingRules


def model(**options):
    return CharRNN(**({"hidden_size": 9, "init_std": 0.6, "seed": 3, "vocabulary": "abcdef \n"} | options))


RULES = {"temperature": 0.8, "top_p": 0.9, "no_repeat_ngram_size": 3, "dry_multiplier": 1.0, "dry_allowed_length": 2, "dry_range": 20}


@pytest.mark.parametrize("cell", ["rnn", "lstm"])
def test_a_session_writes_what_generate_writes(cell, level):
    m = model(cell=cell, layers=2, level=level)
    for prompt in ("", "abcab", "fed " * 66):
        expected = m.generate(prompt, 60, seed=5, **RULES)
        session = m.session(seed=5, **RULES).feed(prompt)
        assert session.sample(60) == expected
        assert session.text == prompt + expected
        session = m.session(seed=5, **RULES)
        for c in prompt:  # fed in pieces, sampled one by one, copied on the way
            session.feed(c)
        found = ""
        for i in range(60):
            session = session if i % 7 else session.copy()
            found += session.sample()
        assert found == expected


def test_feeding_after_sampling_goes_on():
    m = model()
    session = m.session(seed=1)
    text = session.sample(4)
    session.feed("abc").sample(0)
    np.testing.assert_allclose(session.probabilities, m.probabilities("\n" + text + "abc", array=True), rtol=1e-5)
    assert session.text == text + "abc"


@pytest.mark.parametrize("cell", ["rnn", "gru", "lstm"])
def test_state_logits_and_probabilities(cell, level):
    m = model(cell=cell, layers=2, level=level, dtype="float64")
    session = m.session().feed("bad cafe")
    hidden = m.hidden_states("bad cafe")
    assert hidden.shape == (2, 8, 9)
    np.testing.assert_allclose(session.state[:, 0, 0], hidden[:, -1], rtol=1e-12)
    p = session.probabilities
    np.testing.assert_allclose(p, np.exp(session.logits) / np.exp(session.logits).sum(), rtol=1e-12)
    np.testing.assert_allclose(np.log(p[m.vocabulary.encode("d")[0]]), -m.losses("bad cafed")[-1], rtol=1e-10)
    before = session.state
    session.state[:] = 7  # a copy
    session.probabilities[:] = 7
    assert (session.state == before).all()
    _, _, state = m.loss_and_gradients(m.vocabulary.encode("bad cafe"), m.vocabulary.encode("ad cafed"))
    np.testing.assert_allclose(session.state, state, rtol=1e-12)
    assert m.hidden_states("").shape == (2, 0, 9)
    np.testing.assert_allclose(m.hidden_states("abc " * 400)[:, :8], m.hidden_states("abc abc "), rtol=1e-12)


def test_copies_part():
    session = model().session(seed=1).feed("ab")
    copies = [session.copy(), copy.copy(session), copy.deepcopy(session)]
    texts = [each.sample(30) for each in (session, *copies)]
    assert len(set(texts)) == 1
    copies[0].feed("fff")
    assert copies[0].text == copies[1].text + "fff"
    assert [copies[0].sample(9) != copies[1].sample(9), copies[1].text == copies[2].text + copies[1].text[-9:]] == [True, True]


def test_rules_may_change_on_the_way():
    m = model()
    session = m.session(seed=1)
    session.feed("abcabdabcab").rules = DecodingRules(no_repeat_ngram_size=3, temperature=0.5)
    assert session.sample() not in "cd"  # it looks back on what was fed before there was a rule
    session.rules = replace(session.rules, allowed="f", no_repeat_ngram_size=None)
    assert session.sample(5) == "fffff"
    before = session.rules
    for wrong, error in [(DecodingRules(allowed="é"), SettingsError), (DecodingRules(logit_bias={"é": 1}), TextError), ({}, SettingsError)]:
        with pytest.raises(error):
            session.rules = wrong
        assert session.rules is before
    assert session.sample(2) == "ff"


def test_a_session_is_of_the_model_as_it_was():
    m = model()
    session, expected = m.session(seed=1).feed("ab"), m.generate("ab", 20, seed=1)
    m.parameters["W"][:] = 0
    assert session.sample(20) == expected


def test_probabilities_by_name():
    m = model()
    found, p = m.probabilities("ab"), m.probabilities("ab", array=True)
    assert list(found.values()) == sorted(p.tolist(), reverse=True)
    assert {c: p[i] for i, c in enumerate(m.vocabulary.characters)} == found
    assert m.probabilities() == m.probabilities("\n")
    assert set(CharRNN(hidden_size=3, vocabulary=b"a\xff").probabilities(b"\xff")) == {b"a", b"\xff"}


@pytest.mark.parametrize(
    ("use", "error", "message"),
    [
        (lambda m: m.session(topk=3), SettingsError, r"session has no argument 'topk'; did you mean 'top_k'\?"),
        (lambda m: m.session(allowed="é"), SettingsError, "leave no character"),
        (lambda m: m.session(seed=-1), SettingsError, "seed must be a whole number"),
        (lambda m: m.session().feed("é"), TextError, "'é'"),
        (lambda m: m.session().feed(5), TextError, "text must be str or bytes, got int"),
        (lambda m: m.session().sample(-1), SettingsError, "length must be a whole number of at least 0, got -1"),
        (lambda m: m.probabilities("é"), TextError, "'é'"),
        (lambda m: m.probabilities("a", array=1), SettingsError, "array must be True or False"),
        (lambda m: m.hidden_states(5), TextError, "got int"),
    ],
)
def test_errors(use, error, message):
    with pytest.raises(error, match=message):
        use(model())
