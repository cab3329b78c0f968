"""Regular expressions over a vocabulary, as automata that tell after each character which may come next.

The syntax is Python's `re`, which checks it and says what each single character, escape or class matches; what is read here is how these
are put together: sequences, |, groups, and the quantifiers * + ? {m,n}. A text must match as a whole, so that greedy or not makes no
difference, and ^ at the very beginning and $ at the very end change nothing. What no finite automaton can do is refused: lookaround,
back-references, word boundaries, possessive quantifiers, flags. (Python's own parser, re._parser, is not public; libraries that offer
automata have a syntax of their own, or only the characters of ASCII in their classes.)
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from charrnn.errors import SettingsError, brief
from charrnn.network.arrays import Array
from charrnn.text.vocabulary import Vocabulary

MOST_STATES = 20_000  # of an automaton: a table of that many rows takes some seconds to make
ATOM = re.compile(
    r"\\(?:x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|N\{[^}]*\}|0[0-7]{0,2}|[1-3][0-7]{2}|.)"  # an escape
    r"|\[\^?\]?(?:\\.|[^\]\\])*\]"  # a class
    r"|[^\\\[]",  # a character
    re.DOTALL,
)
QUANTIFIER = re.compile(r"[*+?]|\{(?=[\d,])(\d*)(,?)(\d*)\}")
GROUP = re.compile(r"\((?:\?:|\?P<\w+>|(?!\?))")


class Node(NamedTuple):
    """A part of an expression: "set" (of characters, by its number), "sequence", "choice" or "repeat" (from least to most times)."""

    kind: str
    parts: tuple[Node, ...] = ()
    set: int = 0
    least: int = 0
    most: int | None = None


class Parser:
    """Reads one expression that `re` has accepted, for one vocabulary."""

    def __init__(self, pattern: str, vocabulary: Vocabulary) -> None:
        self.pattern, self.at, self.vocabulary = pattern, 0, vocabulary
        self.sets: dict[bytes, Array] = {}  # each (K,) bool
        self.root = self.choice()

    def refuse(self, what: str) -> SettingsError:
        return SettingsError(f"pattern {brief(self.pattern)} has {what} at {self.at}, which patterns here cannot have")

    def choice(self) -> Node:
        """Alternatives up to the end or a closing parenthesis."""
        parts = [self.sequence()]
        while self.pattern[self.at : self.at + 1] == "|":
            self.at += 1
            parts.append(self.sequence())
        return parts[0] if len(parts) == 1 else Node("choice", tuple(parts))

    def sequence(self) -> Node:
        """What comes one after the other."""
        parts: list[Node] = []
        while self.at < len(self.pattern) and self.pattern[self.at] not in "|)":
            at_border = (self.pattern[self.at] == "^" and self.at == 0) or (
                self.pattern[self.at] == "$" and self.at == len(self.pattern) - 1
            )
            if at_border:
                self.at += 1
            else:
                parts.append(self.repeated(self.item()))
        return Node("sequence", tuple(parts))

    def item(self) -> Node:
        """A group, or what stands for one character."""
        text = self.pattern
        if text[self.at] == "(":
            found = GROUP.match(text, self.at)
            if not found:
                raise self.refuse("a group of a special kind, " + text[self.at : self.at + 4])
            self.at = found.end()
            inner = self.choice()
            self.at += 1  # the closing parenthesis
            return inner
        if text[self.at] in "^$" or re.match(r"\\[bBAZzG1-9](?![0-7]{2})", text[self.at :]):
            raise self.refuse(repr(text[self.at : self.at + 2]))
        found = ATOM.match(text, self.at)
        assert found  # re has accepted it
        self.at = found.end()
        return self.matched_by(found[0])

    def matched_by(self, atom: str) -> Node:
        """The characters of the vocabulary that an expression for a single one matches."""
        characters = self.vocabulary.characters
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # was shown when the whole was compiled
            if self.vocabulary.raw_bytes:
                one = re.compile(atom.encode("latin-1"))
                found = np.array([one.fullmatch(character.encode("latin-1")) is not None for character in characters])
            else:
                unicode = re.compile(atom)
                found = np.array([unicode.fullmatch(character) is not None for character in characters])
        number = list(self.sets).index(found.tobytes()) if found.tobytes() in self.sets else len(self.sets)
        self.sets[found.tobytes()] = found
        return Node("set", set=number)

    def repeated(self, node: Node) -> Node:
        """node with the quantifier that comes after it, if one does."""
        found = QUANTIFIER.match(self.pattern, self.at)
        if not found:
            return node
        self.at = found.end()
        if self.pattern[self.at : self.at + 1] == "+":
            raise self.refuse("a possessive quantifier")
        if self.pattern[self.at : self.at + 1] == "?":  # as few as possible: the same texts
            self.at += 1
        least, most = {"*": (0, None), "+": (1, None), "?": (0, 1)}.get(found[0], (int(found[1] or 0), int(found[3]) if found[3] else None))
        if found[0][0] == "{" and not found[2]:
            most = least
        return Node("repeat", (node,), least=least, most=most)


class Steps:
    """A non-deterministic automaton: from each state, sets of characters that lead on, and states that are reached without any."""

    def __init__(self) -> None:
        self.by_set: list[tuple[int, int] | None] = []  # (set, state after it)
        self.free: list[list[int]] = []

    def state(self) -> int:
        """A new state."""
        if len(self.free) > 10 * MOST_STATES:
            raise SettingsError("pattern is too large: it repeats too much, too often")
        self.by_set.append(None)
        self.free.append([])
        return len(self.free) - 1

    def add(self, node: Node, start: int) -> int:
        """The state in which `node` has been matched from `start` (Thompson 1968)."""
        if node.kind == "set":
            end = self.state()
            middle = self.state()
            self.free[start].append(middle)
            self.by_set[middle] = (node.set, end)
            return end
        if node.kind == "sequence":
            for part in node.parts:
                start = self.add(part, start)
            return start
        end = self.state()
        if node.kind == "choice":
            for part in node.parts:
                begin = self.state()
                self.free[start].append(begin)
                self.free[self.add(part, begin)].append(end)
            return end
        for _ in range(node.least):
            start = self.add(node.parts[0], start)
        if node.most is None:
            again = self.state()
            self.free[start].append(again)
            self.free[self.add(node.parts[0], again)].append(again)
            self.free[again].append(end)
            return end
        for _ in range(node.most - node.least):
            self.free[start].append(end)
            begin = self.state()
            self.free[start].append(begin)
            start = self.add(node.parts[0], begin)
        self.free[start].append(end)
        return end

    def closure(self, states: Iterable[int]) -> frozenset[int]:
        """These states and all that are reached from them without a character."""
        seen, todo = set(states), list(states)
        while todo:
            for state in self.free[todo.pop()]:
                if state not in seen:
                    seen.add(state)
                    todo.append(state)
        return frozenset(seen)


@dataclass(frozen=True)
class Automaton:
    """A deterministic automaton over a vocabulary of K characters; state 0 is the start.

    Attributes:
        next: (S, K), the state after each character, -1 where no match can be reached any more.
        distance: (S,), how many characters the shortest way to a match still needs; 0 where the text matches as it is.
    """

    next: Array
    distance: Array

    def allowed(self, state: int, left: int) -> Array:
        """(K,) bool: after which characters a match can be completed with at most `left` characters, this one included."""
        after = self.next[state]
        return np.asarray((after >= 0) & (self.distance[after] < left))

    def walk(self, ids: Iterable[int], state: int = 0) -> int:
        """The state after these characters, -1 if they lead nowhere."""
        for k in ids:
            state = int(self.next[state, k]) if state >= 0 else -1
        return state


def automaton(pattern: Any, vocabulary: Vocabulary) -> Automaton:
    """The automaton of a regular expression; SettingsError for one that is wrong, unsupported, too large, or that these characters cannot
    match.

    >>> a = automaton("a(b|c)*", Vocabulary("abcd"))
    >>> int(a.distance[a.walk([0, 1, 2])]), a.walk([0, 3])
    (0, -1)
    """
    kind = bytes if vocabulary.raw_bytes else str
    if not isinstance(pattern, kind):
        raise SettingsError(f"pattern must be a {kind.__name__} with a regular expression for this model, got {brief(pattern)}")
    try:
        re.compile(pattern)
    except (re.error, OverflowError, RecursionError) as error:
        raise SettingsError(f"pattern {brief(pattern)} is no regular expression: {error}") from None
    steps = Steps()
    try:
        parser = Parser(pattern if isinstance(pattern, str) else pattern.decode("latin-1"), vocabulary)
        end = steps.add(parser.root, start := steps.state())
    except RecursionError:
        raise SettingsError("pattern is too large: its groups are nested too deep") from None
    table, accepting = _determine(steps, start, end, list(parser.sets.values()), len(vocabulary))
    distance = _distances(table, accepting)
    if distance[0] == len(table):
        raise SettingsError(f"pattern {brief(pattern)} matches nothing that can be written with the model's characters")
    table[(table >= 0) & (distance[table] == len(table))] = -1  # where nothing leads to a match
    return Automaton(table, distance)


def _determine(steps: Steps, start: int, end: int, sets: list[Array], K: int) -> tuple[Array, Array]:
    """next (S, K) and accepting (S,): each state a set of states of `steps` (Rabin and Scott 1959)."""
    kinds, kind_of = np.unique(np.array(sets).reshape(len(sets), K), axis=1, return_inverse=True)  # characters that no set tells apart
    kind_of = kind_of.reshape(-1)
    first = steps.closure([start])
    numbers, todo, rows = {first: 0}, [first], []
    while todo:
        states = todo.pop(0)
        on = [found for state in states if (found := steps.by_set[state])]
        row = []
        for kind in kinds.T:
            after = steps.closure({state for number, state in on if kind[number]})
            if after and after not in numbers:
                numbers[after] = len(numbers)
                todo.append(after)
                if len(numbers) > MOST_STATES:
                    raise SettingsError(f"pattern is too large: it needs more than {MOST_STATES:,} states")
            row.append(numbers[after] if after else -1)
        rows.append(row)
    return np.array(rows, np.intp).reshape(len(rows), -1)[:, kind_of], np.array([end in states for states in numbers])


def _distances(table: Array, accepting: Array) -> Array:
    """(S,): characters from each state to the nearest match; S where there is none."""
    distance = np.where(accepting, 0, len(table))
    while True:
        reached = np.where(table >= 0, distance[table], len(table)).min(axis=1, initial=len(table)) + 1
        nearer = np.minimum(distance, np.minimum(reached, len(table)))
        if (nearer == distance).all():
            return distance
        distance = nearer
