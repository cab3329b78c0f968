"""CharRNN without its training: parameters, gradients, evaluation, synthesis, files, and what is refused."""

import copy
import math
import multiprocessing
import pickle

import naive
import numpy as np
import pytest

from charrnn import CharRNN, Corpus, KernelsError, ModelFileError, SettingsError, TextError, Vocabulary
from charrnn.files import modelfile
from charrnn.network.blocks import blocks
from charrnn.network.settings import INITS

CELLS = ("rnn", "gru", "lstm")
TEXT = "the tide comes in, the tide goes out; nobody asked the tide. " * 5


def model(**options):
    return CharRNN(**({"hidden_size": 7, "dtype": "float64", "init_std": 0.5, "seed": 3, "vocabulary": TEXT} | options))


def reading(trained, ids):
    """The probabilities (N, K) after each of the ids, by plain NumPy."""
    p, h, out = trained.parameters, np.zeros(trained.hidden_size), []
    for x in ids:
        h = np.tanh(p["W"] @ h + p["U"][:, x] + p["b"])
        e = np.exp(p["V"] @ h + p["c"])
        out.append(e / e.sum())
    return np.array(out)


# ---- parameters -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("init", INITS)
@pytest.mark.parametrize("cell", CELLS)
def test_initial_weights_have_the_spread_that_was_asked_for(cell, init):
    m, K = 120, 60
    made = model(hidden_size=m, cell=cell, layers=2, init=init, init_std=0.02, vocabulary="".join(map(chr, range(65, 65 + K))))
    for block in blocks(made.network.architecture):
        array = made.parameters[block.name]
        if block.letter in "bc":
            assert (array == (1 if block.name.endswith("b_f") else 0)).all(), block.name  # the LSTM's forget gate
            continue
        first = block.letter == "U" and block.layer == 0
        std = 0.02
        if init == "scaled" or (init == "orthogonal" and not first):
            std = 1 / math.sqrt((1 if block.letter == "V" or init == "orthogonal" else 2) * block.shape[1])
        assert array.std() == pytest.approx(std, rel=0.06), block.name
        assert abs(array.mean()) < 0.07 * std, block.name
        if init == "orthogonal" and block.letter in "UW" and not first:
            np.testing.assert_allclose(array @ array.T, np.eye(m), atol=1e-12)


def test_names_and_shapes_of_the_parameters():
    lstm = model(cell="lstm", layers=2, vocabulary="abc").parameters
    assert lstm["layer1.U_i"].shape == (7, 3)
    assert lstm["layer2.U_o"].shape == lstm["layer2.W_g"].shape == (7, 7)
    assert len(lstm) == 2 * 12 + 2
    gru = model(cell="gru", vocabulary="abc").parameters
    assert {name: gru[name].shape for name in ("U_r", "W_n", "b_z", "b_hn", "V", "c")} == {
        "U_r": (7, 3),
        "W_n": (7, 7),
        "b_z": (7,),
        "b_hn": (7,),
        "V": (3, 7),
        "c": (3,),
    }


def test_the_seed_alone_decides_the_weights():
    assert (model().theta == model().theta).all()
    assert (model().theta != model(seed=4).theta).any()
    later = CharRNN(hidden_size=7, dtype="float64", init_std=0.5, seed=3)
    later.train(TEXT, updates=1, progress=False, sample_every=None, optimizer="sgd", learning_rate=1e-300)
    np.testing.assert_array_equal(later.parameters["W"], model().parameters["W"])


def test_parameters_are_views():
    m = model()
    m.parameters["c"][:] = 0
    m.parameters["c"][2] = 100
    assert m.evaluate(m.vocabulary.decode([2] * 10)).accuracy == 1


