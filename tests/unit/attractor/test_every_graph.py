"""What must hold for every graph: replay, resume and sweeps give the hash of the run that was never touched."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from random import Random
from typing import Any

import pytest
from audio_nodes import AUDIO_NODES
from random_graphs import RandomRun, live_value, random_run

from attractor import AttractorError, Axis, GraphRejected, GraphSpec, NodeFailed, Plan, Registry, Session, Sweep
from attractor.compiled import compiled_region

REGISTRY = Registry([*Registry.default().kinds().values(), *AUDIO_NODES])


def drawn(count: int, part: object = 0) -> Iterator[tuple[RandomRun, Random]]:
    """So many random runs, the same at each call. A failing test prints the seed of its graph.

    Hypothesis cannot draw them: what it draws depends on the modules a process has imported, and a graph is made in
    too many steps for shrinking to come to an end.
    """
    for number in range(count):
        print(f"graph {part}/{number}")
        rng = Random(f"{part}/{number}")
        yield random_run(rng, REGISTRY), rng


def end(session: Session) -> tuple[Any, ...]:
    """How a session ends: the hash of its result, or where and why it failed."""
    try:
        return ("done", session.run().result_hash)
    except NodeFailed as failure:
        return ("failed", failure.node, failure.tick, str(failure))


def begun(plan: Plan, run: RandomRun, block: int, tier: str = "auto") -> Session | tuple[Any, ...]:
    try:
        return Session(plan, run.seed, run.ticks, block, controls=run.controls, tier=tier)
    except AttractorError as refused:
        return ("refused", str(refused))


def holds_for(run: RandomRun, rng: Random) -> str:
    """Check one graph; returns how its run ended."""
    plan = Plan.of(run.spec, REGISTRY)
    first, second = (begun(plan, run, block) for block in run.blocks[:2])
    if not isinstance(first, Session) or not isinstance(second, Session):
        assert first == second
        return "refused"
    once = end(first)
    assert end(second) == once
    if once[0] == "done":
        assert end(Session(plan, run.seed, run.ticks, run.blocks[2], controls=first.control_log)) == once
    stopped = Session(plan, run.seed, run.stop, run.blocks[2], controls=run.controls)
    if end(stopped)[0] == "done":
        stopped.ticks = run.ticks
        with tempfile.TemporaryDirectory() as store:
            resumed = Session.restore(stopped.checkpoint(store), plan)
        assert resumed.tick == run.stop
        resumed.block = run.blocks[1]
        assert end(resumed) == once
    else:
        assert once[0] == "failed"
    every_point_is_its_run(run, rng)
    return once[0]


def every_point_is_its_run(run: RandomRun, rng: Random) -> None:
    axes = [Axis("seed", tuple(rng.sample(range(100), rng.randint(1, 2))))]
    live = [
        (f"{node.id}.{parameter.name}", parameter)
        for node in run.spec.nodes
        for parameter in REGISTRY.kinds()[node.kind].params
        if parameter.live
    ]
    if live:
        target, parameter = rng.choice(live)
        values = tuple(dict.fromkeys(live_value(rng, parameter) for _ in range(rng.randint(1, 3))))
        axes.append(Axis(target, values))
    sweep = Sweep(run.spec, axes, ticks=min(run.ticks, 12), block=run.blocks[0], registry=REGISTRY)
    for outcome in sweep.run():
        expected = ("done", outcome.result.result_hash) if outcome.result else cause(outcome.failure)
        assert alone(sweep, outcome.point.index) == expected, sweep.parts


def alone(sweep: Sweep, point: int) -> tuple[Any, ...]:
    """How the single run of a point ends."""
    try:
        return ("done", sweep.session(point).run().result_hash)
    except AttractorError as failure:
        return cause(failure)


def cause(failure: AttractorError | None) -> tuple[Any, ...]:
    """Which failure it is. Its words may show a value, and that with the dimension of a batch."""
    if isinstance(failure, NodeFailed):
        return ("failed", failure.node, failure.tick)
    assert isinstance(failure, GraphRejected)
    return ("rejected", str(failure))


def test_a_dozen_graphs_replay_resume_and_sweep_to_equal_hashes():
    ends = Counter(holds_for(run, rng) for run, rng in drawn(12))
    assert ends["done"] >= 5


@pytest.mark.slow
@pytest.mark.parametrize("part", range(1, 5))
def test_two_hundred_graphs_replay_resume_and_sweep_to_equal_hashes(part):
    """In parts of fifty, which may run side by side."""
    ends = Counter(holds_for(run, rng) for run, rng in drawn(50, part))
    assert ends["done"] >= 25


def in_programs(run: RandomRun) -> int:
    """Check that a graph ends as in plain torch when all that can be is traced; returns how many nodes were."""
    plan = Plan.of(run.spec, REGISTRY)
    first = begun(plan, run, run.blocks[0])
    if not isinstance(first, Session):
        return 0
    once = end(first)
    for block in run.blocks:
        session = begun(plan, run, block, "compiled")
        assert isinstance(session, Session)
        assert end(session) == once
    stopped = Session(plan, run.seed, run.stop, run.blocks[1], controls=run.controls, tier="compiled")
    if end(stopped)[0] == "done":
        stopped.ticks = run.ticks
        with tempfile.TemporaryDirectory() as store:
            resumed = Session.restore(stopped.checkpoint(store), plan)
        assert end(resumed) == once
    return len(plan.nodes) - len(stopped._program.compiled.interpreted)


@pytest.mark.slow
def test_twenty_graphs_end_in_traced_programs_as_in_plain_torch(monkeypatch):
    """The traced graphs are carried out operation by operation, which must not change one bit, whatever the block."""
    monkeypatch.setattr(compiled_region, "compiled", lambda trace: trace.graph)
    inside = [in_programs(run) for run, _ in drawn(20, "traced")]
    assert sum(inside) >= 12, inside


@pytest.mark.parametrize("tier", ["eager", "kernels"])
def test_another_process_goes_on_where_one_stopped(tmp_path, tier):
    spec = GraphSpec.parse(
        {
            "nodes": [
                {"id": "field", "kind": "ebm.gaussian", "params": {"N": 6, "method": "gibbs", "graph": "random"}},
                {"id": "array", "kind": "osc.array", "params": {"N": 6, "speed": 5, "noise": 0.1}},
                {"id": "pattern", "kind": "an.pattern", "params": {"window": 16, "motif": 4, "hop": 1}},
            ],
            "edges": [
                {"src": "field.x", "dst": "array.force"}, {"src": "array.sync", "dst": "pattern.signal"},
                {"src": "array.x", "dst": "field.input", "delay": 1, "init": 0},
            ],
            "routes": [{"src": "pattern.confidence", "dst": "field.b", "transform": {"smooth_ms": 25}}],
        }
    )  # fmt: skip
    plan = Plan.of(spec, REGISTRY)
    whole = Session(plan, 3, 30, tier=tier).run()
    session = Session(plan, 3, 30, block=7, tier=tier)
    next(iter(session))
    at = session.checkpoint(tmp_path)
    code = (
        "import json, sys; from attractor import GraphSpec, Plan, Session\n"
        "plan = Plan.of(GraphSpec.parse(json.loads(sys.argv[2])))\n"
        "print(Session.restore(sys.argv[1], plan).run().result_hash)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(at), json.dumps(spec.document())], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == [whole.result_hash]
