"""The compiled kernels against the reference, against each other, and against memory that is not theirs."""

from __future__ import annotations

import contextlib
import itertools
import math
import threading
import time
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from problems import COMPILED, DTYPES, FUSED, agree, covering, problem, reference, truth

from charrnn.network import kernels
from charrnn.network.arrays import aligned_zeros
from charrnn.network.blocks import NEVER, blocks, views
from charrnn.network.cells import CELLS
from charrnn.network.decoding import Rules
from charrnn.network.optimisers import OPTIMIZERS, UpdateRule
from charrnn.network.workspace import Workspace

every_level = pytest.mark.parametrize("level", COMPILED)
every_dtype = pytest.mark.parametrize("dtype", DTYPES)
every_cell = pytest.mark.parametrize("cell", CELLS)

# layers, m, K, T, B: around and between the widths of vectors, panels and tiles; symbols fewer than a vector holds and far more;
# short windows and long ones (more than 128 characters), one lane, few, many
TABLE = [
    (1, 1, 2, 1, 1), (1, 11, 7, 25, 1), (1, 12, 13, 9, 2), (1, 13, 2, 3, 3), (1, 100, 80, 25, 1), (1, 109, 65, 4, 4), (1, 110, 5, 3, 6),
    (1, 111, 83, 2, 50), (1, 112, 17, 5, 40), (1, 257, 65, 3, 45), (1, 513, 2, 2, 3), (1, 12, 513, 3, 2), (1, 37, 513, 60, 3),
    (2, 17, 9, 25, 1),    (2, 37, 65, 7, 8), (2, 130, 30, 9, 20), (3, 12, 16, 60, 3), (3, 5, 3, 4, 13),
]  # fmt: skip


def small(cell: str) -> tuple[Any, ...]:
    return (cell, 2, 5, 7, 3, 2)


def check_window(levels: Any, dtypes: Any, sizes: tuple[Any, ...], dropout: float, scale: float = 1.0, seed: int = 0) -> None:
    """forward and backward of one window: every array that they leave behind."""
    m, K, label = sizes[2], sizes[3], f"of {sizes}, dropout {dropout}"
    rule = UpdateRule(dropout=dropout, seed=5 + seed)
    expected = truth(sizes, rule, seed=seed)
    true_gates, gradients = expected.window(reference, scale), expected.sizes
    for level, dtype in itertools.product(levels, dtypes):
        found = problem(sizes, dtype, rule, level=level, seed=seed)
        agree(found.window(kernels.get(level), scale)[..., :m], true_gates[..., :m], dtype, "gates", label)
        agree(found.work.states[..., :m], expected.work.states[..., :m], dtype, "states", label)
        agree(found.work.losses, expected.work.losses, dtype, "losses", label)
        agree(found.work.error[..., :K], expected.work.error[..., :K], dtype, "error", label)
        for name, size in gradients.items():
            agree(found.gradients[name], expected.gradients[name], dtype, "gradients", f"of {name} {label}", size)


def check_updates(level: str, dtype: str, sizes: tuple[Any, ...], rule: UpdateRule, n: int = 1, seed: int = 0) -> None:
    """Updates from a common state: parameters, the best of them, the optimiser's state, the losses, the state carried on."""
    m, label = sizes[2], f"after {rule.optimizer} of {sizes}"
    expected, found = truth(sizes, rule, n=n, seed=seed), problem(sizes, dtype, rule, level=level, n=n, seed=seed)
    before = {name: array.copy() for name, array in expected.named.items()}
    expected.run(reference)
    found.run(kernels.get(level))
    best = [views(p.best, p.work.architecture) for p in (expected, found)]
    for name in before:
        larger = np.maximum(np.abs(before[name]), np.abs(expected.named[name]))
        agree(found.named[name], expected.named[name], dtype, "update", f"of {name} {label}", larger)
        agree(best[1][name], best[0][name], dtype, "update", f"of the best {name} {label}", larger)
        for mine, true in zip(found.memories[name], expected.memories[name], strict=True):
            agree(mine, true, dtype, "update", f"of {name}'s state {label}")
    agree(found.losses, expected.losses, dtype, "losses", label)
    agree(found.smooth[:2], expected.smooth[:2], dtype, "losses", label)
    assert (found.smooth[2:] == expected.smooth[2:]).all()  # windows so far, which of them was the best, whether its copy is pending
    agree(found.work.states[:, :, 0, :, :m], expected.work.states[:, :, 0, :, :m], dtype, "states", label)


# ---- the same mathematics ----------------------------------------------------------------------------------------------


@every_cell
@pytest.mark.parametrize("sizes", TABLE)
def test_forward_and_backward_agree_with_the_reference(cell, sizes):
    check_window(COMPILED, DTYPES, (cell, *sizes), 0.3 if sizes[1] % 2 else 0.0)


