"""The page of a diagnosis: one HTML file to hand in."""

from __future__ import annotations

import html
from collections.abc import Iterable

Sections = Iterable[tuple[str, list[str]]]  # headings and paragraphs

STYLE = """body { font: 16px/1.5 system-ui, sans-serif; max-width: 62em; margin: 2em auto; padding: 0 1em; color: #222; background: #fff }
h1 { font-size: 1.5em } h1.right, h1.clipped { color: #14691b } h1.wrong { color: #a51d1d } h1.other-loss { color: #8a5a00 }
h4 { margin: 1.5em 0 .3em } pre { white-space: pre-wrap; background: #f5f5f3; padding: .6em .8em; margin: .3em 0; overflow-x: auto }"""


def body(sections: Sections) -> str:
    """The sections of a diagnosis as HTML, without a head: what a notebook shows."""
    return "".join(
        f"<h4>{html.escape(title)}</h4>" + "".join(f"<pre>{html.escape(paragraph)}</pre>" for paragraph in paragraphs)
        for title, paragraphs in sections
    )


def page(title: str, status: str, verdict: str, sections: Sections) -> str:
    """A whole page; title: the name of the file that was checked."""
    return (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>Gradient check of {html.escape(title)}</title>\n'
        f"<style>\n{STYLE}\n</style>\n</head>\n<body>\n<p>Gradient check of {html.escape(title)}</p>\n"
        f'<h1 class="{status}">{html.escape(verdict)}</h1>\n{body(sections)}\n</body>\n</html>\n'
    )
