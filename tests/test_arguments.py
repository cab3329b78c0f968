"""Arguments: what is refused is said in one short line, what was meant is named, and limits are those of the process."""

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from charrnn import arguments
from charrnn.cli.options import SETTINGS, flag
from charrnn.errors import CharRNNError, OutOfMemoryError, SettingsError, ThreadsError, brief, harmless, one_line, resources
from charrnn.synonyms import OURS

HUGE = [10**400, 10**2300, 10**5000, -(10**5000)]


@pytest.mark.parametrize("value", [*HUGE, [10**5000], {"a": 10**5000}, "a\nb\x1b[2J" * 100, np.arange(5000), np.array([3, 4])], ids=brief)
def test_what_is_no_number_is_refused_in_one_short_line(value):
    for check in (arguments.whole_number, arguments.number, arguments.yes_or_no, lambda name, x: arguments.one_of(name, x, ["a", "b"])):
        with pytest.raises(SettingsError) as caught:
            check("size", value)
        assert len(str(caught.value)) < 400
        assert str(caught.value).isprintable()


def test_whole_numbers_have_bounds():
    assert arguments.whole_number("n", np.int32(7)) == 7
    assert arguments.whole_number("n", arguments.MOST) == arguments.MOST
    with pytest.raises(SettingsError, match=r"n must be a whole number of at most 340,282,.*,455, got 340282.*456$"):
        arguments.whole_number("n", arguments.MOST + 1)
    with pytest.raises(SettingsError, match=r"of at most 5, got a whole number of about 5,001 digits"):
        arguments.whole_number("n", 10**5000, at_most=5)
    with pytest.raises(SettingsError, match="about 401 digits"):
        arguments.number("x", 10**400)


class Hostile:
    def __repr__(self):
        raise ZeroDivisionError


@given(st.recursive(st.none() | st.integers() | st.text() | st.floats() | st.binary(), st.lists) | st.integers().map(lambda n: n**301))
def test_brief_is_one_short_line_of_anything(value):
    assert len(brief(value)) <= 200
    assert "\n" not in brief(value)


def test_brief_outlives_a_strangers_repr():
    assert brief(Hostile()) == "a Hostile"
    assert brief(10**37) == str(10**37)


# ---- what was meant ---------------------------------------------------------------------------------------------------

OPTIONS = [flag(setting.name) for setting in SETTINGS]
OPTIONS += ["--help", "--out", "--force", "--threads", "--recipe", "--validation", "--log-every", "--keep", "--resume", "--quiet"]
OPTIONS += ["--encoding", "--bytes", "--layers"]


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("--lr", "--learning-rate"),
        ("--num-layers", "--layers"),
        ("--num_layers", "--layers"),
        ("--rnn-size", "--hidden-size"),
        ("--rnn_size", "--hidden-size"),
        ("--num-epochs", "--epochs"),
        ("--max-iters", "--updates"),
        ("--block-size", "--seq-length"),
        ("--random-state", "--seed"),
        ("--grad-clip", "--clip"),
        ("--learning-rat", "--learning-rate"),
        ("--hiden-size", "--hidden-size"),
        ("--Seed", "--seed"),
        ("--optimiser", "--optimizer"),
    ],
)
def test_an_option_of_another_program_or_a_slip_leads_to_ours(word, meant):
    assert arguments.suggestion(word, OPTIONS) == f"; did you mean {meant!r}?"


@pytest.mark.parametrize("word", ["--gpu", "--device", "--x", "--", "", "--zzzzzz", "--tokenizer", None, 7, "\ud800"])
def test_what_is_far_from_everything_gets_no_suggestion(word):
    assert arguments.suggestion(word, OPTIONS) == ""


def test_a_name_of_others_that_this_place_has_nothing_for_gets_none():
    assert arguments.suggestion("num_layers", ["hidden_size", "seed"]) == ""
    assert arguments.suggestion("sample", ["train", "generate"]) == "; did you mean 'generate'?"


def test_synonyms_are_no_names_of_ours_misread():
    """The table never takes a name that is ours away from itself."""
    for theirs, ours in OURS.items():
        assert arguments.suggestion(theirs, ours) == f"; did you mean {ours[0]!r}?"


