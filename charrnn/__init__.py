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

from charrnn.corpus import Corpus, bundled_story, read_corpus
from charrnn.errors import (
    BusyError,
    CharRNNError,
    Interrupted,
    KernelsError,
    ModelFileError,
    NonFiniteError,
    OutputError,
    SettingsError,
    TextError,
)
from charrnn.evaluation import Evaluation
from charrnn.kernels import show_config
from charrnn.model import CharRNN
from charrnn.vocabulary import Vocabulary

if TYPE_CHECKING:
    from charrnn.gradients.diagnosis import Diagnosis
    from charrnn.gradients.own import check_gradients
    from charrnn.gradients.report import GradientReport
    from charrnn.history import History, Sample, Validation
    from charrnn.recipes import Recipe, load_recipe
    from charrnn.surprise import Line, line_bits
    from charrnn.training import Event

__version__ = "0.1.0"
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
    "ModelFileError",
    "NonFiniteError",
    "OutputError",
    "Recipe",
    "Sample",
    "SettingsError",
    "TextError",
    "Validation",
    "Vocabulary",
    "bundled_story",
    "check_gradients",
    "line_bits",
    "load_recipe",
    "read_corpus",
    "show_config",
]
_LATER = {  # what only some users need is imported when it is asked for
    "Diagnosis": "gradients.diagnosis",
    "Event": "training",
    "GradientReport": "gradients.report",
    "History": "history",
    "Line": "surprise",
    "Recipe": "recipes",
    "Sample": "history",
    "Validation": "history",
    "check_gradients": "gradients.own",
    "line_bits": "surprise",
    "load_recipe": "recipes",
}


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module 'charrnn' has no attribute {name!r}")
    globals()[name] = value = getattr(import_module(f"charrnn.{_LATER[name]}"), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
