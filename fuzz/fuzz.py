"""Look for faults by feeding the readers what nobody would: a coverage-guided fuzzer over the targets of targets.py.

    python fuzz/fuzz.py model --runs 1000000       one target, so many executions
    python fuzz/fuzz.py all --seconds 20           each target for so long

Needs atheris (pip install atheris). What is found is left in fuzz/corpus/TARGET/, where the tests run it from then on; to look at
it again: python fuzz/fuzz.py TARGET --replay FILE. --corpus FOLDER begins from the inputs in a folder, and adds to them
those that reach something new.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
COMPILED = any(HERE.parent.glob("charrnn/_cpu.*.so"))  # otherwise the installed charrnn is meant
PLACES = [str(HERE), str(HERE.parent)] if COMPILED else [str(HERE)]
NAMES = ("model", "text", "commandline", "recipe", "values", "run", "report")
LARGEST = {"model": 8192, "text": 256, "commandline": 256, "recipe": 1024, "values": 1024, "run": 4096, "report": 2048}  # bytes of an input


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("target", choices=[*NAMES, "all"])
    parser.add_argument("--runs", type=int, default=-1)
    parser.add_argument("--seconds", type=int, default=0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--corpus", type=Path)
    parser.add_argument("--replay", type=Path)
    args = parser.parse_args()
    if args.target == "all":
        how = [f"--runs={args.runs}", f"--seconds={args.seconds}", f"--seed={args.seed}"]
        codes = [subprocess.run([sys.executable, __file__, name, *how]).returncode for name in NAMES]
        return int(any(codes))  # a code below 0 is a signal
    return replay(args.target, args.replay) if args.replay else fuzz(args)


def fuzz(args: argparse.Namespace) -> int:
    """Run libFuzzer on a target; it ends the process, with 0 if nothing was found."""
    import atheris

    sys.path[:0] = PLACES
    with atheris.instrument_imports(include=["charrnn"]):
        import targets

        import charrnn.training.checkpoint  # noqa: F401  the readers, all that they import lazily, and every command
        from charrnn.cli.main import COMMANDS

        for module, _ in COMMANDS.values():
            __import__(module)
    seeds = HERE / "corpus" / args.target
    with tempfile.TemporaryDirectory() as new:
        options = [f"-runs={args.runs}", f"-max_total_time={args.seconds}", f"-seed={args.seed}", f"-max_len={LARGEST[args.target]}"]
        options += ["-timeout=300", "-rss_limit_mb=2048", "-print_final_stats=1", f"-artifact_prefix={seeds}/found-"]
        if (words := HERE / f"{args.target}.dict").is_file():
            options += [f"-dict={words}"]
        folders = [str(args.corpus or new), str(seeds)]
        with targets.desk() if args.target == "commandline" else tempfile.TemporaryDirectory():
            atheris.Setup([sys.argv[0], *options, *folders], targets.TARGETS[args.target])
            atheris.Fuzz()
    return 0


def replay(target: str, file: Path) -> int:
    """One input, without the fuzzer: its traceback, if any."""
    sys.path[:0] = PLACES
    import targets

    data = file.read_bytes()
    with targets.desk() if target == "commandline" else tempfile.TemporaryDirectory():
        targets.TARGETS[target](data)
    return 0


if __name__ == "__main__":
    sys.exit(main())
