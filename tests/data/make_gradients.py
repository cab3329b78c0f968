"""Writes gradients.npz: losses and gradients by PyTorch's autograd in float64, which the tests hold all kernels against.

    python tests/data/make_gradients.py         (needs charrnn and torch; the file there is from torch 2.13.0)

Each case c has the arrays c/inputs, c/targets (T, B), c/state (B, m), c/loss, c/U .. c/c and the gradients c/dU .. c/dc. Sizes are no
multiples of any vector width; weights go from those of a new network to saturated ones.
"""

from pathlib import Path

import numpy as np
import torch

from charrnn.gradients.check import torch_gradients

CASES = [  # m, K, T, B, standard deviation of the weights, whether h_0 is 0
    (1, 2, 1, 1, 0.5, False),
    (5, 2, 1, 3, 0.5, False),
    (5, 79, 25, 1, 0.01, True),
    (5, 79, 25, 1, 0.01, False),
    (7, 3, 6, 3, 0.5, False),
    (17, 13, 9, 2, 1.0, False),
    (9, 300, 5, 3, 0.3, False),
    (33, 31, 25, 1, 0.3, False),
]

if __name__ == "__main__":
    rng = np.random.Generator(np.random.PCG64(2013))
    arrays = {}
    for number, (m, K, T, B, std, zero) in enumerate(CASES):
        shapes = {"U": (m, K), "W": (m, m), "V": (K, m), "b": (m,), "c": (K,)}
        parameters = {name: rng.normal(0, std, shape) for name, shape in shapes.items()}
        inputs, targets = rng.integers(0, K, (2, T, B))
        state = np.zeros((B, m)) if zero else rng.uniform(-1, 1, (B, m))
        loss, gradients = torch_gradients(parameters, inputs, targets, state)
        case = {"inputs": inputs, "targets": targets, "state": state, "loss": np.array(loss), **parameters}
        case |= {f"d{name}": array for name, array in gradients.items()}
        arrays |= {f"{number}/{key}": array for key, array in case.items()}
    np.savez_compressed(Path(__file__).parent / "gradients.npz", **arrays, torch=np.array(torch.__version__))
    print(f"{len(CASES)} cases by torch {torch.__version__}")
