"""The text measures against slow and obvious ways to compute them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from charrnn import Corpus
from charrnn.errors import TextError
from charrnn.evaluation import textmeasures
from charrnn.evaluation.textmeasures import longest_copy, measure, words


def slow_words(text):
    return "".join(x if x.isalpha() else " " for x in text.casefold()).split()


def slow_longest(passage, text):
    stretches = {text[i:j] for i in range(len(text)) for j in range(i + 1, len(text) + 1)}
    n = len(passage)
    return max((j - i for i in range(n) for j in range(i + 1, n + 1) if passage[i:j] in stretches), default=0)


@pytest.fixture(params=[3, 7, 1 << 20])
def block(request, monkeypatch):
    """The same text read in blocks that cut words and passages, and in one."""
    monkeypatch.setattr(textmeasures, "BLOCK", request.param)


short = st.text("ab .", max_size=30)


@given(passage=short, text=short)
def test_longest_copy_and_ngrams_are_those_of_the_slow_way(passage, text):
    for size in (3, 7, 1000):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(textmeasures, "BLOCK", size)
            [found] = measure([passage], text, cut=False)
            copied, at = longest_copy(passage, text)
        assert len(copied) == slow_longest(passage, text)
        assert copied in passage
        assert text[at : at + len(copied)] == copied if copied else at == -1
        own, others = slow_words(passage), slow_words(text)
        assert found.words == len(own)
        for n in (1, 2, 3, 4):
            grams = [tuple(own[i : i + n]) for i in range(len(own) - n + 1)]
            in_text = [tuple(others[i : i + n]) for i in range(len(others) - n + 1)]
            assert found.ngram_overlap[n - 1] == (sum(g in in_text for g in grams) / len(grams) if grams else None)
            assert found.distinct[n - 1] == (len(set(grams)) / len(grams) if grams else None)


@pytest.mark.usefixtures("block")
def test_a_corpus_and_its_string_measure_alike():
    text = "It was the best of times; it wasn't the worst. " * 3
    passages = ["the best of", "was the wurst of tim", ""]
    assert measure(passages, Corpus.from_text(text)) == measure(passages, text)
    assert longest_copy(passages[0], Corpus.from_text(text)) == longest_copy(passages[0], text)


@pytest.mark.usefixtures("block")
def test_everything_is_known_of_a_passage_of_the_text():
    text = "One fish, two fish, red fish, blue fish."
    [found] = measure([text[5:30]], text)
    assert found.known_words == 1
    assert found.ngram_overlap == (1, 1, 1, 1)
    assert longest_copy(text[5:30], text) == (text[5:30], 5)


def test_bytes_are_compared_with_bytes():
    corpus = Corpus.from_text(b"caf\xe9 au lait")
    [found] = measure([b"un caf\xe9 noir"], corpus)
    assert longest_copy(b"un caf\xe9 noir", corpus) == (b"caf\xe9 ", 0)
    assert found.words == 1  # the first and the last may be cut
    assert found.known_words == 1
    with pytest.raises(TextError, match="one kind"):
        measure(["cafe"], corpus)


def test_words_keep_their_apostrophes_and_lose_their_case():
    assert words("Rock'n'Roll isn\u2019t 'quoted' x86_64") == ["rock'n'roll", "isn\u2019t", "quoted", "x"]
    assert words("\u00c9T\u00c9") == ["\u00e9t\u00e9"]


def test_words_cut_by_the_ends_are_left_out():
    assert words("ing in the rai", cut=True) == ["in", "the"]
    assert words("word", cut=True) == []
    assert words(" word ", cut=True) == ["word"]


def test_words_longer_than_a_block_are_cut_rather_than_kept_in_memory(monkeypatch):
    monkeypatch.setattr(textmeasures, "BLOCK", 100)
    monkeypatch.setattr(textmeasures, "LONGEST_WORD", 300)
    [found] = measure([" " + "a" * 250 + " b"], "a" * 5000 + " " + "a" * 250 + " b", cut=False)
    assert found.known_words == 1
