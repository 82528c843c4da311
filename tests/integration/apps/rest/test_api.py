"""The API as its users see it."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from django.core.management import call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext
from jsonschema import Draft202012Validator
from referencing import Registry, Resource

from apps.presets.models import Preset
from apps.presets.services import record_verdict
from apps.projects.services import create_project
from apps.runs import queue, services
from apps.runs.failure import Failure
from apps.runs.services import Happening
from apps.workspaces.scope import scope

pytestmark = pytest.mark.django_db

DOCUMENT: dict[str, Any] = {
    "graph": {"nodes": [{"id": "osc", "kind": "osc.array", "params": {"N": 16}}], "edges": []},
    "controls": [{"label": "Coupling", "target": "osc.coupling", "widget": "slider", "min": 0, "max": 1}],
    "actions": [],
    "limits": {"ticks": 77},
}


@pytest.fixture(scope="module")
def schema(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The schema, which must be made without a warning."""
    file = tmp_path_factory.mktemp("schema") / "schema.yaml"
    call_command("spectacular", file=str(file), validate=True, fail_on_warn=True)
    loaded: dict[str, Any] = yaml.safe_load(Path(file).read_text())
    return loaded


@pytest.fixture
def preset(db: None) -> Preset:
    return Preset.objects.create(
        id="tiny", version=1, title="Tiny", category="x", tags=["a"], summary="x", content_hash="h", document=DOCUMENT
    )


def conforms(schema: dict[str, Any], name: str, value: Any) -> None:
    """The value is what the published schema says."""
    root = Resource.from_contents({"$schema": "https://json-schema.org/draft/2020-12/schema", **_nullable(schema)})
    registry = Registry().with_resource("urn:schema", root)
    Draft202012Validator({"$ref": f"urn:schema#/components/schemas/{name}"}, registry=registry).validate(value)


def _nullable(value: Any) -> Any:
    """OpenAPI 3.0 says `nullable` where JSON Schema says a type of null."""
    if isinstance(value, list):
        return [_nullable(item) for item in value]
    if not isinstance(value, dict):
        return value
    made = {key: _nullable(item) for key, item in value.items() if key != "nullable"}
    return {"anyOf": [made, {"type": "null"}]} if value.get("nullable") is True else made


def test_from_preset_to_result(ann: Any, preset: Preset, schema: dict[str, Any]) -> None:
    project = ann.post("/projects/", {"name": "Logic"}).json()
    conforms(schema, "Project", project)
    graph = ann.post("/graphs/", {"project": project["id"], "preset": "tiny"}).json()
    conforms(schema, "Graph", graph)
    assert (graph["name"], graph["preset"], graph["version"]) == ("Tiny", "tiny", 1)
    assert ann.get(f"/graphs/{graph['id']}/").json() == graph

    response = ann.post("/runs/", {"graph": graph["id"], "seed": 5})
    assert response.status_code == 201
    run = response.json()
    conforms(schema, "SubmittedRun", run)
    assert (run["state"], run["seed"], run["ticks"], run["progress"]) == ("queued", 5, 77, 0.0)
    assert run["graph"]["content_hash"] == graph["content_hash"]
    assert run["graph"]["spec"] == graph["spec"]
    assert run["preset"] == {
        "id": "tiny", "title": "Tiny", "controls": DOCUMENT["controls"], "actions": DOCUMENT["actions"],
    }  # fmt: skip
    assert ann.client.get(run["urls"]["result"]).status_code == 404

    with scope(ann.workspace.id):
        attempt = services.claim(run["id"], "worker")
    services.record_progress(attempt, 40, 0.5, 1.5, 30.0)
    told = ann.client.post(run["urls"]["controls"], {"target": "osc.coupling", "value": 0.4}, "application/json")
    assert told.status_code == 202
    conforms(schema, "RunCommand", told.json())
    assert ann.client.post(run["urls"]["pause"], {}, "application/json").status_code == 202
    services.apply_command(attempt, 1, 41)
    services.apply_command(attempt, 2, 41)
    now = ann.get(f"/runs/{run['id']}/").json()
    conforms(schema, "Run", now)
    assert (now["state"], now["tick"], now["progress"], now["eta_s"], now["paused"]) == ("running", 40, 0.5, 1.5, True)

    services.finish(attempt, "succeeded", tick=77, result={"outputs": {"osc.r": 0.5}}, result_hash="sha256:r")
    assert ann.client.get(run["urls"]["result"]).json() == {"outputs": {"osc.r": 0.5}}
    events = ann.client.get(run["urls"]["events"]).json()
    for event in events:
        conforms(schema, "RunEvent", event)
    assert [event["seq"] for event in events] == [1, 2, 3, 4, 5]
    assert [event["kind"] for event in events] == ["status", "status", "control", "control", "status"]
    assert ann.client.get(f"{run['urls']['events']}?after=4").json() == events[4:]
    refused = ann.client.post(run["urls"]["cancel"], {}, "application/json")
    assert (refused.status_code, refused.json()["code"]) == (409, "run_is_over")


def test_a_failed_run_says_where_and_what_to_do(ann: Any, schema: dict[str, Any]) -> None:
    run = ann.submit()
    with scope(ann.workspace.id):
        attempt = services.claim(run.pk, "worker")
    services.record_events(attempt, [Happening("log", {"message": "going up"}, 11)])
    services.finish(attempt, "failed", tick=12, error=Failure("diverged", "x is 1e4.", "Lower dt.", "osc", 12))
    now = ann.get(f"/runs/{run.pk}/").json()
    conforms(schema, "Run", now)
    assert now["error"] == {"code": "diverged", "node": "osc", "tick": 12, "message": "x is 1e4.", "mend": "Lower dt."}


