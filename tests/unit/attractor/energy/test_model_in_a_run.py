"""A model on a port: runs, checkpoints, results and frames carry it."""

import torch

from attractor.graph import GraphSpec
from attractor.node import ABSENT, TensorNode
from attractor.nodes.ebm_ising import Ising
from attractor.plan import Plan
from attractor.port import Port
from attractor.registry import Registry
from attractor.session import Session


class Reader(TensorNode):
    """Holds the model it was handed, and says its temperature."""

    kind, title, category, summary = "t.reader", "Reader", "test", "Reads a model."
    inputs = (Port("model", "model"),)
    outputs = (Port("T", "scalar"),)

    def step(self, state, inputs, params, ctx):
        model = inputs["model"]
        return state, {"T": ABSENT if model is ABSENT else model.temperature.to(torch.float32)}


def plan(**params):
    graph = {
        "nodes": [
            {"id": "glass", "kind": "ebm.ising", "params": {"N": 16, "chains": 3} | params},
            {"id": "reader", "kind": "t.reader"},
        ],
        "edges": [{"src": "glass.model", "dst": "reader.model"}],
    }
    return Plan.of(GraphSpec.model_validate(graph), Registry([Ising, Reader]))


def finished(session):
    for _ in session:
        pass
    return session.result()


def test_a_run_that_was_stopped_ends_as_one_that_was_not(tmp_path):
    whole = finished(Session(plan(), seed=3, ticks=40, block=8))
    stopped = Session(plan(), seed=3, ticks=40, block=8)
    for report in stopped:
        if report.tick == 16:
            kept = stopped.checkpoint(tmp_path)
            break
    resumed = finished(Session.restore(kept, plan()))
    assert resumed.result_hash == whole.result_hash
    assert whole.result_hash != finished(Session(plan(T=2.0), seed=3, ticks=40, block=8)).result_hash
    assert whole.result_hash == finished(Session(plan(), seed=3, ticks=40, block=5)).result_hash


def test_results_and_frames_show_a_summary():
    session = Session(plan(), ticks=8, block=8)
    session.subscribe("glass", "model")
    (report,) = list(session)
    shown = session.result().outputs["glass.model"]
    assert shown["variables"] == "spin"
    assert shown["N"] == 16
    assert shown["edges"] == 32
    assert shown["colours"] == 2
    assert report.frames[0].data == [shown]
    assert session.result().outputs["reader.T"] == 1.0
