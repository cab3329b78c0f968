"""Where texts come from: files, folders of them, standard input; plain or compressed, and never what is no text."""

from __future__ import annotations

import contextlib
import io
import itertools
import os
import stat
import sys
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Set
from typing import Any, NoReturn

from charrnn.errors import SettingsError, TextError, brief
from charrnn.text.decoding import Decoding
from charrnn.text.idstore import reason
from charrnn.text.vocabulary import BLOCK

SIGNATURES = {  # how files begin that are no text, though a text is often in them
    b"PK\x03\x04": "a ZIP archive (as .docx, .odt, .xlsx and .epub are)",
    b"PK\x05\x06": "an empty ZIP archive",
    b"%PDF-": "a PDF",
    b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1": "an old Word or Excel file",
    b"7z\xbc\xaf\x27\x1c": "a 7-Zip archive",
    b"Rar!\x1a\x07": "a RAR archive",
    b"\x28\xb5\x2f\xfd": "compressed by Zstandard",
    b"\x89PNG\r\n\x1a\n": "a PNG picture",
    b"\xff\xd8\xff": "a JPEG picture",
    b"GIF87a": "a GIF picture",
    b"GIF89a": "a GIF picture",
    b"\x7fELF": "a compiled program",
    b"SQLite format 3\0": "an SQLite database",
    b"\x93NUMPY": "a NumPy array",
}
PACKED = {b"\x1f\x8b\x08": "gzip", b"BZh": "bzip2", b"\xfd7zXZ\0": "xz"}
BZIP2 = (b"1AY&SY", b"\x17rE8P\x90")  # what follows BZh and a digit: a block, or the end at once
HEAD = 16  # bytes that tell what a file is
# What the name of a text ends in: for those who give the name in place of the text.
ENDINGS = (
    *(".txt", ".text", ".md", ".rst", ".csv", ".tsv", ".json", ".jsonl", ".log", ".xml", ".htm", ".html", ".tex"),
    *(".gz", ".bz2", ".xz", ".zip", ".docx", ".doc", ".odt", ".rtf", ".pdf", ".epub"),
)
LONGEST_NAME = 4096


def names_of(paths: Any) -> list[str]:
    """The files' names in what `read_corpus` may be given; SettingsError for anything else, and for none at all."""
    if hasattr(paths, "read"):
        refuse_an_open_file("paths", paths)
    several = [paths] if isinstance(paths, (str, bytes, os.PathLike)) else paths
    try:
        if isinstance(several, (Mapping, Set)):  # which have no order, or one of something else
            raise TypeError
        names = [os.fsdecode(path) for path in several]
    except TypeError:
        raise SettingsError(f"paths must be the names of files, got {brief(paths)}") from None
    if not names:
        raise SettingsError(f"paths must name a file at least, got {brief(paths)}; None is the story that comes with charrnn")
    return names


def refuse_an_open_file(name: str, file: Any) -> NoReturn:
    """SettingsError, with the call that would read it."""
    named = getattr(file, "name", None)
    example = brief(named) if isinstance(named, str) else "'book.txt'"
    raise SettingsError(f"{name} must not be an open file: give its name, as in charrnn.read_corpus({example})")


def refuse_a_name(text: str | bytes) -> None:
    """TextError for a text that is not one but a file's name, as far as one can tell."""
    if not 0 < len(text) <= LONGEST_NAME:
        return
    name = os.fsdecode(text)
    if "\n" in name or "\0" in name:
        return
    folder = os.path.isdir(name) and os.path.basename(name).strip(".") not in ("", name)
    there = folder or os.path.isfile(name)
    if there or name.lower().endswith(ENDINGS):
        what = "the name of a file" if there else "what looks like the name of a file"
        shown = brief(name)
        raise TextError(
            f"got {what}, not a text: charrnn.read_corpus({shown}) reads it; if {shown} is the text itself, end it with a line end"
        )


def files_of(name: str, decoding: Decoding | None) -> list[str]:
    """The files that a name stands for: itself, or of a folder the text files in it, sorted by name.

    `TextError` for what cannot be a text.
    """
    try:
        status = os.stat(name)
        if stat.S_ISREG(status.st_mode):
            with open(name, "rb"):
                return [name]
    except (FileNotFoundError, NotADirectoryError):
        pattern = any(c in name for c in "*?[")
        hint = "a pattern must be expanded, as sorted(glob.glob(...)) does" if pattern else "check the file's name and folder"
        raise TextError(f"{name or 'the file without a name'} does not exist: {hint}") from None
    except (OSError, ValueError) as error:
        raise TextError(f"{name} cannot be read: {reason(error)}") from None
    if not stat.S_ISDIR(status.st_mode):
        return [name]
    try:
        with os.scandir(name) as entries:
            files = sorted(entry.name for entry in entries if entry.is_file() and not entry.name.startswith("."))
    except OSError as error:
        raise TextError(f"the folder {name} cannot be read: {reason(error)}") from None
    texts = [path for path in (os.path.join(name, file) for file in files) if decoding is None or _begins_as_text(path, decoding)]
    if not texts:
        raise TextError(f"{name} is a folder without text files ({len(files):,} files in it): name another, or the files themselves")
    return texts


