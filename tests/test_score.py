"""Scores of many texts, lines and files; dynamic evaluation; `charrnn evaluate`."""

import json
import math

import numpy as np
import pytest

from charrnn import CharRNN, SettingsError, TextError
from charrnn.cli.main import main
from charrnn.evaluation.dynamic import DynamicEvaluation

TEXT = "the tide comes in, the tide goes out\nnobody asked the tide.\n"


def model(**options):
    return CharRNN(**({"hidden_size": 9, "init_std": 0.4, "seed": 3, "vocabulary": TEXT} | options))


# ---- scores ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("cell", "layers"), [("rnn", 1), ("gru", 2), ("lstm", 1)])
def test_each_text_is_scored_as_if_alone(cell, layers, level):
    """Texts of all lengths, more than there are lanes, beside one that needs several windows."""
    m = model(cell=cell, layers=layers, level=level, dtype="float64")
    rng = np.random.default_rng(0)
    texts = ["".join(rng.choice(list(m.vocabulary.characters), size)) for size in rng.integers(0, 9, 140)] + [TEXT * 6, "t"]
    scores = m.score(texts, reduction="none")
    for text, found in zip(texts, scores, strict=True):
        assert len(found) == len(text)
        if text and len(text) != 5:
            np.testing.assert_allclose(found, -m.losses("\n" + text), rtol=1e-9)
    sums = np.array([found.sum() for found in scores])
    np.testing.assert_allclose(m.score(texts, reduction="sum"), sums, rtol=1e-12)
    means = m.score(texts)
    assert [math.isnan(mean) for mean in means] == [not text for text in texts]
    full = [i for i, text in enumerate(texts) if text]
    np.testing.assert_allclose(means[full], sums[full] / [len(texts[i]) for i in full], rtol=1e-12)


def test_contexts():
    m = model(dtype="float64")
    np.testing.assert_allclose(m.score(["out", "in"], "the tide goes ", reduction="sum")[0], -m.losses("the tide goes out")[-3:].sum())
    assert m.score("tide", "t") == m.score(["tide"], "t")[0] == m.score(iter(["tide"]), "t")[0]
    assert isinstance(m.score("tide"), float)
    assert m.score("tide", reduction="none").shape == (4,)
    without = CharRNN(hidden_size=4, vocabulary="ab", init_std=0.5)  # has no line end: the first character
    assert without.score("ba") == without.score("ba", context="a")
    assert m.score([]).shape == (0,)
    assert m.score([], reduction="none") == []
    raw = CharRNN(hidden_size=4, vocabulary=b"ab\n\xff", init_std=0.5)
    np.testing.assert_allclose(raw.score([b"\xffa"], reduction="sum"), -raw.losses(b"\n\xffa").sum(), rtol=1e-6)


def test_characters_that_the_model_does_not_know():
    m = model(dtype="float64")
    with pytest.raises(TextError, match=r"text 1: .*'é' \(U\+00E9\) at offset 2.*unknown='skip' leaves such characters out"):
        m.score(["tide", "tié"])
    skipped = m.score(["tiéde", "é", "𝄞the\0"], reduction="none", unknown="skip")
    known = m.score(["tide", "", "the"], reduction="none")
    assert [found.tolist() for found in skipped] == [found.tolist() for found in known]
    guessed = m.score(["tiéde"], reduction="none", unknown="uniform")[0]
    np.testing.assert_allclose(guessed, np.insert(known[0], 2, -math.log(len(m.vocabulary))))
    assert math.isnan(m.score(["é"], unknown="skip")[0])
    np.testing.assert_allclose(m.score(["é"], unknown="uniform"), -math.log(len(m.vocabulary)))


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"texts": 5}, SettingsError, "texts must be a list, got 5"),
        ({"texts": ["tide", 5]}, TextError, "texts must be str for this model, got int at place 1"),
        ({"texts": [b"tide"]}, TextError, "texts must be str for this model, got bytes at place 0"),
        ({"reduction": "max"}, SettingsError, "unknown value of reduction 'max'; there are 'mean'"),
        ({"unknown": "ignore"}, SettingsError, "unknown value of unknown 'ignore'; there are 'error', 'skip', 'uniform'"),
        ({"context": ""}, TextError, "context must be a text of at least one character, got ''"),
        ({"context": 5}, TextError, "context"),
        ({"context": "é"}, TextError, "'é'"),
    ],
)
def test_scores_that_make_no_sense_are_refused(options, error, message):
    with pytest.raises(error, match=message):
        model().score(**({"texts": ["tide"]} | options))


