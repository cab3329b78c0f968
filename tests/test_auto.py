"""--recipe auto: what the rules choose, and runs with it."""

import json

import pytest

from charrnn import Corpus, load_recipe
from charrnn.cli.main import main
from charrnn.network.dropout import require_candidate
from charrnn.network.settings import NetworkSettings
from charrnn.recipes.auto import MOST_PASSES, Facts, choose
from charrnn.training.plan import Settings

BOOK = Facts(1_000_000, 65, 0.4, False)


def network(facts, seconds, speed=1e11):
    found = choose(facts, seconds, speed).recipe
    return found.model["cell"], found.model["hidden_size"], found.training


def test_more_time_means_a_larger_network_and_a_faster_machine_is_more_time():
    models = [choose(BOOK, seconds, 1e11).recipe.model for seconds in (20, 60, 200, 600, 3600)]
    sizes = [model["hidden_size"] ** 2 * (2 * model["layers"] - 1) for model in models]  # of all matrices but the embedding
    assert sizes == sorted(sizes)
    assert len(set(sizes)) > 2
    assert choose(BOOK, 60, 1e11).recipe == choose(BOOK, 600, 1e10).recipe


def test_where_there_is_no_time_for_gates_there_are_none():
    assert network(BOOK, 2)[0] == "rnn"
    assert network(BOOK, 60)[0] == "gru"


@pytest.mark.parametrize("cell", ["rnn", "gru", "lstm"])
def test_a_cell_that_is_asked_for_gets_what_it_can_be_trained_with(cell):
    for seconds in (1, 20, 3600):
        found = choose(Facts(20_000, 50, 0.4, False), seconds, 1e10, cell).recipe
        assert found.model["cell"] == cell
        require_candidate(cell, found.training.get("recurrent_dropout", 0))
    assert (found.training["recurrent_dropout"] > 0) == (cell != "rnn")


def test_a_small_text_gets_a_small_network_that_cannot_learn_it_by_heart():
    cell, m, training = network(Facts(20_000, 50, 0.4, False), 600)
    assert (cell, training["epochs"]) == ("gru", MOST_PASSES)
    assert m < network(BOOK, 600)[1]
    assert training["dropout"] >= 0.4
    assert training["recurrent_dropout"] >= 0.4


@pytest.mark.parametrize("characters", [1, 100, 10_000, 10**7, 10**10])
@pytest.mark.parametrize("seconds", [0.01, 10, 1e5])
@pytest.mark.parametrize("is_list", [False, True])
def test_every_choice_can_be_trained_with(characters, seconds, is_list):
    found = choose(Facts(characters, 30, 0.3, is_list), seconds, 3e10)
    NetworkSettings(**found.recipe.model)
    Settings(**found.recipe.training)
    assert all(reason.value and reason.setting for reason in found.reasons)


def test_facts_of_a_text():
    names = "\n".join(f"name{i}" for i in range(500))
    assert Facts.of(Corpus.from_text(names)).is_list
    assert not Facts.of(Corpus.from_text("a line of some words that are no name\n" * 50)).is_list
    assert not Facts.of(Corpus.from_text("again\n" * 500)).is_list
    assert Facts.of(Corpus.from_text(b"\xff\x00" * 200)).compressed < 0.2


def test_a_run_says_what_was_chosen_and_can_be_repeated(tmp_path, capsys):
    text = tmp_path / "text.txt"
    text.write_text("".join(f"{i} and {i * i} are {i + i * i}\n" for i in range(400)))
    common = ["--validation", "0.1", "--sample-every", "none"]
    assert (
        main(["train", str(text), "--recipe", "auto", "--time", "0.3s", "--hidden-size", "12", "--out", str(tmp_path / "a"), *common]) == 0
    )
    said = capsys.readouterr().out
    assert "chosen for the text and the time" in said
    assert "hidden_size" in said
    recipe = load_recipe(tmp_path / "a" / "recipe.toml")
    assert recipe.name == "auto"
    assert recipe.model["hidden_size"] == 12  # an option overrides what was chosen
    assert (
        main(["train", str(text), "--recipe", str(tmp_path / "a" / "recipe.toml"), "--out", str(tmp_path / "b"), "--quiet", *common]) == 0
    )
    assert (tmp_path / "a" / "best.safetensors").read_bytes() == (tmp_path / "b" / "best.safetensors").read_bytes()


def test_of_a_list_some_lines_are_held_out(tmp_path):
    text = tmp_path / "names.txt"
    text.write_text("".join(f"{'abcdefgh'[i % 8]}{i}\n" for i in range(300)))
    assert main(["train", str(text), "--recipe", "auto", "--time", "0.1s", "--out", str(tmp_path / "run"), "--quiet"]) == 0
    request = json.loads((tmp_path / "run" / "run.json").read_text())
    assert (request["validation"], request["validation_split"]) == ("0.1", "lines")


def test_it_is_listed_and_has_no_file(capsys):
    assert main(["recipes"]) == 0
    assert "--recipe auto" in capsys.readouterr().out
    assert main(["recipes", "auto"]) == 2
    assert "auto is not a file" in capsys.readouterr().err


@pytest.mark.parametrize("characters", [2, 10, 100])
def test_a_text_of_a_few_characters_is_trained_on_as_a_whole(characters, tmp_path, capsys):
    text = tmp_path / "text.txt"
    text.write_text(("ab" * 50)[:characters])
    assert main(["train", str(text), "--recipe", "auto", "--time", "0.1s", "--sample-every", "none", "--out", str(tmp_path / "run")]) == 0
    assert "fewer than 1,000 characters" in capsys.readouterr().out
    assert json.loads((tmp_path / "run" / "run.json").read_text())["validation"] is None
    assert main(["train", str(text), "--recipe", "auto", "--time", "0.1s", "--patience", "2", "--out", str(tmp_path / "other")]) == 2
    assert "--patience: recipe auto holds out no part of so short a text" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--updates", "10"], "give --time in place of --updates"),
        (["--epochs", "1"], "give --time in place of --updates"),
        (["--from", "model.safetensors"], "leave --from"),
        (["--time", "soon"], "must be a time"),
        (["--cell", "huh"], "unknown cell 'huh'"),
    ],
)
def test_what_does_not_go_with_it(options, said, capsys):
    assert main(["train", "--recipe", "auto", *options]) == 2
    assert said in capsys.readouterr().err
