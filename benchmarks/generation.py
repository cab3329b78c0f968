"""What decoding rules cost, and what scoring many short texts at once gains: one thread, programs in turns, medians of processor time.

python benchmarks/generation.py
python benchmarks/generation.py --only evaluate       # the loop alone: runs with older versions too
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from statistics import median
from typing import Any

import numpy as np

from charrnn import CharRNN, read_corpus

LENGTH = 100_000  # characters of a passage
STRINGS, SIZE = 10_000, 20
RULES: dict[str, dict[str, Any]] = {
    "no rules": {},
    "top_p 0.9, min_p 0.05": {"top_p": 0.9, "min_p": 0.05},
    "temperature 0.7": {"temperature": 0.7},
    "top_k 10": {"top_k": 10},
    "typical_p 0.9": {"typical_p": 0.9},
    "dry_multiplier 0.8": {"dry_multiplier": 0.8},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--only", choices=["rules", "score", "evaluate"], help="rules, score() or a loop over evaluate()")
    args = parser.parse_args()
    text = read_corpus(None)
    model = CharRNN(hidden_size=100, seed=0)
    model.train(text, updates=20_000, progress=False, sample_every=None)
    whole = text.text(0, len(text))
    starts = np.random.default_rng(0).integers(0, len(whole) - SIZE, STRINGS)
    strings = [whole[at : at + SIZE] for at in starts]
    programs: dict[str, Callable[[], Any]] = {}
    if args.only in (None, "rules"):
        for name, rules in RULES.items():
            programs[name] = lambda rules=rules: model.generate("The ", LENGTH, seed=1, **rules)
    if args.only in (None, "score"):
        programs["score"] = lambda: model.score(strings)
    if args.only in (None, "evaluate"):
        programs["a loop over evaluate"] = lambda: [model.evaluate("\n" + string).loss for string in strings]
    times: dict[str, list[float]] = {name: [] for name in programs}
    for turn in range(args.rounds):
        for name in list(programs)[:: 1 if turn % 2 else -1]:
            if name == "a loop over evaluate" and turn >= 3:
                continue
            begin = time.process_time()
            programs[name]()
            times[name].append(time.process_time() - begin)
    for name, taken in times.items():
        middle = median(taken)
        if name in RULES:
            share = median(plain / each for plain, each in zip(times["no rules"], taken, strict=True))
            print(f"{name:<24}{LENGTH / middle:>12,.0f} characters/s  {share:>6.0%} of the speed without rules")
        else:
            print(f"{name:<24}{middle:>12.3f} s for {STRINGS:,} strings of {SIZE} characters (fastest {min(taken):.3f})")


if __name__ == "__main__":
    main()
