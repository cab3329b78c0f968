"""Texts as training walks them: decoded, numbered, and read in slices.

    files, standard input or a string -> blocks of bytes -> characters -> ids

Everything flows in blocks, and every source is read once. The ids, in the smallest type that holds them, stay in
memory while they are few, and go to a temporary file when they are many; `Corpus.read` serves both alike. While a
text streams past, its alphabet is not known yet: characters are numbered in the order of their first appearance,
and a last sweep over the ids puts them into the vocabulary's sorted order.
"""

from __future__ import annotations

import contextlib
import numbers
import os
import weakref
from collections.abc import Generator, Iterable, Iterator
from typing import TYPE_CHECKING, Any, Self, TypeAlias

import numpy as np

from charrnn import arguments
from charrnn.errors import SettingsError, TextError, brief, resources
from charrnn.text.decoding import Decoding
from charrnn.text.idstore import IdStore
from charrnn.text.reading import blocks_of_file, files_of, label, names_of, refuse_a_name, refuse_an_open_file, size_of, unpacked
from charrnn.text.vocabulary import BLOCK, Encoder, Vocabulary, blocks_of, id_type, is_raw

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

AnyText: TypeAlias = "str | bytes | os.PathLike[str] | Corpus"  # what methods take as a text: a Path is read
IN_MEMORY = 64 << 20  # bytes of ids that stay in memory; longer texts use a file


class Corpus:
    """A text of any length, as ids: made by `Corpus.from_text` or `read_corpus`.

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
    def from_text(cls, text: str | bytes, vocabulary: Vocabulary | None = None, name: str = "text", *, min_count: int = 1) -> Corpus:
        """The corpus of a string, taken exactly as it is, or of raw bytes; min_count: as for `read_corpus`.

        Raises `TextError` for an empty text, fewer than two distinct characters (unless a vocabulary is given),
        characters outside the vocabulary, and a file name in place of a text.
        """
        if isinstance(text, (str, bytes)):
            refuse_a_name(text)
        return _encoded(blocks_of(text), vocabulary, is_raw(text), name, IdStore(None), min_count=min_count)

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
        """All ids (N,), read-only, as uint8, uint16 or uint32; for a long text a memory map: its pages become
        resident memory when they are used; with `read` they do not."""
        return self._store.array()

    def read(self, start: int, stop: int) -> NDArray[np.int32]:
        """A copy (stop - start,) of the ids start .. stop-1, for 0 <= start <= stop <= N; else `SettingsError`."""
        self._check_slice(start, stop)
        return self._store.read(start, stop)

    def _check_slice(self, start: Any, stop: Any) -> None:
        whole = all(isinstance(bound, numbers.Integral) for bound in (start, stop))
        if not (whole and 0 <= start <= stop <= len(self)):
            needs = f"needs whole numbers 0 <= start <= stop <= {len(self):,}"
            raise SettingsError(f"a slice of {self.name} {needs}, got {brief(start)} and {brief(stop)}")

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
        """The characters start .. stop-1 as a corpus with the whole one's vocabulary: a view, without a copy.

        >>> print(Corpus.from_text("to be or not to be").part(6, 12))
        text[6:12]: 6 characters, in a vocabulary of 7
        """
        self._check_slice(start, stop)
        name = f"{self.name}[{start:,}:{stop:,}]"
        return Corpus(self.vocabulary, _Part(self, start, stop), name, f"in a vocabulary of {len(self.vocabulary):,}")

    def require_window(self, seq_length: int, batch_size: int = 1) -> None:
        """Raise `TextError` unless each of ``batch_size`` parallel sequences holds a window of ``seq_length`` and its targets."""
        stream = len(self) // batch_size
        if stream <= seq_length:
            lanes = f" in each of {batch_size:,} parallel sequences" if batch_size > 1 else ""
            needs = f"seq_length {seq_length:,} needs {seq_length + 1:,}" if seq_length > 1 else "it needs 2"
            smaller = ["a smaller seq_length"] * (seq_length > 1) + ["a smaller batch_size"] * (batch_size > 1)
            advice = " or ".join(["a longer text", *smaller])
            raise TextError(f"{self.name} is too short: {needs} characters{lanes}, got {stream:,}; give {advice}")


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
    paths: Iterable[str | bytes | os.PathLike[str]] | str | bytes | os.PathLike[str] | None = None,
    encoding: str = "utf-8",
    raw_bytes: bool = False,
    vocabulary: Vocabulary | None = None,
    *,
    cache: str | os.PathLike[str] | None = None,
    in_memory: int = IN_MEMORY,
    min_count: int = 1,
) -> Corpus:
    """Read files, one after the other, as one text.

    Args:
        paths: the files; ``"-"`` is standard input; None is the bundled story. A folder is read as the text files in
            it (not in folders of it), sorted by name. What gzip, bzip2 or xz has compressed is decompressed.
        encoding: any text encoding that Python knows. CRLF and CR become LF; a byte-order mark is dropped.
        raw_bytes: take the bytes as they are (K <= 256), neither decoded nor decompressed. Implied by a vocabulary of raw bytes.
        vocabulary: number the characters by this vocabulary instead of making one.
        cache: the folder for the temporary file of a long text (default: that of the `tempfile` module, which the
            environment variable TMPDIR sets).
        in_memory: how many bytes of ids (one a character, up to 256 distinct ones) are kept in memory.
        min_count: characters that occur fewer times are read as U+FFFD. With 2 or more this symbol is always in the vocabulary, and stands
            for every character that the vocabulary does not have, in this text and in any other.

    Raises `TextError` for a file that is missing, unreadable, no text (but an archive, a PDF, a picture), not in the
    encoding, or changes while it is read, for a folder without texts, for a text that is empty or has fewer than two
    distinct characters, and for characters outside a given vocabulary; `SettingsError` for what is no path or none at
    all (an empty list, an open file), for an unknown encoding, one for raw bytes, or standard input twice; `OutputError`
    when the temporary file could not be written.

    >>> print(read_corpus())
    tidehouse_at_saltmere.txt: 461,932 characters, 79 distinct, decoded as UTF-8, line ends LF
    """
    names = [os.fspath(bundled_story())] if paths is None else names_of(paths)
    in_memory = arguments.whole_number("in_memory", in_memory, at_least=0)
    if vocabulary is not None and not isinstance(vocabulary, Vocabulary):
        raise SettingsError(f"vocabulary must be a Vocabulary, as Vocabulary('abc') makes one, got {brief(vocabulary)}")
    raw_bytes = arguments.yes_or_no("raw_bytes", raw_bytes) or (vocabulary is not None and vocabulary.raw_bytes)
    if raw_bytes and not (isinstance(encoding, str) and encoding == "utf-8"):
        raise SettingsError(f"raw bytes are not decoded, got encoding {brief(encoding)} for them: leave one of them out")
    decoding = None if raw_bytes else Decoding(encoding)
    if names.count("-") > 1:
        raise SettingsError("standard input ('-') can be read only once, got it several times")
    title = ", ".join(_title(name) for name in names[:3]) + (f" and {len(names) - 3:,} more" if len(names) > 3 else "")
    # Every file is looked at before the work on any begins.
    files = [file for name in names for file in ([name] if name == "-" else files_of(name, decoding))]
    store = IdStore(in_memory, cache)
    if sum(size_of(file) for file in files if file != "-") > in_memory:
        store.move_to_file()
    with contextlib.closing(_blocks(files, decoding)) as blocks:
        return _encoded(blocks, vocabulary, raw_bytes, title, store, decoding, min_count)


def _title(name: str) -> str:
    """A file's name without its folder; of a folder its own."""
    return label(name) if name == "-" else os.path.basename(name.rstrip("/" + os.sep)) or name


