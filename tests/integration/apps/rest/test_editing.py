"""Edits of projects and graphs: who edits what was changed meanwhile is told, and no version is lost."""

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from apps.projects.models import GraphVersion
from apps.workspaces.models import AuditEvent
from apps.workspaces.scope import scope

pytestmark = pytest.mark.django_db


def spec(**params: Any) -> dict[str, Any]:
    return {"nodes": [{"id": "osc", "kind": "osc.array", "params": {"N": 16, **params}}], "edges": []}


class Editor:
    """Edits one graph, each time from its newest state unless told otherwise."""

    def __init__(self, tenant: Any) -> None:
        self.tenant = tenant
        self.path = f"{tenant.root}/graphs/{tenant.graph.pk}/"

    @property
    def etag(self) -> str:
        tag: str = self.tenant.client.get(self.path).headers["ETag"]
        return tag

    def send(self, method: str, body: Any = None, match: str | None = "newest", path: str = "") -> Any:
        headers = {} if match is None else {"If-Match": self.etag if match == "newest" else match}
        return getattr(self.tenant.client, method)(
            self.path + path, body or {}, content_type="application/json", headers=headers
        )

    @property
    def numbers(self) -> list[int]:
        return [one["number"] for one in self.tenant.client.get(f"{self.path}versions/").json()["results"]]


@pytest.fixture
def editor(ann: Any) -> Editor:
    return Editor(ann)


def test_a_put_makes_the_next_version_and_keeps_the_first(editor: Editor) -> None:
    first = editor.tenant.client.get(editor.path)
    answer = editor.send("put", {"name": "renamed", "spec": spec(coupling=0.5)})
    assert answer.status_code == 200, answer.content
    assert (answer.json()["name"], answer.json()["version"]) == ("renamed", 2)
    assert answer.headers["ETag"] != first.headers["ETag"]
    assert answer.headers["ETag"] == editor.etag
    assert answer.json() == editor.tenant.client.get(editor.path).json()
    kept = editor.tenant.client.get(f"{editor.path}versions/1/").json()
    assert (kept["spec"], kept["content_hash"]) == (first.json()["spec"], first.json()["content_hash"])
    assert kept["created_by"] == {"id": str(editor.tenant.user.pk), "name": "Ann"}


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("put", "", {"name": "x", "spec": spec(coupling=0.5)}),
        ("patch", "", {"name": "x"}),
        ("patch", "", {"archived": True}),
        ("delete", "", {}),
        ("post", "versions/1/restore/", {}),
    ],
)
def test_an_edit_must_say_what_it_edits_and_edit_the_newest(editor: Editor, method: str, path: str, body: Any) -> None:
    stale = editor.etag
    assert editor.send("patch", {"spec": spec(coupling=0.25)}).status_code == 200
    before = editor.tenant.client.get(editor.path).json()

    missing = editor.send(method, body, None, path)
    assert (missing.status_code, missing.json()["code"]) == (428, "precondition_required")
    for tag in (stale, f"W/{editor.etag}", '"forged"', "not a tag"):
        late = editor.send(method, body, tag, path)
        assert (late.status_code, late.json()["code"]) == (412, "precondition_failed"), tag
        assert late.headers["Content-Type"] == "application/problem+json"
        assert late.json()["current"] == {"etag": editor.etag, "version": 2}
    assert editor.tenant.client.get(editor.path).json() == before

    assert editor.send(method, body, f'"forged", {editor.etag}', path).status_code in (200, 204)
    assert editor.tenant.client.get(editor.path).json() != before


def test_a_star_takes_whatever_is_there(editor: Editor) -> None:
    assert editor.send("patch", {"name": "x"}, "*").status_code == 200


def test_a_patch_leaves_out_what_it_does_not_name(editor: Editor) -> None:
    before = editor.tenant.client.get(editor.path).json()
    renamed = editor.send("patch", {"name": "renamed"}).json()
    assert renamed == {**before, "name": "renamed"}
    assert editor.send("patch", {"spec": spec(coupling=0.5)}).json()["name"] == "renamed"
    empty = editor.send("patch", {})
    assert empty.status_code == 400
    assert "name" in empty.json()["problems"][0]["message"]


