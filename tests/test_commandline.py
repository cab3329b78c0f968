"""What is given on the command line, whichever command it is for: what was meant, what is a file, what a terminal is shown."""

import os
import subprocess
from pathlib import Path

import pytest
from commands import COMMAND, ENVIRONMENT, raw, run

from charrnn import CharRNN
from charrnn.cli import main as cli
from charrnn.errors import harmless


def refused(capsys, *words):
    """The error of a command line: one line, code 2."""
    try:
        code = cli.main(words)
    except SystemExit as end:
        code = end.code
    error = capsys.readouterr().err
    assert code == 2
    assert error.count("\n") == 1
    assert error[:-1].isprintable()
    assert len(error) < 1100
    return error


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        ("train --lr 0.1", "; did you mean '--learning-rate'?"),
        ("train --lr=0.1", "; did you mean '--learning-rate'?"),
        ("train --rnn-size 100", "; did you mean '--hidden-size'?"),
        ("train --rnn_size 100", "; did you mean '--hidden-size'?"),
        ("train --num-epochs 3", "; did you mean '--epochs'?"),
        ("train --learning-rat 1", "; did you mean '--learning-rate'?"),
        ("train --data book.txt", "; TEXT is given without an option: charrnn train TEXT"),
        ("synthesize run --temp 0.5", "; did you mean '--temperature'?"),
        ("synthesize --start_text x run", "; did you mean '--prime'?"),
        ("generate --max-length 9 run", "; did you mean '--length'?"),
        ("write run", "; did you mean 'generate'?"),
        ("sample run", "; did you mean 'generate'?"),
        ("fit book.txt", "; did you mean 'train'?"),
        ("benchmark", "; did you mean 'bench'?"),
    ],
)
def test_what_other_programs_call_it_leads_to_ours(capsys, words, meant):
    assert meant in refused(capsys, *words.split())


@pytest.mark.parametrize("words", ["train --gpu", "train --xyz 1", "synthesize run --cuda", "info x y", "train --gpus 2", "synthesize a b"])
def test_what_is_far_from_everything_gets_no_suggestion(capsys, words):
    error = refused(capsys, *words.split())
    assert "unknown argument" in error
    assert "did you mean" not in error
    assert "given without" not in error


@pytest.mark.parametrize("digits", [400, 2300, 5000])
@pytest.mark.parametrize(
    "option", ["--updates", "--hidden-size", "--seed", "--learning-rate", "--epochs", "--checkpoint-every", "--threads", "--keep"]
)
def test_numbers_of_thousands_of_digits(capsys, tmp_path, monkeypatch, option, digits):
    monkeypatch.chdir(tmp_path)
    Path("text").write_text("abc" * 50)
    assert "error: " in refused(capsys, "train", "text", option, "9" * digits)
    assert "error: " in refused(capsys, "train", "text", f"{option}=-{'9' * digits}")
    assert os.listdir() == ["text"]


def test_after_two_dashes_there_are_only_files(tmp_path, undrawn, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for name in ("-x.txt", "--help", "--", "plain"):
        Path(name).write_text("abcab" * 20)
    CharRNN(hidden_size=3, vocabulary="abc").save("-m.safetensors")
    words = ["--hidden-size", "3", "--updates", "2", "--sample-every", "none"]
    assert cli.main(["train", *words, "--out", "a", "--", "-x.txt"]) == 0
    assert cli.main(["train", "plain", *words, "--out", "b", "--", "--help", "--"]) == 0
    assert cli.main(["evaluate", "--json", "--", "-m.safetensors", "-x.txt"]) == 0
    assert cli.main(["info", "--", "-m.safetensors"]) == 0
    out = capsys.readouterr().out
    assert "plain, --help, --: 300 characters" in out
    assert '"characters": 99' in out
    assert "unknown argument '-x.txt'" in refused(capsys, "train", "-x.txt")
    assert "unknown argument '-y'" in refused(capsys, "info", "--", "-m.safetensors", "-y")
    assert cli.main(["train", "--", "-gone"]) == 2
    assert "error: -gone does not exist" in capsys.readouterr().err


@pytest.mark.parametrize("error", [MemoryError(), RuntimeError("can't start new thread")])
def test_memory_and_threads_that_are_not_given_are_one_line(capsys, monkeypatch, error):
    def fails(args):
        raise error

    monkeypatch.setattr("charrnn.cli.info.run", fails)
    assert cli.main(["info"]) == 1
    message = capsys.readouterr().err
    assert message.startswith("charrnn info: error: ")
    assert message.count("\n") == 1


# ---- what a terminal is shown -----------------------------------------------------------------------------------------

STEERING = "\x1b[2J\x1b]0;title\x07\x9b1m"


def on_a_terminal(*words, cwd):
    """Everything that a command writes to a terminal."""
    pty = pytest.importorskip("pty")
    ours, theirs = pty.openpty()
    with subprocess.Popen([*COMMAND, *words], cwd=cwd, env=ENVIRONMENT, stdin=subprocess.DEVNULL, stdout=theirs, stderr=theirs) as process:
        os.close(theirs)
        out = b""
        while True:
            try:
                piece = os.read(ours, 1 << 16)
            except OSError:  # the other end is closed
                break
            if not piece:
                break
            out += piece
    os.close(ours)
    return out.decode("utf-8", "backslashreplace"), process.returncode


@pytest.mark.parametrize("raw", [False, True])
def test_a_models_text_does_not_steer_the_terminal(tmp_path, raw):
    characters = "".join(sorted(set(STEERING + "ab\n")))
    text = characters.encode("latin-1") if raw else characters
    CharRNN(hidden_size=2, seed=1, vocabulary=text).save(tmp_path / "m.safetensors")
    out, code = on_a_terminal("synthesize", "m.safetensors", "--length", "300", "--seed", "1", cwd=tmp_path)
    assert code == 0
    assert "\x1b" not in out
    assert "\x07" not in out
    assert "\x9b" not in out
    assert r"\x1b" in out


def test_names_and_notes_do_not_steer_the_terminal(tmp_path):
    escaped = STEERING.encode("unicode_escape").decode().replace("\\x", "\\u00")
    (tmp_path / "mine.toml").write_text(f'name = "{escaped}"\ndescription = "{escaped}"\n', "utf-8")
    (tmp_path / "raw.toml").write_text("# \x1b[2J\u202e\n", "utf-8")
    (tmp_path / f"{STEERING}.txt").write_text("abcab" * 20, "utf-8")
    CharRNN(hidden_size=2, vocabulary="abc").save(tmp_path / "m.safetensors")
    for words in (["recipes", "mine.toml"], ["recipes", "raw.toml"], ["evaluate", "m.safetensors", f"{STEERING}.txt"], ["train", STEERING]):
        streams = raw(*words, cwd=tmp_path, terminal=True)[1:]
        out = b"".join(streams).decode("utf-8", "backslashreplace")
        assert out.strip()
        assert "\x1b" not in out
        assert "\x9b" not in out
        assert "\u202e" not in out


def test_help_on_a_terminal_is_text(tmp_path):
    out, _ = run("recipes", "--help", cwd=tmp_path, terminal=True)
    assert out == harmless(out)


def test_a_file_gets_the_text_as_it_is(tmp_path):
    CharRNN(hidden_size=2, seed=1, vocabulary="".join(sorted(set(STEERING)))).save(tmp_path / "m.safetensors")
    code, out, _ = raw("synthesize", "m.safetensors", "--length", "50", "--seed", "1", cwd=tmp_path)
    assert code == 0
    assert out.decode() == CharRNN.load(tmp_path / "m.safetensors").synthesize(50, seed=1)
