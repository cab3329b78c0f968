"""charrnn recipes: the named settings."""

from __future__ import annotations

import argparse

from charrnn.recipes import load_recipe, names, text_of

EXAMPLES = """\
examples:
  charrnn recipes                            what there is
  charrnn recipes dd2424-2017 > mine.toml    a copy to change,
  charrnn train book.txt --recipe mine.toml  and to use
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of charrnn recipes."""
    parser.add_argument("name", nargs="?", metavar="NAME", help="print this recipe's TOML")


def run(args: argparse.Namespace) -> int:
    """Print the list, or one recipe."""
    if args.name is not None:
        load_recipe(args.name)
        print(text_of(args.name), end="")
        return 0
    width = max(map(len, names()))
    for recipe in map(load_recipe, names()):
        runs = f" ({len(recipe.grid)} runs)" if recipe.grid else ""
        print(f"{recipe.name:<{width}}  {recipe.description}{runs}")
    return 0
