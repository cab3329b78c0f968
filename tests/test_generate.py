"""`generate` and `stream`: prompts, lengths, stop texts, callbacks, what is known about a passage; `charrnn generate` on files."""

import json
import math

import numpy as np
import pytest
from commands import raw as in_process

from charrnn import CharRNN, SettingsError, TextError
from charrnn.cli.main import main
from charrnn.generation.selection import Selection
from charrnn.generation.stop import Stopper

NAMES = "anna\nberta\nclara\nanton\nbertil\nclaus\nhanna\nhans\nerik\nerika\n"


def model(**options):
    return CharRNN(**({"hidden_size": 10, "init_std": 0.6, "seed": 3, "vocabulary": "abcdef \n"} | options))


# ---- prompts and passages -------------------------------------------------------------------------------------------


def test_the_old_names_do_what_they_did():
    m = model()
    assert m.generate("ab", 40, seed=1) == m.synthesize(40, "ab", seed=1) == "".join(m.stream(40, "ab", seed=1))
    assert m.generate("ab", 40, n=3, seed=1, temperature=0.5, top_k=3) == m.synthesize(40, "ab", 0.5, 1, n=3, top_k=3)
    assert m.generate(max_new=40, seed=1) == m.synthesize(40, seed=1) == m.generate("", 40, seed=1)


def test_prompts_are_lanes_of_one_batch(level):
    """Each passage is one that could have been written alone: greedy ones are the same, wherever they stand."""
    m, prompts = model(level=level), ["a", "fed bad cafe\n", "", "b" * 300, "a"]
    alone = [m.generate(prompt, 30, temperature=0) for prompt in prompts]
    assert m.generate(prompts, 30, temperature=0) == alone
    assert m.generate(prompts, 30, n=2, temperature=0) == [text for text in alone for _ in range(2)]
    drawn = m.generate(prompts, 30, n=2, seed=1)
    assert len(set(drawn)) == 10
    assert m.generate([], 5) == []
    assert m.generate(["a"], 0, n=2) == ["", ""]


def test_details_say_what_ended_a_passage_and_how_likely_it_is():
    m = model()
    found = m.generate(["ab", ""], 30, n=3, seed=2, stop="c", top_k=4, details=True, log_probabilities=True)
    assert [passage.text for passage in found] == m.generate(["ab", ""], 30, n=3, seed=2, stop="c", top_k=4)
    assert [passage.prompt for passage in found] == ["ab"] * 3 + [""] * 3
    for passage in found:
        assert passage.finished == ("stop" if "c" in passage.text else "length")
        context = passage.prompt or "\n"
        assert math.isclose(passage.log_probability, m.score(passage.text, context, reduction="sum"), rel_tol=1e-6)
        assert math.isclose(passage.log_probability, -m.losses(context + passage.text)[len(context) - 1 :].sum(), rel_tol=1e-5)
    assert m.generate("ab", 3, seed=1, details=True).log_probability is None


