"""charrnn: character-level recurrent networks on your own text and your own processor.

>>> from charrnn import CharRNN
>>> model = CharRNN(hidden_size=32, seed=1)
>>> history = model.train("she sells sea shells by the sea shore. " * 30, updates=500, progress=False)
>>> history.best.evaluate("she sells sea shells").bits_per_char < 2
True
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from charrnn.errors import (
    BusyError,
    CharRNNError,
    Interrupted,
    KernelsError,
    ModelFileError,
    NonFiniteError,
    OutOfMemoryError,
    OutputError,
    SettingsError,
    TextError,
    ThreadsError,
    WorkersError,
)
from charrnn.evaluation.evaluate import Evaluation
from charrnn.model import CharRNN
from charrnn.network.kernels import show_config
from charrnn.text.corpus import Corpus, bundled_story, read_corpus
from charrnn.text.vocabulary import Vocabulary
from charrnn.version import __version__ as __version__

if TYPE_CHECKING:
    from charrnn.doctor.examine import check_text
    from charrnn.doctor.report import TextReport
    from charrnn.evaluation.surprise import Line, line_bits
    from charrnn.gradients.report import GradientReport
    from charrnn.lab.check import check_gradients
    from charrnn.lab.diagnosis import Diagnosis
    from charrnn.recipes import Recipe, load_recipe
    from charrnn.sweeps.make import sweep
    from charrnn.sweeps.results import Sweep, SweptRun
    from charrnn.text.split import split
    from charrnn.training.events import Event
    from charrnn.training.history import History, Sample, Validation
    from charrnn.training.metrics import Metrics
    from charrnn.training.tensorboard import TensorBoard

__all__ = [
    "BusyError",
    "CharRNN",
    "CharRNNError",
    "Corpus",
    "Diagnosis",
    "Evaluation",
    "Event",
    "GradientReport",
    "History",
    "Interrupted",
    "KernelsError",
    "Line",
    "Metrics",
    "ModelFileError",
    "NonFiniteError",
    "OutOfMemoryError",
    "OutputError",
    "Recipe",
    "Sample",
    "SettingsError",
    "Sweep",
    "SweptRun",
    "TensorBoard",
    "TextError",
    "TextReport",
    "ThreadsError",
    "Validation",
    "Vocabulary",
    "WorkersError",
    "bundled_story",
    "check_gradients",
    "check_text",
    "line_bits",
    "load_recipe",
    "read_corpus",
    "show_config",
    "split",
    "sweep",
]
_LATER = {  # what only some users need is imported when it is asked for
    "Diagnosis": "lab.diagnosis",
    "Event": "training.events",
    "GradientReport": "gradients.report",
    "History": "training.history",
    "Line": "evaluation.surprise",
    "Recipe": "recipes",
    "Metrics": "training.metrics",
    "Sample": "training.history",
    "TensorBoard": "training.tensorboard",
    "TextReport": "doctor.report",
    "Sweep": "sweeps.results",
    "SweptRun": "sweeps.results",
    "Validation": "training.history",
    "check_gradients": "lab.check",
    "check_text": "doctor.examine",
    "line_bits": "evaluation.surprise",
    "load_recipe": "recipes",
    "split": "text.split",
    "sweep": "sweeps.make",
}


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module 'charrnn' has no attribute {name!r}")
    globals()[name] = value = getattr(import_module(f"charrnn.{_LATER[name]}"), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
