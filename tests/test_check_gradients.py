"""Other people's gradients: right ones are left in peace, wrong ones are diagnosed, and odd ones are understood."""

import json
import sys
import textwrap
from types import SimpleNamespace

import numpy as np
import own_gradients
import pytest
from own_gradients import WRONG, WRONG_CHECKERS, WRONG_TWICE, batches, changed, columns, flat, numeric

from charrnn import SettingsError, check_gradients
from charrnn.cli import main as cli
from charrnn.lab.checkermistakes import CHECKER_MISTAKES
from charrnn.lab.mistakes import MISTAKES

RIGHT = [columns, batches, flat]


@pytest.fixture(autouse=True)
def few(request, monkeypatch):
    """Of each parameter three entries are differenced, but where differences are what a test is about: they take most of the time."""
    if "every_entry" not in request.keywords:
        monkeypatch.setattr("charrnn.lab.subject.Subject.most", 3)


def said(diagnosis):
    """All that it says, without line breaks."""
    return " ".join(str(diagnosis).split())


def keys(findings):
    return [(finding.mistake.key, "".join(finding.parameters)) for finding in findings]


# ---- right ones ----------------------------------------------------------------------------------------------------------


@pytest.mark.every_entry
@pytest.mark.parametrize(("function", "seed"), [(columns, 0), (batches, 1), (flat, 2)])
def test_right_ones_are_left_in_peace(function, seed):
    diagnosis = check_gradients(function, seed=seed)
    assert diagnosis.passed, str(diagnosis)
    assert diagnosis.findings == diagnosis.remarks == []
    assert diagnosis.report.max_relative < 1e-6
    assert max(diagnosis.against_charrnn.values()) < 1e-12
    assert str(diagnosis).endswith("Your gradients are right.")


@pytest.mark.parametrize(("m", "K", "T"), [(3, 4, 3), (11, 5, 9), (4, 20, 5)])
def test_other_sizes(m, K, T):
    assert check_gradients(columns, hidden_size=m, symbols=K, seq_length=T).passed


def test_large_parameters_are_sampled(monkeypatch):
    monkeypatch.setattr("charrnn.lab.subject.Subject.most", 10)
    diagnosis = check_gradients(columns)
    assert diagnosis.passed
    assert "Of each of U, W, V, 10 entries drawn at random were differenced; the others were compared with charrnn's" in said(diagnosis)
    wrong = check_gradients(changed(columns, ("dhnext = Whh.T @ da", "dhnext = Whh @ da")))
    assert keys(wrong.findings) == [("w-not-transposed", "UWb")]


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (columns, ("by name: U = Wxh (m, K), W = Whh (m, m), V = Why (K, m), b = bh (m, 1)", "W @ h (columns)", "indices (T,)", "(m, 1)")),
        (batches, ("as a tuple: U (K, m), W (m, m), V (m, K), b (m,), c (K,)", "h @ W (rows)", "one-hot (B, T, K)", "state: (B, m)")),
        (flat, ("one flat vector, in this order: W (m, m), U (m, K), b (m,), V (K, m), c (K,)", "state: (m,)")),
    ],
)
def test_the_style_is_said(function, words):
    text = said(check_gradients(function))
    for word in words:
        assert word in text
    assert ("the mean per character" if function is batches else "summed over the window") in text


