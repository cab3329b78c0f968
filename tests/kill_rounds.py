"""Kill a training at random moments, resume it, compare the files with an undisturbed run's; many times.

    python tests/kill_rounds.py [ROUNDS] [SEED]

Processes are forked where the system can, which saves the second that Python and its libraries take to start.
"""

import contextlib
import os
import signal
import sys
import tempfile
import threading
import time
from pathlib import Path

from tqdm import tqdm

from charrnn.cli import main as cli
from charrnn.errors import CharRNNError
from charrnn.runs.verification import Proof

WORDS = [
    *("--hidden-size", "24", "--updates", "8000", "--sample-every", "600", "--sample-length", "60"),
    *("--checkpoint-every", "300", "--keep", "2", "--validation", "0.05", "--validate-every", "1000"),
    *("--optimizer", "adam", "--learning-rate", "0.003", "--rescue"),
]


class ForkedProof(Proof):
    """The same, without starting Python again for every run."""

    def _run(self, words, seconds=None):
        process = os.fork()
        if not process:
            tqdm.set_lock(threading.RLock())  # not the one that all forks share: who is killed while holding it stops the others
            with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):
                os._exit(cli.main(["train", *words]))
        end = time.monotonic() + seconds if seconds else float("inf")
        while True:
            ended, status = os.waitpid(process, os.WNOHANG)
            if ended:
                break
            if time.monotonic() >= end:
                os.kill(process, signal.SIGKILL)
                os.waitpid(process, 0)
                return False
            time.sleep(0.001)
        if status:
            raise CharRNNError(f"charrnn train {' '.join(words)}: exit status {status}")
        return True


def main(rounds: int = 200, seed: int = 0) -> int:
    """So many rounds of up to three kills; 0 if every one ended with the same bits."""
    import matplotlib.pyplot  # noqa: F401  before forking, so that no child has to

    begun = time.monotonic()
    with tempfile.TemporaryDirectory() as name:
        proof = (ForkedProof if hasattr(os, "fork") else Proof)(WORDS, Path(name), seed)
        print(f"undisturbed: {proof.seconds:.2f} s", flush=True)
        for number in range(1, rounds + 1):
            if different := proof.round():
                print(f"round {number}: {', '.join(different)} differ")
                return 1
            if number % 10 == 0 or number == rounds:
                print(f"{number} rounds, {proof.kills} kills, {time.monotonic() - begun:.0f} s", flush=True)
    print(f"{rounds} rounds, {proof.kills} kills with SIGKILL: every one resumed to the same files, bit for bit")
    return 0


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
