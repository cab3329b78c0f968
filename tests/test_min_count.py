"""Rare characters as one symbol: --min-count, min_count, and models that take texts with characters which they do not know."""

import json
import math
from collections import Counter

import numpy as np
import pytest
from commands import run
from hypothesis import given
from hypothesis import strategies as st

from charrnn import CharRNN, Corpus, ModelFileError, SettingsError, TextError, Vocabulary, read_corpus
from charrnn.files import modelfile

TEXT = "to be or not to be: that is the question\n" * 30 + "é€\n"
MARK = "\ufffd"


@pytest.fixture(scope="module")
def model():
    model = CharRNN(hidden_size=8, seed=1)
    model.train(TEXT, updates=60, min_count=5, progress=False)
    return model


@given(text=st.text("abcde\ufffd", min_size=1), n=st.integers(2, 5))
def test_characters_become_the_symbol_exactly_if_they_are_rarer(text, n):
    counts = Counter(text)
    kept = {c for c in text if counts[c] >= n} - {MARK}
    if not kept:
        with pytest.raises(TextError, match="leaves no character"):
            Corpus.from_text(text, min_count=n)
        return
    corpus = Corpus.from_text(text, min_count=n)
    assert corpus.vocabulary.characters == "".join(sorted(kept | {MARK}))
    assert corpus.text(0, len(text)) == "".join(c if c in kept else MARK for c in text)
    again = Corpus.from_text(text, corpus.vocabulary)
    assert (again.ids == corpus.ids).all()
    assert again.fingerprint == corpus.fingerprint
    rare = {c for c in text if counts[c] < n} - {MARK}
    assert f"{len(rare)} rarer than {n} ({sum(counts[c] for c in rare)} in all) read as U+FFFD" in str(corpus)


def test_without_min_count_the_replacement_character_is_one_like_others():
    vocabulary = Vocabulary.from_text("ab\ufffd")
    assert vocabulary.unknown is None
    with pytest.raises(TextError, match="not in the vocabulary"):
        vocabulary.encode("c")
    assert vocabulary != Vocabulary("ab\ufffd", unknown=MARK)


def test_a_file_is_read_like_the_same_text(tmp_path):
    (tmp_path / "text").write_text(TEXT, "utf-8")
    found = read_corpus(tmp_path / "text", min_count=5, in_memory=10)
    assert (found.ids == Corpus.from_text(TEXT, min_count=5).ids).all()
    assert "2 rarer than 5 (2 in all) read as U+FFFD, decoded as UTF-8" in str(found)


def test_unknown_characters_are_read_everywhere(model):
    assert model.vocabulary.unknown == MARK
    assert model.evaluate("to be ☃") == model.evaluate(f"to be {MARK}")
    assert model.score(["☃e", "é"]) == pytest.approx(model.score([MARK + "e", MARK]))
    assert len(model.score("a☃b", reduction="none", unknown="skip")) == 2
    assert model.score("☃", unknown="uniform") == pytest.approx(-math.log(len(model.vocabulary)))
    assert model.generate("☃ o", 20, seed=1) == model.generate(MARK + " o", 20, seed=1)
    assert model.session(seed=1).feed("☃").text == MARK
    assert (model.hidden_states("☃") == model.hidden_states(MARK)).all()
    history = model.copy().train(TEXT + "☃", updates=5, min_count=5, validation="to be ☃ or not", progress=False)
    assert math.isfinite(history.validation[-1].loss)


@pytest.fixture(scope="module")
def eager(model):
    """A model that would write nothing but the symbol."""
    other = model.copy()
    other.parameters["c"][other.vocabulary.characters.index(MARK)] = 50
    return other


def test_the_symbol_is_not_written_unless_asked_for(eager):
    assert eager.probabilities("t")[MARK] > 0.99
    assert MARK not in eager.generate("t", 50, seed=1)
    assert MARK not in eager.synthesize(50, seed=1, top_k=3, no_repeat_ngram_size=3)
    assert MARK not in "".join(eager.stream(50, seed=1))
    assert MARK not in eager.session(seed=1).sample(50)
    assert MARK not in eager.generate(max_new=20, logits_processor=lambda ids, o: o, seed=1)
    assert MARK not in eager.copy().train(TEXT, updates=1, sample_every=61, progress=False).samples[0].text
    assert eager.generate(max_new=5, logit_bias={MARK: 0.0}) == MARK * 5
    assert eager.generate(max_new=5, allowed="to" + MARK, temperature=0) == MARK * 5
    assert MARK not in eager.generate(max_new=5, allowed="to")


