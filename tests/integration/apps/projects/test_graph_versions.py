"""Graphs and their immutable, numbered, hashed versions."""

import json
from typing import Any

import pytest
from django.core.exceptions import PermissionDenied
from django.db import IntegrityError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from apps.projects.models import Graph, GraphVersion, Project
from apps.projects.selectors import latest_version
from apps.projects.services import add_version, create_graph, create_project
from apps.workspaces.missing import NotFound
from apps.workspaces.models import AuditEvent, Role
from apps.workspaces.scope import scope
from attractor.errors import GraphRejected
from attractor.graph import GraphSpec
from attractor.parameter import LARGEST

pytestmark = pytest.mark.django_db


def spec_of(**params: Any) -> dict[str, Any]:
    return {"nodes": [{"id": "v", "kind": "gen.value", "params": params}], "edges": []}


def test_a_graph_begins_with_version_one_and_counts_on(ann: Any) -> None:
    graph = create_graph(ann.user, ann.workspace, ann.project, "one", spec_of(value=1.0))
    add_version(ann.user, ann.workspace, graph, spec_of(value=2.0))
    with scope(ann.workspace.id):
        versions = list(GraphVersion.objects.filter(graph=graph).order_by("number"))
        assert [version.number for version in versions] == [1, 2]
        assert latest_version(Graph.objects.get(pk=graph.pk)) == versions[1]
        assert versions[0].content_hash != versions[1].content_hash
        actions = AuditEvent.objects.filter(object_id=str(graph.pk)).order_by("at")
        assert [event.action for event in actions] == ["graph.create", "graph.version"]


NUMBERS = st.floats(-LARGEST, LARGEST) | st.integers(-(2**53), 2**53) | st.sampled_from(
    [1e22, -0.0, 1e-7, 5e-324, LARGEST, 0.1 + 0.2]
)  # fmt: skip


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(value=NUMBERS, title=st.text(st.characters(exclude_categories=["Cs"]), max_size=20))
def test_what_comes_out_of_the_database_has_the_hash_of_what_went_in(ann: Any, value: float, title: str) -> None:
    spec = spec_of(value=value)
    spec["nodes"][0] |= {"title": title, "pos": [1.5, -2]}
    expected = GraphSpec.parse(json.loads(json.dumps(spec))).content_hash
    graph = create_graph(ann.user, ann.workspace, ann.project, "numbers", spec)
    with scope(ann.workspace.id):
        kept = GraphVersion.objects.get(graph=graph)
    assert kept.content_hash == expected
    assert GraphSpec.parse(kept.spec).content_hash == expected
    assert kept.spec["nodes"][0]["title"] == title


def test_a_broken_graph_leaves_nothing_behind(ann: Any) -> None:
    bad = {
        "nodes": [{"id": "a", "kind": "no.such"}, {"id": "v", "kind": "gen.value", "params": {"valu": 1}}],
        "edges": [],
    }
    with pytest.raises(GraphRejected) as rejected:
        create_graph(ann.user, ann.workspace, ann.project, "bad", bad)
    assert {problem.place for problem in rejected.value.problems} >= {"nodes.a.kind"}
    assert len(rejected.value.problems) >= 2
    with pytest.raises(GraphRejected):
        add_version(ann.user, ann.workspace, ann.graph, bad)
    with scope(ann.workspace.id):
        assert Graph.objects.count() == 1
        assert GraphVersion.objects.count() == 1
        assert not AuditEvent.objects.filter(data__name="bad").exists()


def test_a_version_never_changes_and_a_number_is_given_once(ann: Any) -> None:
    with pytest.raises(IntegrityError, match="never changed"), scope(ann.workspace.id):
        GraphVersion.objects.update(content_hash="sha256:forged")
    with pytest.raises(IntegrityError, match="projects_graphversion_number"), scope(ann.workspace.id):
        GraphVersion.objects.create(workspace=ann.workspace, graph=ann.graph, number=1, document="{}", content_hash="x")


@pytest.mark.django_db(transaction=True)
def test_versions_saved_at_once_are_numbered_without_gaps(ann: Any, at_once: Any) -> None:
    each, writers = 5, 4

    def write(writer: int) -> None:
        for i in range(each):
            add_version(ann.user, ann.workspace, ann.graph, spec_of(value=float(writer * each + i)))

    at_once(write, writers)
    with scope(ann.workspace.id):
        numbers = GraphVersion.objects.filter(graph=ann.graph).order_by("number").values_list("number", flat=True)
        assert list(numbers) == list(range(1, 2 + each * writers))
        assert Graph.objects.get(pk=ann.graph.pk).latest_number == 1 + each * writers


def test_services_ask_for_permission(ann: Any, bob: Any, member_of: Any) -> None:
    viewer = member_of(ann, Role.VIEWER)
    editor = member_of(ann, Role.EDITOR)
    for write in (
        lambda actor: create_project(actor, ann.workspace, "mine"),
        lambda actor: create_graph(actor, ann.workspace, ann.project, "g", spec_of()),
        lambda actor: add_version(actor, ann.workspace, ann.graph, spec_of(value=3.0)),
    ):
        with pytest.raises(PermissionDenied, match="viewer"):
            write(viewer)
        with pytest.raises(NotFound):
            write(bob.user)
        write(editor)
    with scope(ann.workspace.id):
        assert Project.objects.filter(name="mine").count() == 1
