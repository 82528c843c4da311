"""Sweeps, reproductions and comparisons by the client and the command line, on the real server with a real worker."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from run_processes import Program, Server

from attractor.cli import exits
from attractor.cli.main import main
from attractor.cli.study import axis
from attractor.client import AsyncClient, Client, ClientError, Conflict, NotFound
from attractor.client.study import frame_of


@pytest.mark.slow
def test_a_sweep_from_a_notebook_is_a_table(
    client: Client, server: Server, secret: str, shared_worker: Program, graph_file: Path
) -> None:
    run = client.run_file(graph_file, seed=5)
    sweep = client.sweep(
        run.info.graph.id, {"osc.coupling": {"min": 0.1, "max": 0.3, "steps": 2}, "seed": [5, 6]},
        metrics=["osc.sync", {"port": "osc.sync", "reduce": "mean"}], ticks=40,
    ).wait(timeout=300, progress=True)  # fmt: skip
    rows = sweep.table()
    assert [(row["point"], row["osc.coupling"], row["seed"], row["error"]) for row in rows] == [
        (0, 0.1, 5, None), (1, 0.1, 6, None), (2, 0.3, 5, None), (3, 0.3, 6, None),
    ]  # fmt: skip
    frame = frame_of(rows)
    assert list(frame.index) == [0, 1, 2, 3]
    assert frame["mean of osc.sync"].between(0, 1).all()

    # A point is the single run with its values.
    spec = json.loads(graph_file.read_text("utf-8"))["graph"]
    spec["nodes"][0]["params"]["coupling"] = 0.3
    alone = client.submit(client.create_graph("alone", spec), seed=6, ticks=40).wait(timeout=300)
    assert alone.info.result_hash == list(sweep.points())[3].result_hash

    found = client.compare([run.wait(timeout=300).id, alone.id], sort="-seed")
    assert [row.id for row in found.results] == [alone.id, run.id]
    assert {"seed", "ticks", "osc.coupling"} <= set(found.differing)
    with pytest.raises(NotFound):
        client.compare([run.id, "00000000-0000-4000-8000-000000000000"])

    async def again() -> tuple[str, str, dict[str, Any]]:
        async with AsyncClient(f"http://127.0.0.1:{server.port}", secret) as other:
            old = await other.run(alone.id)
            new = await (await old.reproduce()).wait(timeout=300)
            return (await new.verdict()).verdict, new.info.result_hash or "", (await new.manifest()).versions or {}

    verdict, result_hash, versions = asyncio.run(again())
    assert (verdict, result_hash) == ("equal", alone.info.result_hash)
    assert versions == alone.result()["versions"]


@pytest.mark.slow
def test_the_shell_sweeps_reproduces_and_compares(
    here: Path, client: Client, shared_worker: Program, graph_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ["sweep", str(graph_file), "--axis", "osc.coupling=0.1,0.2", "--seed", "3", "--ticks", "30", "--quiet"]
    assert main([*asked, "--metric", "osc.sync", "--json"]) == exits.DONE
    rows = json.loads(capsys.readouterr().out)
    assert [row["osc.coupling"] for row in rows] == [0.1, 0.2]
    run = client.run_file(graph_file, seed=5, ticks=30).wait(timeout=300)
    assert main(["reproduce", str(run.id), "--quiet"]) == exits.DONE
    assert "Equal: the same result hash" in capsys.readouterr().out
    runs = [str(one.id) for one in client.runs()]
    assert main(["runs", "compare", *runs, "--sort", "seed", "--descending"]) == exits.DONE
    told = capsys.readouterr().out.splitlines()
    assert told[0].split()[:2] == ["RUN", "STATE"]
    assert {line.split()[0] for line in told[1:]} == set(runs)
    going = client.run_file(graph_file, ticks=1_000_000)
    assert main(["reproduce", str(going.id)]) == exits.FAILED
    assert "Wait until it has succeeded" in capsys.readouterr().err
    with pytest.raises(Conflict):
        going.reproduce()
    going.cancel()


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ("a.b=1,2.5,true,x", ("a.b", [1, 2.5, True, "x"])),
        ("a.b=0:1", ("a.b", {"min": 0.0, "max": 1.0})),
        ("a.b=0.1:10:5:log", ("a.b", {"min": 0.1, "max": 10.0, "steps": 5, "scale": "log"})),
    ],
)
def test_an_axis_is_read(text: str, meaning: Any) -> None:
    assert axis(text) == meaning


@pytest.mark.parametrize("text", ["a.b", "=1", "a.b=", "a.b=0:x", "a.b=0:1:2.5", "a.b=0:1:2:cubic", "a=0:1:2:log:9"])
def test_what_is_no_axis_says_how_one_is_written(text: str) -> None:
    with pytest.raises(ClientError, match="write"):
        axis(text)
