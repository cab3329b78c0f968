"""What the check of somebody's own gradients found, in numbers and in words."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from charrnn.lab.comparison import Comparison, plain, wrapped
from charrnn.lab.mistakes import Mistake

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
    """What `check_gradients` found. Print it; `status` is "right", "clipped", "other-loss" or "wrong".

    clipped: right, but kept small before they are returned. other-loss: right for the cross-entropy, which is not the loss that is
    returned. `passed`: whether the gradients are right, clipped or not, and so are the numerical ones if there are any.

    report: the gradients against differences of the function's own loss. against_charrnn: by parameter, the largest relative error
    to charrnn's gradient of the same loss (empty if it is another loss). wrong: the parameters whose gradients are wrong, apart from
    clipping. findings: the mistakes in the gradients, and checker_findings those in the numerical gradient. narrowed: where it shows what
    has no name. arguments: those of the function, in its own style, at which numerical gradients are expected. found: what of the
    program was called. left_out: the lines of its file that were not executed.
    """

    convention: str
    loss: str
    report: Comparison
    against_charrnn: dict[str, float]
    findings: list[Finding]
    remarks: list[str]
    arguments: tuple[Any, ...]
    names: tuple[str, ...] = ("U", "W", "V", "b", "c")
    wrong: list[str] = field(default_factory=list)
    narrowed: list[str] = field(default_factory=list)
    entropy: str = ""
    found: str = ""
    left_out: list[str] = field(default_factory=list)
    checker_findings: list[Finding] = field(default_factory=list)
    checker_errors: dict[str, float] = field(default_factory=dict)

    @property
    def status(self) -> str:
        """In one word: "right", "clipped", "other-loss" or "wrong"."""
        if self.wrong:
            return "wrong"
        return "other-loss" if self.entropy else "clipped" if self.clipped else "right"

    @property
    def clipped(self) -> Finding | None:
        """The finding that the gradients are clipped, if they are."""
        return next((finding for finding in self.findings if finding.mistake.key == "clipped"), None)

    @property
    def passed(self) -> bool:
        """Whether the gradients, and the numerical ones if there are any, are right."""
        return self.status in ("right", "clipped") and not self.checker_findings and not self.checker_wrong

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
            "status": self.status,
            "passed": self.passed,
            "verdict": self.verdict(),
            "wrong": self.wrong,
            "found": self.found,
            "left_out": self.left_out,
            "convention": self.convention,
            "loss": self.loss,
            "report": self.report.to_json(),
            "against_charrnn": {name: plain(error) for name, error in self.against_charrnn.items()},
            "findings": [told(f) for f in self.findings],
            "narrowed": self.narrowed,
            "remarks": self.remarks,
            "checker_findings": [told(f) for f in self.checker_findings],
            "checker_errors": {name: plain(error) for name, error in self.checker_errors.items()},
        }

    def sections(self) -> Iterator[tuple[str, list[str]]]:
        """Headings and paragraphs."""
        if self.found:
            lines = [wrapped(f"Checked: {self.found}.")]
            if self.left_out:
                lines.append(wrapped(f"Not executed, because no gradient needs it: {'; '.join(self.left_out)}."))
            yield "What was found", lines
        yield "How your function was called", [wrapped(self.convention + "."), wrapped(f"Its loss is {self.loss}.")]
        yield "Your gradients against differences of your own loss", [str(self.report)]
        if self.against_charrnn:
            errors = ", ".join(f"d{name} {error:.0e}" for name, error in self.against_charrnn.items())
            yield "Your gradients against charrnn's", [f"Largest difference, relative to the largest entry: {errors}."]
        if self.checker_errors:
            errors = ", ".join(f"d{name} {error:.0e}" for name, error in self.checker_errors.items())
            yield "Your numerical gradients", [f"Largest difference to ours, relative to the largest entry: {errors}."]
        mistakes = [f for f in self.findings if self.status == "wrong" or f is not self.clipped]
        if mistakes:
            yield "What is wrong with your gradients", [f"{i}. {finding}" for i, finding in enumerate(mistakes, 1)]
        elif self.clipped:
            yield "Clipped", [str(self.clipped)]
        if self.narrowed:
            yield "Where it shows", [wrapped(words) for words in self.narrowed]
        if self.checker_findings:
            yield "What is wrong with your check", [f"{i}. {finding}" for i, finding in enumerate(self.checker_findings, 1)]
        if self.remarks:
            yield "Also", [wrapped(remark) for remark in self.remarks]
        yield "In short", [wrapped(self.verdict())]

    def verdict(self) -> str:
        """One sentence."""
        clipped = f" clipped {self.clipped.detail}" if self.clipped else ""
        sentence = {
            "right": "Your gradients are right",
            "clipped": f"Right, but{clipped}: your gradients are right, and cut off before they are returned",
            "other-loss": f"Right for the cross-entropy ({self.entropy}), but the loss that you return is another one"
            + (f"; and{clipped}" if clipped else ""),
            "wrong": f"Wrong: {', '.join('d' + name for name in self.names if name in self.wrong)}"
            + (f"; and{clipped}" if clipped else ""),
        }[self.status]
        if self.checker_errors:
            checker = "wrong" if self.checker_findings or self.checker_wrong else "right"
            sentence += f"; your numerical gradients are {checker}"
        return sentence + "."

    def __str__(self) -> str:
        return "\n\n".join(f"{title}\n{'-' * len(title)}\n" + "\n".join(paragraphs) for title, paragraphs in self.sections())

    def _repr_html_(self) -> str:
        from charrnn.lab.page import body

        return body(self.sections())
