"""The same files on any executor, with workers and the command killed in the middle, and nothing done twice."""

import os
import re
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
import sweeping
from commands import COMMAND, ENVIRONMENT, run
from sweeping import GRID, PLAN, RECIPE, TEXT

import charrnn
from charrnn.errors import Interrupted, SettingsError, WorkersError
from charrnn.runs.engine import TRIES, Engine, Processes
from charrnn.sweeps.work import STOP, Watch
from charrnn.training.events import Event

pytestmark = pytest.mark.skipif(os.name == "nt", reason="processes are killed as POSIX kills them")


@pytest.fixture(autouse=True)
def undrawn_page(monkeypatch):
    """The pages are tested elsewhere."""
    monkeypatch.setattr("charrnn.sweeps.page.page", lambda *_: "")


@pytest.fixture(scope="module")
def text(tmp_path_factory):
    path = tmp_path_factory.mktemp("text") / "tide.txt"
    path.write_text(TEXT, "utf-8")
    return path


@pytest.fixture(scope="module")
def undisturbed(text, tmp_path_factory):
    """All files of the sweep, made by threads of this process."""
    folder = tmp_path_factory.mktemp("undisturbed") / "sweep"
    with pytest.MonkeyPatch.context() as patch, ThreadPoolExecutor(2) as threads:
        patch.setattr("charrnn.sweeps.page.page", lambda *_: "")
        found = charrnn.sweep(RECIPE, text, threads, out=folder, **PLAN)
    assert len(found.runs) == len(GRID)
    return sweeping.files(folder)


def after(folder, results, act):
    """A thread that acts once, when the sweep in the folder has so many results."""

    def wait():
        while len(sweeping.lines(folder / "sweep.jsonl")) < results:
            time.sleep(0.02)
        act()

    thread = threading.Thread(target=wait, daemon=True)
    thread.start()
    return thread


def test_two_processes_one_of_them_killed(text, undisturbed, tmp_path):
    """The default executor: its pool is made anew, and what was lost goes on from its checkpoint."""
    folder, killed = tmp_path / "sweep", []

    def kill():
        running = {name: log[-1] for name, log in sweeping.work(folder).items() if log and "from" in log[-1]}
        killed.append(next(iter(running.values()))["process"] if running else None)
        if killed[0]:
            os.kill(killed[0], signal.SIGKILL)

    killer = after(folder, 3, kill)
    charrnn.sweep(RECIPE, text, workers=2, out=folder, **PLAN)
    killer.join()
    assert sweeping.files(folder) == undisturbed
    logs = sweeping.work(folder)
    assert all(sweeping.ends(log, 120) == 1 for log in logs.values())
    assert all(line["process"] != os.getpid() for log in logs.values() for line in log)
    assert sum(line["process"] == killed[0] and "to" in line for log in logs.values() for line in log) < len(GRID)


def test_dask(text, undisturbed, tmp_path):
    """Two worker processes of a Dask cluster, one of which is killed while it works."""
    distributed = pytest.importorskip("distributed")
    folder = tmp_path / "sweep"
    options = {"n_workers": 2, "threads_per_worker": 1, "processes": True, "dashboard_address": None}
    with distributed.LocalCluster(**options) as cluster, distributed.Client(cluster, set_as_default=False) as client:
        workers = list(client.run(os.getpid).values())
        killer = after(folder, 3, lambda: os.kill(workers[0], signal.SIGKILL))
        charrnn.sweep(RECIPE, text, cluster.scheduler_address.replace("tcp", "dask"), out=folder, **PLAN)
        killer.join()
    assert sweeping.files(folder) == undisturbed
    logs = sweeping.work(folder)
    assert all(sweeping.ends(log, 120) == 1 for log in logs.values())
    assert {line["process"] for log in logs.values() for line in log} >= {workers[1]}


def test_loky(text, undisturbed, tmp_path):
    loky = pytest.importorskip("loky")
    folder = tmp_path / "sweep"
    charrnn.sweep(replace(RECIPE, grid=GRID[:4]), text, lambda: loky.get_reusable_executor(2), out=folder, **PLAN)
    found = sweeping.files(folder / "runs")
    assert len(found) > 20
    assert all(undisturbed[f"runs/{name}"] == content for name, content in found.items())


