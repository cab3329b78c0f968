"""The decoding rules as options: what each is called, how its value is read, and what it means."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any, NamedTuple

from charrnn.cli import options, prompts
from charrnn.errors import SettingsError, brief
from charrnn.generation.rules import DecodingRules
from charrnn.model import CharRNN


class Rule(NamedTuple):
    """One decoding rule as an option: its name in DecodingRules, how its value is read, and what it means."""

    name: str
    kind: Callable[[str], Any]
    metavar: str
    help: str


RULES = (
    Rule("temperature", float, "X", "divides the logits: below 1 safer, above 1 more varied, 0 the likeliest character (default: 1)"),
    Rule("top_k", options.whole, "N", "choose among the N likeliest characters only"),
    Rule("top_p", float, "P", "choose among the likeliest characters, as few as have probability P together"),
    Rule("min_p", float, "P", "choose among characters with at least P times the probability of the likeliest"),
    Rule("typical_p", float, "P", "choose among characters of surprise near the entropy, as few as have probability P together"),
    Rule("no_repeat_ngram_size", options.whole, "N", "never repeat N characters in a row, of the text or of the prompt"),
    Rule("dry_multiplier", float, "X", "DRY: make repetitions less likely, the longer the less; the first penalty (try 0.8)"),
    Rule("dry_base", float, "X", "DRY: the penalty's growth with each further character (default: 1.2)"),
    Rule("dry_allowed_length", options.whole, "N", "DRY: characters that may be repeated without a penalty (default: 12)"),
    Rule("dry_range", options.whole, "N", "DRY: how many characters to look back (default: 1024)"),
    Rule("dry_sequence_breakers", str, "CHARS", "DRY: characters at which a repetition ends"),
    Rule("allowed", str, "CHARS", "the only characters to be written"),
    Rule("banned", str, "CHARS", "characters not to be written"),
)
TEXTS = ("allowed", "banned", "dry_sequence_breakers")


def add_rules(parser: argparse.ArgumentParser) -> None:
    """An option for each rule; only what was given will be in the parsed arguments."""
    how = parser.add_argument_group("decoding rules (their order is below)")
    for rule in RULES:
        how.add_argument(options.flag(rule.name), type=rule.kind, metavar=rule.metavar, default=argparse.SUPPRESS, help=rule.help)
    how.add_argument(
        "--logit-bias", action="append", metavar="CHAR=X", default=[], help="add X to a character's logit, as in e=-1.5 or \\n=2"
    )


def rules_given(args: argparse.Namespace, model: CharRNN) -> dict[str, Any]:
    """The decoding rules that were given, by their names in the API; refused here, before anything is written."""
    rules = {rule.name: getattr(args, rule.name) for rule in RULES if hasattr(args, rule.name)}
    for name in TEXTS:
        if name in rules:
            rules[name] = prompts.from_words(options.flag(name), rules[name], model.vocabulary)
    bias = {}
    for word in args.logit_bias:
        name, _, value = word.rpartition("=")
        character = prompts.from_words("--logit-bias", name, model.vocabulary)
        try:
            bias[character] = float(value)
        except ValueError:
            character = ""
        if not character:
            raise SettingsError(f"--logit-bias must be a character and a number, such as e=-1.5, got {brief(word)}")
    if bias:
        rules["logit_bias"] = bias
    DecodingRules.given(rules).for_vocabulary(model.vocabulary, model.dtype)
    return rules
