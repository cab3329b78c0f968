"""Which routines of a program are called, in which order and with what: plans, likely ones first.

Arguments are bound by name: to what an earlier step returned under that name, to a role (inputs, targets, state, parameters, rate) or to
a size; what is left over is bound by position.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from charrnn.lab import names
from charrnn.lab.routines import Argument, Routine
from charrnn.lab.world import Source, Step, World

MOST = 24  # bindings of one routine that are tried


def made_by(argument: Argument, earlier: Sequence[Step]) -> Iterator[Source]:
    """Results of earlier steps that have a name of this argument."""
    own = {names.plain(alias) for alias in argument.aliases} | {names.plain(argument.name)}
    for i in reversed(range(len(earlier))):
        routine = earlier[i].routine
        for place, words in enumerate(routine.returns):
            if own & {names.plain(word) for word in words}:
                yield ("made", i, None if routine.single else place)
    own = {word.rstrip("s") for word in own} - {""}
    for i in reversed(range(len(earlier))):
        routine = earlier[i].routine
        for place, words in enumerate(routine.returns):
            if own & {names.plain(word).rstrip("s") for word in words}:
                yield ("made", i, None if routine.single else place)


def known(argument: Argument, world: World) -> Iterator[Source]:
    """Roles and sizes that an argument's names say."""
    if world.kind == "arguments":
        for own, slot in world.layout.roles:
            if argument.name == slot.name:
                yield ("slot", own)
                return
    words = [argument.name, *sorted(argument.aliases - {argument.name})]
    roles = [role for word in words if (role := names.role(word))]
    sizes = [size for word in words if (size := names.size(word))]
    for what in dict.fromkeys(roles):
        if what in ("dlogits", "dhidden") and argument.optional:
            continue
        if what == "params" and world.kind not in ("bundle", "instance"):
            continue
        yield (what,)
    if not argument.optional or isinstance(argument.default, int):
        for size in dict.fromkeys(sizes):
            yield ("size", size)


def bindings(routine: Routine, earlier: Sequence[Step], world: World) -> Iterator[Step]:
    """Ways to give a routine its arguments."""
    options: list[list[Source]] = []
    unknown: list[int] = []
    taken_by_name: set[Source] = set()
    for i, argument in enumerate(routine.arguments):
        made, roles = list(dict.fromkeys(made_by(argument, earlier))), list(known(argument, world))
        taken_by_name.update(made[:1])
        at_calls = len(argument.aliases) > 1 and not _passed_on(argument, earlier)
        text_first = bool(roles) and roles[0][0] in ("inputs", "targets", "params") and at_calls
        choice = roles + made if text_first else made + roles
        if argument.optional:
            choice = [source for source in choice if source[0] in ("inputs", "targets", "state", "cell", "made", "rate", "size")]
            if any(source[0] == "size" for source in choice) and not isinstance(argument.default, int):
                choice = [source for source in choice if source[0] != "size"]
            choice.append(("default",))
        if not choice:
            unknown.append(i)
        options.append(choice[:4])
    spare_made = [source for source in results(earlier) if source not in taken_by_name]
    for choice, argument in zip(options, routine.arguments, strict=True):
        if choice and choice[0][0] in ("state", "inputs", "targets") and not argument.optional:
            choice += [source for source in spare_made if source not in choice][:4]
    if unknown:
        left = sorted(spare_made, key=lambda source: not looks_like_output(source, earlier))
        filled = {choice[0] for choice in options if choice}
        spare: list[Source] = [(role,) for role in ("inputs", "targets", "state") if (role,) not in filled]
        if world.kind in ("bundle", "instance") and ("params",) not in filled:
            spare.append(("params",))
        for place, i in enumerate(unknown):
            options[i] = [*left[place : place + 1], *spare, *[source for source in left if source not in left[place : place + 1]]][:6]
    if not all(options):
        return
    ways = (
        sorted(itertools.product(*(range(len(choice)) for choice in options)), key=sum) if _count(options) < 3000 else [(0,) * len(options)]
    )
    said = 0
    for way in ways:
        chosen = [choice[k] for choice, k in zip(options, way, strict=True)]
        singles = [source for source in chosen if source[0] in ("inputs", "targets", "state", "params", "slot", "dlogits", "dhidden")]
        if len(set(singles)) < len(singles):
            continue
        sources = tuple((argument.name, source) for argument, source in zip(routine.arguments, chosen, strict=True))
        yield Step(routine, sources)
        if not said and "loss" in routine.kinds and ("inputs",) in chosen and ("targets",) in chosen and world.kind == "instance":
            yield Step(routine, tuple((name, ("listed", s[0]) if s[0] in ("inputs", "targets") else s) for name, s in sources))
        said += 1
        if said == MOST:
            return


def one_sequence(step: Step) -> Step:
    """The same call, given one sequence with the targets in it."""
    return replace(step, sources=tuple((name, ("sequence",) if source == ("inputs",) else source) for name, source in step.sources))


def results(earlier: Sequence[Step]) -> list[Source]:
    """All that earlier steps return, the last step's first."""
    found: list[Source] = []
    for k in reversed(range(len(earlier))):
        r = earlier[k].routine
        found += [("made", k, None if r.single else place) for place in range(len(r.returns) or 1)]
    return found


def looks_like_output(source: Source, earlier: Sequence[Step]) -> bool:
    """Whether a result has a name of probabilities or logits."""
    words = earlier[source[1]].routine.returns[source[2] or 0] if earlier[source[1]].routine.returns else ()
    return any(
        re.match(r"p(rob\w*|red\w*|s|r|hat)?$|y_?(hat|s|cap|pred)?\w*$|o(ut\w*|s)?$|logit|score|softmax|dist", word, re.IGNORECASE)
        for word in words
    )


