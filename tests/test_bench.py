"""`charrnn bench` as a user meets it; what it compares is tested with the kernels and the NumPy programs."""

import json
import os
import subprocess
import sys
from pathlib import Path

import charrnn
from charrnn.cli.bench import BLAS

NOT_A_USERS = {*BLAS, "PYTHONSAFEPATH"}  # settings that the suite makes and a user does not
ENVIRONMENT = {k: v for k, v in os.environ.items() if k not in NOT_A_USERS} | {"PYTHONPATH": str(Path(charrnn.__file__).parents[1])}


def bench(*words, cwd):
    command = [sys.executable, "-P", "-m", "charrnn", "bench", *words]
    return subprocess.run(command, cwd=cwd, env=ENVIRONMENT, capture_output=True, text=True, timeout=120)


def test_bench_compares_and_draws_beside_a_checkout(tmp_path):
    """BLAS's threads are settled in a second process: it must not take a folder named charrnn, as in a checkout, for the package."""
    (tmp_path / "charrnn").mkdir()
    (tmp_path / "charrnn" / "__init__.py").write_text("raise ImportError('not compiled')")
    done = bench("--rounds", "1", "--sizes", "lab", "synthesis", "--json", "all.json", "--png", "all.png", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "the same losses" in done.stdout
    first, second = (line for line in done.stdout.splitlines() if "time ratio" in line)
    assert first.endswith("GFLOP/s  of FMA peak")
    assert second.endswith("time ratio")  # a column has a head only where it has figures
    training, synthesis = json.loads((tmp_path / "all.json").read_text("utf-8"))["results"]
    assert training["rows"][0]["program"] == "charrnn, float32"
    assert all(row["seconds_per_update"] > 0 for row in training["rows"] + synthesis["rows"])
    assert (tmp_path / "all.png").read_bytes().startswith(b"\x89PNG")


def test_bench_refuses_before_any_work(tmp_path):
    for words, says in ((["--rounds", "0"], "rounds"), (["--threads", "x"], "threads"), (["--sizes", "huge"], "huge")):
        done = bench(*words, cwd=tmp_path)
        assert done.returncode == 2
        assert says in done.stderr
        assert done.stdout == ""
