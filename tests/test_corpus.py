"""Texts of every kind, from every place, of every length."""

import bz2
import codecs
import contextlib
import gc
import gzip
import hashlib
import io
import lzma
import os
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from charrnn.errors import CharRNNError, OutputError, SettingsError, TextError
from charrnn.text.corpus import Corpus, as_corpus, bundled_story, read_corpus
from charrnn.text.vocabulary import Encoder, Vocabulary

seeded = settings(derandomize=True, deadline=None)
posix = pytest.mark.skipif(os.name != "posix", reason="works on POSIX only")
linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks into /proc")


@contextlib.contextmanager
def blocks_of_size(size):
    with patch("charrnn.text.corpus.BLOCK", size), patch("charrnn.text.reading.BLOCK", size), patch("charrnn.text.vocabulary.BLOCK", size):
        yield


@pytest.fixture
def write(tmp_path):
    """write(bytes or str, name) -> path of a new file"""

    def write_file(content, name="text.txt"):
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return write_file


def whole(corpus):
    return corpus.text(0, len(corpus))


def read_bytes(content, **arguments):
    """A corpus of one file with this content; the file is gone afterwards, the corpus is not."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "text")
        path.write_bytes(content)
        return read_corpus(path, **arguments)


# Decoding ------------------------------------------------------------------------------------------------------

knotty = st.lists(st.sampled_from(["\r\n", "\r", "\n", "\ufeff", "\0", "e\u0301", "é", "☃", "𝄞", "ab"])).map(
    lambda pieces: "xy" + "".join(pieces)
)


@seeded
@given(
    text=knotty,
    block=st.integers(1, 7),
    mark=st.booleans(),
    in_memory=st.sampled_from([0, 5, 1000]),
    encoding=st.sampled_from(["utf-8", "utf-16", "utf-16-be", "utf-32", "utf-7", "gb18030"]),
)
def test_a_file_is_read_as_python_reads_it_wherever_blocks_cut_it(text, block, mark, in_memory, encoding):
    content = (mark * "\ufeff" + text).encode(encoding)
    want = io.TextIOWrapper(io.BytesIO(content), encoding).read().removeprefix("\ufeff")
    with blocks_of_size(block):
        corpus = read_bytes(content, encoding=encoding, in_memory=in_memory)
    assert whole(corpus) == want
    assert corpus.vocabulary == Vocabulary.from_text(want)
    assert corpus.fingerprint == Corpus.from_text(want).fingerprint


@seeded
@given(content=st.binary(min_size=1), block=st.integers(1, 5), in_memory=st.sampled_from([0, 7, 1000]))
def test_raw_bytes_are_left_alone(content, block, in_memory):
    content = b"\r\n" + codecs.BOM_UTF8 + content
    with blocks_of_size(block):
        corpus = read_bytes(content, raw_bytes=True, in_memory=in_memory)
    assert whole(corpus) == content
    assert corpus.vocabulary.raw_bytes
    assert corpus.ids.dtype == np.uint8


@pytest.mark.parametrize(
    ("content", "arguments", "text", "how"),
    [
        ("a\nb\n", {}, "a\nb\n", "4 characters, 3 distinct, decoded as UTF-8, line ends LF"),
        ("ab", {}, "ab", "2 characters, 2 distinct, decoded as UTF-8, line ends none"),
        ("a\r\nb\r", {}, "a\nb\n", "4 characters, 3 distinct, decoded as UTF-8, line ends CRLF, CR read as LF"),
        (
            "\ufeffa\r\nb\n",
            {},
            "a\nb\n",
            "4 characters, 3 distinct, decoded as UTF-8 without its byte-order mark, line ends LF, CRLF read as LF",
        ),
        (b"caf\xe9", {"encoding": "latin-1"}, "café", "4 characters, 4 distinct, decoded as ISO8859-1, line ends none"),
        ("a☃", {"raw_bytes": True}, "a☃".encode(), "4 bytes, 4 distinct, raw"),
        ("aaa", {"vocabulary": Vocabulary("ab")}, "aaa", "3 characters, in a vocabulary of 2, decoded as UTF-8, line ends none"),
        ("aab", {"vocabulary": Vocabulary("ab", raw_bytes=True)}, b"aab", "3 bytes, in a vocabulary of 2, raw"),
    ],
)
def test_the_description_says_how_a_text_was_read(write, content, arguments, text, how):
    corpus = read_corpus(write(content), **arguments)
    assert whole(corpus) == text
    assert corpus.description == str(corpus) == f"text.txt: {how}"
    assert repr(corpus) == f"<Corpus text.txt: {how}>"


def first_undecodable(content, encoding):
    try:
        content.decode(encoding)
    except UnicodeDecodeError as error:
        return error.start
    return None


@seeded
@given(
    content=st.binary(max_size=30),
    block=st.integers(1, 5),
    encoding=st.sampled_from(["utf-8", "utf-16-le", "utf-32-be", "gb18030", "shift_jis", "euc_kr", "cp1252"]),
)
def test_bytes_that_do_not_decode_are_named_with_their_offset(content, block, encoding):
    content = "\r\nab".encode(encoding) + content
    offset = first_undecodable(content, encoding)
    with blocks_of_size(block):
        if offset is None:
            read_bytes(content, encoding=encoding)
            return
        with pytest.raises(TextError) as caught:
            read_bytes(content, encoding=encoding)
    message = str(caught.value)
    assert f"text is not {codecs.lookup(encoding).name.upper()}: " in message
    assert f"byte 0x{content[offset]:02x} at offset {offset} " in message
    assert "--encoding latin-1" in message or ("--encoding cp1252" in message and encoding != "cp1252")
    assert "--bytes" in message


def test_offsets_count_from_the_start_of_their_file(write):
    good, bad = write("é" * 99_999, "good"), write(b"ab" * 70_000 + b"\xe2\x98", "bad")
    with pytest.raises(TextError, match=r"bad is not UTF-8: byte 0xe2 at offset 140,000 \(unexpected end of data\)"):
        read_corpus([good, bad])


def test_utf_16_is_guessed_from_its_mark_in_the_advice_only(write):
    with pytest.raises(TextError, match=r"byte 0xff at offset 0 .*--encoding utf-16 "):
        read_corpus(write("abc".encode("utf-16")))
    with pytest.raises(TextError, match=r"is not UTF-16: .*does not start with BOM.*--encoding utf-16-le "):
        read_corpus(write("abc".encode("utf-16-le")), encoding="utf-16")


@pytest.mark.parametrize(
    ("encoding", "hint"),
    [
        ("utf9", "utf8"),
        ("latin-l", "latin1|latin_1"),
        ("qqqqq", "for example utf-8"),
        ("hex", "for example utf-8"),
        ("rot13", "unknown"),
        ("punycode", "unknown"),
        ("idna", "unknown"),
        ("", "unknown"),
        ("a\0b", "unknown"),
        (8, "unknown"),
        (None, "unknown"),
    ],
)
def test_unknown_encodings_name_their_neighbours_before_any_file_is_read(encoding, hint):
    with pytest.raises(SettingsError, match=hint):
        read_corpus("no such file", encoding=encoding)


def test_raw_bytes_take_no_encoding(write):
    with pytest.raises(SettingsError, match="'latin-1'"):
        read_corpus(write("ab"), encoding="latin-1", raw_bytes=True)


def test_half_characters_that_a_codec_lets_through_are_refused(write):
    with pytest.raises(TextError, match=r"text\.txt: U\+D800 at offset 2"):
        read_corpus(write(rb"ab\ud800"), encoding="unicode_escape")


# Where texts come from -----------------------------------------------------------------------------------------


def test_no_path_is_the_bundled_story():
    corpus = read_corpus()
    assert corpus.description == ("tidehouse_at_saltmere.txt: 461,932 characters, 79 distinct, decoded as UTF-8, line ends LF")
    assert whole(corpus) == bundled_story().read_text(encoding="utf-8")


def test_files_are_joined_in_their_order(write):
    paths = [write("\ufeffab\r", "1"), write("\ncd", "2"), write("", "3"), str(write("ef", "4"))]
    corpus = read_corpus(paths)
    assert whole(corpus) == "ab\n\ncdef"
    assert corpus.description.startswith("1, 2, 3 and 1 more: 8 characters, 7 distinct, ")


def test_a_vocabulary_can_be_given(write):
    corpus = read_corpus(write("abba"), vocabulary=Vocabulary(" abc"))
    assert corpus.read(0, 4).tolist() == [1, 2, 2, 1]
    with pytest.raises(TextError, match=r"^text\.txt: 1 character is not in the vocabulary of 2: 'z' .* at offset 3$"):
        read_corpus(write("abaz"), vocabulary=Vocabulary("ab"))
    with pytest.raises(TextError, match="texts of type str, got bytes"):
        read_corpus(write("ab"), vocabulary=Vocabulary("ab"), raw_bytes=True)


def test_standard_input(write):
    with patch("sys.stdin", io.TextIOWrapper(io.BytesIO("b☃\r\n".encode()))):
        corpus = read_corpus([write("a"), "-"])
    assert whole(corpus) == "ab☃\n"
    assert corpus.name == "text.txt, standard input"
    with patch("sys.stdin", io.TextIOWrapper(io.BytesIO())), pytest.raises(TextError, match=r"^standard input: empty"):
        read_corpus("-")
    with patch("sys.stdin", None), pytest.raises(TextError, match="no standard input"):
        read_corpus("-")
    with pytest.raises(SettingsError, match="only once"):
        read_corpus(["-", "-"])


@pytest.mark.parametrize("in_memory", [0, 350, 2350, 10_000])
def test_texts_of_unknown_length_move_to_a_file_once_they_are_long(in_memory):
    text = "".join(np.random.default_rng(0).permutation([chr(33 + code) for code in range(240)] * 10))
    with blocks_of_size(100), patch("sys.stdin", io.TextIOWrapper(io.BytesIO(text.encode()))):
        corpus = read_corpus("-", in_memory=in_memory)
    assert whole(corpus) == text
    assert isinstance(corpus.ids, np.memmap) == (in_memory < len(text))


@posix
def test_named_pipes(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_text, args=("abc" * 50_000,))
    writer.start()
    assert whole(read_corpus(pipe)) == "abc" * 50_000
    writer.join()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("missing.txt", "does not exist"),
        ("there/under", "does not exist"),
        ("folder", "is a folder"),
        ("a\0b", "cannot be read"),
        ("x" * 300, "cannot be read: File name too long|cannot be read|does not exist"),
    ],
)
def test_files_that_cannot_be_texts_are_refused_before_any_is_read(write, tmp_path, name, message):
    good = write("ab", "there")
    (tmp_path / "folder").mkdir()
    reads = patch("charrnn.text.corpus.blocks_of_file", side_effect=AssertionError("reads"))
    with reads, pytest.raises(TextError, match=message) as caught:
        read_corpus([good, f"{tmp_path}/{name}"])
    assert isinstance(caught.value, CharRNNError)
    assert str(caught.value).startswith(f"{tmp_path}/{name} ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("paths", [5, 0, False, [None], [["a"]], {}, {"text.txt": 1}, {"text.txt"}, frozenset(), np.array([[1]]), object()])
def test_paths_that_are_none(paths):
    with pytest.raises(SettingsError, match="names of files, got") as caught:
        read_corpus(paths)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "nothing", [[], (), np.array([]), np.array([], str), iter([])], ids=["list", "tuple", "array", "array of strings", "iterator"]
)
def test_no_path_where_there_should_be_some_is_not_the_story(nothing):
    with pytest.raises(SettingsError, match=r"paths must name a file at least, got .*; None is the story"):
        read_corpus(nothing)


def test_an_empty_glob_is_not_the_story(tmp_path):
    for empty in (tmp_path.glob("*.txt"), sorted(tmp_path.glob("*.txt"))):
        with pytest.raises(SettingsError, match="paths must name a file at least"):
            read_corpus(empty)
    with pytest.raises(TextError, match=r"/\*\.txt does not exist: a pattern must be expanded, as sorted\(glob.glob\(...\)\) does"):
        read_corpus(f"{tmp_path}/*.txt")


@pytest.mark.parametrize("empty", ["", b"", [""]])
def test_the_empty_name_is_no_file(empty):
    with pytest.raises(TextError, match="does not exist"):
        read_corpus(empty)


def test_names_in_every_form(write, tmp_path):
    path = write("abba")
    write("cd", "more.txt")
    name = str(path)
    for form in (path, name, os.fsencode(name), [path], (name,), [os.fsencode(name)], np.array([name]), np.array(name, object).reshape(1)):
        assert whole(read_corpus(form)) == "abba"
    for several in (
        sorted(tmp_path.glob("*.txt"), reverse=True),
        iter([path, tmp_path / "more.txt"]),
        np.array([name, f"{tmp_path}/more.txt"]),
    ):
        assert whole(read_corpus(several)) == "abbacd"


def test_an_open_file_is_refused_with_its_name(write):
    path = write("abba")
    with open(path) as text, open(path, "rb") as raw, tempfile.TemporaryFile() as nameless:
        for file in (text, raw, nameless, io.StringIO("abba"), io.BytesIO(b"abba")):
            with pytest.raises(SettingsError, match=r"must not be an open file: give its name, as in charrnn\.read_corpus") as caught:
                read_corpus(file)
            assert (repr(str(path)) in str(caught.value)) == (file in (text, raw))


# Strings that name a file, in place of a text ------------------------------------------------------------------


def test_a_string_that_names_a_file_is_not_its_text(write, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write("to be or not to be", "play")
    (tmp_path / "plays").mkdir()
    for name in (
        "play",
        b"play",
        "./play",
        str(tmp_path / "play"),
        f"{tmp_path}/plays",
        "/no/such/book.txt",
        "BOOK.TXT",
        "a b.docx",
        "x.txt.gz",
    ):
        for use in (Corpus.from_text, as_corpus):
            with pytest.raises(
                TextError, match=r"name of a file, not a text: charrnn.read_corpus\(b?'.*' reads it|\) reads it; if "
            ) as caught:
                use(name)
            assert "read_corpus" in str(caught.value)
            assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["play\n", "to be.", "see book.txt, please", "plays", "/.", "..a", "a\0.txt", "a.b", "x" * 5000 + ".txt"])
def test_texts_that_only_resemble_names_are_texts(text, write, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write("abba", "play")
    (tmp_path / "plays").mkdir()
    assert whole(Corpus.from_text(text)) == text


def test_a_path_is_read_and_other_forms_stay_what_they_are(write):
    path = write("abba")
    vocabulary = Vocabulary("ab")
    assert as_corpus(path, vocabulary).description == "text.txt: 4 characters, in a vocabulary of 2, decoded as UTF-8, line ends none"
    assert whole(as_corpus(path, Vocabulary("ab", raw_bytes=True))) == b"abba"
    corpus = Corpus.from_text("abba")
    assert as_corpus(corpus) is as_corpus(corpus, vocabulary) is corpus
    assert as_corpus(corpus, Vocabulary("abc")).read(0, 4).tolist() == [0, 1, 1, 0]
    assert as_corpus("abba", None, "mine").name == "mine"
    name = Corpus.from_text("play.txt\n").part(0, 8)  # a text that has become like a name is still a text
    assert whole(as_corpus(name, Vocabulary("".join(sorted({*"play.txt\nz"}))))) == "play.txt"
    for wrong in (None, 5, ["abba"], np.array(["abba"])):
        with pytest.raises(TextError, match=r"must be str or bytes, got .*; files are read by charrnn.read_corpus"):
            as_corpus(wrong)


# Compressed files, folders, and what is no text ----------------------------------------------------------------

PACKERS = {"gz": gzip.compress, "bz2": bz2.compress, "xz": lzma.compress}
TALE = "Le café était “fermé”…\r\n" * 300


@pytest.mark.parametrize("block", [1, 5, 1 << 16])
@pytest.mark.parametrize("kind", PACKERS)
def test_compressed_files_are_decompressed(write, kind, block):
    pack = PACKERS[kind]
    path = write(pack(TALE[:600].encode()) + pack(TALE[600:].encode()), f"tale.txt.{kind}")  # in two members, as `cat` joins them
    with blocks_of_size(block):
        corpus = read_corpus(path)
    assert whole(corpus) == TALE.replace("\r\n", "\n")
    assert corpus.fingerprint == Corpus.from_text(TALE.replace("\r\n", "\n")).fingerprint
    full = {"gz": "gzip", "bz2": "bzip2", "xz": "xz"}[kind]
    assert f"distinct, decompressed ({full}), decoded as UTF-8, line ends CRLF read as LF" in corpus.description
    assert whole(read_corpus(path, raw_bytes=True)) == path.read_bytes()
    with patch("sys.stdin", io.TextIOWrapper(io.BytesIO(path.read_bytes()))):
        assert whole(read_corpus("-")) == whole(corpus)


@pytest.mark.parametrize("kind", PACKERS)
def test_damaged_compressed_files(write, kind):
    packed = PACKERS[kind](TALE.encode())
    for damaged in (packed[:-6], packed[: len(packed) // 2], packed[:20] + bytes(8) + packed[28:]):
        with pytest.raises(TextError, match=r"tale is compressed \(.*\) and damaged or cut off: |is not UTF-8") as caught:
            read_corpus(write(damaged, "tale"))
        assert "\n" not in str(caught.value)


@linux
@pytest.mark.memory
def test_a_small_file_that_becomes_a_large_text_takes_bounded_memory(write):
    path = write(gzip.compress(b"ab" * 30_000_000), "bomb.gz")
    program = """
