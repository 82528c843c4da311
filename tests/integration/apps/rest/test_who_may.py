"""Every address of the API × everybody: nobody logged in, a member of another workspace, a viewer, an owner.

The list of addresses comes from the URL configuration itself, so that a new one cannot be forgotten here.
"""

import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver, reverse

from apps.presets.models import Preset
from apps.runs import services
from apps.workspaces.models import Role
from apps.workspaces.scope import scope

pytestmark = pytest.mark.django_db

WHO = ("nobody", "stranger", "viewer", "owner")
# name: (body of a POST or None when it takes none, status of GET for the owner or None, status of POST for the owner)
OPEN = {"api-workspaces": 200, "api-presets": 200, "api-preset": 200, "api-nodes": 200}
READ = {
    "api-projects": 200, "api-graphs": 200, "api-graph": 200, "api-runs": 200, "api-run": 200, "api-run-events": 200,
    "api-run-result": 200,
}  # fmt: skip
WRITE = {
    "api-projects": 201, "api-graphs": 201, "api-runs": 201, "api-runs-cancel": 202, "api-run-cancel": 202,
    "api-run-pause": 202, "api-run-resume": 202, "api-run-controls": 202, "api-run-triggers": 422,
}  # fmt: skip


def patterns(resolver: URLResolver | None = None, prefix: str = "") -> Iterator[tuple[str, str]]:
    for entry in (resolver or get_resolver()).url_patterns:
        route = prefix + str(entry.pattern)
        if isinstance(entry, URLPattern):
            yield route, entry.name or ""
        else:
            yield from patterns(entry, route)


def test_every_address_of_the_api_is_in_a_list_here() -> None:
    names = {name for route, name in patterns() if route.startswith("api/v1/")}
    assert names == {*OPEN, *READ, *WRITE, "schema"}


@pytest.fixture
def place(ann: Any, bob: Any, member_of: Callable[..., Any]) -> dict[str, Any]:
    """Ann's workspace with a finished and a running run, and clients of everybody."""
    Preset.objects.create(id="p", version=1, title="P", category="x", summary="x", content_hash="x", document={})
    over, running = ann.submit(), ann.submit()
    with scope(ann.workspace.id):
        services.finish(services.claim(over.pk, "w"), "succeeded", result={"answer": 42}, result_hash="h")
        services.claim(running.pk, "w")
    viewer = Client()
    viewer.force_login(member_of(ann, Role.VIEWER))
    return {
        "ann": ann,
        "over": over,
        "running": running,
        "clients": {"nobody": Client(), "stranger": bob.client, "viewer": viewer, "owner": ann.client},
    }


def address(place: dict[str, Any], name: str, method: str) -> str:
    ann = place["ann"]
    run = place["over"] if method == "get" else place["running"]
    known = {"slug": ann.workspace.slug, "graph_id": ann.graph.pk, "run_id": run.pk, "preset_id": "p"}
    (route,) = (route for route, other in patterns() if other == name)
    return reverse(name, kwargs={key: value for key, value in known.items() if f":{key}>" in route})


def body(place: dict[str, Any], name: str) -> dict[str, Any]:
    ann = place["ann"]
    node = {"id": "osc", "kind": "osc.array", "params": {"N": 16}}
    return {
        "api-projects": {"name": "new"},
        "api-graphs": {"project": str(ann.project.pk), "name": "new", "spec": {"nodes": [node], "edges": []}},
        "api-runs": {"graph": str(ann.graph.pk), "seed": 1, "ticks": 10},
        "api-runs-cancel": {"runs": [str(place["running"].pk)]},
        "api-run-controls": {"target": "osc.coupling", "value": 0.1},
        "api-run-triggers": {"target": "osc.nothing"},
    }.get(name, {})


@pytest.mark.parametrize("who", WHO)
@pytest.mark.parametrize("name", sorted(READ))
def test_reading(place: dict[str, Any], name: str, who: str) -> None:
    response = place["clients"][who].get(address(place, name, "get"))
    expected = {"nobody": 401, "stranger": 404, "viewer": READ[name], "owner": READ[name]}[who]
    assert response.status_code == expected
    if expected >= 400:
        assert response.headers["Content-Type"] == "application/problem+json"
        assert str(place["ann"].workspace.name) not in response.content.decode()


@pytest.mark.parametrize("who", WHO)
@pytest.mark.parametrize("name", sorted(WRITE))
def test_writing(place: dict[str, Any], name: str, who: str) -> None:
    before = everything(place)
    client = place["clients"][who]
    response = client.post(address(place, name, "post"), body(place, name), content_type="application/json")
    # A command that the graph does not know is refused for what it is only to those who may give commands.
    expected = {"nobody": 401, "stranger": 404, "viewer": 403, "owner": WRITE[name]}[who]
    assert response.status_code == expected, response.content
    if expected >= 400:
        assert everything(place) == before
    else:
        assert everything(place) != before


def everything(place: dict[str, Any]) -> list[Any]:
    """All rows of Ann's workspace."""
    from django.apps import apps

    from apps.workspaces.rows import WorkspaceModel

    with scope(place["ann"].workspace.id):
        return [
            list(model._default_manager.order_by("pk").values())
            for model in apps.get_models()
            if issubclass(model, WorkspaceModel)
        ]


@pytest.mark.parametrize("who", WHO)
@pytest.mark.parametrize("name", sorted(OPEN))
def test_what_belongs_to_no_workspace_needs_a_login(place: dict[str, Any], name: str, who: str) -> None:
    response = place["clients"][who].get(address(place, name, "get"))
    assert response.status_code == (401 if who == "nobody" else OPEN[name])


@pytest.mark.parametrize("name", sorted({*READ, *WRITE}))
def test_a_workspace_that_does_not_exist_looks_like_a_foreign_one(place: dict[str, Any], name: str) -> None:
    method = "post" if name in WRITE else "get"
    real = address(place, name, method)
    invented = real.replace(place["ann"].workspace.slug, "no-such-workspace")
    stranger = place["clients"]["stranger"]
    answers = [
        getattr(stranger, method)(url, body(place, name), content_type="application/json")
        if method == "post"
        else stranger.get(url)
        for url in (real, invented)
    ]
    assert answers[0].status_code == answers[1].status_code == 404
    assert answers[0].content == answers[1].content


def test_foreign_things_do_not_exist_inside_the_own_workspace(place: dict[str, Any], bob: Any) -> None:
    ann = place["ann"]
    for path in (f"/graphs/{ann.graph.pk}/", f"/runs/{place['over'].pk}/", f"/runs/{place['over'].pk}/events/",
                 f"/runs/{place['over'].pk}/result/", f"/runs/{uuid.uuid4()}/"):  # fmt: skip
        assert bob.get(path).status_code == 404, path
    assert bob.post("/runs/", {"graph": str(ann.graph.pk)}).status_code == 404
    assert bob.post(f"/runs/{place['running'].pk}/cancel/", {}).status_code == 404
    foreign = {"project": str(ann.project.pk), "name": "x", "spec": {"nodes": []}}
    assert bob.post("/graphs/", foreign).status_code == 404


def test_a_write_needs_the_csrf_token(ann: Any) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(ann.user)
    url = f"{ann.root}/projects/"
    refused = client.post(url, {"name": "x"}, content_type="application/json")
    assert refused.status_code == 403
    assert refused.headers["Content-Type"] == "application/problem+json"
    client.get("/accounts/logout/")  # any page with a form brings the cookie
    token = client.cookies["csrftoken"].value
    accepted = client.post(url, {"name": "x"}, content_type="application/json", headers={"X-CSRFToken": token})
    assert accepted.status_code == 201