def test_presets_with_their_verdicts(ann: Any, preset: Preset, schema: dict[str, Any]) -> None:
    verdict = {"passed": True, "seeds": [1], "baselines": {}, "code_version": "1", "graph_hash": "h", "xor": 9}
    record_verdict("tiny", "quick", verdict)
    (listed,) = ann.client.get("/api/v1/presets/").json()["results"]
    conforms(schema, "PresetSummary", listed)
    one = ann.client.get("/api/v1/presets/tiny/").json()
    conforms(schema, "Preset", one)
    assert (one["verdicts"][0]["numbers"]["xor"], one["verdicts"][0]["applies"]) == (9, True)


def test_the_node_kinds_declare_themselves(ann: Any) -> None:
    kinds = {node["kind"]: node for node in ann.client.get("/api/v1/nodes/").json()["results"]}
    (coupling,) = (param for param in kinds["osc.array"]["params"] if param["name"] == "coupling")
    assert coupling["live"] is True
    assert (coupling["min"], coupling["default"]) == (0, 0.2)


def test_a_list_is_read_page_by_page_while_it_grows(ann: Any) -> None:
    names = {f"p{i}" for i in range(7)} | {ann.project.name}
    for name in sorted(names - {ann.project.name}):
        create_project(ann.user, ann.workspace, name)
    seen: list[str] = []
    url = f"{ann.root}/projects/?page_size=3"
    while url:
        page = ann.client.get(url).json()
        assert len(page["results"]) <= 3
        seen += [project["name"] for project in page["results"]]
        create_project(ann.user, ann.workspace, "newer")
        url = page["next"]
    assert sorted(seen) == sorted(names), "a row was missed or shown twice"


def test_the_newest_comes_first(ann: Any) -> None:
    runs = [str(ann.submit().pk) for _ in range(3)]
    assert [run["id"] for run in ann.get("/runs/").json()["results"]] == runs[::-1]


@pytest.mark.parametrize("path", ["/projects/", "/graphs/", "/runs/"])
def test_a_list_takes_as_many_queries_for_many_rows_as_for_one(ann: Any, path: str, settings: Any) -> None:
    ann.submit()
    with CaptureQueriesContext(
        connection,
    ) as few:
        ann.get(path)
    for i in range(5):
        create_project(ann.user, ann.workspace, f"p{i}")
        ann.submit()
        ann.post("/graphs/", {"project": str(ann.project.pk), "name": f"g{i}", "spec": DOCUMENT["graph"]})
    with CaptureQueriesContext(connection) as many:
        assert len(ann.get(path).json()["results"]) >= 5
    assert len(many) == len(few)
    # session, user, membership in a user's scope (4), the workspace's scope (2), the list itself
    assert len(many) <= 13, [query["sql"] for query in many]


def test_one_run_takes_few_queries(ann: Any) -> None:
    run = ann.submit()
    with CaptureQueriesContext(connection) as queries:
        ann.get(f"/runs/{run.pk}/")
    assert len(queries) <= 17, [query["sql"] for query in queries]


@pytest.mark.django_db(transaction=True)
def test_the_answer_says_when_the_queue_is_away(ann: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queue, "send", lambda *_: False)
    response = ann.post("/runs/", {"graph": str(ann.graph.pk)})
    assert response.status_code == 201
    assert response.json()["warnings"] == [queue.BROKER_AWAY]
    assert response.json()["state"] == "queued"
    monkeypatch.setattr(queue, "send", lambda *_: True)
    assert ann.post("/runs/", {"graph": str(ann.graph.pk)}).json()["warnings"] == []


def test_a_quota_that_is_used_up_is_429_and_names_the_mend(ann: Any, settings: Any) -> None:
    quotas = settings.ATTRACTOR.quotas.model_copy(update={"active_runs": 1})
    settings.ATTRACTOR = settings.ATTRACTOR.model_copy(update={"quotas": quotas})
    ann.submit()
    response = ann.post("/runs/", {"graph": str(ann.graph.pk)})
    assert (response.status_code, response.json()["code"]) == (429, "quota_exceeded")
    assert "cancel" in response.json()["problems"][0]["mend"]


def test_log_lines_of_a_request_carry_its_ids(ann: Any) -> None:
    import structlog

    run = ann.submit()
    bound: list[dict[str, Any]] = []
    from apps.runs import selectors

    real = selectors.shown_run

    def spy(*arguments: Any) -> Any:
        bound.append(structlog.contextvars.get_contextvars())
        return real(*arguments)

    selectors.shown_run = spy
    try:
        response = ann.get(f"/runs/{run.pk}/")
    finally:
        selectors.shown_run = real
    assert bound[0]["workspace_id"] == str(ann.workspace.id)
    assert bound[0]["user_id"] == str(ann.user.pk)
    assert bound[0]["run_id"] == str(run.pk)
    assert bound[0]["request_id"] == response.headers["X-Request-ID"]
    assert structlog.contextvars.get_contextvars() == {}


def test_an_error_in_a_view_undoes_what_the_view_wrote(ann: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from apps.projects import api
    from apps.projects.models import Project

    def two_steps(actor: Any, workspace: Any, name: str) -> None:
        create_project(actor, workspace, name)
        raise ZeroDivisionError

    monkeypatch.setattr(api.services, "create_project", two_steps)
    ann.client.raise_request_exception = False
    assert ann.post("/projects/", {"name": "half"}).status_code == 500
    with scope(ann.workspace.id):
        assert not Project.objects.filter(name="half").exists()
