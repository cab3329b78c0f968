"""The compiled kernels against the reference, against each other, and against memory that is not theirs."""

from __future__ import annotations

import itertools
import math
import random
import threading
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from problems import COMPILED, DTYPES, FUSED, agree, problem, reference, truth

from charrnn.network import kernels
from charrnn.network.parameters import NEVER, OPTIMIZERS, Rule, Workspace, aligned_zeros, named_views

HIDDEN = (1, 2, 5, 17, 37, 100, 130, 257)  # no multiples of any vector width
SYMBOLS = (2, 3, 65, 83, 300)
STEPS = (1, 2, 25, 60)
LANES = (1, 3, 8)

every_level = pytest.mark.parametrize("level", COMPILED)
every_dtype = pytest.mark.parametrize("dtype", DTYPES)


def check_window(level: str, dtype: str, m: int, K: int, T: int, B: int, scale: float = 1.0, seed: int = 0, expected: Any = None) -> None:
    """forward and backward of one window: every array that they leave behind."""
    label = f"at m={m}, K={K}, T={T}, B={B}"
    if expected is None:
        expected = truth(m, K, T, B, seed=seed)
        expected.window(reference, scale)
    found = problem(m, K, T, B, dtype, seed=seed)
    found.window(kernels.get(level), scale)
    agree(found.work.hidden[:, :, :m], expected.work.hidden[:, :, :m], dtype, "hidden", label)
    agree(found.work.losses, expected.work.losses, dtype, "losses", label)
    agree(found.work.error[:, :, :K], expected.work.error[:, :, :K], dtype, "error", label)
    agree(found.work.delta[:, :, :m], expected.work.delta[:, :, :m], dtype, "delta", label)
    for name, size in expected.sizes.items():
        agree(found.gradients[name], expected.gradients[name], dtype, "gradients", f"of {name} {label}", size)


def check_update(level: str, dtype: str, m: int, K: int, T: int, B: int, rule: Rule, seed: int = 0) -> None:
    """One update from a common state: parameters, the optimiser's memories, the losses, the state carried on."""
    label = f"after {rule.optimizer} at m={m}, K={K}, T={T}, B={B}"
    expected, found = truth(m, K, T, B, rule=rule, seed=seed), problem(m, K, T, B, dtype, rule=rule, seed=seed)
    before = {name: array.copy() for name, array in expected.named.items()}
    expected.train(reference)
    kernels.get(level).renew(found.theta, found.work)
    found.train(kernels.get(level))
    for name in before:
        larger = np.maximum(np.abs(before[name]), np.abs(expected.named[name]))
        agree(found.named[name], expected.named[name], dtype, "update", f"of {name} {label}", larger)
        for mine, true in zip(found.memories[name], expected.memories[name], strict=True):
            agree(mine, true, dtype, "update", f"of {name}'s memory {label}")
    agree(found.losses, expected.losses, dtype, "losses", label)
    agree(found.work.hidden[0, :, :m], expected.work.hidden[0, :, :m], dtype, "hidden", label)


# ---- the same mathematics ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("m", HIDDEN)
def test_forward_and_backward_agree_with_the_reference(m):
    cases = list(itertools.product(SYMBOLS, STEPS, LANES))
    for K, T, B in cases if m < 100 else random.Random(m).sample(cases, 15):
        expected = truth(m, K, T, B)
        expected.window(reference)
        for level in COMPILED:
            for dtype in DTYPES:
                check_window(level, dtype, m, K, T, B, expected=expected)


WIDE = (545, 40, 5, 40)  # rows of more than half a page, products deeper than one block


@every_level
@every_dtype
def test_a_wide_network_agrees_with_the_reference(level, dtype):
    check_window(level, dtype, *WIDE, scale=1 / 200)


@given(
    m=st.integers(1, 80),
    K=st.integers(2, 90),
    T=st.integers(1, 40),
    B=st.integers(1, 20),
    level=st.sampled_from(COMPILED),
    dtype=st.sampled_from(DTYPES),
    mean=st.booleans(),
    seed=st.integers(0, 1000),
)
@settings(max_examples=150)
def test_any_sizes_agree_with_the_reference(m, K, T, B, level, dtype, mean, seed):
    check_window(level, dtype, m, K, T, B, 1 / (T * B) if mean else 1.0, seed)


