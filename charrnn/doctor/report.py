"""What `charrnn.check_text` found, in words and as JSON, and what it suggests."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from charrnn.display.visible import shown
from charrnn.doctor.alphabet import Character
from charrnn.doctor.overlap import WINDOW, Overlap
from charrnn.doctor.raw import Place
from charrnn.doctor.repetition import SHORT, Compression, Repeats
from charrnn.doctor.signs import CONTROL, INVALID, MARK, MOJIBAKE, NUL, REPLACEMENT, Sign, repaired

NAMED = 6  # rare characters that are named
LONG = 10_000  # characters of a line that is suspiciously long
SIGNS = {
    INVALID: "bytes that are no {encoding}",
    REPLACEMENT: "replacement characters (U+FFFD)",
    MOJIBAKE: "signs of UTF-8 read as Windows-1252",
    MARK: "byte-order marks inside the text (U+FEFF)",
    NUL: "NUL characters",
    CONTROL: "other control characters",
}


@dataclass(frozen=True)
class TextReport:
    """What may be wrong with a text. Counts are of characters; for raw bytes, of bytes.

    Attributes:
        files: their names, in the order in which they are read as one text.
        characters, distinct, lines: N, K, and how many lines.
        line_ends: how many are "LF", "CRLF" and "CR" in the files as they are.
        marks: byte-order marks at the beginning of files, which training drops.
        signs: of wrong decoding, by name: "invalid", "replacement", "mojibake", "byte_order_mark", "nul", "control".
        composed, decomposed: letters with a mark that are one character, as in Unicode's NFC, and that are two, as in NFD.
        rare: the characters that occur fewer than min_count times, the rarest first.
        longest_line, longest_line_at: its characters, and its place.
        repeated: of "lines", "long_lines" (from 20 characters on) and "paragraphs", how many occurred before.
        equal_files: groups of files with the same text.
        unended_files: files whose last line runs into the next file's first.
        compression: how many times smaller the text becomes.
        overlap: what of the validation text occurs in the rest; None where there is none, `without_overlap` says why.
        suggestions: what to do, in words; empty where nothing seems wrong.

    >>> from charrnn import check_text
    >>> report = check_text()
    >>> report.characters, report.signs["mojibake"].count, report.suggestions
    (461932, 0, [])
    """

    files: list[str]
    characters: int
    distinct: int
    lines: int
    encoding: str
    line_ends: dict[str, int]
    marks: int
    signs: dict[str, Sign]
    composed: int
    decomposed: Sign
    min_count: int
    rare: list[Character]
    empty_lines: int
    longest_line: int
    longest_line_at: Place | None
    repeated: dict[str, Repeats]
    equal_files: list[list[str]]
    unended_files: list[str]
    compression: Compression
    overlap: Overlap | None = None
    without_overlap: str = ""
    looks_like: str = ""  # another encoding
    suggestions: list[str] = field(default_factory=list)

    @property
    def raw_bytes(self) -> bool:
        """Whether the text was read as bytes."""
        return self.encoding == "bytes"

    @property
    def is_list(self) -> bool:
        """Whether the lines seem to be entries of a list, such as names: short, and none of them empty."""
        return self.lines > 50 and self.empty_lines * 100 <= self.lines and self.characters <= 40 * self.lines

    def to_json(self) -> dict[str, Any]:
        """All of it, as JSON holds it."""
        return asdict(self)

    def place(self, place: Place) -> str:
        """A place in words: line:column, after the file's name where there are several."""
        return str(place) if len(self.files) == 1 else f"{shown(place.file)}:{place}"

    def __str__(self) -> str:
        noun = "bytes" if self.raw_bytes else "characters"
        name = ", ".join(map(shown, self.files[:3])) + (f" and {len(self.files) - 3:,} more" if len(self.files) > 3 else "")
        lines = [f"{name}: {self.characters:,} {noun}, {self.distinct:,} distinct, {self.lines:,} lines, read as {self.encoding}", ""]
        rows = [
            ("encoding", self._encoding()),
            ("line ends", self._line_ends()),
            ("rare", self._rare()),
            ("lines", self._lines()),
            ("repeated", self._repeated()),
            ("compression", self._compression()),
            ("validation", self._validation()),
        ]
        for head, words in rows:
            lines += [f"{head if i == 0 else '':<12}{line}" for i, line in enumerate(words)]
        return "\n".join([*lines, "", *(f"- {each}" for each in self.suggestions or ["nothing seems wrong with this text"])])

    def _encoding(self) -> list[str]:
        if self.raw_bytes:
            return ["bytes are not decoded"]
        found = [
            f"{SIGNS[name].format(encoding=self.encoding)}: {sign.count:,}, at {self._where(sign)}"
            for name, sign in self.signs.items()
            if sign.count
        ]
        if self.decomposed.count:
            found.append(f"{self.decomposed.count:,} letters written as two characters (NFD), {self.composed:,} as one (NFC)")
        if self.marks:
            found.append(f"{self.marks:,} byte-order mark{'s' * (self.marks > 1)} at the beginning, which training drops")
        return found or ["no sign of wrong decoding"]

    def _where(self, sign: Sign) -> str:
        places = ", ".join(map(self.place, sign.places)) + ", ..." * (sign.count > len(sign.places))
        return f"{places}, as in {shown(sign.example)}"

    def _line_ends(self) -> list[str]:
        found = [f"{count:,} {name}" for name, count in self.line_ends.items() if count]
        made = "" if self.raw_bytes or not (self.line_ends["CRLF"] or self.line_ends["CR"]) else "; training reads all as LF"
        return [(", ".join(found) or "none") + made]

    def _rare(self) -> list[str]:
        if not self.rare:
            return [f"no character occurs fewer than {self.min_count:,} times"]
        in_all = sum(each.count for each in self.rare)
        found = [f"{len(self.rare):,} of {self.distinct:,} characters occur fewer than {self.min_count:,} times, {in_all:,} times in all:"]
        for each in self.rare[:NAMED]:
            symbol = f"0x{ord(each.character):02x}" if self.raw_bytes else f"{shown(each.character)}  {each.name}"
            places = ", ".join(map(self.place, each.places)) + ", ..." * (each.count > len(each.places))
            found.append(f"  {symbol}, {each.count:,} x: {places}")
        return found + [f"  and {len(self.rare) - NAMED:,} more (--json has all)"] * (len(self.rare) > NAMED)

    def _lines(self) -> list[str]:
        if self.longest_line_at is None:
            return ["none but empty ones"]
        return [f"{self.empty_lines:,} empty; the longest, {self.place(self.longest_line_at)}, has {self.longest_line:,} characters"]

    def _repeated(self) -> list[str]:
        found = []
        for name, what in (("long_lines", f"lines of {SHORT} characters or more"), ("paragraphs", "paragraphs of 100 or more")):
            each = self.repeated[name]
            if each.repeated:
                about = "about " * each.estimated
                example = f"; {each.times:,} x {shown(each.example, 30)}" if name == "long_lines" else ""
                found.append(
                    f"{about}{each.repeated:,} of {each.total:,} {what} occurred before ({each.part:.1%} of their characters{example})"
                )
        if self.is_list and (lines := self.repeated["lines"]).repeated:
            found.append(f"{lines.repeated:,} of {lines.total:,} lines of any length occurred before")
        found += [f"the same text: {', '.join(map(shown, names))}" for names in self.equal_files]
        return found or ["no long line and no paragraph occurs twice"]

    def _compression(self) -> list[str]:
        c = self.compression
        part = "" if self.characters <= c.measured else f", of the first {c.measured:,} bytes"
        return [f"{c.zlib:.2f} times smaller by zlib, {c.lzma:.2f} by lzma{part} (a book in English: 2.6 and 2.8)"]

    def _validation(self) -> list[str]:
        found = self.overlap
        if found is None:
            return [self.without_overlap]
        about = "about " * found.estimated
        what = f"{shown(found.name)} " if found.name else "a part "
        if found.windows is None:
            return [f"{what}of {found.characters:,} characters is too short to be compared in windows of {WINDOW}"]
        lines = f" and {about}{found.lines:.2%} of its lines" if self.is_list and found.lines is not None else ""
        windows = f"{about}{found.windows:.2%} of its windows of {WINDOW}{lines}"
        return [f"{what}of {found.characters:,} characters: {windows} occur in the training text"]


