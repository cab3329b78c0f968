"""Model files: what is written comes back, and nothing else does any harm."""

import base64
import contextlib
import hashlib
import json
import os
import subprocess
import sys
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from charrnn.errors import ModelFileError, NonFiniteError, OutputError, SettingsError
from charrnn.files import modelfile
from charrnn.files.modelfile import from_bytes, read, to_bytes, write

TENSORS = {
    "rnn.weight_hh_l0": np.arange(60, dtype=np.float32).reshape(6, 10) / 7,
    "head.bias": np.array([-1.5, 2.25]),
    "rng": np.array([3, 2**63], np.uint64),
}
METADATA = {"vocabulary": "\n aé\U0001f642", "settings": {"seed": 1, "lr": 0.1, "clip": None}, "history": [1, 2.5] * 80}


# The bytes of a file as format version 1 has them, for ever to be read: {"w": [[1.5, -2]], "n": 2**63}.
VERSION_1 = base64.b64decode(
    b"QAEAAAAAAAB7Il9fbWV0YWRhdGFfXyI6eyJjaGFycm5uIjoiMC4xLjAiLCJjaGVja3N1bSI6InNoYTI1NjpkNjg5YzZhNzM3ZWY2YTI0YjZh"
    b"MDBkNGYwNjk5YmVhMzIzNWVjNjM2Y2Q5MDU1MzJlYjY0NjcyMTA1ZDc3ZDFhIiwiZm9ybWF0IjoiY2hhcnJubiIsImZvcm1hdF92ZXJzaW9u"
    b"IjoiMSIsImtpbmQiOiJtb2RlbCIsInZvY2FidWxhcnkiOiJcIlxcblxcdTAwZTlcIiJ9LCJuIjp7ImRhdGFfb2Zmc2V0cyI6WzAsOF0sImR0"
    b"eXBlIjoiVTY0Iiwic2hhcGUiOltdfSwidyI6eyJkYXRhX29mZnNldHMiOls4LDE2XSwiZHR5cGUiOiJGMzIiLCJzaGFwZSI6WzEsMl19fSAg"
    b"ICAgIAAAAAAAAACAAADAPwAAAMA="
)


@pytest.fixture(scope="module")
def small():
    return to_bytes(TENSORS, METADATA)


def same(a, b):
    """Identical content: names, values, dtypes, shapes, bytes (so NaN equals itself, -0.0 not 0.0)."""
    return (
        a.kind == b.kind
        and json.dumps(a.metadata, sort_keys=True) == json.dumps(b.metadata, sort_keys=True)
        and a.tensors.keys() == b.tensors.keys()
        and all(a.tensors[n].dtype == x.dtype and a.tensors[n].shape == x.shape for n, x in b.tensors.items())
        and all(a.tensors[n].tobytes() == x.tobytes() for n, x in b.tensors.items())
    )


def split(data):
    size = int.from_bytes(data[:8], "little")
    return json.loads(data[8 : 8 + size]), data[8 + size :]


def join(header, body):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + body


def sealed(header, body):
    """The file of this header with the right checksum, calculated as the documentation says."""
    strings = {k: v for k, v in header["__metadata__"].items() if k != "checksum"}
    entries = {k: v for k, v in header.items() if k != "__metadata__"}
    described = [strings, {k: [v["dtype"], v["shape"]] for k, v in entries.items()}]
    digest = hashlib.sha256(json.dumps(described, sort_keys=True, separators=(",", ":")).encode())
    for name in sorted(entries):
        digest.update(body[slice(*entries[name]["data_offsets"])])
    strings["checksum"] = "sha256:" + digest.hexdigest()
    return join({**entries, "__metadata__": strings}, body)


def refused(data, **options):
    """The message with which `data` is refused: one line that begins with the name."""
    with pytest.raises(ModelFileError) as caught:
        from_bytes(data, "strange.safetensors", **options)
    message = str(caught.value)
    assert message.startswith("cannot read strange.safetensors: ")
    assert message.isprintable()
    assert len(message) < 400
    return message


@contextlib.contextmanager
def traced(limit):
    """The peak of memory allocated inside must stay below `limit` bytes."""
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < limit
    finally:
        tracemalloc.stop()


# What is written comes back