# ---- dynamic evaluation ---------------------------------------------------------------------------------------------


def test_dynamic_evaluation_is_what_it_says(level):
    """Segment by segment, with the gradients of `loss_and_gradients`, against the formula in plain NumPy."""
    how = DynamicEvaluation(segment=7, rate=0.02, decay=0.05, eps=0.2)
    m = model(level=level, dtype="float64")
    other, text, total, state, squares, n = m.copy(), TEXT * 2, 0.0, None, None, 0
    ids = m.vocabulary.encode(text)
    for at in range(0, len(ids) - 1, 7):
        x, y = ids[at : at + 7][: len(ids) - 1 - at], ids[at + 1 : at + 8]
        loss, gradients, state = other.loss_and_gradients(x, y, state)
        total, n = total + loss, n + 1
        g = {name: gradient / len(x) for name, gradient in gradients.items()}
        squares = {name: (0 if squares is None else squares[name]) + g[name] ** 2 for name in g}
        rms = {name: np.sqrt(squares[name] / n) for name in g}
        floor = 0.2 * sum(r.sum() for r in rms.values()) / sum(r.size for r in rms.values())
        for name, theta in other.parameters.items():
            theta -= 0.02 * g[name] / (rms[name] + floor) + 0.05 * (theta - m.parameters[name])
    before = m.theta.copy()
    found = m.evaluate(text, dynamic=how)
    assert found.characters == len(text) - 1
    np.testing.assert_allclose(found.loss, total / (len(text) - 1), rtol=1e-9)
    adapted = m.adapted(text, how)
    for name, theta in other.parameters.items():
        np.testing.assert_allclose(adapted.parameters[name], theta, rtol=1e-7, atol=1e-9)
    assert (m.theta == before).all()
    assert adapted.evaluate(text).loss < found.loss < m.evaluate(text).loss


def test_dynamic_evaluation_that_learns_nothing_is_evaluation():
    m = model()
    still = m.evaluate(TEXT * 9, dynamic=DynamicEvaluation(rate=0))
    plain = m.evaluate(TEXT * 9)
    np.testing.assert_allclose(still.loss, plain.loss, rtol=1e-6)
    assert still.accuracy == plain.accuracy
    assert m.evaluate(TEXT * 9, dynamic=True).loss < plain.loss


@pytest.mark.parametrize(
    ("use", "error", "message"),
    [
        (lambda m: m.evaluate(TEXT, dynamic=3), SettingsError, "dynamic must be True, False or a DynamicEvaluation, got 3"),
        (lambda m: m.evaluate(TEXT, 2, dynamic=True), SettingsError, "batch_size must be 1, got 2"),
        (lambda m: m.evaluate("t", dynamic=True), TextError, "too short"),
        (lambda m: m.adapted("é"), TextError, "'é'|vocabulary"),
        (lambda m: m.adapted(TEXT, 3), SettingsError, "dynamic must be"),
        (lambda m: DynamicEvaluation(segment=0), SettingsError, "segment"),
        (lambda m: DynamicEvaluation(rate=-1), SettingsError, "rate"),
        (lambda m: DynamicEvaluation(decay=1.1), SettingsError, "decay"),
        (lambda m: DynamicEvaluation(eps=0), SettingsError, "eps"),
    ],
)
def test_adapting_that_makes_no_sense_is_refused(use, error, message):
    with pytest.raises(error, match=message):
        use(model())


# ---- the command ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("score")
    m = CharRNN(hidden_size=16, seed=1)
    m.train(TEXT * 20, updates=300, seq_length=10, progress=False, sample_every=None)
    m.save(folder / "m.safetensors")
    (folder / "lines.txt").write_bytes(b"the tide goes out\r\n\r\nttttttt\r\nthe tide comes in\r\n")
    (folder / "new.txt").write_text("out, out, nobody, " * 30)
    (folder / "letters").mkdir()
    (folder / "letters" / "a.txt").write_text(TEXT)
    (folder / "letters" / "b.txt").write_text("dddd\nhhhh kkk uu")
    (folder / "letters" / "c.txt").write_text("the tide.\n")
    return folder


