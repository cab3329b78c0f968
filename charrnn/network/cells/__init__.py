"""The kinds of recurrent layers, a file each: what is here in NumPy stands compiled, under the same name, in csrc/cells/.

A new cell is a file here, a file there, and a line in each of the two tables.
"""

from charrnn.network.cells.cell import Cell as Cell
from charrnn.network.cells.gru import GRU
from charrnn.network.cells.lstm import LSTM
from charrnn.network.cells.rnn import RNN

CELLS: dict[str, Cell] = {cell.name: cell for cell in (RNN, GRU, LSTM)}
