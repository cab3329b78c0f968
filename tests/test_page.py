"""A report's pages as those see them who were sent one: what is quoted in them is text, and nothing else."""

import html
import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from charrnn.cli.main import main
from charrnn.report import explain, page

NASTY = "<script>alert(1)</script> [click](http://evil.example) **bold** `code` ![x](y) | cell | _em_ &lt; "
NASTY += "<!-- \x1b[2J\x07 \u202e \ud800 # 1\n\n# heading\n- item"


def rendered(markdown):
    """Markdown as HTML, as GitHub's would be."""
    markdown_it = pytest.importorskip("markdown_it")
    return markdown_it.MarkdownIt("commonmark").enable(["table", "strikethrough"]).render(markdown)


@given(st.text(max_size=40) | st.text("*_`[]()<>#|~&!-+=.:\\1 a\n\t", max_size=20))
def test_flat_text_is_a_paragraph_of_that_text(text):
    shown = "".join(map(page.visible, text)).strip()
    found = rendered(page.flat(text))
    assert not shown or re.fullmatch(r"<p>[^<>]*</p>\n", found)
    assert " ".join(html.unescape(found.removeprefix("<p>").removesuffix("</p>\n")).split()) == " ".join(shown.split())


@pytest.fixture(scope="module")
def nasty(tmp_path_factory):
    """The pages of a report in which every text that it quotes is a nasty one."""
    folder = tmp_path_factory.mktemp("page")
    (folder / "text.txt").write_text("The quick brown fox jumps over the lazy dog.\n" * 20, "utf-8")
    words = [
        "--out",
        str(folder / "report"),
        "--quiet",
        "--hidden-size",
        "3",
        "--seq-length",
        "5",
        "--updates",
        "20",
        "--sample-every",
        "10",
    ]
    assert main(["report", str(folder / "text.txt"), *words]) == 0
    report = json.loads((folder / "report" / "report.json").read_text("utf-8"))
    assert report["recipe"]["description"]  # else nothing is tested
    report["runs"][0] |= {"notes": [NASTY], "label": NASTY}
    failed = report["runs"][0] | {"error": NASTY, "best": None, "done": 0, "samples": [], "curve": {"steps": []}}
    report["runs"] += [failed]
    report["recipe"] |= {"description": NASTY, "source": NASTY, "name": NASTY, "toml": NASTY}
    report |= {"title": NASTY, "complete": False, "missing": [NASTY], "command": NASTY, "resume_command": NASTY}
    report["text"] |= {"name": NASTY, "description": NASTY}
    report["made"] |= {"machine": NASTY, "date": NASTY}
    report["timings"] = [[NASTY, 1.0]]
    for check in report["gradients"]:
        check["notes"] = [NASTY]
        check["rows"] = [row | {"state": NASTY, "name": NASTY} for row in check["rows"]]
    return page.pages(report)


def test_markdown_quotes_everything_as_text(nasty):
    markdown = nasty["report.md"]
    assert not set(markdown) & {*map(chr, range(9)), *map(chr, range(11, 32)), "\u202e"}
    outside = re.sub(r"^(`{3,})text\n.*?^\1$", "", markdown, flags=re.DOTALL | re.MULTILINE)
    assert markdown.count("alert") > 15
    found = rendered(outside)
    tags = set(re.findall(r"<(\w+)", found))
    assert tags <= {"h1", "h2", "h3", "p", "table", "thead", "tbody", "tr", "th", "td", "strong", "img"}, tags
    images = re.findall(r'<img src="([^"]*)"', found)
    assert images
    assert all(name.startswith("figures/") for name in images)
    assert set(re.findall(r"<h\d>(.*?)</h\d>", found)) >= {"Settings", "The text"}
    assert "<h1>heading" not in found
    assert "<strong>bold" not in found
    rows = {
        row.count("<td") for table in re.findall(r"<tbody>(.*?)</tbody>", found, re.DOTALL) for row in table.split("</tr>") if "<td" in row
    }
    assert rows <= {2, 6, 9}  # no cell was split in two


POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"


def test_pages_can_load_and_run_nothing(nasty):
    from charrnn import CharRNN

    explained = explain.to_html(explain.look(CharRNN(hidden_size=4, vocabulary="ab "), "ab ba " * 20), title=NASTY)
    for text in (nasty["report.html"], explained):
        policy = f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        assert text.count(policy) == 1
        assert text.index(policy) < text.index("<style")
        assert text.index(policy) < text.index("<title")
        assert "<script" not in text
        assert not re.search(r"<[^>]*\son\w+=", text)
        assert not re.search(r'(?:src|href)="(?!#)', text)


def test_no_control_character_is_in_a_page(nasty):
    head, body = nasty["report.html"].split("<body>")
    assert "⟨ESC⟩" in body
    assert not set(body) & {"\x1b", "\x07", "\u202e"}
    assert "\x1b" not in head
