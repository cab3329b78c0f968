"""How fast the page of `charrnn export` writes in headless Chromium, and how large it is: python benchmarks/page.py --help"""

from __future__ import annotations

import argparse
import contextlib
import os
import platform
import statistics
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
from browser import Browser

from charrnn import CharRNN

CHARACTERS = "".join(sorted("\n !$&',-.3:;?" + "".join(chr(65 + i) + chr(97 + i) for i in range(26))))  # 65, as tinyshakespeare has
WRITE = """
    $("length").value = LENGTH; $("speed").value = "0"; $("temperature").value = "0.8"; $("seed").value = "1";
    const began = performance.now();
    $("write").requestSubmit();
    await until(() => $("write-status").textContent.startsWith("Wrote"));
    return (performance.now() - began) / 1000;
"""
STRETCHES = """
    const network = new Network(about, weights), chooser = new Chooser(network.K), random = pcg64(1n), times = [];
    const rules = { temperature: 0.8, topK: 0, topP: 1, minP: 0 };
    network.step(0);
    for (let stretch = 0; stretch < 1000; stretch++) {
        const began = performance.now();
        for (let i = 0; i < 8; i++) network.step(chooser.choose(network.logits, rules, random()));
        times.push((performance.now() - began) / 8000);
    }
    return Math.min(...times);
"""


def cpu_seconds(profile: Path) -> float:
    """What all processes of the browser that was started with this profile have used; of those of Linux."""
    ticks = 0
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it has ended meanwhile
            if str(profile) in (entry / "cmdline").read_text("utf-8", "replace"):
                ticks += sum(map(int, (entry / "stat").read_text().rpartition(")")[2].split()[11:13]))
    return ticks / os.sysconf("SC_CLK_TCK")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cell", default="lstm", choices=["rnn", "gru", "lstm"])
    parser.add_argument("--layers", type=int, default=2)
    parser.add_argument("--hidden-size", type=int, default=256)
    parser.add_argument("--length", type=int, default=3000, help="characters of each passage")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--core", type=int, default=0, help="the one that all of the browser runs on")
    options = parser.parse_args()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {options.core})
    model = CharRNN(options.hidden_size, cell=options.cell, layers=options.layers, init="scaled", vocabulary=CHARACTERS, seed=1)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        folder = Path(name)
        for float16 in (False, True):
            model.export(folder / "page.html", float16=float16)
            print(f"{'float16' if float16 else 'float32'}: {(folder / 'page.html').stat().st_size / 1e6:.2f} MB")
        browser = Browser(folder / "profile")
        version = browser.ask("Browser.getVersion")["product"]
        browser.open((folder / "page.html").read_text("utf-8"), folder / "page.html")
        write = WRITE.replace("LENGTH", str(options.length))
        browser.run(write)  # which compiles
        used = cpu_seconds(folder / "profile")
        times = [browser.run(write) for _ in range(options.rounds)]
        used = cpu_seconds(folder / "profile") - used
        stretch = browser.run(STRETCHES)
        browser.close()
    print(f"{model!r} in {version} on one core of {platform.machine()}, {options.rounds} passages of {options.length:,} characters:")
    median, fastest = options.length / statistics.median(times), options.length / min(times)
    print(f"{median:,.0f} characters a second (median; at best {fastest:,.0f})")
    print(f"{1 / stretch:,.0f} in the fastest of 1,000 stretches of 8 characters, which other programs on the machine do not interrupt")
    if used:
        print(f"{options.rounds * options.length / used:,.0f} characters for each second of processor time of the whole browser")


if __name__ == "__main__":
    main()
