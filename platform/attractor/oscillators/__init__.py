"""Oscillator cells: the vector fields of `osc.array`, one a file."""

from attractor.oscillators.cell import Cell
from attractor.oscillators.chua import Chua
from attractor.oscillators.lorenz import Lorenz
from attractor.oscillators.rossler import Rossler
from attractor.oscillators.vanderpol import VanDerPol

CELLS: dict[str, Cell] = {cell.name: cell for cell in (Chua(), Lorenz(), VanDerPol(), Rossler())}

__all__ = ["CELLS", "Cell", "Chua", "Lorenz", "Rossler", "VanDerPol"]
