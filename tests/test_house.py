"""The house's rules that no tool knows: who may import whom, and what `import charrnn` may cost."""

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import charrnn

PACKAGE = Path(charrnn.__file__).parent

FOLDERS = {"commands", "gradients", "report"}  # whose __init__.py is an introduction

# From the roof to the ground. A module imports from lower floors and, in no circle, from its own.
FLOORS = {
    "command line": "cli __main__",
    "commands": "commands.train commands.synthesize commands.evaluate commands.gradcheck commands.info commands.recipes commands.options "
    "commands.another commands.trainingrun commands.runfolder commands.resumption commands.verification "
    "report.make report.page report.parts report.textmeasures report.explain report.units bench",
    "above the model": "gradients.own gradients.trials gradients.conventions gradients.explanation gradients.diagnosis recipes",
    "model": "model checkpoint",
    "machinery": "network training progress gradients.check gradients.report gradients.mistakes sampling exchange history "
    "runstate settings modelfile",
    "ground": "kernels corpus idstore vocabulary files threads baselines arguments notebook plots surprise evaluation",
    "foundation": "reference parameters errors",
}
FLOOR = {module: number for number, modules in enumerate(FLOORS.values()) for module in modules.split()}
UPWARD = {("model", "recipes")}  # CharRNN.from_recipe: a convenience for users, imported when called


def name_of(path: Path) -> str:
    """As in an import, without "charrnn."; "" for charrnn itself."""
    return ".".join(path.relative_to(PACKAGE).with_suffix("").parts).removesuffix("__init__").rstrip(".")


MODULES = {name_of(path): path for path in PACKAGE.rglob("*.py") if name_of(path) not in {"", *FOLDERS}}


def imports(node: ast.AST, called: bool = False) -> Iterator[tuple[str, bool]]:
    """(module, whether inside a function) for every import that runs."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            continue
        if isinstance(child, ast.Import):
            yield from ((alias.name, called) for alias in child.names)
        elif isinstance(child, ast.ImportFrom) and child.module in {"charrnn", *(f"charrnn.{folder}" for folder in FOLDERS)}:
            yield from ((f"{child.module}.{alias.name}", called) for alias in child.names)
        elif isinstance(child, ast.ImportFrom):
            yield child.module or "", called
        else:
            yield from imports(child, called or isinstance(child, (ast.FunctionDef, ast.Lambda)))


IMPORTS = {module: list(imports(ast.parse(path.read_text("utf-8")))) for module, path in MODULES.items()}


def neighbours(module: str) -> set[tuple[str, bool]]:
    return {(name.removeprefix("charrnn."), called) for name, called in IMPORTS[module] if name.startswith("charrnn.")} - {
        ("__version__", True),
        ("__version__", False),
    }


def test_every_module_has_a_floor():
    assert set(MODULES) == set(FLOOR), "a module without a floor, or a floor's module that is gone: see FLOORS"


@pytest.mark.parametrize("folder", sorted(FOLDERS))
def test_a_folder_is_introduced(folder):
    tree = ast.parse((PACKAGE / folder / "__init__.py").read_text("utf-8"))
    assert ast.get_docstring(tree), "what the folder is for, and what to read first"
    assert len(tree.body) == 1, "nothing else: who imports a module of the folder imports no other with it"


@pytest.mark.parametrize("module", sorted(MODULES))
def test_imports_run_downward(module):
    compiled = {name for name, _ in neighbours(module) if name.startswith("_")}
    assert compiled <= ({"_cpu"} if module == "kernels" else set()), "charrnn/kernels.py alone imports compiled modules"
    upward = {name for name, _ in neighbours(module) if name not in compiled and FLOOR.get(name, -1) < FLOOR.get(module, 9)}
    assert upward <= {name for importer, name in UPWARD if importer == module}


def test_no_circles():
    TopologicalSorter({module: {name for name, called in neighbours(module) if not called} for module in MODULES}).prepare()


def test_matplotlib_belongs_to_plots():
    importers = {(module, called) for module, found in IMPORTS.items() for name, called in found if name.startswith("matplotlib")}
    assert importers == {("plots", True)}


def test_import_is_cheap():
    """Nothing that only some users need is imported for all (secrets, with random and hashlib, would add a half to the time)."""
    code = "import sys, charrnn; print(*sys.modules)"
    command, place = [sys.executable, "-Pc", code], os.environ | {"PYTHONPATH": str(PACKAGE.parent)}
    loaded = set(subprocess.run(command, capture_output=True, text=True, check=True, env=place).stdout.split())
    assert "charrnn.model" in loaded
    assert not loaded & {"matplotlib", "tqdm", "safetensors", "jinja2", "torch", "charrnn.cli", "charrnn.training", "secrets"}
