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

# From the roof to the ground. A module imports from lower floors and, in no circle, from its own.
FLOORS = {
    "command line": "cli __main__",
    "commands": "train_command synthesize_command evaluate_command gradcheck_command info_command recipes_command report report_page "
    "report_parts explain bench options trainingrun runfolder resumption verification own_gradients explanation"
    " trials diagnosis conventions recipes textmeasures units",
    "model": "model checkpoint",
    "machinery": "network training progress gradcheck gradreport mistakes sampling evaluation exchange history runstate settings "
    "modelfile",
    "ground": "kernels corpus idstore vocabulary files threads baselines arguments notebook plots surprise",
    "foundation": "reference parameters errors",
}
FLOOR = {module: number for number, modules in enumerate(FLOORS.values()) for module in modules.split()}
UPWARD = {("model", "recipes")}  # CharRNN.from_recipe: a convenience for users, imported when called


def name_of(path: Path) -> str:
    return path.parent.name if path.name == "__init__.py" else path.stem


MODULES = {name_of(path): path for path in [*PACKAGE.glob("*.py"), *PACKAGE.glob("*/__init__.py")] if path != PACKAGE / "__init__.py"}


def imports(node: ast.AST, called: bool = False) -> Iterator[tuple[str, bool]]:
    """(module, whether inside a function) for every import that runs."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            continue
        if isinstance(child, ast.Import):
            yield from ((alias.name, called) for alias in child.names)
        elif isinstance(child, ast.ImportFrom) and child.module == "charrnn":
            yield from ((f"charrnn.{alias.name}", called) for alias in child.names)
        elif isinstance(child, ast.ImportFrom):
            yield child.module or "", called
        else:
            yield from imports(child, called or isinstance(child, (ast.FunctionDef, ast.Lambda)))


IMPORTS = {module: list(imports(ast.parse(path.read_text("utf-8")))) for module, path in MODULES.items()}


def neighbours(module: str) -> set[tuple[str, bool]]:
    return {(name.split(".")[1], called) for name, called in IMPORTS[module] if name.startswith("charrnn.")} - {
        ("__version__", True),
        ("__version__", False),
    }


def test_every_module_has_a_floor():
    assert set(MODULES) == set(FLOOR), "a module without a floor, or a floor's module that is gone: see FLOORS"


@pytest.mark.parametrize("module", sorted(MODULES))
def test_imports_run_downward(module):
    compiled = {name for name, _ in neighbours(module) if name.startswith("_")}
    assert compiled <= ({"_cpu"} if module == "kernels" else set()), "charrnn/kernels.py alone imports compiled modules"
    upward = {name for name, _ in neighbours(module) if name not in compiled and FLOOR.get(name, 9) < FLOOR.get(module, 9)}
    assert upward <= {name for importer, name in UPWARD if importer == module}


def test_no_circles():
    TopologicalSorter({module: {name for name, called in neighbours(module) if not called} for module in MODULES}).prepare()


def test_matplotlib_belongs_to_plots():
    importers = {(module, called) for module, found in IMPORTS.items() for name, called in found if name.startswith("matplotlib")}
    assert importers == {("plots", True)}


def test_import_is_cheap():
    """Nothing that only some users need is imported for all."""
    code = "import sys, charrnn; print(*sys.modules)"
    command, place = [sys.executable, "-Pc", code], os.environ | {"PYTHONPATH": str(PACKAGE.parent)}
    loaded = set(subprocess.run(command, capture_output=True, text=True, check=True, env=place).stdout.split())
    assert "charrnn.model" in loaded
    assert not loaded & {"matplotlib", "tqdm", "safetensors", "jinja2", "torch", "charrnn.cli"}