@pytest.fixture
def said(place, capsys, monkeypatch):
    monkeypatch.chdir(place)

    def run(*words):
        code = main(["evaluate", "m.safetensors", *words])
        out, err = capsys.readouterr()
        return code, out, err

    return run


def test_lines_by_surprise(said, place):
    m = CharRNN.load(place / "m.safetensors")
    _, out, _ = said("lines.txt", "--per-line", "--json")
    lines = [json.loads(line) for line in out.splitlines()]
    assert lines[0]["line"] == 3  # the odd one
    assert sorted(line["line"] for line in lines) == [1, 3, 4]
    assert lines == sorted(lines, key=lambda line: -line["bits_per_char"])
    for line in lines:
        assert line["characters"] == len(line["text"]) + 1
        assert math.isclose(line["bits_per_char"], -m.score(line["text"] + "\n") / math.log(2), rel_tol=1e-5)
    _, out, _ = said("lines.txt", "--per-line")
    shown = [line.split(maxsplit=3) for line in out.splitlines()]
    assert [(float(bits), number, text) for bits, _, number, text in shown] == [
        (round(line["bits_per_char"], 3), f"{line['line']}:", line["text"]) for line in lines
    ]


def test_lines_with_unknown_characters(said, place, tmp_path):
    (tmp_path / "odd").write_text("the tide\nthé tide\néé\n")
    name = str(tmp_path / "odd")
    code, out, err = said(name, "--per-line")
    assert (code, out) == (2, "")
    assert "'é' (U+00E9)" in err
    skipped = [json.loads(line) for line in said(name, "--per-line", "--json", "--unknown", "skip")[1].splitlines()]
    assert {line["line"]: line["characters"] for line in skipped} == {1: 9, 2: 8, 3: 1}
    guessed = [json.loads(line) for line in said(name, "--per-line", "--json", "--unknown", "uniform")[1].splitlines()]
    assert {line["line"]: line["characters"] for line in guessed} == {1: 9, 2: 9, 3: 3}


def test_files_by_surprise(said, place):
    m = CharRNN.load(place / "m.safetensors")
    code, out, _ = said("letters", "lines.txt", "--per-file", "--json")
    found = json.loads(out)
    assert code == 0
    assert sorted(each["file"] for each in found["files"]) == ["letters/a.txt", "letters/b.txt", "letters/c.txt", "lines.txt"]
    assert found["files"][0]["file"] == "letters/b.txt"
    assert found["files"] == sorted(found["files"], key=lambda each: -each["loss"])
    texts = [m.evaluate(file.read_text()) for file in [*sorted((place / "letters").iterdir()), place / "lines.txt"]]
    assert found["characters"] == sum(each.characters for each in texts)
    assert math.isclose(found["bits_per_char"], sum(e.bits_per_char * e.characters for e in texts) / found["characters"])
    names = [each["file"] for each in found["files"] if each["file"] != "lines.txt"]
    shown = said("letters", "--per-file")[1].splitlines()
    assert [line.split()[-1] for line in shown] == ["file", *names, "together"]


def test_dynamic_on_the_command_line(said, place):
    m = CharRNN.load(place / "m.safetensors")
    found = json.loads(said("new.txt", "--dynamic", "--json")[1])
    assert found["loss"] == m.evaluate("out, out, nobody, " * 30, dynamic=True).loss
    assert found["loss"] < json.loads(said("new.txt", "--json")[1])["loss"]
    assert "nats per character, dynamic evaluation\n" in said("new.txt", "--dynamic")[1]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("lines.txt --per-line --dynamic", "--per-line reads each line from a fresh state"),
        ("lines.txt --per-line --lines 3", "not allowed with"),
        ("lines.txt --unknown skip", "--unknown is for --per-line"),
        ("lines.txt --per-line --unknown x", "unknown value of --unknown 'x'"),
        ("--per-file", "--per-file needs files: name them, or a folder of them"),
        ("nowhere --per-line", "nowhere does not exist"),
        ("letters nowhere --per-file", "nowhere"),
    ],
)
def test_evaluations_that_make_no_sense_are_refused(said, capsys, words, message):
    try:
        code, out, err = said(*words.split())
    except SystemExit as stop:
        code, (out, err) = stop.code, capsys.readouterr()
    assert (code, out) == (2, "")
    assert err.count("\n") == 1
    assert message in err
