"""The gradients against finite differences: every entry of every parameter, in float64, unclipped.

How a derivative is measured, and why so (m=100, K=79, T=25, both on new and on trained networks):

a) A difference of losses cancels: losses of a few nats carry rounding errors of about 1e-15 (2e-14 once logits are large), and a
   centred difference divides them by the step. Centred differences of two points, h = 1e-4, err by up to 5e-11 in W, which is 2e-5
   of its smallest entries. With four points the error of the formula is of fourth order,
       f'(x) = [8 f(x+h) - 8 f(x-h) - f(x+2h) + f(x-2h)] / 12h + h^4 f^(5)/30,
   so that the step may be 1e-3, and the rounding error falls to 7e-12. Losses are subtracted step by step of the window, before
   they are summed, for a sum's rounding error has the size of the sum.
b) V and c change nothing before the softmax, and there the difference of two losses has a form in which nothing cancels:
       L(V_kj + d) - L(V_kj) = sum over t of log1p(p_tk expm1(d h_tj)) - d h_tj [y_t = k].
   For the layers' parameters the kernels run the whole window again for each point of each entry.
c) An entry of the size of 1e-7 still needs an absolute error below 1e-13, which no difference in float64 has. Whatever exceeds
   the threshold is therefore measured again by a complex step (Squire & Trapp 1998), f'(x) = Im f(x + ih) / h, which subtracts
   nothing: its h is 1e-30. A wrong gradient stays wrong under it.
d) Half of the checks start from a random state: dropping h_0 from dW passes every check whose h_0 is 0.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from typing import Any

import numpy as np

from charrnn import arguments
from charrnn.errors import NonFiniteError, SettingsError
from charrnn.gradients.complex_step import measure_again
from charrnn.gradients.differences import STENCILS, STEPS, Differences
from charrnn.gradients.report import GradientReport, Measured
from charrnn.network.arrays import Array
from charrnn.network.blocks import blocks
from charrnn.network.dropout import Masks, require_candidate
from charrnn.network.network import Network
from charrnn.text.corpus import Corpus
from charrnn.threads import usable_cores

STATES = ("zero", "random")


def gradcheck(
    network: Network,
    corpus: Corpus,
    seq_length: int = 25,
    *,
    batch_size: int = 1,
    step: float | None = None,
    points: int = 4,
    eps: float = 1e-6,
    threshold: float = 1e-6,
    seed: int = 0,
    states: Sequence[str] = STATES,
    dropout: float = 0.0,
    recurrent_dropout: float = 0.0,
    level: str | None = None,
    threads: int | None = None,
    progress: bool = True,
) -> GradientReport:
    """Compare a network's gradients with finite differences of its loss on the first window of a text; see `CharRNN.gradcheck`.

    Args:
        network: left as it is; what is checked is a copy in float64.
        corpus: at least batch_size * (seq_length + 1) characters, in the network's vocabulary.
        step, points: of the centred differences. By default four points, h = 1e-3, and what then exceeds the threshold is
            measured again by a complex step. With a step of your own the report shows the plain differences, as a lab report
            does, and says what the complex step makes of them.
        eps: relative errors are ``|ga - gn| / max(eps, |ga| + |gn|)``.
        threshold: a parameter passes if its maximum relative error is below.
        seed: of the random state, uniform in (-1, 1), and of dropout.
        states: "zero" and "random": the states h_0 to start from.
        dropout, recurrent_dropout: check with these shares of units and of candidates dropped, the same ones in every evaluation of
            the loss.
        level: the kernels to check ("base", "v3", "v4", "numpy"); by default the network's.
        threads: by default one per core, four at most; the result does not depend on it.
        progress: show a bar on standard error when it takes more than two seconds.

    Returns a `GradientReport`: print it, or ask it whether it `passed`. Raises `SettingsError` or `TextError` for arguments that
    make no sense, `NonFiniteError` if the network's loss is not finite.

    >>> from charrnn import CharRNN
    >>> model = CharRNN(hidden_size=3, cell="lstm", layers=2, seed=1)
    >>> report = model.gradcheck("the cat sat on the mat and ate that rat", seq_length=6)
    >>> report.passed, len(report.rows)
    (True, 52)
    """
    T, B = arguments.whole_number("seq_length", seq_length), arguments.whole_number("batch_size", batch_size)
    if points not in tuple(STENCILS):
        raise SettingsError(f"points must be 2 or 4, got {points!r}")
    h = STEPS[points] if step is None else arguments.number("step", step, above=0)
    eps, threshold = arguments.number("eps", eps, above=0), arguments.number("threshold", threshold, above=0)
    seed, dropout = arguments.whole_number("seed", seed, at_least=0), arguments.number("dropout", dropout, at_least=0, at_most=0.99)
    recurrent_dropout = arguments.number("recurrent_dropout", recurrent_dropout, at_least=0, at_most=0.99)
    require_candidate(network.architecture.cell, recurrent_dropout)
    threads = min(4, usable_cores()) if threads is None else arguments.whole_number("threads", threads)
    states = [arguments.one_of("state", state, STATES) for state in arguments.listed("states", states)]
    if not states:
        raise SettingsError(f"states must name at least one of {', '.join(STATES)}, got none")
    inputs, targets = first_window(corpus, T, B)
    copy = network.astype("float64", level)
    architecture, masks = copy.architecture, Masks(dropout, seed % 2**64, 1, recurrent_dropout)
    report = GradientReport(
        network=str(architecture),
        hidden_size=architecture.hidden_size,
        symbols=architecture.symbols,
        seq_length=T,
        batch_size=B,
        level=copy.level,
        step=h,
        points=points,
        own_step=step is not None,
        eps=eps,
        threshold=threshold,
        seed=seed,
    )
    for kind in states:
        state = initial_state(kind, copy, B, seed)
        loss, analytic, _ = copy.loss_and_gradients(inputs, targets, state, masks)
        if not np.isfinite(loss):
            raise NonFiniteError(f"the loss of this model on this text is {loss}: nothing can be differentiated")
        report.losses[kind] = loss
        numeric = Differences(copy, inputs, targets, state, masks, h, points, threads).all(progress, f"gradient check, {kind} state")
        for block in blocks(architecture):
            name = block.name
            again = measure_again(copy, inputs, targets, state, masks, block, analytic[name], numeric[name], eps, threshold)
            report.rows.append(Measured.of(kind, name, analytic[name], numeric[name], again, report))
    return report


def first_window(corpus: Corpus, T: int, B: int) -> tuple[Array, Array]:
    """The ids (T, B) of the first window of a text in B streams, and of the characters that follow."""
    corpus.require_window(T, B)
    stream = len(corpus) // B
    ids = np.stack([corpus.read(lane * stream, lane * stream + T + 1) for lane in range(B)], axis=1)
    return np.ascontiguousarray(ids[:-1], np.intc), np.ascontiguousarray(ids[1:], np.intc)


def initial_state(kind: str, network: Network, B: int, seed: int) -> Array:
    """(layers, states, B, m): zeros, or uniform in (-1, 1)."""
    shape = network.architecture.state_shape(B)
    return np.zeros(shape) if kind == "zero" else np.random.Generator(np.random.PCG64(seed)).uniform(-1, 1, shape)


def torch_is_installed() -> bool:
    """Whether `compare_with_torch` can run."""
    return importlib.util.find_spec("torch") is not None


def compare_with_torch(
    network: Network, corpus: Corpus, seq_length: int = 25, *, batch_size: int = 1, seed: int = 0, level: str | None = None
) -> dict[str, dict[str, float]]:
    """The largest absolute difference to PyTorch's autograd in float64, by state ("zero", "random") and parameter.

    PyTorch runs its own torch.nn.RNN, GRU or LSTM and torch.nn.Linear, given the weights. Raises `SettingsError` where torch is not
    installed, and for a cell that it does not have.
    """
    if not torch_is_installed():
        raise SettingsError("PyTorch is not installed here: pip install torch, or leave out the comparison with it")
    if not network.architecture.kind.torch:
        raise SettingsError(f"PyTorch has no cell {network.architecture.cell!r} to compare with: gradcheck needs none")
    T, B = arguments.whole_number("seq_length", seq_length), arguments.whole_number("batch_size", batch_size)
    inputs, targets = first_window(corpus, T, B)
    copy, result = network.astype("float64", level), {}
    for kind in STATES:
        state = initial_state(kind, copy, B, seed)
        mine = copy.loss_and_gradients(inputs, targets, state)[1]
        theirs = torch_gradients(copy, inputs, targets, state)[1]
        result[kind] = {name: float(np.abs(mine[name] - theirs[name]).max()) for name in mine}
    return result


def torch_gradients(network: Network, inputs: Array, targets: Array, state: Array) -> tuple[float, dict[str, Array]]:
    """The summed loss of a window and its gradients by PyTorch's autograd, in float64; arguments as for `loss_and_gradients`."""
    import torch

    from charrnn.network.tensors import tensors_of

    architecture = network.architecture
    m, K = architecture.hidden_size, architecture.symbols
    rnn: Any = getattr(torch.nn, architecture.kind.torch)(K, m, num_layers=architecture.layers, dtype=torch.float64)
    head = torch.nn.Linear(m, K, dtype=torch.float64)
    modules = torch.nn.ModuleDict({"rnn": rnn, "head": head})
    modules.load_state_dict({name: torch.from_numpy(tensor) for name, tensor in tensors_of(network.theta, architecture).items()})
    one_hot = torch.nn.functional.one_hot(torch.from_numpy(inputs.astype(np.int64)), K).double()
    carried = [torch.from_numpy(np.ascontiguousarray(state[:, i], np.float64)) for i in range(state.shape[1])]
    hidden, _ = rnn(one_hot, tuple(carried) if len(carried) > 1 else carried[0])
    logits, ids = head(hidden).reshape(-1, K), torch.from_numpy(targets.astype(np.int64)).reshape(-1)
    loss = torch.nn.functional.cross_entropy(logits, ids, reduction="sum")
    loss.backward()
    gradients = {name: parameter.grad.numpy() for name, parameter in modules.named_parameters()}
    return float(loss.detach()), {
        block.name: gradients[block.tensor][block.part * block.shape[0] : (block.part + 1) * block.shape[0]].copy()
        for block in blocks(architecture)
    }
