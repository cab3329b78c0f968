"""How the compiled core is built: one module per processor level, from one source (csrc/kernels.pxi).

CHARRNN_DEBUG=1 checks every index and keeps symbols; CHARRNN_ABI3=1 builds for the stable ABI of CPython 3.11, as released
wheels are (CONTRIBUTING.md says why).
"""

import glob
import os
import platform
import shutil
import sys
import sysconfig

from Cython.Build import cythonize
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

MSVC = sys.platform == "win32"
# Not on macOS: its Pythons compile for Intel and ARM at once, and there is no ARM with AVX.
X86 = platform.machine().lower() in ("x86_64", "amd64") and sys.platform != "darwin"
DEBUG = os.environ.get("CHARRNN_DEBUG") == "1"
ABI3 = os.environ.get("CHARRNN_ABI3") == "1" and not sysconfig.get_config_var("Py_GIL_DISABLED")  # which has no stable ABI

# The same results at every level: no reassociation, no contraction beyond the fused multiply-adds that the source writes.
# -fno-math-errno and -fno-trapping-math allow vector code for sqrt and comparisons and change no result.
# Loops start on a cache line: a tile's loop that lies across three of them is a sixth slower than across two.
# Pythons commonly ask for -fwrapv, which makes loops slower, and for -g, which makes the modules six times as large.
COMMON = ["/O2", "/fp:precise"] if MSVC else ["-ffp-contract=off", "-fno-math-errno", "-fno-trapping-math", "-fno-wrapv"]
CPP = ["/std:c++17"] if MSVC else ["-std=c++17", "-fno-exceptions", "-fno-rtti"]
if not MSVC:
    COMMON += ["-O1", "-g"] if DEBUG else ["-O2", "-ftree-vectorize", "-fvect-cost-model=dynamic", "-falign-loops=64", "-g0"]
LEVELS = {"base": []}
if X86:
    LEVELS["v3"] = ["/arch:AVX2"] if MSVC else ["-mavx2", "-mfma"]
    LEVELS["v4"] = (
        ["/arch:AVX512"]
        if MSVC
        else ["-mavx2", "-mfma", "-mavx512f", "-mavx512bw", "-mavx512dq", "-mavx512vl", "-mprefer-vector-width=512"]
    )

MISSING = """

charrnn is compiled while it is installed, and {what} is missing here. Install it, then try again:
  Debian, Ubuntu    apt install g++ python3-dev
  Fedora, RHEL      dnf install g++ python3-devel
  Alpine            apk add g++ musl-dev python3-dev
  macOS             xcode-select --install
  Windows           the Build Tools for Visual Studio, with "Desktop development with C++"
  conda             conda install cxx-compiler
CXX=... chooses another compiler. A wheel for your system, if there is one, needs none.
"""


class BuildExtensions(build_ext):
    """Says in words what is missing, before a compiler that is not there is called."""

    def build_extensions(self):
        if self.compiler.compiler_type == "unix":
            compiler = self.compiler.compiler_so_cxx[0]
            if shutil.which(compiler) is None:
                raise SystemExit(MISSING.format(what=f"the C++ compiler {compiler!r}"))
            if not any(os.path.exists(os.path.join(folder, "Python.h")) for folder in self.compiler.include_dirs):
                raise SystemExit(MISSING.format(what="Python.h, the headers of this Python,"))
        try:
            super().build_extensions()
        except Exception as error:
            if self.compiler.compiler_type == "msvc" and "Visual C++" in str(error):
                raise SystemExit(MISSING.format(what="Microsoft's C++ compiler")) from None
            raise


headers = glob.glob("csrc/**/*.h", recursive=True) + glob.glob("csrc/*.pxi")


def module(name, source, flags=()):
    return Extension(
        f"charrnn.{name}",
        [f"csrc/{source}"],
        extra_compile_args=[*COMMON, *flags],
        extra_link_args=["-Wl,-s"] if sys.platform == "linux" and not DEBUG else [],
        define_macros=[("Py_LIMITED_API", "0x030B0000")] if ABI3 else [],
        py_limited_api=ABI3,
        depends=headers,
    )


modules = [module(f"_kernels_{level}", f"kernels_{level}.pyx", [*CPP, *flags]) for level, flags in LEVELS.items()]
modules.append(module("_cpu", "cpu.pyx"))
modules.append(module("_shared", "_shared.c"))  # Cython's memoryview code, once for all levels; cythonize writes it

setup(
    ext_modules=cythonize(
        modules,
        build_dir="build/debug" if DEBUG else "build/cython",  # apart, so that neither takes the other's files for its own
        compiler_directives={
            "language_level": 3,
            "boundscheck": DEBUG,
            "initializedcheck": DEBUG,
            "wraparound": False,
            "cdivision": True,
            "freethreading_compatible": True,
        },
        shared_utility_qualified_name="charrnn._shared",
    ),
    cmdclass={"build_ext": BuildExtensions},
    options={"build_ext": {"parallel": os.cpu_count()}, "bdist_wheel": {"py_limited_api": "cp311"} if ABI3 else {}},
)
