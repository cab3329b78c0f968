"""--split 80/10/10: parts for training, validation and a test that is done once, at the end."""

import json
import math

import pytest

import charrnn
from charrnn import CharRNN, SettingsError, TextError, load_recipe
from charrnn.cli.main import main
from charrnn.recipes import from_toml
from charrnn.training import trainer

TEXT = "".join(f"the tide comes in {a}{b}, the tide goes out {b}{a}.\n" for a in "abcdefghij" for b in "klmnopqrst")
HOW = {"updates": 60, "seq_length": 10, "batch_size": 3, "sample_every": None, "progress": False}
WORDS = ["--updates", "60", "--seq-length", "10", "--batch-size", "3", "--sample-every", "none", "--hidden-size", "8", "--seed", "2"]


def metrics(run):
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text("utf-8").splitlines()]


@pytest.fixture
def evaluated(monkeypatch):
    """The names of the texts that training evaluates, in order."""
    names, real = [], trainer.evaluate

    def evaluate(network, corpus, *more):
        names.append(corpus.name)
        return real(network, corpus, *more)

    monkeypatch.setattr(trainer, "evaluate", evaluate)
    return names


@pytest.mark.parametrize("parts", ["80/10/10", "0.8/0.1/0.1", (0.8, 0.1, 0.1), [80, 10, 10], " 80 / 10 / 10 "])
def test_percentages_and_fractions_mean_the_same(parts):
    found = charrnn.split("0123456789" * 10, parts)
    assert [part.text(0, len(part)) for part in found] == ["0123456789" * 8, "0123456789", "0123456789"]
    history = CharRNN(8, seed=2).train(TEXT, split=parts, **HOW)
    assert (history.test.loss, history.best.run.settings.split) == (
        CharRNN(8, seed=2).train(TEXT, split="80/10/10", **HOW).test.loss,
        "80/10/10",
    )


@pytest.mark.parametrize(
    ("parts", "complaint"),
    [
        ("80/10/5", "must add up to 100 .* '80/10/5' add up to 95"),
        ("8/1/1", "add up to 10$"),
        ((0.5, 0.1), "add up to 0.6"),
        ("80", "such as 80/10/10, got '80'"),
        ("70/10/10/10", "must be parts for training, validation and perhaps a test"),
        ("100/0", "such as 80/10/10"),
        ("110/-10", "such as 80/10/10"),
        ("nan/10", "such as 80/10/10"),
        ("inf/10", "such as 80/10/10"),
        ("80-10-10", "such as 80/10/10"),
        ("", "such as 80/10/10"),
        (0.1, "such as 80/10/10, got 0.1"),
        (True, "such as 80/10/10"),
        ((True, 0.5), "such as 80/10/10"),
        (("a", "b"), "such as 80/10/10"),
    ],
)
def test_parts_that_make_no_sense_are_refused(parts, complaint):
    with pytest.raises(SettingsError, match=complaint):
        charrnn.split(TEXT, parts)
    with pytest.raises(SettingsError, match=complaint):
        CharRNN(8).train(TEXT, split=parts, **HOW)


def test_lines_are_split_too():
    lines = sorted(f"{a}{b}{a}" for a in "abcdefghij" for b in "klmno")
    parts = charrnn.split("\n".join(lines), "60/20/20", "lines", seed=3)
    found = [part.text(0, len(part)).splitlines() for part in parts]
    assert ([len(part) for part in found], sorted(found[0] + found[1] + found[2])) == ([30, 10, 10], lines)
    assert all(len({line[0] for line in part}) > 4 for part in found)  # not the end of the alphabet
    with pytest.raises(TextError, match="has only 2 lines"):
        charrnn.split("a\nb\n", "60/20/20", "lines")
    with pytest.raises(TextError, match="too short to be split into 3 parts"):
        charrnn.split("abababab", "80/10/10")


