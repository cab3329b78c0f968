"""Somebody's own gradients: checked against differences of their own loss, compared with charrnn's, and the likely mistake named.

A mistake of `charrnn.mistakes` is named only on evidence: the gradient that it would give is computed, and equals the one that was
given. Combinations are tried as well: up to two mistakes on the way to da, and one in the last step of each gradient.
"""
from __future__ import annotations

import itertools
import json
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from charrnn import arguments
from charrnn.conventions import Answer, Convention, Detected, Problem, Trials, call, problem, read_answer
from charrnn.errors import SettingsError
from charrnn.gradreport import GradientReport, Measured, relative_errors
from charrnn.mistakes import CHECKER_MISTAKES, MISTAKES, NAMES, RIGHT, Mistake, Window, core
from charrnn.parameters import Array

Gradients = Mapping[str, Array]
BY_KEY = {mistake.key: mistake for mistake in (*MISTAKES, *CHECKER_MISTAKES)}
EQUAL = 1e-8  # of the largest entry: two computations of one gradient in float64 differ by 1e-14 or so
EQUAL_SINGLE = 1e-4
ROUGHLY = 1e-2  # numerical gradients of others, with steps of their own
STEP = 1e-3


@dataclass(frozen=True)
class Finding:
    """A mistake, whose gradients show it, and the evidence: the relative deviation of a gradient with this mistake, `fits`, and of
    the right one, `off`, from the given one."""

    mistake: Mistake
    parameters: tuple[str, ...]
    fits: float
    off: float
    detail: str = ""

    def __str__(self) -> str:
        m = self.mistake
        return "\n".join(
            [
                f"{', '.join('d' + name for name in self.parameters)}: {m.name}" + (f" ({self.detail})" if self.detail else ""),
                f"    mathematics  {m.mathematics}",
                f"    instead      {m.instead}",
                f"    evidence     a gradient with this mistake equals yours to {self.fits:.0e} of its largest entry; the right one is {self.off:.0e} off",
                f"    what to do   {m.advice}",
            ]
        )


@dataclass
class Diagnosis:
    """What `check_gradients` found. Print it; `passed` says whether nothing is wrong.

    report: the gradients against differences of the function's own loss. against_charrnn: by parameter, the largest relative error
    to charrnn's gradient of the same loss (empty if it is another loss). findings: the mistakes in the gradients, and
    checker_findings those in the numerical gradient. arguments: those of the function, in its own style, at which numerical gradients
    are expected.
    """

    convention: str
    loss: str
    report: GradientReport
    against_charrnn: dict[str, float]
    findings: list[Finding]
    remarks: list[str]
    arguments: tuple[Any, ...]
    checker_findings: list[Finding] = field(default_factory=list)
    checker_errors: dict[str, float] = field(default_factory=dict)

    @property
    def passed(self) -> bool:
        """Whether the gradients, and the numerical ones if there are any, are right."""
        return self.report.passed and not self.findings and not self.checker_findings and not self.checker_wrong

    @property
    def checker_wrong(self) -> list[str]:
        """The parameters whose numerical gradients are wrong."""
        return [name for name, error in self.checker_errors.items() if not error < ROUGHLY]

    def to_json(self) -> dict[str, Any]:
        """All of it, as JSON holds it."""

        def plain(finding: Finding) -> dict[str, Any]:
            words = {key: getattr(finding.mistake, key) for key in ("key", "name", "mathematics", "instead", "advice")}
            return words | {
                "parameters": list(finding.parameters), "fits": finding.fits, "off": finding.off, "detail": finding.detail,
            }  # fmt: skip

        return {
            "passed": self.passed, "convention": self.convention, "loss": self.loss, "report": self.report.to_json(),
            "against_charrnn": self.against_charrnn, "findings": [plain(f) for f in self.findings], "remarks": self.remarks,
            "checker_findings": [plain(f) for f in self.checker_findings], "checker_errors": self.checker_errors,
        }  # fmt: skip

    def sections(self) -> Iterator[tuple[str, list[str]]]:
        """Headings and paragraphs."""
        yield "How your function was called", [self.convention + ".", f"Its loss is {self.loss}."]
        yield "Your gradients against differences of your own loss", [str(self.report)]
        if self.against_charrnn:
            errors = ", ".join(f"d{name} {error:.0e}" for name, error in self.against_charrnn.items())
            yield "Your gradients against charrnn's", [f"Largest difference, relative to the largest entry: {errors}."]
        if self.checker_errors:
            errors = ", ".join(f"d{name} {error:.0e}" for name, error in self.checker_errors.items())
            yield "Your numerical gradients", [f"Largest difference to ours, relative to the largest entry: {errors}."]
        if self.findings:
            yield "What is wrong with your gradients", [f"{i}. {finding}" for i, finding in enumerate(self.findings, 1)]
        if self.checker_findings:
            yield "What is wrong with your check", [f"{i}. {finding}" for i, finding in enumerate(self.checker_findings, 1)]
        if self.remarks:
            yield "Also", list(self.remarks)
        yield "In short", [self.verdict()]

    def verdict(self) -> str:
        """One sentence."""
        wrong = not self.report.passed or bool(self.findings)
        names = sorted({name for f in self.findings for name in f.parameters} | {row.name for row in self.report.rows if not row.passed}, key=NAMES.index)
        first = f"{', '.join('d' + n for n in names)} wrong" if wrong else "Your gradients are right"
        if not self.checker_errors:
            return first + "."
        checker = "your numerical gradients are wrong" if self.checker_findings or self.checker_wrong else "your numerical gradients are right"
        return f"{first}; {checker}."

    def __str__(self) -> str:
        return "\n\n".join(f"{title}\n{'-' * len(title)}\n" + "\n".join(paragraphs) for title, paragraphs in self.sections())

    def _repr_html_(self) -> str:
        import html

        return "".join(
            f"<h4>{html.escape(title)}</h4>" + "".join(f"<pre>{html.escape(paragraph)}</pre>" for paragraph in paragraphs)
            for title, paragraphs in self.sections()
        )


