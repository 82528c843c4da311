"""What kept serializers write is what DRF's own say of the same row, and addresses are those that resolve."""

from typing import Any
from uuid import UUID

from django.urls import resolve

from apps.ops.representation import all_represented, represented
from apps.projects.api import GraphSummarySerializer, ProjectSerializer
from apps.projects.models import Graph, Project
from apps.runs.models import RunEvent
from apps.runs.selectors import run as run_of
from apps.runs.serializers import RunEventSerializer, RunHelloSerializer, RunSerializer, RunSummarySerializer
from apps.workspaces.scope import scope


def test_rows_are_written_as_by_a_serializer_of_their_own(ann: Any, bob: Any, ended_run: Any) -> None:
    for tenant in (ann, bob):
        for row in (ended_run(tenant), tenant.submit()):
            with scope(tenant.workspace.id):
                found = run_of(tenant.workspace, row.pk)
                for serializer in (RunSerializer, RunHelloSerializer, RunSummarySerializer):
                    assert represented(serializer, found) == serializer(found).data
                events = list(RunEvent.objects.filter(run=found))
                assert events
                assert all_represented(RunEventSerializer, events) == RunEventSerializer(events, many=True).data
        with scope(tenant.workspace.id):
            for serializer, model in ((ProjectSerializer, Project), (GraphSummarySerializer, Graph)):
                rows = list(model.objects.all())
                assert all_represented(serializer, rows) == serializer(rows, many=True).data


def test_the_addresses_of_a_run_lead_to_it(ann: Any, bob: Any) -> None:
    for tenant in (ann, bob):
        run = tenant.submit()
        urls = tenant.get(f"/runs/{run.pk}/").json()["urls"]
        assert urls.pop("socket") == f"/ws/v1/workspaces/{tenant.workspace.slug}/runs/{run.pk}/"
        assert urls.pop("artifacts") == f"{tenant.root}/artifacts/?run={run.pk}"
        for name, url in urls.items():
            match = resolve(url)
            assert match.view_name == f"api-run-{name}"
            assert match.kwargs == {"slug": tenant.workspace.slug, "run_id": UUID(str(run.pk))}