@every_level
@every_dtype
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("clipping", ["none", "element", "norm", "both"])
def test_updates_agree_with_the_reference(level, dtype, optimizer, clipping):
    for m, K, T, B in [(1, 2, 1, 1), (5, 3, 25, 1), (37, 65, 25, 1), (100, 83, 25, 1), (130, 300, 60, 3), (17, 83, 2, 8)]:
        scale = 1 / (T * B)
        gradients = truth(m, K, T, B)
        gradients.window(reference, scale)
        largest = max(np.abs(g).max() for g in gradients.gradients.values())
        norm = math.sqrt(sum(np.sum(g**2) for g in gradients.gradients.values()))
        clip = largest / 2 if clipping in ("element", "both") else math.inf  # so that there is something to clip
        clip_norm = norm / 3 if clipping in ("norm", "both") else math.inf
        rule = Rule(optimizer, clip=clip, clip_norm=clip_norm, beta1=0.8, beta2=0.99, scale=scale, input_rate=3.0)
        check_update(level, dtype, m, K, T, B, rule)


@given(
    m=st.integers(1, 60),
    K=st.integers(2, 70),
    T=st.integers(1, 30),
    B=st.integers(1, 10),
    level=st.sampled_from(COMPILED),
    dtype=st.sampled_from(DTYPES),
    optimizer=st.sampled_from(OPTIMIZERS),
    clip=st.sampled_from([math.inf, 1e-3]),
    clip_norm=st.sampled_from([math.inf, 0.1]),
    input_rate=st.sampled_from([1.0, 0.3, 5.0]),
    seed=st.integers(0, 1000),
)
@settings(max_examples=100)
def test_any_update_agrees_with_the_reference(m, K, T, B, level, dtype, optimizer, clip, clip_norm, input_rate, seed):
    rule = Rule(optimizer, clip=clip, clip_norm=clip_norm, scale=1 / (T * B), input_rate=input_rate)
    check_update(level, dtype, m, K, T, B, rule, seed)


@every_level
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("B", LANES)
def test_many_updates_agree_with_the_reference(level, optimizer, B):
    """40 updates with resets among them: losses, smooth losses and the best parameters follow the same course."""
    m, K, T = 17, 30, 9
    options: dict[str, Any] = {"rule": Rule(optimizer, clip=5, scale=1 / (T * B)), "n": 40}
    expected, found = truth(m, K, T, B, **options), problem(m, K, T, B, "float64", **options)
    expected.train(reference)
    kernels.get(level).renew(found.theta, found.work)
    found.train(kernels.get(level))
    assert (found.smooth[2:] == expected.smooth[2:]).all()  # windows so far, and which of them was the best
    for mine, true in [
        (found.losses, expected.losses),
        (found.smooth[:2], expected.smooth[:2]),
        (found.work.hidden[0, :, :m], expected.work.hidden[0, :, :m]),
    ]:
        np.testing.assert_allclose(mine, true, rtol=1e-11, atol=1e-12)
    for name in expected.named:
        np.testing.assert_allclose(found.named[name], expected.named[name], rtol=1e-10, atol=1e-12)
        best, true_best = (named_views(p.best, m, K)[name] for p in (found, expected))
        np.testing.assert_allclose(best, true_best, rtol=1e-10, atol=1e-12)


@every_level
@every_dtype
def test_probabilities_without_learning(level, dtype):
    m, K, T, B = 37, 83, 9, 3
    expected, found = truth(m, K, T, B), problem(m, K, T, B, dtype)
    gradients = found.work.gradients.copy()
    reference.forward(expected.theta, expected.work, expected.inputs[0], expected.targets[0], learn=False)
    kernels.get(level).renew(found.theta, found.work)
    kernels.get(level).forward(found.theta, found.work, found.inputs[0], found.targets[0], learn=False)
    agree(found.work.error[:, :, :K], expected.work.error[:, :, :K], dtype, "error")
    agree(found.work.losses, expected.work.losses, dtype, "losses")
    assert (found.work.gradients == gradients).all()


