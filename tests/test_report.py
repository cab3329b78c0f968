"""charrnn report: its parts against what the library says, its pages as a reader meets them, broken off and resumed."""

import html.parser
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from charrnn import CharRNN, Corpus, read_corpus
from charrnn.cli.main import main
from charrnn.files.atomic import alone_in
from charrnn.gradients.check import torch_is_installed
from charrnn.recipes import load_recipe
from charrnn.report import page as report_page
from charrnn.report import parts as report_parts

TEXT = 'The quick brown fox jumps over the lazy dog. "Don\'t!" it said, and ran away.\n' * 30
NASTY = "<script>alert('x')</script> & \"quotes\" 'here' ``` \\ | * _ \x00 \x07 \x1b[31m \x7f \u202e \ufeff {{ 7 * 7 }} {% raw %} é\t|\n"
TINY = ["--hidden-size", "6", "--seq-length", "8", "--sample-length", "60"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("reports")


def written(folder, text=TEXT, name="text.txt"):
    path = folder / name
    path.write_text(text, encoding="utf-8", newline="")
    return str(path)


def report(out, text, *options, code=0):
    assert main(["report", text, "--out", str(out), "--quiet", *TINY, *options]) == code
    return json.loads((out / "report.json").read_text("utf-8"))


@pytest.fixture
def sketches(monkeypatch):
    """Pictures that take no time, for tests of something else. (Those of `single` and `grid` are drawn.)"""
    monkeypatch.setattr(report_page.plots, "as_svg", lambda draw, heights, title, name, narrow=False: f'<svg aria-label="{title}"></svg>')
    monkeypatch.setattr(report_page.plots, "as_png", lambda draw, heights, title: b"\x89PNG\r\n\x1a\n")


sketched = pytest.mark.usefixtures("sketches")


@pytest.fixture(scope="module")
def single(folder):
    """A report of one run of 400 updates."""
    out = folder / "single"
    return out, report(out, written(folder), "--updates", "400", "--sample-every", "50", "--seed", "3")


GRID = """
name = "tiny grid"
[training]
updates = 120
[grid]
seq_length = [8, 5]
learning_rate = [0.05, 0.1]
[gradcheck]
hidden_sizes = [5]
h = 1e-4
"""


@pytest.fixture(scope="module")
def grid(folder):
    """A report of four runs, side by side."""
    (folder / "grid.toml").write_text(GRID)
    out = folder / "grid"
    code = main(["report", written(folder), "--out", str(out), "--quiet", "--hidden-size", "6", "--recipe", str(folder / "grid.toml")])
    assert code == 0
    return out, json.loads((out / "report.json").read_text("utf-8"))


# ---- the numbers ---------------------------------------------------------------------------------------------------


def test_the_run_is_the_one_that_the_library_makes(single):
    found = single[1]["runs"][0]
    corpus = Corpus.from_text(TEXT)
    recipe = load_recipe("dd2424-2017")
    training = {k: v for k, v in recipe.training.items() if k not in ("updates", "sample_every", "seq_length")}
    model = CharRNN(hidden_size=6, seed=3)
    history = model.train(corpus, 400, seq_length=8, sample_every=50, sample_length=60, progress=False, **training)
    assert found["done"] == found["total"] == 400
    assert found["final_loss_per_char"] == history.shown_loss_per_char[-1]
    assert found["first_loss_per_char"] == history.loss_per_char[0]
    assert found["best"]["loss_per_char"] == history.best_loss_per_char
    assert found["best"]["step"] == history.best_step
    assert found["best"]["text"] == history.best.synthesize(1000, seed=3)
    assert [s["text"] for s in found["samples"]] == [s.text for s in history.samples]
    assert [s["step"] for s in found["samples"]] == [1, 50, 100, 150, 200, 250, 300, 350, 400]
    steps = np.array(found["curve"]["steps"])
    assert (np.array(found["curve"]["smooth_loss_per_char"]) == history.shown_loss_per_char[steps - 1]).all()
    assert found["curve"]["mean_loss_per_char"] == list(history.loss_per_char)  # one update between two points
    assert found["recent_loss_per_char"] == pytest.approx(history.loss_per_char[-40:].mean())
    assert found["epoch_steps"] == history.epoch_steps
    assert found["expected_first_loss_per_char"] == pytest.approx(history.expected_first_loss / 8)
    saved = CharRNN.load(single[0] / "best.safetensors")
    assert (saved.theta == history.best.theta).all()


def test_the_gradients_are_checked_at_5_10_and_the_recipes_own_size(single):
    checks = single[1]["gradients"]
    assert [check["hidden_size"] for check in checks] == [5, 6, 10]
    again = CharRNN(hidden_size=5, seed=3).gradcheck(TEXT, 8, seed=3, progress=False)
    for row, expected in zip(checks[0]["rows"], again.rows, strict=True):
        assert (row["state"], row["name"], row["passed"]) == (expected.state, expected.name, True)
        assert row["max_relative"] == pytest.approx(expected.max_relative)
        assert tuple(row["worst"]) == expected.worst


def test_text_facts(single):
    text = single[1]["text"]
    assert (text["characters"], text["distinct"]) == (len(TEXT), len(set(TEXT)))
    counts = Counter(TEXT)
    assert dict(map(tuple, text["histogram"])) == counts
    assert [count for _, count in text["histogram"]] == sorted(counts.values(), reverse=True)


@sketched
def test_long_curves_keep_every_nth_point_and_the_means_between(monkeypatch, folder):
    monkeypatch.setattr(report_parts, "POINTS", 30)
    found = report(folder / "thin", written(folder), "--updates", "100")["runs"][0]
    assert found["curve"]["steps"] == [1, *range(4, 101, 4)]
    history = CharRNN(hidden_size=6).train(TEXT, 100, seq_length=8, progress=False)
    means = [history.loss_per_char[0], history.loss_per_char[1:4].mean(), history.loss_per_char[4:8].mean()]
    assert found["curve"]["mean_loss_per_char"][:3] == pytest.approx(means)


def test_a_grid_gives_the_same_bits_as_each_run_alone(grid):
    runs = grid[1]["runs"]
    labels = [f"seq_length={t} learning_rate={rate}" for t in (8, 5) for rate in (0.05, 0.1)]
    assert [run["label"] for run in runs] == labels
    for run in runs:
        history = CharRNN(hidden_size=6).train(
            TEXT,
            120,
            seq_length=run["training"]["seq_length"],
            learning_rate=run["training"]["learning_rate"],
            sample_every=12,
            progress=False,
        )
        assert run["final_loss_per_char"] == history.shown_loss_per_char[-1]
        assert [s["text"] for s in run["samples"]] == [s.text for s in history.samples]


def test_the_recipe_says_how_gradients_are_checked(grid):
    [check] = grid[1]["gradients"]
    assert (check["hidden_size"], check["step"], check["own_step"], check["seq_length"]) == (5, 1e-4, True, 25)


@sketched
def test_options_take_the_place_of_a_grids_overrides(folder, grid):
    out = folder / "narrowed"
    recipe = str(folder / "grid.toml")
    args = ["report", written(folder), "--out", str(out), "--quiet", "--recipe", recipe]
    assert main([*args, "--hidden-size", "5", "--seq-length", "6", "--updates", "20"]) == 0
    found = json.loads((out / "report.json").read_text("utf-8"))
    assert [run["label"] for run in found["runs"]] == ["learning_rate=0.05", "learning_rate=0.1"]
    assert {run["total"] for run in found["runs"]} == {20}


@sketched
def test_the_command_line_on_the_page_makes_the_same_report(folder, single):
    words = single[1]["command"].replace(str(single[0]), str(folder / "again")).split()
    assert words[0] == "charrnn"
    assert main([*words[1:], "--quiet"]) == 0
    again = json.loads((folder / "again" / "report.json").read_text("utf-8"))
    for found in (again["runs"][0], single[1]["runs"][0]):
        for changing in ("seconds", "characters_per_second"):
            found.pop(changing, None)
    assert again["runs"] == single[1]["runs"]
    assert again["text"] == single[1]["text"]


# ---- the pages -----------------------------------------------------------------------------------------------------


class Page(html.parser.HTMLParser):
    """What a browser would make of a page: its tags, its addresses, its text, and whether all tags are closed."""

    VOID = ("meta", "br", "img", "link", "hr", "path", "use", "rect")

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.depth = sys.maxsize  # of the element with the passage that is being read
        self.tags, self.ids, self.links, self.open, self.text, self.passages = [], [], [], [], [], []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        attrs = dict(attrs)
        self.ids += [attrs["id"]] if "id" in attrs else []
        self.links += [attrs[a] for a in ("href", "src", "xlink:href", "action", "data") if a in attrs]
        if tag not in self.VOID:
            self.open.append(tag)
        if "text" in attrs.get("class", "").split():
            self.passages.append("")
            self.depth = len(self.open)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in self.VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        while self.open[-1] in ("li", "p") and tag not in ("li", "p"):
            self.open.pop()
        assert self.open.pop() == tag
        if len(self.open) < self.depth:
            self.depth = sys.maxsize

    def handle_data(self, data):
        self.text.append(data)
        if len(self.open) >= self.depth:
            self.passages[-1] += data


@pytest.fixture(params=["single", "grid"])
def page(request):
    out, found = request.getfixturevalue(request.param)
    return (out / "report.html").read_text("utf-8"), found


def test_the_page_is_whole_and_needs_nothing_else(page):
    text, _ = page
    parsed = Page(text)
    assert "script" not in parsed.tags
    assert "link" not in parsed.tags
    assert not [link for link in parsed.links if not link.startswith("#")]
    assert not re.findall(r"url\((?!#)|@import", text)
    assert {link[1:] for link in parsed.links} <= set(parsed.ids)
    assert len(parsed.ids) == len(set(parsed.ids))
    assert set(re.findall(r"url\(#([^)]*)\)", text)) <= set(parsed.ids)
    assert "prefers-color-scheme: dark" in text
    assert "@media print" in text
    assert 'name="viewport"' in text


def test_the_page_shows_all_parts(single):
    out, found = single
    text = " ".join("".join(Page((out / "report.html").read_text("utf-8")).text).split())
    run = found["runs"][0]
    best = run["best"]
    assert f"{8 * best['loss_per_char']:.2f} = 8 × {best['loss_per_char']:.3f}" in text
    assert f"{8 * run['expected_first_loss_per_char']:.2f} = 8 ×" in text
    assert "5 hidden units: passed" in text
    assert text.index("How the text evolves") < text.index("The gradients")
    assert "threshold" in text
    assert "Why a correct gradient can show" in text
    assert f"from character {best['copied_from']:,} of the text on" in text
    assert found["command"] in text
    assert found["text"]["fingerprint"] in text
    assert found["made"]["level"] in text
    for title in ("updates", "loss (nats per character)", "loss (nats per window of 8 characters)", "known words (%)"):
        assert title in text


def test_a_grids_page_ranks_its_runs_per_character(grid):
    text = (grid[0] / "report.html").read_text("utf-8")
    best = [run["best"]["loss_per_char"] for run in grid[1]["runs"]]
    rows = re.findall(r'<a href="#run-(\d)">', text)
    assert [int(row) - 1 for row in rows] == sorted(range(4), key=best.__getitem__)
    assert "epochs (times through the text)" in text


def test_markdown_and_its_pictures_belong_together(single, grid):
    for out, found in (single, grid):
        text = (out / "report.md").read_text("utf-8")
        named = re.findall(r"!\[[^]]*\]\(([^)]*)\)", text)
        assert len(named) == len(set(named)) == len(list((out / "figures").iterdir()))
        for name in named:
            assert (out / name).read_bytes().startswith(b"\x89PNG")
        for run in found["runs"]:
            assert f"{run['best']['loss_per_char']:.3f}" in text


@sketched
def test_every_character_of_a_nasty_text_is_shown_as_it_is(folder):
    out = folder / "nasty"
    found = report(out, written(folder, NASTY * 20, "<b>&amp;.txt"), "--updates", "60", "--sample-every", "20")
    parsed = Page((out / "report.html").read_text("utf-8"))
    assert "script" not in parsed.tags
    shown = "".join(parsed.text)
    assert not set("\x00\x07\x1b\x7f\u202e\ufeff") & set(shown)
    run = found["runs"][0]
    passages = [sample["text"] for sample in run["samples"]] + [run["best"]["text"]]
    visible = ["".join(c if c == "\n" else report_page.visible(c) for c in passage) for passage in passages]
    assert parsed.passages == visible
    assert set("".join(passages)) & set("\x00\x07\x1b<&\"'")  # else nothing was tested
    assert "<b>&amp;.txt" in shown
    markdown = (out / "report.md").read_text("utf-8")
    for passage in visible:
        assert f"\n{passage}\n" in markdown


@sketched
def test_bytes_are_shown_by_their_values(folder):
    path = folder / "bytes.bin"
    path.write_bytes(bytes(range(256)) * 8)
    out = folder / "bytes"
    found = report(out, str(path), "--bytes", "--updates", "30", "--sample-every", "10")
    assert found["text"]["raw_bytes"]
    text = "".join(Page((out / "report.html").read_text("utf-8")).text)
    assert report_page.visible("\xe9", True) in text
    assert "\xe9" not in text


def test_a_fence_is_longer_than_any_in_the_text():
    assert report_page.fenced("a ``` b ````` c").splitlines()[0] == "``````text"


def test_many_samples_are_thinned_to_round_steps():
    samples = [{"step": step} for step in (1, *range(1000, 150_001, 1000))]
    shown = [s["step"] for s in report_page.thinned(samples)]
    assert len(shown) == report_page.ROWS
    assert (shown[0], shown[-1]) == (1, 150_000)
    assert all(step % 10_000 == 0 for step in shown[1:])
    assert report_page.thinned(samples[:12]) == samples[:12]


# ---- what can go wrong ---------------------------------------------------------------------------------------------


def test_a_folder_with_something_in_it_is_not_touched(folder, single, capsys):
    before = (single[0] / "report.json").read_bytes()
    assert main(["report", written(folder), "--out", str(single[0])]) == 1
    assert "--resume to finish" in capsys.readouterr().err
    assert (single[0] / "report.json").read_bytes() == before


@sketched
def test_force_replaces_a_report(folder, grid):
    out = folder / "replaced"
    shutil.copytree(grid[0], out)
    report(out, written(folder), "--updates", "10", "--force")
    assert sorted(path.name for path in out.glob("best*")) == ["best.safetensors"]
    assert not (out / "figures" / "comparison.png").exists()


@sketched
def test_force_removes_a_reports_own_files_only(folder, grid):
    out = folder / "mixed"
    shutil.copytree(grid[0], out)
    for name in ("figures/mine.png", "best-ever.safetensors", "parts/mine.json"):
        (out / name).write_text("mine")
    report(out, written(folder), "--updates", "10", "--force")
    for name in ("figures/mine.png", "best-ever.safetensors", "parts/mine.json"):
        assert (out / name).read_text() == "mine"
    other = folder / "no-report"
    other.mkdir()
    (other / "best.safetensors").write_text("another's")
    assert main(["report", written(folder), "--out", str(other), "--updates", "10", "--force"]) == 1
    assert (other / "best.safetensors").read_text() == "another's"


def test_two_reports_do_not_write_in_one_folder(folder, single, capsys):
    pytest.importorskip("fcntl")  # nothing is locked on Windows, as docs/long_runs.md says
    with alone_in(single[0] / "parts"):
        for words in (["--resume"], [written(folder), "--updates", "10", "--force"]):
            assert main(["report", *words, "--out", str(single[0])]) == 1
            assert "another run is writing" in capsys.readouterr().err


@sketched
@pytest.mark.parametrize(("name", "content"), [("text", "{"), ("run-1", "{}"), ("run-1", "[]"), ("gradients-5", "5"), ("pytorch", "")])
def test_a_damaged_part_is_made_again(name, content, tmp_path, single):
    out = tmp_path / "damaged"
    shutil.copytree(single[0], out)
    whole = json.loads((out / "parts" / f"{name}.json").read_text("utf-8"))
    (out / "parts" / f"{name}.json").write_text(content)
    assert main(["report", "--resume", "--out", str(out), "--quiet"]) == 0
    assert json.loads((out / "parts" / f"{name}.json").read_text("utf-8")).keys() == whole.keys()


@pytest.mark.parametrize("content", ["[]", "{}", "{"])
def test_a_damaged_plan_is_no_report(content, tmp_path, single, capsys):
    out = tmp_path / "damaged"
    shutil.copytree(single[0], out)
    (out / "parts" / "plan.json").write_text(content)
    assert main(["report", "--resume", "--out", str(out)]) == 2
    assert "no report" in capsys.readouterr().err


def test_settings_that_make_no_sense_are_refused_before_anything_is_written(folder, capsys):
    out = folder / "refused"
    assert main(["report", written(folder), "--out", str(out), "--updates", "0"]) == 2
    assert "updates must be a whole number of at least 1, got 0" in capsys.readouterr().err
    for words, message in (("--learning-rate nan", "learning_rate must be"), ("--updates 1e18", "bytes of memory")):
        assert main(["report", written(folder), "--out", str(out), *words.split()]) == 2
        assert message in capsys.readouterr().err
    assert main(["report", written(folder, "ab", "short.txt"), "--out", str(out)]) == 2
    assert "too short" in capsys.readouterr().err
    assert not out.exists()


def test_resume_refuses_another_report(folder, single, capsys):
    out = str(single[0])
    other = written(folder, TEXT + "!", "other.txt")
    for words, message in (
        (["--out", str(folder / "nowhere")], "no report"),
        (["--out", out, "--seed", "4", "--updates", "400"], "other settings"),
        (["--out", out, other], "another text"),
    ):
        assert main(["report", "--resume", *words]) == 2
        assert message in capsys.readouterr().err


@sketched
def test_a_run_that_fails_is_shown_and_the_others_are_made(folder, capsys):
    (folder / "wild.toml").write_text(
        '[training]\nupdates = 300\noptimizer = "sgd"\nclip = "none"\n'
        "[grid]\nlearning_rate = [3e38, 0.01]\n[gradcheck]\nhidden_sizes = [5]\n"
    )
    out = folder / "wild"
    args = ["report", written(folder), "--out", str(out), "--quiet", "--hidden-size", "6", "--recipe", str(folder / "wild.toml")]
    with np.errstate(all="ignore"):
        assert main(args) == 1
    found = json.loads((out / "report.json").read_text("utf-8"))
    assert found["complete"]
    wild, tame = found["runs"]
    assert "Try a lower learning rate" in wild["error"]
    assert tame["done"] == 300
    text = (out / "report.html").read_text("utf-8")
    assert "This run failed" in text
    Page(text)


@sketched
def test_a_wrong_gradient_is_shown_as_such(single):
    broken = json.loads(json.dumps(single[1]))
    broken["gradients"][0]["passed"] = broken["gradients"][0]["rows"][0]["passed"] = False
    broken["gradients"][0]["rows"][0]["max_relative"] = None
    text = report_page.pages(broken)["report.html"]
    assert '<span class="bad">wrong</span>' in text
    assert "not finite" in text
    assert "all correct" not in text


def test_pytorch_is_compared_with_where_it_is_installed(folder):
    corpus, recipe = Corpus.from_text(TEXT), load_recipe("report-001")
    part = report_parts.pytorch(recipe, corpus, 5)
    assert part["installed"] is torch_is_installed()
    if part["installed"]:
        assert max(error for row in part["differences"].values() for error in row.values()) < 1e-12
    else:
        assert part["wanted"]


@sketched
def test_the_comparison_with_pytorch_is_shown(single):
    compared = json.loads(json.dumps(single[1]))
    errors = dict.fromkeys("UWVbc", 1.25e-15)
    compared["pytorch"] = {
        "installed": True,
        "version": "9.9",
        "hidden_size": 10,
        "seq_length": 8,
        "seconds": 1.0,
        "differences": {"zero": errors, "random": errors},
    }
    files = report_page.pages(compared)
    assert "PyTorch 9.9" in files["report.html"]
    assert files["report.html"].count("1.2e-15") == files["report.md"].count("1.2e-15") == 10


def test_large_networks_are_not_checked_entry_by_entry():
    recipe = load_recipe("dd2424-2017").run({"hidden_size": 5000})
    assert list(report_parts.checks(recipe, 80)) == ["gradients-5", "gradients-10", "gradients-128"]
    sizes = {name: [c.hidden_size for c in report_parts.checks(load_recipe(name), 80).values()] for name in ("thorough", "fast")}
    assert sizes == {"thorough": [5, 10, 31], "fast": [5, 10, 128]}  # of a network's own size where that is not too large
    assert report_parts.largest_checked(recipe.run({"cell": "lstm", "layers": 2}), 80) < 60
    assert report_parts.largest_checked(recipe.run({"hidden_size": 3}), 80) == 3


GATED = """
[model]
hidden_size = 4
[training]
updates = 30
seq_length = 6
[grid]
cell = ["rnn", "lstm"]
learning_rate = [0.1, 0.05]
[gradcheck]
hidden_sizes = [3]
"""


@sketched
def test_every_kind_of_network_in_a_grid_is_checked(folder):
    (folder / "gated.toml").write_text(GATED)
    out = folder / "gated"
    assert main(["report", written(folder), "--out", str(out), "--quiet", "--recipe", str(folder / "gated.toml")]) == 0
    found = json.loads((out / "report.json").read_text("utf-8"))
    assert [check["network"] for check in found["gradients"]] == ["3 hidden units", "3 LSTM units"]
    assert sorted(path.name for path in (out / "parts").glob("gradients*")) == ["gradients-3-lstm-1.json", "gradients-3-rnn-1.json"]
    rows = re.findall(r'<td data-label="network">([^<]*)</td>', (out / "report.html").read_text("utf-8"))
    assert rows == ["3 hidden units", "3 LSTM units"]
    assert main(["report", written(folder), "--out", str(out), "--quiet", "--force", *TINY, "--updates", "10"]) == 0
    assert sorted(path.name for path in (out / "parts").glob("gradients*")) == [f"gradients-{m}.json" for m in (10, 5, 6)]


@sketched
def test_title_author_and_validation(folder):
    out, text = folder / "named", written(folder)
    words = ["--title", "<My> report", "--author", "A & B", "--validation", "0.2", "--updates", "40", "--sample-every", "20"]
    found = report(out, text, *words)
    run = found["runs"][0]
    settings = load_recipe("dd2424-2017").training | {"updates": 40, "seq_length": 8, "sample_every": 20, "sample_length": 60}
    history = CharRNN(hidden_size=6).train(TEXT, validation=0.2, progress=False, **settings)
    assert run["validation"] == [[v.step, v.loss] for v in history.validation]
    assert (run["best"]["step"], run["best"]["loss_per_char"]) == (history.best_step, history.best_loss_per_char)
    assert run["best_by"] == "validation loss"
    assert (run["characters"], found["text"]["characters"]) == (len(TEXT) - round(0.2 * len(TEXT)), len(TEXT))
    page = (out / "report.html").read_text("utf-8")
    assert "<h1>&lt;My&gt; report</h1>" in page
    assert "A &amp; B" in page
    assert "best validation loss" in page
    shown = "".join(Page(page).text)
    assert f"{min(v.loss for v in history.validation):.3f}, after update" in shown
    assert "--validation 0.2" in found["command"]
    assert main(["report", "--resume", "--out", str(out), "--quiet", "--title", "Another"]) == 0
    again = json.loads((out / "report.json").read_text("utf-8"))
    assert (again["title"], again["author"], again["runs"]) == ("Another", "A & B", found["runs"])
    assert main(["report", "--resume", "--out", str(out), "--quiet", "--validation", "0.3"]) == 2


def test_validation_is_refused_where_it_makes_no_sense(folder, capsys):
    for words, message in {
        ("--patience", "3"): "needs a text to evaluate",
        ("--validation", "1.5"): "between 0 and 1",
        ("--validation", "absent.txt"): "absent.txt",
    }.items():
        assert main(["report", written(folder), "--out", str(folder / "refused"), *TINY, *words]) == 2
        error = capsys.readouterr().err
        assert message in error
        assert error.count("\n") == 1
    assert not (folder / "refused").exists()


def test_known_words_are_counted_in_longer_passages(single):
    run = single[1]["runs"][0]
    for sample in run["samples"]:
        low, high = sample["known_interval"]
        assert low <= sample["known_words"] <= high
        assert sample["words"] > 100  # a sample itself has 60 characters
        assert high - low < 0.2
    model, best = CharRNN.load(single[0] / "best.safetensors"), run["best"]
    [found] = report_parts.textmeasures.measure([model.synthesize(report_parts.MEASURED, seed=3)], Corpus.from_text(TEXT))
    assert (best["words"], best["known_words"]) == (found.words, found.known_words)
    assert best["known_interval"] == list(report_parts.textmeasures.interval(found.known_words, found.words))
    assert "95 % interval" in (single[0] / "report.html").read_text("utf-8")


def test_the_interval_of_a_share_is_wilsons():
    interval = report_parts.textmeasures.interval
    for share, count in (0.0, 10), (1.0, 10), (0.3, 200):
        low, high = interval(share, count)
        for bound in low, high:  # at which the share is 1.96 standard deviations away
            spread = np.sqrt(bound * (1 - bound) / count)
            assert abs(share - bound) == pytest.approx(1.959964 * spread, abs=1e-7)
        assert low - 1e-9 <= share <= high + 1e-9


# ---- broken off and resumed ----------------------------------------------------------------------------------------


def started(out, *options):
    words = [sys.executable, "-m", "charrnn", "report", "--out", str(out), *options]
    return subprocess.Popen(words, stderr=subprocess.PIPE, text=True)


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGINT to send to one process there")
def test_broken_off_it_says_so_and_resume_ends_it(folder):
    out = folder / "broken"
    options = ["--hidden-size", "32", "--seq-length", "10", "--updates", "12000", "--sample-every", "3000", "--seed", "1"]
    process = started(out, *options, "--quiet")
    parts = out / "parts"
    deadline = time.monotonic() + 60
    while not (parts / "gradients-5.json").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    text = (out / "report.html").read_text("utf-8")
    Page(text)
    assert "This report is not complete" in text
    half = json.loads((out / "report.json").read_text("utf-8"))
    assert not half["complete"]
    assert "training" in half["missing"]
    run = half["runs"][0]
    assert 0 <= run["done"] < run["total"]
    if run["done"]:
        assert "Interrupted" in text
    gradients = (parts / "gradients-5.json").read_bytes()

    assert main(["report", "--resume", "--out", str(out), "--quiet"]) == 0
    whole = json.loads((out / "report.json").read_text("utf-8"))
    assert whole["complete"]
    assert "not complete" not in (out / "report.html").read_text("utf-8")
    assert (parts / "gradients-5.json").read_bytes() == gradients  # what was done is not done again
    assert whole["seconds"] > half["seconds"]
    history = CharRNN(hidden_size=32, seed=1).train(read_corpus(), 12_000, seq_length=10, sample_every=3_000, progress=False)
    found = whole["runs"][0]
    assert found["final_loss_per_char"] == history.shown_loss_per_char[-1]
    assert [s["text"] for s in found["samples"]] == [s.text for s in history.samples]
    assert found["best"]["text"] == history.best.synthesize(1000, seed=1)
    assert not Path(parts / "run-1").exists()


class Stops:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.01)  # the handler runs here at the latest


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGINT to send to one process there")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@sketched
def test_ctrl_c_counts_also_where_python_drops_the_exception(folder, monkeypatch):
    gradients = report_parts.gradients

    def with_one_thrown_away(*args):
        Stops()
        return gradients(*args)

    monkeypatch.setattr(report_parts, "gradients", with_one_thrown_away)
    out = folder / "dropped"
    assert main(["report", written(folder), "--out", str(out), "--quiet", *TINY]) == 130
    assert [path.name for path in (out / "parts").glob("gradients*")] == ["gradients-5.json"]


@sketched
def test_a_damaged_checkpoint_costs_only_time(folder, single):
    out = folder / "damaged"
    shutil.copytree(single[0], out)
    run = json.loads((out / "parts" / "run-1.json").read_text("utf-8"))
    (out / "parts" / "run-1.json").write_text(json.dumps(run | {"done": 100}))
    (out / "parts" / "run-1").mkdir()
    (out / "parts" / "run-1" / "step-0000000100.safetensors").write_bytes(b"no checkpoint")
    assert main(["report", "--resume", "--out", str(out), "--quiet"]) == 0
    again = json.loads((out / "report.json").read_text("utf-8"))["runs"][0]
    assert again["best"] == single[1]["runs"][0]["best"]
