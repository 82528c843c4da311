"""REST: what has become of what a run records."""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.ops.requests import body_of
from apps.runs import selectors
from apps.runs.api import NothingSerializer
from apps.runs.recordings import STATES, state_of, try_again
from apps.workspaces.api import NOT_FOUND, PROBLEM, WRITE_ERRORS, WorkspaceAPIView
from apps.workspaces.scope import scope


class RecordingSerializer(serializers.Serializer[Any]):
    """What has become of what a run records.

    `none`: it records nothing; `recording`: it is not over; `pending`: its recording is being put together; `waiting`:
    that is put off, because the storage or the database is away, and goes on by itself; `kept`: it is an artifact;
    `failed`: it was given up, and can be tried again until `kept_until`; `lost`: nothing is left of it; `gone`: it was
    deleted, or there was nothing to record yet.
    """

    state = serializers.ChoiceField(choices=STATES)
    message = serializers.CharField(allow_blank=True, help_text="Why, for people.")
    mend = serializers.CharField(allow_blank=True)
    next_try = serializers.DateTimeField(allow_null=True)
    tries = serializers.IntegerField(help_text="How often it was taken up without success or outage.")
    artifact = serializers.UUIDField(allow_null=True)
    kept_until = serializers.DateTimeField(allow_null=True)


class RunRecording(WorkspaceAPIView):
    """The recording of a run."""

    @extend_schema(operation_id="runs_recording_retrieve", responses={200: RecordingSerializer, **NOT_FOUND})
    def get(self, request: Request, slug: str, run_id: str) -> Response:
        """What has become of what the run records: also when it waits or failed, and why."""
        run = selectors.run(self.workspace, run_id)
        with scope(self.workspace.id):
            return Response(RecordingSerializer(state_of(run)).data)


class RunRecordingRetry(WorkspaceAPIView):
    """Put a recording together that was given up."""

    @extend_schema(
        operation_id="runs_recording_retry", request=NothingSerializer,
        responses={202: RecordingSerializer, **WRITE_ERRORS, 409: PROBLEM},
    )  # fmt: skip
    def post(self, request: Request, slug: str, run_id: str) -> Response:
        """Have it tried again within seconds; 409 when it was not given up, or nothing is left of it."""
        body_of(NothingSerializer, request)
        become = try_again(self.actor, selectors.run(self.workspace, run_id))
        return Response(RecordingSerializer(become).data, status=202)
