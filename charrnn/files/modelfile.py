"""One .safetensors file for a model or a checkpoint: named arrays, and JSON about them.

The layout is that of the safetensors format: 8 bytes with the length of the header (little-endian), the
header (JSON), the arrays' bytes. In the header's ``__metadata__``, which maps strings to strings, stand

    format "charrnn", format_version "2", kind ("model", "checkpoint"), charrnn (the version that wrote it),
    checksum "sha256:...", and for every other key one JSON value.

The checksum covers everything else: the SHA-256 of ``[metadata without checksum, {name: [dtype, shape]}]``
as JSON (sorted keys, no spaces, ASCII), followed by the arrays' bytes in the order of their names.

A file from a stranger can do nothing but be read. Nothing in it is ever executed, nothing is allocated on
the word of its header, and whatever is wrong with it is a `ModelFileError`.
"""

import contextlib
import hashlib
import json
import math
import os
import stat
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from charrnn.errors import ModelFileError, NonFiniteError, SettingsError
from charrnn.files.atomic import as_path, atomic_write

FORMAT_VERSION = 2
MAX_FILE = 4 << 30
MAX_HEADER = 16 << 20
MAX_BRACKETS = 100_000  # [ and { in the header: parsed, each takes 100 bytes, everything else 13 times its length
MAX_DIMENSIONS = 8
DTYPES = {"F32": "<f4", "F64": "<f8", "I32": "<i4", "I64": "<i8", "U8": "|u1", "U32": "<u4", "U64": "<u8"}
_RESERVED = ("format", "format_version", "kind", "charrnn", "checksum")
_CODES = {np.dtype(dtype): code for code, dtype in DTYPES.items()}


class ModelFile(NamedTuple):
    """What a file holds: arrays by name, JSON values by name, and its kind."""

    tensors: dict[str, np.ndarray]
    metadata: dict[str, Any]
    kind: str


class _Problem(Exception):
    """What is wrong with a file, worded to follow its name."""


def write(path: str | os.PathLike[str], tensors: Mapping[str, np.ndarray], metadata: Mapping[str, Any], kind: str = "model") -> None:
    """Write `tensors` (any shapes) and `metadata` (JSON values) to `path`, atomically.

    Raises `OutputError` where the file cannot be written, otherwise as `to_bytes`.

    >>> import tempfile, os
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "small.safetensors")
    ...     write(path, {"bias": np.zeros(3, np.float32)}, {"note": ["a", 1]})
    ...     read(path)
    ModelFile(tensors={'bias': array([0., 0., 0.], dtype=float32)}, metadata={'note': ['a', 1]}, kind='model')
    """
    atomic_write(path, to_bytes(tensors, metadata, kind))


def read(path: str | os.PathLike[str], kind: str | None = None, *, finite: bool = True, max_bytes: int = MAX_FILE) -> ModelFile:
    """The content of the file at `path`, of the given `kind` (None: any), of at most `max_bytes` bytes.

    Raises `ModelFileError` where there is no such file or anything is wrong with it; see `from_bytes`.
    """
    name = as_path(path)
    with _naming(name):
        found = os.stat(name)  # before opening it: to open a pipe would wait for its other end
        if stat.S_ISDIR(found.st_mode):
            raise _Problem("it is a folder; name the .safetensors file in it")
        if not stat.S_ISREG(found.st_mode):
            raise _Problem("it is a pipe or device, not a file")
        if found.st_size > max_bytes:
            raise _Problem(f"it has {found.st_size:,} bytes, the limit is {max_bytes:,}")
        with open(name, "rb") as file:
            start = file.read(8 + MAX_HEADER)
            _check_header(start, found.st_size)  # a foreign file of gigabytes is refused without reading them
            rest = file.read(max(0, found.st_size + 1 - len(start)))  # one more: a file that has grown is refused
            return _parse(start + rest, kind, finite)


def to_bytes(tensors: Mapping[str, np.ndarray], metadata: Mapping[str, Any], kind: str = "model", *, finite: bool = True) -> bytes:
    """The bytes of a file: the same content gives the same bytes, whatever the order of the mappings.

    Arrays may be read-only, strided or of either byte order. Raises `SettingsError` for what a file cannot
    hold (a dtype not in `DTYPES`, no JSON value, a reserved key, no tensor, beyond the limits above) and
    `NonFiniteError` for NaN and infinity in a tensor, unless `finite` is False.
    """
    import charrnn

    try:
        _check_request(tensors, metadata, kind)
        arrays = {name: _little_endian(name, tensors[name]) for name in sorted(tensors)}
        if finite and (name := _not_finite(arrays)) is not None:
            raise NonFiniteError(f"tensor {name!r} holds NaN or infinity and is not written")
        strings = {key: _to_json(value, f"metadata {key!r}") for key, value in metadata.items()}
        strings |= {"format": "charrnn", "format_version": str(FORMAT_VERSION), "kind": kind}
        strings["charrnn"] = getattr(charrnn, "__version__", "unknown")
        strings["checksum"] = _checksum(arrays, strings)
        return _serialize(arrays, strings)
    except (_Problem, ValueError, TypeError) as problem:
        raise SettingsError(f"cannot make a file of these tensors and metadata: {problem}") from problem


