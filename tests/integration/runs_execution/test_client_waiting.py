"""The client and the command line on the real server, where no worker takes the runs."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from client_updates import QUICK, numbers, states
from cut_wire import CutWire
from run_processes import Server, Tenant, free_port, make_tenant, started_server

from apps.runs import services
from apps.workspaces.keys import keys, revoke_key
from apps.workspaces.scope import scope
from attractor.cli import exits
from attractor.cli.main import main
from attractor.client import (
    Client,
    NotFound,
    NotLoggedIn,
    Retry,
    Run,
    RunNotSucceeded,
    Unreachable,
    login,
)
from config.layers import ROOT


@pytest.mark.slow
def test_a_server_that_is_started_again_is_followed_on(
    secret: str, tenant: Tenant, tmp_path: Path, testbed: Any, eventually: Any
) -> None:
    row = tenant.submit()
    port = free_port()
    heard: list[Any] = []

    def follow() -> None:
        with Client(f"http://127.0.0.1:{port}", secret, retry=QUICK) as opened:
            for update in opened.run(row.pk).follow():
                heard.append(update)

    following = threading.Thread(target=follow, daemon=True)
    with started_server(tmp_path / "before", port):
        following.start()
        eventually(lambda: numbers(heard), "the first event")
    tenant.command(row, "cancel")  # nobody is there to tell it
    with started_server(tmp_path / "after", port):
        following.join(120)
    assert not following.is_alive()
    assert states(heard) == ["queued", "cancelled"]
    assert numbers(heard) == [1, 2]


def test_waiting_has_an_end_and_cancelling_a_queued_run_too(client: Client, tenant: Tenant) -> None:
    run = client.submit(tenant.graph.pk)
    with pytest.raises(TimeoutError, match="goes on"):
        run.wait(timeout=0.5)
    assert run.cancel().kind == "cancel"
    assert run.wait(timeout=60).state == "cancelled"
    with pytest.raises(RunNotSucceeded) as none:
        run.result()
    assert none.value.state == "cancelled"
    assert "cancelled" in run._repr_html_()


def test_a_failed_run_says_where_and_what_to_do(client: Client, tenant: Tenant) -> None:
    from apps.runs.failure import Failure

    row = tenant.submit()
    with scope(tenant.workspace.id):
        attempt = services.claim(row.pk, "worker")
    services.finish(attempt, "failed", tick=12, error=Failure("diverged", "x is 1e4.", "Lower dt.", "osc", 12))
    run = client.run(row.pk)
    assert run.wait(timeout=60).state == "failed"
    with pytest.raises(RunNotSucceeded, match=r"osc at tick 12.*Lower dt"):
        run.result()


def test_nobody_gets_in_with_a_wrong_key_or_into_another_workspace(
    client: Client, server: Server, tenant: Tenant
) -> None:
    url = f"http://127.0.0.1:{server.port}"
    with Client(url, "atk_wrong") as wrong, pytest.raises(NotLoggedIn):
        wrong.me()
    stranger = make_tenant("bob")
    foreign = stranger.submit()
    with pytest.raises(NotFound):
        client.run(foreign.pk)
    with pytest.raises(NotFound):
        client.submit(stranger.graph.pk)
    with pytest.raises(NotFound):
        list(Run(client, client.submit(tenant.graph.pk).info.model_copy(update={"id": foreign.pk})).follow())


@pytest.mark.slow
def test_a_key_that_is_revoked_ends_the_following(
    client: Client, tenant: Tenant, secret: str, server: Server, tmp_path: Path, testbed: Any
) -> None:
    row = tenant.submit()
    port = free_port()
    with (
        started_server(tmp_path / "watchful", port, ATTRACTOR__LIVE__RECHECK="0.2"),
        Client(f"http://127.0.0.1:{port}", secret, retry=QUICK) as opened,
    ):
        following = opened.run(row.pk).follow()
        assert numbers([next(following), next(following)]) == [1]  # how it is, and its first event
        (key,) = keys(tenant.user, tenant.workspace)
        revoke_key(tenant.user, tenant.workspace, key.pk)
        with pytest.raises(NotLoggedIn):
            list(following)


def test_a_server_that_stays_away_is_given_up(secret: str, tenant: Tenant, wire: CutWire) -> None:
    row = tenant.submit()
    with Client(wire.url, secret, retry=Retry(attempts=2, first=0.01, longest=0.05)) as through:
        following = through.run(row.pk).follow(patience=0.5)
        next(following)
        wire.close()
        with pytest.raises(Unreachable):
            list(following)


def attractor(*arguments: str, **env: str) -> subprocess.Popen[str]:
    # What a shell starts in the background ignores SIGINT, and so would what it starts in turn.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        return subprocess.Popen(
            [sys.executable, "-m", "attractor", *arguments], cwd=ROOT, env={**os.environ, **env}, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
    finally:
        signal.signal(signal.SIGINT, before)


def said_until(program: subprocess.Popen[str], text: str, seconds: float = 60) -> str:
    """What a program says on its standard error up to the line with `text`; it is killed when it does not say it."""
    assert program.stderr is not None
    limit = threading.Timer(seconds, program.kill)
    limit.start()
    said = ""
    try:
        while text not in said:
            line = program.stderr.readline()
            assert line, f"It ended without saying {text!r}: {said}"
            said += line
    finally:
        limit.cancel()
    return said


@pytest.mark.slow
@pytest.mark.parametrize(("presses", "more", "state"), [(1, [], "queued"), (2, [], "cancelled"),
                                                      (1, ["--cancel-on-interrupt"], "cancelled")])  # fmt: skip
def test_leaving_a_run_lets_it_go_on_unless_it_is_cancelled(
    here: Path, tenant: Tenant, client: Client, graph_file: Path, presses: int, more: list[str], state: str
) -> None:
    program = attractor("run", str(graph_file), "--follow", *more, PYTHONUNBUFFERED="1")
    said = said_until(program, "queued")
    program.send_signal(signal.SIGINT)
    if presses == 2:
        said += said_until(program, "again within")
        program.send_signal(signal.SIGINT)
    _, rest = program.communicate(timeout=60)
    assert program.returncode == exits.INTERRUPTED, said + rest
    (run,) = client.runs()
    assert run.state == state
    if state == "queued":
        assert f"attractor runs show {run.id}" in said + rest
    assert "Traceback" not in said + rest


@pytest.mark.slow
def test_the_command_line_from_login_to_logout(
    server: Server, secret: str, tenant: Tenant, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any,
    graph_file: Path,
) -> None:  # fmt: skip
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.delenv(login.URL, raising=False)
    monkeypatch.delenv(login.KEY, raising=False)
    url = f"http://127.0.0.1:{server.port}"
    assert main(["whoami"]) == exits.NOT_LOGGED_IN
    assert "attractor login" in capsys.readouterr().err

    program = attractor("login", "--url", url, "--stdin")
    out, err = program.communicate("atk_wrong\n", timeout=60)
    assert program.returncode == exits.NOT_LOGGED_IN
    assert not login.file().exists()
    program = attractor("login", "--url", url)
    out, err = program.communicate(f"{secret}\n", timeout=60)
    assert program.returncode == exits.DONE, err
    assert secret not in out + err
    assert login.file().stat().st_mode & 0o077 == 0

    assert main(["whoami", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["email"] == tenant.user.email
    assert main(["whoami"]) == 0
    assert main(["presets"]) == 0
    assert main(["run", str(graph_file), "--set", "osc.N=8", "--ticks", "5"]) == 0
    capsys.readouterr()
    assert main(["runs", "list", "--json"]) == 0
    (run,) = json.loads(capsys.readouterr().out)
    assert (run["state"], run["ticks"]) == ("queued", 5)
    assert main(["runs", "list"]) == main(["runs", "show", run["id"]]) == main(["runs", "events", run["id"]]) == 0
    printed = capsys.readouterr().out
    assert run["id"] in printed
    assert "place 1 in the queue" in printed
    assert main(["runs", "cancel", run["id"]]) == 0
    assert main(["runs", "cancel", run["id"]]) == 0
    assert "over already" in capsys.readouterr().err
    assert main(["runs", "events", run["id"], "--follow", "--json"]) == 0
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [one["payload"]["state"] for one in events] == ["queued", "cancelled"]
    assert main(["download", run["id"], "--output", str(tmp_path / "run")]) == 0
    assert json.loads((tmp_path / "run" / "graph.json").read_text())["nodes"][0]["params"]["N"] == 8
    assert not (tmp_path / "run" / "result.json").exists()
    capsys.readouterr()

    assert main(["run", "no-such-preset"]) == exits.FAILED
    assert main(["run", str(tmp_path / "missing.json")]) == exits.USAGE
    assert main(["run"]) == exits.USAGE
    assert main(["run", str(graph_file), "--tier", "eager"]) == exits.USAGE
    graph_file.write_text(json.dumps({"nodes": [{"id": "a", "kind": "osc.aray"}], "edges": []}))
    assert main(["run", str(graph_file)]) == exits.FAILED
    assert "nodes.a.kind" in capsys.readouterr().err
    graph_file.write_text("{}")
    assert main(["run", str(graph_file)]) == exits.FAILED
    monkeypatch.setenv(login.URL, f"http://127.0.0.1:{free_port()}")
    monkeypatch.setenv(login.KEY, secret)
    monkeypatch.setattr(Retry, "delay", lambda self, failures: 0.0)
    assert main(["whoami"]) == exits.UNREACHABLE
    monkeypatch.delenv(login.URL)
    monkeypatch.delenv(login.KEY)
    assert main(["logout"]) == 0
    assert main(["logout"]) == 0
    assert main(["whoami"]) == exits.NOT_LOGGED_IN


def test_a_preset_is_run_from_one_graph_however_often(client: Client, tenant: Tenant) -> None:
    from apps.presets.models import Preset

    graph = {"nodes": [{"id": "osc", "kind": "osc.array", "params": {"N": 16}}], "edges": []}
    from attractor import GraphSpec

    Preset.objects.create(
        id="tiny", version=1, title="Tiny", category="x", tags=[], summary="x", document={"graph": graph},
        content_hash=GraphSpec.parse(graph).content_hash,
    )  # fmt: skip
    first, second = client.run_preset("tiny", seed=1, ticks=10), client.run_preset("tiny", seed=2, ticks=10)
    assert first.info.graph.id == second.info.graph.id
    assert [one.id for one in client.presets()] == ["tiny"]
    assert any(kind["kind"] == "osc.array" for kind in client.node_kinds())
    assert next(one.name for one in client.projects()) == "Command line and notebooks"