def test_round_trip_through_a_file(tmp_path):
    path = tmp_path / "model.safetensors"
    write(path, TENSORS, METADATA, "checkpoint")
    found = read(path, "checkpoint")
    assert same(found, modelfile.ModelFile(TENSORS, METADATA, "checkpoint"))
    assert found.metadata == METADATA
    for array in found.tensors.values():
        assert array.flags.writeable
        assert array.flags.owndata
        assert array.flags.c_contiguous
        array[...] = 0


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
NAMES = st.text(min_size=1, max_size=12)
ARRAYS = npst.arrays(
    st.sampled_from(list(modelfile.DTYPES.values())).map(np.dtype), npst.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4)
)


@settings(derandomize=True, max_examples=60, deadline=None)
@given(
    tensors=st.dictionaries(NAMES.filter(lambda n: n != "__metadata__"), ARRAYS, min_size=1, max_size=5),
    metadata=st.dictionaries(NAMES.filter(lambda n: n not in modelfile._RESERVED), JSON, max_size=4),
    kind=NAMES,
)
def test_round_trip_of_anything(tensors, metadata, kind):
    data = to_bytes(tensors, metadata, kind, finite=False)
    assert same(from_bytes(data, finite=False), modelfile.ModelFile(tensors, metadata, kind))
    assert to_bytes(dict(reversed(tensors.items())), metadata, kind, finite=False) == data
    assert int.from_bytes(data[:8], "little") % 8 == 0
    assert sealed(*split(data))
    assert split(sealed(*split(data))) == split(data)


def test_same_content_same_bytes_in_any_order_and_process(small):
    metadata = {f"key {i}": i for i in range(16)}
    first = to_bytes(TENSORS, metadata)
    for _ in range(30):
        assert to_bytes(dict(reversed(TENSORS.items())), dict(reversed(metadata.items()))) == first
    code = "import sys; from charrnn.files import modelfile as m; f = m.from_bytes(sys.stdin.buffer.read()); "
    code += "sys.stdout.buffer.write(m.to_bytes(*f))"
    done = subprocess.run([sys.executable, "-c", code], input=small, capture_output=True, timeout=60, check=True)
    assert done.stdout == small


def test_arrays_of_every_layout_are_taken_and_not_changed(tmp_path):
    base = np.arange(12, dtype=np.float32).reshape(3, 4)
    mapped = np.memmap(tmp_path / "map", np.float32, "w+", shape=(3, 4))
    mapped[...] = base
    frozen = base.copy()
    frozen.flags.writeable = False
    big = base.astype(">f4")
    tensors = {"t": base.T, "strided": base[:, ::2], "mapped": mapped, "frozen": frozen, "big": big}
    found = from_bytes(to_bytes(tensors | {"scalar": np.float64(2.5)}, {})).tensors
    for name, array in tensors.items():
        np.testing.assert_array_equal(found[name], array)
        assert found[name].dtype == np.dtype("<f4")
    assert found["scalar"].shape == ()
    assert found["scalar"] == 2.5
    assert big.dtype == np.dtype(">f4")


def test_a_lone_surrogate_survives():
    """Text decoded with surrogateescape may hold one; UTF-8 cannot, JSON's escapes can."""
    assert from_bytes(to_bytes(TENSORS, {"vocabulary": "a\udc80"})).metadata == {"vocabulary": "a\udc80"}


def test_a_file_of_format_version_1_is_read():
    found = from_bytes(VERSION_1)
    assert found.metadata == {"vocabulary": "\né"}
    assert found.kind == "model"
    np.testing.assert_array_equal(found.tensors["w"], np.array([[1.5, -2]], np.float32), strict=True)
    np.testing.assert_array_equal(found.tensors["n"], np.array(2**63, np.uint64), strict=True)


def test_the_library_reads_it_too(small):
    from safetensors.numpy import load

    for name, array in load(small).items():
        np.testing.assert_array_equal(array, TENSORS[name])


