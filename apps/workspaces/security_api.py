"""REST: what a workspace asks of its members."""

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.accounts import proof
from apps.ops.preconditions import EDIT_ERRORS, IF_NONE_MATCH, PARAMETER, Precondition, etag, tagged
from apps.ops.requests import StrictSerializer, body_of
from apps.workspaces.api import NOT_FOUND, PROBLEM, WRITE_ERRORS, WorkspaceAPIView
from apps.workspaces.services import set_require_mfa


class WorkspaceSecuritySerializer(StrictSerializer):
    require_mfa = serializers.BooleanField(
        help_text="Only members with two-step sign-in enter, by pages, API and sockets; API keys are not asked."
    )


class WorkspaceSecurity(WorkspaceAPIView):
    """What the workspace asks of its members before they enter."""

    @extend_schema(
        operation_id="workspace_security_retrieve",
        parameters=[IF_NONE_MATCH],
        responses={200: WorkspaceSecuritySerializer, **NOT_FOUND},
    )
    def get(self, request: Request, slug: str) -> Response:
        return tagged(request, etag(int(self.workspace.require_mfa)), WorkspaceSecuritySerializer(self.workspace).data)

    @extend_schema(
        operation_id="workspace_security_update", parameters=[PARAMETER], request=WorkspaceSecuritySerializer,
        responses={200: WorkspaceSecuritySerializer, **WRITE_ERRORS, **EDIT_ERRORS, 422: PROBLEM},
    )  # fmt: skip
    def put(self, request: Request, slug: str) -> Response:
        """Set it; for owners, who must have two-step sign-in themselves."""
        proof.demand(request._request)
        body = body_of(WorkspaceSecuritySerializer, request)
        found = set_require_mfa(self.actor, self.workspace, body["require_mfa"], Precondition.of(request))
        return Response(WorkspaceSecuritySerializer(found).data, headers={"ETag": etag(int(found.require_mfa))})
