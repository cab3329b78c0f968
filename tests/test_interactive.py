"""charrnn generate --interactive: through a pipe, and on a terminal."""

import os
import select
import subprocess
import sys
import time

import pytest
from commands import raw as in_process

from charrnn import CharRNN
from charrnn.cli.main import main

TEXT = "the tide comes in / the tide goes out\nnobody asked the tide \\ naïve\n"
COMMAND = [sys.executable, "-m", "charrnn", "generate"]


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("interactive")
    CharRNN(hidden_size=12, init_std=0.6, seed=3, vocabulary=TEXT).save(folder / "m.safetensors")
    CharRNN(hidden_size=12, init_std=0.6, seed=3, vocabulary=TEXT.encode() + b"\xff\r").save(folder / "raw.safetensors")
    return folder


def piped(place, lines, *words, name="m.safetensors"):
    """What comes out, and the errors, when these lines are piped in."""
    given = lines if isinstance(lines, bytes) else lines.encode()
    code, out, errors = in_process("generate", name, "--interactive", "--seed", "7", *words, cwd=place, stdin=given)
    assert code == 0, errors
    return (out if isinstance(lines, bytes) else out.decode()), errors.decode()


def test_a_session_through_a_pipe(place):
    """Everything that can be asked for, in one sitting, beside a session of the API that does the same."""
    session = CharRNN.load(place / "m.safetensors").session(seed=7)
    expected = []

    def turn(typed, length=9):
        expected.append(typed + session.feed(typed).sample(length))
        return expected[-1]

    lines = ["the tide", "", r"out\n", "/temperature 0.3", "", "/undo", "/undo", "/rules", "nobody", "/text"]
    turn("the tide")
    after_one = session.copy()
    turn("")
    turn("out\n")
    session.rules = type(session.rules)(temperature=0.3)
    turn("")
    # two are taken back: the random generator is where it was then, temperature stays
    session = after_one.copy()
    session.feed("").sample(9)
    session.rules = type(session.rules)(temperature=0.3)
    expected.append("temperature 0.3")
    turn("nobody")
    expected.append(session.text)
    lines += [
        "/allowed in",
        "",
        "/allowed",
        "/length 3",
        "the",
        "/stop t",
        "/length 500",
        "",
        "/stop",
        "/length 2",
        "//",
        "/reset",
        "/text",
        "",
        "/quit",
        "never",
    ]
    session.rules = type(session.rules)(temperature=0.3, allowed="in")
    turn("")
    session.rules = type(session.rules)(temperature=0.3)
    turn("the", 3)
    text = ""
    while not text.endswith("t"):
        text += session.sample()
    expected.append(text)
    turn("/", 2)
    session = CharRNN.load(place / "m.safetensors").session(seed=7, temperature=0.3)
    expected.append("")
    turn("", 2)
    out, err = piped(place, "\n".join(lines), "--length", "9")
    assert err == ""
    assert out == "".join(line + "\n" for line in expected)


def test_errors_are_said_and_it_goes_on(place):
    session = CharRNN.load(place / "m.safetensors").session(seed=7, temperature=0.5, banned="q")
    first = session.feed("no").text and session.sample(0)
    lines = [
        "é",
        "/foo",
        "/temp 1",
        "/temperature x",
        "/temperature -1",
        "/top-p 2",
        "/length 1.5",
        "/undo",
        r"\q",
        "/stop \\q",
        "/logit-bias e=1",
        "/banned é",
        "the",
    ]
    out, err = piped(place, "\n".join(lines), "--length", "9", "--prime", "no", "--temperature", "0.5", "--banned", "q")
    assert first == ""
    said = err.splitlines()
    assert all(line.startswith("error: ") for line in said)
    wanted = [
        "'é' (U+00E9)",
        "there is no /foo; there are",
        "did you mean 'temperature'",
        "a number is expected, got 'x'",
        "temperature must be a finite number at least 0, got -1",
        "top_p must be",
        "a number is expected, got '1.5'",
        "there is nothing to undo",
        r"the text holds \q, which means nothing",
        r"/stop holds \q",
        "there is no /logit-bias",
    ]
    assert len(said) == len(wanted)
    for line, part in zip(said, wanted, strict=True):
        assert part in line
    session.rules = type(session.rules)(temperature=0.5, banned="é")
    assert out == "the" + session.feed("the").sample(9) + "\n"


