"""Writes gradients.npz: losses and gradients by PyTorch's autograd in float64, which the tests hold all kernels against.

    PYTHONPATH=tests python tests/data/make_gradients.py         (needs charrnn and torch; the file there is from torch 2.13.0)

Each case c has c/cell, c/sizes (layers, m, K), c/inputs, c/targets (T, B), c/state (layers, states, B, m), c/dropout, c/loss,
the parameters by PyTorch's names and, with a d before the name, their gradients. m is no multiple of any vector's width; weights go
from those of a new network to saturated ones. What is dropped, where dropout is, `networks.MASKS` says.
"""

from pathlib import Path

import numpy as np
import torch
from networks import autograd, masks_of, network, window

from charrnn.network.tensors import tensors_of

CASES = [  # cell, layers, m, K, T, B, standard deviation of the weights, whether the carried state is 0, dropout
    ("rnn", 1, 1, 2, 1, 1, 0.5, False, False),
    ("rnn", 1, 5, 79, 25, 1, 0.01, True, False),
    ("rnn", 1, 17, 13, 9, 2, 1.0, False, False),
    ("rnn", 1, 3, 300, 5, 3, 0.3, False, False),
    ("rnn", 2, 7, 3, 6, 3, 0.5, False, True),
    ("gru", 1, 9, 5, 25, 1, 0.5, False, False),
    ("gru", 1, 1, 2, 1, 3, 0.5, False, False),
    ("gru", 2, 7, 11, 6, 3, 0.7, False, True),
    ("lstm", 1, 9, 5, 25, 1, 0.5, False, False),
    ("lstm", 1, 13, 3, 4, 2, 1.0, True, False),
    ("lstm", 2, 7, 11, 6, 3, 0.7, False, True),
]

if __name__ == "__main__":
    arrays = {}
    for number, (cell, layers, m, K, T, B, std, zero, dropout) in enumerate(CASES):
        made = network(cell, layers, m, K, std, seed=number)
        inputs, targets, state = window(made, T, B, zero, seed=number)
        loss, gradients = autograd(made, inputs, targets, state, masks_of(made, T, B) if dropout else None)
        case = {"cell": np.array(cell), "sizes": np.array([layers, m, K]), "dropout": np.array(dropout), "loss": np.array(loss)}
        case |= {"inputs": inputs.astype(np.int16), "targets": targets.astype(np.int16), "state": state}
        case |= tensors_of(made.theta, made.architecture) | {f"d{name}": array for name, array in gradients.items()}
        arrays |= {f"{number}/{key}": array for key, array in case.items()}
    np.savez_compressed(Path(__file__).parent / "gradients.npz", **arrays, torch=np.array(torch.__version__))
    print(f"{len(CASES)} cases by torch {torch.__version__}")
