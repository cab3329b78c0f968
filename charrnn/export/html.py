"""One page for browsers: the network in plain JavaScript, its weights in base64, and what people do with it.

The weights stand in the order in which templates/network.js takes them: U, W and b of each layer, then V and c. Units and symbols are
padded to multiples of `ROWS` with weights of 0, which change nothing; four rows of a matrix lie interleaved, so that the product with a
vector reads it from end to end with four sums at a time.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from charrnn.display.visible import visible
from charrnn.errors import SettingsError, one_line
from charrnn.files.schema import dumps
from charrnn.generation.sampling import starting_ids
from charrnn.network.arrays import Array
from charrnn.network.blocks import layer_views, parameter_count
from charrnn.network.network import Network

TEMPLATES = Path(__file__).parent / "templates"
ROWS = 4
SCRIPTS = ("network", "random", "vocabulary", "writer", "reader", "page")
LONGEST = 500_000_000  # characters of base64: browsers hold no longer string


def to_html(network: Network, float16: bool = False, title: str | None = None) -> str:
    """The page. Raises `SettingsError` for networks that are too large for a browser, or whose weights are for float16."""
    import jinja2
    from markupsafe import Markup

    dtype, architecture, vocabulary = "<f2" if float16 else "<f4", network.architecture, network.vocabulary
    if parameter_count(architecture) * np.dtype(dtype).itemsize * 4 / 3 > LONGEST:
        raise SettingsError(f"{architecture} are too large for a page in a browser: export to .onnx, .npz or .pt")
    arrays = list(arrays_of(network))
    limit = np.finfo(dtype).max
    if (largest := max(float(np.abs(array).max()) for array in arrays)) > limit:
        raise SettingsError(f"the largest weight is {largest:g}, beyond what {np.dtype(dtype).name} holds ({limit:g})")
    weights = b"".join(np.ascontiguousarray(array, dtype).tobytes() for array in arrays)
    signs = {k: sign for k, c in enumerate(vocabulary.characters) if (sign := visible(c, vocabulary.raw_bytes)) != c}
    about = {
        "cell": architecture.cell,
        "layers": architecture.layers,
        "hidden_size": architecture.hidden_size,
        "vocabulary": vocabulary.to_json(),
        "signs": signs,
        "start": int(starting_ids(vocabulary, b"" if vocabulary.raw_bytes else "")[0]),
        "float16": float16,
    }
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES), autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.get_template("page.html").render(
        title=one_line(title if title is not None else "A character model that writes and reads"),
        architecture=str(architecture),
        parameters=parameter_count(architecture),
        K=len(vocabulary),
        noun="bytes" if vocabulary.raw_bytes else "characters",
        precision=np.dtype(dtype).name,
        css=Markup((TEMPLATES / "page.css").read_text("utf-8")),
        scripts=[Markup((TEMPLATES / f"{name}.js").read_text("utf-8")) for name in SCRIPTS],
        about=Markup(dumps(about).replace("<", "\\u003c")),  # or "</script>" could stand there
        weights=Markup(base64.b64encode(weights).decode("ascii")),
    )


def arrays_of(network: Network) -> Iterator[Array]:
    """Every array of the page in its order: U (K, G m) of the first layer, W and b of each, U of those above, V, c."""
    for layer, (U, W, b) in enumerate(layer_views(network.theta, network.architecture)):
        if layer == 0:
            yield padded(U.transpose(2, 0, 1), 1, ROWS)  # (K, G, m): all that a symbol adds lies side by side
        else:
            yield from map(interleaved, U)
        yield from map(interleaved, W)
        yield padded(b, 1, ROWS)
    yield interleaved(network.parameters["V"])
    yield padded(network.parameters["c"], ROWS)


def padded(array: Array, *multiples: int) -> Array:
    """The array with zeros behind, so that its last sizes are multiples of these."""
    before = array.ndim - len(multiples)
    return np.pad(array, [(0, 0)] * before + [(0, -size % n) for size, n in zip(array.shape[before:], multiples, strict=True)])


def interleaved(matrix: Array) -> Array:
    """(rows / 4, columns, 4) of a matrix, padded.

    >>> interleaved(np.arange(6).reshape(2, 3))[0].tolist()
    [[0, 3, 0, 0], [1, 4, 0, 0], [2, 5, 0, 0], [0, 0, 0, 0]]
    """
    whole = padded(matrix, ROWS, ROWS)
    return whole.reshape(-1, ROWS, whole.shape[1]).transpose(0, 2, 1)
