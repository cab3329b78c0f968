"""Two models live through the same life, one of them stopped, resumed, saved and loaded all the time: they stay the same."""

import shutil
import tempfile
from pathlib import Path

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from charrnn import CharRNN
from charrnn.training.checkpoint import checkpoints_in

TEXTS = ["the tide comes in, the tide goes out; nobody asked. " * 6, "nobody comes; the tide has gone, out and in " * 4]
SETTINGS = [
    {"seq_length": 5},
    {"seq_length": 5, "optimizer": "adam", "learning_rate": 0.01},
    {"seq_length": 5, "dropout": 0.3},
    {"seq_length": 8, "batch_size": 3, "loss_reduction": "mean", "optimizer": "rmsprop", "learning_rate": 0.01},
]
USUAL = {"optimizer": "adagrad", "learning_rate": 0.1, "clip": 5.0, "rescue": False}  # else those of the lesson before go on
WILD = {"seq_length": 4, "clip": None, "rescue": True}  # with the largest learning rate that there is


def lessons():
    return st.tuples(st.sampled_from(TEXTS), st.sampled_from(SETTINGS), st.integers(1, 60), st.sampled_from([None, 7, 20]))


class Life(RuleBasedStateMachine):
    """`plain` is trained as its user asked; `tried` goes through every interruption that there is."""

    def __init__(self):
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())

    def teardown(self):
        shutil.rmtree(self.folder)

    @initialize(
        size=st.integers(1, 9),
        kind=st.sampled_from([("rnn", 1), ("rnn", 1), ("gru", 2), ("lstm", 1)]),
        dtype=st.sampled_from(["float32", "float64"]),
        seed=st.integers(0, 3),
    )
    def born(self, size, kind, dtype, seed):
        network = {"cell": kind[0], "layers": kind[1], "dtype": dtype, "seed": seed, "init_std": 0.2, "vocabulary": "".join(TEXTS)}
        self.plain, self.tried = (CharRNN(size, **network) for _ in range(2))

    @rule(lesson=lessons())
    def learn(self, lesson):
        text, chosen, updates, every = lesson
        plan = USUAL | chosen | {"updates": updates, "sample_every": every, "sample_length": 9, "progress": False}
        histories = [model.train(text, **plan) for model in (self.plain, self.tried)]
        assert histories[0].loss.tobytes() == histories[1].loss.tobytes()

    @rule(lesson=lessons(), stops=st.lists(st.integers(0, 60), min_size=1, max_size=3), every=st.integers(1, 30), damage=st.booleans())
    def learn_with_interruptions(self, lesson, stops, every, damage):
        text, chosen, updates, sample_every = lesson
        plan = USUAL | chosen | {"updates": updates, "sample_every": sample_every, "sample_length": 9, "progress": False}
        expected = self.plain.train(text, **plan)
        shutil.rmtree(self.folder)

        def stop(at):
            return [lambda event: event.done >= at]

        self.tried.train(text, checkpoint=self.folder, checkpoint_every=every, keep=3, callbacks=stop(stops[0]), **plan)
        for at in [*stops[1:], updates]:
            there = checkpoints_in(self.folder)
            if damage and len(there) > 1:
                there[-1][1].write_bytes(there[-1][1].read_bytes()[:-100])
                damage = False  # once: of three that are kept, not all
            self.tried, history = CharRNN.resume(self.folder, text, progress=False, callbacks=stop(at))
        if len(history) < updates:
            self.tried, history = CharRNN.resume(self.folder, text, progress=False)
        assert history.loss.tobytes() == expected.loss.tobytes()
        assert [sample.text for sample in history.samples] == [sample.text for sample in expected.samples]
        assert history.best.theta.tobytes() == expected.best.theta.tobytes()
        assert [note for note in history.notes if not note.startswith("passed over")] == expected.notes

    @rule(text=st.sampled_from(TEXTS), updates=st.integers(5, 40), stop=st.integers(0, 40), every=st.integers(1, 10))
    def lose_and_be_rescued(self, text, updates, stop, every):
        """Weights of 1e37 are finite but nothing can be learned from them: then both are given others."""
        rate = float(np.finfo(self.plain.dtype).max)
        self.learn_with_interruptions((text, WILD | {"learning_rate": rate}, updates, None), [stop], every, False)
        assert self.plain.run.rescues
        for model in (self.plain, self.tried):
            for array in model.parameters.values():
                array[:] = np.random.default_rng(1).normal(0, 0.1, array.shape)

    @rule(
        length=st.integers(0, 30),
        temperature=st.sampled_from([0, 0.5, 1]),
        seed=st.sampled_from([None, 1]),
        n=st.sampled_from([None, 1, 3]),
    )
    def write(self, length, temperature, seed, n):
        passages = [model.synthesize(length, "the", temperature, seed, n=n) for model in (self.plain, self.tried)]
        assert passages[0] == passages[1]

    @rule()
    def save_and_load(self):
        path = self.folder.with_suffix(".safetensors")
        self.tried.save(path)
        loaded = CharRNN.load(path)
        path.unlink()
        assert loaded.theta.tobytes() == self.plain.theta.tobytes()
        assert loaded.evaluate("the tide").loss == self.plain.evaluate("the tide").loss

    @rule()
    def look_at_a_copy(self):
        copy = self.tried.copy()
        copy.synthesize(5)
        copy.train(TEXTS[0], updates=3, progress=False)

    @precondition(lambda self: self.plain.run)
    @invariant()
    def in_the_same_place(self):
        assert self.plain.run.plain() == self.tried.run.plain()

    @invariant()
    def the_same(self):
        assert self.plain.theta.tobytes() == self.tried.theta.tobytes()
        assert self.plain.best().theta.tobytes() == self.tried.best().theta.tobytes()
        assert self.plain.rng.bit_generator.state == self.tried.rng.bit_generator.state


TestLife = Life.TestCase
TestLife.settings = settings(max_examples=15, stateful_step_count=8, deadline=None)
