"""REST: the asker's workspaces, and the base of every view inside one."""

from typing import Any, cast

from django.http import Http404
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework import serializers
from rest_framework.permissions import BasePermission, IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from apps.accounts.models import User
from apps.ops.problems import ProblemSerializer
from apps.workspaces.models import Workspace
from apps.workspaces.selectors import workspaces_of

PROBLEM = OpenApiResponse(ProblemSerializer)
NOT_FOUND: dict[int, Any] = {401: PROBLEM, 404: PROBLEM}
WRITE_ERRORS: dict[int, Any] = {400: PROBLEM, 401: PROBLEM, 403: PROBLEM, 404: PROBLEM, 413: PROBLEM}


class IsMember(BasePermission):
    """The asker belongs to the workspace of the address; for everybody else it does not exist."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        # getattr: the schema generator asks views without a middleware in front of them.
        if getattr(request._request, "workspace", None) is None:
            raise Http404
        return True


class WorkspaceAPIView(APIView):
    """A view under `/api/v1/workspaces/<slug>/`; see `WorkspaceMiddleware`."""

    permission_classes = (IsAuthenticated, IsMember)

    @property
    def actor(self) -> User:
        """Who asks; the permission classes let nobody anonymous in."""
        return cast(User, self.request.user)

    @property
    def workspace(self) -> Workspace:
        """The workspace of the address."""
        workspace: Workspace = self.request._request.workspace  # type: ignore[attr-defined]
        return workspace


class WorkspaceSerializer(serializers.ModelSerializer[Workspace]):
    class Meta:
        model = Workspace
        fields = ("id", "slug", "name", "personal", "created_at")


class WorkspaceList(APIView):
    """The workspaces that the asker belongs to, the personal one first."""

    @extend_schema(operation_id="workspaces_list", responses={200: WorkspaceSerializer(many=True), 401: PROBLEM})
    def get(self, request: Request) -> Response:
        return Response(WorkspaceSerializer(workspaces_of(cast(User, request.user)), many=True).data)