@given(
    cell=st.sampled_from(list(CELLS)),
    layers=st.integers(1, 3),
    m=st.integers(1, 60),
    K=st.integers(2, 90),
    T=st.integers(1, 40),
    B=st.integers(1, 20),
    level=st.sampled_from(COMPILED),
    dtype=st.sampled_from(DTYPES),
    dropout=st.sampled_from([0.0, 0.5]),
    mean=st.booleans(),
    seed=st.integers(0, 1000),
)
@settings(max_examples=50, deadline=None)
def test_any_sizes_agree_with_the_reference(cell, layers, m, K, T, B, level, dtype, dropout, mean, seed):
    check_window([level], [dtype], (cell, layers, m, K, T, B), dropout, 1 / (T * B) if mean else 1.0, seed)


@pytest.mark.parametrize(
    ("level", "dtype", "optimizer", "clipping"), covering(COMPILED, DTYPES, list(OPTIMIZERS), ["none", "element", "norm", "both"])
)
def test_updates_agree_with_the_reference(level, dtype, optimizer, clipping):
    for sizes in [("rnn", 1, 1, 2, 1, 1), ("gru", 1, 37, 65, 25, 1), ("lstm", 2, 17, 83, 2, 8), ("gru", 2, 12, 30, 60, 3)]:
        scale = 1 / (sizes[4] * sizes[5])
        gradients = truth(sizes)
        gradients.window(reference, scale)
        largest = max(np.abs(g).max() for g in gradients.gradients.values())
        norm = math.sqrt(sum(np.sum(g**2) for g in gradients.gradients.values()))
        clip = largest / 2 if clipping in ("element", "both") else math.inf  # so that there is something to clip
        clip_norm = norm / 3 if clipping in ("norm", "both") else math.inf
        dropout = 0.3 if clipping == "both" else 0.0
        rule = UpdateRule(optimizer, clip, clip_norm, beta1=0.8, beta2=0.99, scale=scale, input_rate=3.0, dropout=dropout)
        check_updates(level, dtype, sizes, rule)


@pytest.mark.parametrize(
    ("level", "optimizer", "sizes"),
    covering(COMPILED, list(OPTIMIZERS), [("rnn", 1, 17, 30, 9, 1), ("gru", 2, 9, 8, 5, 3), ("lstm", 1, 12, 9, 18, 8)]),
)
def test_many_updates_agree_with_the_reference(level, optimizer, sizes):
    """40 updates with resets and dropout among them: they follow the same course."""
    check_updates(level, "float64", sizes, UpdateRule(optimizer, clip=5, scale=1 / (sizes[4] * sizes[5]), dropout=0.2, seed=3), n=40)


@every_level
@every_dtype
def test_what_is_left_of_beta_2_is_subtracted_in_double(level, dtype):
    """1 - 0.99999999 is 0 in float32, or 6e-8."""
    for optimizer in ("adam", "rmsprop"):
        check_updates(level, dtype, small("rnn"), UpdateRule(optimizer, beta2=0.99999999))


@every_level
@every_dtype
@every_cell
def test_probabilities_without_gradients(level, dtype, cell):
    """Of a workspace for the forward pass alone, which backward and train refuse."""
    sizes = (cell, 2, 37, 83, 9, 3)
    expected, found = truth(sizes), problem(sizes, dtype, level=level)
    compiled = kernels.get(level)
    found.work = Workspace(compiled, found.work.architecture, 9, 3, dtype, backward=False)
    found.work.states[:, :, 0] = problem(sizes, dtype, level=level).work.states[:, :, 0]
    reference.forward(expected.theta, expected.work, expected.inputs[0], expected.targets[0], gradient=False)
    compiled.pack(found.theta, found.work)
    compiled.forward(found.theta, found.work, found.inputs[0], found.targets[0], gradient=False)
    agree(found.work.error[..., :83], expected.work.error[..., :83], dtype, "error")
    agree(found.work.losses, expected.work.losses, dtype, "losses")
    with pytest.raises(ValueError, match="backward"):
        compiled.backward(found.theta, found.work, found.inputs[0])
    with pytest.raises(ValueError, match="backward"):
        found.train(compiled)


@every_level
@every_dtype
@every_cell
def test_logits_of_any_size(level, dtype, cell):
    """Saturated units and logits in the thousands overflow nowhere: softmax takes the maximum off first."""
    sizes = (cell, 1, 17, 30, 5, 3)
    problems = truth(sizes), problem(sizes, dtype, level=level)
    for p in problems:
        for block in blocks(p.work.architecture):
            p.named[block.name][:] *= {"W": 64 if cell == "rnn" else 4, "V": 4096}.get(block.letter, 1)
    problems[0].window(reference)
    problems[1].window(kernels.get(level))
    agree(problems[1].work.losses, problems[0].work.losses, dtype, "losses")
    assert np.isfinite(problems[1].work.gradients).all()


