"""The pictures: what is drawn, that it is labelled, and that its colours can be told apart."""

import re
from xml.etree import ElementTree

import numpy as np
import pytest

from charrnn import CharRNN, TextError
from charrnn.display import plots
from charrnn.errors import one_line

TEXT = "to be or not to be, that is the question\n" * 20


@pytest.fixture(scope="module")
def history():
    return CharRNN(hidden_size=8).train(TEXT, epochs=3, seq_length=10, validation=TEXT, validate_every=50, progress=False)


def drawn(draw, *data):
    figure, axes = plots.new_figure()
    draw(axes, *data)
    figure.draw_without_rendering()
    return axes


def legend(axes):
    return [text.get_text() for text in axes.get_legend().get_texts()]


def test_the_loss_curve_shows_the_history_on_two_axes(history):
    axes = drawn(plots.draw_loss, plots.Curve.of(history))
    line = axes.lines[0]
    assert (line.get_xdata() == history.steps).all()
    assert (line.get_ydata() == history.shown_loss_per_char).all()
    labels = legend(axes)
    assert f"best: {history.best_loss_per_char:.3f} after update {history.best_step:,}" in labels
    assert f"uniform prediction: {np.log(len(set(TEXT))):.2f} per character" in labels
    assert "validation loss" in labels
    assert "a new epoch begins" in labels
    dotted = [line.get_xdata()[0] for line in axes.lines if line.get_linestyle() == ":"]
    assert dotted == [step for step in history.epoch_steps if step > 1]
    assert axes.get_xlabel() == "updates"
    assert axes.get_ylabel() == "loss (nats per character)"
    window = axes.child_axes[0]
    assert window.get_ylabel() == "loss (nats per window of 10 characters)"
    assert window.get_ylim() == pytest.approx(np.multiply(axes.get_ylim(), 10))


def test_a_mean_loss_is_drawn_per_character_too():
    history = CharRNN(hidden_size=4).train(TEXT, updates=30, loss_reduction="mean", progress=False)
    curve = plots.Curve.of(history)
    assert (curve.smooth == history.mean_loss).all()
    assert curve.expected == pytest.approx(np.log(len(set(TEXT))))


def test_long_curves_are_thinned_but_keep_their_ends():
    n = 100_000
    curve = plots.Curve(np.arange(1, n + 1), np.linspace(4, 2, n), [], None, 25, [], None)
    line = drawn(plots.draw_loss, curve).lines[0]
    assert len(line.get_xdata()) == plots.MOST_POINTS
    assert (line.get_xdata()[0], line.get_xdata()[-1]) == (1, n)


def test_a_runs_losses_lie_behind_their_mean(history):
    axes = drawn(plots.draw_run, plots.Curve.of(history), list(history.loss_per_char))
    assert (axes.lines[0].get_ydata() == history.loss_per_char).all()
    assert (axes.lines[1].get_ydata() == history.shown_loss_per_char).all()
    assert axes.lines[1].get_zorder() >= axes.lines[0].get_zorder()


def test_metrics_without_losses_are_refused(tmp_path):
    (tmp_path / "metrics.jsonl").write_text("")
    with pytest.raises(TextError, match="no losses"):
        plots.Curve.of(tmp_path / "metrics.jsonl")


@pytest.mark.parametrize("count", [2, 10, 24, 30])
def test_compared_runs_all_look_different(count):
    curves = {f"seq_length={i % 2} learning_rate={i}": ([0, 1], [4, 2 + i]) for i in range(count)}
    axes = drawn(plots.draw_comparison, curves)
    assert {line.get_label(): list(line.get_ydata()) for line in axes.lines} == {k: v[1] for k, v in curves.items()}
    looks = {(line.get_color(), line.get_linestyle()) for line in axes.lines}
    assert len(looks) == min(count, len(plots.COLOURS) * len(plots.DASHES))
    assert [text.get_text() for text in axes.figure.legends[0].get_texts()] == [line.get_label() for line in axes.lines]
    assert "epochs" in axes.get_xlabel()


