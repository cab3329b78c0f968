"""Test charrnn as arm64 computes it, on another processor: compiled by a cross compiler, run by an emulated Python.

    python fuzz/arm64.py                     the kernels', elementary functions' and same-bits tests, and the bits of x86-64
    python fuzz/arm64.py -- tests/test_x.py  others

Needs, on Debian or Ubuntu (the first line once, as root; it fetches nothing into the system but these):

    apt install qemu-user-static g++-aarch64-linux-gnu && dpkg --add-architecture arm64 && apt update

The emulated Python and its libraries are Debian packages that are unpacked into build/arm64, not installed; NumPy and pytest are wheels.
Under emulation all takes some ten times as long.
"""

from __future__ import annotations

import argparse
import glob
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PLACE = ROOT / "build" / "arm64"
SYSTEM, SITE, CHECKOUT = PLACE / "root", PLACE / "site", PLACE / "checkout"
VERSION = f"{sys.version_info.major}.{sys.version_info.minor}"  # of this Python, which has to be Debian's as well: 3.11 in Debian 12
SUFFIX = f".cpython-{VERSION.replace('.', '')}-aarch64-linux-gnu.so"
PACKAGES = (
    *(f"python{VERSION}", f"python{VERSION}-minimal"),
    *(f"libpython{VERSION}{part}" for part in ("", "-minimal", "-stdlib", "-dev")),
    *("libc6", "libgcc-s1", "libstdc++6", "zlib1g", "libexpat1", "libssl3", "libffi8"),
    *("liblzma5", "libbz2-1.0", "libsqlite3-0", "libuuid1"),
)
WHEELS = ("numpy", "safetensors", "pytest", "hypothesis", "tqdm", "jinja2", "matplotlib", "mpmath")
NOT_COPIED = (".git", ".venv*", ".ci-venv", "venv", "build", "dist", "wheelhouse", "*.so", "*.egg-info", "__pycache__", ".*_cache")
TESTS = [
    "tests/test_elementary.py",
    "tests/test_bits.py",
    "tests/test_kernels.py",
]  # none that starts Python anew: that would not be emulated
CROSS = """
import platform, sys, sysconfig
platform.machine = lambda: "aarch64"
sysconfig.get_config_vars().update(EXT_SUFFIX={suffix!r}, SO={suffix!r})
sys.argv = ["setup.py", "-q", "build_ext", "--inplace"]
exec(compile(open("setup.py").read(), "setup.py", "exec"))
"""
# What training and writing come to, for each cell, optimiser and precision: hashed on both processors.
BITS = """
import hashlib, numpy as np
from charrnn import CharRNN
from charrnn.network import kernels
text = "she sells sea shells by the sea shore; the shells she sells are sea shells. " * 9
for cell, layers, m, B in (("rnn", 1, 100, 1), ("rnn", 1, 37, 3), ("gru", 2, 12, 8), ("lstm", 1, 17, 2)):
    for optimizer, rate in (("adagrad", 0.1), ("adam", 0.01)):
        for dtype in ("float32", "float64"):
            model = CharRNN(m, cell=cell, layers=layers, dtype=dtype, seed=1)
            model.train(text, updates=60, batch_size=B, optimizer=optimizer, learning_rate=rate, dropout=0.1, progress=False)
            written = model.generate("she", 100, seed=1, temperature=0.7, top_k=9)
            found = hashlib.sha256(model.theta.tobytes() + written.encode() + model.losses(text).tobytes()).hexdigest()
            print(cell, layers, m, B, optimizer, dtype, found[:16])
x = np.concatenate([np.linspace(-30, 30, 20001), [0.0, -0.0, np.inf, -np.inf, 1e-30]])
for name in ("tanh", "sigmoid", "exp"):
    for dtype in ("float32", "float64"):
        given = x.astype(dtype)
        out = np.empty_like(given)
        getattr(kernels.get(), name)(out, given)
        print(name, dtype, hashlib.sha256(out.tobytes()).hexdigest()[:16])
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pytest", nargs="*", help="arguments for pytest, after --")
    args = parser.parse_args()
    begun = time.monotonic()
    fetch()
    build()
    print(f"built in {time.monotonic() - begun:.0f} s", flush=True)
    ours = subprocess.run(
        [sys.executable, "-c", BITS], cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True
    )
    theirs = emulated(["-c", BITS], capture_output=True, text=True)
    if ours.returncode or theirs.returncode:
        print(ours.stderr, theirs.stderr)
        return 1
    different = [f"{a}\n{b}" for a, b in zip(ours.stdout.splitlines(), theirs.stdout.splitlines(), strict=True) if a != b]
    print(*different or [f"the bits are those of this machine: {len(ours.stdout.splitlines())} hashes"], sep="\n", flush=True)
    tests = args.pytest or TESTS
    code = emulated(["-m", "pytest", "-q", "-p", "no:cacheprovider", *tests]).returncode
    print(f"{'faults found' if code or different else 'clean'} after {time.monotonic() - begun:.0f} s", flush=True)
    return 1 if code or different else 0


def fetch() -> None:
    """The emulated system, once."""
    if not (SYSTEM / "usr" / "bin" / f"python{VERSION}").exists():
        (PLACE / "debs").mkdir(parents=True, exist_ok=True)
        subprocess.run(["apt-get", "download", "-q", *(f"{name}:arm64" for name in PACKAGES)], cwd=PLACE / "debs", check=True)
        for package in (PLACE / "debs").glob("*.deb"):
            subprocess.run(["dpkg", "-x", str(package), str(SYSTEM)], check=True)
    if not SITE.exists():
        where = [f"--platform=manylinux_2_{minor}_aarch64" for minor in (17, 28)] + ["--platform=manylinux2014_aarch64"]
        how = ["--only-binary=:all:", *where, f"--python-version={VERSION}", "--implementation=cp", "--target", str(SITE)]
        subprocess.run([sys.executable, "-m", "pip", "install", "-q", *how, *WHEELS], check=True)


def build() -> None:
    """A copy of the checkout with the modules for arm64 in place."""
    shutil.rmtree(CHECKOUT, ignore_errors=True)
    shutil.copytree(ROOT, CHECKOUT, ignore=shutil.ignore_patterns(*NOT_COPIED))
    include = f"-I{SYSTEM}/usr/include/python{VERSION} -I{SYSTEM}/usr/include"
    tools = {"CC": "aarch64-linux-gnu-gcc", "CXX": "aarch64-linux-gnu-g++", "LDSHARED": "aarch64-linux-gnu-gcc -shared"}
    tools |= {"LDCXXSHARED": "aarch64-linux-gnu-g++ -shared", "CFLAGS": include, "CXXFLAGS": include, "LDFLAGS": ""}
    subprocess.run([sys.executable, "-c", CROSS.format(suffix=SUFFIX)], cwd=CHECKOUT, env=os.environ | tools, check=True)
    made = glob.glob(str(CHECKOUT / "charrnn" / f"*{SUFFIX}"))
    assert len(made) == 3, made


def emulated(words: list[str], **how: object) -> subprocess.CompletedProcess[str]:
    """The emulated Python."""
    settings = ["-E", f"PYTHONPATH={CHECKOUT}:{SITE}", "-E", "MPLBACKEND=Agg"]
    python = [
        shutil.which("qemu-aarch64-static") or "qemu-aarch64",
        "-L",
        str(SYSTEM),
        *settings,
        str(SYSTEM / "usr" / "bin" / f"python{VERSION}"),
    ]
    return subprocess.run([*python, *words], cwd=CHECKOUT, **how)  # type: ignore[call-overload,no-any-return]


if __name__ == "__main__":
    sys.exit(main())