import sys
from charrnn.text.corpus import read_corpus
peak = lambda: next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM"))
read_corpus(); before = peak()
print(len(read_corpus(sys.argv[1], in_memory=1 << 20)), peak() - before)
"""
    length, more = python(program, path).stdout.split()
    assert int(length) == 60_000_000
    assert int(more) < 16 << 10  # KiB, and the text has 58,600


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"PK\x03\x04rest of it", r"a ZIP archive \(as .docx"),
        (b"%PDF-1.7 all of it ASCII", "a PDF"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1 old", "an old Word"),
        (b"\x89PNG\r\n\x1a\n....", "a PNG picture"),
        (b"\xff\xd8\xff\xe0 jpeg", "a JPEG picture"),
        (b"\x7fELF.......", "a compiled program"),
        (b"\x28\xb5\x2f\xfd....", "compressed by Zstandard"),
        (b'\x40\0\0\0\0\0\0\0{"__metadata__"', "a model"),
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "latin-1"])
@pytest.mark.parametrize("packed", [False, True])
def test_what_is_no_text_is_named(write, content, kind, encoding, packed):
    path = write(gzip.compress(content) if packed else content, "book")
    with blocks_of_size(3), pytest.raises(TextError, match=f"book(, decompressed,)? is no text but {kind}"):
        read_corpus(path, encoding=encoding)
    assert whole(read_corpus(path, raw_bytes=True)) == path.read_bytes()


@pytest.mark.parametrize("text", ["PK is a name", "%PDF starts PDFs", "BZh9 and more", "BZh91AY", "Rar!", "\x1f\x8b"])
def test_texts_that_begin_nearly_so_are_texts(write, text):
    assert whole(read_corpus(write(text))) == text


def test_bytes_of_windows_are_recognised(write):
    path = write("“Café” – naïve".encode("cp1252"))
    with pytest.raises(TextError, match=r"byte 0x93 at offset 0 .*--encoding cp1252 \(encoding='cp1252'\)"):
        read_corpus(path)
    assert whole(read_corpus(path, encoding="cp1252")) == "“Café” – naïve"
    as_latin = read_corpus(path, encoding="latin-1").description
    assert "with control characters where cp1252 has quotes and dashes: is it cp1252?" in as_latin
    assert "cp1252" not in read_corpus(write("Café".encode("latin-1")), encoding="latin-1").description
    with pytest.raises(TextError, match="--encoding latin-1 "):  # 0x81 is nothing in cp1252
        read_corpus(write(b"ab\x81\x93"))
    with pytest.raises(TextError, match=r"is not CP1252: byte 0x81 .*--encoding latin-1 "):
        read_corpus(write(b"ab\x81\x93"), encoding="cp1252")


def test_a_folder_is_its_text_files_in_order(write, tmp_path):
    for name, content in {"b.txt": "two", "a.md": "one", "c": gzip.compress(b"three"), "B": "0", ".hidden": "no", "e": ""}.items():
        write(content, name)
    write(b"\x89PNG\r\n\x1a\nno", "d.png")
    write(b"\xff\xfe\x00no", "d.bin")
    write(b"nul\0no", "d.dat")
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / "f.txt").write_text("no")
    for name in (tmp_path, f"{tmp_path}/"):
        corpus = read_corpus(name)
        assert whole(corpus) == "0onetwothree"
        assert corpus.name == tmp_path.name
    assert whole(read_corpus([tmp_path / "b.txt", tmp_path])) == "two0onetwothree"


def test_a_folder_without_texts(write, tmp_path):
    (tmp_path / "inner").mkdir()
    write(b"\x7fELF....", "program")
    with pytest.raises(TextError, match=r"is a folder without text files \(1 files in it\): name another, or the files themselves"):
        read_corpus(tmp_path)
    with pytest.raises(TextError, match=r"is a folder without text files \(0 files in it\)"):
        read_corpus(tmp_path / "inner")


@posix
def test_pipes_in_a_folder_are_left_alone(write, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    write("abba", "text")
    assert whole(read_corpus(tmp_path)) == "abba"


def test_unreadable_files(write):
    path = write("ab")
    locked = patch("builtins.open", side_effect=PermissionError(13, "Permission denied"))
    with locked, pytest.raises(TextError, match=r"text\.txt cannot be read: Permission denied"):
        read_corpus(path)


@linux
def test_read_errors():
    with pytest.raises(TextError, match="mem cannot be read: Input/output error"):
        read_corpus("/proc/self/mem")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", r"text\.txt: empty"),
        ("\ufeff", r"text\.txt: empty"),
        ("aaa", r"text\.txt: .*at least two distinct characters, found only 'a'"),
        ("\r\n\n\r", r"text\.txt: .*found only '\\n' \(U\+000A\)"),
    ],
)
def test_texts_without_two_characters(write, content, message):
    with pytest.raises(TextError, match=message):
        read_corpus(write(content))


def test_strings_are_taken_as_they_are():
    corpus = Corpus.from_text("\ufeffa\r\n", name="mine")
    assert whole(corpus) == "\ufeffa\r\n"
    assert corpus.description == "mine: 4 characters, 4 distinct"
    assert whole(Corpus.from_text(b"\r\n")) == b"\r\n"
    assert Corpus.from_text("aa", Vocabulary("ab")).read(0, 2).tolist() == [0, 0]
    for wrong, message in ((None, "got NoneType"), ("", "text: empty"), ("aa", "found only"), ("a\ud800", "half")):
        with pytest.raises(TextError, match=message):
            Corpus.from_text(wrong)


# Ids, in memory or in a file -----------------------------------------------------------------------------------


@seeded
@given(start=st.integers(0, 400), length=st.integers(0, 400), in_memory=st.sampled_from([0, 100, 10_000]))
def test_reading_slices(start, length, in_memory):
    text = "the quick brown fox jumps over the lazy dog 0123456789é" * 10
    corpus = read_bytes(text.encode(), in_memory=in_memory)
    stop = min(start + length, len(text))
    ids = corpus.read(start, stop)
    assert ids.dtype == np.int32
    assert corpus.text(start, stop) == text[start:stop]
    assert np.array_equal(corpus.ids[start:stop], ids)
    ids += 1  # a copy: nobody else sees it
    assert corpus.text(start, stop) == text[start:stop]
    with pytest.raises(ValueError, match="read-only"):
        corpus.ids[0] = 0


@pytest.mark.parametrize("in_memory", [0, 10_000])
@pytest.mark.parametrize(("start", "stop"), [(-1, 2), (2, 1), (0, 5), (5, 5)])
def test_slices_outside_the_text(write, in_memory, start, stop):
    corpus = read_corpus(write("abba"), in_memory=in_memory)
    with pytest.raises(SettingsError, match="0 <= start <= stop <= 4"):
        corpus.read(start, stop)


@pytest.mark.parametrize("in_memory", [0, 300, 1 << 20])
@pytest.mark.parametrize(("size", "dtype"), [(256, "u1"), (257, "u2"), (65_536, "u2"), (65_600, "u4")])
def test_ids_widen_while_characters_are_met(write, in_memory, size, dtype):
    codes = np.r_[0:0xD800, 0xE000 : 0xE000 + size][:size]
    codes = np.random.default_rng(1).permutation(codes)
    text = codes.astype("<u4").tobytes().decode("utf-32-le") * 3
    path = write(text.encode("utf-32-le"))
    with blocks_of_size(1000):
        corpus = read_corpus(path, raw_bytes=False, encoding="utf-32-le", in_memory=in_memory)
    want = text.replace("\r\n", "\n").replace("\r", "\n")
    assert whole(corpus) == want
    assert corpus.ids.dtype == np.dtype(f"<{dtype}") or len(set(want)) < size  # CR is gone
    assert corpus.fingerprint == Corpus.from_text(want).fingerprint


def test_fingerprints():
    texts = [("abab", None), ("abba", None), ("ab", None), (b"abab", None), ("acac", None), ("abab", Vocabulary("abc"))]
    prints = [Corpus.from_text(*text).fingerprint for text in texts]
    assert len(set(prints)) == len(texts)
    assert prints[0] == Corpus.from_text("abab", Vocabulary("ab"), name="another").fingerprint
    # Written into checkpoints: it may never change.
    head = b'{"characters": "ab", "raw_bytes": false}\0'
    assert prints[0] == hashlib.sha256(head + bytes([0, 1, 0, 1])).hexdigest()


@pytest.mark.parametrize(
    ("length", "seq_length", "batch_size", "got"),
    [(25, 25, 1, "26 characters, got 25"), (51, 25, 2, "26 characters in each of 2 parallel sequences, got 25"), (2, 9, 3, "got 0")],
)
def test_texts_shorter_than_a_window(length, seq_length, batch_size, got):
    corpus = Corpus.from_text(("ab" * length)[:length], name="mine")
    with pytest.raises(TextError, match=f"^mine is too short: seq_length {seq_length} needs .*{got}"):
        corpus.require_window(seq_length, batch_size)


def test_texts_of_just_one_window():
    Corpus.from_text("ab" * 13).require_window(25)
    Corpus.from_text("ab" * 26).require_window(25, batch_size=2)


@pytest.mark.parametrize("in_memory", [0, 1000])
def test_a_closed_corpus_says_so(write, in_memory):
    with read_corpus(write("abba"), in_memory=in_memory) as corpus:
        assert corpus.text(0, 2) == "ab"
    for use in (lambda: corpus.read(0, 1), lambda: corpus.ids):
        with pytest.raises(TextError, match="closed"):
            use()
    corpus.close()


@linux
@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("end", ["close", "forget", "error"])
def test_the_temporary_file_goes_with_the_corpus(write, tmp_path, end):
    cache = tmp_path / "cache"
    cache.mkdir()
    path = write("ab" * 5000)
    gc.collect()
    before = os.listdir("/proc/self/fd")
    if end == "error":
        with pytest.raises(TextError, match="not in the vocabulary"):
            read_corpus(path, cache=cache, in_memory=0, vocabulary=Vocabulary("ac"))
    else:
        corpus = read_corpus(path, cache=cache, in_memory=0)
        assert len(os.listdir("/proc/self/fd")) == len(before) + 1
        if end == "close":
            corpus.close()
        else:
            del corpus
            gc.collect()
    assert len(os.listdir("/proc/self/fd")) == len(before)
    assert list(cache.iterdir()) == []


def python(program, *arguments):
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, [os.getcwd(), *sys.path]))}
    return subprocess.run(
        [sys.executable, "-c", program, *map(str, arguments)], env=environment, check=False, capture_output=True, text=True
    )


@linux
def test_the_temporary_file_goes_with_a_killed_process(write, tmp_path):
    cache = tmp_path / "cache"
    cache.mkdir()
    program = (
        "import os, signal, sys; from charrnn.text.corpus import read_corpus\n"
        "corpus = read_corpus(sys.argv[1], cache=sys.argv[2], in_memory=0); print(len(corpus), flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    result = python(program, write("ab" * 5000), cache)
    assert (result.returncode, result.stdout) == (-9, "10000\n")
    assert list(cache.iterdir()) == []


@linux
@pytest.mark.memory
def test_resident_memory_is_bounded(write):
    path = write(("It is a truth universally acknowledged, é\r\n" * 25 + "☃").encode() * 50_000)
    program = """
