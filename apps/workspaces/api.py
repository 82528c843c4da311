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
from apps.workspaces.models import Role, Workspace
from apps.workspaces.permissions import Verb, may
from apps.workspaces.selectors import workspaces_of

PROBLEM = OpenApiResponse(ProblemSerializer)
NO_ENTRY: dict[int, Any] = {401: PROBLEM, 406: PROBLEM, 429: PROBLEM}
NOT_FOUND: dict[int, Any] = {**NO_ENTRY, 404: PROBLEM}
LIST_ERRORS: dict[int, Any] = {**NOT_FOUND, 400: PROBLEM}
WRITE_ERRORS: dict[int, Any] = {**LIST_ERRORS, 403: PROBLEM, 413: PROBLEM, 415: PROBLEM}


class IsMember(BasePermission):
    """The asker belongs to the workspace of the address and may enter it; for everybody else it does not exist."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        # getattr: the schema generator asks views without a middleware in front of them.
        if getattr(request._request, "workspace", None) is None:
            raise getattr(request._request, "refusal", None) or Http404
        return True


class WorkspaceAPIView(APIView):
    """A view under `/api/v1/workspaces/<slug>/`; see `WorkspaceMiddleware`."""

    permission_classes = (IsAuthenticated, IsMember)

    def check_permissions(self, request: Request) -> None:
        """Counts the request first: also who only guesses addresses is slowed down."""
        self.check_throttles(request)
        super().check_permissions(request)

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
        fields: tuple[str, ...] = ("id", "slug", "name", "personal", "created_at", "require_mfa")


class WorkspaceList(APIView):
    """The workspaces that the asker belongs to, the personal one first."""

    @extend_schema(operation_id="workspaces_list", responses={200: WorkspaceSerializer(many=True), **NO_ENTRY})
    def get(self, request: Request) -> Response:
        return Response(WorkspaceSerializer(workspaces_of(cast(User, request.user)), many=True).data)


class MyWorkspaceSerializer(WorkspaceSerializer):
    """A workspace with what the asker may do there."""

    role = serializers.ChoiceField(choices=Role.choices)
    may = serializers.ListField(child=serializers.ChoiceField(choices=[verb.value for verb in Verb]))

    class Meta(WorkspaceSerializer.Meta):
        fields = (*WorkspaceSerializer.Meta.fields, "role", "may")


class WorkspaceDetail(WorkspaceAPIView):
    """One workspace."""

    @extend_schema(operation_id="workspaces_retrieve", responses={200: MyWorkspaceSerializer, **NOT_FOUND})
    def get(self, request: Request, slug: str) -> Response:
        """With the asker's role, and what it allows."""
        role = self.request._request.membership.role  # type: ignore[attr-defined]
        allowed = [verb.value for verb in Verb if may(role, verb)]
        return Response({**WorkspaceSerializer(self.workspace).data, "role": role, "may": allowed})
