"""charrnn/kernels.py: which level runs, and what is said about it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import charrnn
from charrnn import _cpu
from charrnn.cli import main as cli
from charrnn.errors import CharRNNError, KernelsError
from charrnn.network import kernels, reference


@pytest.fixture
def processor(monkeypatch):
    """Pretend to be a processor that runs these levels, with nothing forced."""
    monkeypatch.delenv("CHARRNN_KERNELS", raising=False)
    return lambda *levels: monkeypatch.setattr(_cpu, "levels", lambda: list(levels))


def test_the_best_level_is_chosen(processor):
    processor("base")
    assert kernels.available() == ["base", "numpy"]
    assert kernels.chosen() == "base"
    assert kernels.get().__name__ == "charrnn._kernels_base"


def test_real_processors_run_base_and_what_they_say(monkeypatch):
    monkeypatch.delenv("CHARRNN_KERNELS", raising=False)
    have = kernels.available()
    assert have[-2:] == ["base", "numpy"]
    assert have == sorted(have, key=kernels.LEVELS.index, reverse=True)
    for level in have[:-1]:
        assert kernels.get(level).__name__ == f"charrnn._kernels_{level}"
    assert kernels.get("numpy") is reference


def test_a_level_that_was_not_built_is_not_available(processor):
    processor("v9", "base")
    assert kernels.available() == ["base", "numpy"]


def test_the_environment_forces_a_level(processor, monkeypatch, level):
    monkeypatch.setenv("CHARRNN_KERNELS", level)
    assert kernels.chosen() == level
    assert charrnn.CharRNN(hidden_size=3).level == level
    assert f"kernels   {level} (forced by CHARRNN_KERNELS={level})" in kernels.show_config()


@pytest.mark.parametrize("wanted", ["v5", "avx2", "BASE", "base ", "numpy,base", "../base", "é"])
def test_unknown_levels_raise(monkeypatch, wanted):
    monkeypatch.setenv("CHARRNN_KERNELS", wanted)
    with pytest.raises(KernelsError, match=r"is no level; this machine runs .*base, numpy") as caught:
        kernels.chosen()
    assert repr(wanted) in str(caught.value)
    assert isinstance(caught.value, CharRNNError)
    with pytest.raises(KernelsError):
        charrnn.CharRNN(hidden_size=3)


def test_levels_that_this_processor_lacks_raise_and_are_not_imported(processor, monkeypatch):
    processor("base")
    monkeypatch.setenv("CHARRNN_KERNELS", "v4")
    with pytest.raises(KernelsError, match=r"^CHARRNN_KERNELS='v4' cannot run on this machine, which runs base, numpy$"):
        kernels.get()
    with pytest.raises(KernelsError, match=r"^kernels 'v4' are not available; this machine runs base, numpy$"):
        kernels.get("v4")
    with pytest.raises(KernelsError):
        charrnn.CharRNN(hidden_size=3, level="v3")


@pytest.mark.parametrize("empty", ["", None])
def test_an_empty_variable_forces_nothing(processor, monkeypatch, empty):
    processor("base")
    if empty is not None:
        monkeypatch.setenv("CHARRNN_KERNELS", empty)
    assert kernels.chosen() == "base"
    assert "kernels   base (the best that was built for this processor)" in kernels.show_config()


def test_show_config_says_what_runs_and_why(processor):
    processor("base")
    lines = kernels.show_config().splitlines()
    assert [line.split()[0] for line in lines] == ["charrnn", "processor", "kernels", "available"]
    assert charrnn.__version__ in lines[0]
    assert "cores" in lines[1]
    assert lines[3] == "available base, numpy"


def test_levels_are_imported_only_when_they_are_used():
    """The initialisation of a module is compiled for its level, too: on another processor the import itself would crash."""
    program = "import sys, charrnn; charrnn.show_config(); print([name for name in sys.modules if '_kernels_' in name])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_checkout_that_is_not_compiled_says_what_to_do(monkeypatch, capsys):
    monkeypatch.delenv("CHARRNN_KERNELS", raising=False)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(KernelsError, match=r"charrnn is not compiled: install it there with `pip install -e \.`"):
        charrnn.CharRNN()
    assert cli.main(["info"]) == 1
    said = capsys.readouterr()
    assert said.err.startswith(f"charrnn info: error: charrnn in {Path(kernels.__file__).parents[1]} is not compiled")
    assert (said.err.count("\n"), said.out) == (1, "")
    monkeypatch.setenv("CHARRNN_KERNELS", "numpy")
    assert charrnn.CharRNN().kernels is reference
