"""`charrnn train --resume` and --verify-resume: a stopped run needs nothing else said."""

import io
import json
import os
import shutil
import signal
import threading

import pytest
from resuming import TEXT

from charrnn import CharRNN
from charrnn.cli import main as cli
from charrnn.files.atomic import alone_in
from charrnn.runs import recorder, verification
from charrnn.training import trainer as training
from charrnn.training.checkpoint import checkpoints_in

SETTINGS = "--hidden-size 9 --updates 3000 --sample-every 400 --sample-length 20 --log-every 50 --seed 4"


@pytest.fixture
def train(tmp_path, monkeypatch, capsys):
    """`charrnn train` in a folder with a text; it is stopped after so many updates as if by SIGTERM. Gives what is said."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "text.txt").write_text(TEXT, "utf-8")

    def run(words, stop=None, code=0):
        with monkeypatch.context() as patch:
            real = training.Trainer.advance

            def advance(self, n):
                if stop is not None and self.progress.done >= stop:
                    signal.raise_signal(signal.SIGTERM)
                    return ""
                return real(self, min(n, 170))

            patch.setattr(training.Trainer, "advance", advance)
            patch.setattr(recorder.Recorder, "draw", lambda *_: None)  # which takes longer than all the rest
            assert cli.main(["train", *words.split()]) == code
        return capsys.readouterr()

    return run


def test_a_stopped_run_needs_nothing_else_said(train, tmp_path, monkeypatch):
    words = f"text.txt {SETTINGS} --validation 0.2 --validate-every 700"
    train(f"{words} --out whole")
    said = train(f"{words} --out stopped --checkpoint-every 500 --keep 2", stop=900, code=143)
    assert "go on with: charrnn train --resume stopped" in said.out
    assert verification.differences(tmp_path / "whole", tmp_path / "stopped")
    with open(tmp_path / "stopped" / "metrics.jsonl", "a") as file:
        file.write('{"step": 950, "train/lo')
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    train("--resume ../stopped --quiet --threads 2", stop=2000, code=143)
    said = train("--resume ../stopped")
    assert "resumed after update 2,0" in said.out
    assert "3,000 updates in " in said.out
    assert verification.differences(tmp_path / "whole", tmp_path / "stopped") == []
    assert [step for step, _ in checkpoints_in(tmp_path / "stopped" / "checkpoints")] == [2500, 3000]
    train("--resume ../stopped --quiet")  # nothing is left to do, and nothing changes
    assert verification.differences(tmp_path / "whole", tmp_path / "stopped") == []


def test_a_run_killed_before_its_first_checkpoint_begins_anew(train, tmp_path):
    train(f"text.txt {SETTINGS} --out whole")
    train(f"text.txt {SETTINGS} --out killed", stop=600, code=143)
    shutil.rmtree(tmp_path / "killed" / "checkpoints")
    train("--resume killed --quiet")
    assert verification.differences(tmp_path / "whole", tmp_path / "killed") == []


@pytest.mark.parametrize("raw", ["", " --bytes"])
def test_a_text_from_standard_input_is_kept_for_resuming(raw, train, tmp_path, monkeypatch):
    data = TEXT.replace("\n", "\r\n").encode() + bytes(range(256)) * bool(raw)
    for out in ("whole", "stopped"):
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(data)))
        train(f"-{raw} {SETTINGS} --out {out}", stop=600 if out == "stopped" else None, code=143 * (out == "stopped"))
    monkeypatch.setattr("sys.stdin", None)
    train("--resume stopped --quiet")
    assert verification.differences(tmp_path / "whole", tmp_path / "stopped") == []


def test_a_text_that_has_changed_is_refused_unless_allowed(train, tmp_path):
    train(f"text.txt {SETTINGS} --out run", stop=600, code=143)
    (tmp_path / "text.txt").write_text(TEXT[:-1], "utf-8")
    said = train("--resume run --quiet", code=2)
    assert "is not the text that this run was trained on" in said.err
    assert (said.err.count("\n"), said.out) == (1, "")
    train("--resume run --quiet --allow-other-text")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--resume run --updates 5", "the run has 600 updates already: give more, got 5"),
        ("--resume run --clip 5", "leave --clip out"),
        ("--resume run --out other", "leave --out out"),
        ("--resume run --validation 0.1", "leave --validation out"),
        ("--resume run --recipe fast", "leave --recipe out"),
        ("--resume run --keep 5", "leave --keep out"),
        ("--resume run --seed 0", "leave --seed out"),
        ("--resume run --clip none", "leave --clip out"),
        ("--resume nowhere", "nowhere holds no run that could be resumed: there is no run.json"),
        ("--resume text.txt", "run.json"),
        ("--allow-other-text", "belongs to --resume"),
        ("text.txt --checkpoint-every soon", "checkpoint_every must be a time such as '30s'"),
        ("text.txt --keep 0", "keep must be"),
    ],
)
def test_requests_that_make_no_sense_are_refused(words, message, train, tmp_path):
    train(f"text.txt {SETTINGS} --out run", stop=600, code=143)
    before = {path: path.read_bytes() for path in (tmp_path / "run").rglob("*") if path.is_file()}
    said = train(words, code=2)
    assert message in said.err
    assert (said.err.count("\n"), said.out) == (1, "")
    assert {path: path.read_bytes() for path in (tmp_path / "run").rglob("*") if path.is_file()} == before
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes")
def test_a_text_that_can_be_read_only_once_is_kept(train, tmp_path):
    """A second byte-order mark is a part of the text."""
    text = "\ufeff" + TEXT
    os.mkfifo(tmp_path / "pipe")
    writer = threading.Thread(target=(tmp_path / "pipe").write_bytes, args=[("\ufeff" + text).encode()])
    writer.start()
    train(f"pipe {SETTINGS} --out run", stop=600, code=143)
    writer.join()
    (tmp_path / "pipe").unlink()
    train("--resume run")
    (tmp_path / "text.txt").write_bytes(("\ufeff" + text).encode())
    train(f"text.txt {SETTINGS} --out whole")
    one, other = (CharRNN.load(tmp_path / name / "model.safetensors") for name in ("run", "whole"))
    assert one.theta.tobytes() == other.theta.tobytes()
    for validation in ("-", "/dev/null"):
        assert "validation must be" in train(f"text.txt --validation {validation} --out third", code=2).err


def test_force_is_refused_while_the_run_goes_on(train, tmp_path):
    pytest.importorskip("fcntl")  # nothing is locked on Windows, as docs/long_runs.md says
    train(f"text.txt {SETTINGS} --out run", stop=600, code=143)
    before = {path: path.read_bytes() for path in (tmp_path / "run").rglob("*") if path.is_file()}
    with alone_in(tmp_path / "run" / "checkpoints"):
        assert "another run is writing in" in train(f"text.txt {SETTINGS} --out run --force", code=1).err
    assert {path: path.read_bytes() for path in (tmp_path / "run").rglob("*") if path.is_file()} == before
    train(f"text.txt {SETTINGS} --out run --force")


@pytest.mark.parametrize("line", ['{"step": [1]}', '{"step": 100, "time": NaN}', "[" * 200_000, "5", '{"loss": 1}'])
def test_odd_lines_of_metrics_are_written_anew(line, train, tmp_path):
    train(f"text.txt {SETTINGS} --out run", stop=600, code=143)
    with open(tmp_path / "run" / "metrics.jsonl", "a", encoding="utf-8") as file:
        file.write(line + "\n")
    train("--resume run")
    lines = (tmp_path / "run" / "metrics.jsonl").read_text("utf-8").splitlines()
    assert [json.loads(one)["step"] for one in lines] == sorted({json.loads(one)["step"] for one in lines})


def test_metrics_have_the_first_each_due_and_the_last_update(train, tmp_path):
    for every, steps in ((400, [1, 400, 800, 1000]), (10**6, [1, 1000]), (1, [*range(1, 1001)])):
        words = f"text.txt --hidden-size 5 --seq-length 4 --updates 1000 --sample-every none --out run-{every} --log-every {every}"
        train(words, stop=600, code=143)
        train(f"--resume run-{every}")
        lines = (tmp_path / f"run-{every}" / "metrics.jsonl").read_text("utf-8").splitlines()
        assert [json.loads(line)["step"] for line in lines] == steps


@pytest.mark.parametrize("content", ["", "[]", "{", '{"text": 5}', "[" * 10**5, "\xff"])
def test_a_description_of_a_run_that_is_none_is_refused(content, train, tmp_path):
    train(f"text.txt {SETTINGS} --out run", stop=600, code=143)
    (tmp_path / "run" / "run.json").write_bytes(content.encode("latin-1"))
    assert f"cannot read {os.path.join('run', 'run.json')}, it does not describe a run: " in train("--resume run", code=2).err


@pytest.mark.skipif(not hasattr(os, "fork"), reason="takes too long without fork")
def test_kill_9_at_random_moments(capsys, undrawn):
    import kill_rounds

    assert kill_rounds.main(3, seed=7) == 0
    assert "every one resumed to the same files, bit for bit" in capsys.readouterr().out


def test_verify_resume_proves_it_on_this_machine(train, monkeypatch):
    monkeypatch.setattr(verification, "ROUNDS", 1)
    monkeypatch.setattr(verification, "KILLS", 1)
    said = train("text.txt --hidden-size 5 --verify-resume --validation 0.2 --validate-every 300 --epochs 90")
    assert "left no trace" in said.out
    assert sorted(os.listdir()) == ["text.txt"]


def test_verify_resume_would_notice(train, monkeypatch):
    monkeypatch.setattr(verification.Proof, "_run", lambda self, words, seconds=None: None)
    monkeypatch.setattr(verification, "differences", lambda one, other: ["model.safetensors"])
    assert "NOT the same: model.safetensors" in train("text.txt --verify-resume", code=1).out


def test_differences_are_found(train, tmp_path):
    for out in ("one", "other"):
        train(f"text.txt {SETTINGS} --out {out}")
    assert verification.differences(tmp_path / "one", tmp_path / "other") == []
    for name in ("samples.txt", "metrics.jsonl", "best.safetensors"):
        path = tmp_path / "other" / name
        path.write_bytes(path.read_bytes().replace(b"1", b"2"))
    assert set(verification.differences(tmp_path / "one", tmp_path / "other")) == {"samples.txt", "metrics.jsonl", "best.safetensors"}


def test_force_removes_a_run_and_nothing_else(train, tmp_path):
    train(f"text.txt {SETTINGS} --out run", stop=600, code=143)
    for name in ("notes.txt", "checkpoints/other.safetensors"):
        (tmp_path / "run" / name).write_text("mine")
    train(f"text.txt {SETTINGS} --out run --force --updates 100")
    assert (tmp_path / "run" / "notes.txt").read_text() == "mine"
    assert sorted(path.name for path in (tmp_path / "run" / "checkpoints").iterdir()) == [
        "other.safetensors",
        "step-0000000000.safetensors",
        "step-0000000100.safetensors",
    ]
