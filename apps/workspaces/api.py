"""REST: the asker's workspaces, and the base of every view inside one."""

from typing import Any, cast
from uuid import UUID, uuid4, uuid5

from django.http import Http404
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework import serializers
from rest_framework.permissions import BasePermission, IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from apps.accounts import proof
from apps.accounts.models import User
from apps.ops.counted import CountedAPIView
from apps.ops.preconditions import EDIT_ERRORS, IF_NONE_MATCH, PARAMETER, Precondition, etag, tagged
from apps.ops.problems import ProblemSerializer
from apps.ops.refusal import Fault
from apps.ops.requests import StrictSerializer, body_of
from apps.workspaces import deletion, idempotency
from apps.workspaces.models import Role, Visibility, Workspace
from apps.workspaces.permissions import Verb, allowed_to, require
from apps.workspaces.scope import scope
from apps.workspaces.selectors import workspaces_of
from apps.workspaces.services import MOST_DOMAINS, change_workspace, create_workspace, refuse_key

PROBLEM = OpenApiResponse(ProblemSerializer)
NO_ENTRY: dict[int, Any] = {401: PROBLEM, 406: PROBLEM, 429: PROBLEM}
NOT_FOUND: dict[int, Any] = {**NO_ENTRY, 404: PROBLEM}
LIST_ERRORS: dict[int, Any] = {**NOT_FOUND, 400: PROBLEM}
_BODY_ERRORS: dict[int, Any] = {403: PROBLEM, 413: PROBLEM, 415: PROBLEM}
WRITE_ERRORS: dict[int, Any] = {**LIST_ERRORS, **_BODY_ERRORS}
NAME_LENGTH = 160


