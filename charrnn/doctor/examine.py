"""The examination of a text: one walk through its files, then comparisons of its ids, which stay in memory or a temporary file."""

from __future__ import annotations

import codecs
import contextlib
import hashlib
import os
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

from charrnn import arguments
from charrnn.doctor.alphabet import Alphabet
from charrnn.doctor.overlap import Overlap, overlap
from charrnn.doctor.raw import Cursor, characters_of
from charrnn.doctor.repetition import Compressor, Lines
from charrnn.doctor.report import TextReport, suggestions
from charrnn.doctor.signs import INVALID, NUL, Marks, Signs
from charrnn.errors import SettingsError, TextError, brief
from charrnn.text.corpus import IN_MEMORY, Corpus, bundled_story, read_corpus
from charrnn.text.decoding import NOT_WINDOWS, WINDOWS, Decoding
from charrnn.text.idstore import IdStore
from charrnn.text.reading import files_of, label, names_of, size_of
from charrnn.text.split import SPLITS, held_out
from charrnn.text.vocabulary import Encoder, code_points, id_type

Told = Callable[[str, int, int], object]


def check_text(
    paths: Iterable[str | bytes | os.PathLike[str]] | str | bytes | os.PathLike[str] | None = None,
    encoding: str = "utf-8",
    raw_bytes: bool = False,
    *,
    min_count: int = 10,
    validation: float | str | os.PathLike[str] | None = 0.1,
    validation_split: str = "end",
    progress: Told | None = None,
) -> TextReport:
    """Check a text for problems before training; nothing is changed. Each file is read once, in bounded memory.

    Args:
        paths, encoding, raw_bytes: as for `read_corpus`; but bytes that are not in the encoding are counted, not refused.
        min_count: characters that occur fewer times are named.
        validation, validation_split: the validation text, as for `CharRNN.train`, or another file; None for none.
        progress: called with the current step ("read", "compare"), how much of it is done (bytes, characters), and the total (0 if it
            is not known).

    Raises `TextError` for files that cannot be read, or are no text but an archive, a PDF or a picture, and for a text with fewer than two
    distinct characters; `SettingsError` for other arguments.

    >>> report = check_text()
    >>> print(report.compression.zlib > 2, report.overlap.windows < 0.001)
    True True
    """
    names = [os.fspath(bundled_story())] if paths is None else names_of(paths)
    min_count = arguments.whole_number("min_count", min_count)
    arguments.one_of("validation_split", validation_split, SPLITS)
    if validation is not None and not isinstance(validation, (str, os.PathLike)):
        arguments.number("validation", validation, above=0, at_most=1)
    if arguments.yes_or_no("raw_bytes", raw_bytes) and encoding != "utf-8":
        raise SettingsError(f"raw bytes are not decoded, got encoding {brief(encoding)} for them: leave one of them out")
    if names.count("-") > 1:
        raise SettingsError("standard input ('-') can be read only once, got it several times")
    decoding = None if raw_bytes else Decoding(encoding)
    files = [file for name in names for file in ([name] if name == "-" else files_of(name, decoding))]
    with contextlib.closing(Examination(files, decoding, progress or (lambda *_: None))) as found:
        found.walk()
        return found.report(min_count, validation, validation_split)


