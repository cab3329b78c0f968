"""The command line. Every command is a module with add_arguments(parser) and run(args) -> exit code, imported when it is called."""
from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

from charrnn import __version__, arguments
from charrnn.errors import CharRNNError

COMMANDS = {
    "train": ("charrnn.train_command", "learn a text and write a folder with the models, losses, samples and loss curve"),
    "synthesize": ("charrnn.synthesize_command", "write text with a trained model"),
    "evaluate": ("charrnn.evaluate_command", "how well a trained model expects a text"),
    "gradcheck": ("charrnn.gradcheck_command", "compare the gradients with finite differences"),
    "report": ("charrnn.report", "the whole lab report of a recipe, as one HTML page"),
    "explain": ("charrnn.explain", "what a model finds surprising in a text, and what its units follow"),
    "bench": ("charrnn.bench", "compiled kernels and NumPy, side by side on this machine"),
    "info": ("charrnn.info_command", "which kernels run here, and what a model file holds"),
    "recipes": ("charrnn.recipes_command", "list the named settings, or print one of them"),
}
EXAMPLES = """\
begin with:
  charrnn train                     learn the story that comes with charrnn: 100,000 updates, some seconds
  charrnn train book.txt            learn your own text
  charrnn synthesize charrnn-run    write more of it
  charrnn COMMAND --help            all options of a command, with examples
"""


class Parser(argparse.ArgumentParser):
    """Errors in one line, with the nearest option instead of the whole usage."""

    def __init__(self, **options: Any) -> None:
        super().__init__(formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False, **options)

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: error: {one_line(message)}; see {self.prog} --help\n")

    def refuse_unknown(self, rest: Sequence[str]) -> None:
        """An error for the first option that nobody knows."""
        if rest:
            known = [flag for flag in self._option_string_actions if flag.startswith("--")]
            hint = arguments.nearest(rest[0].split("=")[0], known) if rest[0].startswith("--") else ""
            self.error(f"unknown option or argument {rest[0]}{hint if 'did you mean' in hint else ''}")


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command line; the exit code: 0, 2 for a request that makes no sense, 1 for a failure, 128 + signal if interrupted."""
    words = list(sys.argv[1:] if argv is None else argv)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")  # text that the terminal has no characters for
    name = next((word for word in words if not word.startswith("-")), None)
    parser, chosen = parsers(name)
    if chosen is None:
        parser.parse_args(words)
        parser.print_help()
        return 0
    module, command = chosen
    args, rest = parser.parse_known_args(words)
    command.refuse_unknown(rest)
    try:
        return finish(module.run(args))
    except CharRNNError as error:
        print(f"{command.prog}: error: {one_line(str(error))}", file=sys.stderr)
        return 2 if isinstance(error, ValueError) else 1
    except KeyboardInterrupt:
        print(f"\n{command.prog}: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:  # whoever read our output has gone, as in `| head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # so that Python's last flush does not complain
        return 141


def finish(code: int) -> int:
    """The exit code, after what was printed has gone out, while a broken pipe can still be answered."""
    sys.stdout.flush()
    return code


def parsers(name: str | None) -> tuple[Parser, tuple[Any, Parser] | None]:
    """The parser of everything, and the module and parser of the command `name`, the only one that is imported."""
    parser = Parser(
        prog="charrnn", description="Character-level recurrent networks on your own text and processor.", epilog=EXAMPLES
    )
    parser.add_argument("--version", action="version", version=f"charrnn {__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", dest="command", parser_class=Parser)
    if name is not None and name not in COMMANDS:
        parser.error(f"unknown command {name!r}{arguments.nearest(name, COMMANDS)}")
    chosen = None
    for each, (module_name, help_line) in COMMANDS.items():
        command = commands.add_parser(each, help=help_line)
        if each == name:
            module = importlib.import_module(module_name)
            command.description, command.epilog = f"{help_line[0].upper()}{help_line[1:]}.", getattr(module, "EXAMPLES", None)
            module.add_arguments(command)
            chosen = module, command
    return parser, chosen


def one_line(message: str) -> str:
    """A message that stays one line and cannot steer the terminal, whatever is in the names that it quotes."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in message)
