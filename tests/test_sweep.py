"""What a sweep tries, how it compares, what it writes and refuses."""

import csv
import json
import re
import sys
from concurrent.futures import Executor, Future
from dataclasses import replace

import pytest
import sweeping
from commands import run
from hypothesis import given
from hypothesis import strategies as st
from sweeping import TEXT

import charrnn
from charrnn import CharRNN, CharRNNError, Recipe, SettingsError
from charrnn.cli.main import main
from charrnn.recipes import from_toml
from charrnn.recipes.search import Search
from charrnn.sweeps import page
from charrnn.sweeps.results import Sweep, SweptRun
from charrnn.sweeps.work import train_run

LINEAR = {"updates": 180, "seq_length": 6, "sample_every": None, "schedule": "linear"}
RATES = Recipe("rates", training=LINEAR, grid=[{"learning_rate": rate} for rate in (0.3, 0.2, 0.1, 0.05, 0.02, 0.01, 0.005, 0.002, 0.001)])


class Here(Executor):
    """Works when it is asked to, in this thread."""

    def __init__(self, most=1 << 30):
        self.most, self.asked = most, []

    def submit(self, work, *arguments):
        self.asked.append(arguments[3])
        if len(self.asked) > self.most:
            raise KeyboardInterrupt
        future = Future()
        future.set_result(work(*arguments))
        return future


@pytest.fixture(autouse=True)
def undrawn_page(monkeypatch):
    monkeypatch.setattr("charrnn.sweeps.page.page", lambda *_: "")


def made(folder, recipe=RATES, text=None, executor=None, **plan):
    """A sweep; by default on a file beside the folder."""
    if text is None:
        text = folder.parent / "tide.txt"
        text.write_text(TEXT, "utf-8")
    return charrnn.sweep(recipe, text, executor or Here(), out=folder, progress=False, **plan)


# ---- which runs ------------------------------------------------------------------------------------------------------

RANGES = st.fixed_dictionaries(
    {
        "hidden_size": st.sampled_from([{"low": 4, "high": 64}, {"low": 4, "high": 64, "log": True}, [8, 16]]),
        "learning_rate": st.sampled_from([{"low": 0.001, "high": 0.1, "log": True}, {"low": 0.001, "high": 0.1}]),
        "clip": st.just([1.0, 5.0, "none"]),
    }
)


@given(RANGES, st.integers(1, 20), st.integers(0, 1000))
def test_draws_are_different_within_their_ranges_and_begin_alike(space, runs, seed):
    found = Search.of({"runs": runs, "seed": seed, "space": space}).draws()
    assert len(found) == runs == len({repr(one) for one in found})
    assert found == Search.of({"runs": runs + 5, "seed": seed, "space": space}).draws()[:runs]
    for one in found:
        assert isinstance(one["hidden_size"], int)
        assert 4 <= one["hidden_size"] <= 64
        assert 0.001 <= one["learning_rate"] <= 0.1
        assert one["clip"] in (1.0, 5.0, None)
    text = Recipe("drawn", search={"runs": runs, "seed": seed, "space": space}).to_toml()
    assert from_toml(text, "", "it").candidates() == found


def test_log_ranges_are_even_in_the_logarithm():
    space = {"learning_rate": {"low": 1e-4, "high": 1.0, "log": True}, "hidden_size": {"low": 1, "high": 100}}
    found = Search.of({"runs": 1000, "space": space}).draws()
    assert 450 < sum(one["learning_rate"] < 1e-2 for one in found) < 550
    assert 450 < sum(one["hidden_size"] <= 50 for one in found) < 550