def test_bytes_and_line_ends_through_a_pipe(place):
    raw = CharRNN.load(place / "raw.safetensors").session(seed=7)
    out, err = piped(place, "naïve\r\n".encode() + b"\xff\n/text\n", "--length", "5", name="raw.safetensors")
    first = "naïve".encode() + raw.feed("naïve".encode()).sample(5)
    second = b"\xff" + raw.feed(b"\xff").sample(5)
    assert err == ""
    assert out == first + b"\n" + second + b"\n" + raw.text + b"\n"
    _, err = piped(place, b"na\xefve\n", "--length", "5")
    assert err.count("\n") == 1
    assert err.startswith("error: ")


def test_help_names_every_command(place):
    out, _ = piped(place, "/help\n/length 5\n/stop x\\n\n/help")
    for name in (
        "/length",
        "/stop",
        "/temperature",
        "/top-p",
        "/dry-multiplier",
        "/rules",
        "/undo",
        "/text",
        "/reset",
        "/help",
        "/quit",
        "//",
    ):
        assert out.count(f"{name} ") + out.count(f"{name}.") + out.count(f"{name},") + out.count(f"{name}\n") >= 2, name
    assert "(now 200)" in out
    assert "(now 5)" in out
    assert r"'x\n'" in out


def test_an_unfinished_run_speaks_from_its_newest_checkpoint(place, tmp_path, undrawn, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "text").write_text(TEXT * 20, "utf-8")
    words = ["train", "text", "--out", "run", "--updates", "40", "--hidden-size", "8", "--checkpoint-every", "10", "--quiet"]
    assert main([*words, "--sample-every", "none"]) == 0
    for name in ("model.safetensors", "best.safetensors", "model.optimizer.safetensors", "best.optimizer.safetensors"):
        (tmp_path / "run" / name).unlink(missing_ok=True)  # as it is while the run goes on
    newest = max((tmp_path / "run" / "checkpoints").iterdir(), key=lambda path: path.name)
    session = CharRNN.load(newest).session(seed=7)
    out, _ = piped(tmp_path, "the", "--length", "9", name="run")
    assert out == "the" + session.feed("the").sample(9) + "\n"


@pytest.mark.skipif(not hasattr(os, "openpty"), reason="there are no pseudo-terminals here")
def test_on_a_terminal(place):
    """A prompt, line editing and history, Ctrl-C, Ctrl-D: keys as a person would press them."""
    import fcntl
    import termios

    main_end, terminal = os.openpty()
    environment = os.environ | {"TERM": "xterm", "PYTHONIOENCODING": "utf-8", "INPUTRC": os.devnull}
    command = [*COMMAND, "m.safetensors", "--interactive", "--seed", "7", "--length", "9"]
    process = subprocess.Popen(
        command,
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
        cwd=place,
        env=environment,
        start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # its terminal, so that Ctrl-C reaches it
    )
    os.close(terminal)
    seen, at = "", 0

    def until(text, after=""):
        """Press keys, as soon as they are waited for, and read until this is seen, after what was seen before."""
        nonlocal seen, at
        time.sleep(0.1)  # the prompt is there a moment before
        os.write(main_end, after.encode())
        while text not in seen[at:]:
            assert select.select([main_end], [], [], 20)[0], f"no {text!r} after {seen[at:]!r}"
            seen += os.read(main_end, 4096).decode()
        at = seen.index(text, at) + len(text)

    try:
        session = CharRNN.load(place / "m.safetensors").session(seed=7)
        until("> ")
        assert "type a beginning and press Enter; /help lists the commands" in seen
        first = session.feed("the tide").sample(9)
        until("the tide" + first.replace("\n", "\r\n") + "\r\n", "the tixx\b\bde\n")  # two letters are taken back
        until("> ")
        until("/undo", "/undo\n")
        session = CharRNN.load(place / "m.safetensors").session(seed=7)
        until("the tide" + first.replace("\n", "\r\n") + "\r\n", "\x1b[A\x1b[A\n")  # two lines up in the history
        until("> ")
        until("half a line", "half a line")
        until("> ", "\x03")  # Ctrl-C: begins a new line
        until("nobody", "/length 100000000\nnobody")
        until("nobody", "\n")
        until("> ", "\x03")  # Ctrl-C: stops the model
        until("> ", "/temperature 0.25\n")
        until("temperature 0.25", "/rules\n")
        until("> ")
        until("", "\x04")  # Ctrl-D
        assert process.wait(30) == 0
    finally:
        process.kill()
        process.wait()
        os.close(main_end)