def test_copies_are_independent():
    m = model()
    for other in (m.copy(), copy.copy(m), copy.deepcopy(m), pickle.loads(pickle.dumps(m))):
        assert (other.theta == m.theta).all()
        assert other.synthesize(20) == m.copy().synthesize(20)
        other.parameters["W"][:] = 0
        other.train(TEXT, updates=1, progress=False)
        assert m.parameters["W"].any()
        assert m.run is None
        assert other.theta.ctypes.data % 64 == 0
    single = m.astype("float32")
    assert single.theta.dtype == np.float32
    np.testing.assert_array_equal(single.parameters["V"], m.parameters["V"].astype(np.float32))


def test_a_model_serves_other_processes():
    m = model()
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert pool.apply(m.synthesize, (20,)) == m.copy().synthesize(20)
    bare = pickle.loads(pickle.dumps(CharRNN(hidden_size=3)))
    assert bare.hidden_size == 3
    assert pickle.loads(pickle.dumps(CharRNN(vocabulary="ab", level="numpy"))).level == "numpy"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"hidden_size": 0}, "hidden_size must be a whole number of at least 1, got 0"),
        ({"hidden_size": 2.0}, "got 2.0"),
        ({"hidden_size": "5"}, "got '5'"),
        ({"hidden_size": 10**9}, r"1,000,000,000 hidden units .* would need [\d,]{19,} bytes"),
        ({"hidden_size": 10**30}, r"would need [\d,]+ bytes"),
        ({"dtype": "float16"}, "unknown dtype 'float16'; did you mean"),
        ({"dtype": 5}, "unknown dtype"),
        ({"dtype": np.int32}, "unknown dtype 'int32'"),
        ({"cell": "lsmt"}, "unknown cell 'lsmt'; did you mean 'lstm'"),
        ({"cell": None}, "unknown cell None"),
        ({"layers": 0}, "layers must be a whole number of at least 1, got 0"),
        ({"layers": 65}, "layers must be at most 64, got 65"),
        ({"layers": 10**30}, "layers must be at most 64"),
        ({"hidden_size": 200_000, "cell": "lstm", "layers": 9}, r"9 x 200,000 hidden units .* would need [\d,]+ bytes"),
        ({"init": "zeros"}, "unknown init"),
        ({"init_std": -1}, "init_std"),
        ({"init_std": math.inf}, "init_std"),
        ({"seed": -1}, "seed"),
        ({"seed": 1.5}, "seed"),
        ({"seed": None}, "seed"),
        ({"vocabulary": 5}, "text must be str or bytes, got int"),
        ({"vocabulary": "a"}, "two distinct"),
        ({"level": "v9"}, "v9"),
    ],
)
def test_networks_that_make_no_sense_are_refused(options, message):
    with pytest.raises((SettingsError, TextError, KernelsError), match=message) as caught:
        model(**options)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("use", ["synthesize", "evaluate", "losses", "save", "parameters", "stream", "loss_and_gradients"])
def test_without_a_vocabulary_there_is_nothing_to_use(use, tmp_path):
    untrained = CharRNN()
    arguments = {"evaluate": ["abc"], "losses": ["abc"], "save": [tmp_path / "x"], "stream": [5]}
    arguments["loss_and_gradients"] = [[0], [0]]
    with pytest.raises(SettingsError, match="no vocabulary yet: train it"):
        getattr(untrained, use)(*arguments.get(use, []))


