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
from apps.workspaces.api import NOT_FOUND, WRITE_ERRORS, WorkspaceAPIView
from apps.workspaces.models import ApiKey

MAX_DAYS = 3650


class KeySerializer(serializers.ModelSerializer[ApiKey]):
    owner = serializers.EmailField(source="user.email", read_only=True)

    class Meta:
        model = ApiKey
        fields: tuple[str, ...] = ("id", "name", "hint", "owner", "created_at", "expires_at", "last_used_at")
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


class KeyList(WorkspaceAPIView):
    """API keys to the workspace."""

    @extend_schema(operation_id="keys_list", responses={200: KeySerializer(many=True), **NOT_FOUND})
    def get(self, request: Request, slug: str) -> Response:
        """Your keys, newest first; everybody's for those who manage the workspace."""
        return Response(KeySerializer(keys.keys(self.actor, self.workspace), many=True).data)

    @extend_schema(
        operation_id="keys_create", request=NewKeySerializer, responses={201: MadeKeySerializer, **WRITE_ERRORS}
    )
    def post(self, request: Request, slug: str) -> Response:
        """Make a key. The answer is the only place where its secret is told.

        A session of the site that was opened or proven too long ago is refused (`proof_needed`).
        """
        proof.demand(request._request)
        body = body_of(NewKeySerializer, request)
        key, secret = keys.create_key(self.actor, self.workspace, body["name"], body.get("expires_in_days"))
        answer: dict[str, Any] = {**KeySerializer(key).data, "secret": secret}
        return Response(answer, status=201, headers={"Cache-Control": "no-store"})


class KeyRevoke(WorkspaceAPIView):
    """Make a key worthless."""

    @extend_schema(operation_id="keys_revoke", request=None, responses={204: None, **WRITE_ERRORS})
    def post(self, request: Request, slug: str, key_id: UUID) -> Response:
        """The key opens nothing from now on; sockets that it opened are closed within `live.recheck` seconds."""
        keys.revoke_key(self.actor, self.workspace, key_id)
        return Response(status=204)
