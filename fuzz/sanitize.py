"""Look for faults in the compiled code: builds it anew with every access watched, in a folder of its own, and runs the tests there.

python fuzz/sanitize.py bounds           Cython's bounds checks (CHARRNN_DEBUG=1), anywhere
python fuzz/sanitize.py address          these, AddressSanitizer and UndefinedBehaviorSanitizer (gcc or clang, on Linux)
python fuzz/sanitize.py shipped          AddressSanitizer alone, without bounds checks, and optimised as it is shipped
python fuzz/sanitize.py thread           ThreadSanitizer, with the tests of threads
python fuzz/sanitize.py address --quick  with some tests of the kernels alone, for a minute or two
python fuzz/sanitize.py address -- -k sampling    with other arguments for pytest
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import sysconfig
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PLACE = ROOT / "build" / "fuzz"
NOT_COPIED = (".git", ".venv*", ".ci-venv", "venv", "build", "dist", "wheelhouse", "*.so", "*.egg-info", "__pycache__", ".*_cache")
SANITIZERS = {
    "address": "-fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer",
    "shipped": "-fsanitize=address -fno-omit-frame-pointer",
    "thread": "-fsanitize=thread -fno-omit-frame-pointer",
}
# Appended to charrnn/network/arrays.py: every array has just the bytes that it needs, with forbidden ones on both sides. As shipped, it
# lies in a block that is a line longer, so that reading a few numbers too far would go unnoticed.
EXACT = """

def aligned_zeros(shape, dtype):
    import ctypes
    import weakref

    size, libc, address = math.prod(shape) * int(np.dtype(dtype).itemsize), ctypes.CDLL(None), ctypes.c_void_p()
    assert libc.posix_memalign(ctypes.byref(address), ctypes.c_size_t(LINE), ctypes.c_size_t(size)) == 0
    if not size:
        libc.free(address)
        return np.zeros(shape, dtype)
    block = (ctypes.c_uint8 * size).from_address(address.value)
    weakref.finalize(block, libc.free, address)
    ctypes.memset(address, 0, size)
    return np.frombuffer(block, np.uint8).view(dtype).reshape(shape)
"""
THREADS = [
    "tests/test_threads.py",
    "tests/test_bits.py",
    "tests/test_access.py",
    "tests/test_kernels.py",
    "-k",
    "thread or readers or side",
]
TOUCHING = "margin or touched or trace or threads or chunking or any_length or any_sizes or any_update or same_symbols"
QUICK = ["tests/test_kernels.py", "tests/test_kernel_memory.py", "tests/test_elementary.py", "--maxfail=1", "-k", TOUCHING]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kind", choices=["bounds", *SANITIZERS])
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("pytest", nargs="*", help="arguments for pytest, after --")
    args = parser.parse_args()
    begun = time.monotonic()
    folder, environment = build(args.kind)
    print(f"{args.kind}: built in {time.monotonic() - begun:.0f} s", flush=True)
    tests = ["-m", "not memory", *(args.pytest or (THREADS if args.kind == "thread" else QUICK if args.quick else []))]
    code = subprocess.run([sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *tests], cwd=folder, env=environment).returncode
    print(f"{args.kind}: {'faults found' if code else 'clean'} after {time.monotonic() - begun:.0f} s", flush=True)
    return code


def build(kind: str) -> tuple[Path, dict[str, str]]:
    """A copy of the checkout with the modules built in place, and the environment to run it in."""
    folder = PLACE / kind
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(ROOT, folder, ignore=shutil.ignore_patterns(*NOT_COPIED))
    environment = {name: value for name, value in os.environ.items() if not name.startswith("CHARRNN_")} | {"PYTHONPATH": str(folder)}
    flags = SANITIZERS.get(kind)
    while_building = {} if kind in ("shipped", "thread") else {"CHARRNN_DEBUG": "1"}
    while_building |= {"CFLAGS": flags, "LDFLAGS": flags} if flags else {}
    if kind in ("address", "shipped"):
        with open(folder / "charrnn" / "network" / "arrays.py", "a", encoding="utf-8") as file:
            file.write(EXACT)
    subprocess.run([sys.executable, "setup.py", "-q", "build_ext", "--inplace"], cwd=folder, env=environment | while_building, check=True)
    return folder, environment | (while_running("libtsan.so" if kind == "thread" else "libasan.so") if flags else {})


def while_running(library: str) -> dict[str, str]:
    """The sanitizer has to be loaded before Python, and the C++ library, whose exceptions it watches, before it looks for it.

    Python's own leaks at exit are none of our business; its small objects are allocated singly, so that they are watched, too.
    """
    compiler = (sysconfig.get_config_var("CC") or "cc").split()[0]
    libraries = [
        subprocess.run([compiler, f"-print-file-name={name}"], capture_output=True, text=True, check=True).stdout.strip()
        for name in (library, "libstdc++.so.6")
    ]
    return {
        "LD_PRELOAD": ":".join(libraries),
        "ASAN_OPTIONS": "detect_leaks=0:abort_on_error=1:strict_string_checks=1",
        "UBSAN_OPTIONS": "print_stacktrace=1",
        "TSAN_OPTIONS": "halt_on_error=0:exitcode=66:ignore_noninstrumented_modules=1",
        "PYTHONMALLOC": "malloc",
    }


if __name__ == "__main__":
    sys.exit(main())
