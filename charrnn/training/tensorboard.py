"""Training's metrics and samples for TensorBoard, written by its own event writer: no TensorFlow. `pip install 'charrnn[tensorboard]'`"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any

from charrnn.errors import OutputError, SettingsError
from charrnn.files.atomic import as_path, why, writable_folder
from charrnn.training.events import Event
from charrnn.training.history import Sample
from charrnn.training.metrics import TIME, Metrics

FLUSHED = 10  # seconds between two writes to the file


class TensorBoard:
    """A callback of `CharRNN.train` that writes an event file into the folder of one run.

    folder: the run's folder; `tensorboard --logdir` takes it, or a folder with those of several runs. every: updates between two
    lines of metrics, see `charrnn.Metrics`. The metrics are scalars; samples, notes and settings are texts. If a run is resumed, or a
    new one starts in the same folder, TensorBoard drops what was written there for later updates.

    Raises `SettingsError` if tensorboard is not installed, `OutputError` if the folder cannot be written.

    >>> import tempfile
    >>> from charrnn import CharRNN
    >>> with tempfile.TemporaryDirectory() as folder:  # doctest: +SKIP
    ...     CharRNN(hidden_size=4).train("to be or not to be " * 9, updates=50, callbacks=[TensorBoard(folder)])
    """

    def __init__(self, folder: str | os.PathLike[str], every: int | None = None) -> None:
        require_tensorboard()
        self.folder = as_path(folder)
        self.metrics = Metrics(every)
        self._writer: Any = None
        self._begun = 0.0  # the clock's time when the training had taken no second

    def __call__(self, event: Event) -> None:
        """Write what the event says."""
        with _writing(self.folder):
            if event.kind == "start":
                self._begin(event)
            if self._writer is None:
                return
            for line in self.metrics.lines(event):
                scalars = {name: value for name, value in line.items() if name not in TIME}
                self._scalars(line["step"], line["time"], scalars | {"epoch": line["epoch"]})
            if event.sample is not None:
                self._sample(event.sample, event.seconds)
            if event.note:
                self._text(event.step, event.seconds, "note", event.note)
            if event.kind == "end":
                self._writer.close()
                self._writer = None

    def _begin(self, event: Event) -> None:
        from tensorboard.compat.proto.event_pb2 import Event as Record
        from tensorboard.compat.proto.event_pb2 import SessionLog
        from tensorboard.summary.writer.event_file_writer import EventFileWriter

        self._writer = EventFileWriter(str(writable_folder(self.folder)), flush_secs=FLUSHED)
        self._begun = time.time() - event.seconds
        start = event.history.first_step - 1
        self._writer.add_event(Record(wall_time=time.time(), step=start, session_log=SessionLog(status=SessionLog.START)))
        settings = vars(event.model.settings) | vars(event.model.run.settings)
        rows = "".join(f"| {name} | {value} |\n" for name, value in settings.items() if value is not None)
        self._text(start, event.seconds, "settings", f"{event.model!r}\n\n| setting | value |\n|---|---|\n{rows}")
        for sample in event.history.samples:  # of the run that is resumed
            self._sample(sample, event.seconds)

    def _scalars(self, step: int, seconds: float, scalars: dict[str, float]) -> None:
        from tensorboard.compat.proto.summary_pb2 import Summary

        self._add(step, seconds, Summary(value=[Summary.Value(tag=name, simple_value=value) for name, value in scalars.items()]))

    def _sample(self, sample: Sample, seconds: float) -> None:
        text = sample.text if isinstance(sample.text, str) else sample.text.decode("utf-8", "backslashreplace")
        self._text(sample.step - 1, seconds, "sample", "".join(f"    {line}\n" for line in text.splitlines()))  # Markdown's verbatim text

    def _text(self, step: int, seconds: float, tag: str, markdown: str) -> None:
        from tensorboard.compat.proto.summary_pb2 import Summary, SummaryMetadata
        from tensorboard.compat.proto.tensor_pb2 import TensorProto
        from tensorboard.plugins.text.metadata import create_summary_metadata

        tensor = TensorProto(dtype="DT_STRING", string_val=[markdown.encode("utf-8")])
        metadata: SummaryMetadata = create_summary_metadata(display_name=tag, description="")
        self._add(step, seconds, Summary(value=[Summary.Value(tag=tag, tensor=tensor, metadata=metadata)]))

    def _add(self, step: int, seconds: float, summary: Any) -> None:
        from tensorboard.compat.proto.event_pb2 import Event as Record

        self._writer.add_event(Record(wall_time=self._begun + seconds, step=step, summary=summary))


def require_tensorboard() -> None:
    """SettingsError where it is not installed."""
    if find_spec("tensorboard") is None:
        raise SettingsError("TensorBoard's files are written by tensorboard, which is not installed: pip install 'charrnn[tensorboard]'")


@contextmanager
def _writing(folder: str) -> Iterator[None]:
    """What cannot be written as an `OutputError`."""
    try:
        yield
    except OutputError:
        raise
    except OSError as error:
        raise OutputError(f"cannot write TensorBoard's events into {folder}: {why(error)}") from error