# ---- gradients ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("B", [1, 3])
def test_loss_and_gradients_are_those_of_plain_numpy(B, level):
    m = model(level=level)
    rng = np.random.default_rng(1)
    x, y = rng.integers(0, len(m.vocabulary), (2, 9, B))
    state = rng.uniform(-1, 1, (B, 7))
    expected, g, states = naive.gradients(m.parameters, x, y, state)
    loss, gradients, after = m.loss_and_gradients(x, y, state)  # (B, m) will do for one layer that carries h alone
    assert loss == pytest.approx(expected, rel=1e-12)
    assert after.shape == (1, 1, B, 7)
    np.testing.assert_allclose(after[0, 0], states[-1], rtol=1e-11)
    assert m.loss_and_gradients(x, y, state[None, None])[0] == loss
    for name, array in g.items():
        np.testing.assert_allclose(gradients[name], array, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(("cell", "layers"), [("gru", 1), ("lstm", 2)])
def test_a_state_carries_from_window_to_window(cell, layers, level):
    m = model(cell=cell, layers=layers, level=level)
    x, y = np.random.default_rng(1).integers(0, len(m.vocabulary), (2, 9, 3))
    whole, _, last = m.loss_and_gradients(x, y)
    first, _, between = m.loss_and_gradients(x[:4], y[:4])
    second, _, after = m.loss_and_gradients(x[4:], y[4:], between)
    assert between.shape == (layers, 2 if cell == "lstm" else 1, 3, 7)
    assert first + second == pytest.approx(whole, rel=1e-13)
    np.testing.assert_allclose(after, last, rtol=1e-12)


def test_inputs_may_be_read_only_and_memory_mapped_and_are_never_changed(tmp_path):
    m = model()
    before = m.theta.copy()
    mapped = np.memmap(tmp_path / "ids", np.uint16, "w+", shape=(9, 2))
    mapped[:] = np.arange(18).reshape(9, 2) % len(m.vocabulary)
    mapped.flush()
    ids = np.memmap(tmp_path / "ids", np.uint16, "r", shape=(9, 2))
    state = np.full((2, 7), 0.5)
    state.flags.writeable = False
    fixed = np.asfortranarray(ids[:, ::-1].astype(np.int64))
    fixed.flags.writeable = False
    loss, _, _ = m.loss_and_gradients(ids, fixed, state)
    copied, _, _ = m.loss_and_gradients(np.array(ids), np.array(fixed), np.array(state))
    assert loss == copied
    assert (state == 0.5).all()
    assert (ids == mapped).all()
    assert (m.theta == before).all()


@pytest.mark.parametrize(
    ("x", "y", "state", "message"),
    [
        ([0, 1], [0], None, r"one shape, got \(2, 1\) and \(1, 1\)"),
        ([], [], None, "at least one id"),
        ([[[0]]], [[[0]]], None, r"shape \(T, B\)"),
        ([0.5], [0], None, "integer ids"),
        (np.eye(3), np.eye(3), None, "one-hot rows become ids by argmax"),
        (["a"], ["b"], None, "integer ids"),
        ([-1], [0], None, r"0\.\.\d+, got -1"),
        ([0], [1000], None, "got 1000"),
        ([0], [2**40], None, "got 1099511627776"),
        ([0], [0], np.zeros(7), r"shape \(layers, states, B, m\) = \(1, 1, 1, 7\), got \(7,\)"),
        ([0], [0], np.full((1, 7), np.nan), "finite"),
        ([0], [0], [["a"] * 7], "state must be numbers"),
        (None, None, None, "shape"),
        ([[0], [1, 2]], [0], None, "do not fit together"),
    ],
)
def test_windows_that_make_no_sense_are_refused(x, y, state, message):
    with pytest.raises(SettingsError, match=message):
        model().loss_and_gradients(x, y, state)


# ---- evaluation -----------------------------------------------------------------------------------------------------


def test_evaluate_reads_the_text_once_from_its_beginning(level):
    m, text = model(level=level), TEXT * 3
    ids = m.vocabulary.encode(text)
    p = reading(m, ids[:-1])
    losses = -np.log(p[np.arange(len(ids) - 1), ids[1:]])
    result = m.evaluate(text)
    assert result.loss == pytest.approx(losses.mean(), rel=1e-12)
    assert result.accuracy == pytest.approx((p.argmax(1) == ids[1:]).mean())
    assert result.characters == len(text) - 1
    assert result.bits_per_char == pytest.approx(result.loss / math.log(2))
    assert result.perplexity == pytest.approx(math.exp(result.loss))
    np.testing.assert_allclose(m.losses(text), losses, rtol=1e-10)
    assert f"{result.bits_per_char:.4f} bits" in str(result)


def test_streams_are_evaluated_each_from_its_beginning():
    m = model()
    thirds = [TEXT[i * 101 : (i + 1) * 101] for i in range(3)]
    expected = np.mean([m.evaluate(part).loss for part in thirds])
    result = m.evaluate("".join(thirds), batch_size=3)
    assert result.loss == pytest.approx(expected, rel=1e-12)
    assert result.characters == 300


@pytest.mark.parametrize(
    ("text", "options", "error", "message"),
    [
        ("", {}, TextError, "empty"),
        ("t", {}, TextError, "too short"),
        ("the QUAY", {}, TextError, "'Q'"),
        (b"bytes", {}, TextError, "str"),
        (7, {}, TextError, "got int"),
        (TEXT, {"batch_size": 0}, SettingsError, "batch_size"),
        (TEXT, {"batch_size": 200}, TextError, "200 parallel sequences"),
        (TEXT, {"batch_size": 10**12}, SettingsError, "bytes of memory"),
    ],
)
def test_evaluations_that_make_no_sense_are_refused(text, options, error, message):
    with pytest.raises(error, match=message):
        model().evaluate(text, **options)


def test_losses_too_large_to_be_added_are_infinite():
    m = model()
    m.parameters["c"][:] = np.where(np.arange(len(m.vocabulary)) % 2, 1.5e308, -1.5e308)
    assert m.evaluate(TEXT).loss == math.inf


def test_a_hopeless_model_has_an_infinite_perplexity():
    m = model()
    m.parameters["c"][0] = 1e6
    assert m.evaluate("the tide").perplexity == math.inf


def test_a_corpus_in_another_vocabulary_is_numbered_anew():
    m = model()
    assert m.evaluate(Corpus.from_text("the tide")).loss == m.evaluate("the tide").loss


# ---- synthesis ------------------------------------------------------------------------------------------------------


def drawn(m, prime, uniforms, temperature=1.0, top_k=None, top_p=1.0):
    """A passage by plain NumPy from the same random numbers."""
    ids = list(m.vocabulary.encode(prime))
    for u in uniforms:
        p = reading(m, ids)[-1] ** (1 / temperature)
        p /= p.sum()
        order = np.argsort(-p, kind="stable")[:top_k]
        order = order[: np.searchsorted(np.cumsum(p[order]) / p[order].sum(), top_p) + 1]  # of what top_k leaves
        kept = np.zeros_like(p)
        kept[order] = p[order]
        ids.append(int(np.searchsorted(np.cumsum(kept / kept.sum()), u)))
    return m.vocabulary.decode(ids[len(prime) :])


@pytest.mark.parametrize(
    "options", [{}, {"temperature": 0.5}, {"top_k": 3}, {"top_p": 0.6}, {"top_k": 5, "top_p": 0.8, "temperature": 2}], ids=str
)
def test_passages_are_drawn_from_the_probabilities(options, level):
    m = model(level=level, init_std=1.0)
    uniforms = np.random.Generator(np.random.PCG64(11)).random(40)
    assert m.synthesize(40, prime="the tide", seed=11, **options) == drawn(m, "the tide", uniforms, **options)


def test_temperature_0_takes_the_likeliest_and_needs_no_seed(level):
    m = model(level=level)
    assert m.synthesize(30, prime="in", temperature=0) == drawn(m, "in", [0.5] * 30, top_k=1)
    assert m.synthesize(30, prime="in", temperature=1e-300) == m.synthesize(30, prime="in", temperature=0)


def test_a_long_prime_is_read_in_windows(level):
    m = model(level=level)
    assert m.synthesize(20, prime=TEXT, seed=1) == drawn(m, TEXT, np.random.Generator(np.random.PCG64(1)).random(20))


@pytest.mark.parametrize("piece", [1, 2, 3, 7, 1000])
def test_streaming_gives_the_same_text_in_pieces(piece):
    m = model(dtype="float32")
    pieces = list(m.stream(301, "the", seed=5, piece=piece))
    assert "".join(pieces) == m.synthesize(301, "the", seed=5)
    assert max(map(len, pieces)) <= piece


def test_a_passage_ends_with_the_first_stop():
    m = model()
    text = m.synthesize(3000, seed=2)
    stop = text[1000:1003]
    expected = text[: text.find(stop) + 3]
    assert m.synthesize(3000, seed=2, stop=stop) == expected
    for piece in (1, 2, 5, 64):
        assert "".join(m.stream(3000, seed=2, stop=stop, piece=piece)) == expected
    several = m.synthesize(200, seed=2, n=3)
    assert m.synthesize(200, seed=2, n=3, stop=",") == [t[: t.find(",") + 1] if "," in t else t for t in several]


def test_several_passages_at_once():
    m = model()
    several = m.synthesize(50, prime="the ", seed=4, n=5)
    assert [len(text) for text in several] == [50] * 5
    assert len(set(several)) == 5
    assert m.synthesize(50, prime="the ", seed=4, n=1) == [m.synthesize(50, prime="the ", seed=4)]
    assert m.synthesize(0, n=2) == ["", ""]


def test_a_seed_repeats_and_without_one_the_generator_runs_on():
    m = model()
    assert m.synthesize(50, seed=1) == m.synthesize(50, seed=1) != m.synthesize(50, seed=2)
    other = model()
    first, second = m.synthesize(50), m.synthesize(50)
    assert first != second
    assert [other.synthesize(50), "".join(other.stream(50))] == [first, second]


def test_a_stream_is_of_the_model_as_it_was():
    m = model()
    expected = m.synthesize(100, seed=3)
    pieces = m.stream(100, seed=3, piece=10)
    text = next(pieces)
    m.parameters["W"][:] = 0
    assert text + "".join(pieces) == expected


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"length": -1}, SettingsError, "length"),
        ({"length": 1.5}, SettingsError, "length"),
        ({"length": 10**15}, SettingsError, r"would need 8,000,000,000,000,000 bytes"),
        ({"length": 10**6, "n": 10**9}, SettingsError, "bytes of memory"),
        ({"n": 0}, SettingsError, "n must"),
        ({"temperature": -1}, SettingsError, "temperature"),
        ({"temperature": math.nan}, SettingsError, "temperature"),
        ({"top_k": 0}, SettingsError, "top_k"),
        ({"top_p": -0.1}, SettingsError, "top_p"),
        ({"top_p": 1.1}, SettingsError, "at most 1"),
        ({"seed": -1}, SettingsError, "seed"),
        ({"prime": "QUAY"}, TextError, "'Q' "),
        ({"prime": b"the"}, TextError, "str"),
        ({"prime": 5}, TextError, "prime must be str or bytes, got int"),
        ({"stop": ""}, SettingsError, "stop must be a non-empty str, or a list of them, got ''"),
        ({"stop": b"t"}, SettingsError, "stop"),
        ({"stop": b"t", "n": 2}, SettingsError, "stop"),
    ],
)
def test_passages_that_make_no_sense_are_refused(options, error, message):
    m = model()
    before = m.rng.bit_generator.state
    with pytest.raises(error, match=message):
        m.synthesize(**({"length": 5} | options))
    assert m.rng.bit_generator.state == before