def test_two_parts_are_a_held_out_part():
    one, other = (CharRNN(8, seed=2).train(TEXT, **HOW, **how) for how in ({"split": "90/10"}, {"validation": 0.1}))
    assert one.best.theta.tobytes() == other.best.theta.tobytes()
    assert [v.loss for v in one.validation] == [v.loss for v in other.validation]
    assert one.test is None


def test_the_test_part_is_evaluated_once_and_with_the_best_model(evaluated):
    history = CharRNN(8, seed=2).train(TEXT, split="80/10/10", **HOW)
    training, validation, test = charrnn.split(TEXT)
    assert evaluated == [validation.name] * len(history.validation) + [test.name]
    assert history.test.loss == history.best.evaluate(test, batch_size=3).loss
    assert history.test.step == history.best_step
    assert history.best_by == "validation loss"
    again = CharRNN(8, seed=2).train(charrnn.split(TEXT), **HOW)
    assert (again.test.loss, again.best.theta.tobytes()) == (history.test.loss, history.best.theta.tobytes())
    assert len(training) + len(validation) + len(test) == len(TEXT)


def test_measuring_the_pace_leaves_the_test_part_alone(evaluated, tmp_path, undrawn):
    test = charrnn.split(TEXT).test
    (tmp_path / "text.txt").write_text(TEXT)
    words = ["train", str(tmp_path / "text.txt"), *WORDS, "--split", "80/10/10"]
    assert main([*words, "--out", str(tmp_path / "run")]) == 0  # says how long it will take
    assert [name.partition("[")[2] for name in evaluated].count(test.name.partition("[")[2]) == 1
    evaluated.clear()
    CharRNN(8, seed=2).train(TEXT, split="80/10/10", time="0.2s", seq_length=10, sample_every=None, progress=False)
    assert evaluated.count(test.name) == 1


def test_a_resumed_run_has_the_same_parts_and_one_test(tmp_path, evaluated):
    whole = CharRNN(8, seed=2).train(TEXT, split="80/10/10", **HOW)
    names = list(evaluated)
    evaluated.clear()
    plan = HOW | {"checkpoint": tmp_path, "checkpoint_every": 20, "split": "80/10/10"}
    stopped = CharRNN(8, seed=2).train(TEXT, **plan, callbacks=[lambda event: event.done >= 20])
    assert (len(stopped) < 60, stopped.test) == (True, None)
    _, history = CharRNN.resume(tmp_path, TEXT, progress=False)
    assert evaluated == names
    assert (history.test.loss, history.test.step) == (whole.test.loss, whole.test.step)
    _, same = CharRNN.resume(tmp_path, TEXT, progress=False)  # it is at its end, and knows it
    assert (evaluated, same.test) == (names, history.test)
    _, longer = CharRNN.resume(tmp_path, TEXT, 80, progress=False)
    assert evaluated.count(names[-1]) == 2
    assert any("the test part was evaluated after update 60 already" in note for note in longer.notes)
    assert longer.test is not None
    with pytest.raises(SettingsError, match="has a validation part already"):
        CharRNN.resume(tmp_path, TEXT, validation=0.1, progress=False)
    with pytest.raises(TextError, match="is not the test part of this run"):
        CharRNN.resume(tmp_path, TEXT[:-2] + "s\n", 90, progress=False)


