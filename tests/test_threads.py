"""Threads: any number of them for one model gives the same bits, and several models do not notice each other."""

import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from charrnn import BusyError, CharRNN, Corpus, read_corpus, threads
from charrnn.threads import Team

TEXT = "the tide comes in, the tide goes out; nobody asked the tide. " * 12


def trained(seed=1, hidden_size=11, text=TEXT, **settings):
    model = CharRNN(hidden_size=hidden_size, seed=seed)
    plan = {"updates": 30, "seq_length": 7, "sample_every": 10, "sample_length": 40, "progress": False}
    history = model.train(text, **(plan | settings))
    samples = [sample.text for sample in history.samples]
    return model.theta.tobytes(), history.best.theta.tobytes(), history.loss.tobytes(), samples, model.synthesize(50)


SETTINGS = [
    {"batch_size": 1},
    {"batch_size": 2, "optimizer": "adam", "learning_rate": 0.01},
    {"batch_size": 5, "optimizer": "rmsprop", "learning_rate": 0.01, "clip_norm": 0.5},
    {"batch_size": 3, "optimizer": "sgd", "learning_rate": 0.01, "seq_length": 1},
    {"batch_size": 7, "hidden_size": 70},
]


@pytest.mark.parametrize("settings", SETTINGS, ids=lambda s: f"B={s['batch_size']}")
def test_any_number_of_threads_gives_the_same_bits(settings, monkeypatch):
    monkeypatch.setattr(threads, "usable_cores", lambda: 8)
    alone = trained(threads=1, **settings)
    for number in (2, 3, 8):  # also more than there are lanes, and than there are processors
        assert trained(threads=number, **settings) == alone


def test_models_trained_side_by_side_are_as_if_alone():
    runs = [{"seed": i, "hidden_size": 5 + 3 * i, "batch_size": 1 + i % 3, "threads": 1 + i % 2} for i in range(6)]
    alone = [trained(**run) for run in runs]
    with ThreadPoolExecutor(6) as pool:
        together = list(pool.map(lambda run: trained(**run), runs * 2))
    assert together == alone * 2


def test_models_may_share_a_corpus(tmp_path):
    (tmp_path / "text").write_text(TEXT)
    expected = trained()
    for corpus in (Corpus.from_text(TEXT), read_corpus(tmp_path / "text", in_memory=10)):
        with ThreadPoolExecutor(4) as pool:
            assert list(pool.map(lambda _: trained(text=corpus), range(4))) == [expected] * 4  # noqa: B023


def test_training_outside_the_main_thread_leaves_signals_alone():
    before = signal.getsignal(signal.SIGINT)
    seen = []
    thread = threading.Thread(target=lambda: trained(callbacks=[lambda event: seen.append(signal.getsignal(signal.SIGINT))]))
    thread.start()
    thread.join()
    assert set(seen) == {before}


