"""charrnn doctor and check_text: what may be wrong with a text is found where it is, and nothing where there is nothing."""

import codecs
import json
import random
import re
import tracemalloc
import unicodedata
from collections import Counter
from unittest.mock import patch

import pytest
from commands import run
from hypothesis import given, settings
from hypothesis import strategies as st

from charrnn import Corpus, SettingsError, TextError, check_text
from charrnn.doctor import examine, repetition
from charrnn.doctor import overlap as overlap_module
from charrnn.doctor.overlap import overlap
from charrnn.doctor.signs import repaired

SEA = "she sells sea shells by the sea shore, and the shells she sells are sea shells for sure\n"


@pytest.fixture
def check(tmp_path):
    """check(content, ...): the report of a file with this content."""

    def report(content, **how):
        path = tmp_path / "text.txt"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        before = path.read_bytes()
        found = check_text(path, **how)
        assert path.read_bytes() == before
        return found

    return report


def places(found):
    return [str(place) for place in found.places]


def test_bytes_that_are_no_utf8(check):
    report = check(("abc\n" * 3).encode() + "d “quoted” – and".encode("cp1252"))
    sign = report.signs["invalid"]
    assert (sign.count, places(sign)) == (3, ["4:3", "4:10", "4:12"])
    assert any("--encoding cp1252" in each for each in report.suggestions)
    assert report.distinct == len(set("abc\nd \ufffdquoteand"))
    assert check("ab\nÄÖ".encode("latin-1")).looks_like == "latin-1"
    assert check("some text\n".encode("utf-16")).looks_like == "utf-16"
    assert check("some text\n".encode("utf-16-le")).looks_like == "utf-16"
    assert check("some text\n".encode("utf-16"), encoding="utf-16").signs["invalid"].count == 0


def test_signs_and_where_they_are(check):
    text = "fine\nbad \ufffd here\n" + "don’t – naïve".encode().decode("cp1252") + "\na\ufeffb\0\x07\n"
    report = check("\ufeff" + text)
    assert {name: sign.count for name, sign in report.signs.items()} == {
        "invalid": 0,
        "replacement": 1,
        "mojibake": 3,
        "byte_order_mark": 1,
        "nul": 1,
        "control": 1,
    }
    assert report.marks == 1
    assert places(report.signs["replacement"]) == ["2:5"]
    assert places(report.signs["mojibake"])[0] == "3:4"
    assert places(report.signs["nul"]) == ["4:4"]
    assert any("don’t" in each for each in report.suggestions)
    assert repaired("nothing of the kind, é") == ""


@pytest.mark.parametrize(
    "text", ["Müßiggang: „ja“, Spaß“ MENÜ“ ÂME ÉÂTRE NÃO", "Ærø, Ðórr; Ñandú", "Привет, мир – „да“", "日本語。「はい」"]
)
def test_other_languages_show_no_signs(check, text):
    report = check(f"{text}\n" * 3)
    assert not any(sign.count for sign in report.signs.values())


def test_line_ends_are_counted_before_they_become_lf(check):
    report = check("a\r\nb\rc\n\r\n\r")
    assert report.line_ends == {"LF": 1, "CRLF": 2, "CR": 2}
    assert (report.lines, report.distinct) == (5, 4)
    assert "2 CRLF" in str(report)
    raw = check("a\r\nb\rc\n", raw_bytes=True)
    assert raw.line_ends == {"LF": 1, "CRLF": 1, "CR": 1}
    assert raw.characters == 7
    assert any("mixed" in each for each in raw.suggestions)


def test_spellings_of_letters_with_marks(check):
    report = check("Ça va? éte\n" + unicodedata.normalize("NFD", "é ü") + "\nx\u0301\n")  # there is no x with an accent
    assert (report.composed, report.decomposed.count) == (2, 2)
    assert places(report.decomposed) == ["2:2", "2:5"]
    assert any("NFC" in each for each in report.suggestions)