def test_a_spec_that_is_there_makes_no_version(editor: Editor) -> None:
    tag = editor.etag
    same = editor.send("put", {"name": "array", "spec": {**spec(), "routes": []}})
    assert (same.status_code, same.json()["version"], same.headers["ETag"]) == (200, 1, tag)
    # A title changes no hash, and yet is something that was edited.
    titled = {**spec(), "nodes": [{**spec()["nodes"][0], "title": "Array"}]}
    assert editor.send("patch", {"spec": titled}).json()["version"] == 2


def test_a_spec_that_cannot_run_changes_nothing(editor: Editor) -> None:
    tag = editor.etag
    refused = editor.send("patch", {"name": "x", "spec": spec(N=-1)})
    assert refused.status_code == 422
    assert refused.json()["problems"][0]["place"] == "nodes.osc.params.N"
    assert editor.etag == tag
    assert editor.tenant.client.get(editor.path).json()["name"] == "array"


@pytest.mark.django_db(transaction=True)
def test_of_edits_at_the_same_moment_one_is_taken(editor: Editor, at_once: Callable[..., list[Any]]) -> None:
    tag = editor.etag

    def edit(number: int) -> int:
        client = Client()
        client.force_login(editor.tenant.user)
        body = {"spec": spec(coupling=number / 10)}
        answer = client.patch(editor.path, body, content_type="application/json", headers={"If-Match": tag})
        return int(answer.status_code)

    assert sorted(at_once(edit, 6)) == [200, 412, 412, 412, 412, 412]
    assert editor.numbers == [2, 1]


def test_who_has_the_newest_state_is_sent_nothing(editor: Editor) -> None:
    client, tag = editor.tenant.client, editor.etag
    for known in (tag, f"W/{tag}", f'"other", {tag}', "*"):
        again = client.get(editor.path, headers={"If-None-Match": known})
        assert (again.status_code, again.content, again.headers["ETag"]) == (304, b"", tag)
    editor.send("patch", {"name": "x"})
    assert client.get(editor.path, headers={"If-None-Match": tag}).status_code == 200
    version = client.get(f"{editor.path}versions/1/")
    assert "immutable" in version.headers["Cache-Control"]
    assert (
        client.get(f"{editor.path}versions/1/", headers={"If-None-Match": version.headers["ETag"]}).status_code == 304
    )


def test_restoring_makes_a_new_version_that_is_equal_to_the_old(editor: Editor) -> None:
    for coupling in (0.1, 0.3):
        editor.send("patch", {"spec": spec(coupling=coupling)})
    with scope(editor.tenant.workspace.id):
        kept = list(GraphVersion.objects.order_by("number").values())
    restored = editor.send("post", path="versions/2/restore/").json()
    assert restored["version"] == 4
    assert restored["spec"]["nodes"][0]["params"]["coupling"] == 0.1
    with scope(editor.tenant.workspace.id):
        rows = list(GraphVersion.objects.order_by("number").values())
        event = AuditEvent.objects.filter(action="graph.version").order_by("-at").first()
    assert rows[:3] == kept
    assert (rows[3]["document"], rows[3]["content_hash"]) == (rows[1]["document"], rows[1]["content_hash"])
    assert event is not None
    assert event.data["restored"] == 2
    assert editor.send("post", path="versions/4/restore/").json()["version"] == 4, "it is the newest already"
    assert editor.send("post", path="versions/9/restore/").status_code == 404


def test_versions_are_paged_newest_first(editor: Editor) -> None:
    for number in range(6):
        editor.send("patch", {"spec": spec(coupling=number / 10)})
    seen, url = [], f"{editor.path}versions/?page_size=3"
    while url:
        page = editor.tenant.client.get(url).json()
        seen += [one["number"] for one in page["results"]]
        url = page["next"]
    assert seen == [7, 6, 5, 4, 3, 2, 1]


