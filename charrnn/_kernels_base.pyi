# The functions of csrc/kernels.pxi, the same for every processor level; charrnn/reference.py says what each computes.
from charrnn.network.parameters import Array, Rule, Workspace

__test__: dict[str, str]

def renew(theta: Array, work: Workspace) -> None: ...
def forward(theta: Array, work: Workspace, inputs: Array, targets: Array, scale: float = 1.0, learn: bool = True) -> None: ...
def backward(theta: Array, work: Workspace, inputs: Array) -> None: ...
def train(
    theta: Array,
    slots: Array,
    work: Workspace,
    inputs: Array,
    targets: Array,
    resets: Array,
    losses: Array,
    rates: Array,
    rule: Rule,
    smooth: Array,
    best: Array,
    thread: int = 0,
    threads: int = 1,
) -> None: ...
def sample(
    theta: Array, work: Workspace, out: Array, first: Array, uniforms: Array, temperature: float = 1.0, top_k: int = 0, top_p: float = 1.0
) -> None: ...
def tanh(out: Array, x: Array) -> None: ...
def exp(out: Array, x: Array) -> None: ...
def peak(sink: Array, rounds: int) -> float: ...