@every_level
@every_dtype
def test_padding_has_no_part_in_the_softmax(level, dtype):
    """Logits below its own -1e30."""
    p = problem(small("rnn"), dtype, level=level)
    p.named["c"][:] = -1e31
    p.window(kernels.get(level))
    np.testing.assert_allclose(p.work.losses, math.log(7), rtol=1e-6)
    assert (p.work.error[..., 7:] == 0).all()


@every_level
@every_dtype
@every_cell
@pytest.mark.parametrize("value", [math.nan, -math.nan, math.inf])
@pytest.mark.parametrize("B", [1, 3])
def test_what_is_not_finite_shows_in_the_loss(level, dtype, cell, value, B):
    """Maxima and limits may drop a NaN; none is dropped for good. (An infinite input merely saturates a unit.)"""
    sizes = (cell, 1, 17, 30, 5, B)
    for name in truth(sizes).named:
        found = problem(sizes, dtype, level=level)
        x = int(found.inputs[0, 0, 0])
        place = {"U": (3, x), "W": (3, 4), "V": (7, 4), "b": (3,), "c": (7,)}[name[0]]
        found.named[name][place] = value
        found.window(kernels.get(level))
        finite = np.isfinite(found.work.losses).all() and np.isfinite(found.work.gradients).all()
        if math.isnan(value) or name in ("V", "c"):
            assert not finite, name
        elif name in ("U", "b"):
            assert finite, name


# ---- sampling ----------------------------------------------------------------------------------------------------------


def draw(p: Any, kernels: Any, n: int, uniforms: Any, temperature: float = 1.0, top_k: int = 0, top_p: float = 1.0) -> Any:
    ids = np.zeros((p.work.B, 1 + n), np.intc)
    kernels.pack(p.theta, p.work)
    kernels.sample(p.theta, p.work, ids, 1, uniforms, Rules(temperature, top_k, top_p))
    return ids[:, 1:].T


SAMPLING = [
    (1.0, 0, 1.0), (0.5, 0, 1.0), (1.7, 5, 1.0), (1.0, 0, 0.7), (0.8, 10, 0.5), (0.0, 0, 1.0), (1.0, 1, 1.0), (1.0, 1000, 1.0),
    (1e30, 0, 1.0), (1e300, 0, 1.0), (math.inf, 3, 1.0),
]  # fmt: skip


@pytest.mark.parametrize(("level", "cell", "options"), covering(COMPILED, list(CELLS), SAMPLING))
def test_same_uniforms_same_symbols(level, cell, options):
    for sizes in [(1, 5, 2, 1, 1), (2, 37, 65, 1, 3), (1, 130, 300, 1, 1)]:
        uniforms = np.random.default_rng(sizes[1]).random((31, sizes[4]))
        expected, found = truth((cell, *sizes)), problem((cell, *sizes), "float64", level=level)
        symbols = draw(expected, reference, 31, uniforms, *options)
        assert (draw(found, kernels.get(level), 31, uniforms, *options) == symbols).all(), sizes
        agree(found.work.states[:, :, 0], expected.work.states[:, :, 0], "float64", "states")


@every_level
@pytest.mark.parametrize("temperature", [0.3, 1.0, 2.0])
def test_float32_draws_the_same_symbols_away_from_their_borders(level, temperature):
    """One symbol in each of 500 lanes; where a uniform is within rounding of the border between two, either may come."""
    sizes, B = ("rnn", 1, 100, 83, 1, 500), 500
    uniforms = np.random.default_rng(1).random((1, B))
    near = 1e-5 * np.array([[-1], [1]])
    expected = truth(sizes)
    state = expected.work.states[:, :, 0].copy()
    symbols = draw(expected, reference, 1, uniforms, temperature)[0]
    sure = np.ones(B, bool)
    for shift in near:
        expected.work.states[:, :, 0] = state
        sure &= draw(expected, reference, 1, np.clip(uniforms + shift, 0, 1 - 1e-12), temperature)[0] == symbols
    found = draw(problem(sizes, "float32", level=level), kernels.get(level), 1, uniforms, temperature)[0]
    assert sure.mean() > 0.98
    assert (found[sure] == symbols[sure]).all()


@every_level
@every_dtype
def test_no_symbol_of_probability_zero_is_drawn(level, dtype):
    p = problem(("rnn", 1, 5, 7, 1, 3), dtype, level=level)
    p.named["c"][:] = -1e4
    p.named["c"][[2, 4]] = 0
    uniforms = np.tile([[0.0], [0.5], [1 - 2**-53]], (20, 3))
    assert set(draw(p, kernels.get(level), 60, uniforms).ravel()) == {2, 4}
    for temperature in (1e-3, 1e-30, 1e-300):  # so cold that 1/temperature overflows
        assert set(draw(p, kernels.get(level), 60, uniforms, temperature).ravel()) <= {2, 4}


