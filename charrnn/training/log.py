"""Training's events in the standard library's logging, under the name "charrnn": nothing is printed unless a program asks for it."""

from __future__ import annotations

import logging

from charrnn.errors import brief
from charrnn.training.events import Event

LOGGER = logging.getLogger("charrnn")
LOGGER.addHandler(logging.NullHandler())  # as libraries do, so that Python prints nothing by itself
LEVELS = {"progress": logging.DEBUG, "note": logging.WARNING}  # all other events: INFO


def log(event: Event) -> None:
    """A callback: each event is a record at INFO, but "progress" at DEBUG and "note" at WARNING; records have `kind` and `step`."""
    level = LEVELS.get(event.kind, logging.INFO)
    if LOGGER.isEnabledFor(level):
        LOGGER.log(level, "%s", words(event), extra={"kind": event.kind, "step": event.step})


def words(event: Event) -> str:
    """An event in a line."""
    history = event.history
    if event.kind == "start":
        return f"training {event.model!r}: updates {event.done + 1:,} to {event.total:,}"
    if event.sample is not None:
        return f"sample before update {event.sample.step:,}: {brief(event.sample.text)}"
    if event.validation is not None:
        return f"after update {event.validation.step:,}: validation loss {event.validation.loss:.4f} nats per character"
    if event.note:
        return event.note
    if event.kind == "test":
        return history.test_words
    loss = f": {history.shown_name} {history.per_char(history.shown_now):.4f} nats per character" if len(history) else ""
    how = "interrupted" if history.interrupted else "ended"
    return f"{f'training {how} ' if event.kind == 'end' else ''}after update {event.step:,}, {event.seconds:.1f} s{loss}"