@every_level
@every_dtype
def test_logits_of_any_size(level, dtype):
    """Saturated units and logits in the thousands overflow nowhere: softmax takes the maximum off first."""
    m, K, T, B = 17, 30, 5, 3
    problems = truth(m, K, T, B), problem(m, K, T, B, dtype)
    for p in problems:
        p.named["W"][:] *= 64
        p.named["V"][:] *= 4096
    problems[0].window(reference)
    problems[1].window(kernels.get(level))
    agree(problems[1].work.losses, problems[0].work.losses, dtype, "losses")
    assert np.isfinite(problems[1].work.gradients).all()


@every_level
@every_dtype
@pytest.mark.parametrize("name", ["U", "W", "V", "b", "c"])
@pytest.mark.parametrize("value", [math.nan, -math.nan, math.inf])
@pytest.mark.parametrize("B", [1, 3])
def test_what_is_not_finite_shows_in_the_loss(level, dtype, name, value, B):
    """Maxima and limits may drop a NaN; none is dropped for good. (An infinite input merely saturates a unit.)"""
    found = problem(17, 30, 5, B, dtype)
    x = int(found.inputs[0, 0, 0])
    place = {"U": (3, x), "W": (3, 4), "V": (7, 4), "b": (3,), "c": (7,)}[name]
    found.named[name][place] = value
    found.window(kernels.get(level))
    finite = np.isfinite(found.work.losses).all() and np.isfinite(found.work.gradients).all()
    assert finite == (value == math.inf and name in ("U", "b"))


# ---- sampling ----------------------------------------------------------------------------------------------------------


def draw(p: Any, kernels: Any, n: int, uniforms: Any, *options: Any) -> Any:
    out = np.full((n, p.work.B), -1, np.intc)
    kernels.renew(p.theta, p.work)
    kernels.sample(p.theta, p.work, out, np.zeros(p.work.B, np.intc), uniforms, *options)
    return out


SAMPLING = [(1.0, 0, 1.0), (0.5, 0, 1.0), (1.7, 5, 1.0), (1.0, 0, 0.7), (0.8, 10, 0.5), (0.0, 0, 1.0), (1.0, 1, 1.0), (1.0, 1000, 1.0)]


@every_level
@pytest.mark.parametrize("options", SAMPLING)
@pytest.mark.parametrize("B", LANES)
def test_same_uniforms_same_symbols(level, options, B):
    for m, K in [(5, 2), (37, 65), (100, 83), (130, 300)]:
        uniforms = np.random.default_rng(m).random((61, B))
        expected, found = truth(m, K, 1, B), problem(m, K, 1, B, "float64")
        symbols = draw(expected, reference, 61, uniforms, *options)
        assert (draw(found, kernels.get(level), 61, uniforms, *options) == symbols).all(), (m, K)
        agree(found.work.hidden[0, :, :m], expected.work.hidden[0, :, :m], "float64", "hidden")


@every_level
@pytest.mark.parametrize("temperature", [0.3, 1.0, 2.0])
def test_float32_draws_the_same_symbols_away_from_their_borders(level, temperature):
    """One symbol in each of 500 lanes; where a uniform is within rounding of the border between two, either may come."""
    m, K, B = 100, 83, 500
    uniforms = np.random.default_rng(1).random((1, B))
    near = 1e-5 * np.array([[-1], [1]])
    expected = truth(m, K, 1, B)
    state = expected.work.hidden[0].copy()
    symbols = draw(expected, reference, 1, uniforms, temperature)[0]
    sure = np.ones(B, bool)
    for shift in near:
        expected.work.hidden[0] = state
        sure &= draw(expected, reference, 1, np.clip(uniforms + shift, 0, 1 - 1e-12), temperature)[0] == symbols
    found = draw(problem(m, K, 1, B, "float32"), kernels.get(level), 1, uniforms, temperature)[0]
    assert sure.mean() > 0.98
    assert (found[sure] == symbols[sure]).all()


