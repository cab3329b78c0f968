"""A run's or a report's folder that came from a stranger: links in it are replaced, pipes keep nobody waiting, nothing outside changes."""

import os
import shutil

import pytest

from charrnn.cli import main as cli
from charrnn.runs import recorder

pytestmark = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs links and pipes as Unix has them")
SMALL = ["--hidden-size", "3", "--updates", "12", "--sample-every", "6", "--sample-length", "9", "--checkpoint-every", "5", "--quiet"]
WRITTEN = [
    "samples.txt",
    "metrics.jsonl",
    "metrics.csv",
    "model.safetensors",
    "best.safetensors",
    "model.optimizer.safetensors",
    "loss.png",
]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A run that was broken off, and a text."""
    place = tmp_path_factory.mktemp("made")
    (place / "text.txt").write_text("the tide comes in. " * 20)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(recorder.Recorder, "draw", lambda *_: None)
        assert cli.main(["train", str(place / "text.txt"), *SMALL, "--out", str(place / "run")]) == 0
    return place


@pytest.fixture
def run(made, tmp_path, monkeypatch):
    """A copy of it, in a folder with a file of the user's."""
    monkeypatch.setattr(recorder.Recorder, "draw", lambda *_: None)
    shutil.copytree(made / "run", tmp_path / "run")
    (tmp_path / "mine").write_text("mine")
    monkeypatch.chdir(tmp_path)
    return tmp_path / "run"


def resumed():
    return cli.main(["train", "--resume", "run", "--updates", "20", "--quiet"])


@pytest.mark.parametrize("name", WRITTEN[:-1])
@pytest.mark.parametrize("odd", ["link", "pipe"])
def test_what_a_run_writes_replaces_links_and_pipes(run, name, odd):
    (run / name).unlink()
    if odd == "link":
        (run / name).symlink_to(run.parent / "mine")
    else:
        os.mkfifo(run / name)
    assert resumed() == 0
    assert (run.parent / "mine").read_text() == "mine"
    assert (run / name).is_file()
    assert not (run / name).is_symlink()


def test_a_second_name_of_a_file_of_the_users_keeps_its_content(run):
    (run / "samples.txt").unlink()
    os.link(run.parent / "mine", run / "samples.txt")
    assert resumed() == 0
    assert (run.parent / "mine").read_text() == "mine"


@pytest.mark.parametrize("words", [["--resume", "run", "--updates", "20"], ["text.txt", *SMALL, "--out", "run", "--force"]])
def test_a_folder_of_checkpoints_elsewhere_stays_as_it_is(run, made, words):
    shutil.copy(made / "text.txt", run.parent)
    (run / "checkpoints").rename(run.parent / "elsewhere")
    (run / "checkpoints").symlink_to(run.parent / "elsewhere")
    before = sorted(os.listdir(run.parent / "elsewhere"))
    assert cli.main(["train", *words, "--quiet"]) == 0
    assert sorted(os.listdir(run.parent / "elsewhere")) == before
    assert not (run / "checkpoints").is_symlink()


@pytest.mark.parametrize("name", ["run.json", "recipe.toml"])
def test_pipes_in_place_of_what_is_read_are_refused(run, name, capsys):
    (run / name).unlink()
    os.mkfifo(run / name)
    assert resumed() == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_a_run_whose_text_is_a_pipe_is_refused(run, capsys):
    os.mkfifo(run / "text.txt")
    (run / "run.json").write_text((run / "run.json").read_text().replace('"relative": [\n  "', '"relative": [\n  "text.txt", "'))
    described = (run / "run.json").read_text()
    (run / "run.json").write_text(described.replace(described.split('"text": [\n  "')[1].split('"')[0], str(run / "text.txt")))
    assert resumed() == 2
    assert "cannot be read again" in capsys.readouterr().err


def test_leftovers_of_a_killed_run_are_removed_when_it_goes_on(run):
    for place in (run, run / "checkpoints"):
        (place / ".4194000-ab12cd34.charrnn-tmp").write_text("half")
    assert resumed() == 0
    assert not [name for place in (run, run / "checkpoints") for name in os.listdir(place) if name.startswith(".")]


def test_a_report_writes_into_its_folder_alone(made, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "g.toml").write_text('name = "small"\n[model]\nhidden_size = 2\n[training]\nupdates = 8\n[gradcheck]\nhidden_sizes = [2]\n')
    (tmp_path / "mine").write_text("mine")
    (tmp_path / "elsewhere").mkdir()
    words = ["report", str(made / "text.txt"), "--recipe", "g.toml", "--out", "r", "--quiet"]
    monkeypatch.setattr(
        "charrnn.report.page.pages", lambda report: {"report.html": "page", "report.md": "text", "figures/loss-1.png": b"png"}
    )
    monkeypatch.setattr("charrnn.gradients.check.torch_is_installed", lambda: False)
    assert cli.main(words) == 0
    for name in ("report.html", "report.md", "report.json", "best.safetensors", "parts/run-1.json"):
        (tmp_path / "r" / name).unlink()
        (tmp_path / "r" / name).symlink_to(tmp_path / "mine")
    shutil.rmtree(tmp_path / "r" / "figures")
    for name in ("figures", "parts/run-1"):
        (tmp_path / "r" / name).symlink_to(tmp_path / "elsewhere")
    assert cli.main(["report", "--resume", "--out", "r", "--quiet"]) == 0
    assert (tmp_path / "mine").read_text() == "mine"
    assert os.listdir(tmp_path / "elsewhere") == []
    assert (tmp_path / "r" / "best.safetensors").is_file()
