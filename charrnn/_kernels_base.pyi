# The functions of csrc/kernels.pxi, the same for every processor level; charrnn/network/reference.py says what each computes.
from charrnn.network.arrays import Array
from charrnn.network.decoding import Rules
from charrnn.network.optimisers import UpdateRule
from charrnn.network.workspace import Workspace

CELLS: tuple[str, ...]
__test__: dict[str, str]

def scratch_size(work: Workspace) -> int: ...
def pack(theta: Array, work: Workspace) -> None: ...
def forward(
    theta: Array,
    work: Workspace,
    inputs: Array,
    targets: Array,
    scale: float = 1.0,
    gradient: bool = True,
    dropout: float = 0.0,
    seed: int = 0,
    update: int = 0,
    recurrent_dropout: float = 0.0,
) -> None: ...
def backward(
    theta: Array, work: Workspace, inputs: Array, dropout: float = 0.0, seed: int = 0, update: int = 0, recurrent_dropout: float = 0.0
) -> None: ...
def train(
    theta: Array,
    slots: Array,
    work: Workspace,
    inputs: Array,
    targets: Array,
    resets: Array,
    losses: Array,
    rates: Array,
    rule: UpdateRule,
    smooth: Array,
    best: Array,
    first_update: int = 1,
    thread: int = 0,
    threads: int = 1,
) -> None: ...
def sample(theta: Array, work: Workspace, ids: Array, start: int, uniforms: Array, rules: Rules) -> None: ...
def tanh(out: Array, x: Array) -> None: ...
def sigmoid(out: Array, x: Array) -> None: ...
def exp(out: Array, x: Array) -> None: ...
def peak(sink: Array, rounds: int) -> float: ...