def test_a_callback_changes_logits():
    m, seen = model(), []

    def only_vowels(ids, logits):
        seen.append(m.vocabulary.decode(ids))
        assert logits.shape == (8,)
        logits[:] = [o if c in "ae" else -math.inf for o, c in zip(logits, m.vocabulary.characters, strict=True)]
        return logits

    text = m.generate("bad", 20, seed=1, logits_processor=only_vowels)
    assert set(text) == {"a", "e"}
    assert seen == ["bad" + text[:i] for i in range(20)]
    assert "".join(m.stream(20, "bad", seed=1, logits_processor=only_vowels)) == text
    plain = m.generate("bad", 40, seed=1)  # whether the rules are applied here or in the kernels
    assert m.generate("bad", 40, seed=1, logits_processor=lambda ids, logits: logits) == plain
    rules = {"top_k": 4, "temperature": 0.7, "no_repeat_ngram_size": 3}
    assert m.generate("bad", 40, seed=1, logits_processor=lambda ids, o: o, **rules) == m.generate("bad", 40, seed=1, **rules)
    tripled = m.generate("bad", 40, seed=1, temperature=3, logits_processor=lambda ids, o: 3 * o)  # it comes before temperature
    assert tripled == plain


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"prompt": 5}, SettingsError, "prompt must be a str, or a list of them, got 5"),
        ({"prompt": ["a", "z"]}, TextError, "'z'"),
        ({"prompt": ["a", 5]}, TextError, "must be str or bytes, got int"),
        ({"prompt": b"a"}, TextError, "str"),
        ({"max_new": -1}, SettingsError, "max_new must be a whole number of at least 0, got -1"),
        ({"n": 1.5}, SettingsError, "n must be a whole number"),
        ({"stop": [""]}, SettingsError, "stop must be a non-empty str, or a list of them, got ''"),
        ({"stop": 5}, SettingsError, "stop must"),
        ({"keep_stop": 1}, SettingsError, "keep_stop must be True or False"),
        ({"log_probabilities": True}, SettingsError, "log_probabilities are part of the details: give details=True as well"),
        ({"logits_processor": 3}, SettingsError, "logits_processor must be a function"),
        ({"logits_processor": lambda ids, o: o[:3]}, SettingsError, "must return 8 numbers"),
        ({"logits_processor": lambda ids, o: "x"}, SettingsError, "must return 8 numbers"),
        ({"logits_processor": lambda ids, o: o + math.nan}, SettingsError, "must return 8 numbers"),
        ({"logits_processor": lambda ids, o: o - math.inf}, SettingsError, "must return 8 numbers, -inf for what may not come"),
        ({"logits_processor": lambda ids, o: [[1], [2, 3]]}, SettingsError, "must be an array"),
    ],
)
def test_requests_that_make_no_sense_are_refused(options, error, message):
    with pytest.raises(error, match=message):
        model().generate(**({"prompt": "a", "max_new": 5} | options))


# ---- stop texts -----------------------------------------------------------------------------------------------------


def cut(text, stops, keep):
    """What is left of a text that ends at the first stop text, written plainly."""
    for end in range(1, len(text) + 1):
        if found := [stop for stop in stops if text[:end].endswith(stop)]:
            return text[:end] if keep else text[: end - max(map(len, found))]
    return text


@pytest.mark.parametrize("keep", [True, False])
@pytest.mark.parametrize(
    "stops",
    [
        ["zz"],  # never comes
        ["b"],  # comes often
        ["aba"],  # overlaps itself
        ["aab", "ab", "b\n"],  # ends of each other
        ["ba", "abab"],
        ["a" * 40],
    ],
)
def test_a_passage_ends_where_the_first_stop_text_is_complete(stops, keep):
    m, met = model(vocabulary="ab\n"), 0
    for seed in range(8):
        free = m.generate("a", 60, seed=seed)
        expected = cut(free, stops, keep)
        assert m.generate("a", 60, seed=seed, stop=stops, keep_stop=keep) == expected
        for piece in (1, 2, 7, 100):
            pieces = list(m.stream(60, "a", seed=seed, stop=stops, keep_stop=keep, piece=piece))
            assert "".join(pieces) == expected
            assert all(pieces)
        met += expected != free
    assert (met > 4) == (stops != ["zz"] and stops != ["a" * 40])


def test_what_may_become_a_stop_text_is_held_back():
    def pieces(text, *stops, keep=True):
        stopper = Stopper(stops, keep, "")
        return [*map(stopper.feed, text), stopper.rest()], stopper.stopped

    assert pieces("xabab", "abc") == (["x", "", "", "ab", "", "ab"], False)  # the end cuts it
    assert pieces("aab", "ab") == (["", "a", "ab", ""], True)
    assert pieces("aabx", "ab", keep=False) == (["", "a", "", "", ""], True)
    assert pieces("abax", "abc", "bax") == (["", "", "a", "bax", ""], True)


