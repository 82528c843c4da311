"""The client and the command line on the real server with a real worker."""

from __future__ import annotations

import asyncio
import csv
import hashlib
import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from client_updates import QUICK, STATES, numbers, states
from cut_wire import CutWire
from django.core.management import call_command
from pyarrow import parquet
from run_processes import Program, Server, Tenant

from attractor.cli import exits
from attractor.cli.main import main
from attractor.client import (
    AsyncClient,
    Client,
    Event,
    Frame,
    Invalid,
    Progress,
    RunNotOver,
)
from config.layers import ROOT


def test_from_a_file_to_its_result_in_both_worlds(
    client: Client, server: Server, secret: str, tenant: Tenant, shared_worker: Program, graph_file: Path
) -> None:
    assert client.me().email == tenant.user.email
    assert client.workspace().slug == tenant.workspace.slug
    run = client.run_file(graph_file, seed=5)
    assert (run.info.seed, run.info.ticks, run.info.graph.name) == (5, 300, "An array")
    with pytest.raises(RunNotOver):
        run.result()
    updates = list(run.follow(ports=["osc.state"], rate=60))
    assert numbers(updates) == list(range(1, len(numbers(updates)) + 1))
    assert states(updates) == STATES
    result = run.result()
    assert (result["seed"], result["ticks"], result.hash) == (5, 300, client.run(run.id).info.result_hash)
    assert result.array("osc.sync").shape == ()
    frames = [one for one in updates if isinstance(one, Frame)]
    assert all(one.values.shape[1:] == (16, 3) for one in frames)
    assert [one.id for one in client.runs()] == [run.id]

    async def again() -> str:
        async with AsyncClient(f"http://127.0.0.1:{server.port}", secret) as other:
            second = await other.submit(run.info.graph.id, seed=5, ticks=300)
            await second.wait(timeout=120)
            return (await second.result()).hash

    assert asyncio.run(again()) == result.hash


def test_what_a_run_recorded_comes_as_files(
    client: Client, here: Path, server: Server, secret: str, tenant: Tenant, shared_worker: Program,
    graph_file: Path, eventually: Any, capsys: Any,
) -> None:  # fmt: skip
    run = client.run_file(graph_file, seed=5).wait(timeout=120)
    with pytest.raises(Invalid) as refused:
        run.export("midi")
    assert refused.value.faults
    (recording,) = client.artifacts(run.id)
    table = parquet.read_table(client.save(recording, here / "deep" / "one.parquet"))
    assert table.num_rows == 300
    assert {one.format for one in run.formats()} >= {"csv", "hdf5"}

    async def exported() -> Path:
        async with AsyncClient(f"http://127.0.0.1:{server.port}", secret) as other:
            return await other.save(await (await other.run(run.id)).export("csv", ["osc.sync"]), here / "sync.csv")

    with asyncio.run(exported()).open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    (name,) = [name for name in rows[0] if name.startswith("osc.sync")]
    # Digits that give the same number again, in the precision that it has.
    values = np.asarray(table.column("osc.sync"), np.float32)
    assert np.array_equal(np.array([row[name] for row in rows], np.float32), values)

    capsys.readouterr()
    assert main(["export", str(run.id), "hdf5", "--output", str(here)]) == exits.DONE
    with h5py.File(capsys.readouterr().out.strip()) as file:
        assert np.array_equal(file["osc/sync/values"][:], values)
    assert main(["files", str(run.id), "--output", str(here / "all"), "--json"]) == exits.DONE
    listed = json.loads(capsys.readouterr().out)
    assert {one["kind"] for one in listed} == {"recording", "export"}
    for one in listed:
        assert hashlib.sha256((here / "all" / one["name"]).read_bytes()).hexdigest() == one["content"]


