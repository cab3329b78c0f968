"""What a model is to go on from, as it is typed, piped or read from files."""

from __future__ import annotations

import argparse
import os
from typing import Any

from charrnn.arguments import unescaped
from charrnn.errors import TextError
from charrnn.text.decoding import Decoding
from charrnn.text.reading import blocks_of_file, label
from charrnn.text.vocabulary import Vocabulary


def beginnings(args: argparse.Namespace, vocabulary: Vocabulary) -> list[Any]:
    """The prompts that the arguments name, one empty one without any; TextError for characters that the vocabulary does not have."""
    if args.prompts is not None:
        found = prompts_in(args.prompts, vocabulary)
    elif args.prime_file is not None:
        found = [prime_in(args.prime_file, vocabulary)]
    else:
        found = [from_words("--prime", args.prime or "", vocabulary)]
    for prompt in found:
        vocabulary.encode(prompt)
    return found


def from_words(name: str, word: str, vocabulary: Vocabulary) -> Any:
    """The value of an option, in which \\n, \\t, \\r and \\\\ are escapes."""
    return as_read(unescaped(name, word), vocabulary)


def as_read(text: str, vocabulary: Vocabulary) -> Any:
    """A text as the model reads it: bytes for a model of bytes; else line ends are LF, if it knows no others."""
    if vocabulary.raw_bytes:
        return os.fsencode(text)
    return text if "\r" in vocabulary else text.replace("\r\n", "\n").replace("\r", "\n")


def from_file(path: str, vocabulary: Vocabulary) -> Any:
    """A whole file, or standard input for "-": UTF-8 with any line ends, or the bytes as they are for a model of bytes."""
    blocks = blocks_of_file(path)
    if vocabulary.raw_bytes:
        return b"".join(blocks)
    return "".join(Decoding("utf-8").decode(blocks, label(path)))


def prompts_in(path: str, vocabulary: Vocabulary) -> list[Any]:
    """The lines of a file that are not empty, without their line ends; TextError where there are none."""
    text = from_file(path, vocabulary)
    lines = [line for line in text.split(b"\n" if vocabulary.raw_bytes else "\n") if line]
    if not lines:
        raise TextError(f"{label(path)} holds no prompt: one is expected on each line")
    return lines


def prime_in(path: str, vocabulary: Vocabulary) -> Any:
    """A file as one prompt: without the line end that editors and echo put at its end (bytes: as they are)."""
    text = from_file(path, vocabulary)
    return text if vocabulary.raw_bytes else text.removesuffix("\n")
