"""REST: how workers came to a run's result: attempts and checkpoints."""

from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.generics import ListAPIView
from rest_framework.request import Request
from rest_framework.response import Response

from apps.ops import filters
from apps.ops.filters import AllowedFilters, Filters
from apps.ops.paging import NewestFirst, Pages
from apps.runs import selectors
from apps.runs.models import RunAttempt, RunCheckpoint
from apps.runs.states import AttemptState
from apps.workspaces.api import LIST_ERRORS, WorkspaceAPIView


class RunAttemptSerializer(serializers.ModelSerializer[RunAttempt]):
    class Meta:
        model = RunAttempt
        fields = ("number", "state", "started_at", "heartbeat_at", "lease_expires_at", "reached", "finished_at")


class RunCheckpointSerializer(serializers.ModelSerializer[RunCheckpoint]):
    class Meta:
        model = RunCheckpoint
        fields = ("content", "attempt", "tick", "size", "created_at")


class NewestAttemptFirst(Pages):
    ordering = ("-number",)


class RunAttempts(WorkspaceAPIView, ListAPIView[RunAttempt]):
    """Workers' attempts at a run, newest first. A run that never lost its worker has one."""

    serializer_class = RunAttemptSerializer
    pagination_class = NewestAttemptFirst
    filter_backends = (AllowedFilters,)
    filters = {"state": filters.one_of("state__in", AttemptState.values, "In this state.")}

    def get_queryset(self) -> QuerySet[RunAttempt]:
        return selectors.attempts(selectors.run_alone(self.workspace, self.kwargs["run_id"]))

    @extend_schema(operation_id="runs_attempts_list", responses={200: RunAttemptSerializer(many=True), **LIST_ERRORS})
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return super().get(request, *args, **kwargs)


class RunCheckpoints(WorkspaceAPIView, ListAPIView[RunCheckpoint]):
    """The checkpoints that are kept of a run, newest first: what they are, not what they hold.

    There are none of a run that is over.
    """

    serializer_class = RunCheckpointSerializer
    pagination_class = NewestFirst
    filter_backends = (AllowedFilters,)
    filters: Filters = {}

    def get_queryset(self) -> QuerySet[RunCheckpoint]:
        return selectors.kept_checkpoints(selectors.run_alone(self.workspace, self.kwargs["run_id"]))

    @extend_schema(
        operation_id="runs_checkpoints_list", responses={200: RunCheckpointSerializer(many=True), **LIST_ERRORS}
    )
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return super().get(request, *args, **kwargs)
