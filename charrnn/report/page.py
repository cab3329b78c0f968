"""A report's pages, made from its numbers alone: report.html, all in one, and report.md with its pictures in files."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from charrnn.display import plots
from charrnn.display.visible import visible
from charrnn.errors import one_line

if TYPE_CHECKING:
    import jinja2
    from markupsafe import Markup

Report = dict[str, Any]

TEMPLATES = Path(__file__).parent / "templates"
Drawing = tuple[Callable[[Any], None], tuple[float, float], str]
ROWS = 12  # samples that a page shows of each run


def pages(report: Report) -> dict[str, str | bytes]:
    """The files that people look at: {"report.html": ..., "report.md": ..., "figures/loss-1.png": ...}."""
    view = view_of(report)
    drawings = dict(figures(view))
    drawn = {
        name: {"wide": plots.as_svg(*d, name), "narrow": plots.as_svg(*d, f"{name}-narrow", narrow=True)} for name, d in drawings.items()
    }
    page = environment(html=True).get_template("report.html.j2").render(view, figures=marked(drawn))
    markdown = environment(html=False).get_template("report.md.j2").render(view, figures=drawn)
    files: dict[str, str | bytes] = {"report.html": page, "report.md": tidy(markdown)}
    return files | {f"figures/{name}.png": plots.as_png(*drawing) for name, drawing in drawings.items()}


def view_of(report: Report) -> Report:
    """What the templates see: the report, its runs numbered and ranked, and of each the samples to be shown."""
    runs = [run | {"index": i, "shown": thinned(run["samples"])} for i, run in enumerate(report["runs"], 1)]
    ranked = sorted(runs, key=lambda run: run["best"]["loss_per_char"] if run["best"] else math.inf)
    return report | {
        "runs": runs,
        "ranked": ranked,
        "best_run": ranked[0] if ranked and ranked[0]["best"] else None,
        "raw": report["text"]["raw_bytes"],
        "css": style(),
    }


def figures(view: Report) -> Iterator[tuple[str, Drawing]]:
    """The name of each picture; what draws it, how high it is for its width (wide and narrow), and a title."""
    runs = [run for run in view["runs"] if run["curve"]["steps"]]
    if len(view["runs"]) > 1 and runs:
        curves = {run["label"]: passes_and_losses(run) for run in runs}
        heights = 0.55 + 0.016 * len(runs), 0.9 + 0.05 * len(runs)  # the legend's lines are part of it
        draw = partial(plots.draw_comparison, curves=curves)
        yield "comparison", (draw, heights, "Loss of every run over the epochs")
    for run in runs:
        draw = partial(plots.draw_run, curve=curve_of(run), means=run["curve"]["mean_loss_per_char"])
        yield f"loss-{run['index']}", (draw, (0.56, 0.8), "Loss over the updates")
        known = [(s["step"], s["known_words"], s["known_interval"]) for s in run["samples"] if s["known_words"] is not None]
        if len(known) > 1:
            draw = partial(plots.draw_known_words, known=known)
            yield f"words-{run['index']}", (draw, (0.36, 0.52), "Share of known words")


def passes_and_losses(run: Report) -> tuple[list[float], list[float]]:
    """A run's curve over how often it has gone through the text: windows of any length compare fairly there."""
    unit = run["characters_per_window"] / run["characters"]
    return [step * unit for step in run["curve"]["steps"]], run["curve"]["smooth_loss_per_char"]


def curve_of(run: Report) -> plots.Curve:
    """The loss curve of a run."""
    curve, best = run["curve"], run["best"]
    return plots.Curve(
        np.array(curve["steps"]),
        np.array(curve["smooth_loss_per_char"]),
        run["epoch_steps"],
        run["expected_first_loss_per_char"],
        run["characters_per_window"],
        [(step, loss) for step, loss in run["validation"]],
        (best["step"], best["loss_per_char"]),
        name=run.get("measure", "smooth loss"),
    )


def thinned(samples: list[Report]) -> list[Report]:
    """At most `ROWS` samples, the first and the last among them; of many, those at round numbers of updates."""
    if len(samples) <= ROWS:
        return samples
    round_ones = [s for i, s in enumerate(samples) if i == 0 or s["step"] % 10_000 == 0]
    chosen = round_ones if len(round_ones) > ROWS // 2 else samples
    if len(chosen) <= ROWS:
        return chosen
    return [chosen[round(i * (len(chosen) - 1) / (ROWS - 1))] for i in range(ROWS)]


def style() -> Markup:
    """The style sheet that all pages but that of `charrnn explain` have."""
    from markupsafe import Markup

    return Markup((TEMPLATES / "page.css").read_text("utf-8"))


# ---- what the templates can ask for ----------------------------------------------------------------------------------------


def environment(html: bool) -> jinja2.Environment:
    """The templates' engine: it escapes everything that is not markup of our own, for HTML or for Markdown."""
    import jinja2

    env = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        finalize=seen if html else flattened,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    env.filters |= {
        "visible": visible_html,
        "fenced": fenced,
        "spelled": spelled,
        "one_line": one_line_html,
        "around": around,
        "n": "{:,}".format,
        "fixed": lambda value, digits: f"{value:.{digits}f}",
        "science": science,
        "exp": math.exp,
        "percent": percent,
        "within": within,
        "largest": largest,
        "seconds": seconds,
        "setting": setting,
    }
    return env