def test_lanes_end_one_by_one():
    m = model(vocabulary="ab\n")
    free = m.generate(["a", "b"], 400, n=4, seed=3)
    assert m.generate(["a", "b"], 400, n=4, seed=3, stop=["aaaaaaa", "\n\n\n\n"]) == [cut(t, ["aaaaaaa", "\n\n\n\n"], True) for t in free]


# ---- models of bytes, Unicode, line ends ----------------------------------------------------------------------------


def test_bytes_and_unicode():
    raw = CharRNN(hidden_size=8, vocabulary="naïve é𝄞\n".encode(), init_std=0.5)
    found = raw.generate(["é".encode(), b""], 30, n=2, seed=1, stop=b"\n", allowed="é𝄞\n".encode(), logit_bias={b"\n": -2}, details=True)
    assert all(isinstance(passage.text, bytes) for passage in found)
    assert set(b"".join(passage.text for passage in found)) <= set("é𝄞\n".encode())
    m = CharRNN(hidden_size=8, vocabulary="e\u0301𝄞é\0\n", init_std=0.5)
    text = m.generate("𝄞é", 50, seed=1, banned="e", stop="𝄞\u0301")
    assert "e" not in text
    assert set(text) <= set(m.vocabulary.characters)
    for wrong in ({"allowed": "é"}, {"stop": "é"}, {"logit_bias": {"é": 1}}, {"dry_sequence_breakers": "é"}):
        with pytest.raises((SettingsError, TextError)):
            raw.generate(b"n", 5, **wrong)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A run's folder, a model beside it, one of bytes, and files of prompts."""
    folder = tmp_path_factory.mktemp("generate")
    (folder / "names.txt").write_text(NAMES, "utf-8")
    words = ["train", str(folder / "names.txt"), "--out", str(folder / "run"), "--updates", "300", "--hidden-size", "16", "--quiet"]
    assert main([*words, "--seq-length", "10", "--sample-every", "none"]) == 0
    CharRNN.load(folder / "run").save(folder / "m.safetensors")
    raw = CharRNN(hidden_size=8, vocabulary="anné \r\n".encode(), init_std=0.5)
    raw.save(folder / "raw.safetensors")
    (folder / "prompts.txt").write_bytes(b"an\r\n\r\nbe\nhan")
    return folder


@pytest.fixture
def said(place, capsys, monkeypatch):
    """Run charrnn generate in the folder; returns the exit code, output and errors."""
    monkeypatch.chdir(place)

    def run(*words):
        code = main(["generate", *words])
        out, err = capsys.readouterr()
        return code, out, err

    return run


def test_several_prompts_from_a_file(said, place):
    m = CharRNN.load(place / "run")
    code, out, _ = said("run", "--prompts", "prompts.txt", "--length", "8", "--seed", "4")
    passages = [a + b for a, b in zip(["an", "be", "han"], m.generate(["an", "be", "han"], 8, seed=4), strict=True)]
    assert code == 0
    assert out == "".join(text if i == 2 else text + "\n" * (2 - text.endswith("\n")) for i, text in enumerate(passages))
    code, out, _ = said("run", "--prompts", "prompts.txt", "--length", "8", "--seed", "4", "--n", "2", "--json", "--log-probabilities")
    lines = [json.loads(line) for line in out.splitlines()]
    expected = m.generate(["an", "be", "han"], 8, n=2, seed=4, details=True, log_probabilities=True)
    assert [(line["prompt"], line["text"], line["finished"], line["log_probability"]) for line in lines] == [
        (e.prompt, e.text, e.finished, e.log_probability) for e in expected
    ]
    assert {line["seed"] for line in lines} == {4}


