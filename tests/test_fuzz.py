"""Every input that the fuzzers keep, among them all that ever went wrong, goes through the same functions again."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[1] / "fuzz"
pytestmark = pytest.mark.skipif(not FOLDER.is_dir(), reason="the fuzzers' folder belongs to the source distribution")


@pytest.fixture(scope="module")
def targets():
    found = importlib.util.spec_from_file_location("fuzz_targets", FOLDER / "targets.py")
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


def inputs(target: str) -> list[Path]:
    return sorted((FOLDER / "corpus" / target).glob("*"))


@pytest.mark.parametrize("target", ["model", "text", "commandline", "recipe", "values"])
def test_there_are_inputs(target):
    assert len(inputs(target)) >= 8


@pytest.mark.parametrize("file", inputs("model"), ids=lambda file: file.name)
def test_model_files(targets, file):
    targets.model(file.read_bytes())


@pytest.mark.parametrize("file", inputs("text"), ids=lambda file: file.name)
def test_texts(targets, file):
    targets.text(file.read_bytes())


@pytest.mark.parametrize("target", ["recipe", "values", "report"])
def test_recipes_values_and_reports(targets, target):
    for file in inputs(target):
        targets.TARGETS[target](file.read_bytes())


def test_command_lines(targets):
    with targets.desk():
        for file in inputs("commandline"):
            targets.commandline(file.read_bytes())


def test_the_command_line_target_sees_what_is_written(targets, monkeypatch):
    """The fuzzer's own alarm: a write is noticed before it happens."""
    with targets.desk():
        monkeypatch.setattr(targets, "_watching", True)
        with pytest.raises(targets.Begun):
            Path("new.txt").write_text("never")
        monkeypatch.setattr(targets, "_watching", False)
        assert not Path("new.txt").exists()
