"""The rules by which characters are chosen, as people give them: Hugging Face's names, checked when they are made."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Self

import numpy as np

from charrnn import arguments
from charrnn.errors import SettingsError, TextError, brief
from charrnn.network.arrays import Array
from charrnn.network.decoding import LONGEST, Rules
from charrnn.text.vocabulary import Vocabulary

COLDEST = 1e-9  # logits differ by 1e-7 at least, if they differ: below this temperature the likeliest is certain
ORDER = """\
logit_bias, allowed and banned; no_repeat_ngram_size and DRY; logits_processor; pattern; temperature; top_k; top_p; min_p; typical_p;
what is left is renormalised, and a character drawn"""


@dataclass(frozen=True)
class DecodingRules:
    """How the next character is chosen; the defaults change nothing in the model's probabilities. The rules apply in this order:

    Attributes:
        logit_bias: added to the logits of these characters, {"e": -2.0}; -inf forbids one.
        allowed: the only characters to be generated; characters that the model does not know are ignored.
        banned: characters that are never generated.
        no_repeat_ngram_size: n: no sequence of n characters occurs twice, including those of the prompt.
        dry_multiplier, dry_base, dry_allowed_length: "don't repeat yourself": a character that would make the repetition of a sequence
            of L >= dry_allowed_length characters longer has dry_multiplier * dry_base ** (L - dry_allowed_length) taken from its logit.
            It is off by default; L is counted up to 255.
        dry_range: how many of the last characters DRY compares with.
        dry_sequence_breakers: characters at which a repetition ends.
        temperature: divides the logits: below 1 safer, above 1 more varied, 0 always the likeliest.
        top_k: keep only this many of the likeliest.
        top_p: keep only the likeliest characters, as few as have this share of the remaining probability (Holtzman et al. 2020).
        min_p: keep only characters with at least this share of the likeliest's probability (Nguyen et al. 2024).
        typical_p: keep only the characters whose surprise is nearest to the entropy, as few as have this share of the remaining
            probability (Meister et al. 2023).

    A model whose vocabulary has U+FFFD for rare and unknown characters (`min_count`) does not generate it, unless it is among `allowed` or
    has a `logit_bias`, which may be 0. Raises `SettingsError` for invalid values.

    >>> DecodingRules(temperature=0.8, min_p=0.05).top_p
    1.0
    """

    logit_bias: Mapping[Any, float] | None = None
    allowed: str | bytes | None = None
    banned: str | bytes = ""
    no_repeat_ngram_size: int | None = None
    dry_multiplier: float = 0.0
    dry_base: float = 1.2
    dry_allowed_length: int = 12
    dry_range: int = 1024
    dry_sequence_breakers: str | bytes = ""
    temperature: float = 1.0
    top_k: int | None = None
    top_p: float = 1.0
    min_p: float = 0.0
    typical_p: float = 1.0

    def __post_init__(self) -> None:
        if self.logit_bias is not None and not isinstance(self.logit_bias, Mapping):
            raise SettingsError(f"logit_bias must be a dict of characters and numbers, got {brief(self.logit_bias)}")
        for character, bias in (self.logit_bias or {}).items():
            if bias != -math.inf:
                arguments.number(f"logit_bias of {character!r}", bias)
        for name in ("allowed", "banned", "dry_sequence_breakers"):
            value = getattr(self, name)
            if not isinstance(value, (str, bytes)) and not (name == "allowed" and value is None):
                raise SettingsError(f"{name} must be a str or bytes of characters, got {brief(value)}")
        if self.no_repeat_ngram_size is not None and arguments.whole_number("no_repeat_ngram_size", self.no_repeat_ngram_size) > LONGEST:
            raise SettingsError(f"no_repeat_ngram_size must be at most {LONGEST}, got {self.no_repeat_ngram_size}")
        arguments.number("dry_multiplier", self.dry_multiplier, at_least=0)
        arguments.number("dry_base", self.dry_base, at_least=1)
        if arguments.whole_number("dry_allowed_length", self.dry_allowed_length) > LONGEST:
            raise SettingsError(f"dry_allowed_length must be at most {LONGEST}, got {self.dry_allowed_length}")
        arguments.whole_number("dry_range", self.dry_range)
        arguments.number("temperature", self.temperature, at_least=0)
        if self.top_k is not None:
            arguments.whole_number("top_k", self.top_k)
        for name in ("top_p", "min_p", "typical_p"):
            arguments.number(name, getattr(self, name), at_least=0, at_most=1)

    @classmethod
    def given(cls, rules: Mapping[str, Any], what: str = "DecodingRules", others: Sequence[str] = ()) -> Self:
        """Rules from keyword arguments; SettingsError for a name that `what`, which has `others` as well, does not have."""
        arguments.no_others(what, rules, [*others, *(field.name for field in fields(cls))])
        return cls(**rules)

    def for_vocabulary(self, vocabulary: Vocabulary, dtype: Any) -> Rules:
        """What the kernels take; SettingsError or TextError for characters that the vocabulary does not allow."""
        breakers = _marks(vocabulary, "dry_sequence_breakers", self.dry_sequence_breakers)
        return Rules(
            temperature=0.0 if self.temperature < COLDEST else float(self.temperature),
            top_k=min(self.top_k or 0, len(vocabulary)),
            top_p=float(self.top_p),
            min_p=float(self.min_p),
            typical_p=float(self.typical_p),
            no_repeat_ngram_size=self.no_repeat_ngram_size or 0,
            dry_multiplier=float(self.dry_multiplier),
            dry_base=float(self.dry_base),
            dry_allowed_length=self.dry_allowed_length,
            dry_range=min(self.dry_range, 1 << 30),
            bias=self._bias(vocabulary, np.dtype(dtype)),
            breakers=breakers.astype(np.uint8) if breakers.any() else None,
        )

    def _bias(self, vocabulary: Vocabulary, dtype: np.dtype[Any]) -> Array | None:
        """What is added to the logits, -inf for what is forbidden; None for nothing."""
        bias = np.zeros(len(vocabulary))
        for character, value in (self.logit_bias or {}).items():
            if character not in vocabulary:
                raise TextError(f"logit_bias is for a character that the model does not know: {character!r}")
            bias[vocabulary.encode(bytes([character]) if isinstance(character, int) else character)[0]] = value
        if self.allowed is not None:
            bias[~_marks(vocabulary, "allowed", self.allowed)] = -math.inf
        bias[_marks(vocabulary, "banned", self.banned)] = -math.inf
        unknown = vocabulary.unknown
        if unknown is not None and unknown not in (self.logit_bias or {}) and (self.allowed is None or unknown not in str(self.allowed)):
            bias[vocabulary.characters.index(unknown)] = -math.inf
        if not (bias > -math.inf).any():
            raise SettingsError("logit_bias, allowed and banned leave no character of the model's vocabulary")
        most = float(np.finfo(dtype).max) / 4  # a logit beside it is still finite
        return np.where(bias > -math.inf, bias.clip(-most, most), bias).astype(dtype) if bias.any() else None


def _marks(vocabulary: Vocabulary, name: str, characters: str | bytes) -> Array:
    """(K,) bool: which of the vocabulary's characters are among these."""
    if characters and isinstance(characters, bytes) != vocabulary.raw_bytes:
        raise SettingsError(f"{name} must be {'bytes' if vocabulary.raw_bytes else 'a str'} for this model, got {brief(characters)}")
    known = set(characters) if isinstance(characters, str) else set(map(chr, characters))
    return np.array([character in known for character in vocabulary.characters])
