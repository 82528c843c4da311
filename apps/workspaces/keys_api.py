"""REST: the API keys of a workspace."""

from typing import Any
from uuid import UUID

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.accounts import proof
from apps.ops.requests import StrictSerializer, body_of
from apps.workspaces import keys
from apps.workspaces.api import NOT_FOUND, PROBLEM, WRITE_ERRORS, WorkspaceAPIView
from apps.workspaces.models import ApiKey
from apps.workspaces.permissions import BY_KEY, Verb

MAX_DAYS = 3650


class KeySerializer(serializers.ModelSerializer[ApiKey]):
    owner = serializers.EmailField(source="user.email", read_only=True, help_text="Who works by it.")
    of_workspace = serializers.BooleanField(
        source="owned_by_workspace", help_text="Whether the workspace owns it, and its machine member works by it."
    )
    created_by = serializers.EmailField(source="created_by.email", allow_null=True, default=None)
    verbs = serializers.ListField(
        child=serializers.CharField(), allow_null=True, help_text="null: all of its holder's."
    )
    networks = serializers.ListField(child=serializers.CharField(), help_text="Empty: it opens from everywhere.")
    old_until = serializers.DateTimeField(allow_null=True, help_text="For so long the secret before opens too.")

    class Meta:
        model = ApiKey
        fields: tuple[str, ...] = (
            "id", "name", "hint", "owner", "of_workspace", "verbs", "networks", "created_by", "created_at",
            "expires_at", "old_until", "last_used_at", "last_used_from",
        )  # fmt: skip
        read_only_fields: tuple[str, ...] = fields


class MadeKeySerializer(KeySerializer):
    secret = serializers.CharField(read_only=True, help_text="The key itself. It is told here and never again.")

    class Meta(KeySerializer.Meta):
        fields = (*KeySerializer.Meta.fields, "secret")
        read_only_fields: tuple[str, ...] = fields


class NewKeySerializer(StrictSerializer):
    name = serializers.CharField(max_length=80)
    expires_in_days = serializers.IntegerField(
        required=False, min_value=1, max_value=MAX_DAYS, help_text="Without it the key holds until it is revoked."
    )
    verbs = serializers.ListField(
        child=serializers.ChoiceField(choices=[verb.value for verb in Verb if verb in BY_KEY]), required=False,
        help_text="What it allows besides reading, of what its holder may. Without it all of that.",
    )  # fmt: skip
    networks = serializers.ListField(
        child=serializers.CharField(max_length=60), max_length=keys.MOST_NETWORKS, required=False,
        help_text="It opens from these networks only, such as 203.0.113.0/24 or 2001:db8::/32.",
    )  # fmt: skip
    of_workspace = serializers.BooleanField(
        required=False, help_text="The workspace owns it, and its machine member works by it. For who manages it."
    )


class RotationSerializer(StrictSerializer):
    old_hours = serializers.IntegerField(
        required=False, min_value=0, max_value=keys.MOST_OLD_HOURS,
        help_text=f"For so long the secret before opens too, {keys.OLD_HOURS} without it.",
    )  # fmt: skip


class KeyList(WorkspaceAPIView):
    """API keys to the workspace."""

    @extend_schema(operation_id="keys_list", responses={200: KeySerializer(many=True), **NOT_FOUND})
    def get(self, request: Request, slug: str) -> Response:
        """Your keys, newest first; everybody's for those who manage the workspace."""
        return Response(KeySerializer(keys.keys(self.actor, self.workspace), many=True).data)

    @extend_schema(
        operation_id="keys_create",
        request=NewKeySerializer,
        responses={201: MadeKeySerializer, **WRITE_ERRORS, 422: PROBLEM},
    )
    def post(self, request: Request, slug: str) -> Response:
        """Make a key. The answer is the only place where its secret is told.

        A session of the site that was opened or proven too long ago is refused (`proof_needed`).
        """
        proof.demand(request._request)
        body = body_of(NewKeySerializer, request)
        key, secret = keys.create_key(self.actor, self.workspace, **body)
        answer: dict[str, Any] = {**KeySerializer(key).data, "secret": secret}
        return Response(answer, status=201, headers={"Cache-Control": "no-store"})


class KeyRotate(WorkspaceAPIView):
    """Another secret."""

    @extend_schema(
        operation_id="keys_rotate", request=RotationSerializer, responses={200: MadeKeySerializer, **WRITE_ERRORS}
    )
    def post(self, request: Request, slug: str, key_id: UUID) -> Response:
        """Draw a new secret, which is told here and never again; the one before opens for some hours more.

        Of your own keys, and for who manages the workspace of those that it owns; of nobody else's. A session of the
        site that was opened or proven too long ago is refused (`proof_needed`).
        """
        proof.demand(request._request)
        key, secret = keys.rotate_key(self.actor, self.workspace, key_id, **body_of(RotationSerializer, request))
        answer: dict[str, Any] = {**KeySerializer(key).data, "secret": secret}
        return Response(answer, headers={"Cache-Control": "no-store"})


class KeyRevoke(WorkspaceAPIView):
    """Make a key worthless."""

    @extend_schema(operation_id="keys_revoke", request=None, responses={204: None, **WRITE_ERRORS})
    def post(self, request: Request, slug: str, key_id: UUID) -> Response:
        """The key opens nothing from now on; sockets that it opened are closed within `live.recheck` seconds."""
        keys.revoke_key(self.actor, self.workspace, key_id)
        return Response(status=204)
