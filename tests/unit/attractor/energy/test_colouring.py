"""Colourings against networkx and known chromatic numbers."""

import networkx as nx
import numpy as np
import pytest

from attractor.energy import ColouringRefused, InteractionGraph
from attractor.energy.colouring import STRATEGIES, checkerboard, dsatur, given, largest_first, sequential


def ours(graph):
    graph = nx.convert_node_labels_to_integers(graph)
    return InteractionGraph.of_edges(len(graph), np.array(graph.edges, dtype=np.int64).reshape(-1, 2))


GRAPHS = {
    "grid": nx.grid_2d_graph(6, 8, periodic=True),
    "odd torus": nx.grid_2d_graph(5, 5, periodic=True),
    "random": nx.gnp_random_graph(60, 0.2, seed=1),
    "petersen": nx.petersen_graph(),
    "empty": nx.empty_graph(7),
    "wheel": nx.wheel_graph(8),
    "complete": nx.complete_graph(9),
    "one": nx.empty_graph(1),
}


@pytest.mark.parametrize("strategy", [dsatur, largest_first, sequential])
@pytest.mark.parametrize("name", list(GRAPHS))
def test_every_strategy_is_proper_and_covers_every_unit(name, strategy):
    graph = ours(GRAPHS[name])
    colouring = strategy(graph)
    assert colouring.conflict(graph) is None
    assert all(colouring.colours[i] != colouring.colours[j] for i, j in graph.edges)
    np.testing.assert_array_equal(np.sort(np.concatenate(colouring.blocks())), np.arange(graph.size))
    for colour, block in enumerate(colouring.blocks()):
        assert (colouring.colours[block] == colour).all()


def test_dsatur_takes_as_many_colours_as_networkx():
    """On average: networkx breaks ties by the degree in the whole graph, Brélaz by that among the uncoloured."""
    graphs = [nx.gnp_random_graph(60, 0.2, seed=seed) for seed in range(20)]
    mine = [dsatur(ours(graph)).count for graph in graphs]
    theirs = [max(nx.greedy_color(graph, "DSATUR").values()) + 1 for graph in graphs]
    assert abs(np.mean(mine) - np.mean(theirs)) < 0.35
    assert np.mean([largest_first(ours(graph)).count for graph in graphs]) > np.mean(mine) + 0.35


@pytest.mark.parametrize(
    ("graph", "chromatic"),
    [(nx.cycle_graph(10), 2), (nx.cycle_graph(9), 3), (nx.wheel_graph(8), 4), (nx.complete_graph(7), 7),
     (nx.complete_bipartite_graph(20, 30), 2), (nx.random_labeled_tree(100, seed=3), 2)],
)  # fmt: skip
def test_dsatur_is_exact_where_brelaz_proves_it(graph, chromatic):
    """Bipartite graphs, cycles and wheels."""
    assert dsatur(ours(graph)).count == chromatic


def test_checkerboard_of_an_even_grid_alternates():
    colours = checkerboard(ours(nx.grid_2d_graph(4, 6, periodic=True))).colours.reshape(4, 6)
    np.testing.assert_array_equal(colours, np.indices((4, 6)).sum(0) % 2)


def test_checkerboard_refuses_an_odd_cycle():
    with pytest.raises(ColouringRefused, match="odd cycle") as refused:
        checkerboard(ours(nx.grid_2d_graph(5, 5, periodic=True)))
    assert "dsatur" in refused.value.mend


def test_a_partition_with_an_edge_inside_is_refused():
    """Stripes of a grid: neighbours in a row share a colour."""
    graph = ours(nx.grid_2d_graph(4, 4, periodic=True))
    with pytest.raises(ColouringRefused, match="another distribution"):
        given(graph, np.repeat(np.arange(4), 4))
    assert given(graph, 7 * np.indices((4, 4)).sum(0).reshape(-1) % 2).count == 2
    with pytest.raises(ColouringRefused, match="4 colours are given for 16"):
        given(graph, np.arange(4))


def test_a_term_of_three_units_needs_three_colours():
    """The clique graph of the groups, not their pairwise couplings."""
    graph = InteractionGraph.of_groups(6, [np.array([[0, 2, 4], [1, 3, 5]])])
    np.testing.assert_array_equal(graph.edges, [[0, 2], [0, 4], [1, 3], [1, 5], [2, 4], [3, 5]])
    assert dsatur(graph).count == 3


def test_complete_graph_needs_no_search():
    graph = InteractionGraph.complete(50)
    assert graph.is_complete
    np.testing.assert_array_equal(graph.edges, ours(nx.complete_graph(50)).edges)
    assert all(STRATEGIES[name](graph).count == 50 for name in ("coloring_dsatur", "greedy_ldf", "sequential"))
