"""CharRNN: a character-level recurrent network: training, generating, scoring."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from charrnn import arguments
from charrnn.errors import SettingsError, resources
from charrnn.inference import Inference
from charrnn.network.arrays import Array
from charrnn.network.settings import MODEL
from charrnn.text.corpus import AnyText
from charrnn.trainable import Trainable

if TYPE_CHECKING:  # imported when it is asked for
    from charrnn.gradients.report import GradientReport


class CharRNN(Trainable, Inference):
    """A character-level recurrent network. The vanilla one, with one layer (Goodfellow et al. 2016, 10.2)::

        a_t = W h_{t-1} + U x_t + b     h_t = tanh(a_t)     o_t = V h_t + c     p_t = softmax(o_t)

    Args:
        hidden_size: m, the number of hidden units of each layer.
        cell: "rnn", "gru" or "lstm", as torch.nn.RNN, GRU and LSTM define them.
        layers: the number of recurrent layers; each upper layer reads the h of the layer below.
        dtype: "float32" or "float64".
        init: how weights start: "normal", N(0, init_std^2); "scaled", U ~ N(0, 1)/sqrt(2K), W ~ N(0, 1)/sqrt(2m),
            V ~ N(0, 1)/sqrt(m); "orthogonal", W (of each gate) orthogonal, and U of upper layers too; U of the first layer
            ~ N(0, init_std^2), V ~ N(0, 1)/sqrt(m). Biases start at 0, except the LSTM's forget gate's, at 1.
        init_std: the standard deviation for "normal" and "orthogonal".
        seed: seed of the random generator for weights and samples.
        vocabulary: the characters; by default those of the first training text.
        level: the kernels to use ("base", "v3", "v4", "numpy"); by default the best for this processor.

    Many threads may read a model at the same time (`generate`, `score`, `copy`, `save` ...), one may train it while none reads: others
    get a `BusyError`. Raises `SettingsError` for invalid arguments, and, before anything is allocated, for sizes that do not fit into
    memory.

    >>> model = CharRNN(hidden_size=16, seed=1)
    >>> history = model.train("to be or not to be, that is the question. " * 20, updates=300, progress=False)
    >>> bool(history.smooth_loss_per_char[-1] < history.smooth_loss_per_char[0])
    True
    >>> len(model.synthesize(20, seed=1))
    20
    """

    @classmethod
    def from_recipe(cls, name: str, **overrides: Any) -> CharRNN:
        """A model with a recipe's settings, for its arguments and as defaults of its `train`; see `charrnn.recipes`.

        >>> CharRNN.from_recipe("dd2424-2017", seed=7).training_defaults["optimizer"]
        'adagrad'
        """
        from charrnn.recipes import load_recipe

        recipe = load_recipe(name)
        arguments.no_others("CharRNN", overrides, (*MODEL, "vocabulary", "level"))
        model = cls(**(recipe.model | overrides))
        model.recipe, model.training_defaults = recipe.name, dict(recipe.training)
        return model

    # ---- gradients -------------------------------------------------------------------------------------------------

    def loss_and_gradients(self, inputs: Any, targets: Any, state: Any = None) -> tuple[float, dict[str, Array], Array]:
        """The summed loss of one window in nats, its unclipped gradients, and the state after it.

        inputs, targets (T, B) or (T,): ids below K. state (layers, states, B, m), with h and, for an LSTM, c: the carried state, 0 by
        default; for one vanilla layer, (B, m) is enough. Gradients have the names and shapes of `parameters`, as new arrays; the new
        state is (layers, states, B, m). Source: Goodfellow et al. 2016, 10.2.2.

        >>> model = CharRNN(hidden_size=4, vocabulary="ab", dtype="float64")
        >>> loss, gradients, state = model.loss_and_gradients([0, 1, 0], [1, 0, 1])
        >>> round(loss / 3, 3), gradients["W"].shape, state.shape
        (0.693, (4, 4), (1, 1, 1, 4))
        """
        with self._access.reading():
            network = self.network
            x, y = network.ids("inputs", inputs), network.ids("targets", targets)
            if x.shape != y.shape:
                raise SettingsError(f"inputs and targets must have one shape, got {x.shape} and {y.shape}")
            return network.loss_and_gradients(x, y, None if state is None else network.state(state, x.shape[1]))

    def gradcheck(self, text: AnyText, seq_length: int = 25, **options: Any) -> GradientReport:
        """Compare the gradients with finite differences, in float64, on the first window of text: a `GradientReport`.

        The options are those of `charrnn.gradients.check.gradcheck`, and so are the errors. A model without a vocabulary
        uses the text's.

        >>> CharRNN(hidden_size=4).gradcheck("hey diddle diddle", seq_length=8).passed
        True
        """
        from charrnn.gradients.check import gradcheck

        arguments.no_others("gradcheck", options, gradcheck.__kwdefaults__ or ())
        with resources():
            network, corpus = self.network_for(text)
            return gradcheck(network, corpus, seq_length, **options)
