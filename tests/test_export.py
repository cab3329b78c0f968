"""Exported models, read by the programs that they are for: the same losses as charrnn's; and what is refused, in a line."""

import json

import numpy as np
import pytest
from commands import run
from networks import network

from charrnn import CharRNN, NonFiniteError, OutputError, SettingsError
from charrnn.export.onnx import to_onnx

KINDS = [(cell, layers) for cell in ("rnn", "gru", "lstm") for layers in (1, 2)]
TEXT = "".join(chr(200 + k) for k in (0, 3, 1, 4, 4, 2, 0, 1, 3, 2, 0))


def model_of(cell, layers, dtype="float32"):
    """Random weights, biases too, over the characters of TEXT."""
    made = network(cell, layers, 7, 5)
    model = CharRNN(7, cell=cell, layers=layers, dtype=dtype, vocabulary=made.vocabulary)
    for name, array in model.parameters.items():
        array[:] = made.parameters[name]
    return model


@pytest.fixture(params=KINDS, ids=[f"{cell}-{layers}" for cell, layers in KINDS])
def model(request):
    return model_of(*request.param)


def nats(logits, ids):
    """-ln p of each id (T, ...) under logits (T, ..., K)."""
    shifted = logits - logits.max(-1, keepdims=True)
    return np.log(np.exp(shifted).sum(-1)) - np.take_along_axis(shifted, ids[..., None], -1)[..., 0]


def test_onnx_computes_what_charrnn_computes(model, tmp_path):
    """In one call; in two, the state handed on; and side by side, with other lengths and batch sizes than any before."""
    onnx, onnxruntime = pytest.importorskip("onnx"), pytest.importorskip("onnxruntime")
    model.export(tmp_path / "model.onnx")
    found = onnx.load(tmp_path / "model.onnx")
    onnx.checker.check_model(found, full_check=True)
    assert [(each.domain, each.version) for each in found.opset_import] == [("", 22)]
    assert [node.op_type for node in found.graph.node].count(model.cell.upper()) == model.layers
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx", providers=["CPUExecutionProvider"])
    names = [each.name for each in session.get_inputs()[1:]]
    ids = model.vocabulary.encode(TEXT).astype(np.int64)
    pair = np.stack([ids, ids[::-1]], axis=1)
    state = dict.fromkeys(names, np.zeros((1, 2, 7), np.float32))
    logits, *after = session.run(None, {"ids": pair[:-1]} | state)
    assert logits.shape == (len(ids) - 1, 2, 5)
    expected = np.stack([model.losses(TEXT), model.losses(TEXT[::-1])], axis=1)
    assert np.abs(nats(logits, pair[1:]) - expected).max() < 1e-5
    first, *between = session.run(None, {"ids": pair[:4]} | state)
    second, *end = session.run(None, {"ids": pair[4:-1]} | dict(zip(names, between, strict=True)))
    assert np.abs(np.concatenate([first, second]) - logits).max() < 1e-5
    assert all(np.abs(a - b).max() < 1e-5 for a, b in zip(end, after, strict=True))
    _, _, ours = model.loss_and_gradients(pair[:-1], pair[1:])
    assert np.abs(np.concatenate(after) - ours.reshape(-1, 2, 7)).max() < 1e-5
    about = {name: json.loads(text) for name, text in session.get_modelmeta().custom_metadata_map.items()}
    assert (about["vocabulary"], about["cell"]) == (model.vocabulary.to_json(), model.cell)


def test_npz_holds_the_parameters(model, tmp_path):
    model.export(tmp_path / "model.npz")
    with np.load(tmp_path / "model.npz", allow_pickle=False) as found:
        about = json.loads(str(found["about"]))
        assert set(found) == {*model.parameters, "about"}
        assert all((found[name] == array).all() for name, array in model.parameters.items())
    expected = {"vocabulary": model.vocabulary.to_json(), "cell": model.cell, "layers": model.layers, "hidden_size": 7, "dtype": "float32"}
    assert about.items() >= expected.items()


def test_pt_is_a_state_dictionary(model, tmp_path):
    torch = pytest.importorskip("torch")
    model.export(tmp_path / "model.pt")
    saved = torch.load(tmp_path / "model.pt", weights_only=True)
    rnn = getattr(torch.nn, model.cell.upper())(5, 7, model.layers)
    head = torch.nn.Linear(7, 5)
    modules = torch.nn.ModuleDict({"rnn": rnn, "head": head})
    modules.load_state_dict(saved["state_dict"])
    ids = torch.tensor([saved["about"]["vocabulary"]["characters"].index(character) for character in TEXT])
    with torch.no_grad():
        logits = head(rnn(torch.nn.functional.one_hot(ids[:-1], 5).float())[0])
    assert np.abs(nats(logits.numpy(), ids[1:].numpy()) - model.losses(TEXT)).max() < 1e-5