def size_of(name: str) -> int:
    """Its bytes; 0 for a pipe."""
    with contextlib.suppress(OSError, ValueError):
        return os.stat(name).st_size
    return 0


def _begins_as_text(path: str, decoding: Decoding) -> bool:
    """Whether the first block of a file decodes, and has no NUL in it, as programs and pictures do."""
    try:
        with contextlib.closing(unpacked(blocks_of_file(path), path)) as blocks:
            start = next(iter(blocks), b"")
        text = decoding.start(start)
        return "\0" not in text
    except (TextError, ValueError):
        return False


def label(name: str) -> str:
    """What a person calls it."""
    return "standard input" if name == "-" else name


def blocks_of_file(name: str) -> Generator[bytes, None, None]:
    """A file's bytes, in blocks; `TextError` if it changes meanwhile.

    As a file is read only once, whatever happens to it the ids are those of some text; the check makes sure that
    it is the text which was there all the time. A file replaced by another is read on to its old end.
    """
    stream: Any = getattr(sys.stdin, "buffer", None)
    if name == "-" and stream is None:
        raise TextError("there is no standard input to read: name a file")
    try:
        if name == "-":
            while block := stream.read(BLOCK):
                yield block
            return
        with open(name, "rb", buffering=0) as file:
            before, length = os.fstat(file.fileno()), 0
            while block := file.read(BLOCK):
                length += len(block)
                if stat.S_ISREG(before.st_mode) and 0 < before.st_size < length:
                    break  # grows: do not run after it
                yield block
            after = os.fstat(file.fileno())
    except (OSError, ValueError) as error:
        raise TextError(f"{label(name)} cannot be read: {reason(error)}") from None
    if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns) and stat.S_ISREG(before.st_mode):
        raise TextError(
            f"{name} changed while it was read ({before.st_size:,} bytes before, {after.st_size:,} after): "
            "try again when nothing writes to it"
        )


def unpacked(blocks: Generator[bytes, None, None], name: str, found: set[str] | None = None) -> Generator[bytes, None, None]:
    """The blocks of a text: those of a compressed file decompressed (`found` gets its format), `TextError` for what is no text."""
    with contextlib.closing(blocks):
        head, whole = _head_of(blocks)
        kind = next((kind for start, kind in PACKED.items() if head.startswith(start)), None)
        if kind is None or (kind == "bzip2" and not (head[3:4].isdigit() and head[4:10] in BZIP2)):
            yield from _no_other(head, whole, name)
            return
        if found is not None:
            found.add(kind)
        head, whole = _head_of(_decompressed(whole, kind, name))
        yield from _no_other(head, whole, f"{name}, decompressed,")


def _head_of(blocks: Iterable[bytes]) -> tuple[bytes, Iterator[bytes]]:
    """The first bytes of some blocks, and all of the blocks."""
    rest, head = iter(blocks), b""
    first: list[bytes] = []
    while len(head) < HEAD and (block := next(rest, b"")):
        first.append(block)
        head += block[:HEAD]
    return head, itertools.chain(first, rest)


def _no_other(head: bytes, blocks: Iterator[bytes], name: str) -> Iterator[bytes]:
    """The blocks, unless their beginning is that of something else."""
    for start, kind in SIGNATURES.items():
        if head.startswith(start):
            raise TextError(f"{name} is no text but {kind}: save it as plain text, or read its bytes: --bytes (raw_bytes=True)")
    if head[8:10] == b'{"' and head[2:8] == bytes(6):
        raise TextError(f"{name} is no text but a model (safetensors)")
    yield from blocks


class _Stream(io.RawIOBase):
    """Blocks as a file that can be read once."""

    def __init__(self, blocks: Iterator[bytes]) -> None:
        self._blocks, self._left = blocks, memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self._left = self._left or memoryview(next(self._blocks, b""))
        count = min(len(buffer), len(self._left))
        buffer[:count] = self._left[:count]
        self._left = self._left[count:]
        return count


def _decompressed(blocks: Iterator[bytes], kind: str, name: str) -> Iterator[bytes]:
    """In blocks of their own, so that what a small file becomes does not have to fit into memory."""
    import bz2
    import gzip
    import lzma
    import zlib

    formats: dict[str, Callable[[Any], Any]] = {"gzip": lambda file: gzip.GzipFile(fileobj=file), "bzip2": bz2.BZ2File, "xz": lzma.LZMAFile}
    try:
        with formats[kind](io.BufferedReader(_Stream(blocks))) as file:
            while block := file.read(BLOCK):
                yield block
    except (OSError, EOFError, zlib.error, lzma.LZMAError) as error:
        raise TextError(f"{name} is compressed ({kind}) and damaged or cut off: {error}") from None
