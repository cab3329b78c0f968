"""Who may use a model at once: any number of threads that read it, or one that trains it; everybody else gets a BusyError."""

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from charrnn import BusyError, CharRNN
from charrnn.network import kernels

TEXT = "the tide comes in, the tide goes out; nobody asked the tide. " * 5


def model(**options):
    return CharRNN(**({"hidden_size": 7, "init_std": 0.5, "seed": 3, "vocabulary": TEXT} | options))


# ---- readers --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("level", "cell", "layers"), [(level, *kind) for level in kernels.available() for kind in (("rnn", 1), ("lstm", 2))][:-1]
)
def test_sixteen_readers_find_what_one_finds(cell, layers, level, tmp_path):
    m = model(cell=cell, layers=layers, level=level)
    m.train(TEXT, updates=3, seq_length=5, progress=False, sample_every=None)
    uses = [
        lambda: m.synthesize(30, "the", seed=3),
        lambda: m.synthesize(20, seed=4, n=3),
        lambda: "".join(m.stream(30, "the", seed=3, piece=7)),
        lambda: m.evaluate(TEXT[:90], batch_size=2).loss,
        lambda: m.losses(TEXT[:50]).tobytes(),
        lambda: m.loss_and_gradients([0, 1, 2], [1, 2, 3])[0],
        lambda: m.copy().theta.tobytes(),
        lambda: m.best().synthesize(10, seed=5),
    ]
    alone, start = [use() for use in uses], threading.Barrier(16)
    m.save(tmp_path / "alone")

    def read(number):
        start.wait()
        found = []
        for turn in range(len(uses)):
            found.append(uses[(number + turn) % len(uses)]())
        m.save(tmp_path / str(number))
        return found

    with ThreadPoolExecutor(16) as pool:
        for number, found in enumerate(pool.map(read, range(16))):
            assert found == [alone[(number + turn) % len(uses)] for turn in range(len(uses))]
            assert (tmp_path / str(number)).read_bytes() == (tmp_path / "alone").read_bytes()
    m.train(TEXT, updates=3, seq_length=5, progress=False, sample_every=None)  # everybody is out again


def test_passages_without_a_seed_are_each_another(level):
    """16 threads draw from one model's generator: what they get is what one thread gets, in some order."""
    m, other = model(level=level), model(level=level)
    expected = sorted(m.synthesize(20) for _ in range(32))
    with ThreadPoolExecutor(16) as pool:
        assert sorted(pool.map(lambda _: other.synthesize(20), range(32))) == expected
    assert len(set(expected)) == 32


def test_training_waits_for_no_reader_but_says_so(monkeypatch):
    """While one thread reads, another cannot train, and a third may read."""
    from charrnn.evaluation import evaluate as evaluation

    m, inside, leave, real = model(), threading.Event(), threading.Event(), evaluation.windows_of

    def slow(*arguments):
        for window in real(*arguments):
            inside.set()
            assert leave.wait(30)
            yield window

    monkeypatch.setattr(evaluation, "windows_of", slow)
    before = m.theta.copy()
    with ThreadPoolExecutor(1) as pool:
        reader = pool.submit(m.evaluate, TEXT)
        assert inside.wait(30)
        with pytest.raises(BusyError, match=r"being used by another thread: train a copy \(model.copy\(\)\)"):
            m.train(TEXT, updates=1, progress=False)
        assert (m.theta == before).all()
        assert m.run is None
        assert m.synthesize(5, seed=1) == model().synthesize(5, seed=1)
        m.copy().train(TEXT, updates=1, progress=False)
        leave.set()
        assert np.isfinite(reader.result().loss)
    m.train(TEXT, updates=1, progress=False)


# ---- one that trains ------------------------------------------------------------------------------------------------


def test_a_model_in_use_is_not_touched_by_another_thread(tmp_path):
    m = model()
    m.train(TEXT, updates=1, progress=False)
    uses = {
        "train": lambda: m.train(TEXT, updates=1, progress=False),
        "synthesize": lambda: m.synthesize(5),
        "several": lambda: m.synthesize(5, n=2),
        "stream": lambda: m.stream(5),
        "evaluate": lambda: m.evaluate("the tide"),
        "losses": lambda: m.losses("the tide"),
        "gradients": lambda: m.loss_and_gradients([0], [1]),
        "gradcheck": lambda: m.gradcheck(TEXT, 3),
        "save": lambda: m.save(tmp_path / "m"),
        "copy": lambda: m.copy(),
        "best": lambda: m.best(),
        "astype": lambda: m.astype("float64"),
    }
    refused, inside, leave = set(), threading.Event(), threading.Event()

    def hold(event):
        inside.set()
        leave.wait(30)

    holder = threading.Thread(target=lambda: m.train(TEXT, updates=50, progress=False, callbacks=[hold]))
    holder.start()
    try:
        assert inside.wait(30)
        for name, use in uses.items():
            with pytest.raises(BusyError, match=r"by another thread: .* copy.* \(model.copy\(\)\)"):
                use()
            refused.add(name)
    finally:
        leave.set()
        holder.join()
    assert refused == set(uses)
    assert not (tmp_path / "m").exists()
    for use in uses.values():
        use()


def test_a_callback_cannot_train_the_model_that_is_being_trained():
    with pytest.raises(BusyError, match="being trained"):
        model().train(TEXT, updates=5, progress=False, callbacks=[lambda e: e.model.train(TEXT, updates=1, progress=False)])


def test_a_reader_that_fails_is_out_again():
    m = model()
    for _ in range(3):
        with pytest.raises(ValueError, match="'Q'"):
            m.evaluate("QQ")
        with pytest.raises(ValueError, match="temperature"):
            m.synthesize(5, temperature=-1)
    with ThreadPoolExecutor(1) as pool:
        pool.submit(m.train, TEXT, updates=1, progress=False).result()
