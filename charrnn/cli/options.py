"""The options that several commands share: which text, and each setting of CharRNN and of its train, one row each."""

from __future__ import annotations

import argparse
import math
import os
from collections.abc import Callable, Collection, Mapping
from dataclasses import fields, replace
from typing import Any, NamedTuple

from charrnn.errors import SettingsError
from charrnn.network.cells import CELLS
from charrnn.network.optimisers import OPTIMIZERS
from charrnn.network.settings import DTYPES, INITS, MODEL, NetworkSettings
from charrnn.network.start import STARTS
from charrnn.process import as_typed
from charrnn.recipes import Recipe, load_recipe
from charrnn.runs.folder import REQUEST
from charrnn.text.source import TextSource
from charrnn.training.plan import REDUCTIONS, SCHEDULES, TRAINING, Settings


def whole(text: str) -> int:
    """A whole number, also as 1e5.

    >>> whole("1e5"), whole("100_000")
    (100000, 100000)
    """
    try:
        return int(text)
    except ValueError:
        number = float(text)
        if not math.isfinite(number) or number != int(number):
            raise ValueError from None
        return int(number)


def none_or(kind: Callable[[str], Any]) -> Callable[[str], Any]:
    """Of this kind, or "none"."""

    def parse(text: str) -> Any:
        return None if text.lower() == "none" else kind(text)

    parse.__name__ = f"{kind.__name__} or none"
    return parse


whole.__name__ = "whole number"  # as argparse calls it in "invalid whole number value"


class Setting(NamedTuple):
    """One option: its group in the help, the API's name for it, how it is read, and what it means."""

    group: str
    name: str
    kind: Callable[[str], Any]
    metavar: str
    help: str


def _choice(values: tuple[str, ...]) -> str:
    return "|".join(values)


NETWORK, LENGTH, UPDATES, LOOKING = "network", "length", "updates", "monitoring"
SETTINGS = [
    Setting(NETWORK, "cell", str, _choice(tuple(CELLS)), "the kind of layer: vanilla, or gated as torch.nn.GRU and LSTM"),
    Setting(NETWORK, "hidden_size", whole, "M", "hidden units of each layer"),
    Setting(NETWORK, "layers", whole, "L", "recurrent layers, each reading the states of the one below"),
    Setting(NETWORK, "init", str, _choice(INITS), "initial weights: normal, scaled to the layer's inputs, or W orthogonal"),
    Setting(NETWORK, "init_std", float, "STD", "standard deviation of the initial weights (orthogonal: of U)"),
    Setting(NETWORK, "dtype", str, _choice(DTYPES), "precision"),
    Setting(NETWORK, "seed", whole, "N", "seed of the random generator: the same seed gives the same files, bit for bit"),
    Setting(LENGTH, "updates", whole, "N", "how many updates (default: 100000)"),
    Setting(LENGTH, "epochs", float, "X", "how many times through the text, in place of --updates; 0.5 is half of it"),
    Setting(LENGTH, "seq_length", whole, "T", "characters in a window: backpropagation is truncated to it"),
    Setting(LENGTH, "batch_size", whole, "B", "batch size: the text is cut into B sequences, which are read in parallel"),
    Setting(UPDATES, "optimizer", str, _choice(OPTIMIZERS), "the update rule"),
    Setting(UPDATES, "learning_rate", float, "X", "its learning rate; usual for adam and rmsprop is 0.001"),
    Setting(UPDATES, "input_rate", float, "X", "the learning rate of U, as a multiple of the others'"),
    Setting(UPDATES, "schedule", str, _choice(SCHEDULES), "how the learning rate goes down to 0"),
    Setting(UPDATES, "warmup", whole, "N", "updates over which the learning rate rises from 0"),
    Setting(UPDATES, "decay", float, "X", "what the learning rate is multiplied by after each epoch"),
    Setting(UPDATES, "decay_after", whole, "N", "epochs before the first such decay"),
    Setting(UPDATES, "dropout", float, "P", "share of each layer's outputs that are dropped, chosen anew in each update"),
    Setting(UPDATES, "weight_drop", float, "P", "share of the recurrent weights that are dropped, chosen anew in each update"),
    Setting(UPDATES, "recurrent_dropout", float, "P", "share of what a GRU or LSTM would write into its state that is dropped"),
    Setting(UPDATES, "state_reset", float, "P", "share of the windows that begin with a state of 0 in place of the carried state"),
    Setting(UPDATES, "average", float, "D", "validate a moving average of the weights; 0.999: over some 1,000 updates"),
    Setting(UPDATES, "clip", none_or(float), "X|none", "bound on each element of the gradient"),
    Setting(UPDATES, "clip_norm", none_or(float), "X|none", "bound on the gradient's Euclidean norm"),
    Setting(UPDATES, "weight_decay", float, "X", "each update multiplies the weights, not the biases, by 1 - learning rate x X"),
    Setting(UPDATES, "loss_reduction", str, _choice(REDUCTIONS), "minimise a window's summed or mean loss"),
    Setting(UPDATES, "eps", float, "X", "added to the optimiser's denominator, against division by zero"),
    Setting(UPDATES, "beta1", float, "X", "decay of adam's mean gradient; momentum of sgd"),
    Setting(UPDATES, "beta2", float, "X", "decay of adam's and rmsprop's mean square gradient"),
    Setting(LOOKING, "sample_every", none_or(whole), "N|none", "updates between samples; the first is before update 1"),
    Setting(LOOKING, "sample_length", whole, "N", "characters of a sample"),
    Setting(
        LOOKING,
        "validate_every",
        none_or(whole),
        "N",
        "updates between evaluations of the validation text (default: a twentieth of the run)",
    ),
    Setting(
        LOOKING,
        "split",
        none_or(str),
        "80/10/10",
        "in place of --validation: the parts of TEXT, as percentages or fractions, for training, validation and test; the best model is "
        "tested once, at the end of the run; 90/10 has no test",
    ),
    Setting(LOOKING, "patience", none_or(whole), "N|none", "end when the validation loss has not improved in N evaluations"),
]


