"""Trained networks for other programs, a format a file: a page for browsers, ONNX, NumPy's .npz, PyTorch's .pt.

What each file holds, and how to use it, stands in docs/export.md.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from charrnn import arguments
from charrnn.errors import NonFiniteError, SettingsError
from charrnn.files.atomic import as_path, atomic_write
from charrnn.network.blocks import parameter_count
from charrnn.network.network import Network

ENDINGS = (".html", ".onnx", ".npz", ".pt")
COPIES = 5  # of the parameters in float32 that are in memory at once while the largest of these files is made


def export(network: Network, path: str | os.PathLike[str], *, float16: bool = False, title: str | None = None) -> None:
    """Write a network to a file whose ending says the format; see `charrnn.CharRNN.export`."""
    name = Path(as_path(path))
    ending = arguments.one_of("format", name.suffix.lower() or name.name, ENDINGS)
    if (arguments.yes_or_no("float16", float16) or title is not None) and ending != ".html":
        raise SettingsError(f"{'float16' if float16 else 'title'} is for .html, got a file {name.name}")
    if title is not None and not isinstance(title, str):
        raise SettingsError(f"title must be a str, got {title!r}")
    arguments.memory(f"a file {ending} of {network.architecture}", COPIES * 4 * parameter_count(network.architecture))
    if not all(np.isfinite(array).all() for array in network.parameters.values()):
        raise NonFiniteError("the model's weights are not all finite: export a model from before they became so")
    data: bytes | str
    if ending == ".html":
        from charrnn.export.html import to_html

        data = to_html(network, float16, title)
    elif ending == ".onnx":
        from charrnn.export.onnx import to_onnx

        data = to_onnx(network)
    elif ending == ".npz":
        from charrnn.export.npz import to_npz

        data = to_npz(network)
    else:
        from charrnn.export.pt import to_pt

        data = to_pt(network)
    atomic_write(name, data, follow=True)
