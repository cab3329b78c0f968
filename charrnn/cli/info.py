"""charrnn info: which kernels run on this machine, and what is in a model file."""

from __future__ import annotations

import argparse
from typing import Any

from charrnn.cli import options
from charrnn.errors import one_line
from charrnn.files.schema import dumps
from charrnn.model import CharRNN
from charrnn.network import kernels
from charrnn.network.blocks import parameter_count
from charrnn.runs.folder import model_in
from charrnn.training import saved
from charrnn.version import __version__

EXAMPLES = """\
examples:
  charrnn info                   version, processor and kernels, for a bug report
  charrnn info charrnn-run       the best model of a run: sizes, vocabulary, training
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of charrnn info."""
    options.add_model(parser, nargs="?")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(args: argparse.Namespace) -> int:
    """Print the machine's or the model's description."""
    facts = machine() if args.model is None else describe(model_in(args.model))
    if args.json:
        print(dumps(facts))
    elif args.model is None:
        print(kernels.show_config())
    else:
        show(facts)
    return 0


def machine() -> dict[str, Any]:
    """What `show_config` says, for programs."""
    return {"charrnn": __version__, "kernels": kernels.chosen(), "available": kernels.available()}


def describe(path: str) -> dict[str, Any]:
    """Everything that a model file says about itself."""
    file, name = saved.read(path)
    model = CharRNN.from_file(file, name)
    about = {key: value for key, value in file.metadata.items() if key != "vocabulary"}
    architecture = model.network.architecture
    sizes = {"network": str(architecture), "parameters": parameter_count(architecture), "K": architecture.symbols}
    known = {"raw_bytes": model.vocabulary.raw_bytes, "characters": model.vocabulary.characters}
    return about | {"file": path, "kind": file.kind} | sizes | known  # whatever others have called theirs


def show(facts: dict[str, Any]) -> None:
    """The description for a person."""
    found, number = facts.get("training") or facts.get("run"), (int, float)  # the latter in a checkpoint
    done = found if isinstance(found, dict) else {}
    chosen, step = done.get("settings"), done.get("step")  # of whatever type
    loss = done.get("loss_per_char", done.get("smooth_loss_per_char"))
    settings = [f"{key} {value}" for key, value in chosen.items() if value is not None] if isinstance(chosen, dict) else []
    unknown = ", others are read as U+FFFD" if facts.get("unknown_character") else ""
    rows = {
        facts["kind"]: facts["file"],
        "network": f"{facts['network']}, {facts['parameters']:,} parameters, {facts['dtype']}",
        "vocabulary": f"{facts['K']} bytes" if facts["raw_bytes"] else f"{facts['K']} characters{unknown}: {facts['characters']}",
        "started": f"weights {facts.get('init')}, seed {facts.get('seed')}",
        "recipe": facts.get("recipe"),
        "text": done.get("text"),
        "settings": ", ".join(settings),
        "updates": f"{step:,}" if isinstance(step, number) else None,
        str(done.get("loss") or "smooth loss"): f"{loss:.4f} nats per character" if isinstance(loss, number) else None,
    }
    if isinstance(tested := done.get("test_loss_per_char"), number):
        rows["test"] = f"{tested:.4f} nats per character"
    for name, value in rows.items():
        if value:
            print(f"{name:<11} {one_line(str(value))}")
