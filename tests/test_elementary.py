"""tanh, sigmoid and exp of the compiled kernels against the truth: at most 2 units in the last place (ulp), 2.5 for sigmoid, everywhere."""

from __future__ import annotations

import itertools
import math
from functools import cache
from typing import Any

import mpmath
import numpy as np
import pytest
from problems import COMPILED, DTYPES, FUSED

from charrnn.network import kernels

LIMIT = {"tanh": 2.0, "sigmoid": 2.5, "exp": 2.0}  # ulp
BLOCK = 1 << 20
STEP = 257  # of the 2^32 bit patterns of float32, every so many-th; odd, so that the low bits take all values
FUNCTIONS = {
    "tanh": (np.tanh, mpmath.tanh),
    "sigmoid": (lambda x: 1 / (1 + np.exp(-x)), lambda x: 1 / (1 + mpmath.exp(-x))),
    "exp": (np.exp, mpmath.exp),
}

every_level = pytest.mark.parametrize("level", COMPILED)
every_dtype = pytest.mark.parametrize("dtype", DTYPES)
every_function = pytest.mark.parametrize("function", FUNCTIONS)


def compiled(level: str, function: str, x: Any) -> Any:
    out = np.full_like(x, 77)
    getattr(kernels.get(level), function)(out, x)
    return out


def ulps(found: Any, high: Any, low: Any = 0.0) -> Any:
    """How far `found` is from the truth, high + low, in units of the last place that the truth has in found's type."""
    with np.errstate(over="ignore", invalid="ignore"):
        nearest = np.abs(high).astype(found.dtype)
        place = np.spacing(np.minimum(nearest, np.finfo(found.dtype).max))
        off = np.abs((found.astype(np.float64) - high) - low) / place
    off[np.isinf(found) & (found == nearest * np.sign(high)) | np.isnan(found) & np.isnan(high)] = 0
    off[np.isnan(off)] = np.inf
    return off


def off_by(function: str, found: Any, high: Any, low: Any = 0.0) -> Any:
    """`ulps`, except where sigmoid is less than the least normal number: there 0 will do."""
    off = ulps(found, high, low)
    tiny = float(np.finfo(found.dtype).tiny)
    if function == "sigmoid":
        off[(high < tiny) & (found >= 0) & (found <= tiny)] = 0
    return off


def test_ulps_measures_ulps():
    assert ulps(np.array([1 + 2**-22], np.float32), np.array([1.0])) == 2
    assert ulps(np.array([1.0]), np.array([1.0]), np.array([2**-53])) == 0.5
    assert ulps(np.array([np.inf], np.float32), np.array([1e39])) == 0
    assert ulps(np.array([np.nan, 1.0, 0.0], np.float32), np.array([1.0, np.nan, np.nan])).tolist() == [np.inf] * 3


def edges() -> Any:
    """Bit patterns of float32 around every place where something changes: 512 on each side, of either sign."""
    places = np.array([0, 2**-126, 2**-14, 0.2599, 0.3466, 0.6931, 1, 9, 10, 87.3365, 88.7228, 103.97, 104, math.inf], np.float32)
    near = places.view(np.int32)[:, None] + np.arange(-512, 513)
    near = near[near >= 0].astype(np.uint32)
    return np.concatenate([near, near | 1 << 31]).view(np.float32)


@every_function
def test_float32_over_all_arguments(function):
    """NumPy's float64 functions are the truth: their own error, at most a few of their ulp, is 2^-27 here."""
    worst = dict.fromkeys(COMPILED, 0.0)
    starts = range(0, 2**32, BLOCK * STEP)
    blocks = (np.arange(start, min(start + BLOCK * STEP, 2**32), STEP).astype(np.uint32).view(np.float32) for start in starts)
    for x in itertools.chain(blocks, [edges()]):
        with np.errstate(over="ignore", under="ignore", invalid="ignore"):
            true = FUNCTIONS[function][0](x.astype(np.float64))
        for level in COMPILED:
            off = off_by(function, compiled(level, function, x), true)
            assert off.max() <= LIMIT[function], f"{level}: off by {off.max()} ulp at {x[off.argmax()]!r}"
            worst[level] = max(worst[level], float(off.max()))
    assert all(off > 0.5 for off in worst.values())  # so that something was measured


