"""PyTorch's .pt: the state dictionary of a module with torch.nn.RNN, GRU or LSTM as `rnn` and torch.nn.Linear as `head`."""

from __future__ import annotations

import io

from charrnn.errors import SettingsError
from charrnn.network.network import Network
from charrnn.network.tensors import metadata_of, tensors_of


def to_pt(network: Network) -> bytes:
    """The bytes of the file: {"state_dict": tensors by name, "about": vocabulary and settings}, as torch.load reads it with
    weights_only=True. Raises `SettingsError` where PyTorch is not installed.
    """
    try:
        import torch
    except ImportError:
        raise SettingsError("PyTorch, which writes .pt, is not installed here: pip install torch, or export to .npz") from None
    state = {name: torch.from_numpy(array) for name, array in tensors_of(network.theta, network.architecture).items()}
    file = io.BytesIO()
    torch.save({"state_dict": state, "about": metadata_of(network)}, file)
    return file.getvalue()
