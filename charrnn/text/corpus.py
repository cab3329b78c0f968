"""Texts as training walks them: decoded, numbered, and read in slices.

    files, standard input or a string -> blocks of bytes -> characters -> ids

Everything flows in blocks, and every source is read once. The ids, in the smallest type that holds them, stay in
memory while they are few, and go to a temporary file when they are many; `Corpus.read` serves both alike. While a
text streams past, its alphabet is not known yet: characters are numbered in the order of their first appearance,
and a last sweep over the ids puts them into the vocabulary's sorted order.
"""

from __future__ import annotations

import codecs
import contextlib
import io
import itertools
import numbers
import os
import stat
import sys
import weakref
from collections.abc import Generator, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from charrnn import arguments
from charrnn.errors import SettingsError, TextError
from charrnn.text.idstore import IdStore, reason
from charrnn.text.vocabulary import BLOCK, Encoder, Vocabulary, blocks_of, id_type, is_raw

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

IN_MEMORY = 64 << 20  # bytes of ids that stay in memory; longer texts use a file


class Corpus:
    """A text as ids, however long: made by `Corpus.from_text` or `read_corpus`.

    ``len(corpus)`` is N, the number of characters (of bytes, for raw bytes). Closing it, explicitly, as a context
    manager or by letting it go, removes the temporary file of a long text. Several threads may read one corpus.

    >>> corpus = Corpus.from_text("to be or not to be", name="a line")
    >>> len(corpus), corpus.vocabulary.characters
    (18, ' benort')
    >>> corpus.read(0, 5)
    array([6, 4, 0, 1, 2], dtype=int32)
    >>> corpus.text(6, 12)
    'or not'
    >>> print(corpus)
    a line: 18 characters, 7 distinct
    """

    def __init__(self, vocabulary: Vocabulary, store: IdStore | _Part, name: str, details: str) -> None:
        self.vocabulary = vocabulary
        self.name = name
        noun = "bytes" if vocabulary.raw_bytes else "characters"
        #: One line: which text, N, K, and how it was decoded.
        self.description = f"{name}: {len(store):,} {noun}, {details}"
        self._store = store
        self._fingerprint: str | None = None
        self._close = weakref.finalize(self, store.close)

    @classmethod
    def from_text(cls, text: str | bytes, vocabulary: Vocabulary | None = None, name: str = "text") -> Corpus:
        """The corpus of a string, taken exactly as it is, or of raw bytes.

        Raises `TextError` for an empty text, fewer than two distinct characters (unless a vocabulary is given),
        and characters outside the vocabulary.
        """
        return _encoded(blocks_of(text), vocabulary, is_raw(text), name, IdStore(None))

    def __len__(self) -> int:
        return len(self._store)

    def __repr__(self) -> str:
        return f"<Corpus {self.description}>"

    def __str__(self) -> str:
        return self.description

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Forget the ids; of a long text, remove the temporary file. Reading afterwards raises `TextError`."""
        self._close()

    @property
    def ids(self) -> NDArray[Any]:
        """All ids (N,), read-only, as uint8, uint16 or uint32; of a long text a memory map, which costs resident
        memory for whatever is touched, where `read` does not."""
        return self._store.array()

    def read(self, start: int, stop: int) -> NDArray[np.int32]:
        """A copy (stop - start,) of the ids start .. stop-1, for 0 <= start <= stop <= N; else `SettingsError`."""
        self._check_slice(start, stop)
        return self._store.read(start, stop)

    def _check_slice(self, start: Any, stop: Any) -> None:
        whole = all(isinstance(bound, numbers.Integral) for bound in (start, stop))
        if not (whole and 0 <= start <= stop <= len(self)):
            needs = f"needs whole numbers 0 <= start <= stop <= {len(self):,}"
            raise SettingsError(f"a slice of {self.name} {needs}, got {start!r} and {stop!r}")

    def text(self, start: int, stop: int) -> Any:
        """The characters start .. stop-1: ``str``, or ``bytes`` for raw bytes."""
        return self.vocabulary.decode(self.read(start, stop))

    @property
    def fingerprint(self) -> str:
        """The SHA-256, in hexadecimal, over the vocabulary and the ids, the same for the same text and vocabulary,
        wherever and however they are stored."""
        if self._fingerprint is None:
            import hashlib  # slow to import, and many uses of charrnn never ask
            import json

            digest = hashlib.sha256(json.dumps(self.vocabulary.to_json(), sort_keys=True).encode() + b"\0")
            for start in range(0, len(self), BLOCK):
                ids = self.read(start, min(start + BLOCK, len(self)))
                digest.update(ids.astype(id_type(len(self.vocabulary))).tobytes())
            self._fingerprint = digest.hexdigest()
        return self._fingerprint

    def part(self, start: int, stop: int) -> Corpus:
        """The characters start .. stop-1 as a corpus with the whole one's vocabulary: a view, which nothing is copied for.

        >>> print(Corpus.from_text("to be or not to be").part(6, 12))
        text[6:12]: 6 characters, in a vocabulary of 7
        """
        self._check_slice(start, stop)
        name = f"{self.name}[{start:,}:{stop:,}]"
        return Corpus(self.vocabulary, _Part(self, start, stop), name, f"in a vocabulary of {len(self.vocabulary):,}")

    def require_window(self, seq_length: int, batch_size: int = 1) -> None:
        """Raise `TextError` unless each of ``batch_size`` lanes holds a window of ``seq_length`` and its targets."""
        stream = len(self) // batch_size
        if stream <= seq_length:
            lanes = f" in each of {batch_size:,} lanes" if batch_size > 1 else ""
            needs = f"seq_length {seq_length:,} needs {seq_length + 1:,}" if seq_length > 1 else "it needs 2"
            smaller = [", a smaller seq_length"] * (seq_length > 1) + [", a smaller batch_size"] * (batch_size > 1)
            raise TextError(f"{self.name} is too short: {needs} characters{lanes}, got {stream:,}; give a longer text{''.join(smaller)}")


def bundled_story() -> Path:
    """The file of the story that comes with charrnn.

    >>> bundled_story().name
    'tidehouse_at_saltmere.txt'
    """
    from importlib.resources import files
    from pathlib import Path

    name = "tidehouse_at_saltmere.txt"
    installed = Path(str(files("charrnn") / "data" / name))
    return installed if installed.is_file() else Path(__file__).parents[2] / "data" / name  # a source checkout


def read_corpus(
    paths: Sequence[str | os.PathLike[str]] | str | os.PathLike[str] | None = None,
    encoding: str = "utf-8",
    raw_bytes: bool = False,
    vocabulary: Vocabulary | None = None,
    *,
    cache: str | os.PathLike[str] | None = None,
    in_memory: int = IN_MEMORY,
) -> Corpus:
    """Read files, one after the other, as one text.

    Args:
        paths: the files; ``"-"`` is standard input; none at all is the bundled story.
        encoding: any text encoding that Python knows. CRLF and CR become LF; a byte-order mark is dropped.
        raw_bytes: take the bytes as they are (K <= 256), undecoded. Implied by a vocabulary of raw bytes.
        vocabulary: number the characters by this vocabulary instead of making one.
        cache: the folder for the temporary file of a long text (default: that of the `tempfile` module, which the
            environment variable TMPDIR sets).
        in_memory: how many bytes of ids (one a character, up to 256 distinct ones) are kept in memory.

    Raises `TextError` for a file that is missing, a folder, unreadable, no text in the encoding, or changes while it is
    read, for a text that is empty or has fewer than two distinct characters, and for characters outside a given
    vocabulary; `SettingsError` for an unknown encoding, one for raw bytes, or standard input twice; `OutputError` when
    the temporary file could not be written.

    >>> print(read_corpus())
    tidehouse_at_saltmere.txt: 461,932 characters, 79 distinct, decoded as UTF-8, line ends LF
    """
    try:
        several = [paths] if isinstance(paths, (str, os.PathLike)) else paths or [bundled_story()]
        names = [os.fsdecode(path) for path in several]
    except TypeError:
        raise SettingsError(f"paths must be the names of files, got {paths!r}") from None
    in_memory = arguments.whole_number("in_memory", in_memory, at_least=0)
    raw_bytes = arguments.yes_or_no("raw_bytes", raw_bytes) or (isinstance(vocabulary, Vocabulary) and vocabulary.raw_bytes)
    if raw_bytes and encoding != "utf-8":
        raise SettingsError(f"raw bytes are not decoded, got encoding {encoding!r} for them: leave one of them out")
    decoding = None if raw_bytes else _Decoding(encoding)
    if names.count("-") > 1:
        raise SettingsError("standard input ('-') can be read only once, got it several times")
    size = sum(_check(name) for name in names if name != "-")  # every file, before the work on any begins

    more = f" and {len(names) - 3:,} more" if len(names) > 3 else ""
    name = ", ".join(os.path.basename(_label(name)) for name in names[:3]) + more
    store = IdStore(in_memory, cache)
    if size > in_memory:
        store.move_to_file()
    with contextlib.closing(_blocks(names, decoding)) as blocks:
        return _encoded(blocks, vocabulary, raw_bytes, name, store, decoding)


def _blocks(names: Iterable[str], decoding: _Decoding | None) -> Generator[Any, None, None]:
    """The files' bytes, or characters, block by block; whatever goes wrong with one closes its file."""
    for name in names:
        with contextlib.closing(_blocks_of_file(name)) as blocks:
            yield from blocks if decoding is None else decoding.decode(blocks, _label(name))


