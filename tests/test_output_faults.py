"""What is said and kept when something cannot be written, and where nothing is to be said."""

import json
import os
import shlex

import pytest

from charrnn import CharRNN, OutputError
from charrnn.cli import main as cli
from charrnn.files import owned
from charrnn.process import as_typed
from charrnn.runs import recorder
from charrnn.training import checkpoint

TEXT = "the tide comes in, the tide goes out. " * 6
SMALL = ["--hidden-size", "3", "--sample-every", "none", "--checkpoint-every", "20", "--seq-length", "5"]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(recorder.Recorder, "draw", lambda *_: None)
    (tmp_path / "text.txt").write_text(TEXT)
    return tmp_path


def train(*words):
    return cli.main(["train", "text.txt", *SMALL, *words])


@pytest.mark.parametrize("lost", ["checkpoint", "metrics"])
def test_what_was_learned_is_kept_where_a_full_disk_leaves_room(lost, folder, monkeypatch, capsys):
    """The first checkpoint can be written, or the first lines of metrics, and then no more."""
    module, name = (checkpoint, "atomic_write") if lost == "checkpoint" else (owned, "append")
    real, done = getattr(module, name), []

    def full(path, *more):
        if "metrics" in str(path) or lost == "checkpoint":
            done.append(path)
        if len(done) > 1:
            raise OutputError(f"cannot write {path}: the disk is full")
        return real(path, *more)

    monkeypatch.setattr(module, name, full)
    assert train("--updates", "60", "--out", "run", "--quiet") == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert error.count("the last good checkpoint is run/checkpoints/step-00000000".replace("/", os.sep)) == 1
    assert error.endswith(f"; what was learned is in {os.path.join('run', 'model.safetensors')}\n")
    assert CharRNN.load("run/model.safetensors").trained["step"] >= 1


def test_a_model_whose_checkpoint_could_not_be_written_can_be_saved_elsewhere(folder, monkeypatch):
    model = CharRNN(3)

    def full(path, *_):
        raise OutputError(f"cannot write {path}: the disk is full")

    monkeypatch.setattr(checkpoint, "atomic_write", full)
    plan = {"updates": 9, "seq_length": 5, "sample_every": None, "progress": False}
    with pytest.raises(OutputError, match="there is no checkpoint yet"):
        model.train(TEXT, **plan, checkpoint=folder / "checkpoints")
    model.save("elsewhere.safetensors")
    assert CharRNN.load("elsewhere.safetensors").theta.tobytes() == model.theta.tobytes()
    assert len(model.train(TEXT, **plan)) == 9


def test_quiet_says_nothing_but_errors(folder, capfd):
    for words in (["--updates", "9", "--out", "run"], ["--updates", "9", "--out", "run", "--force", "--validation", "0.3"]):
        assert train(*words, "--quiet") == 0
    assert cli.main(["train", "--resume", "run", "--updates", "12", "--quiet"]) == 0
    assert capfd.readouterr() == ("", "")
    assert train("--out", "run", "--quiet") == 1
    assert "is not empty" in capfd.readouterr().err


def test_a_page_on_standard_output_is_the_page_alone(folder, capfd):
    CharRNN(3, vocabulary=TEXT).save("m.safetensors")
    assert cli.main(["explain", "m.safetensors", "text.txt", "--out", "-"]) == 0
    out, err = capfd.readouterr()
    assert out.startswith(("<!DOCTYPE html>", "<!doctype html>"))
    assert out.rstrip().endswith("</html>")
    assert "bits per character" in err
    assert sorted(os.listdir()) == ["m.safetensors", "text.txt"]


def test_json_has_null_where_there_is_no_number(folder, capsys):
    model = CharRNN(3, vocabulary=TEXT)
    model.parameters["c"][0], model.parameters["c"][1:] = 3e38, -3e38
    model.save("m.safetensors")
    assert cli.main(["evaluate", "m.safetensors", "text.txt", "--json"]) == 0
    found = json.loads(capsys.readouterr().out, parse_constant=pytest.fail)
    assert found["loss"] is None
    assert found["perplexity"] is None


def test_model_files_that_a_user_names_are_written_through_a_link(folder):
    (folder / "there").mkdir()
    (folder / "m.safetensors").symlink_to(folder / "there" / "m.safetensors")
    CharRNN(3, vocabulary=TEXT).save("m.safetensors", optimizer=False)
    assert (folder / "m.safetensors").is_symlink()
    assert (folder / "there" / "m.safetensors").is_file()


def test_commands_to_be_typed_survive_names_with_a_dash(folder, capsys):
    os.rename("text.txt", "-t.txt")
    assert cli.main(["train", *SMALL, "--updates", "3", "--out=-run", "--", "-t.txt"]) == 0
    line = capsys.readouterr().out.rstrip().rpartition("go on with: ")[2]
    assert line == "charrnn generate -- -run"
    assert cli.main([*shlex.split(line)[1:2], "--length", "5", *shlex.split(line)[2:]]) == 0
    assert shlex.split(as_typed("report", [("--out", "-r"), ("--recipe", "a b")], ["x", "-y"])) == [
        *("charrnn", "report", "--out=-r", "--recipe", "a b", "--", "x", "-y")
    ]


def test_a_folder_of_texts_is_a_text_that_a_run_can_read_again(folder):
    (folder / "texts").mkdir()
    os.rename("text.txt", "texts/text.txt")
    assert cli.main(["train", "texts", *SMALL, "--updates", "3", "--out", "run", "--quiet"]) == 0
    assert not (folder / "run" / "standard_input.txt").exists()
    assert cli.main(["train", "--resume", "run", "--updates", "5", "--quiet"]) == 0
