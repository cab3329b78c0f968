"""The command line as a user meets it, in a folder of its own: in this process, and in another where processes are what is tried."""

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from commands import COMMAND, ENVIRONMENT, raw, run

import charrnn
from charrnn import CharRNN, History
from charrnn.cli import main as cli
from charrnn.files import modelfile
from charrnn.recipes import load_recipe, names
from charrnn.training import trainer as training

SMALL = ["--hidden-size", "16", "--sample-every", "100", "--updates", "250", "--seed", "3"]
FILES = {"model.safetensors", "best.safetensors", "metrics.jsonl", "metrics.csv", "samples.txt", "loss.png", "recipe.toml"}
EVERYTHING = FILES | {"run.json", "checkpoints", "model.optimizer.safetensors", "best.optimizer.safetensors"}
STORY = 'The tide came in, and the tide went out; "Hen!" said Izzy, "it\'s £5."\nThe bell rang twice.\n' * 40


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with a text, and the run that `train` makes of it."""
    folder = tmp_path_factory.mktemp("place")
    (folder / "story.txt").write_bytes(STORY.encode())  # line ends as they are, on Windows too
    (folder / "held.txt").write_bytes(STORY[:300].encode())
    out, errors = run("train", "story.txt", *SMALL, "--validation", "held.txt", "--validate-every", "100", cwd=folder)
    (folder / "out").write_text(out, "utf-8")
    (folder / "err").write_text(errors, "utf-8")
    return folder


# ---- train ------------------------------------------------------------------------------------------------------------


def test_train_says_what_it_read_and_expects(place):
    out = (place / "out").read_text("utf-8")
    head, rest = out.split("--- before update 1,", 1)
    assert f"story.txt: {len(STORY):,} characters, {len(set(STORY))} distinct, decoded as UTF-8, line ends LF" in head
    assert "86.64 nats per window (25 x ln 32), 3.466 per character" in head
    assert "250 updates" in head
    assert "kernels " in head
    assert rest.count("--- before update ") == 2  # 100 and 200
    assert rest.count("--- after update ") == 3  # held-out text: 100, 200 and the end
    assert "nats per window, " in rest


def test_train_ends_with_the_best_passage_and_a_summary(place):
    out = (place / "out").read_text("utf-8")
    passage, summary = out.split("=== best model, after update ")[1].split(" ===\n")[1].rsplit("\n\n", 1)
    assert len(passage) == 1000
    assert passage == CharRNN.load(place / "charrnn-run" / "best.safetensors").synthesize(1000, seed=3)
    assert "250 updates in " in summary
    assert "characters per second" in summary
    lines = (place / "charrnn-run" / "metrics.jsonl").read_text("utf-8").splitlines()
    last = [line["train/loss_per_char"] for line in map(json.loads, lines) if "train/loss_per_char" in line][-25:]
    assert f"mean loss of the last windows {sum(last):.2f} nats per window, {sum(last) / 25:.3f} per character" in summary
    held_out = [json.loads(line)["val/loss"] for line in lines if "val/loss" in line][-1]
    assert f"; validation loss {held_out:.4f} per character" in summary
    assert all(name in summary for name in FILES)


def test_train_draws_its_bar_on_standard_error(place):
    errors = (place / "err").read_text("utf-8")
    assert "mean loss" in errors
    assert "chars/s" in errors
    assert "/250 " in errors


def test_the_run_folder(place):
    folder = place / "charrnn-run"
    assert {path.name for path in folder.iterdir()} == EVERYTHING
    assert (folder / "loss.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text("utf-8").splitlines()]
    trained = [line for line in lines if "train/loss" in line]
    assert [line["step"] for line in trained] == list(range(1, 251))
    assert trained[0].keys() == {
        "step",
        "epoch",
        "time",
        "lr",
        "chars_per_sec",
        "train/loss",
        "train/loss_per_char",
        "train/mean_loss",
        "train/mean_loss_per_char",
        "train/smooth_loss",
        "train/smooth_loss_per_char",
    }
    assert trained[0]["train/loss"] == pytest.approx(25 * trained[0]["train/loss_per_char"])
    assert trained[0]["train/loss_per_char"] == pytest.approx(3.466, abs=0.01)  # ln 32
    windows = (len(STORY) - 1) // 25
    assert [line["epoch"] for line in trained] == [1 + i // windows for i in range(250)]
    held = [(line["step"], round(line["val/bits_per_char"] / line["val/loss"], 3)) for line in lines if "val/loss" in line]
    assert held == [(100, 1.443), (200, 1.443), (250, 1.443)]
    steps = [line["step"] for line in lines]
    assert steps == sorted(steps)


def test_samples_are_kept(place):
    kept = (place / "charrnn-run" / "samples.txt").read_text("utf-8")
    shown = (place / "out").read_text("utf-8")
    heads = [line for line in kept.splitlines() if line.startswith(("--- ", "=== "))]
    assert len(heads) == 4
    assert all(head in shown for head in heads)
    first = kept.split(" ---\n")[1].split("\n\n--- ")[0]
    assert len(first) == 200


def test_the_models_say_how_they_came_about(place):
    last, _ = run("info", "charrnn-run/model.safetensors", "--json", cwd=place)
    best, _ = run("info", "charrnn-run", "--json", cwd=place)
    last, best = json.loads(last), json.loads(best)
    assert last["training"]["step"] == 250 >= best["training"]["step"]
    assert best["training"]["smooth_loss"] <= last["training"]["smooth_loss"]
    assert best["training"]["smooth_loss"] == pytest.approx(25 * best["training"]["smooth_loss_per_char"])
    assert last["K"] == len(set(STORY))
    assert last["parameters"] == 16 * 16 + 2 * 16 * last["K"] + 16 + last["K"]
    assert last["training"]["settings"]["seq_length"] == 25
    assert "story.txt" in last["training"]["text"]


@pytest.mark.usefixtures("undrawn")
def test_the_recipe_in_the_folder_repeats_the_run(place, tmp_path):
    recipe = place / "charrnn-run" / "recipe.toml"
    run("train", str(place / "story.txt"), "--recipe", str(recipe), "--out", "again", "--quiet", cwd=tmp_path)
    for name in ("model.safetensors", "best.safetensors"):
        ours, theirs = (CharRNN.load(folder / name) for folder in (tmp_path / "again", place / "charrnn-run"))
        assert ours.theta.tobytes() == theirs.theta.tobytes()


def contents(folder):
    """The files of a run, without what a clock or a plot library has a say in."""
    files = {name: (folder / name).read_bytes() for name in FILES - {"loss.png", "metrics.csv"}}
    lines = [json.loads(line) for line in files.pop("metrics.jsonl").splitlines()]
    metrics = [{key: value for key, value in line.items() if key not in ("time", "chars_per_sec")} for line in lines]
    return files, metrics


@pytest.mark.usefixtures("undrawn")
def test_same_seed_same_files_for_any_chunking(tmp_path, monkeypatch, capsys):
    text = tmp_path / "story.txt"
    text.write_text(STORY, "utf-8")
    words = ["train", str(text), *SMALL, "--validation", "0.2", "--validate-every", "70", "--quiet", "--log-every", "10"]
    found = []
    for name, seconds, more in (("a", 0.05, []), ("b", 0.05, []), ("c", 0, []), ("d", 1e9, ["--threads", "2"])):
        monkeypatch.setattr(training, "CHUNK_SECONDS", seconds)
        assert cli.main([*words, *more, "--out", str(tmp_path / name)]) == 0
        found.append(contents(tmp_path / name))
    assert found[1:] == found[:1] * 3
    assert cli.main([*words, "--seed", "4", "--out", str(tmp_path / "e")]) == 0
    assert contents(tmp_path / "e") != found[0]


@pytest.mark.usefixtures("undrawn")
def test_options_override_the_recipe(tmp_path):
    words = ["--recipe", "dd2424-2025", "--updates", "20", "--learning-rate", "0.002", "--clip", "3", "--hidden-size", "9"]
    out, _ = run("train", *words, cwd=tmp_path)
    recipe = load_recipe(tmp_path / "charrnn-run" / "recipe.toml")
    assert recipe.training.items() >= {"learning_rate": 0.002, "clip": 3.0, "updates": 20, "optimizer": "adam"}.items()
    assert recipe.model.items() >= {"hidden_size": 9, "init": "scaled"}.items()
    assert "tidehouse_at_saltmere.txt: 461,932 characters, 79 distinct" in out
    assert "recipe dd2424-2025" in out
    assert "4.369 per character (ln 79)" in out


@pytest.mark.usefixtures("undrawn")
def test_what_is_on_in_a_recipe_is_put_out_by_an_option(tmp_path):
    found = [run("train", "--updates", "20", "--hidden-size", "9", "--rotate", "--out", "a", cwd=tmp_path)[0]]
    found += [
        run("train", "--recipe", "a/recipe.toml", *more, "--out", out, cwd=tmp_path)[0] for more, out in (((), "b"), (["--no-rotate"], "c"))
    ]
    assert [", rotate" in out for out in found] == [True, True, False]
    assert [load_recipe(tmp_path / name / "recipe.toml").training["rotate"] for name in "abc"] == [True, True, False]


@pytest.mark.usefixtures("undrawn")
def test_where_a_run_goes(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("story.txt").write_text(STORY, "utf-8")
    words = ["train", "story.txt", "--updates", "2", "--hidden-size", "4", "--sample-every", "none"]
    for name in ("charrnn-run", "charrnn-run-2", "charrnn-run-3"):
        assert cli.main(words) == 0
        assert f"writing   {name}\n" in capsys.readouterr().out
        assert Path(name, "model.safetensors").exists()
    assert cli.main([*words, "--out", "charrnn-run"]) == 1
    assert "charrnn-run is not empty" in capsys.readouterr().err
    Path("charrnn-run", "mine.txt").write_text("kept")
    assert cli.main([*words, "--out", "charrnn-run", "--force", "--updates", "3"]) == 0
    assert Path("charrnn-run", "mine.txt").read_text() == "kept"
    assert len(Path("charrnn-run", "metrics.jsonl").read_text().splitlines()) == 3


@pytest.mark.usefixtures("undrawn")
def test_standard_input(tmp_path):
    out, _ = run("train", "-", "--updates", "2", cwd=tmp_path, stdin=STORY.encode())
    assert f"standard input: {len(STORY):,} characters" in out


@pytest.mark.usefixtures("undrawn")
def test_texts_and_options_in_any_order(tmp_path):
    (tmp_path / "a.txt").write_bytes(b"caf\xe9 au lait\r\n" * 20)
    (tmp_path / "b.txt").write_bytes(b"th\xe9\r\n" * 20)
    words = ["--encoding", "latin-1", "--updates", "2", "b.txt", "--hidden-size", "4"]
    out, _ = run("train", "a.txt", *words, cwd=tmp_path)
    assert "a.txt, b.txt: 340 characters, 11 distinct, decoded as ISO8859-1, line ends CRLF read as LF" in out


@pytest.mark.usefixtures("undrawn")
def test_metrics_show_the_rate_that_a_rescue_left(tmp_path):
    words = "--updates 400 --hidden-size 9 --optimizer sgd --learning-rate 1e37 --clip none --rescue --log-every 1"
    said, _ = run("train", *words.split(), cwd=tmp_path)
    metrics = (tmp_path / "charrnn-run" / "metrics.jsonl").read_text("utf-8").splitlines()
    rates = [json.loads(line)["lr"] for line in metrics]
    halved = [at for at in range(1, 400) if rates[at] == rates[at - 1] / 2]
    assert rates[0] == 1e37
    assert len(halved) == said.count("goes on with half the learning rate") > 3
    assert rates[-1] == 1e37 / 2 ** len(halved)


@pytest.mark.skipif(os.name == "nt", reason="no POSIX signals")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_training_cleanly(number, tmp_path):
    words = [*COMMAND, "train", "--hidden-size", "16", "--updates", "1e7", "--sample-every", "none"]
    process = subprocess.Popen(
        words,
        cwd=tmp_path,
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    metrics = tmp_path / "charrnn-run" / "metrics.jsonl"
    while not (metrics.exists() and len(metrics.read_bytes().splitlines()) > 3):
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(number)
    out, errors = process.communicate(timeout=60)
    assert process.returncode == 128 + number
    assert b"stopped after update " in out
    assert b"Traceback" not in errors
    assert {path.name for path in metrics.parent.iterdir()} == EVERYTHING
    steps = [json.loads(line)["step"] for line in metrics.read_text().splitlines()]
    said, _ = run("info", "charrnn-run/model.safetensors", "--json", cwd=tmp_path)
    assert json.loads(said)["training"]["step"] == steps[-1]
    assert f"stopped after update {steps[-1]:,}," in out.decode()


@pytest.mark.usefixtures("undrawn")
def test_a_loss_that_is_not_finite_keeps_the_last_good_model(tmp_path):
    words = ["--optimizer", "sgd", "--learning-rate", "1e36", "--clip", "none", "--updates", "300", "--quiet"]
    _, errors = run("train", *words, "--hidden-size", "8", cwd=tmp_path, code=1)
    assert errors.startswith("charrnn train: error: the loss became ")
    assert "at update " in errors
    assert "of the text" in errors
    assert errors.count("\n") == 1
    for name in ("model", "best"):
        assert CharRNN.load(tmp_path / "charrnn-run" / f"{name}.safetensors").evaluate("the tide").loss < 10


def test_training_goes_on_when_nobody_reads_what_it_says(tmp_path):
    words = [*COMMAND, "train", *SMALL, "--sample-every", "10"]
    process = subprocess.Popen(words, cwd=tmp_path, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    process.stdout.readline()
    process.stdout.close()
    assert process.wait(timeout=60) == 0
    assert {path.name for path in (tmp_path / "charrnn-run").iterdir()} == EVERYTHING


# ---- bad input, before any work ---------------------------------------------------------------------------------------

BAD = [
    ("train nowhere.txt", 2, "nowhere.txt does not exist"),
    ("train empty.txt", 2, "empty.txt: empty"),
    ("train nothing", 2, "nothing is a folder without text files (0 files in it)"),
    ("train short.txt", 2, "seq_length 25 needs 26 characters, got 6"),
    ("train story.txt --seq-length 9999", 2, "needs 10,000 characters"),
    ("train story.txt --batch-size 500", 2, "in each of 500 parallel sequences"),
    ("train same.txt", 2, "distinct"),
    ("train latin.txt", 2, "byte 0xe9 at offset 3 (invalid continuation byte); name its encoding, such as --encoding latin-1"),
    ("train story.txt --encoding utf-9", 2, "unknown text encoding 'utf-9'; near it: utf_8"),
    ("train story.txt --encoding latin-1 --bytes", 2, "not allowed with"),
    ("train --hidden-size 0", 2, "hidden_size must be a whole number of at least 1, got 0"),
    ("train --hidden-size 1.5", 2, "invalid whole number value: '1.5'"),
    ("train --hidden-size 1e9", 2, "bytes of memory"),
    ("train --updates 0", 2, "updates must be a whole number of at least 1, got 0"),
    ("train --updates 1 --epochs 1", 2, "give updates or epochs, not both"),
    ("train --epochs inf", 2, "epochs must be a finite number above 0, got inf"),
    ("train --learning-rate nan", 2, "learning_rate must be a finite number above 0, got nan"),
    ("train --learning-rate -1", 2, "learning_rate must be a finite number above 0, got -1"),
    ("train --clip 0", 2, "clip must be a finite number above 0"),
    ("train --init-std -1", 2, "init_std must be a finite number at least 0"),
    ("train --threads 0", 2, "threads must be a whole number of at least 1, got 0"),
    ("train --log-every 0", 2, "log_every must be a whole number of at least 1, got 0"),
    ("train --optimizer adamm", 2, "unknown optimizer 'adamm'; did you mean 'adam'"),
    ("train --recipe dd2424-2016", 2, "unknown recipe 'dd2424-2016'; did you mean 'dd2424-2017'"),
    ("train --recipe bad.toml", 2, "did you mean 'learning_rate'?"),
    ("train --validation 2", 2, "validation must be a part of the text between 0 and 1, or a file, got 2"),
    ("train story.txt --validation short.txt", 2, "short.txt"),
    ("train story.txt --validation 0.001", 2, "give a larger part, or none"),
    ("gradcheck story.txt --recipe auto", 2, "recipe auto is chosen for a text and a time"),
    ("sweep auto story.txt", 2, "name the recipe.toml in the folder of such a run"),
    ("compare story.txt", 2, "story.txt is no run's folder: there is no metrics.jsonl in it\n"),
    ("compare nowhere", 2, "`charrnn train --out nowhere` makes one"),
    ("gradflow small.safetensors", 2, "give --text FILE as well"),
    ("gradflow small.safetensors --text same.txt --steps 90000", 2, "90,000 steps need 90,002 characters"),
    ("train --out story.txt", 1, "cannot use story.txt as a folder"),
    ("train --out story.txt/run", 1, "cannot write in the folder story.txt/run"),
    ("train --hiden-size 5", 2, "unknown argument '--hiden-size'; did you mean '--hidden-size'"),
    ("trian", 2, "unknown command 'trian'; did you mean 'train'?"),
    ("synthesize", 2, "the following arguments are required: MODEL"),
    ("synthesize story.txt", 2, "cannot read story.txt: "),
    ("synthesize nowhere", 2, "cannot read nowhere: there is no such file"),
    ("train story.txt --threads 1000", 2, "threads must be at most 256, got 1,000"),
    ("synthesize small.safetensors --prime Izzy!", 2, "not in the vocabulary of 2: 'I' (U+0049)"),
    ("synthesize small.safetensors --temperature -1", 2, "temperature must be a finite number at least 0, got -1"),
    ("synthesize small.safetensors --length -1", 2, "length must be a whole number of at least 0, got -1"),
    ("synthesize small.safetensors --top-p -1", 2, "top_p must be a finite number at least 0 and at most 1, got -1"),
    ("evaluate small.safetensors story.txt", 2, "not in the vocabulary of 2"),
    ("evaluate small.safetensors nowhere.txt", 2, "nowhere.txt does not exist"),
    ("info story.txt", 2, "cannot read story.txt: "),
    ("recipes dd2424", 2, "unknown recipe 'dd2424'; did you mean"),
]


@pytest.fixture(scope="module")
def bad_place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bad")
    texts = {"story.txt": STORY, "empty.txt": "", "short.txt": "abcabc", "same.txt": "a" * 99}
    for name, text in texts.items():
        (folder / name).write_text(text, "utf-8")
    (folder / "latin.txt").write_bytes(b"caf\xe9 au lait" * 9)
    (folder / "nothing").mkdir()
    (folder / "bad.toml").write_text("[training]\nlearning_rat = 1\n")
    CharRNN(hidden_size=4, vocabulary="ab").save(folder / "small.safetensors")
    return folder


@pytest.mark.parametrize(("words", "code", "complaint"), BAD, ids=[words for words, _, _ in BAD])
def test_bad_input_is_one_clear_line_before_any_work(words, code, complaint, bad_place):
    before = sorted(path.name for path in bad_place.iterdir())
    out, errors = run(*words.split(), cwd=bad_place, code=code)
    assert complaint in errors
    name = words.split()[0]
    assert errors.startswith(f"charrnn {name}: error: " if name in cli.COMMANDS else "charrnn: error: ")
    assert (errors.count("\n"), errors[-1], out) == (1, "\n", "")
    assert sorted(path.name for path in bad_place.iterdir()) == before


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everywhere")
def test_an_output_folder_without_permission(tmp_path):
    (tmp_path / "locked").mkdir(mode=0o500)
    _, errors = run("train", "--out", "locked/run", cwd=tmp_path, code=1)
    assert "there is no permission" in errors


def test_names_with_control_characters_stay_one_line(tmp_path):
    _, errors = run("train", "a\nb\x1b[31m.txt", cwd=tmp_path, code=2)
    assert errors.count("\n") == 1
    assert r"a\nb\x1b[31m.txt does not exist" in errors


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no full disk")
@pytest.mark.parametrize("words", [["info"], ["synthesize", "charrnn-run", "--length", "9"]])
def test_output_that_cannot_be_written_is_one_line(words, place):
    with open("/dev/full", "wb") as full:
        done = subprocess.run([*COMMAND, *words], cwd=place, env=ENVIRONMENT, stdout=full, stderr=subprocess.PIPE, timeout=120)
    assert (done.returncode, done.stderr.count(b"\n")) == (1, 1)
    assert done.stderr.decode().startswith(f"charrnn {words[0]}: error: cannot write the output: ")


def test_the_work_on_metrics_grows_with_the_updates_and_no_faster(tmp_path, monkeypatch):
    """Per line, what it needs is looked up; no array of all losses so far is made."""
    made = []
    monkeypatch.setattr(History, "per_char", lambda self, loss: made.append(np.size(loss)) or loss)
    monkeypatch.chdir(tmp_path)
    Path("story.txt").write_text(STORY, "utf-8")
    assert cli.main(["train", "story.txt", *SMALL, "--quiet", "--log-every", "1"]) == 0
    assert len(made) >= 2 * 250
    assert sum(size > 1 for size in made) <= 10  # at the end, for the curve and the last lines


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no full disk")
@pytest.mark.parametrize("redirection", ["2>/dev/full >&-", ">/dev/full 2>&-"])
def test_training_goes_on_when_nobody_can_be_told(redirection, tmp_path):
    (tmp_path / "story.txt").write_bytes(STORY.encode())
    words = shlex.join([*COMMAND, "train", "story.txt", *SMALL])
    subprocess.run(f"{words} {redirection}", shell=True, cwd=tmp_path, env=ENVIRONMENT, capture_output=True, timeout=120)
    assert set(os.listdir(tmp_path / "charrnn-run")) == EVERYTHING
    assert CharRNN.load(tmp_path / "charrnn-run" / "model.safetensors").to_metadata()["training"]["step"] == 250


def test_validate_every_needs_something_to_evaluate(place):
    _, errors = run("train", "story.txt", *SMALL, "--validate-every", "5", cwd=place, code=2)
    assert "--validation" in errors


@pytest.mark.usefixtures("undrawn")
def test_a_recipe_of_a_run_repeats_it(place, tmp_path):
    """Of a run without a recipe's name as well: the model's file holds that name."""
    old = place / "charrnn-run"
    words = ["--recipe", str(old / "recipe.toml"), "--validation", "held.txt", "--out", str(tmp_path / "again"), "--quiet"]
    run("train", "story.txt", *words, cwd=place)
    for name in ("model.safetensors", "best.safetensors", "samples.txt", "recipe.toml"):
        assert (tmp_path / "again" / name).read_bytes() == (old / name).read_bytes()


@pytest.mark.parametrize("out", ["", "n" * 300])
@pytest.mark.usefixtures("undrawn")
def test_force_removes_nothing_before_the_name_is_seen_to_be_good(out, place, tmp_path):
    run("train", str(place / "story.txt"), *SMALL, "--out", ".", cwd=tmp_path)
    before = set(os.listdir(tmp_path))
    for command in ("train", "report"):
        words = [command, str(place / "story.txt"), "--updates", "20", "--out", out, "--force"]
        _, errors = run(*words, cwd=tmp_path, code=1 if out else 2)
        assert errors.count("\n") == 1
    assert set(os.listdir(tmp_path)) == before


def test_force_keeps_what_the_new_run_has_to_read(tmp_path):
    (tmp_path / "samples.txt").write_bytes(STORY.encode())
    (tmp_path / "other.txt").write_bytes(STORY.encode())
    for words in (["samples.txt"], ["other.txt", "--validation", "samples.txt"]):
        _, errors = run("train", *words, *SMALL, "--out", ".", "--force", cwd=tmp_path, code=2)
        assert "samples.txt is to be read, but would be replaced" in errors
    assert (tmp_path / "samples.txt").read_bytes() == STORY.encode()


def test_errors_of_our_own_making_stay_tracebacks(monkeypatch):
    monkeypatch.setitem(cli.COMMANDS, "broken", ("charrnn.no_such_module", "break"))
    with pytest.raises(ModuleNotFoundError):
        cli.main(["broken"])


@pytest.mark.parametrize(
    "training",
    [
        {"step": "abc"},
        {"step": None},
        {"settings": [1]},
        {"settings": None},
        {"smooth_loss_per_char": "x"},
        None,
        {"text": "x\x1b[31mRED", "settings": {"a\x1b": "\x07"}},
    ],
)
def test_info_about_a_file_with_an_odd_description(training, tmp_path, capsys):
    model = CharRNN(hidden_size=3, vocabulary="ab")
    modelfile.write(tmp_path / "odd.safetensors", model.to_tensors(), model.to_metadata() | {"training": training})
    assert cli.main(["info", str(tmp_path / "odd.safetensors")]) == 0
    out = capsys.readouterr().out
    assert "3 hidden units" in out
    assert "\x1b" not in out


# ---- synthesize -------------------------------------------------------------------------------------------------------


def test_synthesize_writes_the_best_models_text(place):
    out, _ = run("synthesize", "charrnn-run", "--length", "300", "--seed", "7", "--temperature", "0.8", cwd=place)
    best = CharRNN.load(place / "charrnn-run" / "best.safetensors")
    assert out == best.synthesize(300, seed=7, temperature=0.8)
    other, _ = run("synthesize", "charrnn-run/best.safetensors", "--length", "300", "--seed", "8", cwd=place)
    assert len(other) == 300
    assert other != out


def test_synthesize_without_a_seed_differs_each_time(place):
    once, again = (run("synthesize", "charrnn-run", "--length", "80", cwd=place)[0] for _ in range(2))
    assert once != again


def test_synthesize_prime_stop_and_several(place):
    best = CharRNN.load(place / "charrnn-run" / "best.safetensors")
    out, _ = run("synthesize", "charrnn-run", "--prime", "The\\nbell", "--stop", "e", "--seed", "1", cwd=place)
    assert out == "The\nbell" + best.synthesize(1000, "The\nbell", seed=1, stop="e")
    out, _ = run("synthesize", "charrnn-run", "--length", "20", "--n", "3", "--seed", "1", "--top-k", "1", cwd=place)
    one = best.synthesize(20, temperature=0)
    assert out == "\n\n".join([one] * 3)


def test_synthesize_streams(place):
    """The first piece arrives while the rest, hours of it, is still to be written; and a reader that goes is no error."""
    words = [*COMMAND, "synthesize", "charrnn-run", "--length", "1e11"]
    with subprocess.Popen(words, cwd=place, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert len(process.stdout.read(1000)) == 1000
        assert process.poll() is None
        process.stdout.close()
        assert process.wait(timeout=60) == 141
        assert process.stderr.read() == b""


@pytest.mark.usefixtures("undrawn")
def test_raw_bytes_in_raw_bytes_out(tmp_path):
    data = bytes(range(256)) * 4
    (tmp_path / "data.bin").write_bytes(data)
    out, _ = run("train", "data.bin", "--bytes", "--updates", "30", "--hidden-size", "8", cwd=tmp_path)
    assert "1,024 bytes, 256 distinct, raw" in out
    code, said, _ = raw("synthesize", "charrnn-run", "--length", "500", "--prime", "é", "--seed", "1", cwd=tmp_path)
    assert code == 0
    best = CharRNN.load(tmp_path / "charrnn-run" / "best.safetensors")
    assert said == "é".encode() + best.synthesize(500, "é".encode(), seed=1)
    said, _ = run("evaluate", "charrnn-run", "data.bin", "--json", cwd=tmp_path)
    assert json.loads(said)["characters"] == 1023


# ---- the others -------------------------------------------------------------------------------------------------------


def test_evaluate(place):
    expected = CharRNN.load(place / "charrnn-run" / "best.safetensors").evaluate(STORY)
    said, _ = run("evaluate", "charrnn-run", "story.txt", "--json", cwd=place)
    said = json.loads(said)
    for name in ("loss", "bits_per_char", "perplexity", "accuracy", "characters"):
        assert said[name] == pytest.approx(getattr(expected, name)), name
    said, _ = run("evaluate", "charrnn-run", "-", cwd=place, stdin=STORY.encode())
    assert f"{expected.loss:.4f} nats per character" in said
    assert f"{expected.bits_per_char:.4f} bits per character" in said
    assert f"{expected.accuracy:.2%} of {len(STORY) - 1:,} characters" in said


def test_info(place):
    out, _ = run("info", cwd=place)
    assert out.rstrip("\n") == charrnn.show_config()
    said, _ = run("info", "--json", cwd=place)
    assert json.loads(said)["charrnn"] == charrnn.__version__
    out, _ = run("info", "charrnn-run", cwd=place)
    assert "16 hidden units" in out
    assert "32 characters: \\n " in out
    assert "story.txt: " in out


def test_kernels_that_do_not_exist(place, monkeypatch):
    monkeypatch.setenv("CHARRNN_KERNELS", "v9")
    _, errors = run("info", cwd=place, code=1)
    assert errors.startswith("charrnn info: error: CHARRNN_KERNELS='v9' is no level")
    monkeypatch.setenv("CHARRNN_KERNELS", "numpy")
    out, _ = run("info", cwd=place)
    assert "forced by CHARRNN_KERNELS=numpy" in out


def test_recipes(tmp_path):
    out, _ = run("recipes", cwd=tmp_path)
    assert [line.split()[0] for line in out.splitlines()] == [*names(), "auto"]
    out, _ = run("recipes", "report-003", cwd=tmp_path)
    (tmp_path / "mine.toml").write_text(out)
    assert load_recipe(tmp_path / "mine.toml") == load_recipe("report-003")


def test_version_and_help(tmp_path):
    assert run("--version", cwd=tmp_path)[0] == f"charrnn {charrnn.__version__}\n"
    for words in ([], ["--help"], ["-h"]):
        out, _ = run(*words, cwd=tmp_path)
        assert Counter(line.split()[0] for line in out.splitlines() if line.startswith("  "))["train"] == 1
        assert all(f"\n  {name} " in out for name in cli.COMMANDS)


@pytest.mark.parametrize("name", ["train", "synthesize", "evaluate", "info", "recipes"])
def test_help_of_a_command(name, capsys):
    with pytest.raises(SystemExit) as caught:
        cli.main([name, "--help"])
    out = capsys.readouterr().out
    assert caught.value.code == 0
    assert f"usage: charrnn {name}" in out
    assert "examples:\n" in out


def test_help_is_quick():
    """Plots, tables and bars are imported by those who need them."""
    code = "import sys\nfrom charrnn.cli import main as cli\ncli.main([])\nprint(*sys.modules, file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code], env=ENVIRONMENT, capture_output=True, text=True, check=True)
    loaded = set(done.stderr.split())
    assert "charrnn.cli.main" in loaded
    assert not {"matplotlib", "tqdm", "safetensors", "jinja2", "charrnn.cli.train"} & loaded


def test_a_run_is_no_text_and_a_text_no_model(tmp_path, monkeypatch, capsys):
    """What is easily taken for the other is named as what it is."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "run.json").write_text("{}")
    (tmp_path / "letter.txt").write_text(STORY)
    for command in (["train", "run"], ["evaluate", "letter.txt", "run"], ["generate", "letter.txt"], ["explain", "letter.txt"]):
        assert cli.main(command) == 2
        told = capsys.readouterr().err
        run_as_text = "run is the folder of a run, not a text; to continue the run: charrnn train --resume run"
        assert (run_as_text if command[0] == "train" else "cannot read letter.txt: it is a text, no model: name a model file") in told
    for command in ("gradcheck", "doctor"):
        assert cli.main([command, "run"]) == 2
        assert "is the folder of a run" in capsys.readouterr().err
