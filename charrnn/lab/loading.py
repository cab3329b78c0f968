"""A Python file that trains when it is run, loaded without training: its imports, definitions and simple assignments.

Files that it reads are replaced by a short text of K different characters, sizes that it sets by those of the check. Nothing is written.
"""

from __future__ import annotations

import ast
import builtins
import contextlib
import io
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

from charrnn.errors import SettingsError
from charrnn.lab import names
from charrnn.lab.limits import OutOfTime, limited, quiet

STAND_INS = {"matplotlib", "seaborn", "pandas", "IPython", "torch", "tensorflow", "keras", "sklearn", "plotly", "wandb", "nltk", "pylab"}
HARMLESS = {"add_argument", "seed", "set_printoptions", "seterr", "filterwarnings", "simplefilter", "setdefault", "use"}
WORKING = ("train", "fit", "main", "run", "test", "check", "sample", "learn", "optimi", "generate", "synth", "loss", "grad", "epoch")
SECONDS = 0.5  # for one statement


@dataclass
class Program:
    """A loaded file: its names and what they stand for, its syntax tree, and what was not executed, in words."""

    path: Path
    scope: dict[str, Any]
    tree: ast.Module
    left_out: list[str] = field(default_factory=list)


class StandIn(ModuleType):
    """In the place of a module that a gradient does not need, or that is not installed: everything that is asked of it is itself."""

    def __init__(self, name: str = "stand_in") -> None:
        super().__init__(name)
        self.__path__: list[str] = []

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return self

    def __call__(self, *given: Any, **named: Any) -> Any:
        return given[0] if len(given) == 1 and not named and callable(given[0]) else self  # as a decorator it changes nothing

    def __getitem__(self, key: Any) -> Any:
        return self

    def __iter__(self) -> Iterator[Any]:
        return iter(())

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *given: object) -> None:
        pass


def text_of(symbols: int) -> str:
    """A short text of so many different characters, with line ends and spaces among them.

    >>> len(set(text_of(7)))
    7
    """
    alphabet = ("ab\n cdefghijklmnopqrstuvwxyz" + "".join(chr(0x4E00 + i) for i in range(max(0, symbols - 28))))[:symbols]
    return "".join(alphabet[i * j % symbols] for i in range(1, 9) for j in range(symbols)) + alphabet


def reader(symbols: int) -> Callable[..., Any]:
    """A function `open` that reads the same short text from every file, and writes nowhere."""

    def open_(file: Any = "", mode: str = "r", *given: Any, **named: Any) -> Any:
        kind = io.BytesIO if "b" in mode else io.StringIO
        if any(letter in mode for letter in "wax+"):
            return kind()
        text = text_of(symbols)
        return io.BytesIO(text.encode()) if "b" in mode else io.StringIO(text)

    return open_