def _encoded(
    blocks: Iterable[Any], vocabulary: Vocabulary | None, raw_bytes: bool, name: str, store: IdStore, decoding: _Decoding | None = None
) -> Corpus:
    try:
        with _about(name):
            encoder = Encoder(vocabulary, raw_bytes)
        for block in blocks:
            with _about(name):
                ids = encoder.encode(block)
            store.append(ids, id_type(encoder.size))
        if encoder.length == 0:
            raise TextError(f"{name}: empty, there is nothing to read")
        with _about(name):
            made, ranks = encoder.finish()
        store.finish(ranks)
        sizes = f"in a vocabulary of {len(made):,}" if vocabulary else f"{len(made):,} distinct"
        return Corpus(made, store, name, sizes + str(decoding or (", raw" if raw_bytes else "")))
    except BaseException:
        store.close()
        raise


@contextlib.contextmanager
def _about(name: str) -> Iterator[None]:
    """Say in a `TextError` which text it is about."""
    try:
        yield
    except TextError as error:
        raise TextError(f"{name}: {error}") from None


class _Decoding:
    """One encoding, and what was met while decoding with it."""

    def __init__(self, encoding: str) -> None:
        try:
            self.encoding = codecs.lookup(encoding).name
            self._decoder = codecs.getincrementaldecoder(encoding)
            b"a".decode(encoding)  # tells encodings of text from other codecs, such as "hex"
            if self.encoding in ("idna", "punycode"):  # for names of hosts: the latter decodes no text in blocks
                raise LookupError
        except UnicodeDecodeError:
            pass  # a text encoding in which one byte is no character
        except (LookupError, ValueError, TypeError):
            import difflib
            from encodings.aliases import aliases

            wanted = str(encoding).lower().replace("-", "_")
            texts = {name for pair in aliases.items() if not pair[1].endswith(("_codec", "rot_13")) for name in pair}
            near = difflib.get_close_matches(wanted, sorted(texts), n=3)
            hint = f"near it: {', '.join(near)}" if near else "for example utf-8, latin-1, cp1252, utf-16"
            raise SettingsError(f"unknown text encoding {encoding!r}; {hint}") from None
        self.marks = 0
        self.line_ends: set[str] = set()

    def decode(self, blocks: Iterable[bytes], name: str) -> Iterator[str]:
        """The characters of one file's blocks, however these cut characters, line ends and byte-order mark."""
        decoder = self._decoder()
        newlines = io.IncrementalNewlineDecoder(decoder, translate=True)
        position, at_start = 0, True
        for block in itertools.chain(blocks, [b""]):
            position += len(block)
            try:
                text = newlines.decode(block, final=not block)
            except ValueError as error:
                found = str(error)
                other = f"{self.encoding}-le" if "BOM" in found else "latin-1"
                if isinstance(error, UnicodeDecodeError):
                    # error.object is what the decoder had kept back, and this block: count from their common end
                    offset = position - len(error.object) + error.start
                    found = f"byte 0x{error.object[error.start]:02x} at offset {offset:,} ({error.reason})"
                    if offset == 0 and error.object[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
                        other = "utf-16"
                raise TextError(
                    f"{name} is not {self.encoding.upper()}: {found}; name its encoding, such as "
                    f"--encoding {other} (encoding='{other}'), or read bytes: --bytes (raw_bytes=True)"
                ) from None
            if at_start and text:
                at_start = False
                if text[0] == "\ufeff":
                    self.marks += 1
                    text = text[1:]
            if text:
                yield text
        ends = newlines.newlines
        self.line_ends.update([ends] if isinstance(ends, str) else ends or [])

    def __str__(self) -> str:
        names = [name for end, name in (("\n", "LF"), ("\r\n", "CRLF"), ("\r", "CR")) if end in self.line_ends]
        mark = " without its byte-order mark" if self.marks else ""
        made = "" if names in (["LF"], []) else " read as LF"
        return f", decoded as {self.encoding.upper()}{mark}, line ends {', '.join(names) or 'none'}{made}"


def _label(name: str) -> str:
    return "standard input" if name == "-" else name


def _check(name: str) -> int:
    """The size of a file in bytes (0 for pipes), or a `TextError` when it cannot be a text."""
    try:
        status = os.stat(name)
        if stat.S_ISREG(status.st_mode):
            with open(name, "rb"):
                return status.st_size
    except (FileNotFoundError, NotADirectoryError):
        raise TextError(f"{name} does not exist: check the file's name and folder") from None
    except (OSError, ValueError) as error:
        raise TextError(f"{name} cannot be read: {reason(error)}") from None
    if stat.S_ISDIR(status.st_mode):
        raise TextError(f"{name} is a folder: name the files in it")
    return 0


def _blocks_of_file(name: str) -> Generator[bytes, None, None]:
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
        raise TextError(f"{_label(name)} cannot be read: {reason(error)}") from None
    if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns) and stat.S_ISREG(before.st_mode):
        raise TextError(
            f"{name} changed while it was read ({before.st_size:,} bytes before, {after.st_size:,} after): "
            "try again when nothing writes to it"
        )


class _Part:
    """The ids start .. stop-1 of another corpus, with the face of a `IdStore`."""

    def __init__(self, whole: Corpus, start: int, stop: int) -> None:
        whole.read(start, start), whole.read(stop, stop)  # say what is wrong with them, if anything
        self._whole, self._start, self._length = whole, start, stop - start

    def __len__(self) -> int:
        return self._length

    def read(self, start: int, stop: int) -> NDArray[np.int32]:
        return self._whole.read(self._start + start, self._start + stop)

    def array(self) -> NDArray[Any]:
        return self._whole.ids[self._start : self._start + self._length]

    def close(self) -> None:
        """The whole corpus may still be in use."""
