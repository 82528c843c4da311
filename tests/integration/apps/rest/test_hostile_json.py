"""Bodies made to hurt: refused with a problem, nothing kept, and the answer no larger than people read.

How long each took is printed (`pytest -s`), and asserted nowhere.
"""

import gzip
import json
import time
from typing import Any

import pytest

from apps.projects.models import Graph, GraphVersion, Project
from apps.runs.models import Run
from apps.workspaces.scope import scope

pytestmark = pytest.mark.django_db

MB = 2**20
ARRAY = '{"id": "osc", "kind": "osc.array", "params": %s}'


def keys(count: int) -> str:
    return ",".join(f'"k{number:x}": 1' for number in range(count))


def nested(depth: int) -> str:
    return "[" * depth + "]" * depth


def graph(params: str = '{"N": 16}', **parts: str) -> str:
    """A graph's JSON; parts by name over one oscillator array."""
    return json.dumps({"nodes": "@", "edges": []}).replace('"@"', parts.get("nodes") or f"[{ARRAY % params}]")


BODIES: dict[str, bytes] = {
    "10 MB of nothing": b" " * 10 * MB,
    "10 MB of brackets": b"[" * 10 * MB,
    "depth 100,000": b"[" * 100_000 + b"]" * 100_000,
    "depth 100,000 of objects": b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
    "4 million brackets": b"[" * 4 * MB,
    "NaN": b'{"name": NaN}',
    "Infinity": b'{"name": -Infinity}',
    "1e999": b'{"name": 1e999}',
    "the same key twice": b'{"name": "a", "name": "b"}',
    "400,000 keys, the last twice": f'{{{keys(400_000)}, "k0": 2}}'.encode(),
    "400,000 unknown fields": f"{{{keys(400_000)}}}".encode(),
    "a number of 8 million digits": b"9" * 8_000_000,
    "1,900 numbers of 4,299 digits": b"[" + b",".join([b"9" * 4_299] * 1_900) + b"]",
    "3 million small numbers": b"[" + b"1," * 3_000_000 + b"1]",
    "a text of 8 MB": b'{"name": "' + b"x" * 8_000_000 + b'"}',
    "a million escapes": b'{"name": "' + b"\\u0041" * 1_000_000 + b'"}',
    "a lone surrogate": b'{"name": "\\ud800"}',
    "NUL": b'{"name": "\\u0000"}',
    "not UTF-8": b'{"name": "\xff"}',
    "UTF-16": '{"name": "x"}'.encode("utf-16"),
}

SPECS: dict[str, str] = {
    "100,000 nodes": graph(nodes="[" + ",".join(f'{{"id":"n{i}","kind":"gen.value"}}' for i in range(100_000)) + "]"),
    "2,000 nodes of unknown kinds": graph(
        nodes="[" + ",".join(f'{{"id":"n{i}","kind":"no.such"}}' for i in range(2_000)) + "]"
    ),
    "a shape of 10^12": graph('{"N": 1000000000000}'),
    "a shape of 10^300": graph('{"N": 1%s}' % ("0" * 300)),
    "300,000 unknown parameters": graph(f"{{{keys(300_000)}}}"),
    **{f"a parameter {depth} deep": graph(f'{{"N": {nested(depth)}}}') for depth in (50, 200, 400, 800, 960)},
    "a parameter of 2 million numbers": graph('{"N": [%s1]}' % ("1," * 2_000_000)),
    "an id of 4 MB": graph(nodes='[{"id": "%s", "kind": "osc.array"}]' % ("x" * 4 * MB)),
    "20,000 edges to nowhere": json.dumps({
        "nodes": [json.loads(ARRAY % '{"N": 16}')],
        "edges": [{"src": f"a{i}.x", "dst": "osc.force"} for i in range(20_000)],
    }),
}  # fmt: skip


def kept(tenant: Any) -> tuple[int, ...]:
    with scope(tenant.workspace.id):
        return tuple(model.objects.count() for model in (Project, Graph, GraphVersion, Run))


def refused(tenant: Any, what: str, path: str, body: bytes, expected: set[int], **headers: str) -> Any:
    before = kept(tenant)
    began, worked = time.perf_counter(), time.process_time()
    answer = tenant.client.post(f"{tenant.root}{path}", body, content_type="application/json", headers=headers)
    took, worked = time.perf_counter() - began, time.process_time() - worked
    print(f"\n{what}: {answer.status_code} in {took * 1e3:.0f} ms, {worked * 1e3:.0f} ms of the processor's", end="")
    assert answer.status_code in expected, answer.content[:500]
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert all(problem["mend"] for problem in answer.json()["problems"])
    assert len(answer.content) < 200_000, "the answer to a hostile body is none"
    assert kept(tenant) == before
    return answer