@pytest.mark.parametrize("cell", CELLS)
def test_what_is_written_is_likely_by_the_same_model_s_losses(cell, level):
    """Greedy text, fed to `losses` behind its prime, has no character that another would have beaten."""
    m = model(cell=cell, layers=2, init_std=1.0, level=level)
    text = m.synthesize(40, prime="the tide", temperature=0)
    tail = m.losses("the tide" + text)[-40:]
    assert m.evaluate("the tide" + text).accuracy >= 40 / 47
    assert (tail < math.log(len(m.vocabulary))).all()


def test_more_choices_than_characters_are_all_of_them():
    assert model().synthesize(50, seed=1, top_k=10**30) == model().synthesize(50, seed=1)


# ---- files ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("cell", "layers", "dtype"), [("rnn", 1, "float32"), ("gru", 3, "float64"), ("lstm", 2, "float32")])
@pytest.mark.parametrize("text", [TEXT, TEXT.encode(), "αβ\0𝄞e\u0301" * 20])
def test_a_saved_model_is_loaded_bit_for_bit(cell, layers, dtype, text, tmp_path):
    m = CharRNN(hidden_size=5, cell=cell, layers=layers, dtype=dtype, seed=9)
    history = m.train(text, updates=30, seq_length=5, progress=False)
    m.parameters["c"][0] = -0.0
    m.save(tmp_path / "model.safetensors")
    loaded = CharRNN.load(tmp_path / "model.safetensors")
    assert loaded.theta.tobytes() == m.theta.tobytes()
    assert loaded.vocabulary == m.vocabulary
    assert (loaded.cell, loaded.layers, loaded.hidden_size, loaded.dtype, loaded.seed) == (cell, layers, 5, np.dtype(dtype), 9)
    assert loaded.synthesize(100, seed=1) == m.synthesize(100, seed=1)
    loaded.save(tmp_path / "again.safetensors")
    assert (tmp_path / "again.safetensors").read_bytes() == (tmp_path / "model.safetensors").read_bytes()
    history.best.save(tmp_path / "best.safetensors")
    assert CharRNN.load(tmp_path / "best.safetensors").trained["step"] == history.best_step
    loaded.train(text, updates=5, seq_length=5, progress=False)


