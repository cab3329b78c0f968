"""Recipes: those that are shipped say what the handouts and reports say, and a user's own are read strictly."""

import codecs
import math
import os
import tracemalloc

import numpy as np
import pytest

from charrnn import CharRNN, SettingsError
from charrnn.cli import main as cli
from charrnn.recipes import FOLDER, Recipe, from_toml, load_recipe, names
from charrnn.training.plan import Settings

TEXT = "a rose is a rose is a rose, " * 30


def test_the_shipped_names():
    lab = {"dd2424-2017", "dd2424-2025", "min-char-rnn"}
    reports = {f"report-00{i}" for i in range(5)}
    assert lab | reports <= set(names())


@pytest.mark.parametrize("name", names())
def test_every_recipe_is_whole_and_survives_its_own_toml(name):
    recipe = load_recipe(name)
    assert (recipe.name, bool(recipe.description), bool(recipe.source)) == (name, True, True)
    assert from_toml(recipe.to_toml(), "other", "other") == recipe
    for run in recipe.runs():
        assert run.grid == []
        assert from_toml(run.to_toml(), "other", "other") == run


@pytest.mark.parametrize("name", names())
def test_every_recipe_trains(name):
    model = CharRNN.from_recipe(name, hidden_size=8)
    history = model.train(TEXT, updates=3, seq_length=10, batch_size=1, progress=False)
    assert (len(history), model.recipe) == (3, name)
    assert math.isfinite(history.loss[-1])


def test_the_settings_of_the_lab():
    old, new, karpathy = (load_recipe(name) for name in ("dd2424-2017", "dd2424-2025", "min-char-rnn"))
    for recipe in (old, karpathy):
        assert recipe.model == {"hidden_size": 100, "init": "normal", "init_std": 0.01}
        wanted = {"optimizer": "adagrad", "learning_rate": 0.1, "eps": 1e-8, "clip": 5.0, "loss_reduction": "sum"}
        assert recipe.training.items() >= (wanted | {"seq_length": 25}).items()
    assert new.model == {"hidden_size": 100, "init": "scaled"}
    adam = {"optimizer": "adam", "learning_rate": 0.001, "beta1": 0.9, "beta2": 0.999, "eps": 1e-8}
    assert new.training.items() >= (adam | {"clip": None, "loss_reduction": "mean", "seq_length": 25}).items()


def test_the_settings_of_the_reports():
    runs = [(run.training["seq_length"], run.training["learning_rate"]) for run in load_recipe("report-000").runs()]
    assert runs == [(T, rate) for T in (25, 20) for rate in (0.01, 0.09, 0.1, 0.11, 0.2)]
    assert {run.training["epochs"] for run in load_recipe("report-000").runs()} == {10}
    one, two, four = (load_recipe(f"report-00{i}") for i in (1, 2, 4))
    assert one.training.items() >= {"updates": 150_000, "sample_every": 1000, "optimizer": "adam"}.items()
    assert one.report == {"pytorch": True}
    assert (two.training["epochs"], two.gradcheck) == (3, {"hidden_sizes": [5], "h": 1e-4})
    three = load_recipe("report-003")
    assert [(run.model["init_std"], run.training["epochs"]) for run in three.runs()] == [(0.1, 7), (0.1, 20)]
    assert four.training["learning_rate"] == 0.01


def test_the_published_protocols():
    paper, code = load_recipe("karpathy-2015"), load_recipe("char-rnn")
    common = {"optimizer": "rmsprop", "learning_rate": 0.002, "beta2": 0.95, "epochs": 50, "loss_reduction": "mean"}
    for recipe, T, B, parts in ((paper, 100, 100, "80/10/10"), (code, 50, 50, "95/5")):
        wanted = common | {"seq_length": T, "batch_size": B, "split": parts, "clip": 5 / T}  # they clip the sum over the window to 5
        assert recipe.training.items() >= wanted.items()
        assert recipe.model["init_std"] == pytest.approx(0.08 / math.sqrt(3), rel=1e-4)  # as spread as U(-0.08, 0.08)
    networks = {(run.model["cell"], run.model["layers"], run.model["hidden_size"]) for run in paper.runs()}
    assert networks == {(cell, L, m) for cell in ("rnn", "gru", "lstm") for L in (1, 2, 3) for m in (64, 128, 256, 512)}
    assert code.model.items() >= {"cell": "lstm", "layers": 2, "hidden_size": 128}.items()
    completed = np.array([0, 9, 10, 11, 12])  # epochs; char-rnn multiplies the rate at the end of epoch 10 already
    rates = [Settings(**recipe.training).learning_rates(0, 5, 9, completed) for recipe in (paper, code)]
    assert rates[0] == pytest.approx(0.002 * 0.95 ** np.array([0, 0, 0, 1, 2]))
    assert rates[1] == pytest.approx(0.002 * 0.97 ** np.array([0, 0, 1, 2, 3]))