def check_gradients(
    function: Callable[..., Any], *, numeric: Any = None, hidden_size: int = 5, symbols: int = 7, seq_length: int = 6,
    seed: int = 0, eps: float = 1e-6, threshold: float = 1e-6,
) -> Diagnosis:  # fmt: skip
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
        eps, threshold: relative errors are |ga - gn| / max(eps, |ga| + |gn|), and pass below the threshold.

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
    return _Check(function, m, K, T, seed, eps, threshold).diagnose(numeric)


class _Check:
    """One function under one convention: its answers at the problems "zero", "random" and "large"."""

    def __init__(self, function: Callable[..., Any], m: int, K: int, T: int, seed: int, eps: float, threshold: float) -> None:
        self.function, self.m, self.K = function, m, K
        self.detected: Detected = Trials(function, m, K, T, seed).detect()
        self.convention: Convention = self.detected.convention
        self.kinds = ("zero", "random") if self.convention.takes_state else ("zero",)
        self.problems = {kind: problem(m, K, T, self.convention.B, seed, kind) for kind in (*self.kinds, "large")}
        self.windows = {kind: p.window() for kind, p in self.problems.items()}
        self.scale = self.detected.scale
        self.remarks: list[str] = []
        self.answers = {kind: self.answer(self.problems[kind]) for kind in self.kinds}
        again = self.answer(self.problems[self.kinds[-1]])
        if again.loss != self.answers[self.kinds[-1]].loss:
            raise SettingsError(
                f"the function gives {again.loss!r} and {self.answers[self.kinds[-1]].loss!r} for the same arguments: a loss that is "
                "not the same twice has no gradient; is something random, or kept from call to call?"
            )
        self.eps, self.threshold, self.equal = eps, threshold, EQUAL
        if self.detected.single:
            self.equal = EQUAL_SINGLE

    def answer(self, p: Problem) -> Answer:
        """Her loss and gradients of a problem."""
        given = self.convention.arguments(p)
        answer = read_answer(call(self.function, given), self.convention, self.m, self.K)
        if not all(_same(a, b) for a, b in zip(given, self.convention.arguments(p), strict=True)):
            remark = "Your function changes the arrays that it is given; it should only read them, and leave updates to its caller."
            if remark not in self.remarks:
                self.remarks.append(remark)
        return answer

    def loss(self, parameters: Gradients, p: Problem) -> float:
        """Her loss with other parameters."""
        given = self.convention.arguments(Problem(parameters, p.x, p.y, p.state))
        return read_answer(call(self.function, given), self.convention, self.m, self.K).loss

    def differences(self, kind: str) -> dict[str, Array]:
        """Centred differences of four points of her own loss, by every entry."""
        p = self.problems[kind]
        moved = {name: array.copy() for name, array in p.parameters.items()}
        out = {name: np.zeros(array.shape) for name, array in moved.items()}
        for name, array in moved.items():
            for index in np.ndindex(array.shape):
                old = float(array[index])
                f = {}
                for steps in (1, -1, 2, -2):
                    array[index] = old + steps * STEP
                    f[steps] = self.loss(moved, p)
                array[index] = old
                out[name][index] = (8 * (f[1] - f[-1]) - (f[2] - f[-2])) / (12 * STEP)
        return out

    def right(self, kind: str) -> dict[str, Array] | None:
        """charrnn's gradients of her loss; None if her loss is another one."""
        if self.scale is None:
            return None
        g, da = core(self.windows[kind], {})
        return {name: self.scale * leaf(self.windows[kind], g, da) for name, leaf in RIGHT.items()}

    def diagnose(self, numeric: Any) -> Diagnosis:
        """The whole check."""
        report, numbers = self.compare()
        findings, against = [], {}
        rights = {kind: self.right(kind) or numbers[kind] for kind in self.kinds}
        hers = {kind: self.answers[kind].gradients for kind in self.kinds}
        if self.scale is not None:
            against = {name: max(_deviation(hers[k][name], rights[k][name], rights[k][name]) for k in self.kinds) for name in NAMES}
        wrong = [name for name in NAMES if any(row.name == name and not row.passed for row in report.rows)]
        clip = self.clipping()
        findings += _Explanation(self, rights, clip).findings(wrong)
        self.remarks += list(dict.fromkeys(r + "." for kind in self.kinds for r in self.answers[kind].remarks.values()))
        unexplained = [name for name in wrong if not any(name in f.parameters for f in findings)]
        if unexplained:
            self.remarks.append(where_to_look(wrong, unexplained))
        diagnosis = Diagnosis(
            str(self.convention), self.about_loss(), report, against, findings, self.remarks,
            self.convention.arguments(self.problems[self.kinds[-1]]),
        )  # fmt: skip
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
        from charrnn.gradcheck import settle

        eps, threshold = self.eps, self.threshold
        if self.detected.single:
            eps, threshold = max(float(np.abs(a).max(initial=0)) for a in self.answers["zero"].gradients.values()), EQUAL_SINGLE
            self.remarks.append(
                "Your function computes in single precision, whose differences are mostly rounding error; its gradients were compared "
                "with charrnn's, relative to the largest entry. Use float64 for a check."
            )
        report = GradientReport(
            hidden_size=self.m, symbols=self.K, seq_length=len(self.problems["zero"].x), batch_size=self.convention.B, level="your function",
            step=STEP, points=4, own_step=False, eps=eps, threshold=threshold, seed=0,
        )  # fmt: skip
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
                again = number
                if self.scale is not None and not self.detected.single:  # her loss is ours: doubtful entries by our complex step
                    s = self.scale
                    again = s * settle(p.parameters, p.x, p.y, p.state, name, given / s, number / s, eps / s, threshold)
                report.rows.append(Measured.of(kind, name, given, number, again, report))
        return report, numbers

    def clipping(self) -> float:
        """The bound on each element that her gradients show where they should be large; inf if none."""
        try:
            gradients = self.answer(self.problems["large"]).gradients
        except Exception:
            return math.inf
        largest = max(float(np.abs(array).max(initial=0)) for array in gradients.values())
        at_bound = [name for name, array in gradients.items() if (np.abs(array) == largest).any()]
        return largest if len(at_bound) >= 2 and np.isfinite(largest) and largest > 0 else math.inf

    # ---- her numerical gradients -----------------------------------------------------------------------------------------

    def check_numeric(self, numeric: Any, diagnosis: Diagnosis, right: Gradients) -> None:
        """Compare her numerical gradients with the right ones, and name what is wrong with them."""
        kind = self.kinds[-1]
        given = self.numeric_answer(numeric, kind)
        diagnosis.checker_errors = {name: _deviation(given[name], right[name], right[name]) for name in NAMES}
        found: dict[str, list[tuple[str, float]]] = {}
        for name in diagnosis.checker_wrong:
            fits = [
                (key, detail, error)
                for key, detail, array in self.numeric_hypotheses(name, right, given)
                if (error := _deviation(given[name], array, right[name])) < ROUGHLY
            ]
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
            has_loss = isinstance(returned, tuple) and len(returned) == 2 and np.ndim(returned[0]) == 0 and not isinstance(returned[0], Mapping)
            return read_answer(returned if has_loss else (0.0, returned), self.convention, self.m, self.K).gradients
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
            if abs(factor) > 1e-3:
                yield "checker-factor", f"{_factor_in_words(factor, len(w_x := self.problems[self.kinds[-1]].x), w_x.shape[1])[1]}", factor * d


