"""What a text, a model's arguments and names may be: a Path is read, a file's name in place of a text and unknown arguments are refused."""

import contextlib
import threading

import numpy as np
import pytest

from charrnn import CharRNN, Corpus, OutOfMemoryError, SettingsError, TextError, ThreadsError, read_corpus

TEXT = "the tide comes in, the tide goes out. " * 6
PLAN = {"updates": 3, "seq_length": 5, "sample_every": None, "progress": False}


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "text.txt"
    path.write_text(TEXT)
    return path


def test_a_path_is_read_wherever_a_text_is(file):
    model, same = CharRNN(3), CharRNN(3)
    history = model.train(file, **PLAN, validation=file)
    assert history.loss.tobytes() == same.train(TEXT, **PLAN, validation=TEXT).loss.tobytes()
    assert history.validation[-1].loss == model.evaluate(file).loss
    assert model.evaluate(file).loss == model.evaluate(TEXT).loss
    assert model.losses(file).tobytes() == model.losses(TEXT).tobytes()
    assert model.gradcheck(file, 4, points=2).seq_length == 4
    (file.parent / "more").write_text("xyz")
    assert model.extend_vocabulary(file.parent / "more") == "xyz"


USES = {
    "train": lambda m, text: m.train(text, **PLAN),
    "validation": lambda m, text: m.train(TEXT, **PLAN, validation=text),
    "evaluate": lambda m, text: m.evaluate(text),
    "losses": lambda m, text: m.losses(text),
    "gradcheck": lambda m, text: m.gradcheck(text),
    "extend_vocabulary": lambda m, text: m.extend_vocabulary(text),
    "vocabulary": lambda m, text: CharRNN(vocabulary=text),
}


@pytest.mark.parametrize("use", USES)
def test_a_name_of_a_file_is_no_text(use, file, monkeypatch):
    monkeypatch.chdir(file.parent)
    for name in ("text.txt", str(file), "gone.txt", "gone.txt.gz"):
        with pytest.raises(TextError, match=r"the name of a file, not a text: charrnn\.read_corpus\(.* reads it"):
            USES[use](CharRNN(3, vocabulary="".join(sorted(set(TEXT + name)))), name)


@pytest.mark.parametrize("use", USES)
def test_what_is_no_text_is_refused(use, file):
    with open(file) as opened:
        for odd in (opened, 5, np.array([1, 2]), ["a", "b"]):
            with pytest.raises((TextError, SettingsError)):
                USES[use](CharRNN(3, vocabulary=TEXT), odd)


def test_a_corpus_of_other_characters_is_numbered_anew():
    model = CharRNN(3, vocabulary=TEXT + "Z")
    assert model.train(TEXT, **PLAN, validation=Corpus.from_text("the tide ")).validation[-1].loss == model.evaluate("the tide ").loss


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: CharRNN(hidden_units=3), "CharRNN has no argument 'hidden_units'; did you mean 'hidden_size'?"),
        (lambda: CharRNN(num_layers=2), "CharRNN has no argument 'num_layers'; did you mean 'layers'?"),
        (lambda: CharRNN.from_recipe("dd2424-2017", rnn_size=2), "CharRNN has no argument 'rnn_size'; did you mean 'hidden_size'?"),
        (lambda: CharRNN(3).train(TEXT, lr=1), "train has no argument 'lr'; did you mean 'learning_rate'?"),
        (lambda: CharRNN(3).train(TEXT, num_epochs=1), "train has no argument 'num_epochs'; did you mean 'epochs'?"),
        (lambda: CharRNN(3).gradcheck(TEXT, epsilon=1), "gradcheck has no argument 'epsilon'; did you mean 'eps'?"),
    ],
)
def test_unknown_arguments_name_ours(call, message):
    with pytest.raises(SettingsError) as caught:
        call()
    assert str(caught.value) == message


# ---- memory and threads that are not given -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "ours"), [(MemoryError("no room"), OutOfMemoryError), (RuntimeError("can't start new thread"), ThreadsError)]
)
def test_a_system_that_gives_no_more_is_an_error_of_ours(error, ours, monkeypatch, file):
    model = CharRNN(3, vocabulary=TEXT)

    def fails(*_, **__):
        raise error

    monkeypatch.setattr("charrnn.network.network.Network.workspace", fails)
    for use in (lambda: model.train(TEXT, **PLAN), lambda: model.evaluate(TEXT), lambda: model.synthesize(5), lambda: model.losses(TEXT)):
        with pytest.raises(ours):
            use()
    monkeypatch.undo()
    model.train(TEXT, **PLAN)  # and the model is free
    monkeypatch.setattr("charrnn.text.vocabulary.Encoder.encode", fails)
    with pytest.raises(ours):
        read_corpus(file)
    monkeypatch.undo()
    monkeypatch.setattr("charrnn.network.network.Network.new", fails)
    with pytest.raises(ours):
        CharRNN(3, vocabulary="ab")


def test_ids_that_another_thread_changes_are_those_that_were_checked():
    """A copy is made before the check: nothing outside of 0..K-1 is ever looked up."""
    model, x, stop = CharRNN(8, vocabulary="ab"), np.zeros((60, 4), np.intc), threading.Event()

    def change():
        while not stop.is_set():
            x[:] = 10**9
            x[:] = 0

    thread = threading.Thread(target=change)
    thread.start()
    try:
        for _ in range(60):
            with contextlib.suppress(SettingsError):
                model.loss_and_gradients(x, x)
    finally:
        stop.set()
        thread.join()
    assert np.isfinite(model.loss_and_gradients(x * 0, x * 0)[0])
