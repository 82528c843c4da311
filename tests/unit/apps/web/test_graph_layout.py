"""Where nodes are put when a graph does not say."""

import networkx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.web.graph_layout import COLUMN, positions


@st.composite
def specs(draw):
    """Graphs whose undelayed edges run from lower to higher nodes, listed in any order, with delayed edges anywhere."""
    n = draw(st.integers(1, 12))
    pairs = st.tuples(st.integers(0, n - 1), st.integers(0, n - 1))
    forward = [(a, b) for a, b in draw(st.lists(pairs, max_size=25)) if a < b]
    back = draw(st.lists(pairs, max_size=5))
    order = draw(st.permutations(range(n)))
    edges = [{"src": f"n{a}.out", "dst": f"n{b}.in"} for a, b in forward]
    edges += [{"src": f"n{a}.out", "dst": f"n{b}.in", "delay": 1} for a, b in back]
    return {"nodes": [{"id": f"n{i}", "kind": "k"} for i in order], "edges": edges}, forward


@given(specs())
def test_columns_are_longest_paths_and_no_two_nodes_share_a_place(case):
    spec, forward = case
    placed = positions(spec)
    graph = networkx.DiGraph()
    graph.add_nodes_from(range(len(spec["nodes"])))
    graph.add_edges_from(forward)
    for node in graph:
        above = graph.subgraph(networkx.ancestors(graph, node) | {node})
        assert placed[f"n{node}"][0] == COLUMN * networkx.dag_longest_path_length(above, weight=None, default_weight=1)
    assert len(set(placed.values())) == len(spec["nodes"])


def test_a_graph_that_says_every_place_keeps_them():
    spec = {"nodes": [{"id": "a", "kind": "k", "pos": [3, 4]}, {"id": "b", "kind": "k", "pos": [0, 0]}]}
    assert positions(spec) == {"a": (3.0, 4.0), "b": (0.0, 0.0)}


def test_a_graph_that_says_some_places_is_laid_out_as_a_whole():
    spec = {"nodes": [{"id": "a", "kind": "k", "pos": [900, 900]}, {"id": "b", "kind": "k"}]}
    assert positions(spec)["a"] == (0.0, 0.0)


def test_a_cycle_without_delay_is_an_error_and_not_an_endless_search():
    edges = [{"src": "a.o", "dst": "b.i"}, {"src": "b.o", "dst": "a.i"}]
    with pytest.raises(ValueError, match="cycle"):
        positions({"nodes": [{"id": "a", "kind": "k"}, {"id": "b", "kind": "k"}], "edges": edges})