@every_level
@every_dtype
def test_padding_is_never_drawn(level, dtype):
    """Neither where all symbols are equally likely, however hot, nor where all logits are below the padding's."""
    p = problem(("rnn", 1, 5, 7, 1, 3), dtype, level=level)
    p.named["c"][:] = -1e31
    uniforms = np.random.default_rng(0).random((200, 3))
    for temperature in (1.0, 1e30, 1e300, math.inf):
        drawn = np.bincount(draw(p, kernels.get(level), 200, uniforms, temperature).ravel(), minlength=7)
        assert len(drawn) == 7
        assert drawn.min() > 50, temperature  # of 86


@every_level
@every_dtype
@pytest.mark.parametrize("B", [1, 3])
def test_symbols_stay_in_range_whatever_the_weights(level, dtype, B):
    for value in (math.nan, math.inf, -math.inf):
        for options in SAMPLING:
            p = problem(("lstm", 1, 5, 7, 1, B), dtype, level=level)
            p.named["c"][:] = value
            out = draw(p, kernels.get(level), 9, np.full((9, B), 0.999), *options)
            assert ((out >= 0) & (out < 7)).all()


@every_level
@pytest.mark.parametrize("temperature", [-1.0, math.nan])
def test_temperatures_that_are_none_are_refused(level, temperature):
    with pytest.raises(ValueError, match="temperature"):
        draw(problem(("rnn", 1, 5, 7, 1, 1), "float32", level=level), kernels.get(level), 1, np.zeros((1, 1)), temperature)


# ---- the same bits -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("level", "dtype", "cell", "optimizer", "sizes"),
    covering(
        COMPILED,
        DTYPES,
        list(CELLS),
        [("adagrad", math.inf), ("adagrad", 0.05), ("adam", math.inf)],
        [(1, 1, 2, 1, 1), (2, 37, 65, 12, 1), (1, 100, 83, 9, 2), (2, 20, 30, 12, 13), (3, 9, 20, 3, 50)],
    ),
)
def test_any_number_of_threads_and_any_chunks_give_the_same_bits(level, dtype, cell, optimizer, sizes):
    name, clip_norm = optimizer
    rule = UpdateRule(name, 5, clip_norm, scale=1 / (sizes[3] * sizes[4]), input_rate=2.0, dropout=0.2 if sizes[0] > 1 else 0)
    for threads, chunks in [(1, ()), (1, (1, 3)), (2, (1, 2)), (3, ())]:
        p = problem((cell, *sizes), dtype, rule, level=level, n=5, memory=0, threads=threads).run(kernels.get(level), threads, chunks)
        if (threads, chunks) == (1, ()):
            alone = p.bits()
        assert p.bits() == alone, (threads, chunks)


@every_level
def test_fewer_threads_than_the_workspace_allows_give_the_same_bits(level):
    rule = UpdateRule("adam", scale=1 / 36)
    alone = problem(("gru", 1, 37, 30, 12, 3), "float32", rule, level=level, n=5).run(kernels.get(level)).bits()
    p = problem(("gru", 1, 37, 30, 12, 3), "float32", rule, level=level, n=5, threads=4)
    assert p.run(kernels.get(level), 2).bits() == alone


fused = pytest.mark.skipif(len(FUSED) < 2, reason="this processor runs one level with fused multiply-add, or none")


@fused
@pytest.mark.parametrize(
    ("dtype", "cell", "sizes", "optimizer"),
    covering(
        DTYPES,
        list(CELLS),
        [(1, 100, 83, 25, 1), (2, 37, 65, 12, 3), (1, 5, 3, 7, 1), (2, 130, 300, 9, 20), (1, 545, 40, 5, 40)],
        list(OPTIMIZERS),
    ),
)
def test_levels_with_fused_multiply_add_give_the_same_bits(dtype, cell, sizes, optimizer):
    rule = UpdateRule(optimizer, 5, math.inf if sizes[4] == 1 else 1.0, scale=1 / (sizes[3] * sizes[4]), dropout=0.2)
    n = 50 if sizes[1] < 130 else 3
    runs = [problem((cell, *sizes), dtype, rule, level=level, n=n, memory=0).run(kernels.get(level)).bits() for level in FUSED]
    assert runs[0] == runs[1]