@pytest.mark.parametrize("what", BODIES)
def test_a_hostile_body_is_refused(ann: Any, what: str) -> None:
    refused(ann, what, "/projects/", BODIES[what], {400, 413})


COUNTED = {"4 million brackets", "3 million small numbers"}
"""Bodies whose values are counted and never made."""


@pytest.mark.parametrize("what", BODIES)
def test_a_hostile_body_is_refused_where_large_ones_are_taken(ann: Any, what: str) -> None:
    answer = refused(ann, what, "/graphs/", BODIES[what], {413} if what in COUNTED else {400, 413})
    assert ("limits.request_values" in answer.json()["detail"]) == (what in COUNTED)


COUNTED_SPECS = {"a parameter of 2 million numbers"}


@pytest.mark.parametrize("what", SPECS)
@pytest.mark.parametrize("path", ["/graphs/", "/graphs/check/"])
def test_a_hostile_graph_is_refused(ann: Any, what: str, path: str) -> None:
    ann.post("/graphs/check/", {"spec": {"nodes": []}})  # torch is there before the clock runs
    spec = SPECS[what]
    if path == "/graphs/":
        body = f'{{"project": "{ann.project.pk}", "name": "x", "spec": {spec}}}'
        refused(ann, what, path, body.encode(), {413} if what in COUNTED_SPECS else {400, 422})
    else:
        answer = ann.client.post(f"{ann.root}{path}", f'{{"spec": {spec}}}'.encode(), content_type="application/json")
        assert answer.status_code in ((413,) if what in COUNTED_SPECS else (200, 400))
        assert len(answer.content) < 200_000
        if answer.status_code == 200:
            assert answer.json()["ok"] is False


SWEEPS: dict[str, dict[str, Any]] = {
    "10^9 points of a grid": {
        "axes": [{"target": f"osc.{one}", "min": 0.1, "max": 0.4, "steps": 1000} for one in ("coupling", "noise", "dt")]
    },
    "10^9 points at random": {"axes": [{"target": "osc.coupling", "min": 0.1, "max": 0.4}], "sampling": "random",
                              "points": 10**9},
    "10^18 points of Sobol's": {"axes": [{"target": "osc.coupling", "min": 0.1, "max": 0.4}], "sampling": "sobol",
                                "points": 10**18},
    "a million values": {"axes": [{"target": "osc.coupling", "values": [0.1] * 10**6}]},
    "10^12 ticks at every point": {"axes": [{"target": "osc.coupling", "values": [0.1]}], "ticks": 10**12},
}  # fmt: skip


@pytest.mark.parametrize("what", SWEEPS)
def test_a_hostile_sweep_is_refused_before_anything_is_queued(ann: Any, what: str) -> None:
    ann.post("/graphs/check/", {"spec": {"nodes": []}})  # torch is there before the clock runs
    body = json.dumps({"graph": str(ann.graph.pk), **SWEEPS[what]}).encode()
    refused(ann, what, "/sweeps/", body, {413} if what == "a million values" else {400, 409, 422})


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "identity, gzip"])
def test_compressed_bodies_are_not_unpacked(ann: Any, encoding: str) -> None:
    bomb = gzip.compress(b" " * 1000 * MB, 1) if encoding == "gzip" else b"x"
    answer = refused(ann, f"a bomb of {len(bomb)} bytes", "/projects/", bomb, {415}, **{"Content-Encoding": encoding})
    assert answer.headers["Accept-Encoding"] == "identity"
    plain = ann.client.post(
        f"{ann.root}/projects/",
        {"name": "x"},
        content_type="application/json",
        headers={"Content-Encoding": "identity"},
    )
    assert plain.status_code == 201


@pytest.mark.parametrize("query", ["a" * 5_000, "&".join(f"k{i}=1" for i in range(2_000)), "state=" + "queued," * 900])
def test_a_hostile_query_is_refused(ann: Any, query: str) -> None:
    answer = ann.get(f"/runs/?{query}")
    assert answer.status_code == 400
    assert len(answer.content) < 200_000
