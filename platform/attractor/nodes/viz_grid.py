"""The grid view."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attractor.node import ShapeProblem, ViewNode
from attractor.parameter import Parameter
from attractor.port import Port, Shape


class Grid(ViewNode):
    """A grid of cells, one colour a class or a value, and beside it the probabilities of the classes."""

    kind = "viz.grid"
    title = "Grid"
    summary = "Draws one value or class for every cell of a grid."
    inputs = (
        Port("cells", "vector", shape=("cells",), optional=True,
             doc="One value or class number a cell, row by row; length rows·cols."),
        Port("probs", "vector", shape=("classes",), optional=True, doc="Probability of each class."),
    )  # fmt: skip
    params = (
        Parameter("rows", "int", 32, min=1, max=1024, doc="Rows of the grid."),
        Parameter("cols", "int", 32, min=1, max=1024, doc="Columns of the grid."),
        Parameter("legend", "text", "", doc="Names of the classes 0, 1, …, separated by commas; empty: plain values."),
        Parameter("probs_legend", "text", "", doc="Names of the entries of `probs`, separated by commas."),
    )

    @classmethod
    def shapes(cls, params: Mapping[str, Any], inputs: Mapping[str, Shape]) -> dict[str, Shape]:
        super().shapes(params, inputs)
        expected = params["rows"] * params["cols"]
        if "cells" in inputs and inputs["cells"] != (expected,):
            raise ShapeProblem(
                "cells", f"{inputs['cells'][0]} cells do not fill {params['rows']} × {params['cols']}.",
                "Set `rows` and `cols` so that their product is the number of cells.",
            )  # fmt: skip
        names = [name.strip() for name in params["probs_legend"].split(",")] if params["probs_legend"] else []
        if names and "probs" in inputs and inputs["probs"] != (len(names),):
            raise ShapeProblem(
                "probs", f"{inputs['probs'][0]} probabilities arrive for {len(names)} names.",
                "Give `probs_legend` one name for each.",
            )  # fmt: skip
        return {}
