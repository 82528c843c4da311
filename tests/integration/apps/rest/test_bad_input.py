"""Input that is refused before anything is queued, every problem with its place and its mend."""

import copy
import time
from typing import Any

import pytest

from apps.presets.models import Preset
from apps.projects.models import Graph, GraphVersion
from apps.runs.models import Run
from apps.workspaces.models import AuditEvent
from apps.workspaces.scope import scope

pytestmark = pytest.mark.django_db

ARRAY: dict[str, Any] = {"id": "osc", "kind": "osc.array", "params": {"N": 16}}
LOOP = {
    "nodes": [ARRAY, {"id": "field", "kind": "ebm.gaussian", "params": {"N": 16}}],
    "edges": [{"src": "osc.x", "dst": "field.input"}, {"src": "field.x", "dst": "osc.modulation"}],
}


def one(**changes: Any) -> dict[str, Any]:
    return {"nodes": [{**copy.deepcopy(ARRAY), **changes}], "edges": []}


def send(tenant: Any, spec: Any) -> Any:
    return tenant.post("/graphs/", {"project": str(tenant.project.pk), "name": "bad", "spec": spec})


def rows(tenant: Any) -> tuple[int, ...]:
    with scope(tenant.workspace.id):
        return tuple(model.objects.count() for model in (Graph, GraphVersion, Run, AuditEvent))


@pytest.mark.parametrize(
    ("spec", "place"),
    [
        pytest.param(one(kind="osc.arry"), "nodes.osc.kind", id="unknown kind"),
        pytest.param(one(params={"N": 16, "couplin": 0.1}), "nodes.osc.params.couplin", id="unknown parameter"),
        pytest.param(one(params={"N": -1}), "nodes.osc.params.N", id="out of range"),
        pytest.param(one(params={"N": 10**12}), "nodes.osc.params.N", id="a 1e12 shape"),
        pytest.param(one(params={"N": 16.5}), "nodes.osc.params.N", id="wrong type"),
        pytest.param(one(params={"N": 16, "cell": "quartz"}), "nodes.osc.params.cell", id="no such choice"),
        pytest.param(
            one(params={"N": 16, "coupling": {"value": 1, "unit": "parsec"}}), "nodes.osc.params.coupling", id="unit"
        ),
        pytest.param(
            {**one(), "edges": [{"src": "osc.volume", "dst": "osc.force"}]}, "edges[0]", id="unknown output port"
        ),
        pytest.param({**one(), "edges": [{"src": "osc.x", "dst": "osc.knob"}]}, "edges[0]", id="unknown input port"),
        pytest.param({**one(), "edges": [{"src": "ghost.x", "dst": "osc.force"}]}, "edges[0]", id="unknown node"),
        pytest.param(
            {
                "nodes": [ARRAY, {"id": "small", "kind": "osc.array", "params": {"N": 9}}],
                "edges": [{"src": "osc.x", "dst": "small.force"}],
            },
            "nodes.small.force",
            id="shape",
        ),
        pytest.param(LOOP, "edges", id="cycle without a delay"),
        pytest.param(one(id="1st"), "nodes", id="malformed id"),
        pytest.param({"nodes": [ARRAY, ARRAY], "edges": []}, "nodes.osc", id="the same id twice"),
        pytest.param({"nodes": [], "edges": []}, "nodes", id="nothing at all"),
        pytest.param({"nodes": [ARRAY], "wires": []}, "wires", id="unknown key"),
        pytest.param([1, 2], "", id="no object"),
        pytest.param("nodes", "", id="a text"),
    ],
)
def test_a_graph_that_cannot_run_is_refused_with_place_and_mend(ann: Any, spec: Any, place: str) -> None:
    before = rows(ann)
    response = send(ann, spec)
    assert response.status_code == 422, response.content
    assert response.headers["Content-Type"] == "application/problem+json"
    problems = response.json()["problems"]
    assert any(problem["place"].startswith(place) for problem in problems), problems
    assert all(problem["message"] and problem["mend"] for problem in problems)
    assert rows(ann) == before


def test_all_problems_are_listed_together(ann: Any) -> None:
    spec = {
        "nodes": [
            {"id": "a", "kind": "no.such"},
            {"id": "b", "kind": "osc.array", "params": {"N": -3, "cell": "quartz", "colour": "red"}},
        ],
        "edges": [{"src": "b.nothing", "dst": "b.force"}, {"src": "b.x", "dst": "c.in"}],
    }
    places = {problem["place"] for problem in send(ann, spec).json()["problems"]}
    assert {"nodes.a.kind", "nodes.b.params.N", "nodes.b.params.cell", "nodes.b.params.colour"} <= places
    assert sum(place.startswith("edges") for place in places) >= 2


def test_the_cycle_is_named(ann: Any) -> None:
    (problem,) = (p for p in send(ann, LOOP).json()["problems"] if "cycle" in (p["message"] + p["mend"]).lower())
    assert "osc" in problem["message"]
    assert "field" in problem["message"]
    assert "delay" in problem["mend"]


