"""A small sweep, and what must be the same however it was made."""

import json
from pathlib import Path

from charrnn import Recipe
from charrnn.runs.verification import timeless

TEXT = "the tide comes in, the tide goes out; nobody asked the tide. " * 30
GRID = [{"learning_rate": rate, "hidden_size": size, "seed": seed} for rate in (0.05, 0.1) for size in (4, 6, 8) for seed in (0, 1)]
RECIPE = Recipe("small", training={"updates": 120, "seq_length": 6, "sample_every": 50, "sample_length": 20}, grid=GRID)
PLAN = {"checkpoint_every": 20, "progress": False}
OF_THE_CLOCK = ("sweep.html", "work.jsonl", "metrics.csv")  # the last says what metrics.jsonl says
TABLES = ("sweep.jsonl", "sweep.csv")


def files(folder: Path) -> dict[str, object]:
    """Every file of a sweep by name, without the clock's part."""
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.name not in OF_THE_CLOCK and path.parent.name != "checkpoints":
            found[str(path.relative_to(folder))] = timeless(path) if path.name == "metrics.jsonl" else path.read_bytes()
    return found


def lines(path: Path) -> list[dict]:
    """The whole lines of a file of JSON lines, which may be growing."""
    return [json.loads(line) for line in path.read_text("utf-8").split("\n")[:-1]] if path.exists() else []


def work(folder: Path) -> dict[str, list[dict]]:
    """Of each run's folder who worked at it, and when."""
    return {path.parent.name: lines(path) for path in (folder / "runs").glob("*/work.jsonl")}


def ends(log: list[dict], updates: int) -> int:
    """How often a run was brought to its end."""
    return sum(line.get("to") == updates for line in log)
