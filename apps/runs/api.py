"""REST: runs of a workspace."""

from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.ops import filters
from apps.ops.filters import AllowedFilters
from apps.ops.paging import NewestFirst
from apps.ops.representation import RowList, all_represented, represented
from apps.ops.requests import StrictSerializer, body_of
from apps.projects.selectors import graph
from apps.runs import selectors, services
from apps.runs.models import Run, RunEvent
from apps.runs.serializers import (
    RunCommandSerializer,
    RunEventSerializer,
    RunSerializer,
    RunSummarySerializer,
    SubmittedRunSerializer,
    run_json,
)
from apps.runs.states import RunState
from apps.workspaces import idempotency
from apps.workspaces.api import LIST_ERRORS, NOT_FOUND, PROBLEM, WRITE_ERRORS, WorkspaceAPIView
from apps.workspaces.missing import NotFound
from apps.workspaces.scope import scope

EVENTS_AT_ONCE = 1000


class RecordedPortSerializer(StrictSerializer):
    node = serializers.CharField(max_length=64)
    port = serializers.CharField(max_length=64)
    every = serializers.IntegerField(
        min_value=1, max_value=2**31, required=False, help_text="Of so many ticks the first value; 1 when left out."
    )


class NewRunSerializer(StrictSerializer):
    graph = serializers.UUIDField()
    seed = serializers.IntegerField(required=False, help_text="0 to 2^63 - 1; drawn when left out.")
    ticks = serializers.IntegerField(
        required=False, help_text="Length; one tick is 1/100 s, or an audio block where that is shorter."
    )
    max_seconds = serializers.IntegerField(
        required=False, help_text="Time for which it may hold workers before it fails; the quota's when left out."
    )
    record = serializers.ListField(
        child=RecordedPortSerializer(), max_length=256, required=False,
        help_text="What is recorded: numeric output ports. Left out: metrics and what views show. Empty: nothing.",
    )  # fmt: skip


class ControlSerializer(StrictSerializer):
    target = serializers.CharField(max_length=130, help_text="`node.param` of a live parameter.")
    value = serializers.JSONField()


class TriggerSerializer(StrictSerializer):
    target = serializers.CharField(max_length=130, help_text="`node.port` of a free trigger input.")


class CancelledRunsSerializer(StrictSerializer):
    runs = serializers.ListField(child=serializers.UUIDField(), min_length=1, max_length=100)


class CancelledSerializer(serializers.Serializer[Any]):
    told = serializers.ListField(child=serializers.UUIDField(), help_text="Runs that are told to stop.")
    over = serializers.ListField(child=serializers.UUIDField(), help_text="Runs that were over already.")


class NothingSerializer(StrictSerializer):
    """An empty object."""


class RunList(WorkspaceAPIView, RowList):
    """The workspace's runs, newest first."""

    serializer_class = RunSummarySerializer
    pagination_class = NewestFirst
    filter_backends = (AllowedFilters,)
    filters = {
        "state": filters.one_of("state__in", RunState.values, "In this state."),
        "project": filters.identity("project", "Of this project."),
        "graph": filters.identity("graph_version__graph", "Of this graph."),
        "content_hash": filters.phrase("graph_version__content_hash", "Of what computes this."),
        "preset": filters.slug("graph_version__graph__preset", "Of graphs made from this preset."),
        **filters.CREATED,
    }
    # Between the commit that queues a run and the answer the broker is told, and the answer says how that went.
    own_scope = ("POST",)

    def get_queryset(self) -> QuerySet[Run]:
        return selectors.runs()

    @extend_schema(responses={200: RunSummarySerializer(many=True), **LIST_ERRORS})
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return super().get(request, *args, **kwargs)

    @extend_schema(
        parameters=[idempotency.PARAMETER],
        request=NewRunSerializer,
        responses={201: SubmittedRunSerializer, **WRITE_ERRORS, 409: PROBLEM, 422: PROBLEM},
    )
    def post(self, request: Request, slug: str) -> Response:
        """Queue a run of a graph's newest version.

        422 when it can never run (graph, seed, ticks, estimate), 429 when the workspace's quota is used up.
        """
        body = body_of(NewRunSerializer, request)
        warnings: list[str] = []

        def submitted() -> UUID:
            nonlocal warnings
            what = graph(body["graph"])
            run = services.submit(
                self.actor, self.workspace, what, body.get("seed"), body.get("ticks"), body.get("max_seconds"),
                body.get("record"),
            )  # fmt: skip
            warnings = run.warnings  # filled when the transaction has ended
            return run.pk

        with scope(self.workspace.id, self.actor.pk):
            run_id = idempotency.once(self.actor, request, submitted)
        answer = run_json(selectors.shown_run(self.workspace, run_id))
        return Response({**answer, "warnings": warnings}, status=201)


