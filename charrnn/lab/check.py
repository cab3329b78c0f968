"""Somebody's own gradients: checked against differences of their own loss, compared with charrnn's, and the likely mistake named.

A mistake of `charrnn.lab.mistakes` is named only on evidence: the gradient that it would give is computed, and equals the one that
was given. In this package "she" is the author of the program, "hers" her arrays in her own layout, "ours" charrnn's.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from charrnn import arguments
from charrnn.errors import SettingsError
from charrnn.lab.clipping import Clipping, clipping
from charrnn.lab.comparison import Comparison, Row, relative_errors
from charrnn.lab.diagnosis import Diagnosis
from charrnn.lab.explanation import Explanation, deviation
from charrnn.lab.finding import Found, find_in_object
from charrnn.lab.limits import OutOfTime, quiet
from charrnn.lab.narrowing import by_steps, pattern, where_to_look
from charrnn.lab.numeric import check_numeric
from charrnn.lab.skeleton import cannot_be_called
from charrnn.lab.subject import FunctionSubject, ProgramSubject, Subject
from charrnn.lab.trials import RETURNS
from charrnn.lab.window import Array, Problem, complex_step, right

EQUAL = 1e-8  # of the largest entry: two computations of one gradient in float64 differ by 1e-14 or so
EQUAL_SINGLE = 1e-4
STEP, SMALL_STEP = 1e-3, 1e-5


def check_gradients(
    function: Callable[..., Any] | Any,
    *,
    numeric: Any = None,
    hidden_size: int = 5,
    symbols: int = 7,
    seq_length: int = 6,
    seed: int = 0,
    eps: float = 1e-6,
    threshold: float = 1e-6,
) -> Diagnosis:
    """Check your own loss and gradients of a character RNN, and name what is wrong with them.

    Args:
        function: what computes a loss and its gradients, in NumPy and float64: a function (parameters, inputs, targets, state) ->
            (loss, gradients), one with other arguments, an instance or a class with such methods, or a bound method. How it wants to
            be called is found out by trying, and said: see docs/check_my_gradients.md. An instance is copied, not changed.
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
    >>> diagnosis.status, diagnosis.findings[0].mistake.name, diagnosis.findings[0].parameters
    ('wrong', 'mean and sum are mixed up', ('W',))
    """
    if isinstance(function, (int, float, str, bytes, np.ndarray)) or function is None:
        raise SettingsError(f"check_gradients needs your function, class or object, got {function!r}")
    sizes = Sizes.of(hidden_size, symbols, seq_length, seed, eps, threshold)
    return Check(subject_of(function, sizes), sizes).diagnose(numeric)


class Sizes:
    """The sizes, seed and bounds of a check."""

    def __init__(self, m: int, K: int, T: int, seed: int, eps: float, threshold: float) -> None:
        self.m, self.K, self.T, self.seed, self.eps, self.threshold = m, K, T, seed, eps, threshold

    @classmethod
    def of(
        cls, hidden_size: int = 5, symbols: int = 7, seq_length: int = 6, seed: int = 0, eps: float = 1e-6, threshold: float = 1e-6
    ) -> Sizes:
        """From arguments; `SettingsError` for what makes no sense."""
        m, K = arguments.whole_number("hidden_size", hidden_size, 2), arguments.whole_number("symbols", symbols, 3)
        T, seed = arguments.whole_number("seq_length", seq_length, 3), arguments.whole_number("seed", seed, 0)
        eps, threshold = arguments.number("eps", eps, above=0), arguments.number("threshold", threshold, above=0)
        # Several copies of the parameters, one of three lanes' states and symbols for each of many ways to call the function, and K one-hot
        # columns.
        count = m * m + 2 * m * K + m + K
        arguments.memory(f"a check with m = {m:,}, K = {K:,} and T = {T:,}", 8 * (20 * count + 40 * T * (m + K) + K * K))
        return cls(m, K, T, seed, eps, threshold)


def subject_of(thing: Any, sizes: Sizes) -> Subject:
    """A function, class or object, and the way to call it; `SettingsError` if there is none."""
    failure: SettingsError | None = None
    if callable(thing) and not inspect.isclass(thing):
        try:
            return FunctionSubject(thing, sizes.m, sizes.K, sizes.T, sizes.seed)
        except SettingsError as error:
            failure = error
    if failure is not None and failure.args[0].startswith(RETURNS):
        raise failure
    found = find_in_object(thing, sizes.m, sizes.K, sizes.T, sizes.seed)
    if found.way is not None:
        return ProgramSubject(found.way)
    raise failure or SettingsError(cannot_be_called(found, getattr(thing, "__name__", type(thing).__name__)))


def subject_of_found(found: Found, name: str) -> ProgramSubject:
    """What was found in a file; `SettingsError` with an adapter to fill in if nothing was."""
    if found.way is None:
        raise SettingsError(cannot_be_called(found, name))
    return ProgramSubject(found.way)


class Check:
    """One subject: its answers at the problems "zero", "random" and "large"."""

    def __init__(self, subject: Subject, sizes: Sizes) -> None:
        self.subject, self.sizes, self.names = subject, sizes, subject.names
        self.scale = subject.scale if subject.scale is not None else None
        self.kinds = ("zero", "random") if subject.takes_state else ("zero",)
        self.problems = {kind: subject.problem(sizes.T, sizes.seed, kind) for kind in (*self.kinds, "large")}
        self.windows = {kind: p.window(subject.variant) for kind, p in self.problems.items()} if subject.vanilla else {}
        self.remarks: list[str] = []
        self.equal = EQUAL_SINGLE if subject.single else EQUAL
        self.answers = {kind: subject.answer(self.problems[kind]) for kind in self.kinds}
        self.is_the_same_twice()
        self.clipping = self.find_clipping()

    def is_the_same_twice(self) -> None:
        """`SettingsError` unless a second call gives the same."""
        once, again = self.answers[self.kinds[-1]], self.subject.answer(self.problems[self.kinds[-1]])
        if again.loss != once.loss:
            raise SettingsError(
                f"the function gives {again.loss!r} and {once.loss!r} for the same arguments: a loss that is not the same twice has no "
                "gradient; is something random, or kept from call to call?"
            )
        changed = [f"d{n}" for n in self.names if not np.allclose(once.gradients[n], again.gradients[n], 1e-9, 0, equal_nan=True)]
        if changed:
            raise SettingsError(
                f"{', '.join(changed)} {'is' if len(changed) == 1 else 'are'} not the same twice for the same arguments, though the loss "
                "is: is something random, or added to from call to call instead of begun with zeros?"
            )

    def find_clipping(self) -> Clipping:
        """Whether her gradients stay behind where they should be large."""
        try:
            large = self.subject.answer(self.problems["large"]).gradients
        except (Exception, OutOfTime):  # a softmax that overflows, say: nothing is known then
            return Clipping()
        given = {kind: self.answers[kind].gradients for kind in self.kinds}
        rights = {kind: self.right(kind) for kind in self.kinds}
        found = clipping(large, self.right("large"), given, rights, self.names, self.equal)
        self.remark(found.remark)
        return found

    def remark(self, words: str) -> None:
        """Say something once."""
        if words and words not in self.remarks:
            self.remarks.append(words)

    def right(self, kind: str) -> dict[str, Array] | None:
        """charrnn's gradients of her loss; None if her loss is another one."""
        scale = self.scale if self.scale is not None else self.subject.entropy[0] if self.subject.entropy else None
        if scale is None:
            return None
        every = right(self.windows[kind], scale)
        return {name: every[name] for name in self.names}

    # ---- differences of her own loss -------------------------------------------------------------------------------------

    def differences(self, p: Problem, rest: dict[str, Array], most: int) -> dict[str, Array]:
        """Centred differences of four points of her own loss, by every entry, or by `most` of a parameter that has more.

        The other entries are those of `rest`: they cannot be judged then.
        """
        moved = {name: array.copy() for name, array in p.parameters.items()}
        out = {}
        with quiet():
            for name in self.names:
                array = moved[name]
                out[name] = rest[name].copy() if rest[name].shape == array.shape else np.zeros(array.shape)
                chosen = np.random.Generator(np.random.PCG64(self.sizes.seed)).permutation(array.size)[:most]
                for index in zip(*np.unravel_index(chosen, array.shape), strict=True):
                    out[name][index] = self.difference(p, moved, name, index, STEP)
        return out

    def difference(self, p: Problem, moved: dict[str, Array], name: str, index: tuple[Any, ...], h: float) -> float:
        """The centred difference of four points of her loss by moved[name][index], which is put back."""
        old, f = float(moved[name][index]), {}
        for steps in (1, -1, 2, -2):
            moved[name][index] = old + steps * h
            f[steps] = self.subject.loss(replace(p, parameters=moved))
        moved[name][index] = old
        return (8 * (f[1] - f[-1]) - (f[2] - f[-2])) / (12 * h)

    def again(self, kind: str, name: str, given: Array, numeric: Array) -> Array:
        """The differences, with doubtful entries measured again: by a complex step where her loss is ours, else in smaller steps."""
        p, out = self.problems[kind], numeric.copy()
        errors = relative_errors(given, numeric, self.sizes.eps)
        order = np.argsort(-errors, axis=None, kind="stable")[: np.count_nonzero(~(errors < self.sizes.threshold))]
        entries = list(zip(*(part.tolist() for part in np.unravel_index(order, numeric.shape)), strict=True))
        if self.scale is not None:
            for entry, value in zip(entries, complex_step(p, name, entries, self.subject.variant), strict=True):
                out[entry] = self.scale * value
                if relative_errors(given[entry], out[entry], self.sizes.eps) >= self.sizes.threshold:
                    break
            return out
        moved = {key: array.copy() for key, array in p.parameters.items()}
        for entry in entries[: self.subject.most]:
            out[entry] = self.difference(p, moved, name, entry, SMALL_STEP)
            if relative_errors(given[entry], out[entry], self.sizes.eps) < self.sizes.threshold and self.subject.vanilla:
                self.remark(
                    f"Your loss has kinks: for some entries h={STEP:g} is too large, and h={SMALL_STEP:g} was taken for the differences."
                )
        return out

    def compare(self) -> tuple[Comparison, dict[str, dict[str, Array]]]:
        """Her gradients against differences of her own loss."""
        eps, threshold, sizes = self.sizes.eps, self.sizes.threshold, self.sizes
        if self.subject.single:
            eps, threshold = max(float(np.abs(a).max(initial=0)) for a in self.answers["zero"].gradients.values()), EQUAL_SINGLE
            self.remark(
                "Your function computes in single precision, or its loss is charrnn's but for a rounding or a small number inside the "
                "logarithm. Its differences are then too coarse; its gradients were compared with charrnn's, relative to the largest "
                "entry. Use float64 for a check."
            )
        report = Comparison(sizes.m, sizes.K, len(self.problems["zero"].x), self.subject.B, STEP, 4, eps, threshold, sizes.seed)
        sampled = [name for name in self.names if self.problems["zero"].parameters[name].size > self.subject.most]
        if sampled and not self.subject.single:
            report.sampled = (
                f"Of each of {', '.join(sampled)}, {self.subject.most} entries drawn at random were differenced; the others were "
                + ("compared with charrnn's gradient of the same loss." if self.scale is not None else "not checked.")
            )
        numbers = {}
        for kind in self.kinds:
            right, answer = self.right(kind), self.answers[kind]
            report.losses[kind] = answer.loss
            coarse = self.subject.single and right is not None
            rest = right if self.scale is not None and right else answer.gradients
            numeric = right if coarse and right else self.differences(self.problems[kind], rest, self.subject.most)
            numbers[kind] = numeric
            for name in self.names:
                given, number = answer.gradients[name], numeric[name]
                if given.shape != number.shape:
                    given = np.full(number.shape, np.nan)
                again = number if coarse else self.again(kind, name, given, number)
                if self.scale is None:
                    numbers[kind][name] = again
                given, number, again = (self.subject.hers(name, array) for array in (given, number, again))
                report.rows.append(Row.of(kind, name, given, number, again, eps, threshold))
        return report, numbers

    # ---- the verdict -----------------------------------------------------------------------------------------------------

    def diagnose(self, numeric: Any = None, found: str = "", left_out: list[str] | None = None) -> Diagnosis:
        """The whole check."""
        report, numbers = self.compare()
        rights = {kind: self.right(kind) or numbers[kind] for kind in self.kinds}
        hers = {kind: self.answers[kind].gradients for kind in self.kinds}
        known = self.right("zero") is not None
        against = {n: max(deviation(hers[k][n], rights[k][n], rights[k][n]) for k in self.kinds) for n in self.names} if known else {}
        wrong = self.wrong(report, rights, hers)
        scale = self.scale if self.scale is not None else self.subject.entropy[0] if self.subject.entropy else None
        windows = {kind: self.windows[kind] for kind in self.kinds} if self.windows else {}
        findings = []
        if self.subject.vanilla:
            explanation = Explanation(hers, rights, windows, scale, self.clipping.bounds, self.clipping.stretch, self.equal, self.names)
            findings = explanation.findings(wrong)
        findings += [self.clipping.finding] if self.clipping.finding else []
        self.remarks += list(dict.fromkeys(r + "." for kind in self.kinds for r in self.answers[kind].remarks.values()))
        named = {name for f in findings if f.mistake.key != "clipped" for name in f.parameters}
        unexplained = [name for name in wrong if name not in named]
        narrowed = self.narrow(unexplained, rights, hers, numbers) if unexplained else []
        if unexplained:
            self.remarks.append(where_to_look(wrong, unexplained, self.names))
        self.about_state()
        diagnosis = Diagnosis(
            str(self.subject),
            self.about_loss(),
            report,
            against,
            findings,
            list(dict.fromkeys([*self.subject.remarks, *self.remarks])),
            self.subject.arguments(self.problems[self.kinds[-1]]),
            self.names,
            wrong,
            narrowed,
            self.subject.entropy[1] if self.subject.entropy else "",
            found,
            left_out or [],
        )
        if numeric is not None:
            window = windows.get(self.kinds[-1]) if windows else None
            check_numeric(numeric, self.subject, self.problems[self.kinds[-1]], window, rights[self.kinds[-1]], diagnosis)
        return diagnosis

    def wrong(self, report: Comparison, rights: dict[str, dict[str, Array]], hers: dict[str, dict[str, Array]]) -> list[str]:
        """The parameters whose gradients are wrong, clipping apart."""
        failed = [name for name in self.names if any(row.name == name and not row.passed for row in report.rows)]
        if self.subject.entropy:
            failed = list(self.names)
        if not (self.clipping.bounds or self.clipping.stretch or self.subject.entropy):
            return failed
        out = []
        for name in failed:
            for kind in self.kinds:
                given = self.clipping.undone(kind, hers[kind])[name]
                expected = self.clipping.clipped(rights[kind])[name]
                if deviation(given, expected, rights[kind][name]) > max(self.equal, 1e-6 if self.right(kind) is None else 0):
                    out.append(name)
                    break
        return out

    def narrow(
        self,
        unexplained: list[str],
        rights: dict[str, dict[str, Array]],
        hers: dict[str, dict[str, Array]],
        numbers: dict[str, dict[str, Array]],
    ) -> list[str]:
        """Where a mistake without a name shows."""
        kind = self.kinds[-1]
        wrong: dict[int, list[str]] = {}
        for T in (1, 2, 3):
            p = self.problems[kind].first(T)
            try:
                answer = self.subject.answer(p)
                scale = self.scale if self.scale is None else self.scale_for(T)
                expected = right(p.window(self.subject.variant), scale) if scale is not None else self.differences(p, answer.gradients, 12)
            except (Exception, OutOfTime):  # windows as short as that are not for every program
                continue
            limit = self.equal if scale is not None else 1e-5
            undone = self.clipping.undone(kind, answer.gradients)
            those = self.clipping.clipped({name: expected[name] for name in self.names})
            wrong[T] = [n for n in self.names if deviation(undone[n], those[n], expected[n]) > limit]
        said = [by_steps(wrong, unexplained)]
        for name in unexplained:
            given = self.clipping.undone(kind, hers[kind])[name]
            true = self.clipping.clipped(rights[kind])[name]
            if given.shape == true.shape:
                said.append(
                    pattern(name, self.subject.hers(name, given), self.subject.hers(name, true), self.equal if self.right(kind) else 1e-5)
                )
            else:
                said.append(pattern(name, given, true, self.equal))
        return [words for words in said if words]

    def scale_for(self, T: int) -> float | None:
        """What her loss is times the summed cross-entropy, for windows of another length."""
        if self.scale is None:
            return None
        ratio = self.sizes.T / T
        return self.scale * (ratio if "per character" in self.subject.reduction or "over the steps" in self.subject.reduction else 1)

    def about_state(self) -> None:
        """Say what cannot be tried, and what is kept from call to call."""
        if not isinstance(self.subject, ProgramSubject):
            return
        if not self.subject.takes_state:
            self.remark("Its initial state is fixed at 0: that h_0 other than 0 takes part in dW could not be tried.")
        losses = self.subject.drift(self.problems[self.kinds[-1]])
        if losses:
            self.remark(
                f"A second call gives another loss ({losses[1]:.6g} after {losses[0]:.6g}): the state is carried from call to call. Set it "
                "back before each evaluation when you check gradients yourself."
            )

    def about_loss(self) -> str:
        """Her loss beside charrnn's, in words."""
        kind = self.kinds[-1]
        hers = self.answers[kind].loss
        variant = f", where {self.subject.variant}" if str(self.subject.variant) else ""
        if not self.subject.vanilla:
            return f"{hers:.6g}: the network is no vanilla one, and its gradients are checked against differences of this loss only"
        ours = self.windows[kind].loss
        if self.subject.entropy:
            return (
                f"{hers:.6g}, where the cross-entropy is {ours:.6g} (summed over the window, in nats{variant}); the gradients belong to "
                f"the cross-entropy, {self.subject.entropy[1]}, and not to this loss"
            )
        if self.scale is None:
            return (
                f"{hers:.6g} where charrnn's is {ours:.6g} (summed over the window, in nats): the forward pass is another one, so that the "
                "gradients are checked against differences of your loss only"
            )
        return f"{self.subject.reduction}, equal to charrnn's (relative difference {abs(hers / (self.scale * ours) - 1):.0e}){variant}"
