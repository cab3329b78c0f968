"""Finding out by trying how a gradient function wants to be called; see `charrnn.lab.conventions`."""

from __future__ import annotations

import inspect
import itertools
import math
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from charrnn.errors import SettingsError
from charrnn.lab.conventions import Convention, read_answer
from charrnn.lab.limits import OutOfTime, limited, quiet
from charrnn.lab.names import canonical_name
from charrnn.lab.ways import matched
from charrnn.lab.window import NAMES, VARIANTS, Variant, problem

COLUMNS, ROWS = (False, False, False), (True, True, True)
TURNS = [COLUMNS, ROWS, *((u, w, v) for u, w, v in itertools.product((False, True), repeat=3) if not u == w == v)]
USUAL_ORDERS = ("UWVbc", "WUVbc", "UWbVc", "WUbVc", "bcUWV")
FLAT_ORDERS = sorted(itertools.permutations(NAMES), key=lambda order: "".join(order) not in USUAL_ORDERS)
USUAL_LAYOUTS = [(COLUMNS, "column"), (COLUMNS, "vector"), (ROWS, "vector"), (ROWS, "row")]
PATIENCE = 3.0  # seconds of trying
SECONDS = 2.0  # for one call
RETURNS = "the function returns what cannot be used"


@dataclass
class Detected:
    """How a function is to be called, and what its loss is: `scale` times charrnn's, or None if it is another loss."""

    convention: Convention
    scale: float | None
    reduction: str
    single: bool
    variant: Variant = field(default_factory=Variant)


