"""This very charrnn in another process."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Sequence


def charrnn_command(words: Sequence[str]) -> tuple[list[str], dict[str, str]]:
    """The command and the environment of `charrnn WORDS`, for subprocess.

    Python would look into the current folder first, which may be a checkout that is not compiled: -P forbids that, and
    PYTHONPATH names the places where this process found what it runs.
    """
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    return [sys.executable, "-P", "-m", "charrnn", *words], environment


def as_typed(command: str, options: Sequence[tuple[str, str]] = (), names: Sequence[str] = ()) -> str:
    """A line to be typed into a shell: values and names that begin with a dash are not taken for options.

    >>> as_typed("report", [("--out", "-r")], ["a b.txt", "-x.txt"])
    "charrnn report --out=-r -- 'a b.txt' -x.txt"
    """
    words = ["charrnn", *command.split()]
    for option, value in options:
        words += [f"{option}={value}"] if value.startswith("-") else [option, value]
    dashed = any(name.startswith("-") and name != "-" for name in names)
    return shlex.join([*words, "--", *names] if dashed else [*words[:2], *names, *words[2:]])