@every_level
@every_dtype
def test_no_symbol_of_probability_zero_is_drawn(level, dtype):
    p = problem(5, 7, 1, 3, dtype)
    p.named["c"][:] = -1e4
    p.named["c"][[2, 4]] = 0
    uniforms = np.tile([[0.0], [0.5], [1 - 2**-53]], (20, 3))
    assert set(draw(p, kernels.get(level), 60, uniforms).ravel()) == {2, 4}
    for temperature in (1e-3, 1e-30, 1e-300):  # so cold that 1/temperature overflows
        assert set(draw(p, kernels.get(level), 60, uniforms, temperature).ravel()) <= {2, 4}


@every_level
@every_dtype
@pytest.mark.parametrize("B", [1, 3])
def test_symbols_stay_in_range_whatever_the_weights(level, dtype, B):
    for value in (math.nan, math.inf, -math.inf):
        for options in SAMPLING:
            p = problem(5, 7, 1, B, dtype)
            p.named["c"][:] = value
            out = draw(p, kernels.get(level), 9, np.full((9, B), 0.999), *options)
            assert ((out >= 0) & (out < 7)).all()


# ---- the same bits -----------------------------------------------------------------------------------------------------


def bits(p: Any) -> bytes:
    """Everything that a run leaves behind."""
    return b"".join(a.tobytes() for a in (p.theta, p.slots, p.best, p.smooth, p.losses, p.work.hidden[0], p.work.WT, p.work.VT))


def run(
    level: str, sizes: tuple[int, int, int, int], dtype: str, rule: Rule, n: int, threads: int = 1, chunks: tuple[int, ...] = ()
) -> Any:
    """n updates, each thread of them making the same calls."""
    p = problem(*sizes, dtype, rule=rule, n=n, memory=0)
    compiled = kernels.get(level)
    compiled.renew(p.theta, p.work)
    ends = [*chunks, n]
    for first, last in zip([0, *chunks], ends, strict=True):
        others = [threading.Thread(target=p.train, args=(compiled, first, last, i, threads)) for i in range(1, threads)]
        for other in others:
            other.start()
        p.train(compiled, first, last, 0, threads)
        for other in others:
            other.join()
    return p


@every_level
@every_dtype
@pytest.mark.parametrize(("optimizer", "clip_norm"), [("adagrad", math.inf), ("adagrad", 0.05), ("adam", math.inf)])
@pytest.mark.parametrize("sizes", [(1, 2, 1, 1), (5, 3, 7, 1), (37, 65, 12, 3), (100, 83, 9, 8), (20, 300, 3, 50)])
def test_any_number_of_threads_gives_the_same_bits(level, dtype, optimizer, clip_norm, sizes):
    rule = Rule(optimizer, clip=5, clip_norm=clip_norm, scale=1 / (sizes[2] * sizes[3]), input_rate=2.0)
    alone = bits(run(level, sizes, dtype, rule, 5))
    assert bits(run(level, sizes, dtype, rule, 5, 2, chunks=(1, 2))) == alone
    assert bits(run(level, sizes, dtype, rule, 5, 3)) == alone


@every_level
@every_dtype
@pytest.mark.parametrize("B", LANES)
def test_any_chunking_gives_the_same_bits(level, dtype, B):
    rule = Rule("adagrad", clip=5)
    whole = bits(run(level, (37, 65, 12, B), dtype, rule, 30))
    for chunks in [(1,), (7, 18), tuple(range(1, 30))]:
        assert bits(run(level, (37, 65, 12, B), dtype, rule, 30, chunks=chunks)) == whole


fused = pytest.mark.skipif(len(FUSED) < 2, reason="this processor runs one level with fused multiply-add, or none")


@fused
@every_dtype
@pytest.mark.parametrize("sizes", [(100, 83, 25, 1), (37, 65, 12, 3), (5, 3, 7, 1), (130, 300, 9, 8)])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_levels_with_fused_multiply_add_give_the_same_bits(dtype, sizes, optimizer):
    rule = Rule(optimizer, clip=5, clip_norm=math.inf if sizes[3] == 1 else 1.0, scale=1 / (sizes[2] * sizes[3]))
    runs = [bits(run(level, sizes, dtype, rule, 200)) for level in FUSED]
    assert runs[0] == runs[1]


@fused
@every_dtype
def test_levels_with_fused_multiply_add_give_the_same_bits_in_a_wide_network(dtype):
    runs = [bits(run(level, WIDE, dtype, Rule("adam", scale=1 / 200), 3)) for level in FUSED]
    assert runs[0] == runs[1]


