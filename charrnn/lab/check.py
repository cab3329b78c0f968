"""Somebody's own gradients: checked against differences of their own loss, compared with charrnn's, and the likely mistake named.

A mistake of `charrnn.lab.mistakes` is named only on evidence: the gradient that it would give is computed, and equals the one that
was given. In this package "she" is the author of the function, "hers" her arrays in her own layout, "ours" charrnn's.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from charrnn import arguments
from charrnn.errors import SettingsError
from charrnn.gradients.report import GradientReport, Measured, relative_errors
from charrnn.lab.complex_step import settle
from charrnn.lab.conventions import Answer, Convention, Problem, problem, read_answer
from charrnn.lab.diagnosis import ROUGHLY, Diagnosis, Finding, where_to_look
from charrnn.lab.explanation import Explanation, Gradients, deviation, factor_in_words, norm_of
from charrnn.lab.mistakes import BY_KEY, NAMES, RIGHT, core
from charrnn.lab.trials import Detected, Trials, call
from charrnn.network.arrays import Array

EQUAL = 1e-8  # of the largest entry: two computations of one gradient in float64 differ by 1e-14 or so
EQUAL_SINGLE = 1e-4
STEP, SMALL_STEP = 1e-3, 1e-5
MOST = 500  # entries of one parameter that are differenced: four calls each, of functions that may take milliseconds


def check_gradients(
    function: Callable[..., Any],
    *,
    numeric: Any = None,
    hidden_size: int = 5,
    symbols: int = 7,
    seq_length: int = 6,
    seed: int = 0,
    eps: float = 1e-6,
    threshold: float = 1e-6,
) -> Diagnosis:
    """Check your own loss and gradients of a vanilla character RNN, and name what is wrong with them.

    Args:
        function: (parameters, inputs, targets, state) -> (loss, gradients), in NumPy and float64. Vectors may be columns or rows;
            parameters a dict under the usual names, a tuple or one flat vector; inputs and targets indices or one-hot, with or
            without lanes; the loss a sum or a mean. How it wants to be called is found out by trying, and said. Without a fourth
            argument only h_0 = 0 can be checked.
        numeric: your numerical gradients, to be checked as well: a function with the same arguments (or with your function before
            them), or arrays as `function` returns them, computed at `check_gradients(function, ...).arguments`.
        hidden_size, symbols, seq_length: m, K and T of the random networks and texts to try it with; let them differ.
        seed: of those.
        eps, threshold: relative errors are ``|ga - gn| / max(eps, |ga| + |gn|)``, and pass below the threshold.

    Returns a `Diagnosis`. Raises `SettingsError` for a function that fails however it is called, or is not the same twice.

    >>> from charrnn import CharRNN
    >>> model = CharRNN(hidden_size=5, vocabulary="abcdefg", dtype="float64")
    >>> def mine(parameters, inputs, targets, state):
    ...     for name, array in parameters.items():
    ...         model.parameters[name][:] = array
    ...     loss, gradients, _ = model.loss_and_gradients(inputs, targets, state)
    ...     return loss, gradients | {"W": gradients["W"] / 6}
    >>> diagnosis = check_gradients(mine)
    >>> diagnosis.passed, diagnosis.findings[0].mistake.name, diagnosis.findings[0].parameters
    (False, 'mean and sum are mixed up', ('W',))
    """
    if not callable(function):
        raise SettingsError(f"check_gradients needs your function, got {function!r}")
    m, K = arguments.whole_number("hidden_size", hidden_size, 2), arguments.whole_number("symbols", symbols, 3)
    T, seed = arguments.whole_number("seq_length", seq_length, 3), arguments.whole_number("seed", seed, 0)
    eps, threshold = arguments.number("eps", eps, above=0), arguments.number("threshold", threshold, above=0)
    # Several copies of the parameters, and one of three lanes' states and symbols for each of many ways to call the function.
    arguments.memory(f"a check with m = {m:,}, K = {K:,} and T = {T:,}", 8 * (20 * (m * m + 2 * m * K + m + K) + 40 * T * (m + K)))
    return Check(function, m, K, T, seed, eps, threshold).diagnose(numeric)


class Check:
    """One function under one convention: its answers at the problems "zero", "random" and "large"."""

    def __init__(self, function: Callable[..., Any], m: int, K: int, T: int, seed: int, eps: float, threshold: float) -> None:
        self.function, self.m, self.K, self.seed = function, m, K, seed
        self.detected: Detected = Trials(function, m, K, T, seed).detect()
        self.convention: Convention = self.detected.convention
        self.kinds = ("zero", "random") if self.convention.takes_state else ("zero",)
        self.problems = {kind: problem(m, K, T, self.convention.B, seed, kind) for kind in (*self.kinds, "large")}
        if not self.convention.takes_state:
            self.problems["large"].state[:] = 0
        self.windows = {kind: p.window() for kind, p in self.problems.items()}
        self.scale = self.detected.scale
        self.remarks: list[str] = []
        self.answers = {kind: self.answer(self.problems[kind]) for kind in self.kinds}
        once, again = self.answers[self.kinds[-1]], self.answer(self.problems[self.kinds[-1]])
        if again.loss != once.loss:
            raise SettingsError(
                f"the function gives {again.loss!r} and {once.loss!r} for the same arguments: a loss that is not the same twice has no "
                "gradient; is something random, or kept from call to call?"
            )
        changed = [f"d{name}" for name in NAMES if not np.allclose(once.gradients[name], again.gradients[name], 1e-9, 0, equal_nan=True)]
        if changed:
            raise SettingsError(
                f"{', '.join(changed)} {'is' if len(changed) == 1 else 'are'} not the same twice for the same arguments, though the loss "
                "is: is something random, or added to from call to call instead of begun with zeros?"
            )
        self.eps, self.threshold = eps, threshold
        self.equal = EQUAL_SINGLE if self.detected.single else EQUAL
        self.bound = self.norm = math.inf  # on the elements and on the norm of her gradients
        self.clipped = self.clipping()

    def answer(self, p: Problem) -> Answer:
        """Her loss and gradients of a problem."""
        given = self.convention.arguments(p)
        answer = read_answer(call(self.function, given), self.convention, self.m, self.K)
        if not all(_same(a, b) for a, b in zip(given, self.convention.arguments(p), strict=True)):
            self.remark("Your function changes the arrays that it is given; it should only read them, and leave updates to its caller.")
        return answer

    def loss(self, parameters: Gradients, p: Problem) -> float:
        """Her loss with other parameters."""
        given = self.convention.arguments(Problem(parameters, p.x, p.y, p.state))
        return read_answer(call(self.function, given), self.convention, self.m, self.K).loss

    def differences(self, kind: str) -> dict[str, Array]:
        """Centred differences of four points of her own loss, by every entry, or by MOST of a parameter that has more.

        The other entries are charrnn's, or, if her loss is another one, her own: they cannot be judged then.
        """
        p = self.problems[kind]
        moved = {name: array.copy() for name, array in p.parameters.items()}
        rest = self.right(kind) or self.answers[kind].gradients
        out = {name: rest[name].copy() if rest[name].shape == array.shape else np.zeros(array.shape) for name, array in moved.items()}
        for name, array in moved.items():
            chosen = np.random.Generator(np.random.PCG64(self.seed)).permutation(array.size)[:MOST]
            if array.size > MOST:
                self.remark(
                    f"Of {name}, {MOST:,} entries drawn at random were differenced, of {array.size:,}; the others were "
                    + ("compared with charrnn's." if self.scale is not None else "not checked.")
                )
            for index in zip(*np.unravel_index(chosen, array.shape), strict=True):
                out[name][index] = self.difference(p, moved, name, index, STEP)
        return out

    def difference(self, p: Problem, moved: dict[str, Array], name: str, index: tuple[Any, ...], h: float) -> float:
        """The centred difference of four points of her loss by moved[name][index], which is put back."""
        old, f = float(moved[name][index]), {}
        for steps in (1, -1, 2, -2):
            moved[name][index] = old + steps * h
            f[steps] = self.loss(moved, p)
        moved[name][index] = old
        return (8 * (f[1] - f[-1]) - (f[2] - f[-2])) / (12 * h)

    def finer(self, kind: str, name: str, given: Array, numeric: Array) -> Array:
        """The differences, in smaller steps where they are not her gradient: a loss of her own may have kinks, as with ReLU."""
        p, out = self.problems[kind], numeric.copy()
        moved = {key: array.copy() for key, array in p.parameters.items()}
        for index in zip(*np.nonzero(relative_errors(given, numeric, self.eps) >= self.threshold), strict=True):
            out[index] = self.difference(p, moved, name, index, SMALL_STEP)
            if relative_errors(given[index], out[index], self.eps) < self.threshold:
                self.remark(
                    f"Your loss has kinks: for some entries h={STEP:g} is too large, and h={SMALL_STEP:g} was taken for the differences."
                )
        return out

    def remark(self, words: str) -> None:
        """Say something once."""
        if words not in self.remarks:
            self.remarks.append(words)

    def right(self, kind: str) -> dict[str, Array] | None:
        """charrnn's gradients of her loss; None if her loss is another one."""
        if self.scale is None:
            return None
        g, da = core(self.windows[kind], {})
        return {name: self.scale * leaf(self.windows[kind], g, da) for name, leaf in RIGHT.items()}

    def diagnose(self, numeric: Any) -> Diagnosis:
        """The whole check."""
        report, numbers = self.compare()
        against: dict[str, float] = {}
        rights = {kind: self.right(kind) or numbers[kind] for kind in self.kinds}
        hers = {kind: self.answers[kind].gradients for kind in self.kinds}
        windows = {kind: self.windows[kind] for kind in self.kinds}
        if self.scale is not None:
            against = {name: max(deviation(hers[k][name], rights[k][name], rights[k][name]) for k in self.kinds) for name in NAMES}
        wrong = [name for name in NAMES if any(row.name == name and not row.passed for row in report.rows)]
        findings = Explanation(hers, rights, windows, self.scale, self.bound, self.norm, self.equal).findings(wrong)
        findings += [self.clipped] if self.clipped else []
        self.remarks += list(dict.fromkeys(r + "." for kind in self.kinds for r in self.answers[kind].remarks.values()))
        unexplained = [name for name in wrong if not any(name in f.parameters for f in findings)]
        if unexplained:
            self.remarks.append(where_to_look(wrong, unexplained))
        diagnosis = Diagnosis(
            str(self.convention),
            self.about_loss(),
            report,
            against,
            findings,
            self.remarks,
            self.convention.arguments(self.problems[self.kinds[-1]]),
        )
        if numeric is not None:
            self.check_numeric(numeric, diagnosis, self.right(self.kinds[-1]) or numbers[self.kinds[-1]])
        return diagnosis

    def about_loss(self) -> str:
        """Her loss beside charrnn's, in words."""
        kind = self.kinds[-1]
        hers, ours = self.answers[kind].loss, self.windows[kind].loss
        if self.scale is None:
            return (
                f"{hers:.6g} where charrnn's is {ours:.6g} (summed over the window, in nats): the forward pass is another one, so that the "
                "gradients are checked against differences of your loss only"
            )
        return f"{self.detected.reduction}, equal to charrnn's (relative difference {abs(hers / (self.scale * ours) - 1):.0e})"

    def compare(self) -> tuple[GradientReport, dict[str, dict[str, Array]]]:
        """Her gradients against differences of her own loss."""
        eps, threshold = self.eps, self.threshold
        if self.detected.single:
            eps, threshold = max(float(np.abs(a).max(initial=0)) for a in self.answers["zero"].gradients.values()), EQUAL_SINGLE
            self.remarks.append(
                "Your function computes in single precision, or its loss is charrnn's but for a rounding or a small number inside the "
                "logarithm. Its differences are then too coarse; its gradients were compared with charrnn's, relative to the largest "
                "entry. Use float64 for a check."
            )
        report = GradientReport(
            hidden_size=self.m,
            symbols=self.K,
            seq_length=len(self.problems["zero"].x),
            batch_size=self.convention.B,
            level="",
            step=STEP,
            points=4,
            own_step=False,
            eps=eps,
            threshold=threshold,
            seed=self.seed,
            subject="your gradients",
        )
        numbers = {}
        for kind in self.kinds:
            p, right, answer = self.problems[kind], self.right(kind), self.answers[kind]
            report.losses[kind] = answer.loss
            numeric = right if self.detected.single and right is not None else self.differences(kind)
            numbers[kind] = numeric
            for name in NAMES:
                given, number = answer.gradients[name], numeric[name]
                if given.shape != number.shape:
                    given = np.full(number.shape, np.nan)
                elif self.scale is None:
                    number = numeric[name] = self.finer(kind, name, given, number)
                again = number
                if self.scale is not None and not self.detected.single:  # her loss is ours: doubtful entries by our complex step
                    s = self.scale
                    again = s * settle(p.parameters, p.x, p.y, p.state, name, given / s, number / s, eps / s, threshold)
                given, number, again = (self.convention.hers(name, array) for array in (given, number, again))
                report.rows.append(Measured.of(kind, name, given, number, again, report))
        return report, numbers

    def clipping(self) -> Finding | None:
        """Whether her gradients stay behind where they should be large: bounded in each element, or all together."""
        try:
            hers = self.answer(self.problems["large"]).gradients
        except Exception:  # a softmax that overflows, say: nothing is known then
            return None
        right = self.right("large")
        reach = math.inf if right is None else max(float(np.abs(array).max()) for array in right.values())
        off = {} if right is None else {name: deviation(hers[name], right[name], np.array([reach])) for name in NAMES}
        if right is not None and max(off.values()) < self.equal:
            return None
        largest = max(float(np.abs(array).max(initial=0)) for array in hers.values())
        # One such entry in each of two gradients may be chance: db_i is dU_ix where unit i is active at one step only.
        if 0 < largest < reach and sum(int((np.abs(array) == largest).sum()) >= 2 for array in hers.values()) >= 2:
            self.bound = largest
            evidence = f"with larger weights V several gradients end at exactly {largest:g}" + (
                "" if right is None else f"; the right ones reach {reach:.3g}"
            )
            return Finding(BY_KEY["clipped"], NAMES, 0.0, 1 - largest / reach, f"to +-{largest:g}", evidence)
        if right is None:
            return None
        mine, true = norm_of(hers.values()), norm_of(right.values())
        fits = max(deviation(hers[name] * true, right[name] * mine, right[name] * mine) for name in NAMES)
        if fits < self.equal and 0 < mine < 0.99 * true and self.are_bounded_by(mine):
            self.norm = mine
            evidence = f"with larger weights V the norm of your gradient is {mine:g}; that of the right one is {true:.3g}"
            return Finding(BY_KEY["clipped"], NAMES, fits, 1 - mine / true, f"to the norm {mine:g}", evidence)
        return self.clipping_of_some(hers, right, [name for name in NAMES if not off[name] < self.equal])

    def clipping_of_some(self, hers: Gradients, right: Gradients, wrong: list[str]) -> Finding | None:
        """Whether each of these gradients, wrong only where it is large, is the right one bounded by itself."""
        for kind in self.kinds:
            small = self.right(kind)
            assert small is not None
            if any(deviation(self.answers[kind].gradients[name], small[name], small[name]) > self.equal for name in wrong):
                return None
        how = {name: self.bounded(hers[name], right[name]) for name in wrong}
        if not all(how.values()):
            self.remark(
                f"With weights V 40 times as large, {', '.join('d' + name for name in wrong)} differ from the right ones: "
                "does something overflow?"
            )
            return None
        evidence = "they are right, but with larger weights V " + "; ".join(
            f"d{name} ends at {np.abs(hers[name]).max():g} where the right one reaches {np.abs(right[name]).max():.3g}" for name in wrong
        )
        off = max(deviation(hers[name], right[name], right[name]) for name in wrong)
        return Finding(BY_KEY["clipped"], tuple(wrong), 0.0, off, " and ".join(dict.fromkeys(how.values())), evidence)

    def bounded(self, given: Array, right: Array) -> str:
        """In which way a gradient is the right one kept small, in words; "" if it is not."""
        if given.shape != right.shape:
            return ""
        largest, norm, true = float(np.abs(given).max()), norm_of([given]), norm_of([right])
        forms = {
            f"to +-{largest:g}": np.clip(right, -largest, largest),
            f"to at most {largest:g}": np.minimum(right, given.max()),
            f"to at least {-largest:g}": np.maximum(right, given.min()),
            f"to the norm {norm:g}": right * min(1.0, norm / true),
        }
        return next((words for words, form in forms.items() if deviation(given, form, right) < self.equal), "")

    def are_bounded_by(self, norm: float) -> bool:
        """Whether the norms of her other gradients are right as well, once bounded: a constant factor would be another mistake."""
        for kind in self.kinds:
            right = self.right(kind)
            assert right is not None
            mine, true = norm_of(self.answers[kind].gradients.values()), norm_of(right.values())
            if abs(mine - min(true, norm)) > 1e-6 * true:
                return False
        return True

    # ---- her numerical gradients -----------------------------------------------------------------------------------------

    def check_numeric(self, numeric: Any, diagnosis: Diagnosis, right: Gradients) -> None:
        """Compare her numerical gradients with the right ones, and name what is wrong with them."""
        kind = self.kinds[-1]
        given = self.numeric_answer(numeric, kind)
        diagnosis.checker_errors = {name: deviation(given[name], right[name], right[name]) for name in NAMES}
        found: dict[str, list[tuple[str, float]]] = {}
        zero = [name for name in NAMES if not given[name].any()]
        for name in diagnosis.checker_wrong:
            fits = (
                []
                if len(zero) == len(NAMES)
                else [
                    (key, detail, error)
                    for key, detail, array in self.numeric_hypotheses(name, right, given)
                    if (error := deviation(given[name], array, right[name])) < ROUGHLY
                ]
            )
            if not fits and name in zero:  # of a gradient alone that may be so: moving all of c together changes no loss
                fits = [("checker-zero", "", 0.0)]
            if fits:
                key, detail, error = fits[0] if fits[0][2] < 10 * min(f[2] for f in fits) else min(fits, key=lambda f: f[2])
                found.setdefault(f"{key}|{detail}", []).append((name, error))
            else:
                diagnosis.remarks.append(f"Your numerical gradient of {name} is wrong in a way that is in no table.")
        for spec, names in found.items():
            key, detail = spec.split("|")
            parameters = tuple(name for name, _ in names)
            off = max(diagnosis.checker_errors[name] for name in parameters)
            diagnosis.checker_findings.append(Finding(BY_KEY[key], parameters, max(error for _, error in names), off, detail))

    def numeric_answer(self, numeric: Any, kind: str) -> dict[str, Array]:
        """Her numerical gradients, by name, in charrnn's orientation."""
        returned = numeric
        if callable(numeric):
            given = self.convention.arguments(self.problems[kind])
            try:
                returned = call(numeric, given if _arguments_of(numeric) <= len(given) else (self.function, *given))
            except Exception as error:
                raise SettingsError(f"your numerical gradient fails: {type(error).__name__}: {error}") from error
        try:
            pair = isinstance(returned, tuple) and len(returned) == 2 and isinstance(returned[1], (Mapping, tuple, list))
            return read_answer(returned if pair else (0.0, returned), self.convention, self.m, self.K).gradients
        except (ValueError, TypeError) as error:
            raise SettingsError(f"your numerical gradients cannot be read: {error}") from error

    def numeric_hypotheses(self, name: str, right: Gradients, given: Gradients) -> Iterator[tuple[str, str, Array]]:
        """What the mistakes of checkers would give in the place of right[name]: key, detail, array."""
        c, d = self.convention, right[name]
        hers = c.hers(name, d)
        yield "view-kept", "exactly half", d / 2
        yield "step-counted-once", "exactly twice", 2 * d
        if hers.ndim == 2 and hers.shape[1] > 1:
            yield "row-perturbed", "", c.ours(name, np.broadcast_to(hers.sum(1, keepdims=True), hers.shape))
        if hers.ndim == 2 and hers.shape[0] > 1:
            yield "column-perturbed", "", c.ours(name, np.broadcast_to(hers.sum(0, keepdims=True), hers.shape))
        if self.scale is not None:
            w = self.windows[self.kinds[-1]]
            for options in BY_KEY["labels-one-hot"].core:
                yield "checker-labels", "", self.scale * RIGHT[name](w, *core(w, options))
        bound = max(float(np.abs(array).max(initial=0)) for array in given.values())
        if sum(int((np.abs(array) == bound).sum()) for array in given.values()) > 1:
            yield "checker-clipped", f"to +-{bound:g}", np.clip(d, -bound, bound)
        if given[name].shape == d.shape and np.abs(d).max() > 0:
            factor = float((given[name] * d).sum() / (d * d).sum())
            if abs(factor) > 1e-3 and abs(factor - 1) > ROUGHLY:
                yield "checker-factor", factor_in_words(factor, *self.problems["zero"].x.shape)[1] or "-1 times the right one", factor * d


def _same(a: Any, b: Any) -> bool:
    """Whether two arguments hold the same numbers."""
    if isinstance(a, Mapping):
        return all(key in a and _same(a[key], value) for key, value in b.items())
    if isinstance(a, tuple):
        return all(_same(x, y) for x, y in zip(a, b, strict=True))
    return np.array_equal(a, b)


def _arguments_of(function: Callable[..., Any]) -> int:
    """How many positional arguments a function has; 4 if it does not say."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return 4
    return sum(p.default is p.empty and p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD) for p in parameters)
