"""charrnn gradcheck: the gradients of charrnn, or your own, against finite differences."""

from __future__ import annotations

import argparse
import importlib.util
import json
import sys
import traceback
from pathlib import Path
from types import ModuleType
from typing import Any

from charrnn.cli import options
from charrnn.errors import SettingsError
from charrnn.gradients.check import compare_with_torch, gradcheck
from charrnn.model import CharRNN
from charrnn.runs.folder import model_in

EXAMPLES = """\
examples:
  charrnn gradcheck                                      a new model of 100 units on the story that comes with charrnn
  charrnn gradcheck --hidden-size 5 --points 2 --step 1e-4
  charrnn gradcheck --model charrnn-run book.txt         a trained model
  charrnn gradcheck --mine my_rnn.py:loss_and_gradients  your own: what is wrong with it, and where
The exit code is 0 if the gradients pass, else 1.
"""
SEQ_LENGTH = 25
OF_MINE = ("mine", "numeric", "symbols", "hidden_size", "seq_length", "seed", "eps", "threshold", "json")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of charrnn gradcheck."""
    options.add_text(parser)
    network = parser.add_argument_group("what is checked")
    network.add_argument("--model", metavar="MODEL", help="a model file or a run's folder; without it, a new model")
    network.add_argument("--recipe", metavar="NAME|FILE", help="a new model with a recipe's settings, and its window length")
    network.add_argument("--hidden-size", type=options.whole, metavar="M", help="units of a new model (100; --mine: 5)")
    network.add_argument("--seq-length", type=options.whole, metavar="T", help="characters in the window (25; --mine: 6)")
    network.add_argument("--batch-size", type=options.whole, metavar="B", default=1, help="lanes (default: 1)")
    network.add_argument("--seed", type=options.whole, default=0, metavar="N", help="of new weights and random states")
    network.add_argument("--torch", action="store_true", help="also compare with PyTorch's autograd")
    how = parser.add_argument_group("how")
    how.add_argument("--step", type=float, metavar="H", help="step of the differences (default: 1e-3, and a complex step in doubt)")
    how.add_argument("--points", type=int, choices=(2, 4), default=4, help="points of a difference (default: 4)")
    how.add_argument("--eps", type=float, default=1e-6, metavar="X", help="floor of relative errors' denominators (1e-6)")
    how.add_argument("--threshold", type=float, metavar="X", help="largest relative error that passes (default: 1e-6)")
    how.add_argument("--json", action="store_true", help="print all numbers as JSON")
    mine = parser.add_argument_group("your own gradients")
    mine.add_argument(
        "--mine",
        metavar="FILE:FUNCTION",
        help="your function (parameters, inputs, targets, state) -> loss, gradients, in NumPy; how it wants its arrays "
        "is found out by trial",
    )
    mine.add_argument(
        "--numeric", metavar="FILE:FUNCTION", help="your own numerical gradient, called with the same arguments: it is checked too"
    )
    mine.add_argument("--symbols", type=options.whole, metavar="K", help="symbols that your function is tried with (7)")


def run(args: argparse.Namespace) -> int:
    """Check, print the report, and answer 0 if everything passed, else 1."""
    if args.mine:
        return run_mine(args)
    for name in ("numeric", "symbols"):
        if getattr(args, name) is not None:
            raise SettingsError(f"--{name} belongs to --mine FILE:FUNCTION, which is missing")
    model, seq_length = chosen_model(args.model, args.recipe, args.hidden_size, args.seq_length, args.seed)
    text = options.source(args).read(model.vocabulary if args.model else None)
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
    print(json.dumps(result, indent=1) if args.json else "\n".join(lines))
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
    """Check the user's function; see `charrnn.check_gradients`."""
    from charrnn.lab.check import check_gradients

    given = options.given(args, add_arguments)
    for name in given:
        if name not in OF_MINE:
            raise SettingsError(f"--mine checks your function on small random networks and texts: leave {options.flag(name)} out")
    chosen = {name: value for name, value in given.items() if name not in ("mine", "numeric", "json")}
    if args.numeric:
        chosen["numeric"] = load(args.numeric)
    diagnosis = check_gradients(load(args.mine), **chosen)
    print(json.dumps(diagnosis.to_json(), indent=1) if args.json else diagnosis)
    return 0 if diagnosis.passed else 1


def load(spec: str) -> Any:
    """The function that FILE:FUNCTION names; `SettingsError` for what is no such thing, with the lines of the user's file."""
    path, _, name = spec.rpartition(":")
    if not path or not name.isidentifier():
        raise SettingsError(f"expected FILE:FUNCTION, as in my_rnn.py:loss_and_gradients, got {spec!r}")
    file = Path(path)
    if not file.is_file():
        raise SettingsError(f"{path}: there is no such file")
    module = import_file(file)
    function = getattr(module, name, None)
    if not callable(function):
        own = [key for key, value in vars(module).items() if callable(value) and getattr(value, "__module__", "") == module.__name__]
        raise SettingsError(f"{path} has no function {name!r}; it has {', '.join(own) or 'none'}")
    return function


def import_file(file: Path) -> ModuleType:
    """Run a Python file as a module, with its folder on the import path."""
    found = importlib.util.spec_from_file_location("charrnn_user_" + file.stem.replace("-", "_"), file)
    if found is None or found.loader is None:
        raise SettingsError(f"{file}: is no Python file; its name must end in .py")
    module = importlib.util.module_from_spec(found)
    sys.path.insert(0, str(file.parent.resolve()))
    try:
        found.loader.exec_module(module)
    except SyntaxError as error:
        raise SettingsError(f"{file}: line {error.lineno}: {error.msg}") from error
    except (Exception, SystemExit) as error:
        at = [frame for frame in traceback.extract_tb(error.__traceback__) if Path(frame.filename).resolve() == file.resolve()]
        where = f": line {at[-1].lineno}: {at[-1].line}" if at else ""
        raise SettingsError(f"{file} fails while it is loaded{where}: {type(error).__name__}: {error}") from error
    finally:
        sys.path.pop(0)
    return module