def test_a_model_file_keeps_it_and_an_older_reader_finds_an_ordinary_character(model, tmp_path):
    path = tmp_path / "model.safetensors"
    model.save(path)
    assert CharRNN.load(path).vocabulary == model.vocabulary
    file = modelfile.read(path)
    assert set(file.metadata["vocabulary"]) == {"characters", "raw_bytes"}  # what older readers allow
    assert file.metadata["unknown_character"] == MARK
    for wrong in ("x", "", 5):
        modelfile.write(path, file.tensors, file.metadata | {"unknown_character": wrong})
        with pytest.raises(ModelFileError):
            CharRNN.load(path)


def test_a_vocabulary_that_is_extended_keeps_the_symbol(model):
    other = model.copy()
    assert other.extend_vocabulary("☃") == "☃"
    assert other.vocabulary.unknown == MARK
    assert other.vocabulary.encode("€☃").tolist() == [other.vocabulary.characters.index(c) for c in (MARK, "☃")]
    plain = CharRNN(hidden_size=4, vocabulary="ab")
    plain.extend_vocabulary(Corpus.from_text("ccc d", min_count=2))
    assert plain.vocabulary == Vocabulary("abc\ufffd", unknown=MARK)


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda: Corpus.from_text("abab", min_count=0), "min_count must be a whole number of at least 1"),
        (lambda: Corpus.from_text(b"abab", min_count=2), "no byte"),
        (lambda: Corpus.from_text("abab", Vocabulary("ab"), min_count=2), "there is one already"),
        (lambda: CharRNN(4, vocabulary="ab").train("abab", min_count=2), "there is one already"),
        (lambda: CharRNN(4).train(Corpus.from_text("abab"), min_count=2), "read already"),
    ],
)
def test_what_makes_no_sense_is_refused(call, error):
    with pytest.raises(SettingsError, match=error):
        call()


def test_commands(tmp_path, undrawn):
    (tmp_path / "text").write_text(TEXT, "utf-8")
    (tmp_path / "other").write_text("to be ☃\n", "utf-8")
    words = ["--updates", 20, "--hidden-size", 8, "--min-count", 5, "--checkpoint-every", 10, "--validation", 0.1]
    out, _ = run("train", "text", *words, "--out", "one", cwd=tmp_path)
    assert "2 rarer than 5 (2 in all) read as U+FFFD" in out
    run("train", "-", *words, "--out", "two", cwd=tmp_path, stdin=TEXT.encode())
    one, two = (modelfile.read(tmp_path / name / "model.safetensors") for name in ("one", "two"))
    assert all(np.array_equal(array, two.tensors[name]) for name, array in one.tensors.items())
    assert one.metadata["unknown_character"] == two.metadata["unknown_character"] == MARK
    assert json.loads((tmp_path / "one/run.json").read_text())["min_count"] == 5
    (tmp_path / "text").rename(tmp_path / "moved")
    for run_, text in (("one", ["moved"]), ("two", [])):
        run("train", "--resume", run_, *text, "--updates", 30, cwd=tmp_path)
    out, _ = run("evaluate", "one", "other", "--json", cwd=tmp_path)
    assert json.loads(out)["characters"] == 7
    out, _ = run("evaluate", "one", "other", "--per-line", cwd=tmp_path)
    assert "to be ☃" in out
    out, _ = run("generate", "one", "--prime", "☃", "--length", 30, "--seed", 1, cwd=tmp_path)
    assert out[0] == "☃"
    assert MARK not in out
    out, _ = run("info", "one", cwd=tmp_path)
    assert "others are read as U+FFFD" in out
    _, error = run("train", "--from", "one", "moved", "--min-count", 3, cwd=tmp_path, code=2)
    assert "--from brings a vocabulary" in error
    _, error = run("train", "--resume", "one", "--min-count", 3, cwd=tmp_path, code=2)
    assert "leave --min-count out" in error
