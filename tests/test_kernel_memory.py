"""The compiled kernels and memory that is not theirs: nothing of it is read or written, and calls that would do so are refused."""

from __future__ import annotations

import contextlib
import math
import threading
import time
from typing import Any

import numpy as np
import pytest
from problems import COMPILED, DTYPES, covering, problem, small

from charrnn.network import kernels
from charrnn.network.arrays import aligned_zeros
from charrnn.network.blocks import NEVER, blocks
from charrnn.network.cells import CELLS
from charrnn.network.decoding import Rules
from charrnn.network.optimisers import OPTIMIZERS, UpdateRule
from charrnn.network.workspace import Workspace

every_level = pytest.mark.parametrize("level", COMPILED)
every_dtype = pytest.mark.parametrize("dtype", DTYPES)
every_cell = pytest.mark.parametrize("cell", CELLS)

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
    given: dict[str, Any] = vars(p) | {"rates": np.ones((4, 3)), "start": 1, "rules": Rules()}
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