@fused
@every_dtype
@every_cell
@pytest.mark.parametrize("B", [1, 3])
def test_levels_with_fused_multiply_add_draw_the_same_bits(dtype, cell, B):
    uniforms = np.random.default_rng(5).random((501, B))
    problems = [problem((cell, 1, 100, 83, 1, B), dtype, level=level) for level in FUSED]
    drawn = [draw(p, kernels.get(level), 501, uniforms, 1.0, 0, 0.9) for p, level in zip(problems, FUSED, strict=True)]
    assert (drawn[0] == drawn[1]).all()
    assert problems[0].work.states.tobytes() == problems[1].work.states.tobytes()


@pytest.mark.skipif(not FUSED, reason="only one level here")
@every_dtype
def test_the_level_without_fused_multiply_add_stays_close(dtype):
    """Its last bits may differ, which AdaGrad makes into different steps while its memory is near 0; hence a memory from 0.5 on."""
    sizes, rule = ("lstm", 1, 50, 83, 25, 1), UpdateRule("adagrad", clip=5)
    a, b = (problem(sizes, dtype, rule, level=level, n=50).run(kernels.get(level)) for level in ("base", FUSED[0]))
    np.testing.assert_allclose(a.losses, b.losses, rtol=2e-6 if dtype == "float32" else 1e-13)


# ---- what best and smooth mean -----------------------------------------------------------------------------------------


@every_level
@every_dtype
def test_best_is_what_the_lowest_window_left(level, dtype):
    sizes, rule = ("rnn", 1, 17, 30, 9, 1), UpdateRule("adagrad", clip=5)
    whole = problem(sizes, dtype, rule, level=level, n=60, memory=0, seed=7).run(kernels.get(level))
    assert 0 < whole.smooth[3] < 60
    assert whole.smooth[3] == whole.losses[:, 1].argmin() + 1
    assert whole.smooth[1] == whole.losses[:, 1].min()
    prefix = problem(sizes, dtype, rule, level=level, n=60, memory=0, seed=7)
    kernels.get(level).pack(prefix.theta, prefix.work)
    prefix.train(kernels.get(level), 0, int(whole.smooth[3]))
    assert prefix.smooth[4] == 1
    assert (whole.best == prefix.theta).all()
    expected = [whole.losses[0, 0]]
    for loss in whole.losses[1:, 0]:
        expected.append(0.999 * expected[-1] + 0.001 * loss)
    np.testing.assert_allclose(whole.losses[:, 1], expected, rtol=1e-14)


# ---- memory ------------------------------------------------------------------------------------------------------------

MARGIN = 4096


class Guarded:
    """Arrays moved to places of their own, between margins of 0xff: not a number if read, and seen to be changed if written."""

    def __init__(self) -> None:
        self.blocks: list[tuple[Any, Any]] = []
        self.arrays: dict[str, Any] = {}

    def __call__(self, name: str, array: Any) -> Any:
        block = np.full(array.nbytes + 2 * MARGIN + 64, 0xFF, np.uint8)
        start = MARGIN + -(block.ctypes.data + MARGIN) % 64
        inside = np.zeros(len(block), bool)
        inside[start : start + array.nbytes] = True
        moved = block[inside.argmax() : inside.argmax() + array.nbytes].view(array.dtype).reshape(array.shape)
        moved[...] = array
        self.blocks.append((block, ~inside))
        self.arrays[name] = moved
        return moved

    def intact(self) -> bool:
        return all((block[outside] == 0xFF).all() for block, outside in self.blocks)

    def content(self) -> dict[str, bytes]:
        return {name: array.tobytes() for name, array in self.arrays.items()}


def guarded(p: Any) -> Guarded:
    """Move every array of a problem between margins."""
    guard = Guarded()
    for holder in (p, p.work):
        for name, value in vars(holder).items():
            if isinstance(value, np.ndarray):
                setattr(holder, name, guard(name, value))
    return guard


def check_padding(p: Any) -> None:
    """The padding of rows is as it was made: 0, and so low in c that softmax makes 0 of it."""
    m, K, c = p.work.m, p.work.K, blocks(p.work.architecture)[-1].rows.start
    for array in (p.theta, p.best):
        assert (array[:c, m:] == 0).all()
        assert (array[c:].reshape(-1)[K:] == np.asarray(NEVER, p.work.dtype)).all()
    for array in (p.work.states, p.work.gradients[:c], p.slots[:, :c]):
        assert (array[..., m:] == 0).all()
    assert (p.work.error[..., K:] == 0).all()
    assert (p.slots[:, c:].reshape(len(p.slots), -1)[:, K:] == 0).all()


