"""What lists and catalogues are narrowed by, and what is refused with the names of what there is."""

from typing import Any
from uuid import uuid4

import pytest

from apps.projects.services import create_graph

pytestmark = pytest.mark.django_db


def spec(**params: Any) -> dict[str, Any]:
    return {"nodes": [{"id": "osc", "kind": "osc.array", "params": {"N": 16, **params}}], "edges": []}


def listed(tenant: Any, path: str) -> list[str]:
    answer = tenant.get(path)
    assert answer.status_code == 200, answer.content
    return [str(one.get("id", one.get("name"))) for one in answer.json()["results"]]


def test_runs_are_narrowed_by_what_is_allowed(ann: Any, bob: Any) -> None:
    other = create_graph(ann.user, ann.workspace, ann.project, "other", spec(coupling=0.7))
    first, second = ann.submit(), ann.submit(graph=other)
    ann.post(f"/runs/{first.pk}/cancel/", {})
    middle = second.created_at.isoformat().replace("+00:00", "Z")
    one, two = str(first.pk), str(second.pk)
    assert listed(ann, "/runs/?state=cancelled") == [one]
    assert listed(ann, "/runs/?state=queued,cancelled") == [two, one]
    assert listed(ann, f"/runs/?graph={other.pk}") == [two]
    assert listed(ann, f"/runs/?graph={other.pk}&state=cancelled") == []
    assert listed(ann, f"/runs/?project={ann.project.pk}") == [two, one]
    assert listed(ann, f"/runs/?project={bob.project.pk}") == []
    assert listed(ann, f"/runs/?created_after={middle}") == [two]
    assert listed(ann, f"/runs/?created_before={middle}") == [one]
    assert listed(ann, f"/runs/?created_by={ann.user.pk}") == [two, one]
    assert listed(ann, f"/runs/?created_by={bob.user.pk}") == []
    assert listed(ann, "/runs/?preset=none") == []
    assert listed(ann, f"/runs/?content_hash={second.graph_version.content_hash}") == [two]
    page = ann.get("/runs/?state=queued,cancelled&page_size=1").json()
    assert [run["id"] for run in ann.client.get(page["next"]).json()["results"]] == [one], "a cursor keeps the filters"


def test_graphs_and_projects_are_narrowed_too(ann: Any, bob: Any) -> None:
    assert listed(ann, f"/graphs/?project={ann.project.pk}") == [str(ann.graph.pk)]
    assert listed(ann, f"/graphs/?project={uuid4()}") == []
    assert listed(ann, "/graphs/?preset=emergent_logic") == []
    assert listed(ann, f"/projects/?created_by={bob.user.pk}") == []


@pytest.mark.parametrize(
    ("path", "place", "named"),
    [
        ("/runs/?stat=queued", "stat", "state, project, graph"),
        ("/runs/?state=running,asleep", "state", "queued"),
        ("/runs/?state=", "state", "queued"),
        ("/runs/?state=queued&state=failed", "state", "more than once"),
        ("/runs/?graph=x", "graph", "UUID"),
        ("/runs/?created_after=yesterday", "created_after", "2026-01-31T12:00:00Z"),
        ("/runs/?created_after=2026-13-01T00:00:00Z", "created_after", "2026"),
        ("/runs/?created_after=2026-01-01T00:00:00", "created_after", "2026"),
        ("/runs/?created_after=9999-12-31T23:59:59-23:00", "created_after", "2026"),
        ("/runs/?preset=a%00b", "preset", "letters"),
        ("/runs/?content_hash=%00", "content_hash", "printable"),
        ("/runs/?page_size=0", "page_size", "200"),
        ("/runs/?page_size=1000000", "page_size", "200"),
        ("/graphs/?state=queued", "state", "project, preset"),
        ("/graphs/?archived=yes", "archived", "true or false"),
        ("/projects/?order=name", "order", "created_by"),
        ("/projects/?%00=1", "query", "created_by"),
    ],
)
def test_a_wrong_filter_is_refused_with_those_there_are(ann: Any, path: str, place: str, named: str) -> None:
    answer = ann.get(path)
    assert answer.status_code == 400
    (problem,) = answer.json()["problems"]
    assert problem["place"] == place
    assert named in problem["message"]


def test_presets_are_narrowed_by_category_and_tag(ann: Any) -> None:
    from apps.presets.models import Preset

    for name, tags in (("one", ["x"]), ("two", ["x", "y"])):
        Preset.objects.create(
            id=name, version=1, title=name, category=name, tags=tags, summary="", content_hash="h", document={}
        )
    for query, found in (("tag=x", ["one", "two"]), ("tag=y", ["two"]), ("category=one", ["one"]), ("tag=z", [])):
        assert [one["id"] for one in ann.client.get(f"/api/v1/presets/?{query}").json()["results"]] == found
    assert ann.client.get("/api/v1/presets/?colour=x").status_code == 400


def test_events_are_narrowed_by_kind(ann: Any) -> None:
    run = ann.submit()
    ann.post(f"/runs/{run.pk}/cancel/", {})
    every = ann.get(f"/runs/{run.pk}/events/").json()
    assert ann.get(f"/runs/{run.pk}/events/?kind=status").json() == every
    assert ann.get(f"/runs/{run.pk}/events/?kind=log,metric").json() == []
    assert ann.get(f"/runs/{run.pk}/events/?kind=status&after=1").json() == every[1:]
    assert ann.get(f"/runs/{run.pk}/events/?kind=statu").status_code == 400


def test_the_node_catalogue_is_sent_once(ann: Any) -> None:
    answer = ann.client.get("/api/v1/nodes/")
    tag = answer.headers["ETag"]
    assert "max-age" in answer.headers["Cache-Control"]
    assert ann.client.get("/api/v1/nodes/", headers={"If-None-Match": tag}).status_code == 304
    (declared,) = [one for one in answer.json()["results"] if one["kind"] == "osc.array"]
    assert ann.client.get("/api/v1/nodes/osc.array/").json() == declared
    assert ann.client.get("/api/v1/nodes/model:LogicGateDetector/").status_code == 200
    assert ann.client.get("/api/v1/nodes/no.such/").status_code == 404
