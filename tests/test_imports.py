"""What no tool checks: who may import whom, and what `import charrnn` may cost."""

import ast
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import charrnn

PACKAGE = Path(charrnn.__file__).parent
PATHS = {".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__"): path for path in PACKAGE.rglob("*.py")}
FOLDERS = sorted(path.name for path in PACKAGE.iterdir() if (path / "__init__.py").is_file())


def imports(module: str) -> Iterator[tuple[str, bool]]:
    """(module, whether it is imported as the importer is) for every import in a file, those for type checkers included."""

    def walk(node: ast.AST, called: bool) -> Iterator[tuple[str, bool]]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.Import):
                yield from ((alias.name, called) for alias in child.names)
            elif isinstance(child, ast.ImportFrom):
                for alias in child.names:
                    full = f"{child.module}.{alias.name}"
                    yield (full if full in PATHS else child.module or ""), called
            else:
                yield from walk(child, called or isinstance(child, (ast.FunctionDef, ast.Lambda)))

    yield from walk(ast.parse(PATHS[module].read_text("utf-8")), False)


IMPORTS = {module: set(imports(module)) for module in PATHS}


def neighbours(module: str) -> set[str]:
    """The package's modules that a module imports, from whichever line."""
    return {name for name, _ in IMPORTS[module] if name.split(".")[0] == "charrnn"}


def place(module: str) -> str:
    """The folder that a module belongs to, or the module itself where it stands in none."""
    return module.removeprefix("charrnn.").split(".")[0]


def test_no_file_is_in_a_circle_of_imports():
    TopologicalSorter({module: neighbours(module) for module in PATHS}).prepare()


def test_no_folder_is_in_a_circle_of_imports():
    folders: dict[str, set[str]] = {}
    for module in PATHS:
        folders.setdefault(place(module), set()).update({place(name) for name in neighbours(module)} - {place(module)})
    TopologicalSorter(folders).prepare()


@pytest.mark.parametrize("folder", FOLDERS)
def test_a_folder_says_what_is_in_it(folder):
    assert ast.get_docstring(ast.parse((PACKAGE / folder / "__init__.py").read_text("utf-8")))


def test_one_module_imports_compiled_ones():
    compiled = {
        module
        for module, path in PATHS.items()
        if re.search(r"charrnn\._(cpu|kernels|shared)|import _(cpu|k|shared)", path.read_text("utf-8"))
    }
    assert compiled == {"charrnn.network.kernels"}


@pytest.mark.parametrize("face", ["charrnn.cli", "charrnn.model"])
def test_machinery_does_not_know_the_face(face):
    """What runs a network takes a network: neither the command line nor `CharRNN`."""
    machinery = ("text", "network", "training", "generation", "evaluation", "gradients", "files", "display", "export")
    knowing = [module for module in PATHS if module != "charrnn" for name in neighbours(module) if name.startswith(face)]
    assert not [module for module in knowing if place(module) in machinery]


def test_matplotlib_belongs_to_plots():
    assert {module for module in PATHS for name, _ in IMPORTS[module] if name.startswith("matplotlib")} == {"charrnn.display.plots"}


def test_import_is_cheap():
    """Nothing that only some users need is imported for all (secrets, with random and hashlib, would add a half to the time)."""
    code = "import sys, charrnn; print(*sys.modules)"
    command, where = [sys.executable, "-Pc", code], os.environ | {"PYTHONPATH": str(PACKAGE.parent)}
    loaded = set(subprocess.run(command, capture_output=True, text=True, check=True, env=where).stdout.split())
    assert "charrnn.model" in loaded
    assert not loaded & {"matplotlib", "tqdm", "safetensors", "jinja2", "torch", "charrnn.cli.main", "charrnn.training.trainer", "secrets"}


def test_argparse_belongs_to_the_command_line():
    """What a command was given ends in the command: nothing else takes a Namespace."""
    assert {place(module) for module in PATHS for name, _ in IMPORTS[module] if name == "argparse"} == {"cli"}
