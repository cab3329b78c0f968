"""What can be called in a file: functions and methods, their arguments, and the names that their results have, there and at their calls."""

from __future__ import annotations

import ast
import inspect
import re
import textwrap
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from charrnn.lab import names

KINDS = {  # by name only; trials decide
    "numeric": r"num(eric\w*|grad\w*)?(_|\b|(?=[A-Z]))|_num\b|finite|approx|slow_grad|check|centered|central",
    "other": r"sampl|synth|generat|plot|load|read|init|clip|main|one_?hot|encod|decod|^softmax|^sigmoid|^tanh|save|print|smooth|test"
    r"|^get_|vocab"
    r"|^fit$|^fit_(model|net|rnn)|shuffle|convert|text|accuracy|^__|^set_|^reset|^zero_|parse|train$|train_(model|network|rnn|loop|with)|_train$|^learn|epoch|tanh_|relu|copy",
    "backward": r"back|bptt|grad|bprop|bwd|deriv",
    "update": r"update|train|sgd|step|optim|learn",
    "loss": r"loss|cost|cross_?ent|nll|objective|energy|likelihood|error|perplex|xent",
    "forward": r"for?ward|fprop|fwd|predict|feed|run|eval|apply|propag|rnn|prob|state|network|output|unroll|call",
}
_KIND = {kind: re.compile(pattern, re.IGNORECASE) for kind, pattern in KINDS.items()}


@dataclass(frozen=True)
class Argument:
    """One argument: its name, the names that are given to it at calls, and whether it may be left out."""

    name: str
    aliases: frozenset[str]
    optional: bool
    default: Any = None
    keyword: bool = False


@dataclass(frozen=True)
class Routine:
    """A function, or a method of the class `owner`. returns: for each thing that it returns, the names that it has."""

    name: str
    function: Callable[..., Any]
    arguments: tuple[Argument, ...]
    owner: str = ""
    returns: tuple[frozenset[str], ...] = ()
    single: bool = True  # returns one thing, not several
    first: int = 0  # line
    asked: bool = False  # named by the user

    @property
    def kinds(self) -> list[str]:
        """What its name says."""
        return [kind for kind, pattern in _KIND.items() if pattern.search(self.name)]

    @property
    def excluded(self) -> bool:
        """Whether its name says that it neither computes the loss nor the gradient."""
        kinds = self.kinds
        return bool(kinds) and (kinds[0] == "numeric" or (kinds[0] == "other" and not {"backward", "loss"} & set(kinds)))

    def __str__(self) -> str:
        return f"{self.owner}.{self.name}" if self.owner else self.name


@dataclass
class Calls:
    """The calls in a file, by the name of what is called: the names of arguments by position or keyword, and of what is assigned."""

    given: dict[str, dict[int | str, set[str]]] = field(default_factory=dict)
    assigned: dict[str, dict[int, set[str]]] = field(default_factory=dict)

    @classmethod
    def of(cls, tree: ast.AST) -> Calls:
        calls = cls()
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and (name := called(node.func)):
                places = calls.given.setdefault(name, {})
                for i, argument in enumerate(node.args):
                    places.setdefault(i, set()).update(name_of(argument))
                for keyword in node.keywords:
                    if keyword.arg:
                        places.setdefault(keyword.arg, set()).update(name_of(keyword.value))
            if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call) and (name := called(node.value.func)):
                for target in node.targets:
                    things = target.elts if isinstance(target, (ast.Tuple, ast.List)) else [target]
                    if any(isinstance(thing, ast.Starred) for thing in things):
                        continue
                    for i, thing in enumerate(things):
                        calls.assigned.setdefault(name, {}).setdefault(i if len(things) > 1 else -1, set()).update(name_of(thing))
        return calls


def called(function: ast.expr) -> str:
    return function.id if isinstance(function, ast.Name) else function.attr if isinstance(function, ast.Attribute) else ""


def name_of(node: ast.expr) -> set[str]:
    """The name of a variable or attribute."""
    if isinstance(node, ast.Name):
        return {node.id}
    return {node.attr} if isinstance(node, ast.Attribute) else set()


def returned(node: ast.AST) -> tuple[tuple[frozenset[str], ...], bool]:
    """The names in a function's last return statement, and whether it returns one thing."""
    every = [n for n in walk_own(node) if isinstance(n, ast.Return) and n.value is not None]
    if not every:
        return (), True
    value = every[-1].value
    if isinstance(value, (ast.Tuple, ast.List)):
        return tuple(frozenset(name_of(element)) for element in value.elts), False
    assert value is not None
    return (frozenset(name_of(value)),), True