def test_mpi(text, undisturbed, tmp_path):
    """Two MPI processes that work, and one that hands out."""
    try:
        from mpi4py import MPI  # noqa: F401
    except (ImportError, RuntimeError) as error:  # of mpi4py, where it finds no MPI
        pytest.skip(str(error))
    mpiexec = next((path for place in os.get_exec_path() if (path := Path(place, "mpiexec")).exists()), None)
    if mpiexec is None:
        pytest.skip("there is no mpiexec")
    script = tmp_path / "script.py"
    script.write_text(
        "import sys, charrnn\nfrom pathlib import Path\nfrom mpi4py.futures import MPIPoolExecutor\n"
        f"sys.path.insert(0, {str(Path(__file__).parent)!r})\nfrom sweeping import PLAN, RECIPE\n"
        "if __name__ == '__main__':\n    with MPIPoolExecutor() as executor:\n"
        f"        charrnn.sweep(RECIPE, Path({str(text)!r}), executor, out={str(tmp_path / 'sweep')!r}, **PLAN)\n"
    )
    words = [str(mpiexec), "-n", "3", sys.executable, "-m", "mpi4py.futures", str(script)]
    allowed = {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1", "OMPI_MCA_rmaps_base_oversubscribe": "1"}
    subprocess.run(words, check=True, env=ENVIRONMENT | allowed, cwd=tmp_path, timeout=120)
    assert sweeping.files(tmp_path / "sweep") == undisturbed


# ---- the command killed, and stopped ---------------------------------------------------------------------------------


def command(text, folder, recipe):
    return [*COMMAND, "sweep", str(recipe), str(text), "--out", str(folder), "--workers", "2", "--checkpoint-every", "20"]


@pytest.fixture(scope="module")
def recipe(tmp_path_factory):
    path = tmp_path_factory.mktemp("recipe") / "small.toml"
    path.write_text(RECIPE.to_toml(), "utf-8")
    return path


def gone(process):
    """Whether a process ends soon."""
    for _ in range(200):
        try:
            os.kill(process, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.05)
    return False


def test_the_command_killed_and_repeated(text, undisturbed, recipe, tmp_path):
    folder = tmp_path / "sweep"
    with subprocess.Popen(command(text, folder, recipe), env=ENVIRONMENT, stdout=subprocess.DEVNULL) as process:
        after(folder, 4, process.kill).join(60)
        assert process.wait() == -signal.SIGKILL
    before = sweeping.work(folder)
    assert 0 < sum(sweeping.ends(log, 120) for log in before.values()) < len(GRID)
    assert all(gone(line["process"]) for log in before.values() for line in log)  # nothing works on in the background
    said, _ = run(*command(text, folder, recipe)[len(COMMAND) :], cwd=tmp_path)
    assert sweeping.files(folder) == undisturbed
    logs = sweeping.work(folder)
    assert all(sweeping.ends(log, 120) == 1 for log in logs.values())
    done = [name for name, log in before.items() if sweeping.ends(log, 120)]
    assert all(logs[name] == before[name] for name in done)  # nobody has touched them again
    assert f"{len(done)} of {len(GRID)} runs are done already" in said
    again, _ = run(*command(text, folder, recipe)[len(COMMAND) :], cwd=tmp_path)
    assert f"{len(GRID)} of {len(GRID)} runs are done already" in again
    assert sweeping.work(folder) == logs


def test_ctrl_c_stops_it_and_says_how_to_go_on(text, undisturbed, recipe, tmp_path):
    folder = tmp_path / "sweep"
    with subprocess.Popen(
        command(text, folder, recipe), env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        after(folder, 2, lambda: process.send_signal(signal.SIGINT)).join(60)
        said, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert not errors
    found = re.search(rf"stopped: (\d+) of {len(GRID)} runs are done, the others keep their last checkpoints; to continue: (.*)", said)
    assert found
    logs = sweeping.work(folder)
    assert all("to" in log[-1] for log in logs.values())  # every run was left in order
    assert run(*found[2].split()[1:], "--quiet", cwd=tmp_path) == ("", "")
    assert sweeping.files(folder) == undisturbed
    assert all(sweeping.ends(log, 120) == 1 for log in sweeping.work(folder).values())


@pytest.mark.parametrize(("done", "stops"), [(0, True), (119, True), (120, False)])
def test_a_run_that_has_come_to_its_end_is_not_stopped_any_more(tmp_path, done, stops):
    """It would be brought to its end twice."""
    watch = Watch(tmp_path / "run", None)
    (tmp_path / STOP).touch()
    event = Event("progress", done, done, 120, 1, None, None, 0.0)
    assert (watch(event), watch.stopped) == (stops, stops)


@pytest.mark.parametrize("delay", [0, 0.3])
def test_ctrl_c_while_processes_start(text, recipe, tmp_path, delay):
    """A terminal sends it to all of them."""
    words = command(text, tmp_path / "sweep", recipe)
    with subprocess.Popen(
        words, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        while not process.stdout.readline().startswith("writing"):
            assert process.poll() is None
        time.sleep(delay)
        os.killpg(process.pid, signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (130, "")


def test_a_script_that_does_not_ask_for_its_name(text, tmp_path):
    """Spawned processes do not run it again."""
    (tmp_path / "script.py").write_text(
        f"import charrnn\nfrom pathlib import Path\nprint('once')\nrecipe = charrnn.Recipe('two', training={{'updates': 20}}, "
        f"grid=[{{'seed': 0}}, {{'seed': 1}}])\nprint(len(charrnn.sweep(recipe, Path({str(text)!r}), progress=False).runs))\n"
    )
    words = [sys.executable, "script.py"]
    done = subprocess.run(words, cwd=tmp_path, env=ENVIRONMENT, check=True, capture_output=True, text=True)
    assert done.stdout.split() == ["once", "2"]


# ---- the engine alone ------------------------------------------------------------------------------------------------


def leave_at_once(path):
    """Dies the first time."""
    if not os.path.exists(path):
        Path(path).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return "there"


def die():
    os.kill(os.getpid(), signal.SIGKILL)


class Failing(ThreadPoolExecutor):
    """Submits what fails so many times with an error of a library's own."""

    def __init__(self, times, error):
        super().__init__(1)
        self.times, self.error = times, error

    def submit(self, work, *arguments):
        self.times -= 1
        if self.times >= 0:
            future = Future()
            future.set_exception(self.error)
            return future
        return super().submit(work, *arguments)


class KilledWorker(Exception):
    """As Dask's."""


@pytest.mark.parametrize("error", [KilledWorker("tcp://10.0.0.1:2"), Interrupted("told to end")])
def test_lost_work_is_submitted_again(error):
    with Engine(Failing(TRIES, error)) as engine:
        assert dict(engine.results(pow, {"a": (2, 3)})) == {"a": 8}
    with (
        Engine(Failing(TRIES + 1, error)) as engine,
        pytest.raises(WorkersError, match=f"lost {TRIES + 1} times over a: {type(error).__name__}"),
    ):
        list(engine.results(pow, {"a": (2, 3)}))


def test_work_that_nobody_can_do_ends_it_at_once():
    executor, stopped = Failing(1, SettingsError("no such text here")), []
    with Engine(executor) as engine, pytest.raises(SettingsError, match="no such text here"):
        list(engine.results(pow, {"a": (2, 3)}, lambda: stopped.append(True)))
    assert stopped == [True]


def test_broken_pools(tmp_path, monkeypatch):
    """One that this engine made is made anew, so many times; one that was given is not its own to mend."""
    monkeypatch.setattr("charrnn.runs.engine.TRIES", 1)
    with Engine(lambda: Processes(1)) as engine:
        assert dict(engine.results(leave_at_once, {"a": (str(tmp_path / "a"),)})) == {"a": "there"}
        with pytest.raises(WorkersError, match="workers died 2 times before any result came: BrokenProcessPool"):
            list(engine.results(die, {"a": ()}))
    with (
        Processes(1) as pool,
        Engine(pool) as given,
        pytest.raises(WorkersError, match="takes no more work, its workers died or it was shut down: BrokenProcessPool"),
    ):
        list(given.results(die, {"a": ()}))
