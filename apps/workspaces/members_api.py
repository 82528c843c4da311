"""REST: who belongs to a workspace."""

from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.generics import ListAPIView
from rest_framework.request import Request
from rest_framework.response import Response

from apps.accounts import proof
from apps.ops.paging import NewestFirst
from apps.ops.preconditions import EDIT_ERRORS, IF_NONE_MATCH, PARAMETER, Precondition, etag, tagged
from apps.ops.requests import StrictSerializer, body_of
from apps.workspaces import members, selectors
from apps.workspaces.api import LIST_ERRORS, NOT_FOUND, PROBLEM, WRITE_ERRORS, WorkspaceAPIView
from apps.workspaces.models import Membership, Role


class MemberSerializer(serializers.ModelSerializer[Membership]):
    email = serializers.EmailField(source="user.email")
    name = serializers.CharField(source="user.get_full_name")
    role = serializers.ChoiceField(choices=Role.choices)
    machine = serializers.SerializerMethodField(help_text="Whether it is no person, but who the workspace's keys are.")

    class Meta:
        model = Membership
        fields = ("id", "email", "name", "role", "machine", "created_at")
        read_only_fields = fields

    def get_machine(self, member: Membership) -> bool:
        return members.is_machine(member)


class NewRoleSerializer(StrictSerializer):
    role = serializers.ChoiceField(choices=members.CHOICES)


class TransferSerializer(StrictSerializer):
    member = serializers.UUIDField(help_text="Who becomes the owner.")


class MemberList(WorkspaceAPIView, ListAPIView[Membership]):
    """The workspace's members, newest first."""

    serializer_class = MemberSerializer
    pagination_class = NewestFirst

    def get_queryset(self) -> QuerySet[Membership]:
        return selectors.members()

    @extend_schema(operation_id="members_list", responses={200: MemberSerializer(many=True), **LIST_ERRORS})
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Every member sees all of them."""
        return super().get(request, *args, **kwargs)


class MemberDetail(WorkspaceAPIView):
    """One member."""

    @extend_schema(
        operation_id="members_retrieve", parameters=[IF_NONE_MATCH], responses={200: MemberSerializer, **NOT_FOUND}
    )
    def get(self, request: Request, slug: str, member_id: str) -> Response:
        """With the entity tag that an edit names."""
        found = selectors.member(member_id)
        return tagged(request, etag(found.revision), MemberSerializer(found).data)

    @extend_schema(
        operation_id="members_change", parameters=[PARAMETER], request=NewRoleSerializer,
        responses={200: MemberSerializer, **WRITE_ERRORS, 409: PROBLEM, 422: PROBLEM, **EDIT_ERRORS},
    )  # fmt: skip
    def patch(self, request: Request, slug: str, member_id: str) -> Response:
        """Give another role; it holds at once. Nobody gives or takes a role above the own; 409 for the last owner.

        Where the role before or after is owner or administrator, a session of the site that was opened or proven too
        long ago is refused (`proof_needed`).
        """
        role = body_of(NewRoleSerializer, request)["role"]
        if not members.MANAGING.isdisjoint({role, selectors.member(member_id).role}):
            proof.demand(request._request)
        changed = members.change_role(self.actor, self.workspace, member_id, role, Precondition.of(request))
        return Response(MemberSerializer(changed).data, headers={"ETag": etag(changed.revision)})

    @extend_schema(
        operation_id="members_remove", parameters=[PARAMETER],
        responses={204: None, **NOT_FOUND, 403: PROBLEM, 409: PROBLEM, **EDIT_ERRORS},
    )  # fmt: skip
    def delete(self, request: Request, slug: str, member_id: str) -> Response:
        """Take a member out of the workspace, with the API keys to it and what is shared of it. What they made stays.

        To remove an owner or administrator, a session of the site must not have been opened or proven too long ago
        (`proof_needed`).
        """
        if selectors.member(member_id).role in members.MANAGING:
            proof.demand(request._request)
        members.remove_member(self.actor, self.workspace, member_id, Precondition.of(request))
        return Response(status=204)


class Leave(WorkspaceAPIView):
    """The way out."""

    @extend_schema(
        operation_id="workspaces_leave", request=None, responses={204: None, **NOT_FOUND, 403: PROBLEM, 409: PROBLEM}
    )
    def post(self, request: Request, slug: str) -> Response:
        """Belong to the workspace no more. 409 for the last owner."""
        members.leave(self.actor, self.workspace)
        return Response(status=204)


class Transfer(WorkspaceAPIView):
    """The change of owner."""

    @extend_schema(
        operation_id="workspaces_transfer", request=TransferSerializer,
        responses={200: MemberSerializer, **WRITE_ERRORS, 409: PROBLEM, 422: PROBLEM},
    )  # fmt: skip
    def post(self, request: Request, slug: str) -> Response:
        """Make a member the owner in your place; you become an administrator. Only an owner may.

        A session of the site that was opened or proven too long ago is refused (`proof_needed`).
        """
        proof.demand(request._request)
        target = body_of(TransferSerializer, request)["member"]
        return Response(MemberSerializer(members.transfer(self.actor, self.workspace, target)).data)
