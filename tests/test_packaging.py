"""What is shipped: everything the program needs, nothing it does not, for every platform that is promised."""

import importlib.metadata
import importlib.util
import os
import re
import subprocess
import sys
import sysconfig
import tomllib
from pathlib import Path

import pytest

import charrnn
from charrnn.network import kernels

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = Path(charrnn.__file__).parent
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
installed_from_elsewhere = pytest.mark.skipif(PACKAGE.parent == ROOT, reason="charrnn is used in place, not installed")

VERSIONS = ["cp311", "cp312", "cp313", "cp314", "cp314t", "cp315", "cp315t"]
PLATFORMS = {
    "linux": ["manylinux_x86_64", "manylinux_aarch64", "musllinux_x86_64", "musllinux_aarch64"],
    "macos": ["macosx_x86_64", "macosx_arm64"],
    "windows": ["win_amd64"],
}


@pytest.mark.skipif(not importlib.util.find_spec("cibuildwheel"), reason="cibuildwheel is not installed")
@pytest.mark.parametrize("system", PLATFORMS)
def test_wheels_are_built_for(system):
    command = [sys.executable, "-m", "cibuildwheel", "--print-build-identifiers", "--platform", system, str(ROOT)]
    built = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    assert sorted(built) == sorted(f"{version}-{platform}" for version in VERSIONS for platform in PLATFORMS[system])


def test_one_version_everywhere():
    assert charrnn.__version__ == PYPROJECT["project"]["version"]
    if (ROOT / "CHANGELOG.md").exists():  # not where wheels are tested
        newest = re.search(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text("utf-8"), re.MULTILINE)
        assert newest is not None
        assert newest[1] == charrnn.__version__


@installed_from_elsewhere
def test_compiled_modules_are_installed():
    """One module per level and Cython's shared one. That all the rest is there is checked where wheels are built."""
    assert importlib.metadata.version("charrnn") == charrnn.__version__
    suffix = sysconfig.get_config_var("EXT_SUFFIX")
    compiled = {path.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*") if path.suffix in (".so", ".pyd")}
    assert {name.split(".")[0] for name in compiled} >= {"_cpu", "_shared", "_kernels_base"}
    assert {name.split(".", 1)[1] for name in compiled} <= {suffix[1:], "abi3.so", "pyd"}


@installed_from_elsewhere
@pytest.mark.skipif(sys.platform != "linux", reason="looks for the sections of ELF files")
def test_modules_are_stripped_and_small():
    modules = list(PACKAGE.glob("*.so"))
    assert modules
    assert not [module.name for module in modules if b".debug_info" in module.read_bytes()]
    assert sum(module.stat().st_size for module in modules) < 3_000_000


@pytest.mark.skipif(not sysconfig.get_config_var("Py_GIL_DISABLED"), reason="this Python has a global interpreter lock")
def test_modules_leave_the_interpreter_free():
    code = f"import sys, charrnn._kernels_{kernels.available()[0]}; print(sys._is_gil_enabled())"
    free = subprocess.run([sys.executable, "-W", "error", "-Pc", code], capture_output=True, text=True, check=True)
    assert free.stdout.strip() == "False"


@pytest.mark.skipif(sys.platform == "win32" or not (ROOT / "setup.py").exists(), reason="compiles on POSIX, from a source distribution")
@pytest.mark.parametrize(("without", "missing"), [("compiler", "the C++ compiler 'no-such-cc'"), ("headers", "Python.h")])
def test_an_installation_says_what_it_lacks(tmp_path, without, missing):
    pytest.importorskip("Cython")
    code = (
        "import os, sys, Cython.Build; from setuptools import Extension\n"
        "Cython.Build.cythonize = lambda *modules, **options: [Extension('nothing', ['nothing.c'])]\n"
        "real, without = os.path.exists, os.environ.get('WITHOUT', 'nothing')\n"
        "os.path.exists = lambda path: real(path) and not str(path).endswith(without)\n"
        f"sys.argv = ['setup.py', '-q', 'build_ext', '--build-temp', {str(tmp_path)!r}, '--build-lib', {str(tmp_path)!r}]\n"
        "exec(open('setup.py').read())"
    )
    environment = os.environ | ({"CXX": "no-such-cc", "CC": "no-such-cc"} if without == "compiler" else {"WITHOUT": "Python.h"})
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert f"charrnn is compiled while it is installed, and {missing}" in done.stderr
    assert "apt install g++ python3-dev" in done.stderr
    assert "Traceback" not in done.stderr
