"""Patterns: what is written matches, always; and with exact=True it comes as often as if all else were rejected."""

import re

import numpy as np
import pytest
from test_rules import as_often

from charrnn import CharRNN, SettingsError

#: A pattern, the characters of a small model (or pieces, of which all matches consist), and the longest text of them that is looked at.
PATTERNS = {
    "date": (r"[01]{2}-[01]{2}", "01-", 5),
    "date of any length": (r"\d+(-\d+){1,2}", "01-x", 6),
    "time": (r"[0-2]\d:[0-5]\d", "017:", 5),
    "number": (r"-?(0|1\d*)(\.\d+)?", "01-.", 5),
    "e-mail": (r"\w+@\w+\.(a|bb)", "ab@.", 6),
    "web address": (r"(a|ab)://b(/a*)?", "ab:/", 7),
    "JSON": (r'\{a:(1|"a*")\}', ["{a:", "1", '"', "a", "}"], 7),
    "JSON list": (r"\[(1(,1)*)?\]", "[1,]", 7),
    "CSV": (r"[^,\n]*,[^,\n]*\n", "a,\nb", 5),
    "sonnet's line": (r"[^\n]{3,5}\n", "ab \n", 6),
    "couplet": (r"(.{1,2}\n){2}", "ab\n", 6),
    "identifier": (r"[^\W\d]\w{0,3}", "a1_-", 5),
    "hexadecimal": (r"0x[0-9a-c]{1,3}", "0xb1", 5),
    "words": (r"(a|ab|b)( (a|ab|b))*", "ab ", 5),
    "all": (r"[\s\S]*", "ab\n", 4),
    "as few as possible": (r"a+?b??", "ab", 5),
    "empty": (r"", "ab", 3),
    "optional": (r"(?:ab?|b)?", "abc", 4),
    "named group, anchors": (r"^(?P<x>a|b)[^a]$", "abc", 4),
    "escapes": (r"\x61\(\u0062\)|\.{2}\\", "ab().\\", 4),
    "class with a bracket": (r"[]a-]+[^]b]", "a]-b", 4),
    "nested": (r"((a|b)?(ba){0,2})+", "ab", 5),
}


def model(vocabulary, **options):
    return CharRNN(**({"hidden_size": 6, "init_std": 0.8, "seed": 4, "vocabulary": vocabulary} | options))


def wanted(m, pattern, pieces, longest, prompt, exact):
    """{text: probability} by counting: all texts there are, `re` to say which match, the model's own probabilities.

    A text goes on as long as it can still match. Where it matches, it ends with what cannot go on. Else such characters are rejected: as
    the whole text is (exact), or one by one.
    """
    characters, texts, last = m.vocabulary.characters, {""}, {""}
    while last := {text + piece for text in last for piece in pieces if len(text + piece) <= longest} - texts:
        texts |= last
    matching = {text for text in texts if re.fullmatch(pattern, text)}
    beginnings = {text[:i] for text in matching for i in range(len(text) + 1)}
    after = sorted({text + c for text in beginnings for c in characters})
    p_after = {text: np.exp(logs[-1]) for text, logs in zip(after, m.score(after, prompt, reduction="none"), strict=True)}
    found, todo = {}, [("", 1.0)]
    while todo:
        text, p = todo.pop()
        on = {c: p_after[text + c] for c in characters if text + c in beginnings}
        total = sum(on.values())
        if text in matching:
            found[text] = p * (1 - total if on else 1)
        elif not exact:
            on = {c: q / total for c, q in on.items()}
        todo += [(text + c, p * q) for c, q in on.items()]
    whole = sum(found.values())
    return {text: p / whole for text, p in found.items()}


@pytest.mark.parametrize("exact", [False, True], ids=["", "exact"])
@pytest.mark.parametrize("name", PATTERNS)
def test_texts_match_and_come_as_often_as_they_should(name, exact):
    pattern, pieces, longest = PATTERNS[name]
    m, n = model("".join(pieces)), 100
    prompt = m.vocabulary.characters[0]
    p = wanted(m, pattern, pieces, longest, prompt, exact)
    texts = m.generate(prompt, longest, n=n, seed=1, pattern=pattern, exact=exact, details=True)
    assert all(re.fullmatch(pattern, passage.text) for passage in texts)
    assert {passage.finished for passage in texts} == {"pattern"}
    places = {text: i for i, text in enumerate(p)}
    counts = np.bincount([places[passage.text] for passage in texts], minlength=len(p))
    assert as_often(counts, list(p.values()))


