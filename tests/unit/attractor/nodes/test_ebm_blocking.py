"""ebm.blocking: every plan is a proper colouring, or none."""

import networkx as nx
import numpy as np
import pytest
import torch

from attractor.errors import NodeFailed
from attractor.node import ABSENT
from attractor.nodes.ebm_blocking import BlockPlan

GRID = nx.grid_2d_graph(4, 6, periodic=True)
KING = nx.strong_product(nx.cycle_graph(4), nx.cycle_graph(6))
LADDER = nx.Graph([((r, c), ((r + 1) % 4, d)) for r in range(4) for c in range(6) for d in range(6)])


def matrix(graph):
    order = sorted(graph.nodes) if isinstance(next(iter(graph.nodes)), tuple) else list(graph.nodes)
    return torch.from_numpy(nx.to_numpy_array(graph, nodelist=order)).float()


def planned(bench, J, positions=ABSENT, **params):
    node = bench(BlockPlan, dtype=torch.float32, shapes={"J": tuple(J.shape)}, **params)
    return node(J=J, positions=positions)


@pytest.mark.parametrize(
    ("strategy", "graph", "colours"),
    [
        ("coloring_dsatur", GRID, 2), ("coloring_dsatur", nx.complete_graph(9), 9), ("coloring_dsatur", KING, None),
        ("greedy_ldf", nx.petersen_graph(), None), ("checkerboard", GRID, 2), ("sequential", GRID, 24),
        ("stripes", LADDER, 2), ("supercell2x2", KING, 4), ("supercell2x2", GRID, 4),
    ],
)  # fmt: skip
def test_no_coupling_lies_inside_a_block(bench, strategy, graph, colours):
    J = matrix(graph)
    out = planned(bench, J, strategy=strategy)
    colour = out["assignment"]
    assert not J[colour[:, None] == colour].any()
    assert float(out["n_colors"]) == len(torch.unique(colour)) == int(colour.max()) + 1
    assert float(out["parallelism"]) == pytest.approx(len(J) / float(out["n_colors"]))
    if colours is not None:
        assert float(out["n_colors"]) == colours


@pytest.mark.parametrize(
    ("strategy", "graph", "words"),
    [
        ("checkerboard", nx.cycle_graph(5), "odd cycle"), ("stripes", GRID, "another distribution"),
        ("supercell2x2", nx.complete_graph(16), "another distribution"),
    ],
)  # fmt: skip
def test_a_plan_with_a_coupling_inside_a_block_is_refused(bench, strategy, graph, words):
    with pytest.raises(NodeFailed, match=words) as failed:
        planned(bench, matrix(graph), strategy=strategy)
    assert "coloring_dsatur" in failed.value.mend


def test_positions_say_where_units_stand(bench):
    """The units of a 4 × 6 grid in another order."""
    order = np.random.default_rng(0).permutation(24)
    places = torch.from_numpy(np.stack(np.divmod(np.arange(24), 6)[::-1], 1)[order]).float()
    J = matrix(KING)[order][:, order]
    assert float(planned(bench, J, places, strategy="supercell2x2")["n_colors"]) == 4
    with pytest.raises(NodeFailed, match="another distribution"):
        planned(bench, J, strategy="supercell2x2")
    with pytest.raises(NodeFailed, match="no x and y"):
        planned(bench, J, places[:, :1], strategy="stripes")


def test_too_many_colours_break_the_run(bench):
    with pytest.raises(NodeFailed, match="9 colours are needed"):
        planned(bench, matrix(nx.complete_graph(9)), max_colors=8)


def test_a_matrix_that_is_no_coupling_breaks_the_run(bench):
    with pytest.raises(NodeFailed, match="not symmetric"):
        planned(bench, torch.ones(3, 3).triu(1))


def test_a_new_graph_gets_a_new_plan_and_nothing_says_nothing(bench):
    node = bench(BlockPlan, dtype=torch.float32, shapes={"J": (24, 24)})
    assert node() == {}
    assert [float(node(J=matrix(graph))["n_colors"]) for graph in (GRID, GRID, KING, GRID)][::3] == [2, 2]
    assert node.node._known is not None
    known = node.node._known[2]
    node(J=2 * matrix(GRID))
    assert node.node._known[2] is known