def test_primes_escapes_and_line_ends(said, place, monkeypatch):
    m = CharRNN.load(place / "run")
    expected = "anna\nb" + m.generate("anna\nb", 9, seed=1)
    assert said("run", "--prime", r"anna\nb", "--length", "9", "--seed", "1") == (0, expected, "")
    assert said("run", "--prime", "anna\r\nb", "--length", "9", "--seed", "1") == (0, expected, "")  # the model knows LF only
    (place / "prime.txt").write_bytes(b"\xef\xbb\xbfanna\r\nb\r\n")
    assert said("run", "--prime-file", "prime.txt", "--length", "9", "--seed", "1") == (0, expected, "")
    raw = CharRNN.load(place / "raw.safetensors")
    words = ["generate", "raw.safetensors", "--prime-file", "-", "--length", "9", "--seed", "1"]
    code, out, _ = in_process(*words, cwd=place, stdin="né\r\n".encode())
    assert code == 0
    assert out == "né\r\n".encode() + raw.generate("né\r\n".encode(), 9, seed=1)  # as they are


def test_a_backslash_is_written_twice(said):
    code, out, err = said("run", "--prime", r"a\\n")
    assert (code, out) == (2, "")
    assert "not in the vocabulary" in err
    assert "(U+005C) at offset 1" in err
    for option in ("--prime", "--stop", "--allowed", "--banned", "--logit-bias"):
        code, out, err = said("run", option, r"a\q=1")
        assert (code, out) == (2, "")
        assert rf"{option} holds \q, which means nothing: write \\ for a backslash" in err


def test_out_is_written_in_utf_8_and_only_when_all_is_well(said, place):
    target = place / "out.txt"
    code, out, err = said("run", "--length", "30", "--seed", "2", "--out", "out.txt", "--prime", "an")
    assert (code, out, err) == (0, "", "")
    whole = "an" + CharRNN.load(place / "run").generate("an", 30, seed=2)
    assert target.read_text("utf-8") == whole
    for wrong in (["--prime", "é"], ["--pattern", "("], ["--top-p", "2"], ["--stop", ""], ["--n", "0"], ["--unseen-in", "nowhere"]):
        code, out, err = said("run", "--out", "out.txt", *wrong)
        assert (code, out, err.count("\n")) == (2, "", 1)
        assert target.read_text("utf-8") == whole
    code, out, err = said("run", "--out", "nowhere/out.txt")
    assert (code, err) == (1, "charrnn generate: error: cannot write nowhere/out.txt: No such file or directory\n")
    assert said("raw.safetensors", "--length", "30", "--seed", "2", "--out", "out.txt")[0] == 0
    assert target.read_bytes() == CharRNN.load(place / "raw.safetensors").generate(b"", 30, seed=2)
    code, out, _ = said("raw.safetensors", "--length", "9", "--json", "--n", "2", "--seed", "1")
    assert [len(json.loads(line)["text"]) >= 9 for line in out.splitlines()] == [True, True]


def test_unseen_and_distinct_names(said, place):
    words = ["run", "--stop", r"\n", "--drop-stop", "--length", "12", "--seed", "3", "--temperature", "0.8"]
    plain = said(*words, "--n", "40")[1].split("\n\n")
    known = set(NAMES.split())
    assert set(plain) & known  # the model knows its names by heart
    code, out, err = said(*words, "--n", "8", "--unseen", "--distinct")
    found = out.rstrip("\n").split("\n\n")
    assert code == 0
    assert len(found) == len(set(found)) == 8
    assert not set(found) & known
    rejected, seen, alike = (int(word) for word in err.replace(",", "").replace(":", "").split() if word.isdigit())
    assert rejected == seen + alike > 0
    assert seen > 0
    assert said("m.safetensors", *words[1:], "--n", "8", "--unseen-in", "names.txt", "--distinct")[1] == out
    code, out, err = said(*words, "--n", "3", "--unseen", "--temperature", "0", "--prime", "hann")
    assert (code, out) == (1, "")
    assert err == "after 300 passages 3 are still missing: too few of the model's passages pass\nrejected 300: 300 in the training text\n"
    code, _, err = said("m.safetensors", "--unseen")
    assert (code, err) == (
        2,
        "charrnn generate: error: --unseen: m.safetensors is no run's folder, so name the text with --unseen-in FILE\n",
    )