def test_formats_keep_float64_where_they_can(tmp_path):
    model = model_of("gru", 1, "float64")
    model.export(tmp_path / "model.npz")
    assert np.load(tmp_path / "model.npz")["W_n"].dtype == np.float64


def test_onnx_is_float32_whatever_the_model_is():
    pytest.importorskip("onnx")
    model = model_of("gru", 1, "float64")
    assert to_onnx(model.network) == to_onnx(model.astype("float32").network).replace(b'"float32"', b'"float64"')


@pytest.mark.parametrize("ending", ["html", "npz", "onnx", "pt"])
def test_the_same_model_gives_the_same_bytes(ending, tmp_path):
    pytest.importorskip({"onnx": "onnx", "pt": "torch"}.get(ending, "numpy"))
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        model_of("lstm", 2).export(tmp_path / name / f"model.{ending}")
    one, two = ((tmp_path / name / f"model.{ending}").read_bytes() for name in ("one", "two"))
    assert one == two


def test_what_is_refused(tmp_path, monkeypatch):
    model = model_of("rnn", 1)
    for name, options, message in (
        ("model.tflite", {}, "unknown format '.tflite'; there are '.html', '.onnx', '.npz', '.pt'"),
        ("model", {}, "unknown format 'model'"),
        ("model.onxx", {}, "unknown format '.onxx'; did you mean '.onnx'"),
        ("model.npz", {"float16": True}, "float16 is for .html, got a file model.npz"),
        ("model.pt", {"title": "A"}, "title is for .html, got a file model.pt"),
        ("model.html", {"float16": 1}, "float16 must be True or False, got 1"),
        ("model.html", {"title": 1}, "title must be a str, got 1"),
    ):
        with pytest.raises(SettingsError, match=message):
            model.export(tmp_path / name, **options)
    with pytest.raises(SettingsError, match="no vocabulary yet"):
        CharRNN(5).export(tmp_path / "model.npz")
    with pytest.raises(OutputError, match="its folder does not exist"):
        model.export(tmp_path / "no" / "model.npz")
    model.parameters["W"][0, 0] = 1e5
    model.export(tmp_path / "model.html")
    with pytest.raises(SettingsError, match=r"the largest weight is 100000, beyond what float16 holds \(65504\)"):
        model.export(tmp_path / "other.html", float16=True)
    monkeypatch.setattr("charrnn.export.html.LONGEST", 100)
    with pytest.raises(SettingsError, match="7 hidden units are too large for a page"):
        model.export(tmp_path / "other.html")
    model.parameters["W"][0, 0] = np.nan
    with pytest.raises(NonFiniteError, match="weights are not all finite"):
        model.export(tmp_path / "other.npz")
    monkeypatch.setattr("charrnn.arguments.available_memory", lambda: 1000)
    with pytest.raises(SettingsError, match=r"a file \.npz of 7 hidden units .* memory"):
        model.export(tmp_path / "other.npz")
    assert [file.name for file in tmp_path.iterdir()] == ["model.html"]


@pytest.mark.parametrize(
    ("ending", "package", "advice"), [("onnx", "onnx", r"pip install 'charrnn\[onnx\]'"), ("pt", "torch", "pip install torch")]
)
def test_a_package_that_is_not_installed(ending, package, advice, tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, package, None)
    with pytest.raises(SettingsError, match=f"not installed here: {advice}"):
        model_of("rnn", 1).export(tmp_path / f"model.{ending}")


def test_the_command(tmp_path):
    model_of("lstm", 1).save(tmp_path / "model.safetensors")
    out, _ = run("export", "model.safetensors", "--to", "page.html", "--float16", "--title", "Mine & yours", cwd=tmp_path)
    page = (tmp_path / "page.html").read_text("utf-8")
    assert out == f"wrote page.html: {(tmp_path / 'page.html').stat().st_size:,} bytes\n"
    assert "<title>Mine &amp; yours</title>" in page
    assert "float16" in page
    _, errors = run("export", "model.safetensors", "--to", "page.doc", cwd=tmp_path, code=2)
    assert errors.count("\n") == 1
    assert "unknown format '.doc'" in errors
    _, errors = run("export", "model.safetensors", cwd=tmp_path, code=2)
    assert "--to" in errors
