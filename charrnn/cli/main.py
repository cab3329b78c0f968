"""The command line. Every command is a module with add_arguments(parser) and run(args) -> exit code, imported only
when it is called."""

from __future__ import annotations

import argparse
import contextlib
import errno
import importlib
import os
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

from charrnn import arguments
from charrnn.cli.screen import screen
from charrnn.errors import CharRNNError, one_line, resources
from charrnn.version import __version__

COMMANDS = {
    "train": ("charrnn.cli.train", "train a model on a text; write a folder with models, losses, samples and loss curve"),
    "generate": ("charrnn.cli.generate", "write text with a trained model"),
    "synthesize": ("charrnn.cli.generate", "the same as generate"),
    "evaluate": ("charrnn.cli.evaluate", "measure how well a trained model predicts a text"),
    "doctor": ("charrnn.cli.doctor", "check a text for problems before you train on it"),
    "gradcheck": ("charrnn.cli.gradcheck", "compare gradients, charrnn's or your own, with finite differences"),
    "gradflow": ("charrnn.cli.gradflow", "show how far gradients reach back through time, of several models in one figure"),
    "report": ("charrnn.cli.report", "make the whole lab report of a recipe: one HTML page"),
    "sweep": ("charrnn.cli.sweep", "train with many settings, on several processes or machines, and find the best"),
    "explain": ("charrnn.cli.explain", "show what surprises a model in a text, its states and gates, and what its units track"),
    "compare": ("charrnn.cli.compare", "compare runs: loss curves, and the settings that differ"),
    "animate": ("charrnn.cli.animate", "play a run's samples on its loss curve: one HTML page with a slider"),
    "export": ("charrnn.cli.export", "write a model as a page for browsers, or as .onnx, .npz or .pt"),
    "bench": ("charrnn.cli.bench", "compare the compiled kernels with NumPy on this machine"),
    "info": ("charrnn.cli.info", "show which kernels run here, or what a model file holds"),
    "recipes": ("charrnn.cli.recipes", "list the named settings, or print one of them"),
}
LONGEST = 1000  # characters of an error
EXAMPLES = """\
quick start:
  charrnn train                     train on the story that comes with charrnn, 100,000 updates: some seconds
  charrnn train book.txt            train on your own text
  charrnn generate charrnn-run      generate text
  charrnn COMMAND --help            all options of a command, with examples
"""


def told(message: str) -> str:
    """An error on one line that can be read: of a long one, the beginning and the end, which says what to do."""
    line = one_line(message)
    return line if len(line) <= LONGEST else f"{line[: LONGEST - 300]} … {line[-300:]}"


class Parser(argparse.ArgumentParser):
    """Errors in one line, with the nearest option instead of the whole usage."""

    def __init__(self, **options: Any) -> None:
        super().__init__(formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False, **options)
        self.color = False  # of newer Pythons: see `screen`

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: error: {told(message)} (see {self.prog} --help)\n")

    def parse(self, words: Sequence[str]) -> argparse.Namespace:
        """The arguments, files and options in any order; an error for what nobody knows. After -- there are only files."""
        words = list(words)
        end = words.index("--") if "--" in words else len(words)
        # What argparse does with -- and what follows it depends on Python's version: these words come as names that are no options.
        names = {f"\0{i}": word for i, word in enumerate(words[end + 1 :])}

        def meant(value: Any) -> Any:
            return [meant(each) for each in value] if isinstance(value, list) else names.get(value, value) if names else value

        args, rest = self.parse_known_intermixed_args([*words[:end], *names])
        if rest:
            self.error(f"unknown argument {meant(rest[0])!r}{self._hint(rest[0])}")
        return argparse.Namespace(**{name: meant(value) for name, value in vars(args).items()})

    def _hint(self, word: str) -> str:
        """The option that was meant, or the file that needs none."""
        if not word.startswith("-"):
            return ""
        places = [str(action.metavar) for action in self._actions if not action.option_strings and action.metavar]
        options = [flag for flag in self._option_string_actions if flag.startswith("--")]
        word = word.split("=")[0]
        if not (hint := arguments.suggestion(word, options)):
            place = [name for name in places if arguments.suggestion(word, [name])]
            hint = f"; {place[0]} is given without an option: {self.prog} {place[0]}" if place else ""
        return hint


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command line. Returns 0, or 2 for a request that makes no sense, 1 for a failure, 128 + a signal."""
    words = list(sys.argv[1:] if argv is None else argv)
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # it was closed before the program began
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115
        if hasattr(stream := getattr(sys, name), "reconfigure"):
            stream.reconfigure(errors="backslashreplace")  # for characters that the terminal does not have
    if not words or words[0] not in COMMANDS:
        return about(words)
    module_name, purpose = COMMANDS[words[0]]
    parser = Parser(prog=f"charrnn {words[0]}", description=f"{purpose[0].upper()}{purpose[1:]}.")
    # gradcheck runs functions of its user's, which may print what they like
    shown = contextlib.nullcontext() if words[0] == "gradcheck" else screen()
    try:
        with resources(), shown:
            module = importlib.import_module(module_name)
            parser.epilog = getattr(module, "EXAMPLES", None)
            module.add_arguments(parser)
            code: int = module.run(parser.parse(words[1:]))
            sys.stdout.flush()  # while a broken pipe can still be answered
        return code
    except CharRNNError as error:
        print(f"{parser.prog}: error: {told(str(error))}", file=sys.stderr)
        return 2 if isinstance(error, ValueError) else 1
    except KeyboardInterrupt:
        print(f"\n{parser.prog}: interrupted", file=sys.stderr)
        return 130
    except OSError as error:  # of our output: whatever reads and writes files has errors of its own
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or Python's last flush complains
        if isinstance(error, BrokenPipeError) or (os.name == "nt" and error.errno == errno.EINVAL):
            return 141  # its reader has gone, as `head` does
        found = f"cannot write {error.filename or 'the output'}: {error.strerror}"
        print(f"{parser.prog}: error: {told(found)}", file=sys.stderr)
        return 1


def about(words: Sequence[str]) -> int:
    """Without a command: the help, the version, or an error for an unknown command."""
    commands = "\n".join(f"  {name:<12} {purpose}" for name, (_, purpose) in COMMANDS.items())
    parser = Parser(
        prog="charrnn",
        usage="charrnn COMMAND ...",
        epilog=f"commands:\n{commands}\n\n{EXAMPLES}",
        description="Character-level recurrent networks on your own text and your own processor.",
    )
    parser.add_argument("--version", action="version", version=f"charrnn {__version__}")
    if words and not words[0].startswith("-"):
        parser.error(f"unknown command {words[0]!r}{arguments.nearest(words[0], COMMANDS)}")
    parser.parse(words)
    parser.print_help()
    return 0