class Examination:
    """Everything that looks at a text while it is read."""

    def __init__(self, files: list[str], decoding: Decoding | None, told: Told) -> None:
        self.files, self.decoding, self.told = files, decoding, told
        self.total = sum(size_of(file) for file in files if file != "-")
        self.read = 0
        self.ends: Counter[str] = Counter({"LF": 0, "CRLF": 0, "CR": 0})
        self.signs, self.marks, self.alphabet, self.lines, self.compressor = Signs(), Marks(), Alphabet(), Lines(), Compressor()
        self.encoder, self.store = Encoder(None, False), IdStore(IN_MEMORY)
        self.digests: dict[bytes, list[str]] = {}
        self.unended: list[str] = []
        self.start = b""  # of the first file

    def close(self) -> None:
        """Let the temporary file go."""
        self.store.close()

    def walk(self) -> None:
        """Read all files."""
        for file in self.files:
            self.walk_file(file)
        if self.encoder.length == 0:
            raise TextError(f"{', '.join(map(label, self.files[:3]))}: empty, there is nothing to read")

    def walk_file(self, file: str) -> None:
        """Read one file."""
        name, digest, before = label(file), hashlib.blake2b(digest_size=16), self.encoder.length
        cursor = Cursor(name)
        self.signs.begin_file()
        self.marks.begin_file()
        self.lines.begin_file(name)
        for text in characters_of(file, self.decoding, self.ends, self.count):
            if not text:
                continue
            codes = _codes(text)
            cursor.take(codes)
            if self.decoding is not None:
                clean = self.signs.look(text, cursor)
                if clean is not text:
                    text, codes = clean, _codes(clean)
                self.marks.look(codes, cursor)
            ids = self.encoder.encode(text)
            self.alphabet.look(codes, ids, self.encoder.size, cursor)
            self.store.append(ids, id_type(self.encoder.size))
            self.lines.look(text)
            data = text.encode("latin-1" if self.decoding is None else "utf-8")
            self.compressor.look(data)
            digest.update(data)
        self.lines.end_file()
        if self.encoder.length > before:
            self.digests.setdefault(digest.digest(), []).append(name)
            if not self.lines.ended and file != self.files[-1]:
                self.unended.append(name)

    def count(self, size: int) -> None:
        """So many more bytes were read."""
        self.read += size
        self.told("read", self.read, self.total)

    def report(self, min_count: int, validation: Any, split: str) -> TextReport:
        """What was found, in all."""
        vocabulary, ranks = self.encoder.finish()
        self.store.finish(ranks)
        name = label(self.files[0]) if len(self.files) == 1 else f"{len(self.files):,} files"
        corpus = Corpus(vocabulary, self.store, os.path.basename(name), "")
        compared, without = self.compared(corpus, validation, split)
        encoding = "bytes" if self.decoding is None else self.decoding.encoding.upper()
        lines = self.lines
        report = TextReport(
            files=[label(file) for file in self.files],
            characters=len(corpus),
            distinct=len(vocabulary),
            lines=lines.count,
            encoding=encoding,
            line_ends=dict(self.ends),
            marks=0 if self.decoding is None else self.decoding.marks,
            signs=self.signs.found,
            composed=0 if self.decoding is None else self.alphabet.composed,
            decomposed=self.marks.decomposed,
            min_count=min_count,
            rare=self.alphabet.rare(min_count),
            empty_lines=lines.empty,
            longest_line=lines.longest,
            longest_line_at=lines.longest_at,
            repeated=lines.repeats(),
            equal_files=[names for names in self.digests.values() if len(names) > 1],
            unended_files=self.unended,
            compression=self.compressor.result(),
            overlap=compared,
            without_overlap=without,
            looks_like=self.other_encoding(len(corpus)),
        )
        report.suggestions.extend(suggestions(report))
        return report

    def compared(self, corpus: Corpus, validation: Any, split: str) -> tuple[Overlap | None, str]:
        """Training and validation text compared, or why not."""
        if validation is None:
            return None, "there is no validation text"
        if isinstance(validation, (str, os.PathLike)):
            encoding = "utf-8" if self.decoding is None else self.decoding.encoding
            training, other = corpus, read_corpus(validation, encoding, self.decoding is None)
        else:
            try:
                training, other = held_out(corpus, validation, split)
            except TextError as error:
                return None, str(error)
        if not len(training) or not len(other):
            return None, "the text is too short for a validation part"
        done, total = 0, len(training) + self.lines.count

        def told(count: int) -> None:
            nonlocal done
            done += count
            self.told("compare", min(done, total), total)

        if isinstance(validation, (str, os.PathLike)):
            return overlap(training, other, os.fspath(validation), told), ""
        return replace(overlap(training, other, "", told), contiguous=split == "end"), ""

    def other_encoding(self, length: int) -> str:
        """The encoding that the text seems to be in, where it is not the one that it was read in."""
        signs = self.signs
        escaped = bytes(signs.escaped)
        if signs.found[NUL].count * 5 > length:
            return "utf-16"
        if not signs.found[INVALID].count or self.decoding is None:
            return ""
        if escaped.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            return "utf-16"
        windows = self.decoding.encoding != "cp1252" and WINDOWS.search(escaped) and not NOT_WINDOWS.search(escaped)
        return "cp1252" if windows else "latin-1"


def _codes(text: str) -> Any:
    """Code points; of lone surrogates too, which stand for bytes that are no characters."""
    try:
        return code_points(text)
    except TextError:
        import numpy as np

        return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), "<u4")