def test_one_model_from_many_threads_is_never_corrupted():
    """Whoever comes while it is busy is refused; what the others did is as if they had come one after the other."""
    model = CharRNN(hidden_size=11, seed=1)
    done, refused, start = [], [], threading.Barrier(4)

    def use():
        start.wait()
        for _ in range(20):
            try:
                model.train(TEXT, updates=10, progress=False, sample_every=None)
                done.append(1)
            except BusyError:
                refused.append(1)

    workers = [threading.Thread(target=use) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert len(done) + len(refused) == 80
    assert done
    alone = CharRNN(hidden_size=11, seed=1)
    alone.train(TEXT, updates=10 * len(done), progress=False, sample_every=None)
    assert model.run.step == 10 * len(done)
    assert model.theta.tobytes() == alone.theta.tobytes()


# ---- the team -------------------------------------------------------------------------------------------------------


def living():
    return [thread for thread in threading.enumerate() if thread.name.startswith("charrnn-")]


def test_a_team_does_each_job_on_every_thread_and_then_goes_home():
    shares = []
    with Team(3) as team:
        for job in range(5):
            team(lambda thread, of, job=job: shares.append((job, thread, of)))
            assert sorted(shares[-3:]) == [(job, thread, 3) for thread in range(3)]
    for thread in living():
        thread.join(5)
    assert not living()


def test_a_job_that_fails_says_so_and_the_next_one_works():
    def fail(thread, of):
        if thread == 1:
            raise ValueError("no")

    with Team(2) as team:
        with pytest.raises(ValueError, match="no"):
            team(fail)
        team(lambda thread, of: None)


@pytest.mark.parametrize("fails", [0, 1, 2])
def test_a_thread_that_cannot_take_part_leaves_nobody_waiting(fails, monkeypatch):
    monkeypatch.setattr(threads, "usable_cores", lambda: 3)
    model = CharRNN(hidden_size=9, seed=1)
    real, calls = model.kernels.train, []

    def train(*arguments):
        thread, of = arguments[-2:]
        calls.append(thread)
        if thread == fails and len(calls) > of:  # in the second chunk
            raise MemoryError("injected")
        real(*arguments)

    monkeypatch.setattr(model.kernels, "train", train)
    caught = []

    def run():
        try:
            model.train(TEXT, updates=40, threads=3, batch_size=3, sample_every=20, progress=False)
        except BaseException as error:
            caught.append(error)

    runner = threading.Thread(target=run, daemon=True)
    runner.start()
    runner.join(30)
    assert not runner.is_alive(), "the other threads wait for ever"
    assert [str(error) for error in caught] == ["there is not enough memory (injected): take smaller sizes, or close other programs"]
    for thread in living():
        thread.join(5)
    assert not living()
    monkeypatch.undo()
    alone = CharRNN(hidden_size=9, seed=1)
    alone.train(TEXT, updates=model.run.step, threads=1, batch_size=3, sample_every=None, progress=False)
    assert 0 < model.run.step < 40
    assert model.theta.tobytes() == alone.theta.tobytes()


def test_an_interrupted_caller_leaves_nobody_waiting():
    def work(thread, of):
        if thread == 0:
            threading.Timer(0.1, signal.raise_signal, [signal.SIGINT]).start()
        time.sleep(0.5)

    with pytest.raises(KeyboardInterrupt), Team(2) as team:
        team(work)
    for thread in living():
        thread.join(5)
    assert not living()


def test_threads_that_cannot_be_started_leave_nobody_waiting(monkeypatch):
    monkeypatch.setattr(threads, "usable_cores", lambda: 4)
    real, started = threading.Thread.start, []

    def start(self):
        if len(started) == 2:
            raise RuntimeError("can't start new thread")
        started.append(self)
        real(self)

    monkeypatch.setattr(threading.Thread, "start", start)
    model = CharRNN(hidden_size=5)
    with pytest.raises(RuntimeError, match="starts no more threads"):
        model.train(TEXT, updates=10, threads=4, progress=False)
    for thread in started:
        thread.join(5)
    assert not living()
    monkeypatch.undo()
    model.train(TEXT, updates=10, threads=4, progress=False)


@pytest.mark.parametrize("ignored", [False, True])
def test_a_signal_that_is_ignored_stays_ignored(ignored):
    """A script's shell asks for that in what it starts with `&`."""
    caught, before = [], signal.getsignal(signal.SIGINT)
    signal.signal(signal.SIGINT, signal.SIG_IGN if ignored else before)
    try:
        with threads.answered_by(lambda number, frame: caught.append(number)):
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGTERM)
    finally:
        signal.signal(signal.SIGINT, before)
    assert caught == ([signal.SIGTERM] if ignored else [signal.SIGINT, signal.SIGTERM])


def test_small_networks_get_one_thread():
    assert threads.default_threads(100, 1) == 1
    assert 1 <= threads.default_threads(256, 64) <= 64
    assert threads.default_threads(10**6, 10**6) == threads.usable_cores()