@settings(max_examples=40)
@given(
    text=st.lists(st.sampled_from(["a", "b\n", "é", "\r\n", "\r", "\ufffd", "â€™", "e\u0301", "𝄞", "\0"]), min_size=2).map("".join),
    block=st.integers(1, 7),
)
def test_where_blocks_cut_a_text_makes_no_difference(text, block, tmp_path_factory):
    path = tmp_path_factory.getbasetemp() / "blocks.txt"
    path.write_bytes(("xy" + text).encode())
    whole = check_text(path).to_json()
    with patch("charrnn.text.reading.BLOCK", block):
        cut = check_text(path).to_json()
    for found in (whole, cut):
        found.pop("suggestions")  # which quote examples
        for sign in (*found["signs"].values(), found["decomposed"]):
            sign.pop("example")
    assert whole == cut
    read = ("xy" + text).replace("\r\n", "\n").replace("\r", "\n")
    assert whole["rare"] == [
        {
            "character": c,
            "count": n,
            "places": [
                {"file": str(path), "line": read.count("\n", 0, m.start()) + 1, "column": m.start() - read.rfind("\n", 0, m.start())}
                for m in re.finditer(re.escape(c), read)
            ][:3],
        }
        for n, c in sorted((n, c) for c, n in Counter(read).items() if n < 10)
    ]
    assert whole["line_ends"]["CRLF"] == text.count("\r\n")


def test_rare_characters_and_what_min_count_would_leave(check):
    report = check(SEA * 20 + "$€¥£¢₿\n", min_count=3)
    assert "".join(each.character for each in report.rare) == "$¢£¥€₿"
    assert places(report.rare[0]) == ["21:1"]
    assert "DOLLAR SIGN" in str(report)
    left = Corpus.from_text(SEA * 20 + "$€¥£¢₿\n", min_count=3).vocabulary
    assert any(f"K is {len(left)}" in each for each in report.suggestions)


def test_repetitions(check, tmp_path):
    report = check(SEA * 3 + "\n" + SEA * 3 + "\nshort\nshort\n")
    assert (report.repeated["long_lines"].total, report.repeated["long_lines"].repeated) == (6, 5)
    assert report.repeated["lines"].repeated == 6
    assert (report.repeated["paragraphs"].total, report.repeated["paragraphs"].repeated) == (2, 1)
    assert report.repeated["long_lines"].times == 6
    assert any("keep one" in each for each in report.suggestions)
    for name in ("one", "two", "three"):
        (tmp_path / name).write_text("other" if name == "two" else SEA + "end", "utf-8")
    report = check_text([tmp_path / name for name in ("one", "two", "three")])
    assert report.equal_files == [[str(tmp_path / "one"), str(tmp_path / "three")]]
    assert report.unended_files == [str(tmp_path / "one"), str(tmp_path / "two")]
    assert check("ab" * 10_000).longest_line == 20_000


def test_estimates_of_many_lines_are_near(check):
    rng = random.Random(1)
    lines = [f"this is line number {rng.randrange(3000)} of the list\n" for _ in range(6000)]
    exact = check("".join(lines)).repeated["long_lines"]
    with patch.object(repetition.Seen.__init__, "__defaults__", (300,)):
        near = check("".join(lines)).repeated["long_lines"]
    assert near.estimated
    assert not exact.estimated
    assert exact.repeated == 6000 - len(set(lines))
    assert near.part == pytest.approx(exact.part, abs=0.1)
    assert near.repeated == pytest.approx(exact.repeated, rel=0.25)


def test_compression_tells_order_from_chance(check):
    rng = random.Random(0)
    noise = "".join(rng.choices("abcdefghijklmnopqrstuvwxyz0123456789+/ABCDEFGHIJKLMNOPQRSTUVWXYZ", k=50_000))
    assert any("hardly compresses" in each for each in check(noise).suggestions)
    assert check(noise * 2).compression.lzma > 1.8 * check(noise * 2).compression.zlib  # 50,000 back is farther than zlib looks
    assert any("repeats itself" in each for each in check(SEA * 500).suggestions)


@settings(max_examples=30)
@given(seed=st.integers(0, 1000), piece=st.integers(60, 300), most=st.sampled_from([1 << 20, 100]))
def test_the_overlap_is_that_of_sets_of_windows_and_lines(seed, piece, most):
    rng = random.Random(seed)
    sentences = ["".join(rng.choices("ab\n", k=rng.randrange(100))) for _ in range(6)]
    training, validation = ("".join(rng.choices(sentences, k=6)) + "ab" * 30 for _ in range(2))
    windows = [{text[i : i + 50] for i in range(len(text) - 49)} for text in (training, validation)]
    wanted = [validation[i : i + 50] in windows[0] for i in range(len(validation) - 49)]
    lines = [line for line in validation.split("\n") if line]
    if "\n" not in training + validation:
        return
    with patch("charrnn.doctor.overlap.PIECE", piece), patch("charrnn.doctor.overlap.remembered.__defaults__", (most,)):
        found = overlap(Corpus.from_text(training), Corpus.from_text(validation))
    assert 0 <= found.windows <= 1
    if not found.estimated:
        assert found.windows == pytest.approx(sum(wanted) / len(wanted))
    if piece > max(map(len, training.split("\n") + lines)):
        assert found.lines == pytest.approx(sum(line in training.split("\n") for line in lines) / len(lines))


