"""REST: who asks."""

from typing import Any, cast

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.accounts.models import User
from apps.ops.counted import CountedAPIView
from apps.workspaces.api import NO_ENTRY
from apps.workspaces.keys_api import KeySerializer


class MeSerializer(serializers.Serializer[Any]):
    email = serializers.EmailField()
    name = serializers.CharField()
    key = KeySerializer(allow_null=True, help_text="The API key of this request; null in a session of the site.")


class Me(CountedAPIView):
    """The person who asks, and the key that the request came with."""

    @extend_schema(operation_id="me_retrieve", responses={200: MeSerializer, **NO_ENTRY})
    def get(self, request: Request) -> Response:
        user = cast(User, request.user)
        return Response(MeSerializer({"email": user.email, "name": user.get_full_name(), "key": user.api_key}).data)
