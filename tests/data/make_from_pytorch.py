"""Makes from_pytorch.safetensors: a network trained by PyTorch, with its losses on a text, in charrnn's format. Needs torch.

Nothing of charrnn is used: the file is written as docs/file_format.md says.
"""

import hashlib
import json
from pathlib import Path

import torch
from safetensors.torch import save_file

TEXT = "the tide comes in, the tide goes out; nobody asked the tide.\n" * 2
M = 9

torch.manual_seed(1)
characters = "".join(sorted(set(TEXT)))
ids = torch.tensor([characters.index(character) for character in TEXT])
x = torch.nn.functional.one_hot(ids[:-1], len(characters)).float()
network = torch.nn.ModuleDict({"rnn": torch.nn.RNN(len(characters), M), "head": torch.nn.Linear(M, len(characters))})


def losses():
    hidden, _ = network["rnn"](x)
    return torch.nn.functional.cross_entropy(network["head"](hidden), ids[1:], reduction="none")


optimizer = torch.optim.Adam(network.parameters(), 0.02)
for _ in range(60):
    optimizer.zero_grad()
    losses().mean().backward()
    optimizer.step()

tensors = {name: tensor.detach() for name, tensor in network.state_dict().items()}
about = {
    "vocabulary": {"characters": characters, "raw_bytes": False},
    "hidden_size": M,
    "dtype": "float32",
    "init": "normal",
    "init_std": 0.01,
    "seed": 0,
    "text": TEXT,
    "losses": losses().tolist(),
}
about = {name: json.dumps(value) for name, value in about.items()}
about |= {"format": "charrnn", "format_version": "1", "kind": "model", "charrnn": "written by PyTorch"}
described = [about, {name: ["F32", list(tensor.shape)] for name, tensor in tensors.items()}]
digest = hashlib.sha256(json.dumps(described, sort_keys=True, separators=(",", ":")).encode())
for name in sorted(tensors):
    digest.update(tensors[name].numpy().tobytes())
save_file(tensors, Path(__file__).with_name("from_pytorch.safetensors"), about | {"checksum": "sha256:" + digest.hexdigest()})