import sys
from charrnn.text.corpus import read_corpus
peak = lambda: next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM"))
read_corpus(); before = peak()
corpus = read_corpus(sys.argv[1], in_memory=32 << 20); corpus.fingerprint
for start in range(0, len(corpus) - 25_000, 25_000):
    corpus.read(start, start + 25_000)
print(peak() - before)
"""
    result = python(program, path)
    assert result.stderr == ""
    assert path.stat().st_size > 50e6
    assert int(result.stdout) < 16 << 10  # KiB, and the text has 53,800


def test_a_cache_folder_that_cannot_be_written(write, tmp_path):
    missing = tmp_path / "nowhere"
    with pytest.raises(OutputError, match=r"nowhere: No such file or directory.*cache=.*TMPDIR"):
        read_corpus(write("ab" * 100), cache=missing, in_memory=10)


@posix
def test_a_full_disk(write, tmp_path):
    import resource

    path = write("ab" * 5000)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (6000, hard))
    try:
        with blocks_of_size(100), pytest.raises(OutputError, match=r"cannot keep the ids .*File too large.*cache="):
            read_corpus(path, cache=tmp_path, in_memory=0)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("pread", [pytest.param(True, marks=posix), False])
def test_several_threads_read_one_corpus(write, pread, monkeypatch):
    if not pread:  # as on Windows
        monkeypatch.delattr(os, "pread", raising=False)
    text = "".join(map(chr, range(32, 127))) * 2000
    corpus = read_corpus(write(text), in_memory=0)
    wrong = []

    def read(seed):
        for start in np.random.default_rng(seed).integers(0, len(text) - 1000, 500).tolist():
            if corpus.text(start, start + 1000) != text[start : start + 1000]:
                wrong.append(start)

    threads = [threading.Thread(target=read, args=(seed,)) for seed in range(4)]
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    assert wrong == []


# Files that change while they are read -------------------------------------------------------------------------


def append(path):
    with path.open("ab") as file:
        file.write(b"more" * 100)


@pytest.mark.parametrize("in_memory", [0, 1 << 20])
@pytest.mark.parametrize(
    "change",
    [append, lambda path: os.truncate(path, 150), lambda path: os.truncate(path, 0), lambda path: path.write_bytes(b"x" * 1000)],
    ids=["grows", "shrinks", "is emptied", "is rewritten at the same length"],
)
def test_a_file_that_changes_while_it_is_read(write, change, in_memory):
    path = write("abcde" * 200)
    os.utime(path, (1e9, 1e9))
    encode = Encoder.encode

    def encode_and_change(encoder, block):
        change(path)
        return encode(encoder, block)

    changing = patch.object(Encoder, "encode", encode_and_change)
    message = r"text\.txt changed while it was read \(1,000 bytes before"
    with blocks_of_size(100), changing, pytest.raises(TextError, match=message):
        read_corpus(path, in_memory=in_memory)


def test_a_file_replaced_while_it_is_read_is_read_to_its_old_end(write):
    path = write("abcde" * 200)
    encode = Encoder.encode

    def encode_and_replace(encoder, block):
        if path.exists():
            path.rename(path.with_name("old"))
        return encode(encoder, block)

    with blocks_of_size(100), patch.object(Encoder, "encode", encode_and_replace):
        assert whole(read_corpus(path)) == "abcde" * 200


def test_a_file_may_change_once_it_was_read(write):
    path = write("abcde" * 200)
    corpus = read_corpus(path, in_memory=0)
    path.write_bytes(b"")
    assert whole(corpus) == "abcde" * 200


@pytest.mark.parametrize("in_memory", [1 << 20, 1])
def test_a_part_is_a_view_of_the_whole(tmp_path, in_memory):
    (tmp_path / "t.txt").write_text("to be or not to be", "utf-8")
    whole = read_corpus(tmp_path / "t.txt", cache=tmp_path, in_memory=in_memory)
    part = whole.part(6, 12)
    assert (len(part), part.text(0, 6), part.read(1, 3).tolist()) == (6, "or not", whole.read(7, 9).tolist())
    assert part.vocabulary == whole.vocabulary
    assert part.ids.tolist() == whole.ids[6:12].tolist()
    assert part.fingerprint != whole.fingerprint == whole.part(0, len(whole)).fingerprint
    part.close()
    assert whole.text(0, 2) == "to"
    with pytest.raises(SettingsError, match="start <= stop <= 18"):
        whole.part(6, 19)
    with pytest.raises(SettingsError, match="start <= stop <= 6"):
        part.read(0, 7)
