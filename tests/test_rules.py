"""Decoding rules: each, and each pair, draws as often as plain NumPy says it should; the same bits for the same seed."""

import functools
import itertools
import math

import numpy as np
import pytest
from hypothesis import given, reject
from hypothesis import settings as examples
from hypothesis import strategies as st
from problems import COMPILED, FUSED

from charrnn import CharRNN, SettingsError, TextError
from charrnn.generation.rules import DecodingRules
from charrnn.generation.sampling import starting_ids
from charrnn.network import decoding
from charrnn.network.decoding import Rules

PROMPT = "abcabdabcab"  # has sequences that come again
ONE_RULE = {
    "temperature": {"temperature": 0.6},
    "hot": {"temperature": 1.8},
    "top_k": {"top_k": 4},
    "top_p": {"top_p": 0.75},
    "min_p": {"min_p": 0.15},
    "typical_p": {"typical_p": 0.6},
    "no_repeat_ngram_size": {"no_repeat_ngram_size": 3},
    "dry": {"dry_multiplier": 1.0, "dry_base": 1.5, "dry_allowed_length": 2},
    "logit_bias": {"logit_bias": {"c": 1.5, "d": -1.0}},
    "allowed": {"allowed": "abcdef"},
    "banned": {"banned": "b "},
}


def model(**options):
    return CharRNN(**({"hidden_size": 12, "init_std": 0.7, "seed": 3, "vocabulary": "abcdefgh \n", "dtype": "float64"} | options))


def expected(m, prompt, **rules):
    """(K,): the probabilities of the next character by the readable NumPy, which shares nothing with the kernels but the logits' names."""
    compiled = DecodingRules(**rules).for_vocabulary(m.vocabulary, m.dtype)
    logits = np.log(m.probabilities(prompt, array=True))
    return decoding.distribution(decoding.penalised(logits, compiled, starting_ids(m.vocabulary, prompt)), compiled)


def as_often(counts, p):
    """Whether counts agree with probabilities: chi-square, at one in a million (Wilson and Hilferty 1931)."""
    counts, p = np.asarray(counts, float), np.asarray(p, float)
    assert counts[p == 0].sum() == 0
    rare = p * counts.sum() < 5
    if rare.any():  # together
        counts, p = np.append(counts[~rare], counts[rare].sum()), np.append(p[~rare], p[rare].sum())
    counts, p = counts[p > 0], p[p > 0]
    if (free := len(p) - 1) < 1:
        return True
    chi2 = float(((counts - p * counts.sum()) ** 2 / (p * counts.sum())).sum())
    return chi2 < free * (1 - 2 / (9 * free) + 4.75 * math.sqrt(2 / (9 * free))) ** 3


def counted(m, prompt, n, **rules):
    drawn = "".join(m.generate(prompt, 1, n=n, seed=5, **rules))
    assert len(drawn) == n
    return np.bincount(m.vocabulary.encode(drawn), minlength=len(m.vocabulary))


@pytest.mark.parametrize("level", COMPILED)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_each_rule_draws_as_often_as_it_should(level, dtype):
    m = model(level=level, dtype=dtype)
    plain = expected(m, PROMPT)
    for name, rules in ONE_RULE.items():
        p = expected(m, PROMPT, **rules)
        assert np.abs(p - plain).sum() > 0.1, name  # it does something here
        found = counted(m, PROMPT, 1200, **rules)
        assert as_often(found, p), name
        assert not as_often(found, plain), name  # and the test would see it missing


@pytest.mark.parametrize("names", list(itertools.combinations(ONE_RULE, 2)), ids="-".join)
def test_each_pair_draws_as_often_as_it_should(names):
    m, rules = model(), ONE_RULE[names[0]] | ONE_RULE[names[1]]
    assert as_often(counted(m, PROMPT, 800, **rules), expected(m, PROMPT, **rules))


SOME_RULES = st.fixed_dictionaries(
    {},
    optional={
        "temperature": st.sampled_from([0, 1e-4, 0.3, 1, 2.5, 1e30]),
        "top_k": st.integers(1, 12),
        "top_p": st.floats(0, 1),
        "min_p": st.floats(0, 1),
        "typical_p": st.floats(0, 1),
        "no_repeat_ngram_size": st.integers(1, 6),
        "dry_multiplier": st.sampled_from([0.5, 3, 1e12]),
        "dry_base": st.sampled_from([1, 1.3, 1e3]),
        "dry_allowed_length": st.integers(1, 6),
        "dry_range": st.integers(1, 40),
        "dry_sequence_breakers": st.sampled_from(["", "a", "\n b"]),
        "logit_bias": st.dictionaries(st.sampled_from("abc\n"), st.sampled_from([-math.inf, -2.0, 0.5, 1e300])),
        "allowed": st.sampled_from(["abcdefgh", "abc ", "a\nxyz"]),
        "banned": st.sampled_from(["", "b", "gh"]),
    },
)


unchanging = functools.cache(lambda level: model(level=level))


