"""What a network is, in four facts, from which everything else about it follows."""

from __future__ import annotations

from dataclasses import dataclass

from charrnn.network.cells import CELLS, Cell


@dataclass(frozen=True)
class Architecture:
    """Layers of recurrent units over symbols, and a linear layer with softmax on top.

    >>> Architecture("lstm", hidden_size=128, layers=2, symbols=65)
    Architecture(cell='lstm', hidden_size=128, layers=2, symbols=65)
    """

    cell: str
    hidden_size: int
    layers: int
    symbols: int

    @property
    def kind(self) -> Cell:
        """The cell."""
        return CELLS[self.cell]

    def state_shape(self, batch_size: int) -> tuple[int, int, int, int]:
        """(layers, states, B, m), the shape of what is carried from window to window.

        >>> Architecture("lstm", 128, 2, 65).state_shape(3)
        (2, 2, 3, 128)
        """
        return self.layers, len(self.kind.states), batch_size, self.hidden_size

    def __str__(self) -> str:
        units = f"{self.hidden_size} hidden units" if self.cell == "rnn" else f"{self.hidden_size} {self.kind.torch or self.cell} units"
        return units if self.layers == 1 else f"{self.layers} layers of {units}"
