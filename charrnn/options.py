"""The options that several commands share: which text, and every setting of CharRNN and of its train, one row each."""
from __future__ import annotations

import argparse
import inspect
from collections.abc import Callable
from dataclasses import fields
from typing import Any, NamedTuple

from charrnn.corpus import Corpus, read_corpus
from charrnn.model import DTYPES, INITS, CharRNN
from charrnn.parameters import OPTIMIZERS
from charrnn.recipes import MODEL, TRAINING, Recipe, load_recipe
from charrnn.training import REDUCTIONS, SCHEDULES, Settings


def whole(text: str) -> int:
    """A whole number, also as 1e5.

    >>> whole("1e5"), whole("100_000")
    (100000, 100000)
    """
    try:
        return int(text)
    except ValueError:
        number = float(text)
        if number != number or abs(number) > 1e15 or number != int(number):
            raise ValueError from None
        return int(number)


def none_or(kind: Callable[[str], Any]) -> Callable[[str], Any]:
    """Of this kind, or "none"."""

    def parse(text: str) -> Any:
        return None if text.lower() == "none" else kind(text)

    parse.__name__ = f"{'whole number' if kind is whole else 'number'} or none"
    return parse


whole.__name__ = "whole number"  # as argparse's messages call it


class Setting(NamedTuple):
    """One option: its group in the help, the API's name for it, how it is read, and what it means."""

    group: str
    name: str
    kind: Callable[[str], Any]
    metavar: str
    help: str


NETWORK, LENGTH, UPDATES, LOOKING = "network", "length", "updates", "looking on"
SETTINGS = [
    Setting(NETWORK, "hidden_size", whole, "M", "hidden units"),
    Setting(NETWORK, "init", str, "|".join(INITS), "how the weights start: normal, N(0, init_std^2); scaled to their layers; or a random rotation"),
    Setting(NETWORK, "init_std", float, "STD", "standard deviation of the initial weights (normal; orthogonal: of U)"),
    Setting(NETWORK, "dtype", str, "|".join(DTYPES), "precision"),
    Setting(NETWORK, "seed", whole, "N", "of the random generator: the same seed gives the same files, bit for bit"),
    Setting(LENGTH, "updates", whole, "N", "how many updates (default: 100,000)"),
    Setting(LENGTH, "epochs", float, "N", "how many times through the text, instead of --updates; parts of one are possible"),
    Setting(LENGTH, "seq_length", whole, "T", "characters in a window, through which one update goes back"),
    Setting(LENGTH, "batch_size", whole, "B", "streams that the text is cut into and that are walked side by side"),
    Setting(UPDATES, "optimizer", str, "|".join(OPTIMIZERS), "the update rule"),
    Setting(UPDATES, "learning_rate", float, "RATE", "its learning rate (usual for adam and rmsprop: 0.001)"),
    Setting(UPDATES, "schedule", str, "|".join(SCHEDULES), "how the learning rate goes down to 0"),
    Setting(UPDATES, "warmup", whole, "N", "updates of linear rise of the learning rate"),
    Setting(UPDATES, "clip", none_or(float), "X|none", "bound on each element of the gradient"),
    Setting(UPDATES, "clip_norm", none_or(float), "X|none", "bound on the gradient's Euclidean norm"),
    Setting(UPDATES, "loss_reduction", str, "|".join(REDUCTIONS), "the loss that is learned from: summed over the window or the mean per character"),
    Setting(UPDATES, "eps", float, "X", "what keeps the optimizer from dividing by zero"),
    Setting(UPDATES, "beta1", float, "X", "decay of adam's mean gradient, momentum of sgd"),
    Setting(UPDATES, "beta2", float, "X", "decay of adam's and rmsprop's mean square gradient"),
    Setting(LOOKING, "sample_every", none_or(whole), "N|none", "updates between two samples; the first comes before update 1"),
    Setting(LOOKING, "sample_length", whole, "N", "characters of a sample"),
    Setting(LOOKING, "validate_every", none_or(whole), "N|none", "updates between two evaluations of the held-out text (with --validation: 10,000)"),
]  # fmt: skip


def add_settings(parser: argparse.ArgumentParser) -> None:
    """--recipe and all SETTINGS. Only what was given is in the parsed arguments."""
    defaults = {name: p.default for name, p in inspect.signature(CharRNN.__init__).parameters.items()}
    defaults |= {f.name: f.default for f in fields(Settings)}
    groups: dict[str, Any] = {}
    for setting in SETTINGS:
        group = groups.setdefault(setting.group, None) or parser.add_argument_group(setting.group)
        groups[setting.group] = group
        default = defaults[setting.name]
        described = setting.help if default is None else f"{setting.help} (default: {default})"
        group.add_argument(
            f"--{setting.name.replace('_', '-')}", dest=setting.name, type=setting.kind, metavar=setting.metavar,
            help=described.replace("%", "%%"), default=argparse.SUPPRESS,
        )  # fmt: skip
    parser.add_argument("--recipe", metavar="NAME|FILE", help="settings to start from: a name that `charrnn recipes` lists, or a .toml file; options override them")


def chosen_recipe(args: argparse.Namespace) -> Recipe:
    """The recipe (without one: empty) with the options that were given in the place of its own."""
    given = {key: value for key, value in vars(args).items() if key in (*MODEL, *TRAINING)}
    base = load_recipe(args.recipe) if args.recipe else Recipe("")
    recipe = base.run(given)
    return Recipe(base.name, base.description, base.source, recipe.model, recipe.training, base.grid, base.gradcheck, base.report)


def add_text(parser: argparse.ArgumentParser, nargs: str = "*") -> None:
    """TEXT and how to decode it."""
    parser.add_argument("text", nargs=nargs, metavar="TEXT", help="text files, read as one; - is standard input; none: the story that comes with charrnn")
    add_decoding(parser)


def add_decoding(parser: argparse.ArgumentParser) -> None:
    """--encoding and --bytes."""
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--encoding", default="utf-8", metavar="NAME", help="of the text, any that Python knows (default: utf-8); CRLF and CR are read as LF")
    how.add_argument("--bytes", action="store_true", dest="raw_bytes", help="take the text as bytes, not decoded at all")


def read_text(args: argparse.Namespace, model: CharRNN | None = None) -> Corpus:
    """The text that the arguments name, in the model's vocabulary if there is a model."""
    text = [args.text] if isinstance(args.text, str) else args.text
    return read_corpus(text or None, args.encoding, args.raw_bytes, model.vocabulary if model else None)
