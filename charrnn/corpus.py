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
import hashlib
import io
import itertools
import json
import os
import stat
import sys
import tempfile
import threading
import weakref
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any, Self

import numpy as np
from numpy.typing import NDArray

from charrnn.errors import OutputError, SettingsError, TextError
from charrnn.vocabulary import BLOCK, Encoder, Vocabulary, blocks_of, id_type, is_raw

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

    def __init__(self, vocabulary: Vocabulary, store: _Store | _Part, name: str, details: str) -> None:
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
        return _encoded(blocks_of(text), vocabulary, is_raw(text), name, _Store(None))

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
        if not 0 <= start <= stop <= len(self._store):
            raise SettingsError(f"a slice of {self.name} needs 0 <= start <= stop <= {len(self):,}, "
                                f"got {start:,} and {stop:,}")
        return self._store.read(start, stop)

    def text(self, start: int, stop: int) -> Any:
        """The characters start .. stop-1: ``str``, or ``bytes`` for raw bytes."""
        return self.vocabulary.decode(self.read(start, stop))

    @property
    def fingerprint(self) -> str:
        """SHA-256, in hexadecimal, over the vocabulary and the ids: the same for the same text and vocabulary,
        wherever and however they are stored."""
        if self._fingerprint is None:
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
        name = f"{self.name}[{start:,}:{stop:,}]"
        return Corpus(self.vocabulary, _Part(self, start, stop), name, f"in a vocabulary of {len(self.vocabulary):,}")

    def require_window(self, seq_length: int, batch_size: int = 1) -> None:
        """Raise `TextError` unless each of ``batch_size`` lanes holds a window of ``seq_length`` and its targets."""
        stream = len(self) // batch_size
        if stream <= seq_length:
            lanes = f" in each of {batch_size:,} lanes" if batch_size > 1 else ""
            raise TextError(f"{self.name} is too short: seq_length {seq_length:,} needs {seq_length + 1:,} characters"
                            f"{lanes}, got {stream:,}; give a longer text or a smaller seq_length")


