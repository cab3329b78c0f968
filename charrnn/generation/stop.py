"""Texts at which a passage ends, found while it is written: what may still become one of them is held back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from charrnn.errors import SettingsError, brief
from charrnn.text.vocabulary import Vocabulary


def stop_texts(vocabulary: Vocabulary, stop: Any) -> tuple[Any, ...]:
    """The stop texts as a tuple: of none, one, or a list of them. SettingsError unless each is a text of the vocabulary's kind.

    >>> stop_texts(Vocabulary("ab"), "b")
    ('b',)
    """
    kind = bytes if vocabulary.raw_bytes else str
    several = not isinstance(stop, (str, bytes)) and isinstance(stop, Sequence)
    texts = () if stop is None else tuple(stop) if several else (stop,)
    for text in texts:
        if not isinstance(text, kind) or not text:
            raise SettingsError(f"stop must be a non-empty {kind.__name__}, or a list of them, got {brief(text)}")
    return texts


class Stopper:
    """Takes a passage piece by piece and gives out what is certain to belong to it. It ends where the first stop text is complete.

    Of several that are complete at the same character the longest counts. The passage ends with the stop text, or, with keep=False,
    before it.

    >>> stopper = Stopper(["END"], keep=False, empty="")
    >>> stopper.feed("the E"), stopper.feed("EN"), stopper.feed("D of it"), stopper.stopped
    ('the ', 'E', '', True)
    """

    def __init__(self, texts: Sequence[Any], keep: bool, empty: Any) -> None:
        self.texts, self.keep = texts, keep
        self.stopped = False
        self._held = empty

    def feed(self, piece: Any) -> Any:
        """What may be given out now that this piece has come; nothing once it has stopped."""
        if not self.texts:
            return piece
        if self.stopped:
            return piece[:0]
        text = self._held + piece
        ends = [(start + len(stop), start) for stop in self.texts if (start := text.find(stop)) >= 0]
        if ends:
            end, start = min(ends)
            self.stopped, self._held = True, text[:0]
            return text[:end] if self.keep else text[:start]
        size = max(open_end(text, stop) for stop in self.texts)
        self._held = text[len(text) - size :]
        return text[: len(text) - size]

    def rest(self) -> Any:
        """What was held back, when nothing more comes."""
        held, self._held = self._held, self._held[:0]
        return held


def open_end(text: Any, stop: Any) -> int:
    """The length of the longest end of text that is a beginning, but not the whole, of stop.

    >>> open_end("banana", "nanny")
    2
    """
    return next((size for size in range(min(len(text), len(stop) - 1), 0, -1) if text.endswith(stop[:size])), 0)
