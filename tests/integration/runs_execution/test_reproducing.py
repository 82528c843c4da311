"""Runs that are computed again by a real worker: equal, or where they first differ."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from django.db import connection

from apps.runs import selectors, sweeps
from apps.runs.models import Reproduction
from apps.runs.reproductions import reproduce
from apps.workspaces.scope import scope

pytestmark = pytest.mark.slow

PRESET = json.loads((Path(__file__).parents[3] / "presets" / "emergent_logic.json").read_text("utf-8"))


def succeeded(tenant: Any, run: Any) -> Any:
    def ended() -> bool:
        row = tenant.look(run)
        assert row.state not in {"failed", "cancelled"}, row.error
        return bool(row.state == "succeeded")

    return ended


def compared(tenant: Any, run: Any, eventually: Any) -> tuple[Any, Reproduction]:
    """The reproduction of a run, over, and its verdict."""
    again = reproduce(tenant.user, selectors.run(tenant.workspace, run.pk))
    eventually(succeeded(tenant, again), "the reproduction to end")
    with scope(tenant.workspace.id):
        return tenant.look(again), Reproduction.objects.get(run=again)


@pytest.mark.parametrize(("name", "ticks"), [("preset", 200), ("array", 1000)])
def test_a_run_comes_out_the_same(tenant: Any, shared_worker: Any, eventually: Any, name: str, ticks: int) -> None:
    graph = tenant.graph_of_spec(name, PRESET["graph"]) if name == "preset" else tenant.graph
    run = tenant.submit(ticks=ticks, graph=graph)
    eventually(succeeded(tenant, run), "the run to end")
    again, found = compared(tenant, run, eventually)
    assert (found.verdict, found.first, found.changed) == ("equal", None, [])
    assert again.result_hash == tenant.look(run).result_hash
    if name == "preset":
        assert again.manifest["weights"] == tenant.look(run).manifest["weights"] != {}


def test_what_was_set_and_held_while_it_ran_is_done_again(tenant: Any, shared_worker: Any, eventually: Any) -> None:
    run = tenant.submit(ticks=2500, seed=3)
    eventually(lambda: tenant.look(run).state == "running", "the run to begin")
    tenant.command(run, "pause")
    tenant.command(run, "control", target="osc.coupling", value=0.9)
    eventually(lambda: tenant.look(run).paused, "the pause")
    tenant.command(run, "resume")
    eventually(succeeded(tenant, run), "the run to end")
    (change,) = tenant.look(run).manifest["control_log"]
    again, found = compared(tenant, run, eventually)
    assert (found.verdict, found.first) == ("equal", None)
    assert again.manifest["control_log"] == [change]

    # One that is computed otherwise, from a tick in its middle on.
    again = reproduce(tenant.user, selectors.run(tenant.workspace, run.pk))
    with scope(tenant.workspace.id), connection.cursor() as cursor:
        log = [change, {"tick": 1900, "target": "osc.coupling", "value": 0.91}]
        cursor.execute(
            "UPDATE runs_reproduction SET manifest = jsonb_set(manifest, '{control_log}', %s::jsonb) WHERE run_id = %s",
            [json.dumps(log), again.pk],
        )
    eventually(succeeded(tenant, again), "the reproduction to end")
    with scope(tenant.workspace.id):
        found = Reproduction.objects.get(run=again)
    assert found.verdict == "different"
    assert found.first["since"] < 1900 <= found.first["tick"]
    assert found.first["places"][0].startswith("osc.")


def test_a_sweep_comes_out_the_same(tenant: Any, shared_worker: Any, eventually: Any) -> None:
    design = {"axes": [{"target": "osc.coupling", "values": [0.1, 0.4]}], "sampling": "grid"}
    run = sweeps.submit_sweep(tenant.user, tenant.workspace, tenant.graph, design, 5, 100)
    eventually(succeeded(tenant, run), "the sweep to end")
    again, found = compared(tenant, run, eventually)
    assert (found.verdict, found.first) == ("equal", None)
    assert (again.points_done, again.result_hash) == (2, tenant.look(run).result_hash)