def add_settings(parser: argparse.ArgumentParser, without: Collection[str] = ()) -> dict[str, Any]:
    """--recipe and all SETTINGS but those; returns the groups. Only what was given will be in the parsed arguments."""
    parser.add_argument(
        "--recipe",
        metavar="NAME|FILE",
        help="a name that `charrnn recipes` lists, a .toml file with settings, or auto, which chooses settings for TEXT and --time "
        "(default: 1m); other options override them",
    )
    defaults = {field.name: field.default for record in (NetworkSettings, Settings) for field in fields(record)}
    groups = {name: parser.add_argument_group(name) for name in (NETWORK, LENGTH, UPDATES, LOOKING)}
    for setting in (each for each in SETTINGS if each.name not in without):
        default = defaults[setting.name]
        described = setting.help if default is None else f"{setting.help} (default: {default})"
        groups[setting.group].add_argument(
            flag(setting.name), dest=setting.name, type=setting.kind, metavar=setting.metavar, help=described, default=argparse.SUPPRESS
        )
    groups[UPDATES].add_argument(
        "--rotate",
        action=argparse.BooleanOptionalAction,
        default=argparse.SUPPRESS,
        help="from the second epoch on, begin each of the parallel sequences at a random character and go round (default: no)",
    )
    groups[UPDATES].add_argument(
        "--rescue",
        action="store_true",
        default=argparse.SUPPRESS,
        help="when the loss is no longer finite, continue from the last good model with half the learning rate",
    )
    return groups


def overrides(args: argparse.Namespace) -> dict[str, Any]:
    """The settings that were given."""
    return {name: value for name, value in vars(args).items() if name in (*MODEL, *TRAINING)}


def chosen_recipe(name: str | None, overrides: Mapping[str, Any]) -> Recipe:
    """The recipe of that name (without one, a nameless, empty one) with these settings in place of its own."""
    base = load_recipe(name) if name else Recipe("")
    changed = base.run(dict(overrides))
    return replace(base, model=changed.model, training=changed.training)


def given(args: argparse.Namespace, add_arguments: Callable[[argparse.ArgumentParser], Any]) -> dict[str, Any]:
    """The arguments that are not what a command's `add_arguments` has as their defaults."""
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    defaults = {action.dest: action.default for action in parser._actions}
    return {name: value for name, value in vars(args).items() if value not in ([], defaults.get(name))}


def flag(name: str) -> str:
    """What an argument is called on the command line."""
    return "TEXT" if name == "text" else f"--{name.replace('_', '-')}"


def add_model(parser: argparse.ArgumentParser, nargs: str | None = None) -> None:
    """MODEL."""
    parser.add_argument("model", nargs=nargs, metavar="MODEL", help="a model file, a checkpoint, or a run's folder: then its best model")


def add_start(parser: Any, default: str) -> None:
    """--start."""
    parser.add_argument(
        "--start",
        metavar="|".join(STARTS),
        help=f"the state before the text: 0, or the state at the end of training, after a line end (default: {default})",
    )


def add_text(parser: argparse.ArgumentParser, default: str = "the story that comes with charrnn") -> None:
    """TEXT, and how to decode it; default: what is read without it."""
    parser.add_argument(
        "text", nargs="*", metavar="TEXT", default=[], help=f"text files, read as one; - is standard input; without any, {default}"
    )
    how = parser.add_mutually_exclusive_group()
    how.add_argument(
        "--encoding",
        default="utf-8",
        metavar="NAME",
        help="encoding of the text, any that Python knows (default: utf-8); CRLF and CR are read as LF",
    )
    how.add_argument("--bytes", action="store_true", dest="raw_bytes", help="read the text as bytes, without decoding")


def add_min_count(parser: argparse.ArgumentParser) -> None:
    """--min-count."""
    parser.add_argument(
        "--min-count",
        type=whole,
        default=1,
        metavar="N",
        help="read characters that occur fewer than N times as U+FFFD, and later all characters that the model does not know",
    )


def source(args: argparse.Namespace) -> TextSource:
    """The text that the arguments name; SettingsError for the folder of a run, whose files are no text that anybody means."""
    for path in args.text:
        if os.path.isfile(os.path.join(path, REQUEST)):
            raise SettingsError(
                f"{path} is the folder of a run, not a text; to continue the run: {as_typed('train', [('--resume', path)])}"
            )
    return TextSource(tuple(args.text), args.encoding, args.raw_bytes)
