"""docs/run-socket.md says what is so: its messages are those of the socket, its client follows a run."""

import json
import os
import re
import subprocess
import sys

from apps.workspaces.keys import create_key
from config.layers import ROOT

PAGE = (ROOT / "docs" / "run-socket.md").read_text("utf-8")
EXAMPLES = [json.loads(text) for text in re.findall(r"^```json\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)]
SAID = [one for one in EXAMPLES if "op" in one]
HEARD = {one["kind"]: one for one in EXAMPLES if "kind" in one}
KINDS = re.findall(r"`(\w+)`", "".join(re.findall(r"^\| (`[^|]*)\|", PAGE.partition("## What a client says")[0], re.M)))


def test_every_kind_of_message_has_an_example():
    assert set(HEARD) == set(KINDS)
    assert {one["op"] for one in SAID} == {"subscribe", "unsubscribe", "heartbeat"}


def test_the_messages_of_the_manual_are_those_of_the_socket(tenant, server, shared_worker, eventually):
    run = tenant.submit()
    eventually(lambda: tenant.look(run).tick > 0, "the run to progress", 120)
    socket = server.open(run, tenant)
    for port in ("sync", HEARD["error"]["payload"]["port"]):
        socket.say(op="subscribe", node="osc", port=port)
    subscribe, unsubscribe, heartbeat = SAID
    socket.say(**subscribe)
    tenant.command(run, "control", target="osc.coupling", value=0.3)
    wanted = set(HEARD)

    def complete(_):
        return wanted <= {m["kind"] for m in socket.seen if m["kind"] != "heartbeat"} | {"heartbeat"}

    socket.hear_until(complete, 120)
    for message in (unsubscribe, heartbeat):
        socket.say(**message)
    answer = socket.hear_until(lambda m: m["kind"] == "heartbeat" and "id" in m)
    tenant.command(run, "cancel")
    assert answer == HEARD["heartbeat"]
    acks = [m for m in socket.seen if m["kind"] == "ack"]
    assert all(ack["ok"] for ack in acks)
    assert {ack["id"] for ack in acks} >= {subscribe["id"], unsubscribe["id"]}
    for kind, example in HEARD.items():
        # Transient ones of a kind have no time; the example of an error is one of them.
        alike = [m for m in socket.seen if m["kind"] == kind and (m.get("seq") is None) == (example.get("seq") is None)]
        if kind == "heartbeat":
            continue
        assert any(set(m) == set(example) for m in alike), (kind, [sorted(m) for m in alike[:2]])
        if kind in ("log", "error"):
            assert any(set(m["payload"]) == set(example["payload"]) for m in alike), (kind, alike)
    assert set(HEARD["hello"]["run"]) <= set(next(m for m in socket.seen if m["kind"] == "hello")["run"])


def test_the_client_of_the_manual_follows_a_run(tenant, server, shared_worker):
    run = tenant.submit(ticks=500)
    _, secret = create_key(tenant.user, tenant.workspace, "manual")
    (client,) = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    environment = {**os.environ, "ATTRACTOR_URL": f"http://127.0.0.1:{server.port}", "ATTRACTOR_API_KEY": secret}
    done = subprocess.run(
        [sys.executable, "-c", client, str(run.pk)], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    numbers = [int(n) for n in re.findall(r"^event (\d+) ", done.stdout, re.MULTILINE)]
    assert numbers == [event.seq for event in tenant.events(run)]
