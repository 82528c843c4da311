"""Workers and their run processes are killed at random, again and again: no run is lost, doubled or changed by it."""

import random
import time

import pytest
from run_processes import LEASE, kill, program, started_worker

from apps.runs.models import RunAttempt, RunEvent
from apps.workspaces.scope import scope
from attractor import GraphSpec, Plan, Session

ENV = {"ATTRACTOR__RUNS__CHECKPOINT": "0.5", "ATTRACTOR__RUNS__ATTEMPTS": "1000"}
GRAPHS = {
    "oscillators": ([{"id": "osc", "kind": "osc.array", "params": {"cell": "lorenz", "N": 16, "noise": 0.1}}], []),
    "samples": ([{"id": "model", "kind": "ebm.ising", "params": {"N": 64, "graph": "sparse_k"}}], []),
    "loop": (
        [
            {"id": "field", "kind": "ebm.gaussian", "params": {"N": 6, "method": "gibbs", "graph": "random"}},
            {"id": "array", "kind": "osc.array", "params": {"cell": "chua", "N": 6, "coupling": 0.2}},
        ],
        [{"src": "array.sync", "dst": "array.coupling_mod", "delay": 1, "init": 0}],
    ),
}  # fmt: skip
SEED = 1
TICKS = {"oscillators": 3000, "samples": 2000, "loop": 1500}


def spec_of(name):
    nodes, edges = GRAPHS[name]
    return {"nodes": nodes, "edges": edges}


def survives(tenant, folder, eventually, kills):
    """Kill so many times while four runs are under way, and hold every run to what it would have been."""
    rng = random.Random(kills)
    graphs = {name: tenant.graph_of_spec(name, spec_of(name)) for name in GRAPHS}
    expected = {}
    for name in GRAPHS:
        plan = Plan.of(GraphSpec.parse(spec_of(name)))
        expected[name] = Session(plan, SEED, TICKS[name]).run().result_hash
    under_way = []

    def submit(at_once):
        """Have so many runs under way."""
        while sum(not tenant.look(run).is_final for run, _ in under_way) < at_once:
            name = list(GRAPHS)[len(under_way) % len(GRAPHS)]
            under_way.append((tenant.submit(TICKS[name], SEED, graphs[name]), name))

    number = 0
    workers = [started_worker(folder / "0", **ENV), started_worker(folder / "1", **ENV)]
    living = [worker.__enter__() for worker in workers]
    try:
        with program(folder / "sweeper.log", "manage.py", "sweep", **LEASE):
            killed = 0
            while killed < kills:
                submit(4)
                time.sleep(rng.uniform(0.2, 3.0))
                victim = rng.randrange(2)
                worker = living[victim]
                children = worker.children
                how = rng.choice(("child", "worker", "both"))
                if how != "worker" and not children:
                    continue
                if how != "worker":
                    kill(rng.choice(children).pid)
                if how != "child":
                    kill(worker.process.pid)
                    worker.process.wait()
                    workers[victim].__exit__(None, None, None)
                    number += 1
                    workers[victim] = started_worker(folder / f"{number + 1}", **ENV)
                    living[victim] = workers[victim].__enter__()
                killed += 1
            eventually(lambda: all(tenant.look(run).is_final for run, _ in under_way), "every run to end")
    finally:
        for worker in workers:
            worker.__exit__(None, None, None)
    attempts = 0
    for run, name in under_way:
        row = tenant.look(run)
        assert row.state == "succeeded", row.error
        assert row.result_hash == expected[name], name
        with scope(tenant.workspace.id):
            states = list(RunAttempt.objects.filter(run_id=run.pk).order_by("number").values_list("state", flat=True))
            ends = RunEvent.objects.filter(run_id=run.pk, kind="status", payload__state="succeeded").count()
        assert states[-1] == "succeeded"
        assert set(states[:-1]) <= {"lost", "released"}
        assert ends == 1
        attempts += len(states)
        seqs = [event.seq for event in tenant.events(run)]
        assert seqs == list(range(1, len(seqs) + 1))
    print(f"{killed} kills, {len(under_way)} runs, {attempts} attempts")
    assert attempts > len(under_way), "no kill met a run"


@pytest.mark.slow
def test_kills_change_no_run(tenant, testbed, tmp_path, eventually):
    survives(tenant, tmp_path, eventually, kills=3)


@pytest.mark.exhaustive
def test_a_hundred_kills_change_no_run(tenant, testbed, tmp_path, eventually):
    survives(tenant, tmp_path, eventually, kills=100)