def _passed_on(argument: Argument, earlier: Sequence[Step]) -> bool:
    """Whether what a call gives to this argument has a name that an earlier step's result has."""
    given = {names.plain(alias) for alias in argument.aliases if alias != argument.name}
    return bool(given & {names.plain(word) for step in earlier for words in step.routine.returns for word in words})


def _count(options: Sequence[Sequence[Source]]) -> int:
    total = 1
    for choice in options:
        total *= len(choice)
    return total


def chains(routines: Sequence[Routine], world: World) -> list[tuple[Routine, ...]]:
    """Routines to be called one after the other, likely sequences first: the loss and gradients at once, else forward, loss, backward."""
    every = list(unsorted_chains(routines, world))

    def unlikely(chain: tuple[Routine, ...]) -> int:
        f, g = chain[0], chain[-1]
        return 0 if len(chain) == 1 else 20 - 3 * (stem(f) == stem(g)) - 2 * min(3, sum(_supplies(r, g) for r in chain[:-1]))

    return sorted(every, key=unlikely)


def stem(routine: Routine) -> str:
    """A name without the words that say forward or backward.

    >>> stem(Routine("rnn_forward", print, ())) == stem(Routine("rnn_backward", print, ()))
    True
    """
    return re.sub(r"for?ward|back(ward|prop\w*)?|fprop|bprop|fwd|bwd|pass|prop\w*|grad\w*|compute|_", "", routine.name.lower())


def unsorted_chains(routines: Sequence[Routine], world: World) -> Iterator[tuple[Routine, ...]]:
    """All sequences worth a trial."""
    usable = [r for r in routines if r.asked or not r.excluded]
    backward = [r for r in usable if "backward" in r.kinds]
    both = [r for r in usable if ("backward" in r.kinds and "loss" in r.kinds) or r.name.lower() in ("lossfun", "loss_fun", "loss_fn")]
    update = [r for r in usable if "update" in r.kinds and r not in backward]
    losses = [r for r in usable if "loss" in r.kinds and r not in both]
    forward = [r for r in usable if "forward" in r.kinds and r not in backward and r not in losses]
    others = [r for r in usable if r not in backward and r not in losses and r not in forward and r not in update]
    feeds = [*forward, *others, *(r for r in losses if r not in forward), *(r for r in update)]
    singles = [*both, *losses, *[r for r in usable if r not in both and r not in losses and r not in update], *update]
    yield from ((r,) for r in sorted(singles, key=lambda r: not r.asked) if takes_text(r))
    for g in backward:
        close = sorted(feeds, key=lambda f: (-_supplies(f, g), feeds.index(f)))
        for f in close:
            if f is g:
                continue
            tells = any("loss" in names.plain(word) or "cost" in names.plain(word) for words in f.returns for word in words)
            if not tells and f in close[:4]:
                for loss in losses:
                    if loss is not f and loss is not g:
                        yield (f, loss, g)
            yield (f, g)
        for loss in losses:
            if loss is not g:
                yield (loss, g)
        for loss in losses:
            yield (g, loss)
    for f in feeds:
        for g in [r for r in update if r is not f]:
            yield (f, g)
        for g in update:
            for loss in losses:
                if len({f.name, g.name, loss.name}) == 3:
                    yield (loss, g)
                    yield (f, loss, g)
    if not backward:
        for g in others:
            for f in feeds:
                if f is not g:
                    yield (f, g)


def takes_text(routine: Routine) -> bool:
    """Whether a routine has two required arguments, or one that may be a text."""
    return (
        any(names.role(alias) in ("inputs", "targets", "pair") for a in routine.arguments for alias in a.aliases)
        or len(routine.arguments) >= 2
    )


def _supplies(f: Routine, g: Routine) -> int:
    """How many of g's arguments f returns."""
    made = {names.plain(word) for words in f.returns for word in words}
    return sum(
        bool(made & {names.plain(alias) for alias in argument.aliases}) for argument in g.arguments if names.role(argument.name) != "inputs"
    )


def plans(
    routines: Sequence[Routine], world: World, wanted: Sequence[Callable[..., Any]] = (), most: int = 400
) -> Iterator[tuple[Step, ...]]:
    """Sequences of calls, each with one way to bind its arguments; wanted: functions that have to be among them."""
    if wanted:
        routines = sorted((replace(r, asked=any(r.function is f for f in wanted)) for r in routines), key=lambda r: not r.asked)
    said = 0
    seen: set[tuple[int, ...]] = set()
    for chain in chains(routines, world):
        key = tuple(id(r) for r in chain)
        if key in seen or not all(any(r.function is f for r in chain) for f in wanted):
            continue
        seen.add(key)
        partial: list[tuple[Step, ...]] = [()]
        for routine in chain:
            partial = [(*steps, step) for steps in partial for step in itertools.islice(bindings(routine, steps, world), 12)]
            partial = partial[:24]
        for steps in partial:
            used = set().union(*(step.uses for step in steps))
            if "inputs" in used and "targets" not in used:
                steps = tuple(one_sequence(step) for step in steps)
                used = set().union(*(step.uses for step in steps))
            if not {"inputs", "targets"} <= used:
                continue
            yield steps
            if world.states and len(steps) > 1 and "state" not in used:
                yield (*steps[:-1], replace(steps[-1], renewed=True))
            said += 1
            if said >= most:
                return
