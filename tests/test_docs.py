"""The pages of docs/: every example of Python runs, every command line and link is right, and no page is left out."""

import doctest
import importlib.util
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

import charrnn
from charrnn.cli import main as cli

DOCS = Path(__file__).resolve().parents[1] / "docs"
PAGES = sorted(DOCS.glob("*.md"))
BLOCK = re.compile(r"^```([\w{}]+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)

pytestmark = [
    pytest.mark.skipif(not PAGES, reason="the pages are part of a checkout and of the source distribution only"),
    pytest.mark.parametrize("page", PAGES, ids=[page.stem for page in PAGES]),
]


def blocks(page, language):
    """(source, the number of the line before it) of each block in a language."""
    text = page.read_text("utf-8")
    return [(found[2], text.count("\n", 0, found.start()) + 1) for found in BLOCK.finditer(text) if found[1] == language]


def test_sessions(page, tmp_path, monkeypatch):
    """What stands at a >>> prompt prints what the page says; all sessions of a page are one."""
    if page.stem == "sklearn":
        pytest.importorskip("sklearn")
    monkeypatch.chdir(tmp_path)
    names = {"__name__": "__main__"}
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS, verbose=False)
    report = []
    for source, line in blocks(page, "pycon"):
        test = doctest.DocTestParser().get_doctest(source, names, page.name, str(page), line)
        runner.run(test, out=report.append, clear_globs=False)
        names = test.globs
    assert not runner.failures, "".join(report)


def test_scripts(page, tmp_path, monkeypatch):
    """Blocks of Python run, one after the other, up to one that is a sketch or needs a package that is not installed."""
    monkeypatch.chdir(tmp_path)
    names = {"__name__": "__main__"}
    for source, line in blocks(page, "python"):
        imported = re.findall(r"^(?:import|from) (\w+)", source, re.MULTILINE)
        if re.search(r"^ *\.\.\.$", source, re.MULTILINE) or not all(map(importlib.util.find_spec, imported)):
            break
        exec(compile("\n" * line + source, str(page), "exec"), names)


def test_commands(page):
    """Command lines are understood; what they do is tested elsewhere."""
    for source, line in blocks(page, "console"):
        for command in re.findall(r"^\$ (.*)$", source.replace("\\\n", " "), re.MULTILINE):
            for part in re.split(r" (?:\||&&) ", command):
                words = shlex.split(part.split(" > ")[0].split(" < ")[0], comments=True)
                if words[0] != "charrnn" or words[1:] in (["--help"], ["--version"]):
                    continue
                module = importlib.import_module(cli.COMMANDS[words[1]][0])
                parser = cli.Parser(prog=f"{page.name}, line {line}: {words[1]}")
                module.add_arguments(parser)
                if words[2:] != ["--help"]:
                    parser.parse(words[2:])


@pytest.mark.skipif(shutil.which("hadolint") is None, reason="hadolint is not installed")
def test_dockerfiles(page, tmp_path):
    """They are built nowhere, but the linter has nothing to say."""
    for source, _ in blocks(page, "dockerfile"):
        (tmp_path / "Dockerfile").write_text(source, "utf-8")
        subprocess.run(["hadolint", tmp_path / "Dockerfile"], check=True)


def anchors(page):
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in HEADING.findall(page.read_text("utf-8"))}


def test_links(page):
    """Links to other pages, to their headings and to files of the project lead somewhere."""
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text("utf-8")):
        if re.match(r"https?://", target):
            continue
        name, _, anchor = target.partition("#")
        there = (page.parent / name) if name else page
        assert there.is_file(), target
        assert not anchor or anchor in anchors(there), target


def test_named_tests(page):
    """A test file or test that a page names is there."""
    root = DOCS.parent
    for name, test in re.findall(r"`(?:pytest )?(tests/\w+\.py)(?:::(\w+))?", page.read_text("utf-8")):
        assert (root / name).is_file(), name
        assert not test or f"def {test}(" in (root / name).read_text("utf-8"), f"{name}::{test}"


def test_the_table_of_contents_names_every_page(page):
    listed = " ".join(source for source, _ in blocks(DOCS / "index.md", "{toctree}")).split()
    assert page.stem in [*listed, "index"]


def test_reference(page):
    """Every public name has a place in the reference."""
    if page.stem == "api":
        named = set(re.findall(r"^\.\. auto\w+:: (\w+)(?:\(\))?$", page.read_text("utf-8"), re.MULTILINE))
        assert named == set(charrnn.__all__)
