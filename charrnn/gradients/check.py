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
   For U, W and b the kernels run the whole window again for each point of each entry.
c) An entry of the size of 1e-7 still needs an absolute error below 1e-13, which no difference in float64 has. Whatever exceeds
   the threshold is therefore measured again by a complex step (Squire & Trapp 1998), f'(x) = Im f(x + ih) / h, which subtracts
   nothing: its h is 1e-30. A wrong gradient stays wrong under it.
d) Half of the checks start from a random state: dropping h_0 from dW passes every check whose h_0 is 0.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from charrnn import arguments
from charrnn.errors import NonFiniteError, SettingsError
from charrnn.gradients.report import GradientReport, Measured, relative_errors
from charrnn.network import kernels
from charrnn.network.parameters import Array, Workspace, aligned_copy, named_views
from charrnn.threads import usable_cores

if TYPE_CHECKING:
    from charrnn.model import CharRNN
    from charrnn.text.corpus import Corpus

__all__ = ["GradientReport", "Measured", "compare_with_torch", "gradcheck", "torch_is_installed"]

NAMES = ("U", "W", "V", "b", "c")
STENCILS = {2: {1: 1 / 2, -1: -1 / 2}, 4: {1: 8 / 12, -1: -8 / 12, 2: -1 / 12, -2: 1 / 12}}  # steps from x: weights, times 1/h
STEPS = {2: 1e-5, 4: 1e-3}
STATES = ("zero", "random")
LANES = 64  # entries whose complex steps are taken side by side


