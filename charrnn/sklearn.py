"""CharRNN as an estimator of scikit-learn, for its searches, cross-validation and pipelines: `pip install 'charrnn[sklearn]'`."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import fields
from typing import Any, Self

import numpy as np

from charrnn import arguments
from charrnn.errors import SettingsError, TextError, brief
from charrnn.model import CharRNN
from charrnn.network.arrays import Array
from charrnn.network.settings import MODEL, NetworkSettings
from charrnn.recipes import load_recipe
from charrnn.training.plan import TRAINING, Settings

try:
    from sklearn.base import BaseEstimator
    from sklearn.utils import check_random_state
    from sklearn.utils.validation import check_is_fitted
except ImportError:
    raise ImportError("charrnn.sklearn needs scikit-learn: pip install 'charrnn[sklearn]'") from None

WITHOUT = ("seed", "sample_every", "sample_length", "validate_every", "patience")  # scikit-learn has a name, or a way, of its own for these
OWN: dict[str, Any] = {"min_count": 1, "separator": "\n", "unknown": "uniform", "random_state": 0, "threads": 1, "verbose": False}
PARAMETERS: dict[str, Any] = {
    field.name: field.default for record in (NetworkSettings, Settings) for field in fields(record) if field.name not in WITHOUT
} | OWN


class CharRNNEstimator(BaseEstimator):  # type: ignore[misc]
    """A character-level recurrent network, trained on texts: X is a list of str, y is ignored. All arguments are given by name.

    Args:
        hidden_size, cell, layers, dtype, init, init_std: of the network, see `charrnn.CharRNN`.
        updates, epochs, seq_length, batch_size, optimizer, learning_rate, dropout, clip ...: of training, see `charrnn.CharRNN.train`.
        separator: ends each text, in training, scoring and sampling. Training reads the texts one after the other, in the order of X.
        unknown: what `score` does with characters that are not in the training texts: "uniform" scores them with p = 1/K; see
            `charrnn.CharRNN.score`.
        min_count: rarer characters are read as U+FFFD, and so are unknown ones.
        random_state: seed of the initial weights, and of sampling.
        threads: threads of training; a search has its own `n_jobs`.
        verbose: show a progress bar.

    Attributes:
        model_: the `charrnn.CharRNN` at its lowest training loss.
        history_: its `charrnn.History`.

    Its errors are charrnn's; they are ValueErrors for invalid arguments or texts.

    >>> names = ["ada", "bob", "eve", "zoe"] * 20
    >>> estimator = CharRNNEstimator(hidden_size=16, updates=200, seq_length=10).fit(names)
    >>> estimator.score(names) > estimator.score(["nobody", "else"])
    True
    >>> len(estimator.sample(3, random_state=1))
    3
    """

    def __init__(self, **parameters: Any) -> None:
        arguments.no_others(type(self).__name__, parameters, PARAMETERS)
        for name, default in PARAMETERS.items():
            setattr(self, name, parameters.get(name, default))

    # by which scikit-learn, and help(), know the parameters: all settings that there are
    __init__.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [
            inspect.Parameter("self", inspect.Parameter.POSITIONAL_OR_KEYWORD),
            *(inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default) for name, default in PARAMETERS.items()),
        ]
    )

    @classmethod
    def from_recipe(cls, name: str, **parameters: Any) -> Self:
        """An estimator with a recipe's settings, some replaced.

        >>> CharRNNEstimator.from_recipe("dd2424-2025", layers=2).optimizer
        'adam'
        """
        recipe = load_recipe(name)
        own = {key: value for key, value in (recipe.model | recipe.training).items() if key in PARAMETERS}
        seed = {"random_state": recipe.model["seed"]} if "seed" in recipe.model else {}
        if parameters.keys() & {"updates", "epochs"}:  # two names of one setting
            own = {key: value for key, value in own.items() if key not in ("updates", "epochs")}
        return cls(**(own | seed | parameters))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array, tags.input_tags.one_d_array, tags.input_tags.string = False, True, True
        return tags

    # ---- training --------------------------------------------------------------------------------------------------

    def fit(self, X: Sequence[str], y: Any = None) -> Self:
        """Train a new network on these texts."""
        text = self._joined(X)
        network = {name: getattr(self, name) for name in MODEL if name in PARAMETERS}
        self._train(CharRNN(**network, seed=_seed(self.random_state)), text)
        return self

    def partial_fit(self, X: Sequence[str], y: Any = None) -> Self:
        """Train the network on more texts, for the same number of updates; new characters are added to its vocabulary."""
        if not hasattr(self, "model_"):
            return self.fit(X)
        text, model = self._joined(X), self._trained.copy()
        if model.vocabulary.unknown is None:
            model.extend_vocabulary(text)
        self._train(model, text)
        return self

    def _train(self, model: CharRNN, text: str) -> None:
        settings = {name: getattr(self, name) for name in TRAINING if name in PARAMETERS}
        more = {"min_count": self.min_count, "threads": self.threads, "progress": bool(self.verbose)}
        history = model.train(text, sample_every=None, **settings, **more)
        self._trained, self.model_, self.history_ = model, history.best, history
        history.best = None  # model_ has it

    def _joined(self, X: Any) -> str:
        separator = self._separator()
        return "".join(text + separator for text in texts_of(X))

    def _separator(self) -> str:
        if not isinstance(self.separator, str):
            raise SettingsError(f"separator must be a str, such as a line end, got {brief(self.separator)}")
        return self.separator

    # ---- what it is good for ---------------------------------------------------------------------------------------

    def score(self, X: Sequence[str], y: Any = None) -> float:
        """Minus the loss in nats per character: the mean of ln p of all characters, separators included; the higher, the better."""
        logs = np.concatenate([np.zeros(0), *self._logs(X)])
        if not len(logs):
            raise TextError("the texts have no characters that could be scored")
        return float(logs.mean())

    def score_samples(self, X: Sequence[str]) -> Array:
        """(n,): the same of each text; NaN for one without characters that could be scored."""
        return np.array([logs.mean() if len(logs) else np.nan for logs in self._logs(X)])

    def _logs(self, X: Any) -> list[Array]:
        check_is_fitted(self)
        separator, texts = self._separator(), texts_of(X)
        found: list[Array] = self.model_.score(
            [text + separator for text in texts], separator or None, reduction="none", unknown=self.unknown
        )
        return found

    def sample(self, n_samples: int = 1, random_state: Any = None, *, max_new: int = 1000, **rules: Any) -> list[str]:
        """New texts, each of them until the separator, or `max_new` characters; rules: see `charrnn.CharRNN.generate`."""
        check_is_fitted(self)
        count, separator = arguments.whole_number("n_samples", n_samples), self._separator()
        stop: dict[str, Any] = {"stop": separator, "keep_stop": False} if separator else {}
        seed = _seed(self.random_state if random_state is None else random_state)
        texts: list[str] = self.model_.generate(separator, max_new, n=count, seed=seed, **stop, **rules)
        return texts


def texts_of(X: Any) -> list[str]:
    """X as a list of texts, or TextError: a list, tuple, Series or array of str."""
    if isinstance(X, (str, bytes)):
        raise TextError("X must be a list of texts, got one text: put it into a list, [text]")
    shape = getattr(X, "shape", None)
    if shape is not None and len(shape) != 1:
        raise TextError(f"X must be a list of texts, got an array of shape {brief(shape)}")
    texts = arguments.listed("X", X, "a list of texts")
    for i, text in enumerate(texts):
        if not isinstance(text, str):
            raise TextError(f"X must be a list of str, got {type(text).__name__} at place {i}")
    if not texts:
        raise TextError("X must be a list of texts, got an empty one")
    return texts


def _seed(random_state: Any) -> int:
    """A seed for charrnn: a whole number is one, anything else draws one."""
    if isinstance(random_state, (int, np.integer)):
        return arguments.whole_number("random_state", random_state, at_least=0)
    return int(check_random_state(random_state).randint(1 << 31))
