"""One .safetensors file for a model or a checkpoint: named arrays, and JSON about them.

The layout is that of the safetensors format: 8 bytes with the length of the header (little-endian), the
header (JSON), the arrays' bytes. In the header's ``__metadata__``, which maps strings to strings, stand

    format "charrnn", format_version "2", kind ("model", "checkpoint"), charrnn (the version that wrote it),
    checksum "sha256:...", and for every other key one JSON value.

The checksum covers everything else: the SHA-256 of ``[metadata without checksum, {name: [dtype, shape]}]``
as JSON (sorted keys, no spaces, ASCII), followed by the arrays' bytes in the order of their names.

A file from a stranger can do nothing but be read. Nothing in it is ever executed, nothing is allocated on
the word of its header before that agrees with the file's length and with the memory there is, each array is read
to where it stays, and whatever is wrong with the file is a `ModelFileError`.
"""

import contextlib
import hashlib
import io
import json
import math
import os
import stat
from collections.abc import Iterator, Mapping
from typing import IO, Any, NamedTuple

import numpy as np

from charrnn import arguments
from charrnn.errors import ModelFileError, NonFiniteError, SettingsError
from charrnn.files.atomic import as_path, atomic_write
from charrnn.files.schema import Mismatch, loads
from charrnn.files.schema import short as _short
from charrnn.version import __version__

FORMAT_VERSION = 2
MAX_FILE = 4 << 30
MAX_HEADER = 16 << 20
MAX_BRACKETS = 100_000  # [ and { in the header: parsed, each takes 100 bytes, everything else 13 times its length
MAX_DIMENSIONS = 8
DTYPES = {"F32": "<f4", "F64": "<f8", "I32": "<i4", "I64": "<i8", "U8": "|u1", "U32": "<u4", "U64": "<u8"}
_PIECE = 1 << 20
_RESERVED = ("format", "format_version", "kind", "charrnn", "checksum")
_CODES = {np.dtype(dtype): code for code, dtype in DTYPES.items()}


_Place = tuple[int, int, str, str, list[int]]  # begin and end of a tensor's bytes, its name, dtype and shape


class ModelFile(NamedTuple):
    """What a file holds: arrays by name, JSON values by name, and its kind."""

    tensors: dict[str, np.ndarray]
    metadata: dict[str, Any]
    kind: str


def write(
    path: str | os.PathLike[str],
    tensors: Mapping[str, np.ndarray],
    metadata: Mapping[str, Any],
    kind: str = "model",
    *,
    follow: bool = False,
) -> None:
    """Write `tensors` (any shapes) and `metadata` (JSON values) to `path`, atomically; `follow`: through a link, if one is there.

    Raises `OutputError` where the file cannot be written, otherwise as `to_bytes`.

    >>> import tempfile, os
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "small.safetensors")
    ...     write(path, {"bias": np.zeros(3, np.float32)}, {"note": ["a", 1]})
    ...     read(path)
    ModelFile(tensors={'bias': array([0., 0., 0.], dtype=float32)}, metadata={'note': ['a', 1]}, kind='model')
    """
    atomic_write(path, to_bytes(tensors, metadata, kind), follow=follow)