def test_validation_is_compared_with_what_would_be_trained_on(check, tmp_path):
    rng = random.Random(0)
    text = "".join(rng.choices("abcdefgh \n", k=20_000))
    assert check(text + text[:1000], validation=1000 / 21_000).overlap.windows == 1.0
    assert check(text + "&" * 10, validation=0.1).overlap.unknown == "&"
    (tmp_path / "test.txt").write_text(text[:500] + "!" * 500, "utf-8")
    report = check(text, validation=tmp_path / "test.txt")
    assert report.overlap.windows == pytest.approx(451 / 951)
    assert any("too low to tell" in each for each in report.suggestions)
    assert check(text, validation=None).overlap is None
    names = "".join(f"name{i}\n" for i in range(400))
    report = check(names)
    assert any("--validation-split lines" in each for each in report.suggestions)
    report = check(names + names, validation_split="lines")
    assert report.overlap.lines > 0.5
    assert not any("--validation-split lines" in each for each in report.suggestions)


@pytest.mark.parametrize(
    ("content", "how", "error"),
    [
        ("", {}, TextError),
        ("aaa", {}, TextError),
        (b"%PDF-1.5 something", {}, TextError),
        ("ab", {"encoding": "klingon"}, SettingsError),
        ("ab", {"validation": 2}, SettingsError),
        ("ab", {"validation_split": "middle"}, SettingsError),
        ("ab", {"min_count": 0}, SettingsError),
        ("ab", {"encoding": "latin-1", "raw_bytes": True}, SettingsError),
    ],
)
def test_what_cannot_be_examined_is_an_error(check, content, how, error):
    with pytest.raises(error):
        check(content, **how)


def test_short_texts_have_no_overlap(check):
    assert check("ab").overlap is None
    assert check("ab\nab\n").overlap.windows is None


def test_command(tmp_path):
    (tmp_path / "one.txt").write_bytes(codecs.BOM_UTF8 + SEA.encode() * 5)
    (tmp_path / "two.txt").write_bytes(b"caf\xe9\r\n" + SEA.encode())
    out, errors = run("doctor", "one.txt", "two.txt", cwd=tmp_path)
    assert errors == ""
    assert "two.txt:1:4" in out
    assert "1 CRLF" in out
    assert len(out.splitlines()) < 40
    out, _ = run("doctor", "-", "--json", "--validation", "none", cwd=tmp_path, stdin=SEA.encode() * 5)
    found = json.loads(out)
    assert (found["files"], found["lines"], found["overlap"]) == (["standard input"], 5, None)
    out, _ = run("doctor", "two.txt", "--bytes", "--json", cwd=tmp_path)
    assert {"character": "\xe9", "count": 1, "places": [{"file": "two.txt", "line": 1, "column": 4}]} in json.loads(out)["rare"]
    out, _ = run("doctor", cwd=tmp_path)
    assert "nothing seems wrong" in out
    _, error = run("doctor", "one.txt", "--validation", "2", cwd=tmp_path, code=2)
    assert "--validation must be a part" in error
    _, error = run("doctor", "missing.txt", cwd=tmp_path, code=2)
    assert "does not exist" in error


def test_memory_is_bounded(tmp_path, monkeypatch):
    monkeypatch.setattr(repetition.Seen.__init__, "__defaults__", (2000,))
    monkeypatch.setattr(repetition.Compressor.__init__, "__defaults__", (1 << 18,))
    monkeypatch.setattr(overlap_module.remembered, "__defaults__", (2000,))
    monkeypatch.setattr(overlap_module, "PIECE", 1 << 14)
    monkeypatch.setattr(examine, "IN_MEMORY", 1 << 16)

    def peak(lines):
        (tmp_path / "text.txt").write_bytes(b"".join(b"line %d of a text\n" % i for i in range(lines)))
        tracemalloc.start()
        try:
            check_text(tmp_path / "text.txt")
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    peak(100)  # what is imported and kept
    shorter = peak(20_000)
    assert peak(80_000) - shorter < 200_000  # bytes, for a text that is 1.2 MB longer, and has 60,000 more lines


def test_a_text_of_rare_characters_alone_is_not_to_be_read_as_one_symbol(tmp_path):
    (tmp_path / "few.txt").write_text("abcab")
    assert not any("--min-count" in each for each in check_text(tmp_path / "few.txt").suggestions)
