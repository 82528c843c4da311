"""REST: for how long a workspace keeps what its runs left."""

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.accounts import proof
from apps.ops.preconditions import EDIT_ERRORS, IF_NONE_MATCH, PARAMETER, Precondition, etag, tagged
from apps.ops.requests import StrictSerializer, body_of
from apps.runs.retention import keep_for, retention, shortens
from apps.workspaces.api import NOT_FOUND, WRITE_ERRORS, WorkspaceAPIView

MOST_DAYS = 36_500


class RetentionSerializer(StrictSerializer):
    artifact_days = serializers.IntegerField(
        allow_null=True, min_value=1, max_value=MOST_DAYS,
        help_text="Artifacts of runs are deleted so many days after they were made; null: never.",
    )  # fmt: skip
    checkpoint_days = serializers.IntegerField(
        min_value=0, max_value=3650, help_text="Checkpoints outlive their run by so many days."
    )


class RetentionView(WorkspaceAPIView):
    """For how long artifacts and checkpoints of runs that are over are kept. Imported files are kept for ever."""

    @extend_schema(
        operation_id="retention_retrieve", parameters=[IF_NONE_MATCH], responses={200: RetentionSerializer, **NOT_FOUND}
    )
    def get(self, request: Request, slug: str) -> Response:
        found = retention()
        return tagged(request, etag(found.revision), RetentionSerializer(found).data)

    @extend_schema(
        operation_id="retention_update", parameters=[PARAMETER], request=RetentionSerializer,
        responses={200: RetentionSerializer, **WRITE_ERRORS, **EDIT_ERRORS},
    )  # fmt: skip
    def put(self, request: Request, slug: str) -> Response:
        """Only owners and administrators may. What is older goes within seconds, in small batches.

        To keep less, a session of the site must not have been opened or proven too long ago (`proof_needed`).
        """
        body = body_of(RetentionSerializer, request)
        if shortens(**body):
            proof.demand(request._request)
        row = keep_for(self.actor, self.workspace, **body, precondition=Precondition.of(request))
        return Response(RetentionSerializer(row).data, headers={"ETag": etag(row.revision)})