STYLES = {
    "attributes": """
        def function(p, x, y, h0):
            loss, d = columns({"Wxh": p.Wxh, "Whh": p.Whh, "Why": p.Why, "bh": p.bh, "by": p.by}, x, y, h0)
            return loss, SimpleNamespace(**d)
    """,
    "names of torch, arrays (T, B)": """
        def function(p, x, y, h0):
            W_ih, W_hh, V, b, c = (p[n] for n in ("weight_ih_l0", "weight_hh_l0", "head.weight", "bias_ih_l0", "head.bias"))
            T, B = x.shape
            K = len(c)
            X, Y = np.eye(K)[x].transpose(1, 0, 2), np.eye(K)[y].transpose(1, 0, 2)
            loss, (dU, dW, dV, db, dc) = batches((W_ih.T, W_hh.T, V.T, b, c), X, Y, h0[0])
            n = T * B
            return loss * n, {"weight_ih_l0": dU.T * n, "weight_hh_l0": dW.T * n, "head.weight": dV.T * n, "bias_ih_l0": db * n,
                              "head.bias": dc * n}
    """,
    "the loss, five gradients and the state": """
        def function(p, x, y, h0):
            loss, d = columns(dict(zip(("Wxh", "Whh", "Why", "bh", "by"), p)), x, y, h0)
            return loss, d["Wxh"], d["Whh"], d["Why"], d["bh"], d["by"], h0 * 2
    """,
    "gradients in another order": """
        def function(p, x, y, h0):
            loss, (dU, dW, dV, db, dc) = batches(p, x, y, h0)
            return loss, [dc, dV, dW, dU, db]
    """,
    "gradients before the loss": """
        def function(p, x, y, h0):
            return columns(p, x, y, h0)[::-1]
    """,
    "names of gradients with d": """
        def function(p, x, y, h0):
            loss, d = columns(p, x, y, h0)
            return loss, {"d" + name: array for name, array in d.items()}
    """,
    "one-hot columns": """
        def function(p, X, Y, h0):
            if X.shape[0] != len(p["by"]) or X.ndim != 2:
                raise ValueError("wrong shape of X")
            return columns(p, X.argmax(0), Y.argmax(0), h0)
    """,
    "one-hot inputs and index targets": """
        def function(p, X, y, h0):
            assert X.shape == (len(y), len(p["by"]))
            return columns(p, [int(np.flatnonzero(row == 1)[0]) for row in X], y, h0)
    """,
    "bits": """
        def function(p, x, y, h0):
            loss, d = columns(p, x, y, h0)
            return loss / np.log(2), {name: array / np.log(2) for name, array in d.items()}
    """,
    "rows and columns mixed": """
        def function(p, x, y, h0):
            U, W, V, b, c = p
            assert U.shape == (len(b), len(V)) and V.shape == (len(c), len(b))
            loss, d = columns(dict(Wxh=U, Whh=W.T, Why=V, bh=b[:, None], by=c[:, None]), x, y, h0.reshape(-1, 1))
            return loss, (d["Wxh"], d["Whh"].T, d["Why"], d["bh"][:, 0], d["by"][:, 0])
    """,
    "a tuple in another order": """
        def function(p, x, y, h0):
            b, c, U, W, V = p
            loss, d = columns(dict(Wxh=U, Whh=W, Why=V, bh=b, by=c), x, y, h0)
            return loss, (d["bh"], d["by"], d["Wxh"], d["Whh"], d["Why"])
    """,
    "prints and warnings": """
        def function(p, x, y, h0):
            print("never seen")
            np.log(np.zeros(1))
            return columns(p, x, y, h0)
    """,
}


def style(name):
    scope = {**vars(own_gradients), "SimpleNamespace": SimpleNamespace}
    exec(textwrap.dedent(STYLES[name]), scope)
    return scope["function"]


@pytest.mark.parametrize("name", STYLES)
def test_other_styles_are_understood(name, capsys):
    diagnosis = check_gradients(style(name))
    assert diagnosis.passed, str(diagnosis)
    assert diagnosis.remarks == []
    assert diagnosis.against_charrnn
    assert capsys.readouterr().out == ""


def relu(p, x, y, h0):
    h, ps, loss = {-1: h0}, {}, 0.0
    for t in range(len(x)):
        h[t] = np.maximum(0, p["W"] @ h[t - 1] + p["U"][:, [x[t]]] + p["b"])
        e = np.exp(p["V"] @ h[t] + p["c"])
        ps[t] = e / e.sum()
        loss -= np.log(ps[t][y[t], 0])
    d, following = {name: np.zeros_like(p[name]) for name in ("U", "W", "V", "b", "c")}, 0 * h0
    for t in reversed(range(len(x))):
        g = ps[t].copy()
        g[y[t]] -= 1
        da = (p["V"].T @ g + following) * (h[t] > 0)
        for name, term in zip("VcWb", (g @ h[t].T, g, da @ h[t - 1].T, da), strict=True):
            d[name] += term
        d["U"][:, [x[t]]] += da
        following = p["W"].T @ da
    return loss, d


