"""Characters that nobody would see, or that would act on what surrounds them, as symbols that a reader can see."""

from __future__ import annotations

import unicodedata

CONTROL = "NUL SOH STX ETX EOT ENQ ACK BEL BS HT LF VT FF CR SO SI DLE DC1 DC2 DC3 DC4 NAK SYN ETB CAN EM SUB ESC FS GS RS US"
NAMED = {chr(code): f"⟨{name}⟩" for code, name in enumerate(CONTROL.split())}
NAMED |= {"\n": "↵", "\t": "⇥", "\x7f": "⟨DEL⟩", "\xa0": "⍽"}


def shown(text: str | bytes, width: int | None = None) -> str:
    """At most `width` characters of a text, on one line and harmless to a terminal."""
    raw = isinstance(text, bytes)
    characters = text.decode("latin-1") if isinstance(text, bytes) else text
    return "".join(visible(c, raw) for c in characters[:width]) + "…" * (width is not None and len(characters) > width)


def visible(character: str, raw_byte: bool = False) -> str:
    """A character, or a symbol for one that would be invisible, act on what surrounds it, or is no character at all.

    Control characters get their name (their pictures, U+2400 on, are in few fonts), other unprintable ones their code
    point, and bytes beyond ASCII their value.

    >>> [visible(c) for c in "a\\n\\t\\0\\x1b\\u202e"], visible("\\xe9"), visible("\\xe9", raw_byte=True)
    (['a', '↵', '⇥', '⟨NUL⟩', '⟨ESC⟩', '⟨202E⟩'], 'é', '⟨xE9⟩')
    """
    code = ord(character)
    if raw_byte and code > 127:
        return f"⟨x{code:02X}⟩"  # FF alone is a form feed
    if character in NAMED:
        return NAMED[character]
    if unicodedata.category(character) in ("Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp"):
        return f"⟨{code:04X}⟩"
    return character
