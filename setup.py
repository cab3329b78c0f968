"""How the compiled core is built: one module per processor level, from one source (csrc/kernels.pxi)."""
import os
import platform
import sys

from Cython.Build import cythonize
from setuptools import Extension, setup

MSVC = sys.platform == "win32"
X86 = platform.machine().lower() in ("x86_64", "amd64") and sys.platform != "darwin"

# The same results at every level: no reassociation, no contraction beyond the fused multiply-adds that the source writes.
# The two -fno flags allow vector code for sqrt and comparisons and change no result.
COMMON = ["/O2", "/fp:precise"] if MSVC else ["-O3", "-ffp-contract=off", "-fno-math-errno", "-fno-trapping-math"]
LEVELS = {"base": []}
if X86:
    LEVELS["v3"] = ["/arch:AVX2"] if MSVC else ["-mavx2", "-mfma"]
    LEVELS["v4"] = ["/arch:AVX512"] if MSVC else [
        "-mavx2", "-mfma", "-mavx512f", "-mavx512bw", "-mavx512dq", "-mavx512vl", "-mprefer-vector-width=512"
    ]

DEBUG = os.environ.get("CHARRNN_DEBUG") == "1"  # bounds-checked memoryviews, for looking for trouble
directives = {"boundscheck": True, "initializedcheck": True} if DEBUG else {}
headers = [f"csrc/{name}" for name in os.listdir("csrc") if name.endswith((".h", ".pxi"))]
modules = [
    Extension(f"charrnn._kernels_{level}", [f"csrc/kernels_{level}.pyx"], extra_compile_args=COMMON + flags, depends=headers)
    for level, flags in LEVELS.items()
]
modules.append(Extension("charrnn._cpu", ["csrc/cpu.pyx"]))
modules.append(Extension("charrnn._shared", ["csrc/_shared.c"]))  # Cython's memoryview code, once for all levels

setup(
    ext_modules=cythonize(
        modules,
        build_dir="build/cython",
        compiler_directives=directives,
        shared_utility_qualified_name="charrnn._shared",
    )
)
