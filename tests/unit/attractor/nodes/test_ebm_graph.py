"""Samplers, trainers and judges of energy models wired into one graph."""

import json

import numpy as np
import pytest

from attractor.errors import GraphRejected
from attractor.graph import GraphSpec
from attractor.plan import Plan
from attractor.session import Session

N = 6
TUPLES = [[0, 1, 2], [2, 3, 4], [1, 4, 5]]
FIELD = json.dumps({"bias": [0.2] * N})

NODES = {
    "source": ("ebm.higher_order", {"N": N, "arrangement": "tuples", "tuples": TUPLES, "chains": 4, "sweeps": 2}),
    "factor": ("ebm.factor", {"type": "unary", "settings": FIELD, "weight": 0.5}),
    "chains": ("ebm.multichain", {"chains": 4, "length": 20, "warmup": 5}),
    "anneal": ("ebm.anneal", {"replicas": 4, "steps": 30}),
    "tempering": ("ebm.anneal", {"mode": "parallel_tempering", "replicas": 4, "steps": 30, "swap_every": 2}),
    "moments": ("ebm.moments", {"window": 15}),
    "profile": ("ebm.profile", {"window": 30, "hop": 10}),
    "valid": ("ebm.validate", {}),
    "mask": ("gen.value", {"type": "vector", "values": [1, 0, 1, 0, 0, 0]}),
    "seen": ("gen.value", {"type": "vector", "values": [1, 0, -1, 0, 0, 0]}),
    "clamp": ("ebm.clamp", {"sweeps": 2}),
    "cd": ("ebm.train_cd", {"minibatch": 16, "k": 1}),
    "pcd": ("ebm.train_pcd", {"minibatch": 16, "particles": 8}),
    "match": ("ebm.train_moments", {"least": 16}),
}
EDGES = [
    ("source.model", "factor.model"), ("source.spins", "factor.variables"), ("factor.factor", "chains.model"),
    ("factor.factor", "anneal.model"), ("factor.factor", "tempering.model"), ("source.spins", "moments.samples"),
    ("source.spins", "profile.samples"), ("source.spins", "valid.state"), ("factor.factor", "clamp.model"),
    ("source.spins", "clamp.state"), ("mask.value", "clamp.mask"), ("seen.value", "clamp.observations"),
    ("source.spins", "cd.data"), ("source.spins", "pcd.data"), ("source.spins", "match.data"),
]  # fmt: skip
WATCHED = (
    ("chains", "r_hat"), ("chains", "samples"), ("anneal", "best_energy"), ("tempering", "state"), ("moments", "corr"),
    ("profile", "samples_per_s"), ("valid", "valid"), ("clamp", "log_pl"), ("factor", "energy"), ("cd", "J"),
    ("pcd", "J"), ("match", "kl"),
)  # fmt: skip


def plan(nodes=NODES, edges=EDGES):
    return Plan.of(
        GraphSpec.model_validate({
            "nodes": [{"id": name, "kind": kind, "params": params} for name, (kind, params) in nodes.items()],
            "edges": [{"src": src, "dst": dst} for src, dst in edges],
        })
    )  # fmt: skip


def watched(block):
    session = Session(plan(), seed=3, ticks=60, block=block)
    for node, port in WATCHED:
        session.subscribe(node, port)
    seen = {}
    for report in session:
        for frame in report.frames:
            ticks, data = seen.setdefault((frame.node, frame.port), ([], []))
            ticks += list(frame.ticks)
            data += list(frame.data)
    return seen


@pytest.fixture(scope="module")
def one_block():
    return watched(60)


def test_everything_speaks(one_block):
    assert set(one_block) == set(WATCHED)
    assert one_block["chains", "r_hat"][0] == [24, 44]
    assert one_block["profile", "samples_per_s"][1] == [400.0] * 4
    assert all(one_block["valid", "valid"][1])
    assert all(value <= 0 for value in one_block["clamp", "log_pl"][1])


def test_blocks_change_nothing(one_block):
    pieces = watched(7)
    assert set(pieces) == set(one_block)
    for key, (ticks, data) in one_block.items():
        assert ticks == pieces[key][0]
        assert all(np.array_equal(a, b) for a, b in zip(data, pieces[key][1], strict=True))


def test_models_on_edges_survive_a_checkpoint(tmp_path):
    whole, stopped = Session(plan(), seed=3, ticks=40, block=20), Session(plan(), seed=3, ticks=40, block=20)
    next(iter(stopped))
    resumed = Session.restore(stopped.checkpoint(tmp_path), plan())
    result = whole.run()
    assert resumed.run().result_hash == result.result_hash
    assert Session(plan(), seed=4, ticks=40).run().result_hash != result.result_hash
    json.dumps(result.outputs)
    assert result.outputs["factor.factor"]["variables"] == "spin"


def test_a_model_of_other_units_is_refused_before_the_run():
    nodes = NODES | {"source": ("ebm.higher_order", {"N": N + 1, "arrangement": "tuples", "tuples": TUPLES})}
    with pytest.raises(GraphRejected, match=r"nodes\.factor\.model"):
        plan(nodes)
    with pytest.raises(GraphRejected, match="variables"):
        plan(NODES | {"chains": ("ebm.multichain", {"variables": "cat"})})