def read(path: str | os.PathLike[str], kind: str | None = None, *, finite: bool = True, max_bytes: int = MAX_FILE) -> ModelFile:
    """The content of the file at `path`, of the given `kind` (None: any), of at most `max_bytes` bytes.

    Raises `ModelFileError` where there is no such file or anything is wrong with it; see `from_bytes`.
    """
    name = as_path(path)
    with _naming(name):
        found = os.stat(name)  # before opening it: to open a pipe would wait for its other end
        if stat.S_ISDIR(found.st_mode):
            raise Mismatch("it is a folder; name the .safetensors file in it")
        if not stat.S_ISREG(found.st_mode):
            raise Mismatch("it is a pipe or device, not a file")
        with open(name, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            if size > max_bytes:
                raise Mismatch(f"it has {size:,} bytes, the limit is {max_bytes:,}")
            return _parse(file, size, kind, finite)


def to_bytes(tensors: Mapping[str, np.ndarray], metadata: Mapping[str, Any], kind: str = "model", *, finite: bool = True) -> bytes:
    """The bytes of a file: the same content gives the same bytes, whatever the order of the mappings.

    Arrays may be read-only, strided or of either byte order. Raises `SettingsError` for what a file cannot
    hold (a dtype not in `DTYPES`, no JSON value, a reserved key, no tensor, beyond the limits above) and
    `NonFiniteError` for NaN and infinity in a tensor, unless `finite` is False.
    """
    try:
        _check_request(tensors, metadata, kind)
        arrays = {name: _little_endian(name, tensors[name]) for name in sorted(tensors)}
        if finite and (name := _not_finite(arrays)) is not None:
            raise NonFiniteError(f"tensor {name!r} holds NaN or infinity and is not written")
        strings = {key: _to_json(value, f"metadata {key!r}") for key, value in metadata.items()}
        for key, text in strings.items():
            loads(text, f"metadata {key!r}")  # nothing is written that would not be read
        strings |= {"format": "charrnn", "format_version": str(FORMAT_VERSION), "kind": kind}
        strings["charrnn"] = __version__
        strings["checksum"] = _checksum(arrays, strings)
        return _serialize(arrays, strings)
    except (ValueError, TypeError) as problem:
        raise SettingsError(f"cannot make a file of these tensors and metadata: {problem}") from problem


def from_bytes(data: bytes, name: str = "model file", kind: str | None = None, *, finite: bool = True) -> ModelFile:
    """The content of a file's bytes; `name` stands for it in messages. The arrays are writable copies.

    Raises `ModelFileError` for everything that `to_bytes` would not have written: truncated or flipped bytes,
    another format or kind, a newer format version, unknown dtypes, tensors that overlap or leave gaps,
    duplicate names, NaN or infinity (in tensors: unless `finite` is False), a wrong checksum.
    """
    with _naming(name):
        return _parse(io.BytesIO(data), len(data), kind, finite)


@contextlib.contextmanager
def _naming(name: str) -> Iterator[None]:
    """Everything that can go wrong while reading, as a `ModelFileError` that names the file."""
    try:
        yield
    except Mismatch as problem:
        raise ModelFileError(f"cannot read {name}: {problem}") from None
    except MemoryError:
        raise ModelFileError(f"cannot read {name}: it does not fit into the free memory") from None
    except FileNotFoundError:
        raise ModelFileError(f"cannot read {name}: there is no such file") from None
    except OSError as error:
        raise ModelFileError(f"cannot read {name}: {error.strerror or error}") from error


def _parse(file: IO[bytes], total: int, kind: str | None, finite: bool) -> ModelFile:
    start = file.read(8)
    start += file.read(min(int.from_bytes(start, "little"), MAX_HEADER))
    strings, layout = _check_header(start, total)
    if kind is not None and strings["kind"] != kind:
        raise Mismatch(f"it is a {_short(strings['kind'])} file, a {kind} file was asked for")
    metadata = {key: loads(text, f"its metadata {_short(key)}") for key, text in sorted(strings.items()) if key not in _RESERVED}
    needed, have = sum(end - begin for begin, end, *_ in layout), arguments.available_memory()
    if needed > have:
        raise Mismatch(f"its tensors need {needed:,} bytes of memory, more than the {have:,} that there are")
    tensors = {}
    for begin, end, name, dtype, shape in layout:  # in the order of the file
        tensors[name] = np.empty(shape, dtype)
        if _read_into(file, tensors[name]) != end - begin:
            raise Mismatch(f"tensor {_short(name)} is truncated: the file was shortened while it was read")
    tensors = dict(sorted(tensors.items()))
    if strings.get("checksum") != _checksum(tensors, strings):
        raise Mismatch("its checksum does not match: it was damaged or changed after it was written")
    if finite and (wrong := _not_finite(tensors)) is not None:
        raise Mismatch(f"tensor {_short(wrong)} holds NaN or infinity")
    return ModelFile(tensors, metadata, strings["kind"])


def _read_into(file: Any, array: np.ndarray) -> int:
    """Fill an array with the next bytes of a file; how many there were."""
    left = array.reshape(-1).view(np.uint8).data
    while left and (count := file.readinto(left)):
        left = left[count:]
    return array.nbytes - len(left)


def _check_header(data: bytes, total: int) -> tuple[dict[str, str], list[_Place]]:
    """The metadata and the places of the tensors of a file of `total` bytes that begins with `data`, after every check of its header."""
    if total < 8:
        raise Mismatch(f"it has only {total} bytes: it is empty, truncated or no safetensors file")
    size, rest = int.from_bytes(data[:8], "little"), total - 8
    if size > rest and data[:8].isascii() and data[:8].decode().replace("\n", " ").replace("\t", " ").isprintable():
        raise Mismatch("it is a text, no model: name a model file, or the folder of a run")
    if size > rest:
        raise Mismatch(f"its header claims {size:,} bytes but {rest:,} are there: truncated or no safetensors file")
    if size > MAX_HEADER:
        raise Mismatch(f"its header has {size:,} bytes, the limit is {MAX_HEADER:,}")
    if (brackets := sum(data.count(bracket, 8, 8 + size) for bracket in (b"[", b"{"))) > MAX_BRACKETS:
        raise Mismatch(f"its header has {brackets:,} brackets, the limit is {MAX_BRACKETS:,}")
    try:
        text = data[8 : 8 + size].decode("utf-8")
    except UnicodeDecodeError as error:
        raise Mismatch(f"its header is not UTF-8 (at byte {8 + error.start})") from None
    header = loads(text, "its header")
    if not isinstance(header, dict):
        raise Mismatch("its header is not a JSON object")
    strings = _own_metadata(header.pop("__metadata__", None))
    return strings, _check_layout(header, rest - size)


def _own_metadata(strings: Any) -> dict[str, str]:
    if not isinstance(strings, dict) or strings.get("format") != "charrnn":
        raise Mismatch("it is a safetensors file, but not one of charrnn's (no format 'charrnn' in its metadata)")
    for key, text in strings.items():
        if not isinstance(text, str):
            raise Mismatch(f"its metadata {_short(key)} is {_short(text)}, not a string")
    version = strings.get("format_version", "")
    if not (version.isascii() and version.isdigit()) or len(version) > 9:
        raise Mismatch(f"its format_version is {_short(version)}, not a number")
    if int(version) > FORMAT_VERSION:
        raise Mismatch(f"it has format version {version}, written by a newer charrnn: update (this one reads {FORMAT_VERSION})")
    if missing := [key for key in _RESERVED if key not in strings]:
        raise Mismatch(f"its metadata lacks {missing}")
    return strings


def _check_layout(entries: dict[str, Any], length: int) -> list[_Place]:
    """Every tensor of a known dtype, its shape agreeing with its bytes, and together all `length` bytes."""
    ranges: list[_Place] = []
    for name, entry in entries.items():
        what = f"tensor {_short(name)}"
        if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "data_offsets"}:
            raise Mismatch(f"{what} is not described by dtype, shape and data_offsets")
        try:
            name.encode("utf-8")
        except UnicodeEncodeError:
            raise Mismatch(f"{what} has a name that is no text") from None
        code, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
        if not isinstance(code, str) or code not in DTYPES:
            raise Mismatch(f"{what} has dtype {_short(code)}; known are {', '.join(DTYPES)}")
        if not _counts(shape) or len(shape) > MAX_DIMENSIONS:
            raise Mismatch(f"{what} has shape {_short(shape)}: at most {MAX_DIMENSIONS} whole numbers are possible")
        if not _counts(offsets) or len(offsets) != 2 or offsets[0] > offsets[1]:
            raise Mismatch(f"{what} has data_offsets {_short(offsets)}: a begin and an end are needed")
        start, end = offsets
        if end > length:
            raise Mismatch(f"{what} ends at byte {_short(end)} of {length:,}: the file is truncated or damaged")
        needed = math.prod(shape) * np.dtype(DTYPES[code]).itemsize
        if needed != end - start:
            raise Mismatch(f"{what} of shape {_short(shape)} needs {_short(needed)} bytes, but has {end - start:,}")
        ranges.append((start, end, name, DTYPES[code], shape))
    if not ranges:
        raise Mismatch("it holds no tensors")
    position = 0
    ranges.sort(key=lambda place: place[:2])
    for start, end, name, *_ in ranges:
        if start != position:
            raise Mismatch(f"tensor {_short(name)} begins at byte {start:,}, the one before it ends at {position:,}")
        position = end
    if position != length:
        raise Mismatch(f"{length - position:,} bytes follow the last tensor")
    return ranges