def bundled_story() -> Path:
    """The file of the story that comes with charrnn.

    >>> bundled_story().name
    'tidehouse_at_saltmere.txt'
    """
    from importlib.resources import files

    name = "tidehouse_at_saltmere.txt"
    installed = Path(str(files("charrnn") / "data" / name))
    return installed if installed.is_file() else Path(__file__).parents[1] / "data" / name  # a source checkout


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

    Parameters
    ----------
    paths : the files; ``"-"`` is standard input; none at all is the bundled story.
    encoding : any text encoding that Python knows. CRLF and CR become LF; a byte-order mark is dropped.
    raw_bytes : take the bytes as they are (K <= 256), undecoded. Implied by a vocabulary of raw bytes.
    vocabulary : number the characters by this vocabulary instead of making one.
    cache : the folder for the temporary file of a long text (default: that of the `tempfile` module, which the
        environment variable TMPDIR sets).
    in_memory : how many bytes of ids (one a character, up to 256 distinct ones) are kept in memory.

    Raises
    ------
    TextError : a file that is missing, a folder, unreadable, no text in the encoding, or changes while it is
        read; a text that is empty or has fewer than two distinct characters, or characters outside a given vocabulary.
    SettingsError : an unknown encoding, or one for raw bytes; standard input twice.
    OutputError : the temporary file could not be written.

    >>> print(read_corpus())
    tidehouse_at_saltmere.txt: 461,932 characters, 79 distinct, decoded as UTF-8, line ends LF
    """
    try:
        several = [paths] if isinstance(paths, (str, os.PathLike)) else paths or [bundled_story()]
        names = [os.fsdecode(path) for path in several]
    except TypeError:
        raise SettingsError(f"paths must be the names of files, got {paths!r}") from None
    raw_bytes = raw_bytes or (vocabulary is not None and vocabulary.raw_bytes)
    if raw_bytes and encoding != "utf-8":
        raise SettingsError(f"raw bytes are not decoded, got encoding {encoding!r} for them: leave one of them out")
    decoding = None if raw_bytes else _Decoding(encoding)
    if names.count("-") > 1:
        raise SettingsError("standard input ('-') can be read only once, got it several times")
    size = sum(_check(name) for name in names if name != "-")  # every file, before the work on any begins

    blocks: Iterator[Any] = (block for name in names for block in _blocks_of_file(name))
    if decoding is not None:
        blocks = (text for name in names for text in decoding.decode(_blocks_of_file(name), _label(name)))
    more = f" and {len(names) - 3:,} more" if len(names) > 3 else ""
    name = ", ".join(Path(_label(name)).name for name in names[:3]) + more
    store = _Store(in_memory, cache or tempfile.gettempdir())
    if size > in_memory:
        store.move_to_file()
    return _encoded(blocks, vocabulary, raw_bytes, name, store, decoding)


def _encoded(blocks: Iterable[Any], vocabulary: Vocabulary | None, raw_bytes: bool, name: str, store: _Store,
             decoding: _Decoding | None = None) -> Corpus:
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
                raise TextError(f"{name} is not {self.encoding.upper()}: {found}; name its encoding, such as "
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
        raise TextError(f"{name} cannot be read: {_reason(error)}") from None
    if stat.S_ISDIR(status.st_mode):
        raise TextError(f"{name} is a folder: name the files in it")
    return 0


def _blocks_of_file(name: str) -> Iterator[bytes]:
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
        raise TextError(f"{_label(name)} cannot be read: {_reason(error)}") from None
    if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns) and stat.S_ISREG(before.st_mode):
        raise TextError(f"{name} changed while it was read ({before.st_size:,} bytes before, {after.st_size:,} after): "
                        "try again when nothing writes to it")


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)


class _Part:
    """The ids start .. stop-1 of another corpus, with the face of a `_Store`."""

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


class _Store:
    """N ids in memory or, beyond ``in_memory`` bytes (None: never), in a temporary file in ``folder``."""

    def __init__(self, in_memory: int | None, folder: str | os.PathLike[str] = "") -> None:
        self._in_memory = in_memory
        self._folder = folder
        self._file: IO[bytes] = io.BytesIO()
        self._type = id_type(0)
        self._length = 0
        self._lock = threading.Lock()
        self._ids: NDArray[Any] | None = None  # all of them, once complete and in memory

    def __len__(self) -> int:
        return self._length

    @property
    def on_disk(self) -> bool:
        return not isinstance(self._file, io.BytesIO)

    def append(self, ids: NDArray[Any], dtype: np.dtype[Any]) -> None:
        """Add ids at the end; all fit ``dtype``, which never gets narrower from call to call."""
        if dtype != self._type:
            self._rewrite(dtype, None)
        end = (self._length + len(ids)) * dtype.itemsize
        if self._in_memory is not None and end > self._in_memory and not self.on_disk:
            self.move_to_file()
        self._put(self._length, ids)
        self._length += len(ids)

    def finish(self, ranks: NDArray[Any] | None) -> None:
        """No more ids will come; put ranks[id] in the place of every id."""
        if ranks is not None:
            self._rewrite(self._type, ranks)
        if not self.on_disk:
            self._ids = np.frombuffer(self._file.getbuffer(), self._type)  # type: ignore[attr-defined]
            self._ids.flags.writeable = False

    def move_to_file(self) -> None:
        """Go on in a file: a nameless one where the system can, so that it vanishes however the process ends."""
        kept = self._file
        try:
            self._file = tempfile.TemporaryFile(  # noqa: SIM115 (`close` closes it)
                buffering=0, prefix="charrnn-ids-", dir=self._folder)
        except OSError as error:
            raise self._unwritable(error) from None
        kept.seek(0)
        for start in range(0, self._length, BLOCK):
            self._put(start, np.frombuffer(kept.read(BLOCK * self._type.itemsize), self._type))

    def read(self, start: int, stop: int) -> NDArray[np.int32]:
        if self._ids is not None:
            return self._ids[start:stop].astype(np.int32)
        ids = np.empty(stop - start, np.int32)
        for at in range(0, len(ids), 1 << 20):
            piece = ids[at : at + (1 << 20)]
            piece[:] = self._get(start + at, len(piece))
        return ids

    def array(self) -> NDArray[Any]:
        if self._ids is not None:
            return self._ids
        self._check_open()
        return np.memmap(self._file, self._type, "r", shape=(self._length,))

    def close(self) -> None:
        self._file = io.BytesIO() if self._ids is not None else self._file
        self._ids = None
        self._file.close()

    def _rewrite(self, dtype: np.dtype[Any], ranks: NDArray[Any] | None) -> None:
        # From the back, so that wider ids overwrite only what was read before.
        for start in reversed(range(0, self._length, BLOCK)):
            ids = self._get(start, min(BLOCK, self._length - start))
            self._put(start, ids if ranks is None else ranks[ids], dtype)
        self._type = dtype

    def _get(self, start: int, count: int) -> NDArray[Any]:
        # Not through a memory map: its pages stay resident until the system wants them back. One sweep over 1 GB
        # of ids left 990 MB resident that way, and 33 MB (all of Python) this way, in the same 0.3 s.
        self._check_open()
        offset, size = start * self._type.itemsize, count * self._type.itemsize
        if self.on_disk and hasattr(os, "pread"):  # which threads need no lock for
            data = os.pread(self._file.fileno(), size, offset)
        else:
            with self._lock:
                self._file.seek(offset)
                data = self._file.read(size)
        if len(data) != size:
            raise TextError(f"the temporary file of ids lost some: wanted {size:,} bytes, got {len(data):,}")
        return np.frombuffer(data, self._type)

    def _put(self, start: int, ids: NDArray[Any], dtype: np.dtype[Any] | None = None) -> None:
        dtype = dtype or self._type
        data = ids.astype(dtype).data.cast("B")
        try:
            self._file.seek(start * dtype.itemsize)
            while data:
                data = data[self._file.write(data) :]
        except OSError as error:
            raise self._unwritable(error) from None

    def _check_open(self) -> None:
        if self._file.closed:
            raise TextError("this corpus was closed: read the text again")

    def _unwritable(self, error: OSError) -> OutputError:
        return OutputError(f"cannot keep the ids of a long text in {os.fspath(self._folder)}: {_reason(error)}; "
                           "make room, or choose another folder (cache=, or the environment variable TMPDIR)")
