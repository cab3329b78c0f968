"""One model that serves many threads at once: every request is answered, as it would be alone."""

import pickle
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from charrnn import CharRNN

TEXT = "the tide comes in, the tide goes out;\nnobody asked the tide.\n" * 5


@pytest.mark.parametrize(("cell", "level"), [("rnn", None), ("lstm", None)])
def test_200_requests_from_16_threads(cell, level, tmp_path):
    m = CharRNN(hidden_size=24, cell=cell, init_std=0.4, seed=3, vocabulary=TEXT, level=level)
    kinds = [
        lambda i: m.generate("the", 120, seed=i, top_p=0.9, min_p=0.02),
        lambda i: m.generate(["a", "the tide " * 9, ""], 40, n=2, seed=i, stop="\n", no_repeat_ngram_size=4),
        lambda i: m.generate(max_new=40, seed=i, pattern=r"[a-z, ]{9,30}[.;]\n"),
        lambda i: "".join(m.stream(150, "no", seed=i, piece=11, dry_multiplier=1.0, dry_allowed_length=3)),
        lambda i: m.session(seed=i, temperature=0.5).feed("the").sample(50),
        lambda i: m.score([TEXT[j : j + i] for j in range(20)]).tolist(),
        lambda i: m.evaluate(TEXT[i:]).loss,
        lambda i: m.evaluate(TEXT[:60], dynamic=True).loss,
        lambda i: m.probabilities(TEXT[:i]),
        lambda i: m.hidden_states(TEXT[:i]).tobytes(),
        lambda i: m.copy().theta.tobytes(),
        lambda i: pickle.loads(pickle.dumps(m)).generate("the", 20, seed=i),
        lambda i: (m.save(tmp_path / f"{i}-{threading.get_ident()}"), CharRNN.load(tmp_path / f"{i}-{threading.get_ident()}"))[
            1
        ].theta.tobytes(),
    ]
    requests = [(kinds[i % len(kinds)], 1 + i % 60) for i in range(200 if level is None else 52)]  # NumPy is slow
    alone = [kind(i) for kind, i in requests]
    start = threading.Barrier(16)

    def serve(number):
        start.wait()
        return [kind(i) for kind, i in requests[number::16]]

    with ThreadPoolExecutor(16) as pool:
        for number, found in enumerate(pool.map(serve, range(16))):
            assert found == alone[number::16]
    before = m.theta.copy()
    m.train(TEXT, updates=2, seq_length=5, progress=False, sample_every=None)  # everybody is out again
    assert not np.array_equal(m.theta, before)
