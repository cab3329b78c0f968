"""charrnn recipes: the named settings."""

from __future__ import annotations

import argparse
import os

from charrnn.errors import OutputError, SettingsError
from charrnn.files.atomic import as_path, atomic_write
from charrnn.process import as_typed
from charrnn.recipes import AUTO, load_recipe, names, text_of

EXAMPLES = """\
examples:
  charrnn recipes                                list all recipes
  charrnn recipes dd2424-2017 --out mine.toml    copy one, to change it
  charrnn train book.txt --recipe mine.toml      train with the copy
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of charrnn recipes."""
    parser.add_argument("name", nargs="?", metavar="NAME", help="print this recipe's TOML")
    parser.add_argument("--out", metavar="FILE", help="write it to a new file instead")


def run(args: argparse.Namespace) -> int:
    """Print the list, or one recipe."""
    if args.out is not None and args.name is None:
        raise SettingsError("--out writes one recipe: name it, as in charrnn recipes dd2424-2017 --out mine.toml")
    if args.name == AUTO:
        raise SettingsError(
            "auto is not a file: charrnn train chooses its settings for the text, and writes them into the run's recipe.toml"
        )
    if args.name is not None:
        load_recipe(args.name)
        text = text_of(args.name).replace("\r\n", "\n")
        if args.out in (None, "-"):
            print(text, end="")
            return 0
        if not args.out.endswith(".toml"):
            raise SettingsError(f"the name of a recipe's file ends in .toml, got --out {args.out}")
        if os.path.lexists(as_path(args.out)):
            raise OutputError(f"{args.out} exists already: give another --out")
        atomic_write(args.out, text)
        print(f"wrote {args.out}; to use it: {as_typed('train', [('--recipe', args.out)])}")
        return 0
    width = max(map(len, names()))
    for recipe in map(load_recipe, names()):
        runs = f" ({len(recipe.grid)} runs)" if recipe.grid else ""
        print(f"{recipe.name:<{width}}  {recipe.description}{runs}")
    print(f"{AUTO:<{width}}  Chosen for a text and a time: charrnn train book.txt --recipe auto --time 10m")
    return 0
