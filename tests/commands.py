"""Command lines run in this process, with streams and a folder of their own; and the words that start charrnn in another."""

import contextlib
import io
import os
import sys
from pathlib import Path

import charrnn
from charrnn.cli import main as cli

ENVIRONMENT = os.environ | {"PYTHONPATH": str(Path(charrnn.__file__).parents[1]), "PYTHONUTF8": "1", "COLUMNS": "80"}
COMMAND = [sys.executable, "-m", "charrnn"]


class Terminal(io.BytesIO):
    def isatty(self):
        return True


def raw(*words, cwd, stdin=b"", terminal=False):
    """Exit code, standard output and standard error as bytes."""
    kind = Terminal if terminal else io.BytesIO
    out, errors = (io.TextIOWrapper(kind(), "utf-8", write_through=True) for _ in range(2))
    before = sys.stdin
    sys.stdin = io.TextIOWrapper(io.BytesIO(stdin), "utf-8")
    try:
        with contextlib.chdir(cwd), contextlib.redirect_stdout(out), contextlib.redirect_stderr(errors):
            code = cli.main([str(word) for word in words])
    except SystemExit as end:
        code = end.code or 0
    finally:
        sys.stdin = before
    return code, out.buffer.getvalue(), errors.buffer.getvalue()


def run(*words, cwd, code=0, stdin=b"", terminal=False):
    """Standard output and standard error of a command line that must end with this exit code."""
    found, *streams = raw(*words, cwd=cwd, stdin=stdin, terminal=terminal)
    out, errors = (stream.decode("utf-8", "replace").replace(os.linesep, "\n") for stream in streams)
    assert found == code, (words, found, out, errors)
    return out, errors
