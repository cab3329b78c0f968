"""The proof that a run killed at any moment, and resumed, ends with the same files as one that nobody disturbed."""

from __future__ import annotations

import json
import random
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from charrnn.errors import CharRNNError
from charrnn.process import charrnn_command
from charrnn.recipes import Recipe
from charrnn.runs.folder import BEST, METRICS, MODEL, RECIPE, REQUEST, SAMPLES
from charrnn.runs.request import Request
from charrnn.text.corpus import Corpus
from charrnn.text.source import copy_of
from charrnn.threads import answered_by

UPDATES, ROUNDS, KILLS = 3000, 5, 3  # of a proof on the user's machine
CLOCK = ("time", "chars_per_sec")  # what two runs may differ in


class Proof:
    """Runs `charrnn train` with some words undisturbed in one folder, and again and again killed in others."""

    def __init__(self, words: Sequence[str], folder: Path, seed: int = 0) -> None:
        self.words, self.folder, self.random = [*words, "--quiet"], folder, random.Random(seed)
        self.kills = self.rounds = 0
        begun = time.monotonic()
        self._run([*self.words, "--out", str(folder / "undisturbed")])
        self.seconds = time.monotonic() - begun

    def round(self) -> list[str]:
        """Kill a run at one to KILLS random moments, resume it each time, and compare; the files that differ."""
        run, before = self.folder / f"round-{self.rounds}", self.kills
        self.rounds += 1
        while self.kills < before + KILLS:
            begun = time.monotonic()
            if not self._run(self._words_for(run), self.random.uniform(0.05, 1.05) * self.seconds):
                self.kills += 1
            elif self.kills > before:
                break
            else:  # it was faster than the one before: again, and sooner
                self.seconds = min(self.seconds, time.monotonic() - begun)
                shutil.rmtree(run)
        else:
            self._run(self._words_for(run))
        different = differences(self.folder / "undisturbed", run)
        if not different:
            shutil.rmtree(run)
        return different

    def _words_for(self, run: Path) -> list[str]:
        if (run / REQUEST).exists():
            return ["--resume", str(run), "--quiet"]
        return [*self.words, "--out", str(run), "--force"]  # killed before it had said what it was to do

    def _run(self, words: Sequence[str], seconds: float | None = None) -> bool:
        """`charrnn train`, killed after this many seconds; whether it came to its end before."""
        command, environment = charrnn_command(["train", *words])
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=environment) as process:
            try:
                said, _ = process.communicate(timeout=seconds)
            except subprocess.TimeoutExpired:
                process.kill()  # SIGKILL: it cannot be answered or put off
                process.communicate()
                return False
            except BaseException:
                process.kill()
                raise
        if process.returncode:
            raise CharRNNError(f"`charrnn train` failed in the proof: {said.decode(errors='replace').strip()}")
        return True


def differences(one: Path, other: Path) -> list[str]:
    """The names of a run's files that are not the same in two folders, but for the clock's part in the metrics."""
    different = [name for name in (MODEL, BEST, SAMPLES, RECIPE) if (one / name).read_bytes() != (other / name).read_bytes()]
    if timeless(one / METRICS) != timeless(other / METRICS):
        different.append(METRICS)
    return different


def timeless(path: Path) -> list[dict[str, object]]:
    """The lines of a metrics file without what the clock has to do with."""
    lines = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    return [{name: value for name, value in line.items() if name not in CLOCK} for line in lines]


def verify(recipe: Recipe, request: Request, whole: Corpus, threads: int | None = None, say: Callable[[str], object] = print) -> int:
    """`charrnn train --verify-resume`: the proof for these settings and this text, shortened; 0 if it holds, else 1."""
    length = {"updates": UPDATES, "sample_every": UPDATES // 4, "sample_length": 50}
    source = request.source
    short = replace(recipe, training={k: v for k, v in recipe.training.items() if k != "epochs"} | length)

    def interrupt(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    with answered_by(interrupt), tempfile.TemporaryDirectory(prefix="charrnn-proof-") as name:
        folder = Path(name)
        (folder / RECIPE).write_text(short.to_toml(), "utf-8")
        words = ["--recipe", str(folder / RECIPE), "--checkpoint-every", str(UPDATES // 30)]
        words += ["--validation", request.validation] if request.validation else []
        words += ["--validation-split", request.validation_split] if request.validation_split != "end" else []
        words += ["--threads", str(threads)] if threads else []
        words += ["--bytes"] if source.raw_bytes else []
        words += ["--min-count", str(source.min_count)] if source.min_count > 1 else []
        if source.is_read_once:
            words.append(copy_of(whole, folder / "text"))
        else:
            words += [*source.paths, *([] if source.raw_bytes else ["--encoding", source.encoding])]
        proof = Proof(words, folder)
        say(f"undisturbed: {UPDATES:,} updates in {proof.seconds:.1f} s")
        for number in range(1, ROUNDS + 1):
            kills = proof.kills
            if different := proof.round():
                say(f"round {number}: NOT the same: {', '.join(different)}")
                return 1
            say(f"round {number}: killed {proof.kills - kills} times and resumed, the same files bit for bit")
    say(f"resuming is exact on this machine: {proof.kills} kills in {ROUNDS} rounds left no trace")
    return 0