@pytest.mark.parametrize(("function", "sizes"), [(relu, {}), (columns, {"hidden_size": 2, "symbols": 3, "seq_length": 3})])
def test_equal_entries_are_not_taken_for_clipping(function, sizes):
    """A unit that is active at one step only gives db_i = dU_ix, which may be the largest entries of all."""
    for seed in range(5 if function is relu else 12):
        diagnosis = check_gradients(function, seed=seed, **sizes)
        assert diagnosis.passed, (seed, str(diagnosis))


def test_clipping_without_a_state():
    def shortened(p, x, y):
        loss, d = columns(p, x, y, np.zeros((len(p["bh"]), 1)))
        norm = np.sqrt(sum((v**2).sum() for v in d.values()))
        return loss, {name: array * min(1, 20 / norm) for name, array in d.items()}

    assert keys(check_gradients(shortened).findings) == [("clipped", "UWVbc")]


def test_without_a_state():
    diagnosis = check_gradients(lambda p, x, y: columns(p, x, y, np.zeros((len(p["bh"]), 1))))
    assert diagnosis.passed
    assert "only h_0 = 0 can be checked" in diagnosis.convention
    assert {row.state for row in diagnosis.report.rows} == {"zero"}


# ---- wrong ones ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("key", "function", "changes", "names"), WRONG, ids=[f"{key}-{f.__name__}" for key, f, _, _ in WRONG])
def test_wrong_ones_are_diagnosed(key, function, changes, names):
    diagnosis = check_gradients(changed(function, *changes))
    assert diagnosis.status == ("clipped" if key == "clipped" else "wrong")
    assert diagnosis.passed == (key == "clipped")
    assert keys(diagnosis.findings) == [(key, names)]
    finding = diagnosis.findings[0]
    assert finding.fits < 1e-12
    assert finding.off > 0.1
    for words in (finding.mistake.mathematics, finding.mistake.instead, finding.mistake.advice, "evidence"):
        assert words in said(diagnosis)


@pytest.mark.parametrize(("mistakes", "function", "changes"), WRONG_TWICE)
def test_several_mistakes_at_once(mistakes, function, changes):
    diagnosis = check_gradients(changed(function, *changes))
    assert {finding.mistake.key for finding in diagnosis.findings} == mistakes


def test_every_mistake_of_the_table_is_tried():
    assert {mistake.key for mistake in MISTAKES} == {key for key, *_ in WRONG}
    assert {mistake.key for mistake in CHECKER_MISTAKES} == {key for key, *_ in WRONG_CHECKERS}


def test_a_diagnosis_does_not_hang_on_the_numbers():
    wrong = changed(columns, ("dhnext = Whh.T @ da", "dhnext = Whh @ da"))
    for seed in (1, 2):
        assert keys(check_gradients(wrong, seed=seed, hidden_size=4, symbols=9, seq_length=5).findings) == [("w-not-transposed", "UWb")]


def test_what_is_in_no_table_is_not_named():
    diagnosis = check_gradients(changed(columns, ('d["Whh"] += da @ h[t - 1].T', 'd["Whh"] += da @ np.sin(h[t - 1]).T')))
    assert not diagnosis.passed
    assert diagnosis.findings == []
    assert "dW is wrong in a way that is in no table; dU, dV, db, dc are right. Look first at dW = sum da_t h_{t-1}^T." in said(diagnosis)


def test_what_is_known_is_named_beside_what_is_not():
    diagnosis = check_gradients(
        changed(columns, ('d["Whh"] += da @ h[t - 1].T', 'd["Whh"] += da @ np.sin(h[t - 1]).T'), ('d["by"] += g', 'd["by"] += g.sum()'))
    )
    assert keys(diagnosis.findings) == [("bias-scalar", "c")]
    assert "dW is wrong in a way that is in no table" in said(diagnosis)


def test_gradients_that_are_no_numbers():
    diagnosis = check_gradients(changed(columns, ("return loss, d", "d['bh'] *= np.nan\n    return loss, d")))
    assert not diagnosis.passed
    assert "Wrong: db" in said(diagnosis)
    json.dumps(diagnosis.to_json(), allow_nan=False)


# ---- odd ones ------------------------------------------------------------------------------------------------------------


