"""charrnn compare: what a run's folder tells, and runs side by side whatever their units."""

import html
import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from commands import run as command

from charrnn import CharRNN, SettingsError
from charrnn.cli.main import main
from charrnn.display import curves, plots
from charrnn.report import compare
from charrnn.runs.record import Record, load_all

TEXT = "The quick brown fox jumps over the lazy dog, and ran away.\n" * 40
TINY = ["--hidden-size", "6", "--seq-length", "8", "--sample-every", "50", "--sample-length", "40", "--quiet"]


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Two runs that say their losses in different units: one of summed losses, one of mean losses over longer windows."""
    folder = tmp_path_factory.mktemp("compare")
    (folder / "text.txt").write_text(TEXT, "utf-8")
    words = ["train", str(folder / "text.txt"), *TINY]
    assert main([*words, "--out", str(folder / "sum"), "--updates", "200", "--validation", "0.2"]) == 0
    mean = ["--loss-reduction", "mean", "--seq-length", "20", "--batch-size", "2", "--cell", "gru", "--learning-rate", "0.05"]
    assert main([*words, *mean, "--out", str(folder / "mean"), "--updates", "120"]) == 0
    return folder


def records(runs):
    return load_all([runs / "sum", runs / "mean"])


def test_a_record_is_the_run_that_the_library_makes(runs):
    record = Record.load(runs / "mean")
    how = {"seq_length": 20, "batch_size": 2, "loss_reduction": "mean", "learning_rate": 0.05, "sample_every": 50, "sample_length": 40}
    history = CharRNN(hidden_size=6, cell="gru").train(TEXT, 120, progress=False, **how)
    assert record.steps.tolist() == history.steps.tolist()
    np.testing.assert_allclose(record.losses, history.loss_per_char)
    np.testing.assert_allclose(record.mean_losses, history.mean_loss)
    assert [(s.step, s.text) for s in record.samples] == [(s.step, s.text) for s in history.samples]
    assert record.window == 40
    assert record.state == "finished"
    assert record.settings["learning_rate"] == 0.05


def test_curves_are_per_character_over_three_units(runs):
    found = compare.by_unit(records(runs))
    summed, mean = records(runs)
    assert list(found) == ["updates", "characters", "seconds"]
    assert found["characters"]["mean"].at[-1] == 120 * 20 * 2
    assert found["characters"]["sum"].at[-1] == 200 * 8
    for name in ("sum", "mean"):
        assert np.log(40) > found["updates"][name].losses[-1] > 0.3
    lines = [json.loads(line) for line in (runs / "sum" / "metrics.jsonl").read_text().splitlines()]
    validation = [(line["step"], line["val/loss"]) for line in lines if "val/loss" in line]
    assert found["updates"]["sum"].validation == validation
    assert found["characters"]["sum"].validation == [(8 * step, loss) for step, loss in validation]
    assert not found["updates"]["mean"].validation
    assert (np.diff(found["seconds"]["sum"].at) > 0).all()
    assert (found["seconds"]["sum"].at[-1], found["seconds"]["sum"].losses[-1]) == (summed.seconds[-1], summed.mean_losses[-1])
    assert compare.ranked([summed, mean]) == sorted([summed, mean], key=lambda run: run.mean_losses[-1])


def test_settings_that_differ(runs):
    found = compare.differing(records(runs))
    assert found["cell"] == ["rnn", "gru"]
    assert found["loss_reduction"] == ["sum", "mean"]
    assert found["validation"] == ["0.2", "none"]
    assert "hidden_size" not in found
    assert "text" not in found


def test_an_unfinished_run_is_read_as_it_is(runs, tmp_path, monkeypatch):
    monkeypatch.setattr(plots, "as_svg", lambda *_: "<svg></svg>")
    shutil.copytree(runs / "sum", tmp_path / "cut")
    whole = (tmp_path / "cut" / "metrics.jsonl").read_text().splitlines(keepends=True)
    (tmp_path / "cut" / "metrics.jsonl").write_text("".join(whole[:60]) + whole[60][:30])  # as a running run leaves it
    (tmp_path / "cut" / "model.safetensors").unlink()
    record = Record.load(tmp_path / "cut")
    assert 40 < record.done < 60
    assert record.state == f"running or interrupted, {record.done} of 200 updates"
    out, _ = command("compare", "cut", runs / "sum", "--out", "page.html", cwd=tmp_path)
    assert "running or interrupted" in out
    assert "running or interrupted, " in (tmp_path / "page.html").read_text("utf-8")


class Text(HTMLParser):
    """What a page shows."""

    def __init__(self, page):
        super().__init__()
        self.found = ""
        self.feed(page)

    def handle_data(self, data):
        self.found += data


def test_page_and_picture(runs, tmp_path):
    out, _ = command("compare", runs / "sum", runs / "mean", "--png", "c.png", cwd=tmp_path)
    assert "wrote compare.html\nwrote c.png" in out
    assert (tmp_path / "c.png").read_bytes().startswith(b"\x89PNG")
    page = (tmp_path / "compare.html").read_text("utf-8")
    assert "<script" not in page
    assert not re.search(r'(?:src|href)="(?!#)', page)
    assert page.count('type="radio"') == 3
    for unit in compare.UNITS:
        assert page.count(f'aria-label="Loss of every run over the {unit}"') == 2
    shown = Text(page).found
    assert "loss_reduction" in shown
    assert f"{records(runs)[0].best_validation.loss:.3f}" in shown
    assert f"charrnn compare {runs / 'sum'} {runs / 'mean'} --out compare.html" in html.unescape(page)
    alone, _ = command("compare", runs / "mean", "--out", "-", cwd=tmp_path)
    assert "Settings that differ" not in alone
    assert "finished" in alone


def test_a_picture_of_no_known_format_is_refused_before_anything_is_written(runs, tmp_path):
    for name in ("c.gif", "c", "c.png.txt"):
        _, errors = command("compare", runs / "sum", "--png", name, cwd=tmp_path, code=2)
        assert errors == f"charrnn compare: error: a picture must be named .png, .pdf or .svg, got {name}\n"
    assert not list(tmp_path.iterdir())
    command("compare", runs / "sum", "--png", "c.SVG", cwd=tmp_path)
    assert "<svg" in (tmp_path / "c.SVG").read_text("utf-8")


def test_folders_of_one_name_are_told_apart(runs, tmp_path):
    for name in "ab":
        shutil.copytree(runs / "sum", tmp_path / name / "run")
    assert [run.name for run in load_all([tmp_path / "a" / "run", tmp_path / "b" / "run"])] == [
        str(tmp_path / name / "run") for name in "ab"
    ]
    with pytest.raises(SettingsError, match="twice"):
        load_all([tmp_path / "a" / "run", tmp_path / "a" / "." / "run"])


def test_what_is_no_run_is_refused_in_one_line(runs, tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "none").mkdir()
    (tmp_path / "none" / "metrics.jsonl").write_text('{"step": 1}\n[]\n"x"\nnonsense\n')
    shutil.copytree(runs / "sum", tmp_path / "torn")
    (tmp_path / "torn" / "recipe.toml").write_text("[model]\nhidden_size = -1\n")
    (tmp_path / "swept").mkdir()
    (tmp_path / "swept" / "sweep.json").write_text("{}")
    complaints = {"empty": "no run's folder", "absent": "no run's folder", "none": "no update yet", "torn": "hidden_size"}
    complaints["swept"] = f"name the folders in {Path('swept', 'runs')}"
    for name, message in complaints.items():
        _, errors = command("compare", name, runs / "sum", cwd=tmp_path, code=2)
        assert errors.count("\n") == 1
        assert message in errors


@pytest.mark.parametrize("count", [1, 6, 25])
def test_many_runs_look_different(count):
    found = {f"_run {i}": curves.RunCurve(np.arange(1, 300), np.linspace(4, 2, 299) + i, [(10, 3.0), (200, 2.5)]) for i in range(count)}
    figure, axes = plots.new_figure()
    curves.draw_runs(axes, found, "updates")
    figure.draw_without_rendering()
    bold = [line for line in axes.lines if line.get_linewidth() > 1]
    assert len(bold) == count
    looks = {(line.get_color(), line.get_linestyle()) for line in bold}
    assert len(looks) == min(count, len(plots.COLOURS) * len(plots.DASHES))
    assert [text.get_text().strip() for text in figure.legends[0].get_texts()] == list(found)
