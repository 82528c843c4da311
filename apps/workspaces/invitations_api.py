"""REST: invitations to a workspace."""

from typing import Any, cast
from uuid import UUID

from django.db.models import QuerySet
from django.urls import reverse
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.generics import ListAPIView
from rest_framework.request import Request
from rest_framework.response import Response

from apps.accounts import proof
from apps.accounts.models import User
from apps.ops.counted import CountedAPIView
from apps.ops.paging import NewestFirst
from apps.ops.requests import StrictSerializer, body_of
from apps.workspaces import idempotency, invitations, members
from apps.workspaces.api import LIST_ERRORS, NOT_FOUND, PROBLEM, WRITE_ERRORS, WorkspaceAPIView, WorkspaceSerializer
from apps.workspaces.models import Invitation
from apps.workspaces.permissions import Verb, require

_READ_ERRORS: dict[int, Any] = {**NOT_FOUND, 403: PROBLEM}


class InvitationSerializer(serializers.ModelSerializer[Invitation]):
    role = serializers.ChoiceField(choices=members.CHOICES)
    invited_by = serializers.EmailField(source="invited_by.email", allow_null=True, default=None)
    mailed_at = serializers.DateTimeField(
        allow_null=True, help_text="When the server of mail took the message; null: it has not."
    )

    class Meta:
        model = Invitation
        fields = ("id", "email", "role", "invited_by", "created_at", "mailed_at", "expires_at")
        read_only_fields = fields


class NewInvitationSerializer(StrictSerializer):
    email = serializers.EmailField(max_length=254)
    role = serializers.ChoiceField(choices=members.CHOICES)


class TokenSerializer(StrictSerializer):
    token = serializers.CharField(max_length=invitations.MAX_TOKEN, help_text="Out of the message.")


def link_on(request: Any) -> invitations.Link:
    """Makes the address of an invitation on the site that was asked."""
    return lambda token: str(request.build_absolute_uri(reverse("web:invitation", kwargs={"token": token})))


class _ManagersAPIView(WorkspaceAPIView):
    """Invitations are seen by those only who manage the workspace."""

    def check_permissions(self, request: Request) -> None:
        super().check_permissions(request)
        # Writes ask once more, in their services.
        require(self.actor, Verb.MANAGE_WORKSPACE, while_closing=True)


class InvitationList(_ManagersAPIView, ListAPIView[Invitation]):
    """Invitations that are not accepted, newest first."""

    serializer_class = InvitationSerializer
    pagination_class = NewestFirst

    def get_queryset(self) -> QuerySet[Invitation]:
        return invitations.invitations()

    @extend_schema(
        operation_id="invitations_list",
        responses={200: InvitationSerializer(many=True), **LIST_ERRORS, 403: PROBLEM},
    )
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Only owners and administrators see them. One that has expired is listed until it is taken back."""
        return super().get(request, *args, **kwargs)

    @extend_schema(
        operation_id="invitations_create", parameters=[idempotency.PARAMETER], request=NewInvitationSerializer,
        responses={201: InvitationSerializer, **WRITE_ERRORS, 422: PROBLEM},
    )  # fmt: skip
    def post(self, request: Request, slug: str) -> Response:
        """Send somebody an invitation, never with a role above your own. Its token is in the message only.

        422 also when too many were sent: 3 in 10 minutes to one address, and `workspaces.invitations_per_day` in a day
        by one person or from one workspace. To invite an owner or administrator, a session of the site must not have
        been opened or proven too long ago (`proof_needed`).
        """
        body = body_of(NewInvitationSerializer, request)
        if body["role"] in members.MANAGING:
            proof.demand(request._request)

        def created() -> UUID:
            made = invitations.invite(self.actor, self.workspace, **body, link=link_on(request))
            return made.pk

        made = invitations.invitation(idempotency.once(self.actor, request, created))
        return Response(InvitationSerializer(made).data, status=201)


class InvitationResend(_ManagersAPIView):
    """Another message."""

    @extend_schema(
        operation_id="invitations_resend", request=None,
        responses={202: InvitationSerializer, **_READ_ERRORS, 422: PROBLEM},
    )  # fmt: skip
    def post(self, request: Request, slug: str, invitation_id: UUID) -> Response:
        """Send it once more; the message before is worth nothing from then on, and the time begins anew.

        It counts as an invitation more: 422 when too many were sent, and a proof is asked for as for a new one.
        """
        if invitations.invitation(invitation_id).role in members.MANAGING:
            proof.demand(request._request)
        sent = invitations.resend(self.actor, self.workspace, invitation_id, link_on(request))
        return Response(InvitationSerializer(sent).data, status=202)


class InvitationRevoke(_ManagersAPIView):
    """The end of an offer."""

    @extend_schema(operation_id="invitations_revoke", request=None, responses={204: None, **_READ_ERRORS})
    def post(self, request: Request, slug: str, invitation_id: UUID) -> Response:
        """Take an invitation back."""
        invitations.revoke(self.actor, self.workspace, invitation_id)
        return Response(status=204)


class InvitationAccept(CountedAPIView):
    """The other side of an invitation."""

    @extend_schema(
        operation_id="invitations_accept", request=TokenSerializer,
        responses={200: WorkspaceSerializer, **WRITE_ERRORS, 409: PROBLEM},
    )  # fmt: skip
    def post(self, request: Request) -> Response:
        """Become a member, by the token in the message. You must have confirmed the address that it was sent to.

        409 `invitation_void` says why it cannot be accepted.
        """
        token = body_of(TokenSerializer, request)["token"]
        made = invitations.accept(cast(User, request.user), token)
        return Response(WorkspaceSerializer(made.workspace).data)