@fused
@every_dtype
def test_levels_with_fused_multiply_add_give_the_same_bits_over_10_000_updates(dtype):
    sizes = (100, 83, 25, 1) if dtype == "float32" else (20, 30, 10, 1)
    runs = [run(level, sizes, dtype, Rule("adagrad", clip=5), 10_000) for level in FUSED]
    assert np.isfinite(runs[0].theta).all()
    assert bits(runs[0]) == bits(runs[1])


@fused
@every_dtype
@pytest.mark.parametrize("B", [1, 3])
def test_levels_with_fused_multiply_add_draw_the_same_bits(dtype, B):
    uniforms = np.random.default_rng(5).random((2001, B))
    problems = [problem(100, 83, 1, B, dtype) for _ in FUSED]
    drawn = [draw(p, kernels.get(level), 2001, uniforms, 1.0, 0, 0.9) for p, level in zip(problems, FUSED, strict=True)]
    assert (drawn[0] == drawn[1]).all()
    assert problems[0].work.hidden[0].tobytes() == problems[1].work.hidden[0].tobytes()


@pytest.mark.skipif(not FUSED, reason="only one level here")
@every_dtype
def test_the_level_without_fused_multiply_add_stays_close(dtype):
    """Its last bits may differ, which AdaGrad makes into different steps while its memory is near 0; hence a memory from 0.5 on."""
    rule = Rule("adagrad", clip=5)
    a, b = (problem(100, 83, 25, 1, dtype, rule=rule, n=200) for _ in range(2))
    for p, level in ((a, "base"), (b, FUSED[0])):
        kernels.get(level).renew(p.theta, p.work)
        p.train(kernels.get(level))
    np.testing.assert_allclose(a.losses, b.losses, rtol=1e-6 if dtype == "float32" else 1e-13)


# ---- what best and smooth mean -----------------------------------------------------------------------------------------


@every_level
@every_dtype
def test_best_is_what_the_lowest_window_left(level, dtype):
    rule = Rule("adagrad", clip=5)
    whole = run(level, (17, 30, 9, 1), dtype, rule, 60)
    assert 0 < whole.smooth[3] < 60
    assert whole.smooth[3] == whole.losses[:, 1].argmin() + 1
    assert whole.smooth[1] == whole.losses[:, 1].min()
    prefix = problem(17, 30, 9, 1, dtype, rule=rule, n=60, memory=0)
    kernels.get(level).renew(prefix.theta, prefix.work)
    prefix.train(kernels.get(level), 0, int(whole.smooth[3]))
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
    m, K = p.work.m, p.work.K
    for array in (p.theta, p.best):
        assert (array[: m + 2 * K + 1, m:] == 0).all()
        assert (array[m + 2 * K + 1 :].reshape(-1)[K:] == np.asarray(NEVER, p.work.dtype)).all()
    for array in (p.work.hidden, p.work.delta, p.work.WT, p.work.gradients[: m + 2 * K + 1], p.slots[:, : m + 2 * K + 1]):
        assert (array[..., m:] == 0).all()
    for array in (p.work.error, p.work.VT):
        assert (array[..., K:] == 0).all()
    assert (p.slots[:, m + 2 * K + 1 :].reshape(len(p.slots), -1)[:, K:] == 0).all()


@every_level
@every_dtype
@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("m", [1, 5, 37, 130])
def test_neither_margins_nor_padding_are_touched(level, dtype, threads, m):
    compiled = kernels.get(level)
    for K, T, B in [(2, 1, 1), (3, 2, 3), (65, 25, 1), (300, 7, 8), (16, 30, 5)]:
        for optimizer in OPTIMIZERS:
            rule = Rule(optimizer, clip=1, clip_norm=1.0 if B == 3 else math.inf)
            p, plain = (problem(m, K, T, B, dtype, rule=rule, n=3, memory=0) for _ in range(2))
            guard = guarded(p)
            inputs = p.inputs.copy()
            for one in (p, plain):
                compiled.renew(one.theta, one.work)
                one.window(compiled)
                others = [threading.Thread(target=one.train, args=(compiled, 0, 3, i, threads)) for i in range(1, threads)]
                for other in others:
                    other.start()
                one.train(compiled, 0, 3, 0, threads)
                for other in others:
                    other.join()
            assert guard.intact()
            assert bits(p) == bits(plain)  # so nothing of the margins was read either
            assert (p.inputs == inputs).all()
            check_padding(p)


