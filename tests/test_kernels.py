"""The compiled kernels against the reference, and against each other."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from problems import COMPILED, DTYPES, FUSED, agree, covering, problem, small, truth

from charrnn.network import kernels, reference
from charrnn.network.blocks import blocks, views
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


def check_window(levels: Any, dtypes: Any, sizes: tuple[Any, ...], dropout: float, scale: float = 1.0, seed: int = 0) -> None:
    """forward and backward of one window: every array that they leave behind."""
    m, K, label = sizes[2], sizes[3], f"of {sizes}, dropout {dropout}"
    rule = UpdateRule(dropout=dropout, recurrent_dropout=dropout / 2, seed=5 + seed)
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
    agree(found.losses[:, :2], expected.losses[:, :2], dtype, "losses", label)
    np.testing.assert_allclose(found.losses[:, 2], expected.losses[:, 2], rtol=1e-3 if dtype == "float32" else 1e-9)
    assert np.isfinite(found.losses[:, 2]).all() == (rule.clip_norm < math.inf)
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
        more = {"dropout": 0.3, "weight_drop": 0.4, "recurrent_dropout": 0.2, "weight_decay": 2.0} if clipping in ("both", "none") else {}
        rule = UpdateRule(optimizer, clip, clip_norm, beta1=0.8, beta2=0.99, scale=scale, input_rate=3.0, **more)
        check_updates(level, dtype, sizes, rule)


@pytest.mark.parametrize(
    ("level", "optimizer", "sizes"),
    covering(COMPILED, list(OPTIMIZERS), [("rnn", 1, 17, 30, 9, 1), ("gru", 2, 9, 8, 5, 3), ("lstm", 1, 12, 9, 18, 8)]),
)
def test_many_updates_agree_with_the_reference(level, optimizer, sizes):
    """40 updates with resets and dropout among them: they follow the same course."""
    check_updates(
        level,
        "float64",
        sizes,
        UpdateRule(optimizer, clip=5, scale=1 / (sizes[4] * sizes[5]), dropout=0.2, recurrent_dropout=0.3, seed=3),
        n=40,
    )


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
    more = {"dropout": 0.2, "weight_drop": 0.3, "recurrent_dropout": 0.4, "weight_decay": 0.5} if sizes[0] > 1 else {}
    rule = UpdateRule(name, 5, clip_norm, scale=1 / (sizes[3] * sizes[4]), input_rate=2.0, **more)
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
    rule = UpdateRule(optimizer, 5, math.inf if sizes[4] == 1 else 1.0, scale=1 / (sizes[3] * sizes[4]), dropout=0.2, recurrent_dropout=0.3)
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


@every_level
def test_compiled_cells_are_those_of_the_table(level):
    assert set(kernels.get(level).CELLS) == set(CELLS)