class IsMember(BasePermission):
    """The asker belongs to the workspace of the address and may enter it; for everybody else it does not exist."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        # getattr: the schema generator asks views without a middleware in front of them.
        if getattr(request._request, "workspace", None) is None:
            raise getattr(request._request, "refusal", None) or Http404
        return True


class WorkspaceAPIView(CountedAPIView):
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
        fields: tuple[str, ...] = ("id", "slug", "name", "personal", "created_at", "require_mfa", "delete_at")


class NewWorkspaceSerializer(StrictSerializer):
    name = serializers.CharField(max_length=NAME_LENGTH)


class WorkspaceChangeSerializer(StrictSerializer):
    name = serializers.CharField(max_length=NAME_LENGTH, required=False)
    new_address = serializers.BooleanField(
        required=False, help_text="Draw a new slug from the name. Nothing answers at the old one from then on."
    )
    allowed_domains = serializers.ListField(
        child=serializers.CharField(max_length=253), max_length=MOST_DOMAINS, required=False,
        help_text="Domains of e-mail addresses that may be invited, without those below them; empty: all.",
    )  # fmt: skip
    default_visibility = serializers.ChoiceField(
        choices=Visibility.choices, required=False, help_text="Of links that are shared without saying for whom."
    )


class WorkspaceList(CountedAPIView):
    """The workspaces that the asker belongs to, the personal one first."""

    @extend_schema(operation_id="workspaces_list", responses={200: WorkspaceSerializer(many=True), **NO_ENTRY})
    def get(self, request: Request) -> Response:
        return Response(WorkspaceSerializer(workspaces_of(cast(User, request.user)), many=True).data)

    @extend_schema(
        operation_id="workspaces_create",
        parameters=[idempotency.PARAMETER],
        request=NewWorkspaceSerializer,
        responses={201: WorkspaceSerializer, **NO_ENTRY, 400: PROBLEM, **_BODY_ERRORS, 422: PROBLEM},
    )
    def post(self, request: Request) -> Response:
        """Make a workspace with yourself as owner. An API key makes none."""
        name = body_of(NewWorkspaceSerializer, request)["name"]
        actor = cast(User, request.user)
        # A key of a request lies in the workspace in force. Here that is the one that is made, whose id the key tells.
        key = request.headers.get(idempotency.HEADER)
        workspace_id = uuid4() if key is None else uuid5(actor.pk, key)
        refuse_key(actor)
        with scope(workspace_id, actor.pk):
            idempotency.once(actor, request, lambda: _made(actor, name, workspace_id))
            made = require(actor, Verb.READ).workspace
        return Response(WorkspaceSerializer(made).data, status=201)


def _made(actor: User, name: str, workspace_id: UUID) -> UUID:
    if Workspace.objects.filter(pk=workspace_id).exists():
        # The key has made it longer ago than keys are kept.
        raise idempotency.KeyUsed(
            [Fault(idempotency.HEADER, "It was used for another request.", "Use a new key for every new request.")]
        )
    return create_workspace(actor, name, workspace_id).pk


class MyWorkspaceSerializer(WorkspaceSerializer):
    """A workspace with its settings, and what the asker may do there."""

    allowed_domains = serializers.ListField(child=serializers.CharField())
    role = serializers.ChoiceField(choices=Role.choices)
    may = serializers.ListField(child=serializers.ChoiceField(choices=[verb.value for verb in Verb]))

    class Meta(WorkspaceSerializer.Meta):
        fields = (*WorkspaceSerializer.Meta.fields, "allowed_domains", "default_visibility", "role", "may")


class WorkspaceDetail(WorkspaceAPIView):
    """One workspace."""

    @extend_schema(
        operation_id="workspaces_retrieve", parameters=[IF_NONE_MATCH],
        responses={200: MyWorkspaceSerializer, **NOT_FOUND},
    )  # fmt: skip
    def get(self, request: Request, slug: str) -> Response:
        """With the asker's role, and what it allows."""
        return tagged(request, etag(self.workspace.revision), self._shown(self.workspace))

    @extend_schema(
        operation_id="workspaces_change", parameters=[PARAMETER], request=WorkspaceChangeSerializer,
        responses={200: MyWorkspaceSerializer, **WRITE_ERRORS, 422: PROBLEM, **EDIT_ERRORS},
    )  # fmt: skip
    def patch(self, request: Request, slug: str) -> Response:
        """Change it; what is left out stays as it is. Only owners and administrators may."""
        changes = body_of(WorkspaceChangeSerializer, request)
        changed = change_workspace(self.actor, self.workspace, Precondition.of(request), **changes)
        return Response(self._shown(changed), headers={"ETag": etag(changed.revision)})

    @extend_schema(
        operation_id="workspaces_delete", parameters=[PARAMETER],
        responses={202: WorkspaceSerializer, **NOT_FOUND, 403: PROBLEM, 409: PROBLEM, **EDIT_ERRORS},
    )  # fmt: skip
    def delete(self, request: Request, slug: str) -> Response:
        """Delete it with everything in it. Only owners may; until `delete_at` they can take it back.

        Its runs are cancelled now, and until it goes it can only be read. A session of the site that was opened or
        proven too long ago is refused (`proof_needed`).
        """
        proof.demand(request._request)
        closing = deletion.close(self.actor, self.workspace, Precondition.of(request))
        return Response(WorkspaceSerializer(closing).data, status=202, headers={"ETag": etag(closing.revision)})

    def _shown(self, workspace: Workspace) -> dict[str, Any]:
        role = self.request._request.membership.role  # type: ignore[attr-defined]
        allowed = [verb.value for verb in allowed_to(self.actor, role)]
        settings = {"allowed_domains": workspace.allowed_domains, "default_visibility": workspace.default_visibility}
        return {**WorkspaceSerializer(workspace).data, **settings, "role": role, "may": allowed}


class WorkspaceRestore(WorkspaceAPIView):
    """The way back."""

    @extend_schema(
        operation_id="workspaces_restore", request=None,
        responses={200: WorkspaceSerializer, **NOT_FOUND, 403: PROBLEM, 409: PROBLEM},
    )  # fmt: skip
    def post(self, request: Request, slug: str) -> Response:
        """Take the deletion back, before its time. 409 when it is not being deleted."""
        return Response(WorkspaceSerializer(deletion.restore(self.actor, self.workspace)).data)
