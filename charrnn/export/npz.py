"""NumPy's .npz: the parameters by the names of `charrnn.CharRNN.parameters`, and JSON about them."""

from __future__ import annotations

import io

import numpy as np

from charrnn.files.schema import dumps
from charrnn.network.network import Network
from charrnn.network.tensors import metadata_of


def to_npz(network: Network) -> bytes:
    """The bytes of the file: U, W, b ... as the formulas have them, in the network's precision, and `about`, a text.

    >>> from charrnn import CharRNN
    >>> found = np.load(io.BytesIO(to_npz(CharRNN(hidden_size=5, vocabulary="abc").network)))
    >>> {name: found[name].shape for name in found}
    {'U': (5, 3), 'W': (5, 5), 'b': (5,), 'V': (3, 5), 'c': (3,), 'about': ()}
    """
    file = io.BytesIO()
    np.savez(file, allow_pickle=False, **network.parameters, about=np.array(dumps(metadata_of(network))))
    return file.getvalue()
