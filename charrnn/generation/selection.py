"""Passages that are wanted: not in the training text, no two alike."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


class Selection:
    """Takes or rejects passages, and counts why.

    known: texts in which a passage must not be: one line must not be a line of theirs, several must not stand in them in a row.
    distinct: whether each may come only once. Line ends around a passage do not count.

    >>> selection = Selection(["Anna\\nBerta\\n"], distinct=True)
    >>> [selection.takes(name) for name in ("Anna", "Ann\\n", "Ann")], selection.seen, selection.alike
    ([False, True, False], 1, 1)
    """

    def __init__(self, known: Sequence[Any], distinct: bool) -> None:
        self.known, self.distinct, self.seen, self.alike = known, distinct, 0, 0
        self._lines = {line for text in known for line in text.split(_line_end(text))}
        self._taken: set[Any] = set()

    def takes(self, passage: Any) -> bool:
        """Whether this one is wanted."""
        line_end = _line_end(passage)
        core = passage.strip(line_end)
        if core in self._lines if line_end not in core else any(core in text for text in self.known):
            self.seen += 1
            return False
        if self.distinct and core in self._taken:
            self.alike += 1
            return False
        self._taken.add(core)
        return True

    def __str__(self) -> str:
        reasons = [f"{self.seen:,} in the training text"] * bool(self.known) + [f"{self.alike:,} like an earlier one"] * self.distinct
        return f"rejected {self.seen + self.alike:,}: {', '.join(reasons)}"


def _line_end(text: Any) -> Any:
    return b"\n" if isinstance(text, bytes) else "\n"