def test_runs_that_begin_alike_are_dashed_alike():
    curves = {f"seq_length={t} learning_rate={rate}": ([0, 1], [4, 2]) for t in (25, 20) for rate in (0.1, 0.2)}
    axes = drawn(plots.draw_comparison, curves)
    assert [line.get_linestyle() for line in axes.lines] == ["-", "-", "--", "--"]
    assert axes.lines[0].get_color() == axes.lines[2].get_color() != axes.lines[1].get_color()


@pytest.mark.parametrize("label", [r"$\frac$", r"a $\frac{1}{$ b=1", "_hidden", "a\nb\x1b[2J\ud800", "漢字 😀", "<b>&amp; %s {0} \\"])
def test_labels_of_any_wording_are_drawn_as_they_are(label, tmp_path):
    curves = {label: ([0, 1], [4, 2]), "another": ([0, 1], [3, 2])}
    pictures = [
        plots.as_svg(lambda axes: plots.draw_comparison(axes, curves), (0.5, 0.8), "Losses", "x"),
        plots.as_png(lambda axes: plots.draw_comparison(axes, curves), (0.5, 0.8), "Losses"),
    ]
    assert all(pictures)
    texts = ["".join(element.itertext()) for element in ElementTree.fromstring(pictures[0]).iter() if element.tag.endswith("text")]
    wanted = one_line(label)
    assert not wanted or wanted in [text.strip() for text in texts]
    figure, axes = plots.new_figure()
    plots.draw_comparison(axes, curves)
    plots.save(figure, tmp_path / "curves.png")
    assert [text.get_text().strip() for text in figure.legends[0].get_texts()] == [wanted.strip(), "another"]


def test_known_words_are_shown_in_percent():
    axes = drawn(plots.draw_known_words, [(1, 0.125, (0.0625, 0.25)), (10_000, 0.5, None)])
    assert list(axes.lines[0].get_ydata()) == [12.5, 50]
    assert axes.get_ylim() == (0, 100)
    assert axes.get_ylabel() == "known words (%)"
    [band] = axes.collections
    corners = band.get_paths()[0].vertices
    assert {(1, 6.25), (1, 25), (10_000, 50)} <= set(map(tuple, corners.tolist()))


def seen(colour, kind):
    """sRGB as somebody sees it without red or without green receptors (Machado et al. 2009, severity 1)."""
    matrix = {
        "protan": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
        "deutan": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.01182, 0.04294, 0.968881]],
        "all": np.eye(3),
    }[kind]
    srgb = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    linear = np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
    return np.clip(matrix @ linear, 0, 1)


@pytest.mark.parametrize("kind", ["all", "protan", "deutan"])
def test_colours_can_be_told_apart(kind):
    colours = [seen(colour, kind) for colour in plots.COLOURS]
    for i, one in enumerate(colours):
        for other in colours[:i]:
            assert np.abs(one - other).max() > 0.08


def test_pictures_in_a_page_have_its_colours_and_no_identifier_twice(history):
    curve = plots.Curve.of(history)
    pictures = [
        plots.as_svg(lambda axes: plots.draw_loss(axes, curve), (0.5, 0.8), "A loss", name, narrow)
        for name, narrow in (("one", False), ("two", True))
    ]
    ids = []
    for picture in pictures:
        tree = ElementTree.fromstring(picture)  # well-formed
        assert tree.get("aria-label") == "A loss"
        assert tree.get("width") is None
        own = [element.get("id") for element in tree.iter() if element.get("id")]
        assert set(re.findall(r'(?:url\(#|href="#)([^)"]*)', picture)) <= set(own)
        ids += own
        assert "var(--blue)" in picture
        assert "currentColor" in picture
        assert not set(re.findall("#[0-9a-f]{6}", picture)) & {colour.lower() for colour in plots.VARIABLES}
        assert "loss (nats per character)" in picture  # letters, not outlines: they can be searched and read aloud
        assert "DOCTYPE" not in picture
        assert "metadata" not in picture
        assert "<style" not in picture  # which would be the whole page's
    assert len(ids) == len(set(ids))


def test_a_picture_is_the_same_every_time(history):
    curve = plots.Curve.of(history)
    draw = (lambda axes: plots.draw_loss(axes, curve)), (0.5, 0.8), "A loss"
    assert plots.as_svg(*draw, "x") == plots.as_svg(*draw, "x")
    assert plots.as_png(*draw) == plots.as_png(*draw)