def test_selection_counts_what_it_rejects():
    selection = Selection([b"one\ntwo\nthree\n"], distinct=False)
    assert [selection.takes(text) for text in (b"two", b"tw", b"one\ntwo", b"two\none", b"\nthree\n", b"tw")] == [0, 1, 0, 1, 0, 1]
    assert str(selection) == "rejected 3: 3 in the training text"
    selection = Selection([], distinct=True)
    assert [selection.takes(text) for text in ("a", "a\n", "b", "b")] == [True, False, True, False]
    assert str(selection) == "rejected 2: 2 like an earlier one"


def test_adapt_writes_in_the_manner_of_another_text(said, place):
    (place / "other.txt").write_text("nnnaaa\n" * 100, "utf-8")
    m = CharRNN.load(place / "run")
    adapted = m.adapted("nnnaaa\n" * 100)
    assert said("run", "--adapt", "other.txt", "--length", "40", "--seed", "1")[1] == adapted.generate("", 40, seed=1)
    assert adapted.evaluate("nnnaaa\n" * 9).loss < m.evaluate("nnnaaa\n" * 9).loss - 0.2
    assert m.theta.tobytes() == CharRNN.load(place / "run").theta.tobytes()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--exact", "--exact belongs to --pattern, which is missing"),
        ("--drop-stop", "--drop-stop belongs to --stop, which is missing"),
        ("--log-probabilities", "--log-probabilities belongs to --json, which is missing"),
        ("--interactive --json", "--interactive answers what is typed: leave out --json"),
        ("--interactive --n 2", "leave out --n"),
        ("--interactive --pattern a", "leave out --pattern"),
        ("--interactive --prime-file -", "--interactive reads what is typed from standard input"),
        ("--logit-bias a", "--logit-bias must be a character and a number, such as e=-1.5, got 'a'"),
        ("--logit-bias ab=1", "logit_bias is for a character that the model does not know: 'ab'"),
        ("--prompts nowhere", "nowhere cannot be read: No such file or directory"),
        ("--adapt nowhere", "nowhere does not exist"),
        ("--length -1", "length must be a whole number of at least 0, got -1"),
        ("--seed -1", "seed must be a whole number of at least 0, got -1"),
    ],
)
def test_options_that_make_no_sense_together(said, words, message):
    code, out, err = said("run", *words.split())
    assert (code, out) == (2, "")
    assert err.startswith("charrnn generate: error: ")
    assert err.count("\n") == 1
    assert message in err


def test_rules_on_the_command_line_are_those_of_the_api(said, place):
    words = "--temperature 0.9 --top-k 9 --top-p 0.95 --min-p 0.01 --typical-p 0.95 --no-repeat-ngram-size 4 --dry-multiplier 0.8"
    more = r"--dry-base 1.5 --dry-allowed-length 2 --dry-range 50 --dry-sequence-breakers \n --banned k --logit-bias a=1 --logit-bias \n=-1"
    _, out, _ = said("run", "--length", "60", "--seed", "1", *words.split(), *more.split())
    rules = {"temperature": 0.9, "top_k": 9, "top_p": 0.95, "min_p": 0.01, "typical_p": 0.95, "no_repeat_ngram_size": 4}
    rules |= {"dry_multiplier": 0.8, "dry_base": 1.5, "dry_allowed_length": 2, "dry_range": 50, "dry_sequence_breakers": "\n"}
    m = CharRNN.load(place / "run")
    assert out == m.generate("", 60, seed=1, banned="k", logit_bias={"a": 1, "\n": -1}, **rules)
    assert np.isfinite(m.evaluate(out).loss)
