"""charrnn export: a trained model as a file for other programs."""

from __future__ import annotations

import argparse
from pathlib import Path

from charrnn.cli import options
from charrnn.model import CharRNN
from charrnn.runs.folder import model_in

EXAMPLES = """\
examples:
  charrnn export charrnn-run --to story.html              a page that writes and reads, in any browser, without a server
  charrnn export charrnn-run --to story.html --float16 --title "The tidehouse"
  charrnn export model.safetensors --to model.onnx        for onnxruntime and others; needs pip install 'charrnn[onnx]'
  charrnn export model.safetensors --to model.npz         arrays for NumPy
  charrnn export model.safetensors --to model.pt          a state dictionary for PyTorch; needs pip install torch
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of charrnn export."""
    options.add_model(parser)
    parser.add_argument(
        "--to", required=True, metavar="FILE", help="the file to write; its ending says the format: .html, .onnx, .npz, .pt"
    )
    parser.add_argument("--float16", action="store_true", help="of a page: weights in half the bytes, to three digits")
    parser.add_argument("--title", metavar="TEXT", help="of a page: its heading")


def run(args: argparse.Namespace) -> int:
    """Write the file and say how large it is."""
    CharRNN.load(model_in(args.model)).export(args.to, float16=args.float16, title=args.title)
    print(f"wrote {args.to}: {Path(args.to).stat().st_size:,} bytes")
    return 0