def from_bytes(data: bytes, name: str = "model file", kind: str | None = None, *, finite: bool = True) -> ModelFile:
    """The content of a file's bytes; `name` stands for it in messages. The arrays are writable copies.

    Raises `ModelFileError` for everything that `to_bytes` would not have written: truncated or flipped bytes,
    another format or kind, a newer format version, unknown dtypes, tensors that overlap or leave gaps,
    duplicate names, NaN or infinity (in tensors: unless `finite` is False), a wrong checksum.
    """
    with _naming(name):
        return _parse(data, kind, finite)


@contextlib.contextmanager
def _naming(name: str) -> Iterator[None]:
    """Everything that can go wrong while reading, as a `ModelFileError` that names the file."""
    try:
        yield
    except _Problem as problem:
        raise ModelFileError(f"cannot read {name}: {problem}") from None
    except RecursionError:
        raise ModelFileError(f"cannot read {name}: its JSON is nested too deeply") from None
    except MemoryError:
        raise ModelFileError(f"cannot read {name}: it does not fit into the free memory") from None
    except FileNotFoundError:
        raise ModelFileError(f"cannot read {name}: there is no such file") from None
    except OSError as error:
        raise ModelFileError(f"cannot read {name}: {error.strerror or error}") from error


def _parse(data: bytes, kind: str | None, finite: bool) -> ModelFile:
    from safetensors.numpy import load

    strings = _check_header(data, len(data))
    try:
        loaded = load(data)
    except MemoryError:
        raise
    except Exception as error:  # whatever it stumbles over, the file is to blame
        raise _Problem(f"the safetensors library refuses it ({_short(str(error))})") from error
    tensors = {name: np.array(loaded.pop(name)) for name in sorted(loaded)}
    if strings.get("checksum") != _checksum(tensors, strings):
        raise _Problem("its checksum does not match: it was damaged or changed after it was written")
    if kind is not None and strings["kind"] != kind:
        raise _Problem(f"it is a {_short(strings['kind'])} file, a {kind} file was asked for")
    metadata = {key: _from_json(text, f"its metadata {_short(key)}") for key, text in sorted(strings.items()) if key not in _RESERVED}
    if finite and (name := _not_finite(tensors)) is not None:
        raise _Problem(f"tensor {_short(name)} holds NaN or infinity")
    return ModelFile(tensors, metadata, strings["kind"])


def _check_header(data: bytes, total: int) -> dict[str, str]:
    """The metadata of a file of `total` bytes that begins with `data`, after every check of its header."""
    if total < 8:
        raise _Problem(f"it has only {total} bytes: it is empty, truncated or no safetensors file")
    size, rest = int.from_bytes(data[:8], "little"), total - 8
    if size > rest:
        raise _Problem(f"its header claims {size:,} bytes but {rest:,} are there: truncated or no safetensors file")
    if size > MAX_HEADER:
        raise _Problem(f"its header has {size:,} bytes, the limit is {MAX_HEADER:,}")
    if (brackets := sum(data.count(bracket, 8, 8 + size) for bracket in (b"[", b"{"))) > MAX_BRACKETS:
        raise _Problem(f"its header has {brackets:,} brackets, the limit is {MAX_BRACKETS:,}")
    try:
        text = data[8 : 8 + size].decode("utf-8")
    except UnicodeDecodeError as error:
        raise _Problem(f"its header is not UTF-8 (at byte {8 + error.start})") from None
    header = _from_json(text, "its header")
    if not isinstance(header, dict):
        raise _Problem("its header is not a JSON object")
    strings = _own_metadata(header.pop("__metadata__", None))
    _check_layout(header, rest - size)
    return strings


def _own_metadata(strings: Any) -> dict[str, str]:
    if not isinstance(strings, dict) or strings.get("format") != "charrnn":
        raise _Problem("it is a safetensors file, but not one of charrnn's (no format 'charrnn' in its metadata)")
    for key, text in strings.items():
        if not isinstance(text, str):
            raise _Problem(f"its metadata {_short(key)} is {_short(text)}, not a string")
    version = strings.get("format_version", "")
    if not (version.isascii() and version.isdigit()) or len(version) > 9:
        raise _Problem(f"its format_version is {_short(version)}, not a number")
    if int(version) > FORMAT_VERSION:
        raise _Problem(f"it has format version {version}, written by a newer charrnn: update (this one reads {FORMAT_VERSION})")
    if missing := [key for key in _RESERVED if key not in strings]:
        raise _Problem(f"its metadata lacks {missing}")
    return strings