class _Explanation:
    """The fewest mistakes that turn the right gradients into hers."""

    def __init__(self, check: _Check, rights: Mapping[str, Gradients], clip: float) -> None:
        self.check, self.clip, self.equal = check, clip, check.equal
        self.T, self.B = check.problems["zero"].x.shape
        self.hers = {name: np.concatenate([check.answers[k].gradients[name].ravel() for k in check.kinds]) for name in NAMES}
        self.rights = {name: np.concatenate([rights[k][name].ravel() for k in check.kinds]) for name in NAMES}

    def findings(self, wrong: list[str]) -> list[Finding]:
        """The mistakes behind the wrong parameters."""
        found: list[Finding] = []
        if wrong:
            best = min(self.candidates(), key=lambda candidate: candidate[0])
            _, keys, chosen = best
            for key in dict.fromkeys([*keys, *(key for options in chosen.values() for key, _ in options[0])]):
                names = [n for n in wrong if n in chosen and (key in keys and self.depends(n, key) or key in dict(chosen[n][0]))]
                if names:
                    details = dict.fromkeys(dict(chosen[n][0]).get(key, "") for n in names)
                    fits = max(chosen[n][1] for n in names)
                    off = max(_deviation(self.hers[n], self.rights[n], self.rights[n]) for n in names)
                    found.append(Finding(BY_KEY[key], tuple(names), fits, off, self.detail(key, names, " and ".join(filter(None, details)))))
        if self.clip < math.inf:
            found.append(Finding(BY_KEY["clipped"], NAMES, 0.0, self.clip_error(), f"to +-{self.clip:g}"))
        return found

    def depends(self, name: str, key: str) -> bool:
        """Whether a wrong core step shows in a gradient: a wrong g in all, a wrong da in those of U, W and b."""
        return name in "UWb" or any("error" in options for options in BY_KEY[key].core)

    def detail(self, key: str, names: list[str], detail: str) -> str:
        """What else the numbers say about a mistake."""
        if key == "h0-dropped":
            return "it does not show from h_0 = 0"
        if key in ("bias-scalar", "bias-axis") and "c" in names and np.abs(self.hers["c"]).max() < 1e-12:
            return "dc is exactly 0: c never trains"
        return detail

    def clip_error(self) -> float:
        """How far her gradients stay behind the right ones where those are large."""
        right = self.check.right("large")
        return 1.0 if right is None else 1 - self.clip / max(float(np.abs(array).max()) for array in right.values())

    def candidates(self) -> Iterator[tuple[tuple[int, int], tuple[str, ...], dict[str, tuple[tuple[tuple[str, str], ...], float]]]]:
        """(cost, core mistakes, for each explained parameter its other mistakes and the deviation) for all combinations."""
        if self.check.scale is None:
            chosen = {name: option for name in NAMES if (option := self.fit(name, self.rights[name], None))}
            yield self.cost((), chosen), (), chosen
            return
        singles = [((mistake.key,), dict(options)) for mistake in MISTAKES for options in mistake.core]
        pairs = [((*a, *b), x | y) for (a, x), (b, y) in itertools.combinations(singles, 2) if not x.keys() & y.keys()]
        for keys, options in [((), {}), *singles, *pairs]:
            with np.errstate(all="ignore"):
                cores = {kind: core(self.check.windows[kind], options) for kind in self.check.kinds}
            chosen = {name: option for name in NAMES if (option := self.last_step(name, cores))}
            yield self.cost(keys, chosen), keys, chosen

    def cost(self, keys: tuple[str, ...], chosen: Mapping[str, tuple[tuple[tuple[str, str], ...], float]]) -> tuple[int, int]:
        """Unexplained parameters first, then the number of different mistakes."""
        others = {key for mistakes, _ in chosen.values() for key in mistakes}
        return len(NAMES) - len(chosen), len(keys) + len(others)

    def last_step(self, name: str, cores: Mapping[str, tuple[Array, Array]]) -> tuple[tuple[tuple[str, str], ...], float] | None:
        """The fewest mistakes in the last step of one gradient that explain hers; None if none do."""
        options: list[tuple[tuple[tuple[str, str], ...], float]] = []
        leaves = [(None, RIGHT[name]), *((m.key, leaf) for m in MISTAKES for leaf in m.leaves.get(name, ()))]
        for key, leaf in leaves:
            arrays = [self.check.scale * leaf(self.check.windows[kind], *pair) for kind, pair in cores.items()]  # type: ignore[operator]
            option = self.fit(name, np.concatenate([array.ravel() for array in arrays]), key)
            if option and not option[0]:
                return option
            if option:
                options.append(option)
        return min(options, key=lambda option: len(option[0]), default=None)

    def fit(self, name: str, hypothesis: Array, key: str | None) -> tuple[tuple[tuple[str, str], ...], float] | None:
        """Whether hers is this hypothesis, or a constant times it: the mistakes, and the deviation."""
        hers, right = self.hers[name], self.rights[name]
        own = ((key, ""),) if key else ()
        deviation = _deviation(hers, np.clip(hypothesis, -self.clip, self.clip), right)
        if deviation < self.equal:
            return own, deviation
        if hypothesis.shape != hers.shape or not np.abs(hypothesis).max(initial=0) > 1e-6 * np.abs(right).max(initial=0):
            return None
        factor = float((hers * hypothesis).sum() / (hypothesis * hypothesis).sum())
        deviation = _deviation(hers, factor * hypothesis, right * factor)
        if not (deviation < self.equal and abs(factor) > 1e-6):
            return None
        return (*own, _factor_in_words(factor, self.T, self.B)), deviation


