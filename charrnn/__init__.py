"""charrnn: character-level recurrent networks on your own text and your own processor.

>>> from charrnn import CharRNN
>>> model = CharRNN(hidden_size=32, seed=1)
>>> history = model.train("she sells sea shells by the sea shore. " * 30, updates=500, progress=False)
>>> history.best.evaluate("she sells sea shells").bits_per_char < 2
True
"""

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
from charrnn.history import History, Sample, Validation
from charrnn.kernels import show_config
from charrnn.model import CharRNN
from charrnn.training import Event
from charrnn.vocabulary import Vocabulary

__version__ = "0.1.0"
__all__ = [
    "BusyError",
    "CharRNN",
    "CharRNNError",
    "Corpus",
    "Evaluation",
    "Event",
    "History",
    "Interrupted",
    "KernelsError",
    "ModelFileError",
    "NonFiniteError",
    "OutputError",
    "Sample",
    "SettingsError",
    "TextError",
    "Validation",
    "Vocabulary",
    "bundled_story",
    "read_corpus",
    "show_config",
]