def test_the_command_line_computes_the_same_hash_here_as_the_server(
    here: Path, tenant: Tenant, shared_worker: Program, graph_file: Path, capsys: Any
) -> None:
    assert main(["run", str(graph_file), "--seed", "9", "--follow", "--json", "--output", str(here / "out")]) == 0
    printed = json.loads(capsys.readouterr().out)
    there = json.loads((here / "out" / "result.json").read_text())
    assert there["result_hash"] == printed["result_hash"]
    assert {one.name for one in (here / "out").iterdir()} == {"run.json", "graph.json", "events.jsonl", "result.json"}

    assert main(["run", "--local", str(graph_file), "--seed", "9", "--json"]) == 0
    ours = json.loads(capsys.readouterr().out)
    assert ours == {**there, "result_hash": ours["result_hash"]}
    assert ours["result_hash"] == there["result_hash"]
    run = printed["id"]
    assert main(["run", "--local", str(graph_file), "--seed", "9", "--against", run]) == exits.DONE
    assert main(["run", "--local", "--against", run]) == exits.DONE
    assert capsys.readouterr().err.count("equal: the server has the same result") == 2

    different = ["run", "--local", str(graph_file), "--seed", "8", "--tier", "kernels", "--against", run]
    assert main(different) == exits.DIFFERENT
    said = capsys.readouterr().err
    assert "seed: here 8, on the server 9: another seed draws other random numbers" in said
    assert f"tier: here kernels, on the server {there['tier']}" in said
    assert "graph_hash:" not in said


@pytest.mark.slow
def test_controls_of_a_run_are_computed_again_here(
    client: Client, here: Path, tenant: Tenant, shared_worker: Program, eventually: Any, capsys: Any
) -> None:
    graph = tenant.graph_of(N=512)
    run = client.submit(graph.pk, seed=3, ticks=20_000)
    eventually(lambda: run.refresh().info.tick > 0, "the run to begin")
    told = run.set("osc.coupling", 0.37)
    assert told.kind == "control"
    with pytest.raises(Invalid) as refused:
        run.set("osc.nothing", 1)
    assert refused.value.faults[0].mend
    run.wait(timeout=300)
    (change,) = run.result()["control_log"]
    assert (change["target"], change["value"]) == ("osc.coupling", 0.37)
    assert main(["run", "--local", "--against", str(run.id)]) == exits.DONE


def test_a_connection_that_is_cut_again_and_again_loses_no_event_and_doubles_none(
    secret: str, tenant: Tenant, shared_worker: Program, wire: CutWire
) -> None:
    row = tenant.submit(ticks=5_000)
    with Client(wire.url, secret, retry=QUICK) as through:
        run = through.run(row.pk)
        updates, cuts = [], 0
        for update in run.follow():
            updates.append(update)
            if cuts < 3 and isinstance(update, Progress | Event):
                cuts += wire.cut() > 0
    assert cuts == 3
    assert wire.upgrades > 1
    assert numbers(updates) == [event.seq for event in tenant.events(row)]
    assert states(updates) == STATES


def test_where_no_socket_gets_through_the_run_is_asked_about(
    secret: str, tenant: Tenant, shared_worker: Program, wire: CutWire
) -> None:
    wire.sockets_pass = False
    row = tenant.submit(ticks=500)
    with Client(wire.url, secret, retry=QUICK) as through:
        updates = list(through.run(row.pk).follow())
    assert wire.upgrades > 0
    assert numbers(updates) == [event.seq for event in tenant.events(row)]
    assert states(updates) == STATES
    assert any(isinstance(one, Progress) for one in updates)


PAGE = (ROOT / "docs" / "sdk.md").read_text("utf-8")
EXAMPLES = re.findall(r"^```(python|sh)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


@pytest.mark.slow
def test_the_examples_of_the_manual_run_as_printed(here: Path, tenant: Tenant, shared_worker: Program) -> None:
    call_command("seed_presets", verbosity=0)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join((str(ROOT), str(ROOT / "platform")))}
    commands: list[list[str]] = []
    for language, text in EXAMPLES:
        if language == "python":
            commands.append(["-c", text])
        else:
            lines = [shlex.split(line) for line in text.splitlines()]
            assert {program for program, *_ in lines} == {"attractor"}
            commands += [["-m", "attractor", *arguments] for _, *arguments in lines]
    assert len(commands) >= 10
    for command in commands:
        done = subprocess.run(
            [sys.executable, *command], cwd=here, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
        assert done.stdout
    assert (here / "out" / "result.json").exists()
