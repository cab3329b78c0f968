"""charrnn generate --interactive: beginnings are typed, the model goes on with them, character by character, and remembers."""

from __future__ import annotations

import contextlib
import sys
from dataclasses import asdict, replace
from typing import Any

from charrnn import arguments
from charrnn.cli import options, prompts
from charrnn.cli.rules import RULES, TEXTS
from charrnn.errors import CharRNNError, SettingsError, one_line
from charrnn.generation.generate import GenerationPlan
from charrnn.generation.rules import DecodingRules
from charrnn.generation.session import Session
from charrnn.generation.stop import Stopper, stop_texts
from charrnn.model import CharRNN

COMMANDS = ("help", "quit", "undo", "reset", "text", "rules", "length", "stop")
HELP = """\
type a beginning: the model continues it. Type more: it continues from there. An empty line: it continues alone. \\n is a line end.
  /length N          how many characters to add (now {length})
  /stop TEXT         stop at this text; /stop alone: at none (now {stop})
  /temperature X     below 1 safer, above 1 more varied; the same for every rule: {rules}
  /rules             show the rules that are set
  /undo              remove the last typed text and its continuation
  /text              show all of the text so far
  /reset             start again
  /help              show this help
  /quit              quit, like Ctrl-D; Ctrl-C stops the model
  //...              text that begins with a /"""


class Conversation:
    """One text that a person and a model write together."""

    def __init__(self, model: CharRNN, plan: GenerationPlan, seed: int | None, start: str | None = None) -> None:
        self.vocabulary, self.length, self.stops = model.vocabulary, plan.length, plan.stops
        self.model, self.seed, self.start = model, seed, start
        self.session: Session = model.session(seed, start, **asdict(plan.rules))
        self.before: list[Session] = []  # the states that /undo goes back to

    def go_on(self, line: str) -> None:
        """Feed what was typed, and show it with what the model adds."""
        typed = prompts.from_words("the text", line, self.vocabulary)
        self.vocabulary.encode(typed)
        self.before.append(self.session.copy())
        self.session.feed(typed)
        write(typed)
        stopper = Stopper(self.stops, keep=True, empty=typed[:0])
        with contextlib.suppress(KeyboardInterrupt):
            for _ in range(self.length):
                write(stopper.feed(self.session.sample()))
                if stopper.stopped:
                    break
        write(stopper.rest())
        print()

    def command(self, line: str) -> bool:
        """What a line that begins with / asks for; whether to go on."""
        name, _, value = line[1:].strip().partition(" ")
        value = value.strip()
        rules = [rule for rule in asdict(self.session.rules) if rule != "logit_bias"]
        rule = name.replace("-", "_")
        if name in ("quit", "exit", "q"):
            return False
        if name == "help":
            stop = ", ".join(map(repr, self.stops)) or "none"
            print(HELP.format(length=self.length, stop=stop, rules=", ".join("/" + each.replace("_", "-") for each in rules)))
        elif name == "length":
            self.length = arguments.whole_number("length", number(options.whole, value))
        elif name == "stop":
            self.stops = stop_texts(self.vocabulary, [prompts.from_words("/stop", value, self.vocabulary)] if value else None)
        elif rule in rules:
            self.session.rules = replace(self.session.rules, **{rule: self.value_of(rule, value)})
        elif name == "rules":
            changed = {key: value for key, value in asdict(self.session.rules).items() if value != getattr(DecodingRules(), key)}
            print(", ".join(f"{key.replace('_', '-')} {value!r}" for key, value in changed.items()) or "none: as the model has it")
        elif name == "undo":
            if not self.before:
                raise SettingsError("there is nothing to undo")
            rules_now, self.session = self.session.rules, self.before.pop()
            self.session.rules = rules_now
        elif name == "text":
            write(self.session.text)
            print()
        elif name == "reset":
            self.session, self.before = self.model.session(self.seed, self.start, **asdict(self.session.rules)), []
        else:
            raise SettingsError(f"there is no /{name}{arguments.nearest(name, [*COMMANDS, *rules])}")
        return True

    def value_of(self, rule: str, value: str) -> Any:
        """A rule's value as it was typed; its default without one."""
        if not value:
            return getattr(DecodingRules(), rule)
        if rule in TEXTS:
            return prompts.from_words(f"/{rule}", value, self.vocabulary)
        return number(next(each.kind for each in RULES if each.name == rule), value)


def number(kind: Any, word: str) -> Any:
    """A number as it was typed, or SettingsError."""
    try:
        return kind(word)
    except (ValueError, OverflowError):
        raise SettingsError(f"a number is expected, got {word!r}") from None


def write(text: Any) -> None:
    """Show it at once."""
    (sys.stdout.buffer if isinstance(text, bytes) else sys.stdout).write(text)
    sys.stdout.flush()


def converse(model: CharRNN, plan: GenerationPlan, seed: int | None, first: Any, start: str | None = None) -> int:
    """Read lines until there are no more; an error is said, and it goes on. `first`: what the text begins with; start: the state before."""
    conversation = Conversation(model, plan, seed, start)
    person = sys.stdin.isatty()
    if hasattr(sys.stdin, "reconfigure"):
        sys.stdin.reconfigure(errors="surrogateescape")  # bytes that are no text are for models of bytes, and an error for others
    if person:
        with contextlib.suppress(ImportError):
            import readline  # noqa: F401  (line editing and history, where there is any)
        print("type a beginning and press Enter; /help lists the commands")
    conversation.session.feed(first)
    while True:
        try:
            line = input("> " if person else "").removesuffix("\r")  # of a file with CRLF
        except EOFError:
            print(end="\n" if person else "")
            return 0
        except KeyboardInterrupt:
            print()
            continue
        try:
            if line.startswith("//"):
                conversation.go_on(line[1:])
            elif not line.startswith("/"):
                conversation.go_on(line)
            elif not conversation.command(line):
                return 0
        except CharRNNError as error:
            print(f"error: {one_line(str(error))}", file=sys.stderr)
