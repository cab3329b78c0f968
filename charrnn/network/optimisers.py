"""How gradients become an update: the optimisers, their constants and their arithmetic."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from charrnn.network.arrays import Array

SLOTS = {"adagrad": 1, "adam": 2, "rmsprop": 1, "sgd": 1}  # arrays of theta's shape that each optimiser keeps
OPTIMIZERS = tuple(SLOTS)  # their order is the number that kernels know them by


@dataclass
class UpdateRule:
    """An optimiser with its constants, and what is done to the loss and its gradient before.

    scale multiplies the loss and so every gradient (1 for a sum, 1/(T B) for a mean); clip bounds each element of the gradient,
    clip_norm the Euclidean norm of all of them together; dropout is the share of units,
    weight_drop that of W's elements and recurrent_dropout that of the candidates that `charrnn.network.dropout` drops.
    weight_decay is decoupled from the gradient (Loshchilov & Hutter 2019): each update multiplies the weights (U, W, V; not the
    biases) by 1 - learning rate x weight_decay.
    """

    optimizer: str = "adagrad"
    clip: float = math.inf
    clip_norm: float = math.inf
    eps: float = 1e-8
    beta1: float = 0.9  # Adam's first moment; SGD's momentum
    beta2: float = 0.999  # Adam's second moment; RMSProp's decay
    input_rate: float = 1.0  # the learning rate of the first layer's U, as a multiple of the others'; not of its decay
    weight_decay: float = 0.0
    scale: float = 1.0
    dropout: float = 0.0
    weight_drop: float = 0.0
    recurrent_dropout: float = 0.0
    seed: int = 0  # of all three
    kind: int = field(init=False)

    def __post_init__(self) -> None:
        self.kind = OPTIMIZERS.index(self.optimizer)

    def rates(self, learning_rates: Array, first_step: int) -> Array:
        """(n, 3): for the updates first_step, first_step+1, ... the rate, the factor on Adam's root, bias corrections included, and what
        weight decay leaves of a weight.
        """
        out = np.ones((len(learning_rates), 3))
        out[:, 0] = learning_rates
        out[:, 2] -= learning_rates * self.weight_decay
        if self.optimizer == "adam":
            for i in range(len(out)):  # math's power, not NumPy's, whose last bit depends on the processor
                step = first_step + i
                out[i, 0] /= 1 - math.pow(self.beta1, step)
                out[i, 1] = 1 / math.sqrt(1 - math.pow(self.beta2, step))
        return out


def update(theta: Array, slots: Array, gradients: Array, rate: float | Array, root: float, rule: UpdateRule) -> float:
    """Change theta by its gradients: clip, then one step of the optimiser, whose state is in slots. All in place.

    Returns the Euclidean norm of the gradients as given.

    rate, one number or one for each row ``(R, 1)``, and root contain Adam's bias corrections (`UpdateRule.rates`). All arrays are
    shaped like theta, ``(R, m_)``. AdaGrad: Duchi, Hazan & Singer 2011, eps inside the root as in the lab's text; Adam: Kingma & Ba
    2015, algorithm 1; RMSProp: Tieleman & Hinton 2012.
    """
    g = gradients
    norm = np.sqrt(np.sum(np.square(g, dtype=np.float64)))
    if norm > rule.clip_norm:
        g = g * (rule.clip_norm / norm)
    g = np.clip(g, -rule.clip, rule.clip)
    if rule.optimizer == "adagrad":
        slots[0] += g * g
        theta -= rate * g / np.sqrt(slots[0] + rule.eps)
    elif rule.optimizer == "adam":
        slots[0] += (1 - rule.beta1) * (g - slots[0])
        slots[1] += (1 - rule.beta2) * (g * g - slots[1])
        theta -= rate * slots[0] / (np.sqrt(slots[1]) * root + rule.eps)
    elif rule.optimizer == "rmsprop":
        slots[0] += (1 - rule.beta2) * (g * g - slots[0])
        theta -= rate * g / (np.sqrt(slots[0]) + rule.eps)
    else:  # stochastic gradient descent, beta1 its momentum
        slots[0] = rule.beta1 * slots[0] + g
        theta -= rate * slots[0]
    return float(norm)