@pytest.mark.parametrize(
    ("tensors", "metadata", "kind", "message"),
    [
        ({}, {}, "model", "there is no tensor"),
        ({"a": np.zeros(2, np.float16)}, {}, "model", "'a' has dtype float16; a file holds float32, float64"),
        ({"a": np.zeros(2, complex)}, {}, "model", "'a' has dtype complex128"),
        ({"a": np.array([None])}, {}, "model", "'a' has dtype object"),
        ({"a": [[1], [1, 2]]}, {}, "model", "inhomogeneous"),
        ({"a": np.zeros((1,) * 9)}, {}, "model", "at most 8 whole numbers"),
        ({"": np.zeros(2)}, {}, "model", "a string that is not empty"),
        ({3: np.zeros(2)}, {}, "model", "a string that is not empty"),
        ({"\ud800": np.zeros(2)}, {}, "model", "surrogate"),
        ({"__metadata__": np.zeros(2)}, {}, "model", "__metadata__.* are the format's own"),
        (TENSORS, {"kind": 1, "checksum": 2}, "model", r"\['checksum', 'kind'\] are the format's own"),
        (TENSORS, {"a": float("nan")}, "model", "metadata 'a' cannot be JSON"),
        (TENSORS, {"a": [float("inf")]}, "model", "metadata 'a' cannot be JSON"),
        (TENSORS, {"a": {1, 2}}, "model", "metadata 'a' cannot be JSON"),
        (TENSORS, {"a": {1: 0, "1": 0}}, "model", "metadata 'a' cannot be JSON"),
        (TENSORS, {"a": 10**5000}, "model", "metadata 'a' cannot be JSON"),
        (TENSORS, {1: "a"}, "model", "a string that is not empty"),
        (TENSORS, {}, None, "a string that is not empty"),
        (TENSORS, {"a": [[]] * 100_000}, "model", "its header has 100,0[0-9]+ brackets, the limit is 100,000"),
        (TENSORS, {"a": "x" * modelfile.MAX_HEADER}, "model", "its header has 16,777,"),
        ({"a": np.broadcast_to(np.uint8(0), (2**32,))}, {}, "model", "tensors need 4,294,967,296 bytes, the lim"),
    ],
)
def test_what_cannot_be_written_is_said(tensors, metadata, kind, message):
    with pytest.raises(SettingsError, match=message):
        to_bytes(tensors, metadata, kind)


def test_nesting_too_deep_to_write():
    nested = []
    for _ in range(100_000):
        nested = [nested]
    with pytest.raises(SettingsError, match="metadata 'a' cannot be JSON"):
        to_bytes(TENSORS, {"a": nested})


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite(value):
    tensors = TENSORS | {"bad one": np.array([0, value], np.float32)}
    with pytest.raises(NonFiniteError, match="'bad one' holds NaN or infinity"):
        to_bytes(tensors, {})
    data = to_bytes(tensors, {}, finite=False)
    assert "tensor 'bad one' holds NaN or infinity" in refused(data)
    np.testing.assert_array_equal(from_bytes(data, finite=False).tensors["bad one"], tensors["bad one"])


def test_a_failed_write_keeps_the_older_file(tmp_path, monkeypatch):
    path = tmp_path / "model.safetensors"
    write(path, TENSORS, METADATA)

    def full(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OutputError, match=r"the disk is full.*the older file is unchanged"):
        write(path, {"other": np.zeros(3)}, {})
    assert same(read(path), modelfile.ModelFile(TENSORS, METADATA, "model"))
    assert os.listdir(tmp_path) == [path.name]


# Every way to damage a small file


def test_every_truncation_is_refused(small):
    messages = [refused(small[:length]) for length in range(len(small))]
    assert len(messages) == len(small) > 1_200
    assert "has only 0 bytes: it is empty" in messages[0]


def test_every_flipped_bit_is_refused_or_harmless(small):
    whole, harmless, messages = from_bytes(small), 0, []
    for bit in range(8 * len(small)):
        damaged = bytearray(small)
        damaged[bit // 8] ^= 1 << bit % 8
        try:
            found = from_bytes(bytes(damaged))
        except ModelFileError as error:
            messages.append(str(error))
        else:
            assert same(found, whole), f"bit {bit} changed the content unnoticed"
            harmless += 1
    assert (len(messages), harmless) == (8 * len(small), 0)
    assert len(messages) > 9_900
    assert all(message.isprintable() for message in messages)


@settings(derandomize=True, max_examples=120, deadline=None)
@given(st.data())
def test_any_damage_is_refused_or_harmless(small, data):
    damaged = bytearray(small)
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(small)))
        stop = data.draw(st.integers(start, min(len(small), start + 40)))
        damaged[start:stop] = data.draw(st.binary(max_size=40))
    with contextlib.suppress(ModelFileError):
        assert same(from_bytes(bytes(damaged)), from_bytes(small))


@settings(derandomize=True, max_examples=120, deadline=None)
@given(st.binary(max_size=64) | JSON.map(lambda value: join(json.dumps(value).encode(), b"12345678")))
def test_anything_else_is_refused(data):
    refused(data)