def _factor_in_words(factor: float, T: int, B: int) -> tuple[str, str]:
    """The mistake of a constant factor, and the factor in words."""
    known = {"T": T, "1/T": 1 / T, "T B": T * B, "1/(T B)": 1 / (T * B), "B": B, "1/B": 1 / B}
    for words, value in known.items():
        if value != 1 and abs(factor / value - 1) < 1e-3:
            return "mean-and-sum", f"it is {words} times the right one"
    if abs(factor + 1) < 1e-3:
        return "sign", ""
    return "factor", f"it is {factor:.6g} times the right one"


def _deviation(a: Array, b: Array, scale: Array) -> float:
    """The largest |a - b|, relative to the largest entry of scale; inf for different sizes."""
    if a.size != b.size:
        return math.inf
    largest = float(np.abs(scale).max(initial=0))
    difference = float(np.abs(a.ravel() - b.ravel()).max(initial=0))
    return difference / largest if largest and math.isfinite(difference) else 0.0 if difference == 0 else math.inf


def _same(a: Any, b: Any) -> bool:
    """Whether two arguments hold the same numbers."""
    if isinstance(a, Mapping):
        return all(key in a and _same(a[key], value) for key, value in b.items())
    if isinstance(a, tuple):
        return all(_same(x, y) for x, y in zip(a, b, strict=True))
    return np.array_equal(a, b)


def _arguments_of(function: Callable[..., Any]) -> int:
    """How many positional arguments a function has; 4 if it does not say."""
    import inspect

    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return 4
    return sum(p.default is p.empty and p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD) for p in parameters)


def where_to_look(wrong: list[str], unexplained: list[str]) -> str:
    """What the right gradients say about a mistake that is in no table."""
    names = ", ".join("d" + name for name in unexplained)
    fine = [name for name in NAMES if name not in wrong]
    said = f"{names} {'is' if len(unexplained) == 1 else 'are'} wrong in a way that is in no table"
    if not fine:
        return said + ", and no gradient is right: begin with g_t = p_t - y_t and dc = sum g_t, on which all others stand."
    hint = {
        "c": "dc = sum g_t, and g_t itself", "V": "dV = sum g_t h_t^T", "b": "db = sum da_t, and da_t itself", "W": "dW = sum da_t h_{t-1}^T",
        "U": "dU[:, x_t] += da_t",
    }  # fmt: skip
    first = next(name for name in ("c", "V", "b", "W", "U") if name in unexplained)
    return f"{said}; {', '.join('d' + name for name in fine)} {'is' if len(fine) == 1 else 'are'} right. Look first at {hint[first]}."