def test_unknown_keyword_arguments():
    known = ["hidden_size", "layers", "seed"]
    arguments.no_others("CharRNN", {"seed": 1}, known)
    with pytest.raises(SettingsError, match=r"^CharRNN has no argument 'num_layers'; did you mean 'layers'\?$"):
        arguments.no_others("CharRNN", {"seed": 1, "num_layers": 2}, known)
    with pytest.raises(SettingsError, match=r"^CharRNN has no argument 'gpu'; there are 'hidden_size', 'layers', 'seed'$"):
        arguments.no_others("CharRNN", ["gpu"], known)


# ---- escapes ----------------------------------------------------------------------------------------------------------


@given(st.text())
def test_every_text_can_be_written_with_escapes(text):
    written = text.replace("\\", r"\\").replace("\n", r"\n").replace("\t", r"\t")
    assert arguments.unescaped("--prime", written) == text


def test_a_backslash_is_written_twice():
    assert arguments.unescaped("--prime", r"\\nabla") == r"\nabla"
    assert arguments.unescaped("--prime", r"\nabla") == "\nabla"
    assert arguments.unescaped("--stop", r"\\\n") == "\\\n"


@pytest.mark.parametrize("text", [r"\alpha", r"\x41", "\\", r"a\\\ b", "\\\n", r"C:\users"])
def test_unknown_escapes_are_refused_in_words(text):
    with pytest.raises(SettingsError, match=r"^--prime holds .*, which means nothing: write \\\\ for a backslash") as caught:
        arguments.unescaped("--prime", text)
    assert str(caught.value).isprintable()


# ---- memory and threads -----------------------------------------------------------------------------------------------


def test_the_limit_of_the_address_space_counts():
    code = (
        "import resource; from charrnn import arguments\n"
        "before = arguments.available_memory()\n"
        "resource.setrlimit(resource.RLIMIT_AS, (2 << 30, 2 << 30))\n"
        "print(before > arguments.available_memory(), 0 < arguments.available_memory() < 2 << 30)"
    )
    pytest.importorskip("resource")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.split() == ["True", "True"]


def groups(tmp_path, line, limits):
    (tmp_path / "cgroup").write_text(line)
    for name, text in limits.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    arguments._of_control_groups.cache_clear()
    try:
        return arguments._of_control_groups(str(tmp_path / "cgroup"), str(tmp_path))
    finally:
        arguments._of_control_groups.cache_clear()


@pytest.mark.parametrize(
    ("line", "limits", "found"),
    [
        ("0::/a/b\n", {"a/b/memory.max": "max\n", "a/memory.max": "1000\n", "memory.max": "5000\n"}, 1000),
        ("0::/\n", {"memory.max": "7000\n"}, 7000),
        ("0::/gone\n", {"memory.max": "max\n"}, 1 << 62),
        ("5:cpu:/x\n3:memory:/x\n0::/\n", {"memory/x/memory.limit_in_bytes": "900\n"}, 900),
        ("rubbish", {}, 1 << 62),
    ],
)
def test_the_limits_of_control_groups_count(tmp_path, line, limits, found):
    assert groups(tmp_path, line, limits) == found


def test_what_is_more_than_the_memory_is_refused(monkeypatch):
    monkeypatch.setattr(arguments, "available_memory", lambda: 1000)
    arguments.memory("this", 1000)
    with pytest.raises(SettingsError, match=r"^this would need 1,001 bytes of memory, more than the 1,000 that there are"):
        arguments.memory("this", 1001)
    with pytest.raises(SettingsError, match="about 5,001 digits"):
        arguments.memory("this", 10**5000)


def test_memory_and_threads_that_are_not_given_are_errors_of_ours():
    with pytest.raises(OutOfMemoryError, match=r"not enough memory \(Unable to allocate .*\): take smaller sizes"), resources():
        np.empty(1 << 60, np.uint8)
    with pytest.raises(ThreadsError, match="starts no more threads: take fewer"), resources():
        raise RuntimeError("can't start new thread")
    for error in (ZeroDivisionError("x"), RuntimeError("another"), SettingsError("ours")):
        with pytest.raises(type(error), match=str(error)), resources():
            raise error
    assert issubclass(OutOfMemoryError, CharRNNError)
    assert issubclass(OutOfMemoryError, MemoryError)


@given(st.text())
def test_nothing_in_a_harmless_text_steers_a_terminal(text):
    shown = harmless(text)
    assert not set(shown) & {chr(i) for i in (*range(9), *range(11, 32), *range(127, 160))}
    assert not set(shown) & set("\u202e\u2066\u2028\ud800")
    assert shown == text or one_line(text) != text
