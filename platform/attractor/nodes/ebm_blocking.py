"""The plan of a block sampler: which units may be updated together."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Final

import numpy as np
import torch

from attractor.energy import Colouring, ColouringRefused, Couplings, InteractionGraph
from attractor.energy.colouring import STRATEGIES, given
from attractor.node import ABSENT, Context, Cost, Inputs, Outputs, Params, State, TensorNode
from attractor.parameter import Parameter
from attractor.port import Port, Shape
from attractor.topology import grid_sides

PLACED: Final = ("stripes", "supercell2x2")


class BlockPlan(TensorNode):
    """Partitions the units of a coupling matrix into independent sets, the blocks of a Gibbs sweep.

    A partition with a coupling inside a block samples another distribution, so it is refused: stripes and supercells
    fit only graphs without couplings along a stripe, or beyond the eight nearest places.
    """

    kind = "ebm.blocking"
    title = "Block plan"
    category = "sampling and training"
    summary = "Colours the graph of a coupling matrix, so that units of one colour may be updated together."
    equation = "colour(i) ≠ colour(j) wherever J_ij ≠ 0"
    references = (
        "Brélaz 1979, Commun. ACM 22:251 (coloring_dsatur)",
        "Welsh & Powell 1967, Comput. J. 10:85 (greedy_ldf)",
    )
    inputs = (
        Port("J", "matrix", shape=("N", "N"), doc="Couplings; pairs that are not 0 are edges."),
        Port("positions", "matrix", shape=("N", "D"), optional=True,
             doc="Places x, y of the units, for stripes and supercell2x2; nothing: row by row on the most nearly "
                 "square grid."),
    )  # fmt: skip
    outputs = (
        Port("assignment", "cat", shape=("N",), doc="Colour of every unit, 0 … n_colors − 1."),
        Port("n_colors", "scalar", doc="Number of colours."),
        Port("parallelism", "scalar", doc="Units per colour, on average: N/n_colors."),
    )
    params = (
        Parameter("strategy", "choice", "coloring_dsatur", choices=(*STRATEGIES, *PLACED),
                  doc="coloring_dsatur, greedy_ldf: greedy colourings; checkerboard: two colours; stripes: rows in "
                      "turn; supercell2x2: the four places of a 2 × 2 cell; sequential: every unit alone."),
        Parameter("max_colors", "int", 64, min=1, max=16384, doc="More colours than these break the run."),
    )  # fmt: skip
    differentiable: ClassVar[bool | str] = "its colours are discrete"

    def __init__(self, id: str, params: Mapping[str, Any], shapes: Mapping[str, Shape] | None = None) -> None:
        super().__init__(id, params, shapes)
        self._known: tuple[InteractionGraph, torch.Tensor | None, Colouring] | None = None

    @classmethod
    def cost(cls, params: Mapping[str, Any], shapes: Mapping[str, Shape]) -> Cost:
        n = shapes.get("J", (64,))[0]
        return Cost(flops=2.0 * n * n, bytes=40.0 * n * n)

    def step(self, state: State, inputs: Inputs, params: Params, ctx: Context) -> tuple[State, Outputs]:
        if inputs["J"] is ABSENT:
            return state, {}
        positions = None if inputs["positions"] is ABSENT else inputs["positions"]
        try:
            graph = Couplings.of_matrix(inputs["J"]).graph
        except ValueError as error:
            raise ctx.fail(f"{error}.", "Look at the node that J comes from.") from error
        colouring = self._colouring(graph, positions, ctx)
        assignment = torch.from_numpy(colouring.colours).to(ctx.device)
        count = torch.tensor(float(colouring.count), dtype=ctx.dtype, device=ctx.device)
        outputs = {
            "assignment": assignment.expand(*ctx.batch, graph.size), "n_colors": count.expand(ctx.batch),
            "parallelism": (graph.size / count).expand(ctx.batch),
        }  # fmt: skip
        return state, outputs

    def _colouring(self, graph: InteractionGraph, positions: torch.Tensor | None, ctx: Context) -> Colouring:
        """The colouring of a graph; that of the last one is kept."""
        if self._known is not None:
            before, there, colouring = self._known
            placed = there is positions or (there is not None and positions is not None and there.equal(positions))
            if placed and np.array_equal(before.starts, graph.starts) and np.array_equal(before.targets, graph.targets):
                return colouring
        strategy = self.settings["strategy"]
        try:
            if strategy in PLACED:
                colouring = given(graph, _cells(strategy, graph.size, positions, ctx))
            else:
                colouring = STRATEGIES[strategy](graph)
        except ColouringRefused as refused:
            raise ctx.fail(f"the strategy {strategy!r} does not fit: {refused}", refused.mend) from refused
        if colouring.count > self.settings["max_colors"]:
            raise ctx.fail(
                f"{colouring.count} colours are needed, and max_colors is {self.settings['max_colors']}.",
                "Raise `max_colors`, or couple fewer units.",
            )
        self._known = (graph, positions, colouring)
        return colouring


def _cells(strategy: str, n: int, positions: torch.Tensor | None, ctx: Context) -> np.ndarray[Any, Any]:
    """The place of every unit within the repeated cell."""
    if positions is None:
        y, x = np.divmod(np.arange(n), grid_sides(n)[1])
    else:
        if positions.dim() != 2 or positions.shape[1] < 2:
            raise ctx.fail(
                f"positions of shape {list(positions.shape)} have no x and y.", "Give one row (x, y) for each unit."
            )
        x, y = positions[:, :2].round().long().cpu().numpy().T
    return y % 2 if strategy == "stripes" else x % 2 + 2 * (y % 2)