@pytest.mark.parametrize(
    ("level", "dtype", "threads", "network"), covering(COMPILED, DTYPES, [1, 3], [("rnn", 1), ("gru", 5), ("lstm", 37), ("rnn", 260)])
)
def test_neither_margins_nor_padding_are_touched(level, dtype, threads, network):
    compiled, (cell, m) = kernels.get(level), network
    for i, (K, T, B) in enumerate([(2, 1, 1), (3, 2, 3), (65, 25, 1), (16, 30, 5)] if m < 260 else [(5, 3, 1), (16, 27, 5)]):
        rule = UpdateRule(OPTIMIZERS[i], 1, 1.0 if B == 3 else math.inf, dropout=0.3)
        p, plain = (problem((cell, 2, m, K, T, B), dtype, rule, level=level, n=3, memory=0, threads=threads) for _ in range(2))
        guard = guarded(p)
        inputs = p.inputs.copy()
        for one in (p, plain):
            one.window(compiled)
            one.run(compiled, threads)
        assert guard.intact()
        assert p.bits() == plain.bits()  # so nothing of the margins was read either
        assert (p.inputs == inputs).all()
        check_padding(p)


@every_level
@every_dtype
@pytest.mark.parametrize("B", [1, 3, 8])
def test_sampling_touches_no_margin(level, dtype, B):
    for cell, m, K in [("rnn", 1, 2), ("lstm", 37, 65), ("gru", 130, 300)]:
        p = problem((cell, 1, m, K, 1, B), dtype, level=level)
        p.work = Workspace(kernels.get(level), p.work.architecture, 1, B, dtype, backward=False)
        guard = guarded(p)
        ids, uniforms = guard("ids", np.zeros((B, 12), np.intc)), guard("uniforms", np.random.default_rng(0).random((9, B)))
        rules = Rules(0.8, 7, 0.9, 0.01, 0.9, 2, 1.0, dry_allowed_length=1, bias=np.zeros(K, dtype), breakers=np.zeros(K, np.uint8))
        kernels.get(level).pack(p.theta, p.work)
        kernels.get(level).sample(p.theta, p.work, ids, 3, uniforms, rules)
        assert guard.intact()
        assert (p.work.states[..., m:] == 0).all()


@every_level
@every_dtype
@every_cell
def test_a_window_that_was_not_finite_leaves_no_trace(level, dtype, cell):
    """NaN spreads into the padding of working arrays, where it must not wait for the next window."""
    sizes = (cell, 2, 17, 30, 5, 3)
    p, fresh = (problem(sizes, dtype, level=level) for _ in range(2))
    good, state = p.theta.copy(), p.work.states[:, :, 0].copy()
    for name in p.named:
        p.named[name][1] = math.nan
    p.window(kernels.get(level))
    p.theta[:], p.work.states[:, :, 0] = good, state
    p.window(kernels.get(level))
    fresh.window(kernels.get(level))
    for name in fresh.gradients:
        assert p.gradients[name].tobytes() == fresh.gradients[name].tobytes()


@every_level
@every_dtype
def test_read_only_inputs_are_welcome(level, dtype):
    p, plain = (problem(small("rnn"), dtype, level=level, n=2) for _ in range(2))
    for array in (p.inputs, p.targets, p.resets):
        array.flags.writeable = False
    assert p.run(kernels.get(level)).bits() == plain.run(kernels.get(level)).bits()


# ---- refusals ----------------------------------------------------------------------------------------------------------


def shapes_that_are_wrong(array: Any) -> list[Any]:
    """One more and one fewer along each dimension, another number of dimensions, another type."""
    wrong = [array[None], array.reshape(-1) if array.ndim > 1 else array[:, None], np.zeros(array.shape, np.complex64)]
    for axis, size in enumerate(array.shape):
        for other in {0, size - 1, size + 1} - {size}:
            shape = list(array.shape)
            shape[axis] = other
            wrong.append(np.zeros(shape, array.dtype))
    if array.ndim > 1:
        wrong.append(np.asfortranarray(array) if min(array.shape) > 1 else array[..., ::2])
    return wrong


CALLS: dict[str, tuple[str, ...]] = {
    "pack": ("theta", "work"),
    "forward": ("theta", "work", "inputs", "targets"),
    "backward": ("theta", "work", "inputs"),
    "train": ("theta", "slots", "work", "inputs", "targets", "resets", "losses", "rates", "rule", "smooth", "best"),
    "sample": ("theta", "work", "ids", "start", "uniforms", "rules"),
}
FORWARD = ("states", "gates", "dropped", "error", "scratch")
IN_WORK = {  # what each function uses of a workspace; of the rest it looks at shapes
    "pack": ("scratch",),
    "forward": (*FORWARD, "losses"),
    "backward": (*FORWARD, "delta", "d_cell", "gradients", "seen"),
    "train": (*FORWARD, "losses", "delta", "d_cell", "gradients", "seen", "squares", "barrier"),
    "sample": FORWARD,
}