def call(function: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
    """What the function returns, without its prints and its warnings; `SettingsError` if it takes longer than some seconds."""
    with quiet():
        return plain_call(function, arguments)


def plain_call(function: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
    """The same, where prints and warnings are out of the way already."""
    try:
        with limited(SECONDS):
            return function(*arguments)
    except OutOfTime:
        raise SettingsError(f"it runs longer than {SECONDS:g} seconds on a text of a few characters") from None


def takes_state(function: Callable[..., Any]) -> bool:
    """Whether it has a fourth argument; `SettingsError` unless it has three or four."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return True
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    positional = [p for p in parameters if p.kind in kinds]
    needed = sum(p.default is p.empty for p in positional)
    if any(p.kind is p.VAR_POSITIONAL for p in parameters) or needed <= 4 <= len(positional):
        return True
    if needed <= 3 <= len(positional):
        return False
    raise SettingsError(
        f"the function must take (parameters, inputs, targets, state), or the first three; it takes {len(positional)}: "
        + ", ".join(p.name for p in positional)
    )


def conventions(with_state: bool) -> Iterator[Convention]:
    """All that are tried, lanes first: a function that can do with them is checked with them."""
    texts = [("TB", inputs, targets) for inputs, targets in itertools.product(("indices", "one-hot", "one-hot columns"), repeat=2)]
    texts += [(lanes, i, t) for lanes in ("BT", "none") for _, i, t in texts if lanes == "none" or "one-hot columns" not in (i, t)]
    unusual = [layout for layout in itertools.product(TURNS, ("column", "vector", "row")) if layout not in USUAL_LAYOUTS]
    kinds = [("flat", USUAL_LAYOUTS[1:2])] + [(container, USUAL_LAYOUTS) for container in ("dict", "tuple")]
    kinds += [(container, unusual) for container in ("dict", "tuple")]
    for container, layouts in kinds:
        orders = USUAL_ORDERS if container == "tuple" and layouts is USUAL_LAYOUTS else USUAL_ORDERS[:1]
        for order, (turned, bias), (lanes, inputs, targets) in itertools.product(orders, layouts, texts):
            for state in (("m1", "m", "1m") if lanes == "none" else ("Bm", "mB", "1Bm")) if with_state else ("m1",):
                yield Convention(container, NAMES, tuple(order), turned, bias, lanes, inputs, targets, state, with_state)


class Trials:
    """Calls of one function under one convention after another."""

    def __init__(self, function: Callable[..., Any], m: int, K: int, T: int, seed: int) -> None:
        self.function, self.m, self.K, self.T = function, m, K, T
        kind = "random" if takes_state(function) else "zero"
        self.problems = {B: problem(m, K, T, B, seed, kind) for B in (1, 3)}
        self.losses = {B: {variant: p.window(variant).loss for variant in VARIANTS} for B, p in self.problems.items()}
        self.names = dict(zip(NAMES, NAMES, strict=True))
        self.failure: tuple[float, str] = (-1, "")  # how far it came, and what was wrong
        self.fallback: tuple[int, Detected] | None = None

    def detect(self) -> Detected:
        """The convention under which the loss is right, else one under which the function runs; SettingsError if there is none."""
        with quiet():
            return self.detect_quietly()

    def detect_quietly(self) -> Detected:
        begun = time.monotonic()
        for convention in conventions(takes_state(self.function)):
            found = self.attempt(convention)
            if found and convention.container == "flat" and found[1].scale is None:
                others = (replace(convention, order=order, turned=turned) for order in FLAT_ORDERS for turned in TURNS)
                found = next((other for other in map(self.attempt, others) if other and other[1].scale is not None), found)
            if found and found[1].scale is not None:
                return self.best_relative(found)
            if found and (self.fallback is None or found[0] < self.fallback[0]):
                self.fallback = found
            if time.monotonic() - begun > PATIENCE:
                break
        if self.fallback:
            return self.fallback[1]
        said = RETURNS if self.failure[0] == math.inf else "the function fails however it is called"
        raise SettingsError(f"{said}; where it came furthest: {self.failure[1]}")

    def best_relative(self, found: tuple[int, Detected]) -> Detected:
        """Of conventions that differ in the shapes of biases and state only, that whose gradients have the most of the right shapes."""
        convention = found[1].convention
        states = ("m1", "m", "1m") if convention.lanes == "none" else ("Bm", "mB", "1Bm")
        if found[0] and convention.container != "flat":
            for bias, state in itertools.product(("column", "vector", "row"), states):
                other = self.attempt(replace(convention, bias=bias, state=state))
                if other and other[1].scale is not None and other[0] < found[0]:
                    found = other
        return found[1]

    def attempt(self, convention: Convention) -> tuple[int, Detected] | None:
        """How many gradients have odd shapes, and what the loss is; None if it fails."""
        p = self.problems[convention.B]
        convention = replace(convention, names=tuple(self.names.values()))
        arguments = convention.arguments(p)
        try:
            returned = plain_call(self.function, arguments)
            if convention.container == "dict" and self.learn_names(arguments[0].asked):
                return self.attempt(convention)
        except (Exception, SystemExit) as error:
            if convention.container == "dict":
                missed = {error.args[0]} if isinstance(error, KeyError) and error.args else set()
                if self.learn_names(arguments[0].asked | missed):
                    return self.attempt(convention)
            self.remember(error, convention)
            return None
        try:
            answer = read_answer(returned, convention, self.m, self.K)
            if not math.isfinite(answer.loss):
                raise ValueError(f"its loss is {answer.loss}")
        except (ValueError, TypeError) as error:  # it ran to its end, farther than any that failed on the way
            if self.failure[0] < math.inf:
                self.failure = (math.inf, f"{error} (called with {convention})")
            return None
        match = matched(answer.loss, p, self.losses[convention.B])
        if match:  # if only nearly so, it was computed in single precision, whatever it was returned in
            scale, variant, reduction, single = match
            return len(answer.remarks), Detected(convention, scale, reduction, answer.single or single, variant)
        return len(answer.remarks), Detected(convention, None, "another one than charrnn's", answer.single)

    def learn_names(self, asked: set[str]) -> bool:
        """Take over the names that the function asked for; whether any was new."""
        new = {name: key for key in asked if (name := canonical_name(key)) and self.names[name] != key}
        self.names |= new
        return bool(new)

    def remember(self, error: BaseException, convention: Convention) -> None:
        """Keep the error that came furthest in the function's own file, as one line."""
        file = getattr(getattr(self.function, "__code__", None), "co_filename", None)
        line, trace = 0, error.__traceback__
        while trace is not None:
            line = max(line, trace.tb_lineno) if trace.tb_frame.f_code.co_filename == file else line
            trace = trace.tb_next
        if line > self.failure[0]:
            frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename == file]
            where = f" at line {frames[-1].lineno} of {Path(frames[-1].filename).name}: {frames[-1].line}" if frames else ""
            what = f"{type(error).__name__}: {error}".splitlines()[0]
            self.failure = (line, f"{what}{where} (called with {convention})")