@given(SOME_RULES, st.text("abc \n", max_size=30), st.integers(0, 9))
@examples(max_examples=40)
def test_kernels_and_numpy_write_the_same_under_any_rules(rules, prompt, seed):
    try:
        texts = [unchanging(level).generate(prompt, 30, n=2, seed=seed, **rules) for level in ("numpy", *COMPILED)]
    except SettingsError:  # bias, allowed and banned leave no character
        reject()
    assert all(text == texts[0] for text in texts)


@pytest.mark.parametrize("cell", ["rnn", "lstm"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_seed_gives_the_same_bits_on_every_level(cell, dtype, level):
    rules = {name: value for rule in ONE_RULE.values() for name, value in rule.items()} | {"temperature": 1.1, "allowed": "abcdefgh\n"}
    m = model(cell=cell, dtype=dtype, level=level)
    found = m.generate(["ab", PROMPT], 60, n=2, seed=8, **rules)
    assert found == m.copy().generate(["ab", PROMPT], 60, n=2, seed=8, **rules)
    assert found != m.generate(["ab", PROMPT], 60, n=2, seed=9, **rules)
    assert "".join(m.stream(60, "ab", seed=8, piece=7, **rules)) == m.generate("ab", 60, seed=8, **rules)
    for other in FUSED if level in FUSED else ():
        assert found == model(cell=cell, dtype=dtype, level=other).generate(["ab", PROMPT], 60, n=2, seed=8, **rules)


# ---- at their ends ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "rules",
    [{"temperature": 0}, {"temperature": 1e-300}, {"temperature": 1e-7}, {"top_p": 0}, {"min_p": 1}, {"top_k": 1}, {"top_p": 1e-300}],
)
def test_rules_that_leave_only_the_likeliest(rules, level):
    m, text = model(level=level), "ab"
    for _ in range(25):
        text += next(iter(m.probabilities(text)))
    assert m.generate("ab", 25, seed=1, **rules) == text[2:]


@pytest.mark.parametrize("rules", [{"temperature": 1}, {"top_p": 1}, {"min_p": 0}, {"typical_p": 1}, {"top_k": 10}, {"banned": ""}])
def test_rules_that_change_nothing(rules, level):
    m = model(level=level)
    assert m.generate("ab", 40, seed=1, **rules) == m.generate("ab", 40, seed=1)


@pytest.mark.parametrize("rules", [{"allowed": "g"}, {"allowed": "gh", "banned": "h"}, {"logit_bias": {"g": 1e30}}])
def test_one_character_is_all_there_is(rules, level):
    more_rules = ({}, {"temperature": 0}, {"temperature": 1e30}, {"no_repeat_ngram_size": 1}, {"typical_p": 0}, {"dry_multiplier": 1e300})
    for more in more_rules if "allowed" in rules else more_rules[:2]:
        assert model(level=level, dtype="float32").generate("ab", 9, seed=1, **rules, **more) == "g" * 9, more


def test_characters_the_model_does_not_have_may_be_allowed_or_banned():
    m = model()
    assert m.generate("ab", 30, seed=1, allowed="aé", banned="ü") == "a" * 30


@pytest.mark.parametrize("n", [1, 2, 5])
def test_nothing_is_repeated(n, level):
    text = "abcab" + model(level=level).generate("abcab", 60, seed=2, no_repeat_ngram_size=n)
    written = [text[i : i + n] for i in range(len(text) - n + 1)]
    repeated = [gram for i, gram in enumerate(written) if i + n > 5 and gram in written[:i]]
    assert not repeated or n < 3  # of 10 characters 10 stand alone, and some pairs are all used up: then the rule does not count


@pytest.fixture(scope="module")
def shells(tmp_path_factory):
    """The file of a model that has learned one sentence."""
    m, path = CharRNN(hidden_size=20, seed=1), tmp_path_factory.mktemp("rules") / "shells.safetensors"
    m.train("she sells sea shells by the sea shore. " * 30, updates=400, progress=False, sample_every=None)
    m.save(path)
    return path


def test_dry_ends_what_would_go_on_for_ever(shells, level):
    m = CharRNN.load(shells, level)
    stuck, free = (m.generate("she", 300, temperature=0, dry_multiplier=x, dry_allowed_length=4) for x in (0, 2.0))
    longest = [max(n for n in range(1, 200) if any(t.count(t[i : i + n]) > 1 for i in range(0, 300 - n, 3))) for t in (stuck, free)]
    assert longest[0] > 100 > 60 > longest[1]


# ---- the reference itself, by hand ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rules", "p"),
    [
        ({}, [0.4, 0.3, 0.2, 0.1]),
        ({"top_k": 2}, [4 / 7, 3 / 7, 0, 0]),
        ({"top_p": 0.65}, [4 / 7, 3 / 7, 0, 0]),
        ({"top_p": 0.75}, [4 / 9, 3 / 9, 2 / 9, 0]),
        ({"min_p": 0.6}, [4 / 7, 3 / 7, 0, 0]),
        ({"typical_p": 0.25}, [0, 1, 0, 0]),  # entropy 1.28; surprises 0.92, 1.20, 1.61, 2.30
        ({"typical_p": 0.5}, [0, 0.6, 0.4, 0]),
        ({"temperature": 0.5}, [16 / 30, 9 / 30, 4 / 30, 1 / 30]),
        ({"temperature": 0}, [1, 0, 0, 0]),
        ({"top_k": 2, "top_p": 0.55}, [1, 0, 0, 0]),  # of what top_k leaves, 4/7 have it
        ({"temperature": 0.5, "top_p": 0.5}, [1, 0, 0, 0]),  # temperature comes first
        ({"top_k": 3, "min_p": 0.6, "typical_p": 0.5}, [1, 0, 0, 0]),  # entropy 0.68; surprises 0.56, 0.85
    ],
)
def test_the_reference_on_paper(rules, p):
    np.testing.assert_allclose(decoding.distribution(np.log([0.4, 0.3, 0.2, 0.1]), Rules(**rules)), p, atol=1e-12)


