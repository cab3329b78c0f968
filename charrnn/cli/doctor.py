"""charrnn doctor: finds what may be wrong with a text before you train on it. It suggests, and changes nothing."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from charrnn.cli import options
from charrnn.doctor.examine import check_text
from charrnn.errors import SettingsError
from charrnn.files.schema import dumps
from charrnn.text.split import SPLITS

EXAMPLES = """\
examples:
  charrnn doctor book.txt                       encoding, rare characters, repetitions, overlap with validation
  charrnn doctor letters/ diary.txt             all files as training would read them
  charrnn doctor names.txt --validation-split lines
  charrnn doctor train.txt --validation test.txt
  curl -s URL | charrnn doctor - --json
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of charrnn doctor."""
    options.add_text(parser)
    parser.add_argument(
        "--min-count", type=options.whole, default=10, metavar="N", help="name characters that occur fewer times (default: 10)"
    )
    parser.add_argument(
        "--validation",
        default="0.1",
        metavar="PART|FILE|none",
        help="the validation text, a part of TEXT or a file, which is compared with the rest (default: 0.1)",
    )
    parser.add_argument(
        "--validation-split",
        default="end",
        metavar="|".join(SPLITS),
        help="validate on the end of TEXT, or on some of its lines (default: end)",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(args: argparse.Namespace) -> int:
    """Print what was found; 0, whatever that is."""
    bar = Bar()
    try:
        report = check_text(
            list(options.source(args).paths) or None,
            args.encoding,
            args.raw_bytes,
            min_count=args.min_count,
            validation=validation_of(args.validation),
            validation_split=args.validation_split,
            progress=bar.show,
        )
    finally:
        bar.close()
    print(dumps(report.to_json()) if args.json else report)
    return 0


def validation_of(word: str) -> float | str | None:
    """A part, a file's name, or nothing."""
    if word.lower() == "none":
        return None
    try:
        part = float(word)
    except ValueError:
        return word
    if not 0 < part < 1:
        raise SettingsError(f"--validation must be a part of the text between 0 and 1, a file or none, got {word}")
    return part


class Bar:
    """Progress on a terminal, of what takes more than a second."""

    def __init__(self) -> None:
        self._what, self._bar = "", None

    def show(self, what: str, done: int, total: int) -> None:
        """As much as this is done."""
        bar: Any = self._bar
        if what != self._what:
            from tqdm import tqdm

            self.close()
            form = {"total": total or None, "unit": "B" if what == "read" else "char", "unit_scale": True}
            self._what, self._bar = what, tqdm(desc=what, delay=1, disable=None, file=sys.stderr, leave=False, **form)
            bar = self._bar
        bar.update(done - bar.n)

    def close(self) -> None:
        """Nothing remains of it."""
        bar: Any = self._bar
        if bar is not None:
            bar.close()