def _counts(values: Any) -> bool:
    """Whether this is a list of whole numbers from 0 to the largest file (a bool is none)."""
    return isinstance(values, list) and all(type(n) is int and 0 <= n <= MAX_FILE for n in values)


def _check_request(tensors: Mapping[str, Any], metadata: Mapping[str, Any], kind: str) -> None:
    if not all(isinstance(name, str) and name for name in [*tensors, *metadata, kind]):
        raise Mismatch("every name and the kind must be a string that is not empty")
    if taken := sorted({*metadata} & {*_RESERVED} | {*tensors} & {"__metadata__"}):
        raise Mismatch(f"the names {taken} are the format's own")
    if not tensors:  # the library would write a broken file (safetensors #466)
        raise Mismatch("there is no tensor")
    if (total := sum(np.asarray(array).nbytes for array in tensors.values())) > MAX_FILE - MAX_HEADER:
        raise Mismatch(f"the tensors need {total:,} bytes, the limit is {MAX_FILE - MAX_HEADER:,}")


def _little_endian(name: str, value: Any) -> np.ndarray:
    array = np.asarray(value)
    dtype = array.dtype.newbyteorder("<")
    if dtype not in _CODES:
        raise Mismatch(f"tensor {name!r} has dtype {array.dtype}; a file holds {', '.join(map(str, _CODES))}")
    return np.asarray(array, dtype, order="C")


def _serialize(arrays: dict[str, np.ndarray], strings: dict[str, str]) -> bytes:
    from safetensors import SafetensorError
    from safetensors.numpy import save

    try:
        data = save(arrays, strings)
    except SafetensorError as error:
        raise Mismatch(str(error)) from error
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
    return next((name for name, array in tensors.items() if array.dtype.kind == "f" and not _is_finite(array)), None)


def _is_finite(array: np.ndarray) -> bool:
    """Whether all numbers are, without a second array of their number."""
    flat = array.reshape(-1)
    return all(np.isfinite(flat[i : i + _PIECE]).all() for i in range(0, len(flat), _PIECE))


def _to_json(value: Any, what: str) -> str:
    try:
        return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise Mismatch(f"{what} cannot be JSON ({error})") from error