def test_the_difference_of_two_versions(editor: Editor) -> None:
    two = {
        "nodes": [*spec(coupling=0.5)["nodes"], {"id": "small", "kind": "osc.array", "params": {"N": 16}}],
        "edges": [{"src": "osc.x", "dst": "small.force"}],
    }
    editor.send("patch", {"spec": two})
    found = editor.tenant.client.get(f"{editor.path}diff/").json()
    assert (found["older"]["number"], found["newer"]["number"], found["computes_the_same"]) == (1, 2, False)
    assert [node["id"] for node in found["nodes"]["added"]] == ["small"]
    assert found["nodes"]["changed"] == [
        {"id": "osc", "changes": [{"field": "params.coupling", "change": "added", "new": 0.5}]}
    ]
    assert [(edge["src"], edge["dst"]) for edge in found["edges"]["added"]] == [("osc.x", "small.force")]
    back = editor.tenant.client.get(f"{editor.path}diff/?older=2&newer=1").json()
    assert back["nodes"]["removed"] == found["nodes"]["added"]
    assert editor.tenant.client.get(f"{editor.path}diff/?older=1&newer=1").json()["computes_the_same"] is True
    assert editor.tenant.client.get(f"{editor.path}diff/?older=3").status_code == 404
    for query in ("older=x", "older=-1", "from=1", "older=1&older=2"):
        assert editor.tenant.client.get(f"{editor.path}diff/?{query}").status_code == 400, query


def test_a_deleted_graph_is_archived_and_its_runs_stay_readable(editor: Editor) -> None:
    ann = editor.tenant
    run = ann.submit()
    assert editor.send("delete").status_code == 204
    assert ann.get("/graphs/").json()["results"] == []
    assert [one["id"] for one in ann.get("/graphs/?archived=true").json()["results"]] == [str(ann.graph.pk)]
    assert ann.get(f"/runs/{run.pk}/").json()["graph"]["id"] == str(ann.graph.pk)
    assert ann.client.get(editor.path).json()["archived_at"] is not None
    assert editor.numbers == [1]
    for refused in (
        editor.send("patch", {"name": "x"}),
        editor.send("patch", {"spec": spec(coupling=0.5)}),
        editor.send("post", path="versions/1/restore/"),
        ann.post("/runs/", {"graph": str(ann.graph.pk)}),
    ):
        assert (refused.status_code, refused.json()["code"]) == (409, "archived")
        assert "archived: false" in refused.json()["problems"][0]["mend"]
    assert editor.send("patch", {"archived": False, "name": "back"}).json()["name"] == "back"
    assert [one["name"] for one in ann.get("/graphs/").json()["results"]] == ["back"]
    assert ann.post("/runs/", {"graph": str(ann.graph.pk)}).status_code == 201


def test_an_archived_project_takes_its_graphs_along(ann: Any) -> None:
    path = f"{ann.root}/projects/{ann.project.pk}/"
    tag = ann.client.get(path).headers["ETag"]
    assert ann.client.delete(path).status_code == 428
    assert ann.client.delete(path, headers={"If-Match": tag}).status_code == 204
    assert ann.get("/projects/").json()["results"] == ann.get("/graphs/").json()["results"] == []
    assert [one["id"] for one in ann.get("/projects/?archived=true").json()["results"]] == [str(ann.project.pk)]
    body = {"project": str(ann.project.pk), "name": "x", "spec": spec()}
    assert ann.post("/graphs/", body).status_code == 409
    assert ann.post("/runs/", {"graph": str(ann.graph.pk)}).status_code == 409
    late = ann.client.patch(path, {"name": "x"}, content_type="application/json", headers={"If-Match": tag})
    assert late.status_code == 412
    newest = late.json()["current"]["etag"]
    back = ann.client.patch(path, {"archived": False}, content_type="application/json", headers={"If-Match": newest})
    assert (back.status_code, back.json()["archived_at"]) == (200, None)
    assert len(ann.get("/graphs/").json()["results"]) == 1