def test_a_second_bias_is_added(tmp_path):
    m = model()
    tensors = m.to_tensors()
    tensors["rnn.bias_hh_l0"] = np.full(7, 0.25)
    modelfile.write(tmp_path / "m", tensors, m.to_metadata())
    np.testing.assert_array_equal(CharRNN.load(tmp_path / "m").parameters["b"], np.full(7, 0.25))


CHANGES = {
    "a tensor is missing": lambda t, d: t.pop("head.bias"),
    "a tensor has another shape": lambda t, d: t.update({"head.bias": np.zeros(99)}),
    "a tensor has another type": lambda t, d: t.update({"head.bias": t["head.bias"].astype(np.float32)}),
    "no vocabulary": lambda t, d: d.pop("vocabulary"),
    "another vocabulary": lambda t, d: d.update(vocabulary=Vocabulary("ab").to_json()),
    "a vocabulary of numbers": lambda t, d: d.update(vocabulary=[1, 2]),
    "a size that is none": lambda t, d: d.update(hidden_size="7"),
    "a size that is huge": lambda t, d: d.update(hidden_size=10**9),
    "a size that is large": lambda t, d: d.update(hidden_size=10_000),
    "another size": lambda t, d: d.update(hidden_size=8),
    "another type": lambda t, d: d.update(dtype="float32"),
    "a type that is none": lambda t, d: d.update(dtype=["float64"]),
    "another cell": lambda t, d: d.update(cell="gru"),
    "an unknown cell": lambda t, d: d.update(cell="elman"),
    "a cell that is none": lambda t, d: d.update(cell=["rnn"]),
    "more layers": lambda t, d: d.update(layers=2),
    "layers that are none": lambda t, d: d.update(layers=1.5),
    "huge layers": lambda t, d: d.update(layers=10**12),
    "an unknown init": lambda t, d: d.update(init={}),
    "a negative seed": lambda t, d: d.update(seed=-1),
    "a recipe that is none": lambda t, d: d.update(recipe=[]),
    "a course that is none": lambda t, d: d.update(training="yes"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_files_whose_parts_do_not_belong_together_are_refused(change, tmp_path):
    m = model()
    tensors, description = m.to_tensors(), m.to_metadata()
    CHANGES[change](tensors, description)
    modelfile.write(tmp_path / "m", tensors, description)
    with pytest.raises(ModelFileError, match="/m: "):
        CharRNN.load(tmp_path / "m")
