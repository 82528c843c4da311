"""The bodies of API requests."""

from typing import Any

from rest_framework import serializers
from rest_framework.request import Request

from apps.ops.problems import LISTED


class StrictSerializer(serializers.Serializer[Any]):
    """Refuses fields that it does not declare: a misspelt field is an error and not a default."""

    def to_internal_value(self, data: Any) -> Any:
        unknown = sorted(set(data) - set(self.fields)) if isinstance(data, dict) else []
        if unknown:
            # Each costs time to be told, and who sends so many sends something else altogether.
            unknown = unknown[:LISTED]
            message = f"There is no such field; there are {', '.join(self.fields)}."
            raise serializers.ValidationError(
                {name: [serializers.ErrorDetail(message, code="unknown")] for name in unknown}
            )
        return super().to_internal_value(data)


def body_of(serializer: type[serializers.Serializer[Any]], request: Request) -> dict[str, Any]:
    """The validated body. Raises ValidationError with every fault."""
    bound = serializer(data=request.data)
    bound.is_valid(raise_exception=True)
    valid: dict[str, Any] = bound.validated_data
    return valid