def test_exact_is_another_distribution_where_it_matters():
    """After b the model hardly goes on to c: texts that begin so are rejected nearly always, but not by the characters alone."""
    m = model("abc")
    alone, exact = (wanted(m, "ab|bc", "abc", 2, "a", exact) for exact in (False, True))
    assert abs(alone["ab"] - exact["ab"]) > 0.05


@pytest.mark.parametrize("rules", [{"temperature": 0}, {"top_k": 1}, {"min_p": 1}, {"top_p": 0.3}, {"no_repeat_ngram_size": 2}])
def test_rules_and_patterns_together_always_match(rules, level):
    m = CharRNN(hidden_size=9, init_std=0.5, vocabulary="abc 0123456789-\n", seed=2, level=level)
    pattern = r"(19|20)\d\d-(0[1-9]|1[0-2])-[0-3]\d( abc*)?"
    for text in m.generate("a", 20, n=3, seed=3, pattern=pattern, **rules):
        assert re.fullmatch(pattern, text)
    assert all(re.fullmatch("aa", text) for text in m.generate(max_new=2, n=2, pattern="aa", seed=1, **rules))  # whatever rules say


def test_a_match_fits_into_the_length():
    m = model("ab")
    for length in (3, 4, 5, 9):
        for text in m.generate(max_new=length, n=20, pattern="a{3}(bb)*", seed=1):
            assert re.fullmatch("a{3}(bb)*", text)
            assert len(text) <= length
    with pytest.raises(SettingsError, match=r"matches no text of at most 2 characters \(max_new\): the shortest has 3"):
        m.generate(max_new=2, pattern="a{3}(bb)*")


def test_patterns_of_bytes_streams_and_stops():
    m = CharRNN(hidden_size=5, vocabulary=b"ab\n\xc3\xa9", init_std=0.5)
    text = m.generate(b"a", 9, pattern=rb"[^\x80-\xff]{2}\xc3\xa9", seed=1)
    assert re.fullmatch(rb"[ab\n]{2}\xc3\xa9", text)
    assert b"".join(m.stream(9, b"a", seed=1, pattern=rb"[^\x80-\xff]{2}\xc3\xa9")) == text
    passage = m.generate(b"a", 9, pattern=rb"[ab]{5}", stop=b"b", seed=2, details=True)
    assert (passage.finished, passage.text[-1:]) == ("stop", b"b")
    with pytest.raises(SettingsError, match="pattern must be a bytes with a regular expression"):
        m.generate(pattern="a")


def test_a_large_pattern_takes_a_moment_only():
    m = model("abcdefghij \n")
    line = r"[a-j ]{20,60}\n"
    text = m.generate(max_new=900, pattern=f"({line}){{14}}", seed=1)
    assert re.fullmatch(f"({line}){{14}}", text)


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("(", "is no regular expression: missing"),
        ("a)", "unbalanced parenthesis"),
        ("*", "nothing to repeat"),
        ("[b-a]", "bad character range"),
        ("a{3,2}", "min repeat greater than max repeat"),
        ("(?=a)", "a group of a special kind"),
        ("(?i)a", "a group of a special kind"),
        (r"(a)\1", "which patterns here cannot have"),
        (r"\ba", "which patterns here cannot have"),
        ("a^b", "which patterns here cannot have"),
        ("a$b", "which patterns here cannot have"),
        ("a++", "a possessive quantifier"),
        ("a?+", "a possessive quantifier"),
        ("é", "matches nothing that can be written with the model's characters"),
        ("a[^ab]", "matches nothing that can be written"),
        ("(a|b)*a(a|b){15}", "more than 500 states"),
        ("((a{100}){100}){100}", "pattern is too large"),
        ("a{99999999999}", "is no regular expression"),
        ("(" * 3000 + "a" + ")" * 3000, "nested too deep|no regular expression"),
        (5, "pattern must be a str with a regular expression for this model, got 5"),
        (b"a", "pattern must be a str"),
    ],
)
def test_patterns_that_cannot_be_are_refused(pattern, message, monkeypatch):
    monkeypatch.setattr("charrnn.generation.pattern.MOST_STATES", 500)
    m = model("ab")
    before = m.rng.bit_generator.state
    with pytest.raises(SettingsError, match=message) as caught:
        m.generate(pattern=pattern)
    assert len(str(caught.value)) < 300
    assert m.rng.bit_generator.state == before


def test_exact_says_when_it_cannot():
    m = model("ab")
    with pytest.raises(SettingsError, match="exact says how texts of a pattern are drawn: give a pattern as well"):
        m.generate(exact=True)
    with pytest.raises(SettingsError, match="forbid every character with which the pattern could be matched"):
        m.generate(pattern="ab", exact=True, banned="a")
    with pytest.raises(SettingsError, match="forbid every character with which the pattern could be matched"):
        m.generate(pattern="ab", banned="a")