def test_another_forward_pass_is_checked_against_its_own_loss():
    other = [("h[t] = np.tanh(a[t])", "h[t] = np.maximum(0.1 * a[t], a[t])"), ("(1 - h[t] ** 2)", "np.where(a[t] > 0, 1, 0.1)")]
    diagnosis = check_gradients(changed(columns, *other))
    assert diagnosis.passed
    assert diagnosis.against_charrnn == {}
    assert "the forward pass is another one" in said(diagnosis)
    wrong = check_gradients(changed(columns, *other, ('d["Why"] += g @ h[t].T', 'd["Why"] += 3 * g @ h[t].T')))
    assert keys(wrong.findings) == [("factor", "V")]


def test_changing_the_arguments_is_remarked():
    diagnosis = check_gradients(changed(columns, ("return loss, d", "parameters['bh'] -= 0.1 * d['bh']\n    return loss, d")))
    assert any("changes the arrays that it is given" in remark for remark in diagnosis.remarks)


def test_single_precision_is_said_and_allowed_for():
    def single(p, x, y, h0):
        loss, d = columns({name: array.astype(np.float32) for name, array in p.items()}, x, y, h0.astype(np.float32))
        return np.float32(loss), d

    diagnosis = check_gradients(single)
    assert diagnosis.passed, str(diagnosis)
    assert any("single precision" in remark for remark in diagnosis.remarks)

    def wrong(p, x, y, h0):
        loss, d = single(p, x, y, h0)
        return loss, d | {"Whh": d["Whh"] / len(x)}

    assert keys(check_gradients(wrong).findings) == [("mean-and-sum", "W")]


@pytest.mark.parametrize("change", ["float(loss), {k: v.astype(np.float64) for k, v in d.items()}", "round(loss, 6), d"])
def test_a_loss_that_is_nearly_charrnns_is_said_and_allowed_for(change):
    def inside(p, x, y, h0):
        real = np.float32 if "float(" in change else np.float64
        loss, d = columns({name: array.astype(real) for name, array in p.items()}, x, y, h0.astype(real))
        return eval(change, {"loss": loss, "d": d, "np": np})

    diagnosis = check_gradients(inside)
    assert diagnosis.passed, str(diagnosis)
    assert any("but for a rounding" in remark for remark in diagnosis.remarks)


def test_odd_shapes_are_remarked():
    diagnosis = check_gradients(changed(columns, ("return loss, d", "d['Wxh'] = d['Wxh'].T\n    return loss, d")))
    assert "dU has shape (7, 5), U has (5, 7)." in diagnosis.remarks


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (3, "needs your function, class or object, got 3"),
        (lambda p: 1, "must take (parameters, inputs, targets, state), or the first three; it takes 1: p"),
        (lambda p, x, y, h: 1.0, "it must return (loss, gradients), and returned a float"),
        (lambda p, x, y, h: (p, x), "none of the 2 things returned is a number"),
        (lambda p, x, y, h: (1.0, {"U": p["U"]}), "there is no gradient of W, V, b, c"),
        (lambda p, x, y, h: columns(p, x, y, h)[0], "it must return (loss, gradients), and returned a float64"),
        (lambda p, x, y, h: columns(p, x, y, h) and None, "it must return (loss, gradients), and returned a NoneType"),
        (lambda p, x, y, h: (columns(p, x, y, h)[0], columns(p, x, y, h)[1] | {"by": None}), "there is no gradient of c"),
        (lambda p, x, y, h: (np.nan, columns(p, x, y, h)[1]), "its loss is nan"),
        (lambda p, x, y, h: (1.0, {k: a.astype(np.float16) for k, a in columns(p, x, y, h)[1].items()}), "made of float16"),
        (lambda p, x, y, h: sys.exit(7), "SystemExit: 7 at line"),
        (lambda p, x, y, h: p["Wzz"], "KeyError: 'Wzz' at line"),
        (lambda p, x, y, h: 1 / 0, "ZeroDivisionError"),
    ],
)
def test_what_cannot_be_checked(function, words):
    with pytest.raises(SettingsError) as caught:
        check_gradients(function)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_is_not_the_same_twice():
    rng = np.random.default_rng(0)

    def restless(p, x, y, h0):
        loss, d = columns(p, x, y, h0)
        return loss * (1 + 1e-12 * rng.random()), d

    with pytest.raises(SettingsError, match="for the same arguments"):
        check_gradients(restless)
    kept = {}

    def adds_up(p, x, y, h0):
        loss, d = columns(p, x, y, h0)
        kept["Whh"] = kept.get("Whh", 0) + d["Whh"]
        return loss, d | kept

    with pytest.raises(SettingsError, match=r"dW is not the same twice .* begun with zeros"):
        check_gradients(adds_up)


