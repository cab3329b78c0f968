"""Makes from_pytorch_*.safetensors: networks trained by PyTorch, with their losses on a text, in charrnn's format. Needs torch.

Nothing of charrnn is used: the files are written as docs/file_format.md says. PyTorch's two biases are both in them.
"""

import hashlib
import json
from pathlib import Path

import torch
from safetensors.torch import save_file

TEXT = "the tide comes in, the tide goes out; nobody asked the tide.\n" * 2
KINDS = [("rnn", "RNN", 1, 9), ("gru", "GRU", 1, 5), ("lstm", "LSTM", 2, 5)]  # cell, PyTorch's class, layers, units
CHARACTERS = "".join(sorted(set(TEXT)))
IDS = torch.tensor([CHARACTERS.index(character) for character in TEXT])
X = torch.nn.functional.one_hot(IDS[:-1], len(CHARACTERS)).float()


def make(cell: str, name: str, layers: int, m: int, version: str) -> None:
    torch.manual_seed(1)
    recurrent = getattr(torch.nn, name)(len(CHARACTERS), m, num_layers=layers)
    network = torch.nn.ModuleDict({"rnn": recurrent, "head": torch.nn.Linear(m, len(CHARACTERS))})

    def losses() -> torch.Tensor:
        hidden, _ = network["rnn"](X)
        return torch.nn.functional.cross_entropy(network["head"](hidden), IDS[1:], reduction="none")

    optimizer = torch.optim.Adam(network.parameters(), 0.02)
    for _ in range(60 * layers):
        optimizer.zero_grad()
        losses().mean().backward()
        optimizer.step()

    tensors = {name: tensor.detach() for name, tensor in network.state_dict().items()}
    about = {
        "vocabulary": {"characters": CHARACTERS, "raw_bytes": False},
        "hidden_size": m,
        "dtype": "float32",
        "init": "normal",
        "init_std": 0.01,
        "seed": 0,
        "text": TEXT,
        "losses": losses().tolist(),
    }
    if version != "1":  # which said nothing about them
        about |= {"cell": cell, "layers": layers}
    about = {name: json.dumps(value) for name, value in about.items()}
    about |= {"format": "charrnn", "format_version": version, "kind": "model", "charrnn": "written by PyTorch"}
    described = [about, {name: ["F32", list(tensor.shape)] for name, tensor in tensors.items()}]
    digest = hashlib.sha256(json.dumps(described, sort_keys=True, separators=(",", ":")).encode())
    for name in sorted(tensors):
        digest.update(tensors[name].numpy().tobytes())
    path = Path(__file__).with_name(f"from_pytorch_{cell}.safetensors")
    save_file(tensors, path, about | {"checksum": "sha256:" + digest.hexdigest()})


if __name__ == "__main__":
    for kind in KINDS:
        make(*kind, version="1" if kind[0] == "rnn" else "2")