class Loader:
    """Executes what may be executed of a file, statement by statement."""

    def __init__(self, path: Path, sizes: Mapping[str, int], more_sizes: Mapping[str, str]) -> None:
        self.path, self.sizes, self.more_sizes = path, sizes, more_sizes
        self.left_out: list[str] = []
        try:
            self.source = path.read_text("utf-8-sig", errors="replace")
            self.tree = ast.parse(self.source, str(path))
        except SyntaxError as error:
            raise SettingsError(f"{path}: line {error.lineno}: {error.msg}") from error
        except (OSError, ValueError) as error:
            raise SettingsError(f"{path} cannot be read: {error}") from error
        self.own = {node.name for node in ast.walk(self.tree) if isinstance(node, (ast.FunctionDef, ast.ClassDef, ast.AsyncFunctionDef))}
        unsafe = {"input": lambda *given: "", "open": reader(sizes["K"]), "exit": _leave, "quit": _leave, "__import__": self.import_}
        name = "charrnn_user_" + path.stem
        self.scope: dict[str, Any] = {"__name__": name, "__file__": str(path), "__builtins__": vars(builtins) | unsafe}
        module = ModuleType(name)
        sys.modules[name] = module  # where dataclasses and pickle look it up
        module.__dict__.update(self.scope)
        self.scope = module.__dict__

    def import_(self, name: str, scope: Any = None, local: Any = None, what: Any = (), level: int = 0) -> Any:
        """As __import__ does, but without what no gradient needs; modules beside the file are loaded as the file is."""
        top = name.partition(".")[0]
        if top in STAND_INS:
            return StandIn(name)
        if level == 0 and (self.path.parent / f"{top}.py").is_file() and (self.path.parent / f"{top}.py") != self.path:
            key = "charrnn_user_" + top
            if key not in sys.modules:
                Loader(self.path.parent / f"{top}.py", self.sizes, self.more_sizes).run()
            return sys.modules[key]
        try:
            return builtins.__import__(name, scope, local, what, level)
        except ImportError:
            self.left_out.append(f"import {name} (not installed)")
            return StandIn(name)

    def run(self) -> Program:
        """All statements in order."""
        arguments, sys.argv = sys.argv, [str(self.path)]
        try:
            with quiet():
                self.body(self.tree.body)
        finally:
            sys.argv = arguments
        return Program(self.path, self.scope, self.tree, merged(self.left_out))

    def body(self, statements: Sequence[ast.stmt]) -> None:
        for statement in statements:
            if not self.allowed(statement):
                self.skip(statement)
                continue
            try:
                with limited(10 * SECONDS if isinstance(statement, (ast.Import, ast.ImportFrom)) else SECONDS):
                    exec(compile(ast.Module([statement], []), str(self.path), "exec"), self.scope)
            except OutOfTime:
                self.skip(statement, "took too long")
            except (Exception, SystemExit) as error:
                if isinstance(statement, (ast.FunctionDef, ast.ClassDef)) and statement.decorator_list:
                    statement.decorator_list = []
                    self.body([statement])
                    continue
                self.skip(statement, f"{type(error).__name__}: {error}".splitlines()[0])
            self.resize(statement)

    def skip(self, statement: ast.stmt, why: str = "") -> None:
        first, last = statement.lineno, statement.end_lineno or statement.lineno
        lines = f"line {first}" if first == last else f"lines {first}-{last}"
        kind = {ast.While: "a loop", ast.For: "a loop", ast.If: "under if", ast.Expr: "a call"}.get(type(statement), "")
        said = why or kind
        if not (isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)):
            self.left_out.append(lines + (f" ({said})" if said else ""))

    def allowed(self, statement: ast.stmt) -> bool:
        """Whether a statement only makes names known."""
        match statement:
            case ast.Import() | ast.ImportFrom() | ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef() | ast.Pass():
                return True
            case ast.Assign() | ast.AnnAssign() | ast.AugAssign():
                return statement.value is None or not self.works(statement.value)
            case ast.Expr(value=ast.Call(func=ast.Attribute(attr=name, value=value))):
                return name in HARMLESS or (name in ("append", "insert") and "path" in ast.dump(value))
            case ast.If() if "__name__" in ast.dump(statement.test):
                return False
            case ast.If():
                return not self.works(statement.test) and all(map(self.allowed, [*statement.body, *statement.orelse]))
            case ast.With():
                return all(map(self.allowed, statement.body)) and not any(self.works(item.context_expr) for item in statement.items)
            case ast.Try():
                return all(map(self.allowed, [*statement.body, *statement.orelse, *statement.finalbody]))
            case ast.For():
                return all(map(self.allowed, statement.body)) and not self.works(statement.iter) and not self.calls_own(statement)
            case _:
                return False

    def works(self, expression: ast.expr) -> bool:
        """Whether an expression calls what trains, checks or draws, as far as names tell."""
        for node in ast.walk(expression):
            if isinstance(node, ast.Call):
                name = node.func.id if isinstance(node.func, ast.Name) else node.func.attr if isinstance(node.func, ast.Attribute) else ""
                method = isinstance(node.func, ast.Attribute) and not _of_module(node.func)
                if (name in self.own or method) and any(word in name.lower() for word in WORKING) and not name[:1].isupper():
                    return True
        return False

    def calls_own(self, statement: ast.stmt) -> bool:
        called = [node.func for node in ast.walk(statement) if isinstance(node, ast.Call)]
        return any(isinstance(f, ast.Name) and f.id in self.own for f in called)

    def resize(self, statement: ast.stmt) -> None:
        """Give the sizes of the check to the names of sizes that a statement has assigned to, or that are defaults of arguments."""
        if isinstance(statement, ast.FunctionDef):
            self.resize_defaults(self.scope.get(statement.name))
        elif isinstance(statement, ast.ClassDef):
            for method in list(vars(self.scope.get(statement.name, object)).values()):
                self.resize_defaults(method)
        targets = (
            statement.targets if isinstance(statement, ast.Assign) else [statement.target] if isinstance(statement, ast.AnnAssign) else []
        )
        for node in (node for target in targets for node in ast.walk(target) if isinstance(node, ast.Name)):
            value = self.scope.get(node.id)
            which = self.more_sizes.get(node.id) or names.size(node.id)
            if which and isinstance(value, int) and not isinstance(value, bool):
                self.scope[node.id] = self.sizes[which]

    def resize_defaults(self, function: Any) -> None:
        """vocab_size=27 and the like are of a text that is not read here."""
        if not isinstance(function, FunctionType) or not function.__defaults__:
            return
        own = function.__code__.co_varnames[: function.__code__.co_argcount][-len(function.__defaults__) :]
        function.__defaults__ = tuple(
            self.sizes[which] if type(value) is int and value > 1 and (which := names.size(name)) else value
            for name, value in zip(own, function.__defaults__, strict=True)
        )


def load(path: Path, sizes: Mapping[str, int], more_sizes: Mapping[str, str] | None = None) -> Program:
    """The names of a file after its imports, definitions and simple assignments; `SettingsError` if it cannot be read or parsed.

    sizes: of m, K, T and B. more_sizes: names that stand for one of these, beyond those that `charrnn.lab.names` knows.
    """
    folder = str(path.parent.resolve())
    sys.path.insert(0, folder)
    try:
        return Loader(path, sizes, more_sizes or {}).run()
    finally:
        with contextlib.suppress(ValueError):
            sys.path.remove(folder)
        for name in [name for name in sys.modules if name.startswith("charrnn_user_") and name != "charrnn_user_" + path.stem]:
            sys.modules.pop(name)


def merged(left_out: Sequence[str]) -> list[str]:
    """Each once."""
    return list(dict.fromkeys(left_out))


def _leave(*given: Any) -> None:
    raise SystemExit


def _of_module(function: ast.Attribute) -> bool:
    """Whether this is np.something, np.random.something, or of another module of short name."""
    value: ast.expr = function
    while isinstance(value, ast.Attribute):
        value = value.value
    return isinstance(value, ast.Name) and value.id in ("np", "numpy", "os", "sys", "re", "math", "random", "string", "itertools", "pickle")
