"""Programs as people hand them in, each checked as it stands: what they are is in data/student_programs/table.toml."""

import json
import sys
import time
import tomllib
from pathlib import Path

import pytest

from charrnn import SettingsError, check_gradients
from charrnn.cli import main as cli
from charrnn.lab import worker
from charrnn.lab.loading import load, text_of
from charrnn.lab.worker import diagnosis_of

PROGRAMS = Path(__file__).parent / "data" / "student_programs"
TABLE = tomllib.loads((PROGRAMS / "table.toml").read_text("utf-8"))
SIZES = {"m": 5, "K": 7, "T": 6, "B": 3}


@pytest.fixture(autouse=True)
def nothing_written(monkeypatch, tmp_path):
    """Each test runs in an empty folder, and leaves it empty unless it writes there itself; few differences make it a short one."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("charrnn.lab.subject.ProgramSubject.few", 3)


def checked(name, *wanted):
    return diagnosis_of(PROGRAMS / f"{name}.py", list(wanted))


def found(diagnosis):
    return {finding.mistake.key: "".join(finding.parameters) for finding in diagnosis.findings}


def test_every_program_is_in_the_table():
    listed = [
        *TABLE["right"]["programs"],
        *TABLE["clipped"]["programs"],
        *TABLE["other-loss"]["programs"],
        *TABLE["wrong"],
        *TABLE["narrowed"],
    ]
    assert sorted(listed) == sorted(path.stem for path in PROGRAMS.glob("*.py"))
    assert len(listed) >= 40


@pytest.mark.parametrize("name", TABLE["right"]["programs"])
def test_right_ones_are_left_in_peace(name, tmp_path, capfd):
    diagnosis = checked(name)
    assert diagnosis.status == "right", str(diagnosis)
    assert diagnosis.passed
    assert diagnosis.findings == diagnosis.narrowed == []
    assert "".join(capfd.readouterr()) == ""
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", TABLE["clipped"]["programs"])
def test_right_ones_that_clip_are_right(name):
    diagnosis = checked(name)
    assert diagnosis.status == "clipped", str(diagnosis)
    assert diagnosis.passed
    assert diagnosis.verdict().startswith(f"Right, but clipped {TABLE['clipped']['detail'][name]}:")
    assert "Wrong" not in diagnosis.verdict()


@pytest.mark.parametrize("name", TABLE["other-loss"]["programs"])
def test_gradients_of_another_loss(name):
    diagnosis = checked(name)
    assert diagnosis.status == "other-loss", str(diagnosis)
    assert not diagnosis.passed
    assert diagnosis.verdict() == "Right for the cross-entropy (the mean per character), but the loss that you return is another one."


@pytest.mark.parametrize("name", TABLE["wrong"])
def test_wrong_ones_are_named(name):
    diagnosis = checked(name)
    assert diagnosis.status == "wrong", str(diagnosis)
    assert not diagnosis.passed
    assert found(diagnosis) == TABLE["wrong"][name]


@pytest.mark.parametrize("name", TABLE["narrowed"])
def test_what_has_no_name_is_narrowed_down(name):
    diagnosis = checked(name)
    parameters, where = TABLE["narrowed"][name]
    assert diagnosis.verdict() == f"Wrong: {parameters}."
    assert where in diagnosis.narrowed


# ---- what is said besides ------------------------------------------------------------------------------------------------


def test_a_state_that_is_carried_is_said():
    remarks = " ".join(checked("stateful_net").remarks)
    assert "A second call gives another loss" in remarks
    assert "Set it back before each evaluation" in remarks


def test_a_fixed_initial_state_is_no_error():
    diagnosis = checked("sgd_step")
    assert diagnosis.passed
    assert any("fixed at 0" in remark for remark in diagnosis.remarks)


def test_what_was_found_and_left_out_is_said():
    diagnosis = checked("min_char")
    assert diagnosis.found == "lossFun (line 19) of min_char.py"
    assert diagnosis.left_out == ["line 7 (a call)", "lines 51-62 (a loop)"]
    text = " ".join(str(diagnosis).split())
    assert "lossFun(inputs, targets, hprev = state)" in text
    assert "U = Wxh (m, K), W = Whh (m, m), V = Why (K, m), b = bh (m, 1), c = by (K, 1)" in text


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("sentiment", ["SentenceRNN"]),
        ("oop_hprev", ["CharRnn.backward"]),
        ("dinosaurs", ["rnn_forward", "rnn_backward"]),
        ("dinosaurs", ["optimize"]),
        ("hidden_wgts", ["forwardProp", "crossEntropy", "backProp"]),
        ("min_char", ["lossFun"]),
    ],
)
def test_what_is_named_is_called(name, wanted):
    diagnosis = checked(name, *wanted)
    for part in wanted:
        assert part in diagnosis.found
    assert diagnosis.status == {"sentiment": "wrong", "oop_hprev": "wrong", "min_char": "clipped"}.get(
        name, "clipped" if wanted == ["optimize"] else "right"
    )


def test_a_numerical_gradient_of_a_program():
    path = PROGRAMS / "wrong_checker.py"
    diagnosis = diagnosis_of(path, [], {"file": str(path), "name": "compute_grads_num"})
    assert diagnosis.status == "right"
    keys = {finding.mistake.key: "".join(finding.parameters) for finding in diagnosis.checker_findings}
    assert keys == {"row-perturbed-view": "UWV", "view-kept": "bc"}
    assert not diagnosis.passed
    assert diagnosis.verdict() == "Your gradients are right; your numerical gradients are wrong."


def test_objects_and_classes(tmp_path):
    scope = load(PROGRAMS / "list_wraps.py", SIZES).scope
    scope["VanillaRNN"].__module__ = "somewhere"
    for thing in (scope["VanillaRNN"], scope["VanillaRNN"](7, 5), scope["VanillaRNN"](7, 5).loss_and_grads):
        assert found(check_gradients(thing)) == TABLE["wrong"]["list_wraps"]


def test_an_instance_is_not_changed():
    net = load(PROGRAMS / "sgd_step_factor.py", SIZES).scope["Net"](7, 5)
    before = {key: array.copy() for key, array in net.weights.items()}
    assert check_gradients(net).wrong == ["V"]
    assert all((net.weights[key] == array).all() for key, array in before.items())


# ---- loading -------------------------------------------------------------------------------------------------------------


def written(tmp_path, source, name="mine.py"):
    (tmp_path / name).write_text(source, "utf-8")
    return tmp_path / name


def test_only_imports_definitions_and_simple_assignments_are_executed(tmp_path):
    mark = tmp_path / "mark"
    path = written(
        tmp_path,
        f"import numpy as np\nimport not_there\nfrom pathlib import Path\nhidden_size, rate = 100, 0.5\nW = np.zeros((hidden_size, 3))\n"
        f"data = open('nowhere.txt').read()\nK = len(set(data))\ndef train():\n    Path({str(mark)!r}).touch()\n"
        f"train()\nlosses = train()\nfor i in range(3):\n    train()\nwhile True:\n    pass\nif __name__ == '__main__':\n    train()\n"
        f"Path({str(mark)!r}).write_text('a')\nwith open({str(mark)!r}, 'w') as f:\n    f.write('a')\n",
    )
    program = load(path, SIZES)
    assert not mark.exists()
    assert program.scope["K"] == 7
    assert program.scope["hidden_size"] == 5
    assert program.scope["W"].shape == (5, 3)
    assert program.scope["rate"] == 0.5
    assert [said.partition(" (")[0] for said in program.left_out] == [
        "import not_there",
        "line 10",
        "line 11",
        "lines 12-13",
        "lines 14-15",
        "lines 16-17",
        "line 18",
        "lines 19-20",
    ]


def test_modules_beside_the_file_are_loaded_like_it(tmp_path):
    written(
        tmp_path,
        "import numpy as np\nraise_if_run = 1\nwhile True: pass\ndef softmax(z): return np.exp(z) / np.exp(z).sum()\n",
        "helpers_of_mine.py",
    )
    program = load(written(tmp_path, "from helpers_of_mine import softmax\n"), SIZES)
    assert program.scope["softmax"](0.0) == 1
    assert "helpers_of_mine" not in sys.modules


@pytest.mark.parametrize("symbols", [3, 7, 30, 100])
def test_the_text_in_the_place_of_files(symbols):
    assert len(set(text_of(symbols))) == symbols


# ---- the command ---------------------------------------------------------------------------------------------------------


def test_command_with_a_file_alone(capsys, tmp_path):
    assert cli.main(["gradcheck", "--mine", str(PROGRAMS / "last_step_outside.py"), "--json", "--out", "page.html"]) == 1
    answer = json.loads(capsys.readouterr().out)
    assert answer["status"] == "wrong"
    assert answer["verdict"] == "Wrong: dU, dW, db; and clipped to +-5."
    assert {f["key"] for f in answer["findings"]} == {"tanh-slope-brackets", "clipped"}
    page = (tmp_path / "page.html").read_text("utf-8")
    assert page.startswith("<!doctype html>")
    assert '<h1 class="wrong">Wrong: dU, dW, db; and clipped to +-5.</h1>' in page
    assert "last_step_outside.py" in page


def test_command_passes_what_is_right_but_clipped(capsys):
    begun = time.monotonic()
    assert cli.main(["gradcheck", "--mine", str(PROGRAMS / "min_char.py") + ":lossFun"]) == 0
    assert "Right, but clipped to +-5" in capsys.readouterr().out
    assert time.monotonic() - begun < 15  # two seconds where nothing else runs


def test_command_ends_what_does_not_end(tmp_path, capsys):
    path = written(tmp_path, "import time\ndef loss(x, y, h, Wxh, Whh, Why):\n    time.sleep(99)\n")
    begun = time.monotonic()
    assert cli.main(["gradcheck", "--mine", str(path), "--time-limit", "1"]) == 2
    assert time.monotonic() - begun < 20
    error = capsys.readouterr().err
    assert "did not end within 1 seconds" in error
    assert error.count("\n") == 1


def test_command_with_what_never_gives_up(tmp_path, capsys):
    """A bare except swallows what ends a call; the process is ended all the same."""
    path = written(
        tmp_path, "def loss(x, y, h, Wxh, Whh, Why):\n    while True:\n        try:\n            while True: pass\n        except: pass\n"
    )
    assert cli.main(["gradcheck", "--mine", str(path), "--time-limit", "1.5"]) == 2
    assert "did not end within 1.5 seconds" in capsys.readouterr().err


def test_command_writes_nothing_of_the_users(tmp_path, capfd):
    source = (PROGRAMS / "min_char.py").read_text("utf-8")
    loud = source.replace("    loss = 0\n", "    print('never seen')\n    import os, sys\n    os.write(1, b'nor this')\n    loss = 0\n")
    writing = "(lambda: np.save('mine.npy', Wxh), lambda: os.mkdir('mine'), lambda: os.remove('mine.py'))"
    attempts = f"    for do in {writing}:\n        try:\n            do()\n        except PermissionError:\n            pass\n"
    loud = loud.replace("    return loss,", attempts + "    return loss,")
    written(tmp_path, loud)
    assert cli.main(["gradcheck", "--mine", "mine.py"]) == 0
    out = capfd.readouterr().out
    assert "never seen" not in out
    assert "nor this" not in out
    assert [path.name for path in tmp_path.iterdir()] == ["mine.py"]


def test_command_prints_an_adapter_for_what_cannot_be_called(tmp_path, same_process, capsys):
    path = written(
        tmp_path,
        "class Net:\n    def __init__(self, oracle): oracle.ask()\n    def forward(self, x, h): ...\n    def backward(self, y): ...\n",
    )
    assert cli.main(["gradcheck", "--mine", str(path)]) == 2
    out, error = capsys.readouterr()
    compile(out, "adapter", "exec")
    for words in (
        "from mine import Net",
        "def adapter(parameters, inputs, targets, state):",
        "net.forward(x=inputs, h=state)",
        "net.backward(y=targets)",
    ):
        assert words in out
    assert error.count("\n") == 1
    assert cli.main(["gradcheck", "--mine", str(path), "--json"]) == 2
    assert json.loads(capsys.readouterr().out)["status"] == "not-called"


def test_the_users_own_line_is_in_the_message(tmp_path, same_process, capsys):
    source = (PROGRAMS / "min_char.py").read_text("utf-8").replace("dWhy += np.dot(dy, hs[t].T)", "dWhy += np.dot(dy, hs[t])")
    path = written(tmp_path, source)
    assert cli.main(["gradcheck", "--mine", str(path)]) == 2
    error = capsys.readouterr().err
    assert f"line {source[: source.index('dWhy += ')].count(chr(10)) + 1}: dWhy += np.dot(dy, hs[t])" in error


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("mine.py:Nett", "mine.py has no 'Nett'; did you mean 'Net'?"),
        ("mine.py:Net.loss", "Net has no method 'loss'"),
        ("mine.py:a.b.c", "expected FILE or FILE:NAME"),
        ("nowhere.py", "nowhere.py: there is no such file"),
        ("mine.ipynb", "is a notebook; export it first"),
        ("empty.py", "there is no function and no class in it"),
        ("broken.py", "line 1: "),
    ],
)
def test_command_with_what_is_no_program(tmp_path, same_process, capsys, spec, words):
    written(tmp_path, "class Net:\n    def step(self, x, y): ...\n")
    written(tmp_path, "{}", "mine.ipynb")
    written(tmp_path, "", "empty.py")
    written(tmp_path, "def (", "broken.py")
    assert cli.main(["gradcheck", "--mine", spec]) == 2
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1


def test_command_refuses_options_that_make_no_sense(tmp_path, capsys):
    path = str(written(tmp_path, "x = 1\n"))
    for words, said in (
        (["--out", "mine.py"], "must end in .html"),
        (["--time-limit", "0"], "time_limit"),
        (["--numeric", "mine.py"], "expected FILE:FUNCTION"),
    ):
        assert cli.main(["gradcheck", "--mine", path, *words]) == 2
        assert said in capsys.readouterr().err
    assert cli.main(["gradcheck", "--out", "a.html"]) == 2


def test_a_process_that_dies_is_said(tmp_path):
    path = written(tmp_path, "import os\nx = os._exit(3)\n")
    with pytest.raises(SettingsError, match=r"the check could not be made: it ended with code 3"):
        worker.check_file(str(path))
