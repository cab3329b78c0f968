"""What the check of somebody's own gradients found, in numbers and in words."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from charrnn.gradients.report import GradientReport, plain, wrapped
from charrnn.lab.mistakes import NAMES, Mistake

ROUGHLY = 1e-2  # how well numerical gradients of others, with steps of their own, have to agree with the right ones


@dataclass(frozen=True)
class Finding:
    """A mistake, the gradients that show it, and the evidence.

    fits and off: how far a gradient with this mistake, and the right one, are from the given one, relative to the largest entry.
    """

    mistake: Mistake
    parameters: tuple[str, ...]
    fits: float
    off: float
    detail: str = ""
    evidence: str = ""

    def __str__(self) -> str:
        m = self.mistake
        off = "has another shape" if math.isinf(self.off) else f"is off by {self.off:.0e}"
        equal = f"a gradient with this mistake equals yours to {self.fits:.0e} of its largest entry; the right one {off}"
        first = f"{', '.join('d' + name for name in self.parameters)}: {m.name}" + (f" ({self.detail})" if self.detail else "")
        rest = {"mathematics": m.mathematics, "instead": m.instead, "evidence": self.evidence or equal, "what to do": m.advice}
        return "\n".join([first, *(wrapped(f"    {title:12} {words}", 17 * " ") for title, words in rest.items())])


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

        def told(finding: Finding) -> dict[str, Any]:
            words = {key: getattr(finding.mistake, key) for key in ("key", "name", "mathematics", "instead", "advice")}
            return words | {key: plain(getattr(finding, key)) for key in ("parameters", "fits", "off", "detail", "evidence")}

        return {
            "passed": self.passed,
            "convention": self.convention,
            "loss": self.loss,
            "report": self.report.to_json(),
            "against_charrnn": {name: plain(error) for name, error in self.against_charrnn.items()},
            "findings": [told(f) for f in self.findings],
            "remarks": self.remarks,
            "checker_findings": [told(f) for f in self.checker_findings],
            "checker_errors": {name: plain(error) for name, error in self.checker_errors.items()},
        }

    def sections(self) -> Iterator[tuple[str, list[str]]]:
        """Headings and paragraphs."""
        yield "How your function was called", [wrapped(self.convention + "."), wrapped(f"Its loss is {self.loss}.")]
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
            yield "Also", [wrapped(remark) for remark in self.remarks]
        yield "In short", [self.verdict()]

    def verdict(self) -> str:
        """One sentence."""
        wrong = {name for f in self.findings for name in f.parameters} | {row.name for row in self.report.rows if not row.passed}
        names = ", ".join("d" + name for name in NAMES if name in wrong)
        sentence = f"Wrong: {names}" if wrong else "Your gradients are right"
        if self.checker_errors:
            checker = "wrong" if self.checker_findings or self.checker_wrong else "right"
            sentence += f"; your numerical gradients are {checker}"
        return sentence + "."

    def __str__(self) -> str:
        return "\n\n".join(f"{title}\n{'-' * len(title)}\n" + "\n".join(paragraphs) for title, paragraphs in self.sections())

    def _repr_html_(self) -> str:
        import html

        return "".join(
            f"<h4>{html.escape(title)}</h4>" + "".join(f"<pre>{html.escape(paragraph)}</pre>" for paragraph in paragraphs)
            for title, paragraphs in self.sections()
        )


def where_to_look(wrong: list[str], unexplained: list[str]) -> str:
    """What the right gradients say about a mistake that is in no table."""
    names = ", ".join("d" + name for name in unexplained)
    fine = [name for name in NAMES if name not in wrong]
    said = f"{names} {'is' if len(unexplained) == 1 else 'are'} wrong in a way that is in no table"
    if not fine:
        return said + ", and no gradient is right: begin with g_t = p_t - y_t and dc = sum g_t, on which all others stand."
    hint = {
        "c": "dc = sum g_t, and g_t itself",
        "V": "dV = sum g_t h_t^T",
        "b": "db = sum da_t, and da_t itself",
        "W": "dW = sum da_t h_{t-1}^T",
        "U": "dU[:, x_t] += da_t",
    }
    first = next(name for name in ("c", "V", "b", "W", "U") if name in unexplained)
    return f"{said}; {', '.join('d' + name for name in fine)} {'is' if len(fine) == 1 else 'are'} right. Look first at {hint[first]}."
