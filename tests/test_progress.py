"""The bar of a run: it fits the terminal, and says numbers as they are."""

import os
import select
import struct
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from charrnn import CharRNN
from charrnn.display import progress

FIELDS = ["100,000/100,000 updates", "smooth loss 1.234/char", "1:02:05 left", "123,456 chars/s", "30.85/window"]


@given(st.lists(st.text(min_size=1, max_size=30), min_size=1, max_size=6), st.integers(1, 200))
def test_fields_go_before_the_bar_does(fields, width):
    text = progress.fitted(fields, width)
    assert not text or len("100%|| ") + progress.NARROWEST + len(text) <= width
    count = 0 if not text else next(n for n in range(1, len(fields) + 1) if ", ".join(fields[:n]) == text)
    if count < len(fields):  # nothing more would have fitted
        assert len("100%|| ") + progress.NARROWEST + len(", ".join(fields[: count + 1])) > width


def test_what_fits_80_columns():
    assert progress.fitted(FIELDS, 80) == "100,000/100,000 updates, smooth loss 1.234/char, 1:02:05 left"
    assert progress.fitted(FIELDS, 100) == "100,000/100,000 updates, smooth loss 1.234/char, 1:02:05 left, 123,456 chars/s"
    assert progress.fitted(FIELDS, None) == ", ".join(FIELDS)
    assert progress.fitted(FIELDS, 20) == ""


@pytest.mark.parametrize("width", [30, 80, 132])
def test_every_line_fits_a_real_terminal(monkeypatch, width):
    fcntl, pty, termios = (pytest.importorskip(name) for name in ("fcntl", "pty", "termios"))
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, width, 0, 0))
    with os.fdopen(theirs, "w") as terminal:
        monkeypatch.setattr(sys, "stderr", terminal)
        CharRNN(hidden_size=4).train("to be or not to be " * 40, updates=720, seq_length=10)
        monkeypatch.undo()
        terminal.flush()
        out = ""
        while "100%|" not in out:  # a terminal hands over what fits into its buffer
            out += os.read(ours, 1 << 20).decode()
        out += os.read(ours, 1 << 20).decode() if not out.endswith("\n") and select.select([ours], [], [], 0.2)[0] else ""
    os.close(ours)
    lines = [line.removesuffix("\x1b[A").strip("\n") for line in out.split("\r") if line.strip()]
    assert lines
    assert all(len(line) <= width for line in lines), lines
    last = lines[-1]
    assert last.startswith("100%|")
    assert last.count("|") == 2
    assert len(last.split("|")[1]) >= progress.NARROWEST
    assert ("720/720 updates" in last) == (width > 30)
    assert "0.0/720" not in out
    assert ("left" in last) == (width >= 80)


def test_where_there_is_no_terminal_all_is_said(capsys):
    CharRNN(hidden_size=4).train("to be or not to be " * 40, updates=79, seq_length=10)
    last = capsys.readouterr().err.split("\r")[-1]
    assert "79/79 updates, mean loss " in last
    assert all(word in last for word in ("/char", "0:00 left", "chars/s", "/window"))


def test_lines_go_to_any_stream_and_are_harmless_on_a_terminal(monkeypatch, capsys):
    progress.write("a\x1b[2Jb")
    progress.write("c\x1b[2Jd", sys.stderr)
    found = capsys.readouterr()
    assert (found.out, found.err) == ("a\x1b[2Jb\n", "c\x1b[2Jd\n")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    progress.write("c\x1b[2Jd", sys.stderr)
    assert capsys.readouterr().err == "c\\x1b[2Jd\n"