def test_both_ways_at_once_are_refused(tmp_path, capsys):
    with pytest.raises(SettingsError, match="has a validation part already"):
        CharRNN(8).train(TEXT, split="80/10/10", validation=0.1, **HOW)
    with pytest.raises(SettingsError, match="in parts already"):
        CharRNN(8).train(charrnn.split(TEXT), validation=0.1, **HOW)
    (tmp_path / "text.txt").write_text(TEXT)
    train = ["train", str(tmp_path / "text.txt"), "--out", str(tmp_path / "run")]
    for words, message in (
        (["--split", "80/10/10", "--validation", "0.1"], "leave out --validation or --split"),
        (["--split", "80/10/5"], "must add up to 100"),
        (["--split", "98/1/1"], "is too short: validation needs 64 characters, got 44"),
        (["--validation-split", "lines"], "or --split 80/10/10"),
        (["--patience", "3"], "give --validation PART|FILE or --split as well"),
    ):
        assert main([*train, *words]) == 2
        assert message in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_a_recipe_may_hold_a_split():
    recipe = from_toml('[training]\nsplit = "80/10/10"\nupdates = 20\n', "mine", "mine")
    assert from_toml(recipe.to_toml(), "x", "x").training == recipe.training
    with pytest.raises(SettingsError, match="recipe mine: the parts of split must add up"):
        from_toml('[training]\nsplit = "80/10/20"', "mine", "mine")
    model = CharRNN(8)
    model.training_defaults = dict(recipe.training)
    history = model.train(TEXT, seq_length=10, progress=False)
    assert history.test is not None
    assert model.train(TEXT, validation=0.2, updates=9, progress=False).test is None  # in place of the recipe's


def test_on_the_command_line(tmp_path, undrawn, capsys):
    (tmp_path / "text.txt").write_text(TEXT)
    run = tmp_path / "run"
    assert main(["train", str(tmp_path / "text.txt"), *WORDS, "--split", "80/10/10", "--out", str(run)]) == 0
    said = capsys.readouterr().out
    history = CharRNN(8, seed=2).train(TEXT, split="80/10/10", **HOW)
    assert f"test loss {history.test.loss:.4f} nats per character, of the best model by validation loss, after update" in said
    assert "test      text.txt[" in said
    [line] = [line for line in metrics(run) if "test/loss" in line]
    assert (line["test/loss"], line["step"], line["test/best_step"]) == (history.test.loss, 60, history.best_step)
    assert line["test/bits_per_char"] == pytest.approx(line["test/loss"] / math.log(2))
    assert load_recipe(run / "recipe.toml").training["split"] == "80/10/10"
    assert CharRNN.load(run).trained["test_loss_per_char"] == history.test.loss
    before = {name: (run / name).read_bytes() for name in ("metrics.jsonl", "best.safetensors", "samples.txt")}
    assert main(["train", "--resume", str(run), "--quiet"]) == 0
    assert {name: (run / name).read_bytes() for name in before} == before
    assert main(["train", "--resume", str(run), "--updates", "80"]) == 0
    assert "the test part was evaluated after update 60 already" in capsys.readouterr().out
    assert len([line for line in metrics(run) if "test/loss" in line]) == 1
    assert main(["info", str(run)]) == 0
    assert "test        " in capsys.readouterr().out
    lines = tmp_path / "lines"
    words = ["--split", "60/20/20", "--validation-split", "lines", "--out", str(lines), "--quiet"]
    assert main(["train", str(tmp_path / "text.txt"), *WORDS, *words]) == 0
    assert main(["train", "--resume", str(lines), "--updates", "70", "--quiet"]) == 0
    repeated = ["train", str(tmp_path / "text.txt"), "--recipe", str(run / "recipe.toml"), "--out", str(tmp_path / "again"), "--quiet"]
    assert main(repeated) == 0
    assert (tmp_path / "again" / "best.safetensors").read_bytes() == (run / "best.safetensors").read_bytes()


def test_a_report_of_a_recipe_with_a_split(tmp_path):
    (tmp_path / "text.txt").write_text(TEXT)
    recipe = '[model]\nhidden_size = 6\n[training]\nsplit = "80/10/10"\nupdates = 40\nseq_length = 10\n[gradcheck]\nhidden_sizes = [3]\n'
    (tmp_path / "mine.toml").write_text(recipe)
    words = ["report", str(tmp_path / "text.txt"), "--recipe", str(tmp_path / "mine.toml"), "--out", str(tmp_path / "report"), "--quiet"]
    assert main(words) == 0
    [run] = json.loads((tmp_path / "report" / "report.json").read_text("utf-8"))["runs"]
    assert any(note.startswith("test loss ") for note in run["notes"])