@pytest.mark.parametrize("arguments", [{"hidden_size": 1}, {"symbols": 2}, {"seq_length": 2}, {"seed": -1}, {"eps": 0}, {"threshold": "a"}])
def test_bad_arguments(arguments):
    with pytest.raises(SettingsError, match=next(iter(arguments))):
        check_gradients(columns, **arguments)


# ---- numerical gradients -------------------------------------------------------------------------------------------------


def test_a_right_check_is_left_in_peace():
    diagnosis = check_gradients(columns, numeric=numeric)
    assert diagnosis.passed
    assert max(diagnosis.checker_errors.values()) < 1e-7
    assert str(diagnosis).endswith("Your gradients are right; your numerical gradients are right.")


def test_a_right_check_of_wrong_gradients():
    diagnosis = check_gradients(changed(columns, ("dhnext = Whh.T @ da", "dhnext = Whh @ da")), numeric=numeric)
    assert not diagnosis.passed
    assert diagnosis.checker_findings == []
    assert str(diagnosis).endswith("Wrong: dU, dW, db; your numerical gradients are right.")


@pytest.mark.parametrize(("key", "changes", "names"), WRONG_CHECKERS, ids=[key for key, *_ in WRONG_CHECKERS])
def test_wrong_checks_are_diagnosed(key, changes, names):
    diagnosis = check_gradients(columns, numeric=changed(numeric, *changes))
    assert not diagnosis.passed
    assert diagnosis.findings == []
    assert keys(diagnosis.checker_findings) == [(key, names)]
    assert diagnosis.checker_findings[0].mistake.mathematics in said(diagnosis)


def test_numerical_gradients_as_arrays():
    arguments = check_gradients(columns).arguments
    assert check_gradients(columns, numeric=numeric(*arguments)).passed
    halves = {name: array / 2 for name, array in numeric(*arguments).items()}
    assert keys(check_gradients(columns, numeric=halves).checker_findings) == [("view-kept", "UWVbc")]


def test_a_check_that_takes_the_function_first():
    def general(function, p, x, y, h0):
        assert function is columns
        return numeric(p, x, y, h0)

    assert check_gradients(columns, numeric=general).passed


def test_a_check_wrong_in_another_way():
    diagnosis = check_gradients(columns, numeric=lambda *given: {k: np.cos(v) for k, v in numeric(*given).items()})
    assert not diagnosis.passed
    assert diagnosis.checker_findings == []
    assert "Your numerical gradient of W is wrong in a way that is in no table." in diagnosis.remarks


def test_a_check_that_fails():
    with pytest.raises(SettingsError, match="your numerical gradient fails: ZeroDivisionError"):
        check_gradients(columns, numeric=lambda *given: 1 / 0)
    with pytest.raises(SettingsError, match="cannot be read"):
        check_gradients(columns, numeric={"U": np.zeros((5, 7))})


# ---- what is shown -------------------------------------------------------------------------------------------------------


def test_numbers_and_pages():
    diagnosis = check_gradients(changed(columns, ("dhnext = Whh.T @ da", "dhnext = Whh @ da")))
    numbers = json.loads(json.dumps(diagnosis.to_json(), allow_nan=False))
    assert numbers["findings"][0]["key"] == "w-not-transposed"
    diagnosis.remarks.append("<script>alert('&')</script>")
    page = diagnosis._repr_html_()
    assert "<script" not in page
    assert "&lt;script&gt;" in page


def test_the_documentation_has_every_mistake():
    from pathlib import Path

    page = (Path(__file__).parent.parent / "docs" / "check_my_gradients.md").read_text(encoding="utf-8")
    for mistake in (*MISTAKES, *CHECKER_MISTAKES):
        assert f"| {mistake.name} | {mistake.mathematics} | {mistake.instead} |" in page


