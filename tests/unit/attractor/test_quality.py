"""Quality settings: the numbers of nodes.md section 8, and a model that stays the model."""

from __future__ import annotations

import pytest

from attractor import AttractorError, GraphSpec, Plan, Session
from attractor.quality import QUALITIES, with_quality

GRAPH = GraphSpec.parse(
    {
        "nodes": [
            {"id": "model", "kind": "ebm.ising", "params": {"N": 16, "graph": "grid", "J_scale": 0.7, "T": 0.6}},
            {"id": "value", "kind": "gen.value", "params": {"value": 0.2}},
            {"id": "trainer", "kind": "ebm.train_cd", "params": {"T": 0.6, "minibatch": 16}},
        ],
        "edges": [{"src": "model.spins", "dst": "trainer.data"}],
    }
)
# As printed in nodes.md: sweeps, lr, CD-k, every, chains.
PRINTED = {"speed": (5, 0.01, 1, 20, 1), "accuracy": (50, 0.001, 5, 5, 3), "research": (100, 0.005, 10, 10, 5)}


def params(graph, name):
    return next(node.params for node in graph.nodes if node.id == name)


@pytest.mark.parametrize("quality", list(QUALITIES))
def test_a_quality_sets_what_the_specification_prints(quality):
    graph = with_quality(GRAPH, quality)
    model, trainer = params(graph, "model"), params(graph, "trainer")
    found = (model["sweeps"], trainer["lr"], trainer["k"], trainer["every"], model["chains"])
    assert found == PRINTED[quality]
    assert {name: model[name] for name in ("N", "graph", "J_scale", "T")} == params(GRAPH, "model")
    assert {name: trainer[name] for name in ("T", "minibatch")} == params(GRAPH, "trainer")
    assert params(graph, "value") == params(GRAPH, "value")
    assert Session(Plan.of(graph), 1, 40).run().complete


def test_a_quality_that_is_none_and_a_graph_that_has_none_are_refused():
    with pytest.raises(AttractorError, match="speed, accuracy, research"):
        with_quality(GRAPH, "best")
    with pytest.raises(AttractorError, match="samples or trains"):
        with_quality(GraphSpec.parse({"nodes": [{"id": "a", "kind": "gen.value"}], "edges": []}), "speed")