@every_level
@every_dtype
@pytest.mark.parametrize("B", LANES)
def test_sampling_touches_no_margin(level, dtype, B):
    for m, K in [(1, 2), (37, 65), (130, 300)]:
        p = problem(m, K, 1, B, dtype)
        guard = guarded(p)
        out, uniforms = guard("out", np.zeros((9, B), np.intc)), guard("uniforms", np.random.default_rng(0).random((9, B)))
        kernels.get(level).renew(p.theta, p.work)
        kernels.get(level).sample(p.theta, p.work, out, np.zeros(B, np.intc), uniforms, 0.8, 7, 0.9)
        assert guard.intact()
        check_padding(p)


@every_level
@every_dtype
def test_a_window_that_was_not_finite_leaves_no_trace(level, dtype):
    """NaN spreads into the padding of working arrays, where it must not wait for the next window."""
    p, fresh = problem(17, 30, 5, 3, dtype), problem(17, 30, 5, 3, dtype)
    good, state = p.theta.copy(), p.work.hidden[0].copy()
    p.named["V"][3, 2] = p.named["W"][1, 1] = math.nan
    p.window(kernels.get(level))
    p.theta[:], p.work.hidden[0] = good, state
    p.window(kernels.get(level))
    fresh.window(kernels.get(level))
    for name in fresh.gradients:
        assert p.gradients[name].tobytes() == fresh.gradients[name].tobytes()


@every_level
@every_dtype
def test_read_only_inputs_are_welcome(level, dtype):
    p, plain = problem(5, 7, 3, 2, dtype, n=2), problem(5, 7, 3, 2, dtype, n=2)
    for array in (p.inputs, p.targets, p.resets):
        array.flags.writeable = False
    p.train(kernels.get(level))
    plain.train(kernels.get(level))
    assert bits(p) == bits(plain)


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
    "renew": ("theta", "work"),
    "forward": ("theta", "work", "inputs", "targets"),
    "backward": ("theta", "work", "inputs"),
    "train": ("theta", "slots", "work", "inputs", "targets", "resets", "losses", "rates", "rule", "smooth", "best"),
    "sample": ("theta", "work", "out", "first", "uniforms"),
}
IN_WORK = {  # what each function uses of a workspace
    "renew": ("WT", "VT"),
    "forward": ("hidden", "error", "delta", "losses", "WT", "VT"),
    "backward": ("hidden", "error", "delta", "gradients", "seen"),
    "train": ("hidden", "error", "delta", "losses", "WT", "VT", "gradients", "seen", "squares", "barrier"),
    "sample": ("hidden", "error", "delta", "WT", "VT", "kept"),
}


def arguments(function: str, dtype: str, optimizer: str = "adam") -> tuple[dict[str, Any], Guarded]:
    T = 1 if function == "sample" else 3
    p = problem(5, 7, T, 2, dtype, rule=Rule(optimizer), n=4)
    guard = guarded(p)
    given: dict[str, Any] = vars(p) | {"rates": np.ones((4, 2)), "first": np.zeros(2, np.intc)}
    given |= {"out": guard("out", np.zeros((6, 2), np.intc)), "uniforms": np.zeros((6, 2))}
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


@every_level
@every_dtype
@pytest.mark.parametrize("function", CALLS)
def test_wrong_shapes_are_refused_and_nothing_is_touched(level, dtype, function):
    for name in CALLS[function]:
        if name in ("work", "rule"):
            continue
        for which in range(len(shapes_that_are_wrong(arguments(function, dtype)[0][name]))):
            given, guard = arguments(function, dtype)
            given[name] = shapes_that_are_wrong(given[name])[which]
            if name == "slots" and len(given[name]) > 2:
                continue  # more memories than the optimiser needs do no harm
            refuses(level, function, given, guard, f"{name} {given[name].shape} {given[name].dtype}")
    for name in IN_WORK[function]:
        for which in range(len(shapes_that_are_wrong(getattr(arguments(function, dtype)[0]["work"], name)))):
            given, guard = arguments(function, dtype)
            setattr(given["work"], name, shapes_that_are_wrong(getattr(given["work"], name))[which])
            refuses(level, function, given, guard, f"work.{name} {getattr(given['work'], name).shape}")