@cache
def exact(function: str) -> tuple[Any, Any, Any]:
    """20,000 arguments with the truth as a sum of two float64: everywhere, and where tanh and exp do something."""
    rng = np.random.default_rng(7)
    spread = np.exp(rng.uniform(math.log(1e-310), math.log(750), 5_000)) * rng.choice([-1, 1], 5_000)
    limits = np.array([0.375 * math.log(2), 0.5 * math.log(2), 20, 708.396, 709.782, 745.13, 5e-324, 2.0**-1022])
    near = np.nextafter(limits, np.inf) + np.spacing(limits) * np.arange(-20, 21)[:, None]
    ranges = [rng.uniform(-1.5, 1.5, 10_000), rng.uniform(-20, 20, 3_000), rng.uniform(-745, 710, 1_344)]
    x = np.concatenate([spread, *ranges, near.ravel(), -near.ravel()])
    with mpmath.workdps(50):
        true = [FUNCTIONS[function][1](mpmath.mpf(float(value))) for value in x]
        high = [float(value) if value < mpmath.mpf(2) ** 1024 else math.inf for value in true]
        low = [float(value - whole) if math.isfinite(whole) else 0.0 for value, whole in zip(true, high, strict=True)]
    assert len(x) == 20_000
    return x, np.array(high), np.array(low)


@every_level
@every_function
def test_float64_at_20_000_arguments(level, function):
    x, high, low = exact(function)
    off = off_by(function, compiled(level, function, x), high, low)
    assert off.max() <= LIMIT[function], f"off by {off.max()} ulp at {x[off.argmax()]!r}"
    assert off.max() > 0.5


@every_level
@every_dtype
def test_special_arguments(level, dtype):
    tiny = float(np.finfo(dtype).smallest_subnormal)
    x = np.array([0.0, -0.0, math.inf, -math.inf, math.nan, -math.nan, tiny, -tiny, 1e30, -1e30], dtype)
    tanh, exp = compiled(level, "tanh", x), compiled(level, "exp", x)
    np.testing.assert_array_equal(tanh, np.array([0.0, -0.0, 1, -1, math.nan, math.nan, tiny, -tiny, 1, -1], dtype))
    assert np.signbit(tanh[[1, 7]]).all()
    assert not np.signbit(tanh[[0, 6]]).any()
    np.testing.assert_array_equal(exp, np.array([1, 1, math.inf, 0, math.nan, math.nan, 1, 1, math.inf, 0], dtype))


@every_level
@every_dtype
def test_tanh_is_odd_and_within_one(level, dtype):
    x = np.random.default_rng(1).normal(0, 4, 100_001).astype(dtype)
    y = compiled(level, "tanh", x)
    assert (np.abs(y) <= 1).all()
    assert (compiled(level, "tanh", -x) == -y).all()


@pytest.mark.skipif(len(FUSED) < 2, reason="this processor runs one level with fused multiply-add, or none")
@every_dtype
@every_function
def test_levels_with_fused_multiply_add_give_the_same_bits(dtype, function):
    patterns = np.random.default_rng(2).integers(0, 2**64, 1_000_003, np.uint64).view(np.uint32)
    x = patterns.view(dtype)
    assert compiled(FUSED[0], function, x).tobytes() == compiled(FUSED[1], function, x).tobytes()


@every_level
@every_dtype
@every_function
def test_any_length(level, dtype, function):
    """Loops over whole vectors leave no remainder out and run no further."""
    x = np.linspace(-3, 3, 100).astype(dtype)
    whole = compiled(level, function, x)
    for n in range(101):
        out = np.full(100, 77, dtype)
        getattr(kernels.get(level), function)(out[:n], x[:n])
        assert (out[:n] == whole[:n]).all()
        assert (out[n:] == 77).all()


@every_level
def test_lengths_and_types_have_to_agree(level):
    for out, x in [
        (np.zeros(3), np.zeros(4)),
        (np.zeros(3), np.zeros(3, np.float32)),
        (np.zeros(3, int), np.zeros(3, int)),
        (np.zeros((3, 1)), np.zeros((3, 1))),
    ]:
        with pytest.raises((ValueError, TypeError)):
            kernels.get(level).tanh(out, x)
