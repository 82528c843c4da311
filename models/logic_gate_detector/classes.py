"""The seven classes of the detector and the truth tables behind six of them."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

CLASSES: Final = ("AND", "OR", "XOR", "NAND", "NOR", "XNOR", "none")
GATES: Final = CLASSES[:6]
NONE: Final = 6

# Output of each gate for the rows (A, B) = 00, 01, 10, 11: row index = 2A + B.
TRUTH: Final[npt.NDArray[np.bool_]] = np.array(
    [[0, 0, 0, 1], [0, 1, 1, 1], [0, 1, 1, 0], [1, 1, 1, 0], [1, 0, 0, 0], [1, 0, 0, 1]], dtype=bool
)

# What a gate becomes when its output is read inverted, and when both of its inputs are (De Morgan).
OUTPUT_INVERTED: Final = (3, 4, 5, 0, 1, 2, 6)
INPUTS_INVERTED: Final = (4, 3, 2, 1, 0, 5, 6)
