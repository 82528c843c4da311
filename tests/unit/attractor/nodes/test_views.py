"""What the views declare and refuse."""

import pytest

from attractor.node import ShapeProblem, ViewNode
from attractor.nodes.viz_grid import Grid
from attractor.nodes.viz_phase3d import PhaseSpace
from attractor.nodes.viz_timeseries import TimeSeries


@pytest.mark.parametrize("view", [Grid, PhaseSpace, TimeSeries])
def test_views_compute_nothing(bench, view):
    assert issubclass(view, ViewNode)
    assert view.declaration()["view"] is True
    assert view.declaration()["category"] == "view"
    assert not view.outputs
    node = bench(view)
    assert node() == {}
    assert node.state == {}


def test_phase_space_takes_three_or_two_dimensions():
    for shape in ((64, 3), (64, 2)):
        assert PhaseSpace.shapes(PhaseSpace.defaults(), {"state": shape}) == {}


def test_grid_refuses_cells_that_do_not_fill_it():
    values = Grid.defaults() | {"rows": 4, "cols": 5, "probs_legend": "none, AND, OR"}
    assert Grid.shapes(values, {"cells": (20,), "probs": (3,)}) == {}
    for inputs, where in (({"cells": (19,)}, "cells"), ({"probs": (4,)}, "probs"), ({"cells": (4, 5)}, "cells")):
        with pytest.raises(ShapeProblem) as refused:
            Grid.shapes(values, inputs)
        assert refused.value.port == where