def _check_layout(entries: dict[str, Any], length: int) -> None:
    """Every tensor of a known dtype, its shape agreeing with its bytes, and together all `length` bytes."""
    ranges = []
    for name, entry in entries.items():
        what = f"tensor {_short(name)}"
        if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "data_offsets"}:
            raise _Problem(f"{what} is not described by dtype, shape and data_offsets")
        code, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
        if not isinstance(code, str) or code not in DTYPES:
            raise _Problem(f"{what} has dtype {_short(code)}; known are {', '.join(DTYPES)}")
        if not _counts(shape) or len(shape) > MAX_DIMENSIONS:
            raise _Problem(f"{what} has shape {_short(shape)}: at most {MAX_DIMENSIONS} whole numbers are possible")
        if not _counts(offsets) or len(offsets) != 2 or offsets[0] > offsets[1]:
            raise _Problem(f"{what} has data_offsets {_short(offsets)}: a begin and an end are needed")
        start, end = offsets
        if end > length:
            raise _Problem(f"{what} ends at byte {_short(end)} of {length:,}: the file is truncated or damaged")
        needed = math.prod(shape) * np.dtype(DTYPES[code]).itemsize
        if needed != end - start:
            raise _Problem(f"{what} of shape {_short(shape)} needs {_short(needed)} bytes, but has {end - start:,}")
        ranges.append((start, end, what))
    if not ranges:
        raise _Problem("it holds no tensors")
    position = 0
    for start, end, what in sorted(ranges):
        if start != position:
            raise _Problem(f"{what} begins at byte {start:,}, the one before it ends at {position:,}")
        position = end
    if position != length:
        raise _Problem(f"{length - position:,} bytes follow the last tensor")


def _counts(values: Any) -> bool:
    """Whether this is a list of whole numbers from 0 to the largest file (a bool is none)."""
    return isinstance(values, list) and all(type(n) is int and 0 <= n <= MAX_FILE for n in values)


def _check_request(tensors: Mapping[str, Any], metadata: Mapping[str, Any], kind: str) -> None:
    if not all(isinstance(name, str) and name for name in [*tensors, *metadata, kind]):
        raise _Problem("every name and the kind must be a string that is not empty")
    if taken := sorted({*metadata} & {*_RESERVED} | {*tensors} & {"__metadata__"}):
        raise _Problem(f"the names {taken} are the format's own")
    if not tensors:  # the library would write a broken file (safetensors #466)
        raise _Problem("there is no tensor")
    if (total := sum(np.asarray(array).nbytes for array in tensors.values())) > MAX_FILE - MAX_HEADER:
        raise _Problem(f"the tensors need {total:,} bytes, the limit is {MAX_FILE - MAX_HEADER:,}")


def _little_endian(name: str, value: Any) -> np.ndarray:
    array = np.asarray(value)
    dtype = array.dtype.newbyteorder("<")
    if dtype not in _CODES:
        raise _Problem(f"tensor {name!r} has dtype {array.dtype}; a file holds {', '.join(map(str, _CODES))}")
    return np.asarray(array, dtype, order="C")


def _serialize(arrays: dict[str, np.ndarray], strings: dict[str, str]) -> bytes:
    from safetensors import SafetensorError
    from safetensors.numpy import save

    try:
        data = save(arrays, strings)
    except SafetensorError as error:
        raise _Problem(str(error)) from error
    # The library writes the metadata in a new random order each time (safetensors #584): sort the header.
    # Offsets count from its end; it is padded to 8 bytes so that the arrays stay aligned.
    start = 8 + int.from_bytes(data[:8], "little")
    text = _to_json(json.loads(data[8:start]), "the header").encode("ascii")
    text += b" " * (-len(text) % 8)
    data = b"".join([len(text).to_bytes(8, "little"), text, memoryview(data)[start:]])
    _check_header(data, len(data))  # nothing is written that would not be read
    return data


def _checksum(tensors: dict[str, np.ndarray], strings: Mapping[str, str]) -> str:
    """Over everything in a file but the checksum itself, as the head of this module describes it."""
    described = {name: [_CODES[array.dtype], list(array.shape)] for name, array in tensors.items()}
    others = {key: text for key, text in strings.items() if key != "checksum"}
    digest = hashlib.sha256(_to_json([others, described], "metadata").encode("ascii"))
    for name in sorted(tensors):
        digest.update(tensors[name].reshape(-1).view(np.uint8).data)
    return f"sha256:{digest.hexdigest()}"


def _not_finite(tensors: dict[str, np.ndarray]) -> str | None:
    return next((name for name, a in tensors.items() if a.dtype.kind == "f" and not np.isfinite(a).all()), None)


def _to_json(value: Any, what: str) -> str:
    try:
        return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise _Problem(f"{what} cannot be JSON ({error})") from error


def _from_json(text: str, what: str) -> Any:
    try:
        return json.loads(text, object_pairs_hook=_unique, parse_constant=_number, parse_float=_number)
    except _Problem as problem:
        raise _Problem(f"{what} {problem}") from None
    except ValueError as error:
        raise _Problem(f"{what} is not JSON ({error})") from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        twice = Counter(key for key, _ in pairs).most_common(1)[0][0]
        raise _Problem(f"has {_short(twice)} twice")
    return found


def _number(text: str) -> float:
    if not math.isfinite(number := float(text)):
        raise _Problem(f"holds {_short(text)}, which is no finite number")
    return number


def _short(value: Any) -> str:
    """A stranger's value for a message: one line, no control characters, of bounded length."""
    text = ascii(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