# Every inconsistency by name; each file is otherwise right, checksum included


def entry(header, **changes):
    header["head.bias"] = header["head.bias"] | changes


def strings(header, **changes):
    header["__metadata__"] = header["__metadata__"] | changes


def drop(header, key):
    del header["__metadata__"][key]


INCONSISTENT = [
    (lambda h: h.update(x=3), "tensor 'x' is not described by dtype, shape and data_offsets"),
    (lambda h: h["rng"].pop("shape"), "tensor 'rng' is not described by"),
    (lambda h: entry(h, stride=[1]), "tensor 'head.bias' is not described by"),
    (lambda h: entry(h, dtype="F16", shape=[8]), "tensor 'head.bias' has dtype 'F16'; known are F32, F64"),
    (lambda h: entry(h, dtype="object"), "has dtype 'object'"),
    (lambda h: entry(h, dtype=["F64"]), "has dtype ['F64']"),
    (lambda h: entry(h, dtype="F32"), "of shape [2] needs 8 bytes, but has 16"),
    (lambda h: entry(h, shape=[3]), "of shape [3] needs 24 bytes, but has 16"),
    (lambda h: entry(h, shape=[-2]), "has shape [-2]"),
    (lambda h: entry(h, shape=[2.0]), "has shape [2.0]"),
    (lambda h: entry(h, shape=[2, True]), "has shape [2, True]"),
    (lambda h: entry(h, shape="2"), "has shape '2'"),
    (lambda h: entry(h, shape=[2] + [1] * 8), "has shape [2, 1, 1, 1, 1, 1, 1, 1, 1]: at most 8"),
    (lambda h: entry(h, shape=[2**64, 2**64]), "has shape [18446744073709551616, 18446744073709551616]"),
    (lambda h: entry(h, shape=[2**32] * 8), "needs 9263367138"),
    (lambda h: entry(h, shape=[2**31, 0], data_offsets=[0, 0]), "begins at byte 32, the one before it ends at 16"),
    (lambda h: entry(h, shape=[10**4000]), "its header holds a number of 4,001 digits, at most 100 are possible"),
    (lambda h: entry(h, shape=[10**99]), "has shape [1000000000"),
    (lambda h: entry(h, data_offsets=[16]), "has data_offsets [16]"),
    (lambda h: entry(h, data_offsets=[16, 0]), "has data_offsets [16, 0]"),
    (lambda h: entry(h, data_offsets=[-16, 0]), "has data_offsets [-16, 0]"),
    (lambda h: entry(h, data_offsets=[0, 16.0]), "has data_offsets [0, 16.0]"),
    (lambda h: entry(h, data_offsets=[0, 2**32]), "ends at byte 4294967296 of 272: the file is truncated"),
    (lambda h: entry(h, data_offsets=[8, 24]), "begins at byte 8, the one before it ends at 16"),
    (lambda h: entry(h, data_offsets=[24, 40]), "begins at byte 24, the one before it ends at 16"),
    (lambda h: [h.pop(n) for n in TENSORS], "it holds no tensors"),
    (lambda h: h.update(__metadata__=None), "not one of charrnn's"),
    (lambda h: h.update(__metadata__=["format", "charrnn"]), "not one of charrnn's"),
    (lambda h: drop(h, "format"), "not one of charrnn's"),
    (lambda h: strings(h, format="pt"), "not one of charrnn's"),
    (lambda h: strings(h, settings={"seed": 1}), "its metadata 'settings' is {'seed': 1}, not a string"),
    (lambda h: strings(h, format_version=2), "its metadata 'format_version' is 2, not a string"),
    (lambda h: strings(h, format_version="3"), "format version 3, written by a newer charrnn: update (this one reads 2)"),
    (lambda h: strings(h, format_version="999999999"), "written by a newer charrnn"),
    (lambda h: strings(h, format_version="one"), "its format_version is 'one', not a number"),
    (lambda h: strings(h, format_version="\u0661"), "its format_version is '\\u0661', not a number"),
    (lambda h: strings(h, format_version="1" * 5000), "not a number"),
    (lambda h: drop(h, "format_version"), "its format_version is '', not a number"),
    (lambda h: drop(h, "kind"), "its metadata lacks ['kind']"),
    (lambda h: drop(h, "charrnn"), "its metadata lacks ['charrnn']"),
    (lambda h: strings(h, note="{'a': 1}"), "its metadata 'note' is not JSON (Expecting property name"),
    (lambda h: strings(h, note=""), "its metadata 'note' is not JSON"),
    (lambda h: strings(h, note='{"a": {"b": 1, "b": 2}}'), "its metadata 'note' has 'b' twice"),
    (lambda h: strings(h, note="[NaN]"), "its metadata 'note' holds 'NaN', which is no finite number"),
    (lambda h: strings(h, note="-Infinity"), "holds '-Infinity', which is no finite number"),
    (lambda h: strings(h, note="[1e999]"), "holds '1e999', which is no finite number"),
    (lambda h: strings(h, note="9" * 5000), "its metadata 'note' holds a number of 5,000 digits, at most 100 are possible"),
    (lambda h: strings(h, note="9" * 101), "its metadata 'note' holds a number of 101 digits"),
    (lambda h: strings(h, note="1e400"), "its metadata 'note' holds '1e400', which is no finite number"),
    (lambda h: strings(h, note="[" * 99_000), "its metadata 'note' is nested too deeply"),
    (lambda h: strings(h, note='{"a":' * 99_000), "its metadata 'note' is nested too deeply"),
    (lambda h: strings(h, **{"evil\x1b[2J\nname": "x"}), r"its metadata 'evil\x1b[2J\nname' is not JSON"),
    (lambda h: h.update({"\ud800": h.pop("rng")}), "tensor '\\ud800' has a name that is no text"),
]


