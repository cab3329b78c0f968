"""Finite differences of the loss of one window, by every entry of every parameter; the notes are in check.py."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from charrnn.network.arrays import Array
from charrnn.network.blocks import Block, blocks
from charrnn.network.dropout import Masks
from charrnn.network.network import Network
from charrnn.network.workspace import Workspace

STENCILS = {2: {1: 1 / 2, -1: -1 / 2}, 4: {1: 8 / 12, -1: -8 / 12, 2: -1 / 12, -2: 1 / 12}}  # steps from x: weights, times 1/h
STEPS = {2: 1e-5, 4: 1e-3}


class Differences:
    """The numeric gradients of a network's loss on ids (T, B) from a carried state, with dropout's masks held fixed."""

    def __init__(
        self, network: Network, inputs: Array, targets: Array, state: Array, masks: Masks, step: float, points: int, threads: int
    ) -> None:
        self.network, self.inputs, self.targets, self.state, self.masks = network, inputs, targets, state, masks
        self.step, self.stencil, self.threads = step, STENCILS[points], threads

    def all(self, progress: bool = False, label: str = "") -> dict[str, Array]:
        """The numeric gradients, by name and in the shapes of `Network.parameters`."""
        from concurrent.futures import ThreadPoolExecutor

        from tqdm import tqdm

        out = {block.name: np.zeros(block.shape) for block in blocks(self.network.architecture)}
        out["V"][:], out["c"][:] = self.of_outputs()
        symbols = list(self.symbols_that_matter())
        parts: list[tuple[Block, list[Any]]] = []
        for block in blocks(self.network.architecture):
            if block.letter == "b":
                parts.append((block, list(range(block.shape[0]))))
            elif block.letter == "U" and block.layer == 0:
                parts += [(block, [(i, k) for i in range(block.shape[0])]) for k in symbols]
            elif block.letter in "UW":
                parts += [(block, [(i, j) for j in range(block.shape[1])]) for i in range(block.shape[0])]
        entries = sum(len(entries) for _, entries in parts)
        quiet = None if progress else True  # None: unless standard error is a terminal
        bar = tqdm(total=entries, desc=label, unit=" entries", leave=False, delay=2, disable=quiet)
        pool = ThreadPoolExecutor(self.threads)
        try:
            for block, chosen, values in pool.map(self.of_part, parts):
                for entry, value in zip(chosen, values, strict=True):
                    out[block.name][entry] = value
                bar.update(len(chosen))
        finally:  # Ctrl-C does not wait for what has not begun
            pool.shutdown(cancel_futures=True)
            bar.close()
        return out

    def forward(self, network: Network, work: Workspace) -> Workspace:
        """The window once, from the state and with the weights as they are now."""
        work.states[:, :, 0, :, : work.m] = self.state
        network.kernels.pack(network.theta, work)
        network.kernels.forward(network.theta, work, self.inputs, self.targets, 1.0, False, *self.masks)
        return work

    def workspace(self, network: Network) -> Workspace:
        return network.workspace(*self.inputs.shape, backward=False, dropout=self.masks[0] > 0)

    def of_part(self, part: tuple[Block, Sequence[Any]]) -> tuple[Block, Sequence[Any], list[float]]:
        """The derivatives by some entries of one parameter: the kernels run the window for every point of every one."""
        block, entries = part
        network = self.network.copy()
        work, values = self.workspace(network), block.view(network.theta)
        derivatives = []
        for entry in entries:
            old = float(values[entry])
            total = np.zeros(self.inputs.shape)
            for steps, weight in self.stencil.items():
                values[entry] = old + steps * self.step
                total += weight * self.forward(network, work).losses
            values[entry] = old
            derivatives.append(total.sum() / self.step)
        return block, entries, derivatives

    def symbols_that_matter(self) -> Iterator[int]:
        """The symbols by whose columns of the first layer's U the loss has to be differentiated.

        The others are changed all at once: if no loss changes by a bit, every derivative by them is 0.
        """
        network = self.network.copy()
        work = self.workspace(network)
        losses = self.forward(network, work).losses.copy()
        absent, rng = np.setdiff1d(np.arange(work.K), self.inputs), np.random.default_rng(0)
        for block in blocks(network.architecture):
            if block.letter == "U" and block.layer == 0:
                block.view(network.theta)[:, absent] += rng.uniform(0.5, 1.5, (work.m, len(absent)))
        same = np.array_equal(losses, self.forward(network, work).losses)
        return iter(np.unique(self.inputs).tolist() if same else range(work.K))

    def of_outputs(self) -> tuple[Array, Array]:
        """The derivatives by V (K, m) and by c (K,), from the hidden states and probabilities of one run; see note b of check.py."""
        work = self.forward(self.network, self.workspace(self.network))
        handed_up = work.dropped[-1] if self.masks[0] else work.states[-1, 0, 1:]
        h = handed_up[:, :, : work.m].reshape(-1, work.m)
        h = np.hstack([h, np.ones((len(h), 1))])  # c_k is the weight of a unit that is always 1
        out = np.zeros((work.K, work.m + 1))
        for k in range(work.K):
            p, right = work.error[:, :, k].reshape(-1, 1), self.targets.reshape(-1, 1) == k
            for steps, weight in self.stencil.items():
                d = steps * self.step * h
                out[k] += weight * (np.log1p(p * np.expm1(d)) - d * right).sum(0)
        out /= self.step
        return out[:, :-1], out[:, -1]
