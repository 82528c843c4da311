"""Every graph against networkx."""

import networkx as nx
import numpy as np
import pytest
import torch

from attractor.neighbourhood import Neighbourhood
from attractor.node import ShapeProblem
from attractor.topology import TOPOLOGIES, grid_sides, make_topology, proper_colouring, validate_topology


def drawn(seed=0):
    rng = np.random.default_rng(seed)
    return lambda n, lane: rng.random(n)


def made(name, n=60, degree=4, rewire_p=0.1, seed=0):
    return make_topology(name, n, degree, rewire_p, drawn(seed))


@pytest.mark.parametrize("degree", [2, 4, 6])
def test_ring_is_the_circulant_graph(degree):
    expected = nx.to_numpy_array(nx.circulant_graph(30, range(1, degree // 2 + 1)))
    np.testing.assert_array_equal(made("ring", 30, degree).adjacency(), expected)


@pytest.mark.parametrize(("n", "sides"), [(1024, (32, 32)), (12, (3, 4)), (10, (2, 5)), (4, (2, 2))])
def test_grid_is_the_torus_in_row_major_order(n, sides):
    assert grid_sides(n) == sides
    graph = nx.grid_2d_graph(*sides, periodic=True)
    order = [divmod(i, sides[1]) for i in range(n)]
    np.testing.assert_array_equal(made("grid2d", n).adjacency(), nx.to_numpy_array(graph, nodelist=order))


def test_grid_of_degree_8_is_the_king_graph_on_a_torus():
    rows = cols = 5
    king = nx.strong_product(nx.cycle_graph(rows), nx.cycle_graph(cols))
    order = [divmod(i, cols) for i in range(rows * cols)]
    np.testing.assert_array_equal(made("grid2d", 25, 8).adjacency(), nx.to_numpy_array(king, nodelist=order))


def test_all_to_all_is_the_complete_graph_and_none_is_empty():
    np.testing.assert_array_equal(made("all_to_all", 9).adjacency(), nx.to_numpy_array(nx.complete_graph(9)))
    assert not made("none", 9).adjacency().any()


def test_small_world_without_rewiring_is_the_ring():
    expected = nx.to_numpy_array(nx.watts_strogatz_graph(40, 4, 0.0))
    np.testing.assert_array_equal(made("small_world", 40, 4, 0.0).adjacency(), expected)


def test_small_world_clusters_and_shortens_paths_like_networkx():
    """Watts–Strogatz at p = 0.1: the means over graphs agree with networkx's own."""
    ours, theirs = [], []
    for seed in range(12):
        graph = nx.from_numpy_array(made("small_world", 200, 6, 0.1, seed).adjacency())
        assert graph.number_of_edges() == 600
        other = nx.connected_watts_strogatz_graph(200, 6, 0.1, seed=seed)
        ours.append((nx.average_clustering(graph), nx.average_shortest_path_length(graph)))
        theirs.append((nx.average_clustering(other), nx.average_shortest_path_length(other)))
    ours, theirs = np.array(ours), np.array(theirs)
    error = np.sqrt(ours.var(0) / 11 + theirs.var(0) / 11)
    assert (np.abs(ours.mean(0) - theirs.mean(0)) < 4 * error).all()


def test_random_has_the_edges_of_gnm_and_their_spread_of_degrees():
    degrees = np.concatenate([made("random", 300, 4, seed=seed).degrees for seed in range(8)])
    expected = np.concatenate([[d for _, d in nx.gnm_random_graph(300, 600, seed=s).degree] for s in range(8)])
    assert degrees.mean() == 4.0
    assert abs(degrees.var() - expected.var()) < 0.6
    assert made("random", 300, 4).adjacency().sum() == 1200


@pytest.mark.parametrize("name", TOPOLOGIES)
def test_graphs_are_simple_and_rows_are_normalised(name):
    topology = made(name)
    adjacency = topology.adjacency()
    np.testing.assert_array_equal(adjacency, adjacency.T)
    assert set(np.unique(adjacency)) <= {0.0, 1.0}
    assert not np.diag(adjacency).any()
    np.testing.assert_array_equal(adjacency.sum(1), topology.degrees)
    sums = topology.row_normalised().sum(1)
    np.testing.assert_allclose(sums, (topology.degrees > 0).astype(float))


@pytest.mark.parametrize("name", TOPOLOGIES)
def test_neighbourhood_sums_are_products_with_the_adjacency(name):
    topology = made(name)
    near = Neighbourhood(topology, torch.device("cpu"), torch.float64)
    x = torch.randn(3, 2, 60, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    adjacency = torch.from_numpy(topology.adjacency())
    torch.testing.assert_close(near.total(x), x @ adjacency)
    if name != "none":
        normalised = torch.from_numpy(topology.row_normalised())
        coupled = near.gain * near.gather(x).unflatten(-2, (2, near.rows)).sum(-2) - near.loss * x
        torch.testing.assert_close(coupled, x @ normalised.T - x * (topology_rows(topology) > 0))
        torch.testing.assert_close(near.gather(x[0], out=torch.empty(2 * near.rows, 60).double()), near.gather(x[0]))


def topology_rows(topology):
    return torch.from_numpy(topology.degrees)


@pytest.mark.parametrize("name", TOPOLOGIES)
def test_colouring_is_proper(name):
    topology = made(name)
    colours = proper_colouring(topology)
    rows, cols = topology.adjacency().nonzero()
    assert (colours[rows] != colours[cols]).all()
    assert colours.max() <= topology.degrees.max()


@pytest.mark.parametrize(
    ("name", "n", "degree", "where"),
    [
        ("grid2d", 13, 4, "N"), ("grid2d", 16, 6, "degree"), ("ring", 10, 3, "degree"), ("ring", 4, 4, "degree"),
        ("small_world", 10, 5, "degree"), ("random", 8, 8, "degree"),
    ],
)  # fmt: skip
def test_impossible_graphs_are_refused_with_their_place(name, n, degree, where):
    with pytest.raises(ShapeProblem) as refused:
        validate_topology(name, n, degree)
    assert refused.value.port == where
    assert refused.value.mend


@pytest.mark.parametrize("name", TOPOLOGIES)
def test_edges_are_the_pairs_of_the_adjacency_matrix_in_order(name):
    topology = made(name)
    np.testing.assert_array_equal(topology.edges(), np.argwhere(np.triu(topology.adjacency(), 1)))
