"""This very charrnn in another process."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence


def charrnn_command(words: Sequence[str]) -> tuple[list[str], dict[str, str]]:
    """The command and the environment of `charrnn WORDS`, for subprocess.

    Python would look into the current folder first, which may be a checkout that is not compiled: -P forbids that, and
    PYTHONPATH names the places where this process found what it runs.
    """
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    return [sys.executable, "-P", "-m", "charrnn", *words], environment