def test_a_hundred_thousand_nodes_are_refused_at_once(ann: Any) -> None:
    nodes = [{"id": f"n{i}", "kind": "gen.value"} for i in range(100_000)]
    before = rows(ann)
    began = time.process_time()
    response = send(ann, {"nodes": nodes, "edges": []})
    assert response.status_code == 422
    (problem,) = response.json()["problems"]
    assert problem["place"] == "nodes"
    assert "100000" in problem["message"].replace(",", "").replace(" ", "")
    assert rows(ann) == before
    # Not a timing of ours: looking at every node would take minutes of processor time.
    assert time.process_time() - began < 30


def test_a_body_over_the_limit_is_refused_before_it_is_parsed(
    ann: Any, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("apps.ops.parsers.json", None)  # whoever parses now fails
    body = b"[" * (settings.ATTRACTOR.limits.request_bytes + 1)
    response = ann.client.post(f"{ann.root}/graphs/", body, content_type="application/json")
    assert response.status_code == 413
    assert response.json()["code"] == "payload_too_large"


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"[" * 50_000,
        b'{"name": NaN}',
        b'{"name": "a", "name": "b"}',
        b'{"name": "\\u0000"}',
        b'"\\ud800"',
        b"\xff",
    ],
)
def test_what_is_not_json_is_refused(ann: Any, body: bytes) -> None:
    response = ann.client.post(f"{ann.root}/projects/", body, content_type="application/json")
    assert response.status_code == 400
    assert response.json()["code"] == "parse_error"


def test_other_encodings_are_refused(ann: Any) -> None:
    assert ann.client.post(f"{ann.root}/projects/", {"name": "x"}).status_code == 415


@pytest.mark.parametrize(
    ("path", "body", "places"),
    [
        ("/projects/", {}, {"name"}),
        ("/projects/", {"name": ""}, {"name"}),
        ("/projects/", {"name": "x" * 161}, {"name"}),
        ("/projects/", {"name": "x", "colour": 1, "size": 2}, {"colour", "size"}),
        ("/projects/", ["x"], {"body"}),
        ("/graphs/", {}, {"project"}),
        ("/graphs/", {"project": "no-uuid", "name": "x", "spec": {}}, {"project"}),
        ("/runs/", {}, {"graph"}),
        ("/runs/", {"graph": "x", "seed": "y", "ticks": [1]}, {"graph", "seed", "ticks"}),
        ("/runs/", {"graph": 7, "sed": 1}, {"sed"}),
    ],
)
def test_a_malformed_body_is_refused_field_by_field(ann: Any, path: str, body: Any, places: set[str]) -> None:
    response = ann.post(path, body)
    assert response.status_code == 400
    assert {problem["place"] for problem in response.json()["problems"]} == places
    assert all(problem["mend"] for problem in response.json()["problems"])


@pytest.mark.parametrize(
    "extra",
    [{}, {"preset": "p", "spec": {}}, {"spec": {"nodes": []}}, {"preset": "p", "name": "mine"}],
    ids=["neither", "both", "no name", "a name of a preset"],
)
def test_a_graph_is_made_from_a_spec_or_from_a_preset(ann: Any, extra: dict[str, Any]) -> None:
    Preset.objects.create(id="p", version=1, title="P", category="x", summary="x", content_hash="x", document={})
    assert ann.post("/graphs/", {"project": str(ann.project.pk), **extra}).status_code == 400


def test_an_unknown_preset_is_not_found(ann: Any) -> None:
    assert ann.post("/graphs/", {"project": str(ann.project.pk), "preset": "no_such"}).status_code == 404


@pytest.mark.parametrize(
    ("seed", "ticks", "place"), [(-1, 5, "seed"), (2**63, 5, "seed"), (1, 0, "ticks"), (1, 10**9, "ticks")]
)
def test_numbers_out_of_range_are_refused_before_queueing(ann: Any, seed: int, ticks: int, place: str) -> None:
    response = ann.post("/runs/", {"graph": str(ann.graph.pk), "seed": seed, "ticks": ticks})
    assert response.status_code == 422
    assert [problem["place"] for problem in response.json()["problems"]] == [place]
    assert ann.get("/runs/").json()["results"] == []


@pytest.mark.parametrize("after", ["-1", "x", "1.5", "9" * 30, "\u0663"])
def test_a_wrong_number_of_an_event_is_refused(ann: Any, after: str) -> None:
    run = ann.submit()
    assert ann.get(f"/runs/{run.pk}/events/?after={after}").status_code == 400


@pytest.mark.parametrize("path", ["/graphs/not-a-uuid/", "/runs/1/", "/runs/%00/"])
def test_a_malformed_id_is_not_found(ann: Any, path: str) -> None:
    assert ann.get(path).status_code == 404


def test_a_cursor_that_was_not_given_out_is_refused(ann: Any) -> None:
    assert ann.get("/runs/?cursor=forged").status_code == 404