@pytest.mark.parametrize(
    ("rules", "taken"),
    [
        ({"no_repeat_ngram_size": 3}, [math.inf, 0, 0]),  # after 1 2 came 0
        ({"no_repeat_ngram_size": 2}, [math.inf, 0, 0]),
        ({"no_repeat_ngram_size": 1}, [0, 0, 0]),  # all have come: the rule would leave none
        ({"no_repeat_ngram_size": 5}, [0, 0, 0]),
        ({"dry_multiplier": 2.0, "dry_base": 3.0, "dry_allowed_length": 2}, [2 * 3.0, 0, 0]),  # 0 1 2 came before 0: one more than 2
        ({"dry_multiplier": 2.0, "dry_base": 3.0, "dry_allowed_length": 4}, [0, 0, 0]),
        ({"dry_multiplier": 2.0, "dry_base": 3.0, "dry_allowed_length": 1, "dry_range": 6}, [2 * 9.0, 0, 0]),
        ({"dry_multiplier": 2.0, "dry_base": 3.0, "dry_allowed_length": 1, "dry_range": 3}, [0, 0, 0]),
        ({"dry_multiplier": 2.0, "dry_allowed_length": 2, "breakers": np.array([0, 1, 0], np.uint8)}, [0, 0, 0]),
        ({"dry_multiplier": 2.0, "dry_base": 3.0, "dry_allowed_length": 1, "breakers": np.array([0, 1, 0], np.uint8)}, [2.0, 0, 0]),
    ],
)
def test_the_reference_of_repetitions_on_paper(rules, taken):
    ids = np.array([0, 1, 2, 0, 1, 2], np.intc)
    np.testing.assert_allclose(-decoding.penalised(np.zeros(3), Rules(**rules), ids), taken)


# ---- errors ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rules", "error", "message"),
    [
        ({"temperature": -1}, SettingsError, "temperature must be a finite number at least 0, got -1"),
        ({"temperature": math.inf}, SettingsError, "temperature"),
        ({"top_k": 0}, SettingsError, "top_k"),
        ({"top_p": 1.1}, SettingsError, "top_p must be a finite number at least 0 and at most 1, got 1.1"),
        ({"min_p": -0.1}, SettingsError, "min_p"),
        ({"typical_p": "x"}, SettingsError, "typical_p"),
        ({"no_repeat_ngram_size": 0}, SettingsError, "no_repeat_ngram_size"),
        ({"no_repeat_ngram_size": 256}, SettingsError, "at most 255, got 256"),
        ({"dry_multiplier": -1}, SettingsError, "dry_multiplier"),
        ({"dry_base": 0.5}, SettingsError, "dry_base"),
        ({"dry_allowed_length": 300}, SettingsError, "dry_allowed_length must be at most 255"),
        ({"dry_range": 0}, SettingsError, "dry_range"),
        ({"allowed": ["a"]}, SettingsError, "allowed must be a str or bytes of characters"),
        ({"allowed": "é"}, SettingsError, "leave no character of the model's vocabulary"),
        ({"banned": b"a"}, SettingsError, "banned must be a str for this model"),
        ({"logit_bias": "a"}, SettingsError, "logit_bias must be a dict of characters and numbers, got 'a'"),
        ({"logit_bias": {"a": math.nan}}, SettingsError, "logit_bias of 'a' must be a finite number"),
        ({"logit_bias": {"é": 1}}, TextError, "logit_bias is for a character that the model does not know: 'é'"),
        ({"repetition_penalty": 1.2}, SettingsError, "^generate has no argument 'repetition_penalty'"),
        ({"topk": 3}, SettingsError, "did you mean 'top_k'"),
        ({"max_new_tokens": 3}, SettingsError, r"^generate has no argument 'max_new_tokens'; did you mean 'max_new'\?$"),
        ({"length": 3}, SettingsError, "did you mean 'max_new'"),
        ({"num_return_sequences": 3}, SettingsError, "did you mean 'n'"),
        ({"prime": "a"}, SettingsError, "did you mean 'prompt'"),
    ],
)
def test_rules_that_make_no_sense_are_refused(rules, error, message):
    m = model()
    before = m.rng.bit_generator.state
    with pytest.raises(error, match=message):
        m.generate("ab", 5, **rules)
    assert m.rng.bit_generator.state == before
