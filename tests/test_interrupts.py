"""Signals: the first saves, the second ends at once and leaves nothing running; a run begins with one update."""

import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from charrnn import CharRNN, SettingsError, ThreadsError, threads
from charrnn.training import trainer
from charrnn.training.checkpoint import checkpoints_in
from charrnn.training.trainer import Trainer

TEXT = "the tide comes in, the tide goes out; nobody asked the tide. " * 12
BIG = {"updates": 10**6, "batch_size": 8, "threads": 2, "progress": False, "sample_every": None}


def living():
    return [thread for thread in threading.enumerate() if thread.name.startswith("charrnn-")]


@pytest.fixture
def two_cores(monkeypatch):
    monkeypatch.setattr(threads, "usable_cores", lambda: 2)


def test_a_second_interrupt_leaves_nothing_running(two_cores, monkeypatch):
    """Two threads, in the middle of a long chunk: when KeyboardInterrupt arrives, they have ended and theta stands still."""
    model = CharRNN(hidden_size=30, seed=1)
    monkeypatch.setattr(Trainer, "updates_until_event", lambda self: 1 if self.progress.done < 3 else 20_000)
    real, begun = trainer.together, []

    def together(team, train, arrays, barrier):
        if len(arrays[3]) == 20_000:
            begun.append(arrays[0].copy())
            for delay in (0.05, 0.1):
                threading.Timer(delay, os.kill, [os.getpid(), signal.SIGINT]).start()
        real(team, train, arrays, barrier)

    monkeypatch.setattr(trainer, "together", together)
    with pytest.raises(KeyboardInterrupt):
        model.train(TEXT, **BIG)
    assert begun[0].tobytes() != model.theta.tobytes()  # they were at work
    assert living() == []
    theta = model.theta.copy()
    time.sleep(0.2)
    assert model.theta.tobytes() == theta.tobytes()
    model.evaluate(TEXT)  # and the model is free
    monkeypatch.undo()
    model.train(TEXT, **(BIG | {"updates": 5}))


def test_threads_that_cannot_start_are_an_error_of_ours(two_cores, monkeypatch):
    real, started = threading.Thread.start, []

    def start(self):
        if started:
            raise RuntimeError("can't start new thread")
        started.append(self)
        real(self)

    monkeypatch.setattr(threading.Thread, "start", start)
    with pytest.raises(ThreadsError, match="starts no more threads: take fewer"):
        CharRNN(hidden_size=5).train(TEXT, **BIG)
    assert living() == []


def test_more_threads_than_cores_are_capped_with_a_word(two_cores, monkeypatch):
    notes, sizes = [], []
    real = threads.Team.__enter__
    monkeypatch.setattr(threads.Team, "__enter__", lambda self: (sizes.append(self.size), real(self))[1])
    plan = {
        "updates": 20,
        "batch_size": 8,
        "progress": False,
        "callbacks": [lambda event: notes.append(event.note) if event.note else None],
    }
    model, same = CharRNN(hidden_size=9), CharRNN(hidden_size=9)
    model.train(TEXT, threads=200, **plan)
    assert notes == ["2 threads in place of 200: this process has no more cores"]
    assert sizes == [2]
    same.train(TEXT, threads=2, **plan)
    assert same.theta.tobytes() == model.theta.tobytes()
    assert len(notes) == 1
    with pytest.raises(SettingsError, match="at most 256"):
        model.train(TEXT, threads=257, **plan)


def test_a_run_begins_with_one_update():
    """With 20,000 characters an update takes long, and a chunk must not be guessed from T, B and m alone."""
    done = []
    text = "".join(map(chr, range(0x4E00, 0x4E00 + 20_000)))
    model = CharRNN(hidden_size=4)
    model.train(text, updates=3, progress=False, sample_every=None, callbacks=[lambda event: done.append(event.done)])
    assert done[:2] == [0, 1]


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="not known to this system")
def test_a_closed_terminal_saves_as_a_polite_request_does(tmp_path):
    (tmp_path / "text.txt").write_text(TEXT)
    words = [
        "train",
        str(tmp_path / "text.txt"),
        "--updates",
        "1e8",
        "--hidden-size",
        "5",
        "--sample-every",
        "none",
        "--out",
        str(tmp_path / "run"),
    ]
    with subprocess.Popen(
        [sys.executable, "-m", "charrnn", *words, "--quiet"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=os.environ
    ) as process:
        deadline = time.monotonic() + 60
        while not checkpoints_in(tmp_path / "run" / "checkpoints") and time.monotonic() < deadline:
            time.sleep(0.02)
        time.sleep(0.2)
        process.send_signal(signal.SIGHUP)
        assert process.wait(60) == 128 + signal.SIGHUP
    assert CharRNN.load(tmp_path / "run").trained["step"] > 0