def marked(value: Any) -> Any:
    """Strings of our own making, alone or in dictionaries, as markup that is not escaped again."""
    from markupsafe import Markup

    return {key: marked(each) for key, each in value.items()} if isinstance(value, dict) else Markup(value)


def visible_html(text: str, raw: bool = False, label: bool = False) -> Markup:
    """A text as HTML that shows every character: what is invisible stands there as a symbol, and only line ends act.

    raw: the characters stand for bytes. label: a single character, of which spaces and line ends are shown too.

    >>> print(visible_html("<b> & \\t"))
    &lt;b&gt; &amp; <span class="control">⇥</span>
    """
    from markupsafe import Markup, escape

    out: list[str] = []
    for character in text:
        if character == " ":
            out.append("␣" if label else " ")
        elif character == "\n" and not label:
            out.append("\n")
        else:
            seen = visible(character, raw)
            out.append(str(escape(seen)) if seen == character else f'<span class="control">{seen}</span>')
    return Markup("".join(out))


def spelled(character: str, raw: bool = False) -> str:
    """A character as a label: spaces are shown too, and a combining mark gets something to stand on.

    >>> spelled(" "), spelled("\\u0301")
    ('␣', '◌́')
    """
    if character == " ":
        return "␣"
    return ("◌" if unicodedata.combining(character) else "") + visible(character, raw)


def fenced(text: str, raw: bool = False) -> Markup:
    """A text as a code block of Markdown, in a fence that is longer than any in it."""
    from markupsafe import Markup

    longest = max(map(len, re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    shown = "".join(c if c == "\n" else visible(c, raw) for c in text)
    return Markup(f"{fence}text\n{shown}\n{fence}")


def flat(text: str) -> str:
    """A text as one line of Markdown that is nothing but text.

    >>> print(flat("my_book*.txt"), flat("- 1 < 2 &lt; ~3~"), flat("1. a"), sep="; ")
    my\\_book\\*.txt; \\- 1 \\< 2 \\&lt; \\~3\\~; 1\\. a
    """
    shown = re.sub(r"([\\`*_{}\[\]<>()#|~&])", r"\\\1", "".join(map(visible, text)).strip())
    return re.sub(r"^(\d*)([-+=.)])(?=[\s=-]|$)", r"\1\\\2", shown)  # what would begin a list or underline a heading


def one_line_html(text: str) -> Markup:
    """A text where HTML allows no other element: for a page's title."""
    from markupsafe import escape

    return escape(one_line(text))


def seen(value: Any) -> Any:
    """What a template of HTML puts in: markup of our own as it is, of a string every character visible."""
    return visible_html(value) if type(value) is str else value


def flattened(value: Any) -> Any:
    """What a template of Markdown puts in: markup of our own as it is, anything else `flat`."""
    from markupsafe import Markup

    return value if isinstance(value, Markup) else Markup(flat(value if isinstance(value, str) else str(value)))


def around(text: str, part: str) -> tuple[str, str, str]:
    """What stands before the first occurrence of a part, the part, and what stands after it."""
    return text.partition(part) if part else (text, "", "")


def percent(fraction: float | None) -> str:
    """A fraction of 1 for a reader: "41 %", or a dash for none."""
    return "–" if fraction is None else f"{100 * fraction:.0f} %"


def within(interval: Sequence[float] | None) -> str:
    """An interval of a fraction of 1 for a reader.

    >>> within((0.351, 0.649)), within(None)
    ('35–65 %', '')
    """
    return "" if interval is None else f"{100 * interval[0]:.0f}–{100 * interval[1]:.0f} %"


def largest(rows: Sequence[Report], name: str) -> float | None:
    """The largest error in the rows of a gradient check; None where one is not finite."""
    found = [row[name] for row in rows]
    return None if None in found or not found else max(found)


def science(value: float | None) -> str:
    """An error for a reader."""
    return "not finite" if value is None else f"{value:.1e}"


def seconds(time: float) -> str:
    """A time for a reader.

    >>> seconds(0.123), seconds(12.34), seconds(200)
    ('0.12 s', '12.3 s', '3 min 20 s')
    """
    if time >= 100:
        return f"{round(time) // 60} min {round(time) % 60} s"
    return f"{time:.1f} s" if time >= 10 else f"{time:.2f} s"


def setting(value: Any) -> str:
    """A setting as recipes write it."""
    if value is None or isinstance(value, bool):
        return {None: "none", True: "true", False: "false"}[value]
    return f"{value:g}" if isinstance(value, float) else f"{value:,}" if isinstance(value, int) else str(value)


def tidy(text: str) -> str:
    """Markdown without runs of empty lines outside of code blocks."""
    out: list[str] = []
    fence = ""
    for line in text.splitlines():
        opened = re.match("`{3,}", line)
        if opened and not fence:
            fence = opened.group()
        elif fence and line == fence:
            fence = ""
        if fence or line or (out and out[-1]):
            out.append(line)
    return "\n".join(out) + "\n"
