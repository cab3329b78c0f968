"""One text encoding: from the blocks of bytes that files are read in to characters, and what there is to say about it."""

from __future__ import annotations

import codecs
import io
import itertools
import re
from collections.abc import Iterable, Iterator

from charrnn.errors import SettingsError, TextError, brief

# Bytes that Latin-1 takes for control characters, which no text has; in Windows-1252 nearly all of them are quotes and dashes.
WINDOWS = re.compile(rb"[\x80-\x9f]")
NOT_WINDOWS = re.compile(rb"[\x81\x8d\x8f\x90\x9d]")  # which that has no characters for
CONTROLS = re.compile("[\x80-\x84\x86-\x9f]")  # what Latin-1 makes of them; U+0085 is a line end of mainframes


class Decoding:
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

            wanted = str(encoding)[:100].lower().replace("-", "_")
            texts = {name for pair in aliases.items() if not pair[1].endswith(("_codec", "rot_13")) for name in pair}
            near = difflib.get_close_matches(wanted, sorted(texts), n=3)
            hint = f"near it: {', '.join(near)}" if near else "for example utf-8, latin-1, cp1252, utf-16"
            raise SettingsError(f"unknown text encoding {brief(encoding)}; {hint}") from None
        self.marks = 0
        self.line_ends: set[str] = set()
        self.packed: set[str] = set()  # what the files were compressed by
        self.controls = False  # whether Latin-1 made control characters, which are no text

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
                raise TextError(f"{name} is not {self.encoding.upper()}: {self._advice(error, position)}") from None
            if at_start and text:
                at_start = False
                if text[0] == "\ufeff":
                    self.marks += 1
                    text = text[1:]
            if text:
                if self.encoding == "iso8859-1" and not self.controls:
                    self.controls = CONTROLS.search(text) is not None
                yield text
        ends = newlines.newlines
        self.line_ends.update([ends] if isinstance(ends, str) else ends or [])

    def start(self, block: bytes) -> str:
        """What the first block of a file begins with; ValueError where that is not in this encoding."""
        return self._decoder().decode(block)

    def tolerant(self) -> codecs.IncrementalDecoder:
        """A decoder for which bytes that are no characters are the lone surrogates U+DC80 to U+DCFF, and no error."""
        return self._decoder("surrogateescape")

    def _advice(self, error: ValueError, position: int) -> str:
        """What was found instead, and what it may be."""
        found = str(error)
        other = f"{self.encoding}-le" if "BOM" in found else "latin-1"
        if isinstance(error, UnicodeDecodeError):
            # error.object is what the decoder had kept back, and the block: count from their common end
            rest = error.object[error.start :]
            offset = position - len(rest)
            found = f"byte 0x{rest[0]:02x} at offset {offset:,} ({error.reason})"
            if offset == 0 and rest[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
                other = "utf-16"
            elif self.encoding != "cp1252" and WINDOWS.search(rest) and not NOT_WINDOWS.search(rest):
                other = "cp1252"
        return f"{found}; name its encoding, such as --encoding {other} (encoding='{other}'), or read bytes: --bytes (raw_bytes=True)"

    def __str__(self) -> str:
        names = [name for end, name in (("\n", "LF"), ("\r\n", "CRLF"), ("\r", "CR")) if end in self.line_ends]
        mark = " without its byte-order mark" if self.marks else ""
        made = "" if names in (["LF"], []) else " read as LF"
        doubt = ", with control characters where cp1252 has quotes and dashes: is it cp1252?" if self.controls else ""
        packed = f", decompressed ({', '.join(sorted(self.packed))})" if self.packed else ""
        return f"{packed}, decoded as {self.encoding.upper()}{mark}, line ends {', '.join(names) or 'none'}{made}{doubt}"