class RunsCancel(WorkspaceAPIView):
    """Stop several runs."""

    @extend_schema(
        operation_id="runs_cancel_many",
        request=CancelledRunsSerializer,
        responses={202: CancelledSerializer, **WRITE_ERRORS},
    )
    def post(self, request: Request, slug: str) -> Response:
        """Cancel up to 100 runs, all or none: one that is not there is 404, and nothing is cancelled."""
        body = body_of(CancelledRunsSerializer, request)
        told, over = services.cancel_many(self.actor, self.workspace, body["runs"])
        return Response({"told": told, "over": over}, status=202)


class RunDetail(WorkspaceAPIView):
    """One run."""

    @extend_schema(operation_id="runs_retrieve", responses={200: RunSerializer, **NOT_FOUND})
    def get(self, request: Request, slug: str, run_id: str) -> Response:
        return Response(run_json(selectors.shown_run(self.workspace, run_id)))


_EVENTS = {
    "after": filters.whole("Only events with a higher number; 0 for all."),
    "kind": filters.one_of(None, RunEvent.Kind.values, "Only events of this kind."),
}


class RunEvents(WorkspaceAPIView):
    """The run's events in order."""

    @extend_schema(
        operation_id="runs_events_list",
        parameters=filters.parameters(_EVENTS),
        responses={200: RunEventSerializer(many=True), **LIST_ERRORS},
    )
    def get(self, request: Request, slug: str, run_id: str) -> Response:
        """At most 1000, in order; ask again with the number of the last for those after it."""
        wanted = filters.given(request, _EVENTS)
        run = selectors.run_alone(self.workspace, run_id)
        events = selectors.events_after(run, wanted.get("after", 0), EVENTS_AT_ONCE, wanted.get("kind"))
        return Response(all_represented(RunEventSerializer, events))


class RunResultView(WorkspaceAPIView):
    """The result of a run that has one."""

    @extend_schema(operation_id="runs_result_retrieve", responses={200: {"type": "object"}, **NOT_FOUND})
    def get(self, request: Request, slug: str, run_id: str) -> Response:
        run = selectors.shown_run(self.workspace, run_id)
        if run.result is None:
            raise NotFound(f"result of run {run_id}")
        return Response(run.result)


class _Command(WorkspaceAPIView):
    """Tells a run something; 202 with the command, which the run answers with an event."""

    kind: str
    body: type[StrictSerializer] = NothingSerializer

    def tell(self, request: Request, run_id: str) -> Response:
        payload = body_of(self.body, request)
        command = services.command(self.actor, selectors.run(self.workspace, run_id), self.kind, payload)
        return Response(represented(RunCommandSerializer, command), status=202)


_ANSWERS: dict[int, Any] = {202: RunCommandSerializer, **WRITE_ERRORS, 409: PROBLEM}


class RunCancel(_Command):
    """Stop the run; a queued one is cancelled at once."""

    kind = "cancel"

    @extend_schema(operation_id="runs_cancel", request=NothingSerializer, responses=_ANSWERS)
    def post(self, request: Request, slug: str, run_id: str) -> Response:
        return self.tell(request, run_id)


class RunPause(_Command):
    """Hold the run at the next block of ticks."""

    kind = "pause"

    @extend_schema(operation_id="runs_pause", request=NothingSerializer, responses=_ANSWERS)
    def post(self, request: Request, slug: str, run_id: str) -> Response:
        return self.tell(request, run_id)


class RunResume(_Command):
    """Let a held run go on."""

    kind = "resume"

    @extend_schema(operation_id="runs_resume", request=NothingSerializer, responses=_ANSWERS)
    def post(self, request: Request, slug: str, run_id: str) -> Response:
        return self.tell(request, run_id)


class RunControls(_Command):
    """Set a live parameter from the next block of ticks on."""

    large_body = True

    kind = "control"
    body = ControlSerializer

    @extend_schema(operation_id="runs_controls", request=ControlSerializer, responses={**_ANSWERS, 422: PROBLEM})
    def post(self, request: Request, slug: str, run_id: str) -> Response:
        return self.tell(request, run_id)


class RunTriggers(_Command):
    """Fire a trigger input for one tick."""

    kind = "trigger"
    body = TriggerSerializer

    @extend_schema(operation_id="runs_triggers", request=TriggerSerializer, responses={**_ANSWERS, 422: PROBLEM})
    def post(self, request: Request, slug: str, run_id: str) -> Response:
        return self.tell(request, run_id)