@pytest.mark.parametrize(("change", "message"), INCONSISTENT, ids=[m[:50] for _, m in INCONSISTENT])
def test_each_inconsistency(small, change, message):
    header, body = split(small)
    change(header)
    try:
        data = sealed(header, body)
    except (KeyError, TypeError, AttributeError):  # too broken to be sealed
        data = join(header, body)
    assert message in refused(data)


HEADERS = [
    (b"", "its header is not JSON"),
    (b"[]", "its header is not a JSON object"),
    (b"null", "its header is not a JSON object"),
    (b'{"a": 1', "its header is not JSON"),
    (b'{"a": 1} {}', "its header is not JSON"),
    (b"\xef\xbb\xbf{}", "its header is not JSON"),
    ('{"é": 1}'.encode("utf-16"), "its header is not UTF-8 (at byte 8)"),
    (b'{"a\xff": 1}', "its header is not UTF-8 (at byte 11)"),
    (b'{"a": 1, "a": 1}', "its header has 'a' twice"),
    (b'{"__metadata__": {"format": "charrnn", "format": "charrnn"}}', "its header has 'format' twice"),
    (b'{"__metadata__": {}, "__metadata__": {}}', "its header has '__metadata__' twice"),
    (b'{"a": NaN}', "its header holds 'NaN'"),
    (b'{"a": 1e400}', "its header holds '1e400'"),
    (b"[" * 1_000_000, "its header has 1,000,000 brackets, the limit is 100,000"),
    (b'{"a":' * 100_000, "its header is nested too deeply"),
    (b'{"a":[' + b"9" * 5000 + b"]}", "its header holds a number of 5,000 digits"),
    (b"{}", "not one of charrnn's"),
    (b" " * (modelfile.MAX_HEADER + 1), "its header has 16,777,217 bytes, the limit is 16,777,216"),
    (b"\x80\x04\x95cos\nsystem\n", "its header is not UTF-8"),
]


@pytest.mark.parametrize(("header", "message"), HEADERS, ids=[m for _, m in HEADERS])
def test_each_broken_header(header, message):
    assert message in refused(join(header, b"12345678"))


def test_duplicate_tensor_name(small):
    header, body = split(small)
    twice = json.dumps(header)[:-1] + ', "rng": ' + json.dumps(header["rng"]) + "}"
    assert "its header has 'rng' twice" in refused(join(twice.encode(), body))


def test_missing_renamed_and_swapped_tensors_break_the_checksum(small):
    header, body = split(small)
    header["new name"] = header.pop("rng")
    assert "its checksum does not match" in refused(join(header, body))
    header, body = split(small)
    header["rng"]["dtype"] = "I64"
    assert "its checksum does not match" in refused(join(header, body))
    header, body = split(small)
    header["head.bias"], header["rng"] = (header["rng"] | {"dtype": "F64"}, header["head.bias"] | {"dtype": "U64"})
    assert "its checksum does not match" in refused(join(header, body))
    header, body = split(small)
    drop(header, "checksum")
    assert "its metadata lacks ['checksum']" in refused(join(header, body))