# ---- the command ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def mine(tmp_path):
    """Writes a file of somebody's own: `columns`, changed."""

    def write(*changes, name="my_rnn.py"):
        import inspect

        source = "import numpy as np\n\n" + inspect.getsource(columns) + "\n\n" + inspect.getsource(numeric)
        for old, new in changes:
            assert old in source
            source = source.replace(old, new)
        (tmp_path / name).write_text(source)
        return str(tmp_path / name)

    return write


def test_command_with_right_gradients(mine, capsys):
    path = mine()
    assert cli.main(["gradcheck", "--mine", f"{path}:columns", "--numeric", f"{path}:numeric"]) == 0
    assert "Your gradients are right; your numerical gradients are right." in capsys.readouterr().out


def test_command_with_wrong_gradients(mine, same_process, capsys):
    path = mine(("dhnext = Whh.T @ da", "dhnext = Whh @ da"))
    assert cli.main(["gradcheck", "--mine", f"{path}:columns", "--hidden-size", "4"]) == 1
    assert "dh_t = V^T g_t + W^T da_{t+1}" in capsys.readouterr().out
    assert cli.main(["gradcheck", "--mine", f"{path}:columns", "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["findings"][0]["parameters"] == ["U", "W", "b"]


@pytest.mark.parametrize(
    ("changes", "spec", "words"),
    [
        ([], "my_rnn.py:a-b", "expected FILE or FILE:NAME"),
        ([], "other.py:columns", "no such file"),
        ([], "my_rnn.py:rows", "my_rnn.py has no 'rows'; there are 'columns', 'numeric'"),
        ([("return out", "return out out")], "my_rnn.py:columns", "invalid syntax"),
        ([("import numpy", "import nunpy")], "my_rnn.py:columns", "not installed: nunpy"),
        (
            [("dh = Why.T @ g", "dh = Why @ g")],
            "my_rnn.py:columns",
            "columns fails however called; where it came furthest, at line 24: dh = Why @ g",
        ),
    ],
)
def test_command_with_what_cannot_be_run(mine, same_process, changes, spec, words, capsys, monkeypatch):
    import os

    monkeypatch.chdir(os.path.dirname(mine(*changes)))
    assert cli.main(["gradcheck", "--mine", spec]) == 2
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "option"),
    [
        ("book.txt", "TEXT"),
        ("--model run", "--model"),
        ("--recipe fast", "--recipe"),
        ("--batch-size 2", "--batch-size"),
        ("--torch", "--torch"),
        ("--step 1e-4", "--step"),
        ("--points 2", "--points"),
    ],
)
def test_command_refuses_what_it_would_ignore(mine, words, option, capsys):
    assert cli.main(["gradcheck", *words.split(), "--mine", f"{mine()}:columns"]) == 2
    assert f"leave {option} out" in capsys.readouterr().err


def test_command_passes_sizes_and_bounds_on(mine, same_process, capsys):
    words = ["--hidden-size", "4", "--symbols", "6", "--seq-length", "5", "--seed", "2", "--eps", "1e-3", "--threshold", "1e-5"]
    assert cli.main(["gradcheck", "--mine", f"{mine()}:columns", "--json", *words]) == 0
    report = json.loads(capsys.readouterr().out)["report"]
    assert (report["hidden_size"], report["symbols"], report["seq_length"], report["seed"]) == (4, 6, 5, 2)
    assert (report["eps"], report["threshold"]) == (1e-3, 1e-5)
    assert cli.main(["gradcheck", "--mine", f"{mine()}:columns", "--hidden-size", "0"]) == 2
    assert cli.main(["gradcheck", "--seq-length", "0"]) == 2


def test_command_on_charrnn_itself(tmp_path, capsys):
    text = tmp_path / "text.txt"
    text.write_text("the quick brown fox jumps over the lazy dog. " * 3)
    assert cli.main(["gradcheck", str(text), "--hidden-size", "4", "--seq-length", "7", "--batch-size", "2"]) == 0
    assert "All gradients pass." in capsys.readouterr().out
    assert cli.main(["gradcheck", str(text), "--hidden-size", "4", "--step", "1e-4", "--points", "2", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["step"] == 1e-4
    assert cli.main(["gradcheck", str(text), "--numeric", "a.py:b"]) == 2
    assert "--mine" in capsys.readouterr().err
