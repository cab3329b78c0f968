"""Training events as lines of numbers, for metrics.jsonl, metrics.csv, TensorBoard and other loggers."""

from __future__ import annotations

import bisect
import math
from typing import Any

from charrnn.training.best import SETTLED, mean_at
from charrnn.training.events import Event
from charrnn.training.history import Validation

TIME = ("step", "epoch", "time")
COLUMNS = (
    *TIME,
    *(
        "train/loss",
        "train/loss_per_char",
        "train/smooth_loss",
        "train/smooth_loss_per_char",
        "train/mean_loss",
        "train/mean_loss_per_char",
    ),
    *("lr", "train/gradient_norm", "val/loss", "val/bits_per_char", "test/loss", "test/bits_per_char", "test/best_step", "chars_per_sec"),
)  # all names that there are, in the order of metrics.csv


class Metrics:
    """Turns a run's events into lines of numbers: for the first update, each `every`-th and the last, for any chunks, and for each
    validation and the test.

    every: updates between two lines; by default a thousandth of the run, at most 100.

    A line is a dict of step (the number of the update), epoch, time (seconds of training) and of `train/loss` (nats, in the unit of
    loss_reduction), `train/loss_per_char`, the smooth and, in short runs, the mean loss, `lr`, `train/gradient_norm` if it is clipped, and
    `chars_per_sec`; or of `val/loss` and `val/bits_per_char`; or of `test/loss`, `test/bits_per_char` and `test/best_step`.

    >>> from charrnn import CharRNN
    >>> metrics, lines = Metrics(every=20), []
    >>> callback = lambda event: lines.extend(metrics.lines(event))
    >>> history = CharRNN(hidden_size=4).train("to be or not to be " * 9, updates=50, callbacks=[callback], progress=False)
    >>> [line["step"] for line in lines], bool(lines[0]["train/loss"] == history.loss[0])
    ([1, 20, 40, 50], True)
    """

    def __init__(self, every: int | None = None) -> None:
        self.every = every
        self._each = 1
        self._logged = self._seen = 0  # the last update that has a line, and the last that was asked about
        self._first_epoch = 0

    def lines(self, event: Event) -> list[dict[str, Any]]:
        """What this event adds, in order. The "start" of a resumed run gives the lines of all that it did before."""
        if event.kind == "start":
            self._each = self.every or max(1, min(100, event.total // 1000))
            self._logged = self._seen = 0
            self._first_epoch = event.epoch - len(event.history.epoch_steps)
            history = event.history
            lines = self._until(event) + [self._of_validation(result, event) for result in history.validation]
            lines += [self._of_test(history.test, event)] if history.test else []
            return sorted(lines, key=place)
        if event.kind == "validation" and event.validation is not None:
            return [self._of_validation(event.validation, event)]
        if event.kind == "test" and event.history.test is not None:
            return [self._of_test(event.history.test, event)]
        return self._until(event) if event.kind in ("progress", "end") else []

    def _until(self, event: Event) -> list[dict[str, Any]]:
        """Lines of the updates since the last call."""
        history, first, every, settings = event.history, event.history.first_step, self._each, event.model.run.settings
        new = max(self._seen + 1, first)
        steps = {*range(-(-new // every) * every, event.step + 1, every), *([1] if new <= 1 <= event.step else [])}
        if (event.kind == "end" or event.done == event.total) and event.step > max(self._logged, first - 1):
            steps.add(event.step)
        self._seen = event.step
        lines = []
        for step in sorted(steps):
            done = step - event.step + event.done
            loss, smooth = float(history.loss[step - first]), float(history.smooth_loss[step - first])
            rate = settings.learning_rates(done - 1, 1, event.total)[0] * 0.5 ** bisect.bisect_left(history.rescues, step)
            mean = mean_at(history.loss, done)
            means = {"train/mean_loss": mean, "train/mean_loss_per_char": history.per_char(mean)} if history.planned < SETTLED else {}
            numbers = {
                "train/loss": loss,
                "train/loss_per_char": history.per_char(loss),
                "train/smooth_loss": smooth,
                "train/smooth_loss_per_char": history.per_char(smooth),
                "lr": float(rate),
            }
            if math.isfinite(norm := float(history.gradient_norm[step - first])):
                numbers["train/gradient_norm"] = norm
            speed = {"chars_per_sec": round(history.characters_per_second)}
            lines.append(self._stamp(step, event) | numbers | means | speed)
            self._logged = step
        return lines

    def _of_validation(self, result: Validation, event: Event) -> dict[str, Any]:
        return self._stamp(result.step, event) | {"val/loss": result.loss, "val/bits_per_char": result.loss / math.log(2)}

    def _of_test(self, result: Validation, event: Event) -> dict[str, Any]:
        """At the run's end; test/best_step: the update after which the model was as it was tested."""
        numbers = {"test/loss": result.loss, "test/bits_per_char": result.loss / math.log(2), "test/best_step": result.step}
        return self._stamp(event.step, event) | numbers

    def _stamp(self, step: int, event: Event) -> dict[str, Any]:
        """When it was."""
        epoch = self._first_epoch + bisect.bisect_right(event.history.epoch_steps, step)
        return {"step": step, "epoch": epoch, "time": round(event.seconds, 3)}


def place(line: dict[str, Any]) -> tuple[int, int]:
    """Where a line belongs: those of an update, of a validation, of the test."""
    return line["step"], 2 * ("test/loss" in line) + ("val/loss" in line)