def gradcheck(
    model: CharRNN,
    text: str | bytes | Corpus,
    seq_length: int = 25,
    *,
    batch_size: int = 1,
    step: float | None = None,
    points: int = 4,
    eps: float = 1e-6,
    threshold: float = 1e-6,
    seed: int = 0,
    states: Sequence[str] = STATES,
    level: str | None = None,
    threads: int | None = None,
    progress: bool = True,
) -> GradientReport:
    """Compare a model's gradients with finite differences of its loss on the first window of a text.

    Args:
        model: left as it is; what is checked is a copy in float64. A model without a vocabulary takes the text's, on the copy.
        text: at least batch_size * (seq_length + 1) characters.
        step, points: of the centred differences. By default four points, h = 1e-3, and what then exceeds the threshold is
            measured again by a complex step. With a step of your own the report shows the plain differences, as a lab report
            does, and says what the complex step makes of them.
        eps: relative errors are ``|ga - gn| / max(eps, |ga| + |gn|)``.
        threshold: a parameter passes if its maximum relative error is below.
        seed: of the random state, uniform in (-1, 1).
        states: "zero" and "random": the states h_0 to start from.
        level: the kernels to check ("base", "v3", "v4", "numpy"); by default the model's.
        threads: by default one per core, four at most; the result does not depend on it.
        progress: show a bar on standard error when it takes more than two seconds.

    Returns a `GradientReport`: print it, or ask it whether it `passed`. Raises `SettingsError` or `TextError` for arguments that
    make no sense, `NonFiniteError` if the model's loss is not finite.

    >>> from charrnn import CharRNN
    >>> report = gradcheck(CharRNN(hidden_size=5, seed=1), "the cat sat on the mat and ate that rat", seq_length=10)
    >>> report.passed, len(report.rows)
    (True, 10)
    """
    T, B = arguments.whole_number("seq_length", seq_length), arguments.whole_number("batch_size", batch_size)
    if points not in tuple(STENCILS):
        raise SettingsError(f"points must be 2 or 4, got {points!r}")
    h = STEPS[points] if step is None else arguments.number("step", step, above=0)
    eps, threshold = arguments.number("eps", eps, above=0), arguments.number("threshold", threshold, above=0)
    seed = arguments.whole_number("seed", seed, at_least=0)
    threads = min(4, usable_cores()) if threads is None else arguments.whole_number("threads", threads)
    states = [arguments.one_of("state", state, STATES) for state in arguments.listed("states", states)]
    if not states:
        raise SettingsError(f"states must name at least one of {', '.join(STATES)}, got none")
    copy, inputs, targets = window(model, text, T, B, level)
    report = GradientReport(
        hidden_size=copy.hidden_size,
        symbols=len(copy.vocabulary),
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
    for state in states:
        h0 = initial_state(state, B, copy.hidden_size, seed)
        loss, analytic, _ = copy.loss_and_gradients(inputs, targets, h0)
        if not np.isfinite(loss):
            raise NonFiniteError(f"the loss of this model on this text is {loss}: nothing can be differentiated")
        report.losses[state] = loss
        numeric = Differences(copy, inputs, targets, h0, h, points, threads).all(progress, f"gradient check, {state} state")
        for name in NAMES:
            again = settle(copy.parameters, inputs, targets, h0, name, analytic[name], numeric[name], eps, threshold)
            report.rows.append(Measured.of(state, name, analytic[name], numeric[name], again, report))
    return report


def window(model: CharRNN, text: str | bytes | Corpus, T: int, B: int, level: str | None = None) -> tuple[CharRNN, Array, Array]:
    """A copy of the model in float64, with a vocabulary, and the ids (T, B) of the text's first window and of what follows."""
    with model._alone():
        copy = model.copy()
    corpus = copy.corpus_of(text)
    corpus.require_window(T, B)
    if copy._vocabulary is None:
        copy._set_vocabulary(corpus.vocabulary)
    copy = copy.astype("float64")
    if level is not None:
        copy.kernels, copy.level = kernels.get(level), level
    stream = len(corpus) // B
    ids = np.stack([corpus.read(lane * stream, lane * stream + T + 1) for lane in range(B)], axis=1)
    return copy, np.ascontiguousarray(ids[:-1], np.intc), np.ascontiguousarray(ids[1:], np.intc)


def initial_state(kind: str, B: int, m: int, seed: int) -> Array:
    """(B, m): zeros, or uniform in (-1, 1)."""
    if kind == "zero":
        return np.zeros((B, m))
    return np.random.Generator(np.random.PCG64(seed)).uniform(-1, 1, (B, m))


class Differences:
    """Finite differences of the loss of one window, by every entry of every parameter."""

    def __init__(self, model: CharRNN, inputs: Array, targets: Array, state: Array, step: float, points: int, threads: int) -> None:
        self.model, self.inputs, self.targets, self.state = model, inputs, targets, state
        self.step, self.stencil, self.threads = step, STENCILS[points], threads

    def all(self, progress: bool = False, label: str = "") -> dict[str, Array]:
        """The numeric gradients, by name and in the shapes of `CharRNN.parameters`."""
        from concurrent.futures import ThreadPoolExecutor

        from tqdm import tqdm

        shapes = {name: array.shape for name, array in self.model.parameters.items()}
        out = {name: np.zeros(shape) for name, shape in shapes.items()}
        parts: list[tuple[str, list[Any]]] = [("b", list(range(shapes["b"][0])))]
        parts += [("W", [(i, j) for j in range(shapes["W"][1])]) for i in range(shapes["W"][0])]
        parts += [("U", [(i, k) for i in range(shapes["U"][0])]) for k in self.symbols_that_matter()]
        out["V"][:], out["c"][:] = self.of_outputs()
        entries = sum(len(entries) for _, entries in parts)
        quiet = None if progress else True  # None: unless standard error is a terminal
        bar = tqdm(total=entries, desc=label, unit=" entries", leave=False, delay=2, disable=quiet)
        pool = ThreadPoolExecutor(self.threads)
        try:
            for name, chosen, values in pool.map(self.of_part, parts):
                for entry, value in zip(chosen, values, strict=True):
                    out[name][entry] = value
                bar.update(len(chosen))
        finally:  # Ctrl-C does not wait for what has not begun
            pool.shutdown(cancel_futures=True)
            bar.close()
        return out

    def work(self, theta: Array) -> Workspace:
        """A workspace that starts from the state."""
        T, B = self.inputs.shape
        work = Workspace(self.model.hidden_size, len(self.model.vocabulary), T, B, np.float64)
        work.hidden[0, :, : work.m] = self.state
        self.model.kernels.renew(theta, work)
        return work

    def of_part(self, part: tuple[str, Sequence[Any]]) -> tuple[str, Sequence[Any], list[float]]:
        """The derivatives by some entries of one of U, W and b: the kernels run the window for every point of every one."""
        name, entries = part
        theta = aligned_copy(self.model.theta)
        work = self.work(theta)
        forward, x, y = self.model.kernels.forward, self.inputs, self.targets
        values = named_views(theta, work.m, work.K)[name]
        turned = work.WT[:, : work.m].T if name == "W" else values  # compiled kernels keep W transposed as well
        derivatives = []
        for entry in entries:
            old = float(values[entry])
            total = np.zeros(x.shape)
            for steps, weight in self.stencil.items():
                values[entry] = turned[entry] = old + steps * self.step
                forward(theta, work, x, y, 1.0, False)
                total += weight * work.losses
            values[entry] = turned[entry] = old
            derivatives.append(total.sum() / self.step)
        return name, entries, derivatives

    def symbols_that_matter(self) -> Iterator[int]:
        """The symbols by whose columns of U the loss has to be differentiated.

        The others are changed all at once: if no loss changes by a bit, every derivative by them is 0.
        """
        theta = aligned_copy(self.model.theta)
        work = self.work(theta)
        self.model.kernels.forward(theta, work, self.inputs, self.targets, 1.0, False)
        losses = work.losses.copy()
        absent = np.setdiff1d(np.arange(work.K), self.inputs)
        named_views(theta, work.m, work.K)["U"][:, absent] += np.random.default_rng(0).uniform(0.5, 1.5, (work.m, len(absent)))
        self.model.kernels.forward(theta, work, self.inputs, self.targets, 1.0, False)
        same = np.array_equal(losses, work.losses)
        return iter(np.unique(self.inputs).tolist() if same else range(work.K))

    def of_outputs(self) -> tuple[Array, Array]:
        """The derivatives by V (K, m) and by c (K,), from the hidden states and probabilities of one run; see note b."""
        theta = self.model.theta
        work = self.work(theta)
        self.model.kernels.forward(theta, work, self.inputs, self.targets, 1.0, False)
        h = work.hidden[1:, :, : work.m].reshape(-1, work.m)
        h = np.hstack([h, np.ones((len(h), 1))])  # c_k is the weight of a unit that is always 1
        out = np.zeros((work.K, work.m + 1))
        for k in range(work.K):
            p, right = work.error[:, :, k].reshape(-1, 1), self.targets.reshape(-1, 1) == k
            for steps, weight in self.stencil.items():
                d = steps * self.step * h
                out[k] += weight * (np.log1p(p * np.expm1(d)) - d * right).sum(0)
        out /= self.step
        return out[:, :-1], out[:, -1]


def settle(
    parameters: Mapping[str, Array],
    inputs: Array,
    targets: Array,
    state: Array,
    name: str,
    analytic: Array,
    numeric: Array,
    eps: float,
    threshold: float,
) -> Array:
    """numeric, with the entries that exceed the threshold measured again by a complex step (note c).

    The worst come first, and it ends with the first lot that stays above the threshold: then the gradient is wrong anyway.
    """
    errors = relative_errors(analytic, numeric, eps)
    order = np.argsort(-errors, axis=None, kind="stable")[: np.count_nonzero(~(errors < threshold))]
    again = numeric.copy()
    for start in range(0, len(order), LANES):
        lot = np.unravel_index(order[start : start + LANES], numeric.shape)
        again[lot] = complex_step(parameters, inputs, targets, state, name, lot)
        if not (relative_errors(analytic[lot], again[lot], eps) < threshold).all():
            break
    return again


def complex_step(
    parameters: Mapping[str, Array], inputs: Array, targets: Array, state: Array, name: str, entries: tuple[Array, ...], h: float = 1e-30
) -> Array:
    """(n,): the derivatives of the summed loss by n entries of one parameter, Im loss(x + ih) / h, from NumPy alone.

    entries: n row indices and, for a matrix, n column indices. All n networks run side by side: lane l of n has its own entry
    moved by ih, which adds ih times that entry's factor to one of its units or symbols.

    >>> from charrnn import CharRNN
    >>> p = CharRNN(hidden_size=3, vocabulary="ab", dtype="float64").parameters
    >>> complex_step(p, np.array([[0]]), np.array([[1]]), np.zeros((1, 3)), "c", (np.array([0, 1]),)).round(3)
    array([ 0.5, -0.5])
    """
    U, W, V, b, c = (parameters[each].astype(complex) for each in NAMES)
    row, column, n = entries[0], entries[-1], len(entries[0])
    B, m = state.shape
    lanes = np.arange(n)
    hidden: Array = np.repeat(state[None].astype(complex), n, axis=0)  # (n, B, m)
    loss: Array = np.zeros(n, np.complex128)
    for x, y in zip(inputs, targets, strict=True):
        a = (hidden.reshape(-1, m) @ W.T).reshape(n, B, m) + U.T[x] + b  # one flat product: BLAS is slow on many small ones
        if name in ("U", "W", "b"):
            factor: Any = {"W": hidden[lanes, :, column % m], "U": x == column[:, None], "b": 1}[name]
            a[lanes, :, row] += 1j * h * factor
        hidden = np.tanh(a)
        o = (hidden.reshape(-1, m) @ V.T).reshape(n, B, -1) + c
        if name in ("V", "c"):
            o[lanes, :, row] += 1j * h * (hidden[lanes, :, column] if name == "V" else 1)
        o -= o.real.max(-1, keepdims=True)
        loss += (np.log(np.exp(o).sum(-1)) - o[:, np.arange(B), y]).sum(-1)
    return loss.imag / h


def torch_is_installed() -> bool:
    """Whether `compare_with_torch` can run."""
    return importlib.util.find_spec("torch") is not None


def compare_with_torch(
    model: CharRNN, text: str | bytes | Corpus, seq_length: int = 25, *, batch_size: int = 1, seed: int = 0, level: str | None = None
) -> dict[str, dict[str, float]]:
    """The largest absolute difference to PyTorch's autograd in float64, by state ("zero", "random") and parameter.

    PyTorch runs its own torch.nn.RNN and torch.nn.Linear, given the weights. Raises `SettingsError` where torch is not installed.
    """
    if not torch_is_installed():
        raise SettingsError("PyTorch is not installed here: pip install torch, or leave out the comparison with it")
    T, B = arguments.whole_number("seq_length", seq_length), arguments.whole_number("batch_size", batch_size)
    copy, inputs, targets = window(model, text, T, B, level)
    result = {}
    for kind in STATES:
        state = initial_state(kind, B, copy.hidden_size, seed)
        mine = copy.loss_and_gradients(inputs, targets, state)[1]
        theirs = torch_gradients(copy.parameters, inputs, targets, state)[1]
        result[kind] = {name: float(np.abs(mine[name] - theirs[name]).max()) for name in NAMES}
    return result


def torch_gradients(parameters: dict[str, Array], inputs: Array, targets: Array, state: Array) -> tuple[float, dict[str, Array]]:
    """The summed loss of a window and its gradients by PyTorch's autograd, in float64; arguments as for `loss_and_gradients`."""
    import torch

    m, K = parameters["U"].shape
    rnn, head = torch.nn.RNN(K, m, dtype=torch.float64), torch.nn.Linear(m, K, dtype=torch.float64)
    weights = {"U": rnn.weight_ih_l0, "W": rnn.weight_hh_l0, "V": head.weight, "b": rnn.bias_ih_l0, "c": head.bias}
    with torch.no_grad():
        rnn.bias_hh_l0.zero_()
        for name, tensor in weights.items():
            tensor.copy_(torch.from_numpy(np.ascontiguousarray(parameters[name])))
    one_hot = torch.nn.functional.one_hot(torch.from_numpy(inputs.astype(np.int64)), K).double()
    hidden, _ = rnn(one_hot, torch.from_numpy(np.ascontiguousarray(state, np.float64))[None])
    logits, ids = head(hidden).reshape(-1, K), torch.from_numpy(targets.astype(np.int64)).reshape(-1)
    loss = torch.nn.functional.cross_entropy(logits, ids, reduction="sum")
    loss.backward()
    return float(loss.detach()), {name: tensor.grad.numpy().copy() for name, tensor in weights.items()}