@every_level
@every_dtype
@pytest.mark.parametrize("function", CALLS)
@pytest.mark.parametrize("name", ["theta", "WT", "VT", "hidden"])
def test_arrays_that_are_not_aligned_are_refused(level, dtype, function, name):
    given, guard = arguments(function, dtype)
    array = given["theta"] if name == "theta" else getattr(given["work"], name)
    beside = aligned_zeros((array.size + 1,), dtype)[1:].reshape(array.shape)
    if name == "theta":
        given["theta"] = beside
    else:
        setattr(given["work"], name, beside)
    refuses(level, function, given, guard, f"{name} at {beside.ctypes.data:#x}")


@every_level
@every_dtype
@pytest.mark.parametrize("function", ["forward", "backward", "train", "sample"])
@pytest.mark.parametrize("wrong", [-1, 7, 8, 2**31 - 1, -(2**31)])
def test_ids_out_of_range_are_refused_and_nothing_is_touched(level, dtype, function, wrong):
    for name in ("inputs", "targets", "first"):
        if name not in CALLS[function]:
            continue
        for place in (0, -1):
            given, guard = arguments(function, dtype)
            given[name].reshape(-1)[place] = wrong
            refuses(level, function, given, guard, f"id {wrong} at {place} of {name}")


@every_level
@every_dtype
@pytest.mark.parametrize(("thread", "threads"), [(0, 0), (-1, 2), (2, 2), (0, -1), (3, 2), (1, 1), (2**31 - 1, 2**31 - 1), (-(2**31), 1)])
def test_wrong_thread_numbers_are_refused_and_nothing_is_touched(level, dtype, thread, threads):
    given, guard = arguments("train", dtype)
    refuses(level, "train", given, guard, f"thread {thread} of {threads}", thread=thread, threads=threads)


@every_level
@pytest.mark.parametrize("function", CALLS)
def test_none_and_other_types_are_refused(level, function):
    for name in CALLS[function]:
        for wrong in (None, 3, "abc", [1.0], object()):
            given, guard = arguments(function, "float64")
            given[name] = wrong
            before = guard.content()
            with pytest.raises((ValueError, TypeError, AttributeError)):
                getattr(kernels.get(level), function)(*given.values())
            assert guard.content() == before
    for name in IN_WORK[function]:
        given, guard = arguments(function, "float64")
        setattr(given["work"], name, None)
        with pytest.raises((ValueError, TypeError, AttributeError)):
            getattr(kernels.get(level), function)(*given.values())


@every_level
@pytest.mark.parametrize("name", ["error", "losses", "hidden", "VT"])
def test_a_workspace_of_other_dimensions_is_refused(level, name):
    """Even where an array is asked only for its shape."""
    for function in CALLS:
        for shape in [(), (5,), (5, 5, 5, 5, 5)]:
            given, guard = arguments(function, "float64")
            setattr(given["work"], name, np.zeros(shape))
            refuses(level, function, given, guard, f"work.{name} {shape}")


@every_level
def test_two_types_in_one_call_are_refused(level):
    for function in CALLS:
        given, guard = arguments(function, "float64")
        given["work"] = Workspace(5, 7, given["work"].T, 2, "float32")
        refuses(level, function, given, guard, "a workspace of float32 for parameters of float64")


@every_level
@every_dtype
def test_no_updates_and_no_symbols_are_no_work(level, dtype):
    given, guard = arguments("train", dtype)
    for name in ("inputs", "targets", "resets", "losses", "rates"):
        given[name] = given[name][:0]
    before = guard.content()
    kernels.get(level).train(*given.values())
    given, guard2 = arguments("sample", dtype)
    given["out"], given["uniforms"] = given["out"][:0], given["uniforms"][:0]
    kernels.get(level).sample(*given.values())
    assert guard.content() == before
    assert guard2.intact()