def walk_own(node: ast.AST) -> Iterator[ast.AST]:
    """The nodes of a function, without those of functions inside it."""
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, (ast.FunctionDef, ast.Lambda, ast.ClassDef)):
            yield child
            yield from walk_own(child)


def describe(function: Callable[..., Any], node: ast.AST | None, calls: Calls, owner: str = "", static: bool = False) -> Routine | None:
    """A routine; None if its signature is not known."""
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        return None
    name = getattr(function, "__name__", "function")
    if owner and not static:
        parameters = parameters[1:]
    arguments = []
    for i, p in enumerate(parameters):
        if p.kind in (p.VAR_POSITIONAL, p.VAR_KEYWORD):
            continue
        given = calls.given.get(name, {})
        aliases = given.get(i, set()) | given.get(p.name, set()) | {p.name}
        arguments.append(Argument(p.name, frozenset(aliases), p.default is not p.empty, p.default, p.kind is p.KEYWORD_ONLY))
    named, single = returned(node) if node is not None else ((), True)
    assigned = calls.assigned.get(name, {})
    if single:
        if len(assigned) > 1 or (assigned and -1 not in assigned):  # a call that unpacks what is one variable here
            named, single = tuple(frozenset(assigned.get(i, set())) for i in range(max(assigned) + 1)), False
        else:
            named = tuple(found | assigned.get(-1, set()) for found in named)
    else:
        named = tuple(found | assigned.get(i, set()) for i, found in enumerate(named))
    return Routine(name, function, tuple(arguments), owner, named, single, getattr(node, "lineno", 0))


def routines_of(scope: Mapping[str, Any], tree: ast.Module) -> tuple[list[Routine], dict[str, list[Routine]]]:
    """The functions of a file, and the methods of its classes."""
    calls = Calls.of(tree)
    functions: list[Routine] = []
    methods: dict[str, list[Routine]] = {}
    bases = {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)}
    nodes = {n.name: n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef)}
    for name, thing in scope.items():
        module = getattr(thing, "__module__", None)
        own = module == scope.get("__name__") or str(module).startswith("charrnn_user_")
        if not own:
            continue
        if inspect.isfunction(thing):
            if routine := describe(thing, nodes.get(thing.__name__) or node_of(thing), calls):
                functions.append(routine)
        elif inspect.isclass(thing):
            methods[name] = list(methods_of(thing, calls, bases.get(name)))
    return functions, methods


def methods_of(cls: type, calls: Calls | None = None, node: ast.AST | None = None) -> Iterator[Routine]:
    """The methods of a class, inherited ones included."""
    own = {n.name: n for n in ast.iter_child_nodes(node) if isinstance(n, ast.FunctionDef)} if node is not None else {}
    if calls is None:
        tree = node_of(cls)
        calls = Calls.of(tree) if tree is not None else Calls()
        own = {n.name: n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef)} if tree is not None else {}
    seen: set[str] = set()
    for base in cls.__mro__[:-1]:
        for name, thing in vars(base).items():
            if name in seen or (name.startswith("__") and name != "__call__"):
                continue
            seen.add(name)
            static = isinstance(thing, (staticmethod, classmethod))
            function = thing.__func__ if static else thing
            if inspect.isfunction(function) and not isinstance(thing, classmethod):
                found = describe(function, own.get(name) or node_of(function), calls, cls.__name__, static)
                if found:
                    yield found


def node_of(thing: Any) -> ast.AST | None:
    """The syntax tree of a function or class whose source is at hand."""
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(thing)))
    except (OSError, TypeError, SyntaxError, IndentationError):
        return None
    return next((n for n in ast.walk(tree) if isinstance(n, (ast.FunctionDef, ast.ClassDef))), tree)


def keys_read(tree: ast.AST, holder: str | None = None) -> list[str]:
    """The constant keys and attributes that are read from variables, those of the name `holder` only if there is one, in order."""
    found: dict[str, None] = {}
    for node in ast.walk(tree):
        of = node.value if isinstance(node, (ast.Subscript, ast.Attribute)) else None
        if holder is not None and not (isinstance(of, ast.Name) and of.id == holder):
            continue
        if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant) and isinstance(node.slice.value, str):
            found[node.slice.value] = None
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            found[node.attr] = None
    return list(found)


def unpacked(tree: ast.AST, holder: str) -> list[str]:
    """The names to which a variable is unpacked: U, W, V, b, c = holder."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Name) and node.value.id == holder:
            for target in node.targets:
                if isinstance(target, (ast.Tuple, ast.List)):
                    found = ["".join(name_of(element)) for element in target.elts]
                    if sum(names.canonical_name(name) is not None for name in found) >= 2:
                        return found
    return []
