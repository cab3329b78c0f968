"""What notebooks show."""

import builtins
import re
import sys
import types

import pytest

from charrnn import CharRNN, SettingsError

TEXT = "<b>to & fro</b>\x07 \"be\" or not 'to' be\n" * 20


@pytest.fixture(scope="module")
def trained():
    model = CharRNN(hidden_size=8, seed=1)
    return model, model.train(TEXT, updates=60, sample_every=20, validation=TEXT, progress=False)


def test_tables_show_the_numbers_and_escape_the_text(trained):
    model, history = trained
    page = history._repr_html_()
    assert f"{history.best_loss_per_char:.4f} per character, after update {history.best_step}" in page
    assert f"{history.validation[-1].loss:.4f} nats per character after update 60" in page
    assert "<b>" not in page
    assert "\x07" not in page
    described = model._repr_html_()
    assert "&lt;&gt;" in described
    assert "\x07" not in described
    assert "60" in described
    evaluation = model.evaluate(TEXT)
    assert f"{evaluation.bits_per_char:.4f}" in evaluation._repr_html_()


def test_nothing_learnt_is_shown_as_such():
    model = CharRNN(hidden_size=4)
    assert "none yet" in model._repr_html_()
    history = model.train(TEXT, updates=1, progress=False)
    history.loss = history.smooth_loss = history.loss[:0]
    assert "no updates" in history._repr_html_()


def test_plot_draws_into_new_axes_or_those_given(trained):
    from matplotlib import pyplot
    from matplotlib.figure import Figure

    history = trained[1]
    axes = history.plot()
    assert (axes.get_xlabel(), "nats" in axes.get_ylabel()) == ("updates", True)
    assert axes.lines[0].get_ydata()[-1] == history.shown_loss_per_char[-1]
    pyplot.close(axes.figure)
    mine = Figure().subplots()
    assert history.plot(mine) is mine
    assert mine.lines


def fake_ipython(monkeypatch):
    """An IPython that keeps what it is to show."""
    shown = []

    class Handle:
        def update(self, what):
            shown.append(what)

    module = types.ModuleType("IPython.display")
    module.HTML = str
    module.display = lambda what, display_id: shown.append(what) or Handle()
    monkeypatch.setitem(sys.modules, "IPython", types.ModuleType("IPython"))
    monkeypatch.setitem(sys.modules, "IPython.display", module)
    return shown


def test_the_live_curve_ends_with_the_whole_run(monkeypatch):
    shown = fake_ipython(monkeypatch)
    model = CharRNN(hidden_size=8, seed=1)
    history = model.train(TEXT, updates=300, progress="notebook")
    assert "training" in shown[0]
    assert "300 of 300 updates" in shown[-1]
    assert f"{history.per_char(history.shown_now):.3f} nats per character" in shown[-1]
    assert re.search(r"src='data:image/png;base64,iVBOR", shown[-1])
    alone = CharRNN(hidden_size=8, seed=1)
    alone.train(TEXT, updates=300, progress=False)
    assert (model.theta == alone.theta).all()


def test_drawing_takes_a_small_share_of_the_time(monkeypatch, trained):
    from charrnn.display import notebook
    from charrnn.training.events import Event

    shown = fake_ipython(monkeypatch)
    clock = 0.0
    monkeypatch.setattr(notebook.time, "monotonic", lambda: clock)
    model, history = trained
    drawn_at = []

    def slow(*_):
        nonlocal clock
        drawn_at.append(clock)
        clock += 5.0
        return b"a picture"

    monkeypatch.setattr("charrnn.display.plots.as_png", slow)
    show = notebook.live_curve()
    for kind in ("start", *["progress"] * 1000, "end"):
        show(Event(kind, 60, 60, 60, 1, history, model, history.seconds))
        clock += 0.1
    assert len(drawn_at) == len(shown) - 1 > 2
    assert len(drawn_at) * 5.0 <= 0.1 * clock + 2 * 5.0  # the first and the last come in any case
    assert drawn_at[-1] > clock - 6


def test_without_ipython_the_error_says_what_to_do(monkeypatch):
    real = builtins.__import__

    def without(name, *rest, **more):
        if name.startswith("IPython"):
            raise ImportError(name)
        return real(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(SettingsError, match="needs IPython"):
        CharRNN(hidden_size=4).train(TEXT, updates=2, progress="notebook")


def test_an_unknown_progress_is_refused():
    with pytest.raises(SettingsError, match="did you mean 'notebook'"):
        CharRNN(hidden_size=4).train(TEXT, updates=2, progress="notebok")