@pytest.mark.parametrize(
    ("tables", "error"),
    [
        ('[search]\nmethod = "halve"', "unknown [search] method 'halve'; did you mean 'halving'?"),
        ('[search]\nmethod = "random"', "draws from a [search.space], which is missing"),
        ("[search]\nruns = 3", "give both, or neither"),
        ("[search.space]\nseed = [1, 2]", "give both, or neither"),
        ("[search]\nruns = 0\n[search.space]\nseed = [1, 2]", "[search] runs must be a whole number of at least 1, got 0"),
        ("[search]\nruns = 2\n[search.space]\nhidden = [1, 2]", "unknown setting in [search.space] 'hidden'; did you mean 'hidden_size'?"),
        ("[search]\nruns = 2\n[search.space]\nseed = []", "[search.space] seed must be a list of values or a range"),
        ("[search]\nruns = 2\n[search.space]\ndropout = { low = 0.5, high = 0.1 }", "dropout: high must be a finite number above 0.5"),
        (
            "[search]\nruns = 2\n[search.space]\ndropout = { low = 0, high = 0.1, log = true }",
            "dropout: low must be a finite number above 0",
        ),
        ("[search]\nfactor = 3", "factor belongs to method = \"halving\", got 'grid'"),
        ("[search]\nruns = 2\n[search.space]\nseed = [1, 2]\n[grid]\nseed = [1]", "give a [grid] or a [search.space], not both"),
        ("[search]\nrun = 2", "unknown setting in [search] 'run'; did you mean 'runs'?"),
        ("search = 1", "[search] must be a table, got 1"),
    ],
)
def test_searches_that_make_no_sense(tables, error):
    with pytest.raises(SettingsError, match=re.escape(error)):
        from_toml(tables, "mine", "mine.toml")


@pytest.mark.parametrize(
    ("recipe", "plan", "error"),
    [
        (Recipe("mine"), {}, "recipe mine has nothing to compare: give it a [grid] or a [search.space]"),
        (Recipe("mine", search={"runs": 9, "space": {"seed": [1, 2]}}), {}, "only 2 different settings, [search] runs asks for 9"),
        (Recipe("mine", grid=[{"seed": 1}, {"hidden": 1}]), {}, "unknown setting in [[grid]] 'hidden'; did you mean 'hidden_size'?"),
        (Recipe("mine", grid=[{"dropout": 0.1}, {"dropout": 1.5}]), {}, "dropout must be below 1, got 1.5"),
        (replace(RATES, grid=[{"seq_length": 6}, {"seq_length": 6000}]), {}, "run rates seq_length=6000: "),
        (RATES, {"validation": None}, "a sweep chooses by the loss on a validation text: give a part of the text"),
        (RATES, {"validation": "none"}, "a sweep chooses by the loss on a validation text: give a part of the text"),
        (RATES, {"validation": 1.5}, "validation must be a part of the text between 0 and 1, or a file, got 1.5"),
        (RATES, {"validation": "none.txt"}, "none.txt"),
        (RATES, {"executor": 3}, "executor must have a method submit (PEP 3148), or be 'dask://HOST:PORT', got 3"),
        (RATES, {"executor": "ray://1.2.3.4:5"}, "executor must be dask://HOST:PORT"),
        (RATES, {"workers": 2}, "leave it out where an executor is given"),
        (replace(RATES, grid=[{"seed": 1}, {"seed": 2}]), {"validation_split": "lines"}, "would shuffle the lines differently"),
    ],
)
def test_what_is_refused_before_any_work(recipe, plan, error, tmp_path):
    folder, executor = tmp_path / "sweep", Here()
    with pytest.raises(CharRNNError, match=re.escape(error)) as caught:
        made(folder, recipe, TEXT.replace(". ", ".\n"), **{"executor": executor} | plan)
    assert "\n" not in str(caught.value)
    assert not folder.exists()
    assert not executor.asked


def test_nobody_at_the_address(tmp_path, monkeypatch):
    pytest.importorskip("distributed")
    monkeypatch.setattr("charrnn.sweeps.executors.PATIENCE", 0.3)
    (tmp_path / "mine.toml").write_text(RATES.to_toml(), "utf-8")
    out, errors = run("sweep", "mine.toml", "--executor", "dask://127.0.0.1:9", "--out", "sweep", cwd=tmp_path, code=1)
    assert not out
    assert errors.count("\n") == 1
    assert "no Dask scheduler answers at dask://127.0.0.1:9 (OSError: Timed out" in errors
    assert not (tmp_path / "sweep").exists()