def arguments(function: str, dtype: str, level: str, optimizer: str = "adam") -> tuple[dict[str, Any], Guarded]:
    T = 1 if function == "sample" else 3
    p = problem(("lstm", 2, 5, 7, T, 2), dtype, UpdateRule(optimizer, dropout=0.1), level=level, n=4)
    guard = guarded(p)
    given: dict[str, Any] = vars(p) | {"rates": np.ones((4, 2)), "start": 1, "rules": Rules()}
    given |= {"ids": guard("ids", np.zeros((2, 7), np.intc)), "uniforms": np.zeros((6, 2))}
    if function in ("forward", "backward"):
        given["inputs"], given["targets"] = p.inputs[0], p.targets[0]
    return {name: given[name] for name in CALLS[function]}, guard


def refuses(level: str, function: str, given: dict[str, Any], guard: Guarded, label: str, **more: Any) -> None:
    before = guard.content()
    try:
        getattr(kernels.get(level), function)(*given.values(), **more)
    except (ValueError, TypeError):
        pass
    else:
        pytest.fail(f"accepted {label}")
    assert guard.intact(), label
    assert guard.content() == before, label


@pytest.mark.parametrize(("level", "dtype", "function"), covering(COMPILED, DTYPES, list(CALLS)))
def test_wrong_shapes_are_refused_and_nothing_is_touched(level, dtype, function):
    for name in CALLS[function]:
        if name in ("work", "rule", "start", "rules"):
            continue
        for which in range(len(shapes_that_are_wrong(arguments(function, dtype, level)[0][name]))):
            given, guard = arguments(function, dtype, level)
            given[name] = shapes_that_are_wrong(given[name])[which]
            if name == "slots" and len(given[name]) > 2:
                continue  # more memories than the optimiser needs do no harm
            refuses(level, function, given, guard, f"{name} {given[name].shape} {given[name].dtype}")
    for name in IN_WORK[function]:
        for which in range(len(shapes_that_are_wrong(getattr(arguments(function, dtype, level)[0]["work"], name)))):
            given, guard = arguments(function, dtype, level)
            setattr(given["work"], name, shapes_that_are_wrong(getattr(given["work"], name))[which])
            if name == "dropped" and given["work"].dropped.shape[1:2] == (0,) and function != "train":
                continue  # called without dropout
            refuses(level, function, given, guard, f"work.{name} {getattr(given['work'], name).shape}")


@every_level
@every_dtype
@pytest.mark.parametrize("function", CALLS)
@pytest.mark.parametrize("name", ["states", "gates", "error", "scratch", "gradients"])
def test_arrays_that_are_not_aligned_are_refused(level, dtype, function, name):
    given, guard = arguments(function, dtype, level)
    array = getattr(given["work"], name)
    setattr(given["work"], name, aligned_zeros((array.size + 1,), dtype)[1:].reshape(array.shape))
    refuses(level, function, given, guard, f"{name} that is not aligned")


@every_level
@every_dtype
@pytest.mark.parametrize("function", ["forward", "backward", "train", "sample"])
@pytest.mark.parametrize("wrong", [-1, 7, 8, 2**31 - 1, -(2**31)])
def test_ids_out_of_range_are_refused_and_nothing_is_touched(level, dtype, function, wrong):
    for name in ("inputs", "targets", "ids"):
        if name not in CALLS[function]:
            continue
        for place in (0, -1):
            given, guard = arguments(function, dtype, level)
            (given[name][:, 0] if name == "ids" else given[name].reshape(-1))[place] = wrong
            refuses(level, function, given, guard, f"id {wrong} at {place} of {name}")


@every_level
@every_dtype
@pytest.mark.parametrize(("thread", "threads"), [(0, 0), (-1, 2), (2, 2), (0, -1), (3, 2), (1, 1), (2**31 - 1, 2**31 - 1), (-(2**31), 1)])
def test_wrong_thread_numbers_are_refused_and_nothing_is_touched(level, dtype, thread, threads):
    given, guard = arguments("train", dtype, level)
    refuses(level, "train", given, guard, f"thread {thread} of {threads}", thread=thread, threads=threads)


@every_level
@pytest.mark.parametrize("function", CALLS)
def test_none_and_other_types_are_refused(level, function):
    for name in CALLS[function]:
        for wrong in (None, 3, "abc", [1.0], object()):
            given, guard = arguments(function, "float64", level)
            given[name] = wrong
            before = guard.content()
            with pytest.raises((ValueError, TypeError, AttributeError)):
                getattr(kernels.get(level), function)(*given.values())
            assert guard.content() == before
    for name in IN_WORK[function]:
        given, guard = arguments(function, "float64", level)
        setattr(given["work"], name, None)
        with pytest.raises((ValueError, TypeError, AttributeError)):
            getattr(kernels.get(level), function)(*given.values())


