"""`charrnn bench` as a user meets it; what it compares is tested with the kernels and the NumPy programs."""

import json
import os
import subprocess
from pathlib import Path

from commands import COMMAND, run

import charrnn
from charrnn.bench import compare
from charrnn.cli.bench import BLAS

NOT_A_USERS = {*BLAS, "PYTHONSAFEPATH"}  # settings that the suite makes and a user does not
ENVIRONMENT = {k: v for k, v in os.environ.items() if k not in NOT_A_USERS} | {"PYTHONPATH": str(Path(charrnn.__file__).parents[1])}


def test_bench_compares_and_draws_beside_a_checkout(tmp_path):
    """BLAS's threads are settled in a second process: it must not take a folder named charrnn, as in a checkout, for the package."""
    (tmp_path / "charrnn").mkdir()
    (tmp_path / "charrnn" / "__init__.py").write_text("raise ImportError('not compiled')")
    command = [COMMAND[0], "-P", *COMMAND[1:], "bench", "--rounds", "1", "--sizes", "lab", "--json", "all.json", "--png", "all.png"]
    done = subprocess.run(command, cwd=tmp_path, env=ENVIRONMENT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert "the same losses" in done.stdout
    assert next(line for line in done.stdout.splitlines() if "time ratio" in line).endswith("GFLOP/s  of FMA peak")
    [training] = json.loads((tmp_path / "all.json").read_text("utf-8"))["results"]
    assert training["rows"][0]["program"] == "charrnn, float32"
    assert all(row["seconds_per_update"] > 0 for row in training["rows"])
    assert (tmp_path / "all.png").read_bytes().startswith(b"\x89PNG")


def test_writing_and_scoring_are_compared(monkeypatch):
    monkeypatch.setattr(compare, "READ", [("rnn", 9, 1), ("lstm", 7, 1)])
    monkeypatch.setattr(compare, "LENGTH", 256)
    monkeypatch.setattr(compare, "SECONDS", 0.001)
    said = []
    results = compare.compare(["synthesis", "scoring"], 1, 1, said.append)
    assert len(results) == 4
    for result in results:
        assert result["rows"][0]["program"] == "charrnn, float32"
        assert all(row["seconds_per_update"] > 0 for row in result["rows"])
    lines = "\n".join(said).splitlines()
    assert sum("the same text" in line for line in lines) == 5
    assert all(line.endswith("time ratio") for line in lines if "time ratio" in line)  # a column has a head only where it has figures


def test_bench_refuses_before_any_work(tmp_path):
    for words, says in ((["--rounds", "0"], "rounds"), (["--threads", "x"], "threads"), (["--sizes", "huge"], "huge")):
        out, errors = run("bench", *words, cwd=tmp_path, code=2)
        assert says in errors
        assert out == ""