def _blocks(files: Iterable[str], decoding: Decoding | None) -> Generator[Any, None, None]:
    """The files' bytes, or characters, block by block; whatever goes wrong with one closes its file."""
    for file in files:
        with contextlib.closing(blocks_of_file(file)) as raw:
            if decoding is None:
                yield from raw
                continue
            with contextlib.closing(unpacked(raw, label(file), decoding.packed)) as blocks:
                yield from decoding.decode(blocks, label(file))


def _encoded(
    blocks: Iterable[Any],
    vocabulary: Vocabulary | None,
    raw_bytes: bool,
    name: str,
    store: IdStore,
    decoding: Decoding | None = None,
    min_count: int = 1,
) -> Corpus:
    try:
        with _about(name), resources():
            encoder = Encoder(vocabulary, raw_bytes, min_count)
        for block in blocks:
            with _about(name), resources():
                ids = encoder.encode(block)
            store.append(ids, id_type(encoder.size))
        if encoder.length == 0:
            raise TextError(f"{name}: empty, there is nothing to read")
        with _about(name), resources():
            made, ranks = encoder.finish()
            store.finish(ranks)
        sizes = f"in a vocabulary of {len(made):,}" if vocabulary else f"{len(made):,} distinct"
        if encoder.min_count > 1:
            kinds, occurrences = encoder.rare
            sizes += f", {kinds:,} rarer than {encoder.min_count:,} ({occurrences:,} in all) read as U+FFFD"
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


def as_corpus(text: AnyText, vocabulary: Vocabulary | None = None, name: str = "text", min_count: int = 1) -> Corpus:
    """A text in any form as a corpus, in this vocabulary if there is one: a string or bytes as they are, a Path by `read_corpus`.

    min_count: as for `read_corpus`; a vocabulary that has U+FFFD for rare characters already is taken as it is.

    Raises `TextError` for anything else, for a string that names a file, and for what `read_corpus` and `Corpus.from_text` refuse.

    >>> as_corpus(bundled_story()).name, as_corpus("to be").name
    ('tidehouse_at_saltmere.txt', 'text')
    """
    if vocabulary is not None and vocabulary.unknown is not None:
        min_count = 1
    if isinstance(text, os.PathLike):
        return read_corpus(text, vocabulary=vocabulary, min_count=min_count)
    if not isinstance(text, Corpus):
        if hasattr(text, "read"):
            refuse_an_open_file("text", text)
        return Corpus.from_text(text, vocabulary, name, min_count=min_count)
    if arguments.whole_number("min_count", min_count) > 1 and text.vocabulary.unknown is None:
        raise SettingsError(f"{text.name} is read already: give min_count to read_corpus or Corpus.from_text")
    if vocabulary is None or text.vocabulary == vocabulary:
        return text
    if len(text) > IN_MEMORY:
        raise TextError(f"{text.name} is too long to be numbered anew: read it with vocabulary=model.vocabulary")
    whole = text.text(0, len(text))
    return _encoded(blocks_of(whole), vocabulary, is_raw(whole), text.name, IdStore(None))


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