def test_bytes_after_the_end(small):
    assert "1 bytes follow the last tensor" in refused(small + b"\0")
    assert "follow the last tensor" in refused(small + small)


def test_other_formatting_of_the_same_header_is_fine(small):
    header, body = split(small)
    text = json.dumps(dict(reversed(header.items())), indent=3, ensure_ascii=False).encode()
    assert same(from_bytes(join(text, body)), from_bytes(small))


def test_kinds(small):
    assert from_bytes(small, kind="model").kind == "model"
    message = refused(to_bytes(TENSORS, {}, "checkpoint"), kind="model")
    assert "it is a 'checkpoint' file, a model file was asked for" in message


def test_foreign_safetensors():
    from safetensors.numpy import save

    for metadata in (None, {"format": "pt"}):
        assert "not one of charrnn's" in refused(save({"a": np.zeros(3)}, metadata))


# Files


def test_files_that_cannot_be_read(tmp_path, monkeypatch):
    path = tmp_path / "m.safetensors"
    with pytest.raises(ModelFileError, match=r"m\.safetensors: there is no such file"):
        read(path)
    with pytest.raises(ModelFileError, match=r"it is a folder; name the .safetensors file in it"):
        read(tmp_path)
    with pytest.raises(ModelFileError, match=r"it is a pipe or device|no such file"):
        read("/dev/zero")
    path.write_bytes(b"")
    with pytest.raises(ModelFileError, match="it is empty"):
        read(path)
    with pytest.raises(ModelFileError, match=r"(?i)not a directory|no such file"):
        read(path / "inner")
    with pytest.raises(ModelFileError, match=r"(?i)name too long|no such file|invalid"):
        read(tmp_path / ("n" * 5000))
    with pytest.raises(SettingsError, match="a path must be"):
        read(3)

    def denied(*args):
        raise PermissionError(13, "denied")

    monkeypatch.setattr(modelfile, "open", denied, raising=False)
    with pytest.raises(ModelFileError, match="denied"):
        read(path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes")
def test_a_pipe_does_not_hang(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ModelFileError, match="it is a pipe or device"):
        read(tmp_path / "pipe")


def test_size_limit_and_sparse_giants(tmp_path, small):
    path = tmp_path / "m.safetensors"
    path.write_bytes(small)
    assert same(read(path, max_bytes=len(small)), from_bytes(small))
    with pytest.raises(ModelFileError, match=r"has 1,[0-9]+ bytes, the limit is 1,[0-9]+$"):
        read(path, max_bytes=len(small) - 1)
    with open(path, "r+b") as file:
        file.truncate(modelfile.MAX_FILE + 1)
    with pytest.raises(ModelFileError, match="has 4,294,967,297 bytes, the limit is 4,294,967,296"):
        read(path)
    os.truncate(path, modelfile.MAX_FILE)
    message = r"4,294,966,[0-9]+ bytes follow the last tensor"
    with traced(modelfile.MAX_HEADER + 1_000_000), pytest.raises(ModelFileError, match=message):
        read(path)  # its first 16 MiB tell enough


@pytest.mark.parametrize("growth", [b"more", None])
def test_a_file_that_changes_while_it_is_read(tmp_path, monkeypatch, small, growth):
    path = tmp_path / "m.safetensors"
    path.write_bytes(small)

    def change_and_open(name, mode):  # between the look at its size and the reading
        path.write_bytes(small + growth if growth else small[:-9])
        return open(name, mode)

    monkeypatch.setattr(modelfile, "open", change_and_open, raising=False)
    with pytest.raises(ModelFileError, match="4 bytes follow the last tensor" if growth else "truncated"):
        read(path)


@pytest.mark.parametrize(
    "changes",
    [{"shape": [2**29], "data_offsets": [16, 16 + 2**32]}, {"shape": [2**32, 2**32]}, {"shape": [2**16] * 8}, {"shape": [10**4000]}],
)
def test_claims_of_a_header_allocate_nothing(small, changes):
    header, body = split(small)
    header["head.bias"] |= changes
    data = join(header, body)
    with traced(200_000):
        refused(data)


def test_no_claim_of_a_length_allocates_anything():
    with traced(200_000):
        for size in (2**63, 2**64 - 1, 2**32, modelfile.MAX_HEADER):
            assert f"its header claims {size:,} bytes but 4 are" in refused(size.to_bytes(8, "little") + b"{}  ")


@pytest.mark.parametrize("unit", [b"[[[[]]]],", b'{"a":{}},', b'"ab",', b"9999,"])
def test_a_header_of_rubbish_takes_bounded_memory(unit):
    """The largest that passes the limits: at most 13 times its length, and 100 bytes for each bracket."""
    rubbish = unit * min(4_000_000 // len(unit), 99_990 // max(1, unit.count(b"[") + unit.count(b"{")))
    data = join(b"[" + rubbish + b"0]", b"")
    with traced(13.5 * len(data) + 100 * 100_000):
        assert "its header is not a JSON object" in refused(data)


def test_nesting_of_any_depth():
    """Where parsing just succeeds, wording the message must not be what fails."""
    for depth in [*range(1, 1100), 2_000, 100_000, 1_000_000]:
        refused(join(b'{"__metadata__":' + b"[" * depth + b"]" * depth + b"}", b""))
        shape = b"[" * depth + b"]" * depth
        own = b'{"__metadata__":{"format":"charrnn","format_version":"1","kind":"","charrnn":"","checksum":""},'
        refused(join(own + b'"a":{"dtype":"F32","data_offsets":[0,0],"shape":' + shape + b"}}", b""))


def test_more_than_the_memory_there_is_is_refused_before_anything_is_allocated(small, monkeypatch):
    data = to_bytes({"a": np.zeros(100_000)}, {})
    monkeypatch.setattr(modelfile.arguments, "available_memory", lambda: 799_999)
    with traced(100_000):
        assert "its tensors need 800,000 bytes of memory, more than the 799,999 that there are" in refused(data)
    assert same(from_bytes(small), modelfile.ModelFile(TENSORS, METADATA, "model"))


def test_a_file_is_read_into_memory_once(tmp_path):
    """Right or wrong: one copy of its arrays, each in the place where it stays."""
    size = 32 << 20
    path = tmp_path / "m.safetensors"
    write(path, {"a": np.ones(size // 8), "b": np.ones(size // 4, np.float32)}, {})
    with traced(2 * size + (4 << 20)):
        read(path)
    with open(path, "r+b") as file:  # a sparse file, as a stranger sends it: all zeros after the header
        start = file.read(8)
        file.truncate(8 + int.from_bytes(start, "little"))
        file.truncate(8 + int.from_bytes(start, "little") + 2 * size)
    with traced(2 * size + (4 << 20)), pytest.raises(ModelFileError, match="its checksum does not match"):
        read(path)


def test_a_file_that_shrinks_after_its_header_was_read(tmp_path, monkeypatch):
    path = tmp_path / "m.safetensors"
    write(path, {"a": np.ones(1000)}, {})
    real = modelfile._check_header

    def check_and_cut(data, total):
        os.truncate(path, total - 4000)
        return real(data, total)

    monkeypatch.setattr(modelfile, "_check_header", check_and_cut)
    with pytest.raises(ModelFileError, match="tensor 'a' is truncated: the file was shortened while it was read"):
        read(path)


def test_what_would_not_be_read_is_not_written():
    for value, message in ((10**101, "holds a number of 102 digits"), (-(10**4000), "holds a number of 4,002 digits")):
        with pytest.raises(SettingsError, match=f"metadata 'a' {message}"):
            to_bytes(TENSORS, {"a": [value]})
    assert from_bytes(to_bytes(TENSORS, {"a": 2**128})).metadata == {"a": 2**128}


def test_too_little_memory_is_said(small, monkeypatch):
    def none_left(*args):
        raise MemoryError

    monkeypatch.setattr(modelfile.np, "empty", none_left)
    assert "it does not fit into the free memory" in refused(small)


def test_reading_executes_nothing_and_import_is_cheap():
    code = "import sys, charrnn.files.modelfile; print(sorted({'safetensors', 'pickle'} & set(sys.modules)))"
    plain = "import sys, numpy; print(sorted({'safetensors', 'pickle'} & set(sys.modules)))"
    ours, numpys = (
        subprocess.run([sys.executable, "-c", c], capture_output=True, text=True, timeout=60, check=True).stdout for c in (code, plain)
    )
    assert ours == numpys
    assert "safetensors" not in ours