@every_level
@pytest.mark.parametrize("name", ["error", "losses", "states", "scratch"])
def test_a_workspace_of_other_dimensions_is_refused(level, name):
    """Even where an array is asked only for its shape."""
    for function in CALLS:
        for shape in [(), (5,), (5, 5, 5, 5, 5)]:
            given, guard = arguments(function, "float64", level)
            setattr(given["work"], name, np.zeros(shape))
            refuses(level, function, given, guard, f"work.{name} {shape}")


@every_level
def test_two_types_in_one_call_are_refused(level):
    for function in CALLS:
        given, guard = arguments(function, "float64", level)
        given["work"] = Workspace(kernels.get(level), given["work"].architecture, given["work"].T, 2, "float32", dropout=True)
        refuses(level, function, given, guard, "a workspace of float32 for parameters of float64")


@every_level
@every_dtype
def test_no_updates_and_no_symbols_are_no_work(level, dtype):
    given, guard = arguments("train", dtype, level)
    for name in ("inputs", "targets", "resets", "losses", "rates"):
        given[name] = given[name][:0]
    before = guard.content()
    kernels.get(level).train(*given.values())
    given, guard2 = arguments("sample", dtype, level)
    given["ids"], given["uniforms"] = given["ids"][:, :1].copy(), given["uniforms"][:0]
    kernels.get(level).sample(*given.values())
    assert guard.content() == before
    assert guard2.intact()


@every_level
@every_dtype
@pytest.mark.parametrize("function", CALLS)
def test_arguments_that_overlap_an_output_are_refused(level, dtype, function):
    """Two names for one array, or the end of one in the beginning of another."""
    mine = [name for name in CALLS[function] if name not in ("work", "rule", "start", "rules")]
    for name in ("states", "gates", "error"):
        given, guard = arguments(function, dtype, level)
        array = getattr(given["work"], name)
        setattr(given["work"], name, given["theta"].reshape(-1)[: array.size].reshape(array.shape))
        refuses(level, function, given, guard, f"work.{name} in theta")
    for name in mine:
        given, guard = arguments(function, dtype, level)
        array = given[name]
        room = np.zeros(array.nbytes + given["work"].losses.nbytes + 64, np.uint8)
        start = -room.ctypes.data % 64
        size = array.nbytes
        given[name] = room[start : start + size].view(array.dtype).reshape(array.shape)
        given[name][...] = array
        losses = given["work"].losses
        at = start + max(size - 8, 0) // 16 * 16
        given["work"].losses = room[at : at + losses.nbytes].view(np.float64).reshape(losses.shape)
        given["work"].losses[...] = 0
        refuses(level, function, given, guard, f"work.losses in {name}")
    if function == "train":
        for name, other in [("best", "theta"), ("slots", "theta")]:
            given, guard = arguments(function, dtype, level, "sgd")
            given[name] = given[other].reshape(given[name].shape)
            refuses(level, function, given, guard, f"{name} is {other}")


@every_level
def test_ids_that_change_meanwhile_lead_nowhere(level):
    """Ids are checked at the beginning of a call that takes long; another thread may write what it likes into them then."""
    p = problem(("rnn", 1, 64, 30, 25, 4), "float32", UpdateRule(), level=level, n=300)
    kernels.get(level).pack(p.theta, p.work)
    begun = threading.Event()

    def spoil() -> None:
        begun.wait()
        time.sleep(0.002)
        p.inputs[:] = 2**30
        p.targets[:] = -(2**30)

    other = threading.Thread(target=spoil)
    other.start()
    begun.set()
    with contextlib.suppress(ValueError):  # changed before the check
        p.train(kernels.get(level))
    other.join()
    assert np.isfinite(p.theta[:, : p.work.m]).all()


@every_level
@every_dtype
def test_more_threads_than_a_workspace_is_for_are_refused(level, dtype):
    given, guard = arguments("train", dtype, level)
    refuses(level, "train", given, guard, "two threads", thread=1, threads=2)


@every_level
@pytest.mark.parametrize("dropout", [-0.1, 1.0, math.nan])
def test_impossible_dropout_is_refused(level, dropout):
    for function in ("forward", "backward"):
        given, guard = arguments(function, "float64", level)
        refuses(level, function, given, guard, f"dropout {dropout}", dropout=dropout)


@every_level
def test_dropout_needs_its_array(level):
    p = problem(small("gru"), "float32", level=level)
    with pytest.raises(ValueError, match="dropped"):
        kernels.get(level).forward(p.theta, p.work, p.inputs[0], p.targets[0], dropout=0.5)


@every_level
def test_compiled_cells_are_those_of_the_table(level):
    assert set(kernels.get(level).CELLS) == set(CELLS)
