"""charrnn gradcheck: the gradients of charrnn, or your own, against finite differences."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from charrnn.cli import options
from charrnn.errors import SettingsError
from charrnn.files.schema import dumps
from charrnn.gradients.check import compare_with_torch, gradcheck
from charrnn.model import CharRNN
from charrnn.runs.folder import model_in
from charrnn.runs.origin import text_for

EXAMPLES = """\
examples:
  charrnn gradcheck                                  a new model of 100 units on the story that comes with charrnn
  charrnn gradcheck --hidden-size 5 --points 2 --step 1e-4
  charrnn gradcheck --model charrnn-run              a trained model, on the text of its run
  charrnn gradcheck --mine my_rnn.py                 your own gradients: what is wrong, and where
  charrnn gradcheck --mine my_rnn.py:Net             what to call: a function, a class, Class.method, forward+backward+loss
The exit code is 0 if the gradients pass, else 1.
"""
SEQ_LENGTH = 25
OF_MINE = ("mine", "numeric", "symbols", "hidden_size", "seq_length", "seed", "eps", "threshold", "json", "out", "time_limit")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of charrnn gradcheck."""
    options.add_text(parser)
    network = parser.add_argument_group("what is checked")
    network.add_argument("--model", metavar="MODEL", help="a model file or a run's folder; without it, a new model")
    network.add_argument("--recipe", metavar="NAME|FILE", help="a new model with a recipe's settings, and its window length")
    network.add_argument("--hidden-size", type=options.whole, metavar="M", help="units of a new model (100; --mine: 5)")
    network.add_argument("--seq-length", type=options.whole, metavar="T", help="characters in the window (25; --mine: 6)")
    network.add_argument("--batch-size", type=options.whole, metavar="B", default=1, help="parallel sequences (default: 1)")
    network.add_argument("--seed", type=options.whole, default=0, metavar="N", help="of new weights and random states")
    network.add_argument("--torch", action="store_true", help="also compare with PyTorch's autograd")
    how = parser.add_argument_group("how")
    how.add_argument("--step", type=float, metavar="H", help="step of the differences (default: 1e-3, or a complex step where needed)")
    how.add_argument("--points", type=int, choices=(2, 4), default=4, help="points of a difference (default: 4)")
    how.add_argument("--eps", type=float, default=1e-6, metavar="X", help="floor of relative errors' denominators (1e-6)")
    how.add_argument("--threshold", type=float, metavar="X", help="largest relative error that passes (default: 1e-6)")
    how.add_argument("--json", action="store_true", help="print all numbers as JSON")
    mine = parser.add_argument_group("your own gradients")
    mine.add_argument(
        "--mine",
        metavar="FILE[:NAME]",
        help="your Python file, in NumPy; charrnn finds what computes the loss and its gradients, or NAME says it: a function, a class, "
        "Class.method, or several with + between them. Only imports, definitions and simple assignments of the file are executed",
    )
    mine.add_argument("--numeric", metavar="FILE:FUNCTION", help="your own numerical gradient: it is checked too")
    mine.add_argument("--symbols", type=options.whole, metavar="K", help="number of symbols in the check (7)")
    mine.add_argument("--out", metavar="PAGE.html", help="also write the result as a page to hand in")
    mine.add_argument("--time-limit", type=float, metavar="S", help="stop the check of your program after so many seconds (30)")


def run(args: argparse.Namespace) -> int:
    """Check, print the report, and answer 0 if everything passed, else 1."""
    if args.mine:
        return run_mine(args)
    for name in ("numeric", "symbols", "out", "time_limit"):
        if getattr(args, name) is not None:
            raise SettingsError(f"{options.flag(name)} belongs to --mine FILE, which is missing")
    model, seq_length = chosen_model(args.model, args.recipe, args.hidden_size, args.seq_length, args.seed)
    source = options.source(args)
    text = text_for(args.model, source, model.vocabulary) if args.model else source.read()
    threshold = 1e-6 if args.threshold is None else args.threshold
    network, corpus = model.network_for(text)
    report = gradcheck(
        network,
        corpus,
        seq_length,
        batch_size=args.batch_size,
        step=args.step,
        points=args.points,
        eps=args.eps,
        threshold=threshold,
        seed=args.seed,
    )
    result = report.to_json()
    passed, lines = report.passed, [str(report)]
    if args.torch:
        result["torch"] = compare_with_torch(network, corpus, seq_length, batch_size=args.batch_size, seed=args.seed)
        for state, errors in result["torch"].items():
            largest = ", ".join(f"{name} {error:.1e}" for name, error in errors.items())
            lines.append(f"Largest absolute difference to PyTorch's autograd, {state} state: {largest}.")
            passed = passed and max(errors.values()) < 1e-11
    print(dumps(result, indent=1) if args.json else "\n".join(lines))
    return 0 if passed else 1


def chosen_model(path: str | None, recipe: str | None, hidden_size: int | None, seq_length: int | None, seed: int) -> tuple[CharRNN, int]:
    """The model in a file or a run's folder, or a new one, and the window's length."""
    if path and (recipe or hidden_size is not None):
        raise SettingsError("--model is a model already: leave out --recipe and --hidden-size")
    if path:
        return CharRNN.load(model_in(path)), SEQ_LENGTH if seq_length is None else seq_length
    sizes: dict[str, Any] = {"seed": seed} | ({} if hidden_size is None else {"hidden_size": hidden_size})
    model = CharRNN.from_recipe(recipe, **sizes) if recipe else CharRNN(**sizes)
    return model, model.training_defaults.get("seq_length", SEQ_LENGTH) if seq_length is None else seq_length


def run_mine(args: argparse.Namespace) -> int:
    """Check the user's program in a process of its own; see `charrnn.check_gradients`."""
    from charrnn import arguments
    from charrnn.files.atomic import write_named
    from charrnn.lab.check import Sizes
    from charrnn.lab.worker import SECONDS, NotCalled, check_file

    given = options.given(args, add_arguments)
    for name in given:
        if name not in OF_MINE:
            raise SettingsError(f"--mine checks your program on small random networks and texts: leave {options.flag(name)} out")
    chosen = {name: value for name, value in given.items() if name not in ("mine", "numeric", "json", "out", "time_limit")}
    Sizes.of(**chosen)
    if args.out and Path(args.out).suffix.lower() not in (".html", ".htm"):
        raise SettingsError(f"--out writes a page, whose name must end in .html, got {args.out!r}")
    seconds = SECONDS if args.time_limit is None else arguments.number("time_limit", args.time_limit, above=0)
    try:
        answer = check_file(args.mine, args.numeric, seconds, **chosen)
    except NotCalled as error:
        told = {"status": "not-called", "passed": False, "error": str(error), "adapter": error.adapter}
        print(dumps(told, indent=1) if args.json else error.adapter)
        sys.stdout.flush()
        raise
    if args.out:
        write_named(args.out, answer["page"])
    print(dumps(answer["json"], indent=1) if args.json else answer["text"])
    return 0 if answer["passed"] else 1
