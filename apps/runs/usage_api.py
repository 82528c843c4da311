"""REST: what a workspace uses."""

from dataclasses import asdict
from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.runs.usage import usage
from apps.workspaces.api import NOT_FOUND, WorkspaceAPIView


class MeasureSerializer(serializers.Serializer[Any]):
    name = serializers.CharField(help_text="Such as `active_runs`, `memory`, `flops`.")
    unit = serializers.CharField()
    used = serializers.FloatField()
    allowed = serializers.FloatField()
    period = serializers.ChoiceField(
        choices=("now", "month"), help_text="now: of the runs that wait or run; month: of the calendar month, UTC."
    )


class UsageSerializer(serializers.Serializer[Any]):
    measures = MeasureSerializer(many=True)


class Usage(WorkspaceAPIView):
    """What the workspace uses of what it may."""

    @extend_schema(operation_id="usage_retrieve", responses={200: UsageSerializer, **NOT_FOUND})
    def get(self, request: Request, slug: str) -> Response:
        """A run that would bring `used` above `allowed` is refused with 429."""
        return Response({"measures": [asdict(measure) for measure in usage()]})