def test_dask_that_is_not_installed(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(SettingsError, match=r"dask://127\.0\.0\.1:9 needs Dask: pip install 'charrnn\[dask\]'"):
        made(tmp_path / "sweep", executor="dask://127.0.0.1:9")
    assert not (tmp_path / "sweep").exists()


# ---- what comes out --------------------------------------------------------------------------------------------------


def test_results_tables_and_the_best_model(tmp_path):
    found = made(tmp_path / "sweep")
    losses = [run.validation_loss for run in found.runs]
    assert losses == sorted(losses)
    assert found.best is found.runs[0]
    rows = [json.loads(line) for line in (tmp_path / "sweep/sweep.jsonl").read_text("utf-8").splitlines()]
    assert rows == found.rows()
    assert [row["validation_loss"] for row in rows] == losses
    table = list(csv.DictReader((tmp_path / "sweep/sweep.csv").read_text("utf-8").splitlines()))
    assert [float(row["learning_rate"]) for row in table] == [run.settings["learning_rate"] for run in found.runs]
    assert [int(row["rank"]) for row in table] == list(range(1, 10))
    assert str(found).splitlines()[1].split() == [f"{losses[0]:.4f}", str(found.best.best_step), str(found.best.settings["learning_rate"])]
    held_out = TEXT[len(TEXT) - round(0.1 * len(TEXT)) :]
    for model in (CharRNN.load(tmp_path / "sweep"), found.best.model()):
        assert model.evaluate(held_out).loss == pytest.approx(losses[0], rel=1e-6)
    assert not list(tmp_path.glob("sweep/runs/*/checkpoints"))


def test_a_run_is_what_train_makes_of_it(tmp_path):
    """The same files as charrnn train's, from the recipe in the run's folder."""
    found = made(tmp_path / "sweep")
    own = found.runs[3].folder
    run("train", "tide.txt", "--recipe", own / "recipe.toml", "--validation", "0.1", "--out", "run", "--quiet", cwd=tmp_path)
    for name in ("model.safetensors", "best.safetensors", "samples.txt", "recipe.toml"):
        assert (tmp_path / "run" / name).read_bytes() == (own / name).read_bytes()


def test_halving_goes_on_from_where_runs_stand(tmp_path):
    """Nine runs for a ninth of their updates, three for a third, one to its end; what came to its end is the run of that length, though
    its learning rate falls to 0 over it."""
    executor = Here()
    found = made(tmp_path / "halved", replace(RATES, search={"method": "halving"}), executor=executor)
    assert executor.asked == [18] * 9 + [63] * 3 + [None]
    assert sorted(run.updates_done for run in found.runs) == [18] * 6 + [63] * 2 + [180]
    assert found.best.updates_done == 180
    logs = sweeping.work(tmp_path / "halved")
    assert [line.get("from", line.get("to")) for line in logs[found.best.folder.name]] == [0, 18, 18, 63, 63, 180]
    whole = made(tmp_path / "whole")
    halved, straight = sweeping.files(tmp_path / "halved"), sweeping.files(tmp_path / "whole")
    names = [name for name in straight if found.best.folder.name in name]
    assert len(names) > 5
    assert all(halved[name] == straight[name] for name in names)
    at_first = sorted(whole.runs, key=lambda run: min(loss for step, loss in run.validation if step <= 18))[:3]
    assert {run.label for run in at_first} == {run.label for run in found.runs if run.updates_done > 18}


def test_halving_broken_off_is_the_same_and_can_become_a_grid(tmp_path):
    recipe = replace(RATES, search={"method": "halving", "factor": 2, "rungs": 3})
    made(tmp_path / "one", recipe)
    for most in (5, 7, 1):
        with pytest.raises(KeyboardInterrupt):
            made(tmp_path / "two", recipe, executor=Here(most))
    made(tmp_path / "two", recipe)
    assert sweeping.files(tmp_path / "one") == sweeping.files(tmp_path / "two")
    executor = Here()
    made(tmp_path / "two", executor=executor)
    assert len(executor.asked) == 9 - 2  # those that came to their end
    made(tmp_path / "whole")
    grid, whole = sweeping.files(tmp_path / "two"), sweeping.files(tmp_path / "whole")
    assert {**grid, "recipe.toml": b""} == {**whole, "recipe.toml": b""}


def test_more_runs_are_added_to_what_is_there(tmp_path):
    made(tmp_path / "sweep", replace(RATES, grid=RATES.grid[:4]))
    executor = Here()
    assert len(made(tmp_path / "sweep", executor=executor).runs) == 9
    assert len(executor.asked) == 5


def test_runs_that_fail(tmp_path):
    """A loss that is not finite is a result; what is said of it does not depend on the folder."""
    training = {"updates": 60, "seq_length": 6, "optimizer": "sgd", "clip": None, "sample_every": None}
    recipe = Recipe("wild", training=training, grid=[{"learning_rate": rate} for rate in (1e38, 0.001)])
    found = made(tmp_path / "sweep", recipe)
    assert found.best.settings == {"learning_rate": 0.001}
    assert found.runs[1].validation_loss is None
    assert "the loss became" in found.runs[1].error
    assert str(tmp_path) not in found.runs[1].error
    assert "failed" in str(found)
    (tmp_path / "wild.toml").write_text(replace(recipe, grid=recipe.grid[:1]).to_toml(), "utf-8")
    out, _ = run("sweep", "wild.toml", "--out", "all-wild", "--workers", "1", cwd=tmp_path, code=1)
    assert "1 of 1 runs failed" in out


def test_another_text_or_something_else_in_the_folder(tmp_path):
    made(tmp_path / "sweep")
    with pytest.raises(CharRNNError, match=r"is on another text \(tide\.txt: .*\): give that one, or another --out"):
        made(tmp_path / "sweep", text=TEXT + "!")
    with pytest.raises(CharRNNError, match="has another validation text"):
        made(tmp_path / "sweep", validation=0.2)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/notes.txt").write_text("keep")
    with pytest.raises(CharRNNError, match="is not empty, and holds no sweep"):
        made(tmp_path / "mine")
    about = tmp_path / "sweep/sweep.json"
    about.write_text(about.read_text().replace(charrnn.__version__, "9.9"))
    with pytest.raises(CharRNNError, match=r"is of charrnn 9\.9, this is"):
        made(tmp_path / "sweep")


def test_damaged_results_are_made_again(tmp_path):
    found = made(tmp_path / "sweep")
    before = sweeping.files(tmp_path / "sweep")
    (found.runs[0].folder / "result.json").write_text('{"finished": tru')
    (found.runs[1].folder / "result.json").unlink()
    (found.runs[2].folder / "run.json").unlink()
    (found.runs[2].folder / "result.json").unlink()
    executor = Here()
    made(tmp_path / "sweep", executor=executor)
    assert len(executor.asked) == 3
    assert sweeping.files(tmp_path / "sweep") == before


def test_a_worker_with_another_charrnn_or_text(tmp_path):

    class Elsewhere(Here):
        def __init__(self, change):
            super().__init__()
            self.change = change

        def submit(self, work, settings, source, *rest):
            return super().submit(work, *self.change(settings, source), *rest)

    with pytest.raises(CharRNNError, match=r"begun by charrnn 0\.0, but a worker has"):
        made(tmp_path / "a", executor=Elsewhere(lambda settings, source: (settings | {"charrnn": "0.0"}, source)))
    (tmp_path / "other.txt").write_text(TEXT + "!", "utf-8")
    other = {"text": [str(tmp_path / "other.txt")]}
    with pytest.raises(CharRNNError, match=r"other\.txt is not the text of the sweep .* where this run is to be made"):
        made(tmp_path / "b", executor=Elsewhere(lambda settings, source: (settings, source | other)))


def test_one_process_at_a_time_works_in_a_folder(tmp_path):
    """A second one waits, and finds the result."""
    import threading

    from charrnn.files.atomic import alone_in

    found = made(tmp_path / "sweep", replace(RATES, grid=RATES.grid[:1]))
    arguments = []

    class Asking(Here):
        def submit(self, work, *given):
            arguments.append(given)
            return super().submit(work, *given)

    (found.best.folder / "result.json").rename(tmp_path / "result.json")
    made(tmp_path / "sweep", replace(RATES, grid=RATES.grid[:1]), executor=Asking())
    before, answers = sweeping.work(tmp_path / "sweep"), []
    with alone_in(found.best.folder):
        thread = threading.Thread(target=lambda: answers.append(train_run(*arguments[0])))
        thread.start()
        thread.join(0.3)
        assert not answers
    thread.join(10)
    assert answers[0]["validation_loss"] == found.best.validation_loss
    assert sweeping.work(tmp_path / "sweep") == before


def test_standard_input_is_kept(tmp_path):
    (tmp_path / "mine.toml").write_text(replace(RATES, grid=RATES.grid[:2]).to_toml(), "utf-8")
    out, _ = run("sweep", "mine.toml", "-", "--workers", "1", cwd=tmp_path, stdin=TEXT.encode())
    assert re.search(r"2 of 2  validation loss \d\.\d{4} after update \d+ of 180: learning_rate=0\.2", out)
    assert (tmp_path / "charrnn-sweep/sweep.txt").read_text("utf-8") == TEXT
    again, _ = run("sweep", "mine.toml", "-", cwd=tmp_path, stdin=TEXT.encode())
    assert "2 of 2 runs are done already" in again


# ---- the page --------------------------------------------------------------------------------------------------------

NASTY = "<script>alert(1)</script> \x1b[2J \u202e &amp;"
POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
PAGE = page.page


def swept(tmp_path, settings, loss, **more):
    shown = {"best_step": 20, "updates_done": 40, "updates_planned": 40, "train_loss": 2.0, "error": None, "finished": True} | more
    curve = [] if loss is None else [[20, loss], [40, loss + 0.1]]
    return SweptRun(settings, str(settings), tmp_path / "0123456789ab", loss, validation=curve, **shown)


def test_rare_characters_are_read_as_one(tmp_path, capsys):
    """As by charrnn train, and again where the sweep goes on."""
    text, recipe = tmp_path / "text.txt", tmp_path / "recipe.toml"
    text.write_text(TEXT + "Zebra Quagga", "utf-8")
    recipe.write_text("[training]\nupdates = 20\nseq_length = 6\n[grid]\nhidden_size = [4]\n")
    words = ["sweep", str(recipe), str(text), "--out", str(tmp_path / "sweep"), "--workers", "1", "--min-count", "5"]
    assert main(words) == 0
    vocabulary = CharRNN.load(tmp_path / "sweep" / "best.safetensors").vocabulary
    assert vocabulary.unknown is not None
    assert "Z" not in vocabulary
    capsys.readouterr()
    assert main(words) == 0
    assert "1 of 1 runs are done already" in capsys.readouterr().out
    assert main([*words[:-1], "1"]) == 1
    assert "is on another text" in capsys.readouterr().err


def test_the_page_shows_every_run_and_can_load_and_run_nothing(tmp_path):
    runs = [
        swept(tmp_path, {"learning_rate": 0.1, "cell": "lstm", "clip": None}, 1.25),
        swept(tmp_path, {"learning_rate": 0.001, "cell": "rnn", "clip": 5.0}, 1.75),
        swept(tmp_path, {"learning_rate": 1.0, "cell": "rnn"}, None, error=NASTY, best_step=None, train_loss=None),
    ]
    text = PAGE(Sweep(tmp_path, runs), Recipe(NASTY, NASTY, search={"seed": 1}), NASTY, 5, NASTY)
    assert text.count(f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">') == 1
    assert "<script" not in text
    assert not re.search(r"<[^>]*\son\w+=", text)
    assert not re.search(r'(?:src|href)="(?!#)', text)
    assert not set(text.partition("<body>")[2]) & {"\x1b", "\u202e"}
    assert text.count("<svg") == 4  # two pictures, each for a desk and for a phone
    for shown in ("1.2500", "1.7500", "lstm", "3 of 5 runs have a result", "alert(1)"):
        assert shown in text
    assert len(set(re.findall(r' id="([^"]*)"', text))) == len(re.findall(r' id="([^"]*)"', text))


def test_the_page_of_nothing_and_of_failures(tmp_path):
    assert "<svg" not in PAGE(Sweep(tmp_path, []), RATES, "text", 9, "again")
    failed = swept(tmp_path, {"seed": 1}, None, error="wrong", best_step=None)
    assert "1 failed" in PAGE(Sweep(tmp_path, [failed]), RATES, "text", 1, "again")