def suggestions(report: TextReport) -> list[str]:
    """What to do about what was found."""
    found, signs = [], report.signs
    if signs[INVALID].count:
        other = report.looks_like or "latin-1"
        found.append(
            f"training refuses bytes that are no {report.encoding}: name the encoding (--encoding {other}?), or take bytes (--bytes)"
        )
    elif report.looks_like:
        found.append(f"this looks like another encoding: try --encoding {report.looks_like}")
    if signs[REPLACEMENT].count:
        found.append("U+FFFD stands where somebody decoded wrongly before: take the text from its source again")
    if signs[MOJIBAKE].count:
        was = repaired(signs[MOJIBAKE].example)
        found.append(
            f"UTF-8 seems to have been read as Windows-1252 and saved again{f' (once: {shown(was)})' if was else ''}: "
            "ftfy mends that, or iconv -f UTF-8 -t CP1252"
        )
    if signs[NUL].count and not report.looks_like:
        found.append("a text has no NULs: is it a program's file, or UTF-16?")
    if signs[CONTROL].count or signs[MARK].count:
        found.append("take out control characters and marks that nobody would see: the model would have to write them")
    if report.decomposed.count:
        found.append("write letters with marks in one way: unicodedata.normalize('NFC', text) makes one character of each")
    if report.raw_bytes and sum(count > 0 for count in report.line_ends.values()) > 1:
        found.append("line ends are mixed, and bytes are taken as they are: make them all LF first")
    left = report.distinct - len(report.rare) + 1
    if not report.raw_bytes and left > 2 and (len(report.rare) > 5 or len(report.rare) * 10 > report.distinct):
        found.append(
            f"--min-count {report.min_count} reads the rare characters as one symbol: K is {left:,} in place of {report.distinct:,}"
        )
    if report.longest_line > LONG:
        found.append(f"a line of {report.longest_line:,} characters: have line ends been lost, or is it data?")
    if report.unended_files:
        names = ", ".join(map(shown, report.unended_files[:3]))
        found.append(
            f"{names} {'end' if len(report.unended_files) > 1 else 'ends'} without a line end: the last line runs into the next file"
        )
    again = report.repeated["long_lines"], report.repeated["paragraphs"]
    list_again = report.is_list and report.repeated["lines"].repeated * 100 > report.repeated["lines"].total
    if report.equal_files or list_again or any(each.part > 0.02 for each in again):
        found.append("keep one of each repeated text before you split off a validation part: repetitions are memorised")
    if report.compression.zlib > 6:
        found.append("the text repeats itself so much that a low loss says little about it")
    if report.compression.measured > 1000 and report.compression.zlib < 1.4:
        found.append("the text hardly compresses: is it encoded, encrypted or random data?")
    return found + _about_validation(report)


def _about_validation(report: TextReport) -> list[str]:
    overlap, found = report.overlap, []
    if overlap is None:
        return []
    if (overlap.windows or 0) > 0.02 or (report.is_list and (overlap.lines or 0) > 0.02):
        found.append("the validation loss will be too low to tell how well a model does on new text: what it is tested on was trained on")
    if overlap.unknown:
        some = shown(overlap.unknown.encode("latin-1") if report.raw_bytes else overlap.unknown, 20)
        mend = "" if report.raw_bytes else " (--min-count reads them as one)"
        noun = "bytes" if report.raw_bytes else "characters"
        found.append(f"validation has {noun} that the training text does not have: {some}; a model cannot learn them{mend}")
    if report.is_list and overlap.contiguous:
        found.append("this seems to be a list: validate on some of its lines (--validation-split lines), not on its end")
    return found