def test_only_toml_files_lie_beside_the_code():
    assert {path.suffix for path in FOLDER.iterdir()} - {".toml", ".py", ""} == set()


def test_a_users_own_recipe(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text('[model]\nhidden_size = 7\n[training]\nclip = "none"\nlearning_rate = 1\n', "utf-8")
    recipe = load_recipe(path)
    assert recipe == Recipe("mine", model={"hidden_size": 7}, training={"clip": None, "learning_rate": 1})
    deep = from_toml('[model]\ncell = "lstm"\nlayers = 2\nhidden_size = 4\n[training]\ndropout = 0.3\n', "deep", "deep")
    assert (deep.model["cell"], deep.model["layers"], deep.training) == ("lstm", 2, {"dropout": 0.3})
    assert from_toml(deep.to_toml(), "x", "x") == deep
    model = CharRNN.from_recipe(str(path))
    history = model.train("abcab" * 9, updates=2, progress=False)
    assert (model.hidden_size, model.run.settings.clip, len(history)) == (7, None, 2)


def test_a_grid_is_a_product_or_a_list_of_runs():
    product = from_toml("[grid]\nseq_length = [5, 6]\nseed = [1, 2]", "p", "p")
    assert [run.name for run in product.runs()] == [f"p seq_length={T} seed={s}" for T in (5, 6) for s in (1, 2)]
    listed = from_toml('[training]\nepochs = 2\n[[grid]]\nupdates = 9\n[[grid]]\nclip = "none"', "l", "l")
    assert [run.training for run in listed.runs()] == [{"updates": 9}, {"epochs": 2, "clip": None}]


GRID = ("hidden_size", "seed", "updates", "seq_length", "batch_size", "sample_every")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("lerning_rate = 1", "unknown entry 'lerning_rate'"),
        ("learning_rate = 1", r"learning_rate is outside its table: write it below \[training\]"),
        ("hidden_size = 9", r"hidden_size is outside its table: write it below \[model\]"),
        ("[training]\nlearning_rat = 1", "did you mean 'learning_rate'?"),
        ("[model]\nupdates = 1", r"unknown setting in \[model\] 'updates'"),
        ("[grid]\nseq_lenght = [1]", "did you mean 'seq_length'?"),
        ("[[grid]]\nx = 1", r"\[\[grid\]\] 'x'"),
        ("[grid]\nseq_length = 25", "must be a list of values, got 25"),
        ("[grid]\nseq_length = []", "must be a list of values"),
        ("grid = 3", "must be a table, got 3"),
        ("training = 3", "must be a table, got 3"),
        ("name = 3", "name must be a text in quotes, got 3"),
        ("[training]\nlearning_rate = nan", "learning_rate must be a finite number above 0, got nan"),
        ("[training]\nupdates = 1.5", "updates must be a whole number"),
        ("[training]\nupdates = 1\nepochs = 1", "give updates or epochs, not both"),
        ('[training]\noptimizer = "adamm"', "did you mean 'adam'"),
        ('[model]\ncell = "lsmt"', "unknown cell 'lsmt'; did you mean 'lstm'"),
        ("[model]\nlayers = 0", "layers must be a whole number of at least 1, got 0"),
        ("[training]\ndropout = 1", "dropout must be below 1"),
        ("[model]\nhidden_size = 0", "hidden_size must be a whole number of at least 1, got 0"),
        ("[grid]\nlearning_rate = [0.1, -1]", "learning_rate must be a finite number above 0, got -1"),
        ("[grid]\nseed = " + str(list(range(1001))), "makes 1,001 runs"),
        ("[training]\nupdates = " + "9" * 5000, "is no TOML: Exceeds the limit"),
        (
            "[training]\nupdates = " + "9" * 2300,
            "updates must be a whole number of at most .*, got a whole number of about 2,30[01] digits",
        ),
        ("[training]\nlearning_rate = " + "9" * 2300, "learning_rate must be a finite number above 0, got a whole number of about"),
        ("[training]\nlearning_rate = 1e400", "learning_rate must be a finite number above 0, got inf"),
        ("[training]\nupdates = [" + "9" * 2300 + "]", "updates must be a whole number"),
        ("[training]\nupdates = 1979-05-27", "updates must be a whole number of at least 1, got datetime"),
        (
            "[gradcheck]\nhidden_sizes = 5",
            r"\[gradcheck\] hidden_sizes must be a list of 1 to 1,000 whole numbers, such as \[5, 10\], got 5$",
        ),
        ("[gradcheck]\nhidden_sizes = []", r"such as \[5, 10\], got \[\]$"),
        ("[gradcheck]\nhidden_sizes = [5, 0]", "hidden_sizes must be a whole number of at least 1, got 0"),
        ('[gradcheck]\nhidden_sizes = "none"', "hidden_sizes must be a list of .* got None"),
        ('[gradcheck]\nhidden_sizes = [[5], "x"]', r"hidden_sizes must be a whole number of at least 1, got \[5\]"),
        ("[gradcheck]\nseq_length = 0.5", r"\[gradcheck\] seq_length must be a whole number"),
        ("[gradcheck]\nh = 0", r"\[gradcheck\] h must be a finite number above 0"),
        ("[gradcheck]\nh = nan", r"\[gradcheck\] h must be a finite number above 0"),
        ("[report]\npytorch = 1", r"\[report\] pytorch must be True or False, got 1"),
        (
            "[grid]\n" + "".join(f"{name} = {list(range(1, 101))}\n" for name in GRID),
            r"\[grid\] makes 1,000,000,000,000 runs, at most 1,000",
        ),
        ("[[grid]]\nseed = 1\n" * 1001, r"\[\[grid\]\] makes 1,001 runs"),
        ("= 1", "is no TOML"),
        ("[" * 5000, "is no TOML"),
    ],
)
def test_what_makes_no_sense_is_refused(text, complaint):
    tracemalloc.start()
    with pytest.raises(SettingsError, match=complaint) as caught:
        from_toml(text, "mine", "some/mine.toml")
    assert tracemalloc.get_traced_memory()[1] < 20 << 20
    tracemalloc.stop()
    assert len(str(caught.value)) < 600
    assert str(caught.value).startswith("recipe some/mine.toml")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("dd2424-2016", "did you mean 'dd2424-2017'"),
        ("", "unknown recipe|must not be empty"),
        ("../recipes/dd2424-2017", "unknown recipe"),
        ("nowhere.toml", "there is no recipe file nowhere.toml"),
        ("folder.toml", "cannot be read"),
        ("latin.toml", "cannot be read"),
    ],
)
def test_recipes_that_are_not_there(name, complaint, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder.toml").mkdir()
    (tmp_path / "latin.toml").write_bytes(b'name = "\xe9"')
    with pytest.raises(SettingsError, match=complaint):
        load_recipe(name)


def test_none_and_text_survive():
    recipe = Recipe('a "b"', "c\\d\ne\tf \x7f é 😀", training={"clip": None, "eps": 1e-8, "rescue": True})
    assert from_toml(recipe.to_toml(), "x", "x") == recipe


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_a_file_as_windows_writes_it(tmp_path, encoding):
    mark = {"utf-16-le": codecs.BOM_UTF16_LE, "utf-16-be": codecs.BOM_UTF16_BE}.get(encoding, b"")
    text = 'name = "é ☃"\r\n[model]\r\nhidden_size = 7\r\n'
    (tmp_path / "mine.toml").write_bytes(mark + text.encode(encoding))
    assert load_recipe(tmp_path / "mine.toml") == Recipe("é ☃", model={"hidden_size": 7})


def test_files_that_are_no_recipes(tmp_path):
    (tmp_path / "long.toml").write_bytes(b"#" * (1 << 20) + b"\n")
    with pytest.raises(SettingsError, match="it has 1,048,577 bytes, the limit is 1,048,576"):
        load_recipe(tmp_path / "long.toml")
    (tmp_path / "odd.toml").write_bytes(codecs.BOM_UTF16_LE + b"a")
    with pytest.raises(SettingsError, match="cannot be read: 'utf-16"):
        load_recipe(tmp_path / "odd.toml")
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe.toml")
        with pytest.raises(SettingsError, match="it is a pipe or device"):
            load_recipe(tmp_path / "pipe.toml")


def test_a_recipe_is_written_to_a_file(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert cli.main(["recipes", "dd2424-2017", "--out", "my own.toml"]) == 0
    assert capsys.readouterr().out == "wrote my own.toml; to use it: charrnn train --recipe 'my own.toml'\n"
    assert load_recipe("my own.toml") == load_recipe("dd2424-2017")
    (tmp_path / "windows.toml").write_text((tmp_path / "my own.toml").read_text("utf-8"), "utf-16")
    assert cli.main(["recipes", "windows.toml", "--out", "again.toml"]) == 0
    assert (tmp_path / "again.toml").read_bytes() == (tmp_path / "my own.toml").read_bytes()
    capsys.readouterr()
    assert cli.main(["recipes", "dd2424-2017", "--out", "-"]) == 0
    assert capsys.readouterr().out == (tmp_path / "my own.toml").read_text("utf-8")
    for words, code, message in (
        (["dd2424-2017", "--out", "my own.toml"], 1, "my own.toml exists already"),
        (["dd2424-2017", "--out", "mine.txt"], 2, "ends in .toml"),
        (["dd2424-2017", "--out", "gone/mine.toml"], 1, "its folder does not exist"),
        (["--out", "mine.toml"], 2, "--out writes one recipe: name it"),
        (["dd2424-2016", "--out", "mine.toml"], 2, "did you mean 'dd2424-2017'"),
    ):
        assert cli.main(["recipes", *words]) == code
        assert message in capsys.readouterr().err
    assert not (tmp_path / "mine.toml").exists()
