"""Settings for the whole suite: seeded properties, and one fixture that runs a test on every kernel level."""

import json
import os
import signal
import sys
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import settings

ROOT = Path(__file__).resolve().parents[1]
if not any((ROOT / f"charrnn/_cpu{suffix}").exists() for suffix in EXTENSION_SUFFIXES):
    # `python -m pytest` puts the checkout before what is installed; without modules compiled in place, the latter is meant
    sys.path[:] = [place for place in sys.path if Path(place).resolve() != ROOT]
    os.environ["PYTHONSAFEPATH"] = "1"  # the same for every Python that a test starts

from charrnn.network import kernels  # noqa: E402

collect_ignore = ["data"]  # what made it, beside it, needs more than the tests do
os.environ.setdefault("MPLBACKEND", "Agg")
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # the suite was started with `&`: its tests of Ctrl-C want one that counts
    signal.signal(signal.SIGINT, signal.default_int_handler)
if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:  # ... or with nohup
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
settings.register_profile("charrnn", derandomize=True, deadline=None, print_blob=True)
settings.load_profile("charrnn")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """All tests of a file in one process, which makes what they share once."""
    from xdist.scheduler import LoadFileScheduling

    return LoadFileScheduling(config, log)


@pytest.fixture(params=kernels.available())
def level(request):
    """Each level that this machine runs, "numpy" included."""
    return request.param


@pytest.fixture(params=[1, 3, 17, 1000])
def chunks(request, monkeypatch):
    """Force the number of updates in a call of the kernels."""
    from charrnn.training import trainer

    monkeypatch.setattr(trainer, "CHUNK_SECONDS", 0.0)  # the clock says: one update at a time
    real = trainer.Trainer.updates_until_event

    def several(self):
        self.chunk = request.param
        return real(self)

    monkeypatch.setattr(trainer.Trainer, "updates_until_event", several)
    return request.param


@pytest.fixture
def undrawn(monkeypatch):
    """Runs without the picture of their losses, which takes longer than all the rest."""
    from charrnn.runs.recorder import Recorder

    monkeypatch.setattr(Recorder, "draw", lambda *_: None)


@pytest.fixture
def same_process(monkeypatch):
    """`gradcheck --mine` checks a program in this process, and gives up soon: for tests of what it says."""
    from charrnn.errors import SettingsError
    from charrnn.lab import finding, worker

    def run(command, input, **how):
        try:
            answer = worker.answer_to(json.loads(input), guarded=False)
        except SettingsError as error:
            answer = {"error": str(error), "adapter": getattr(error, "adapter", "")}
        return SimpleNamespace(stdout=json.dumps(answer))

    monkeypatch.setattr(worker.subprocess, "run", run)
    monkeypatch.setattr(finding.find_in_file, "__defaults__", (0.3,))
