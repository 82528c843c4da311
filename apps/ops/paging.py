"""Pages of lists."""

from typing import Any

from rest_framework.pagination import CursorPagination
from rest_framework.request import Request
from rest_framework.serializers import ValidationError


class Pages(CursorPagination):
    """Pages by a cursor: new rows do not shift what was not read yet, and late pages cost as little as the first."""

    page_size = 50
    page_size_query_param = "page_size"
    max_page_size = 200

    def get_page_size(self, request: Request) -> int | None:
        """Raises ValidationError for what is no size of a page."""
        text = request.query_params.get(self.page_size_query_param, str(self.page_size))
        if not (text.isascii() and text.isdigit() and len(text) < 10 and 1 <= int(text) <= self.max_page_size):
            raise ValidationError({self.page_size_query_param: f"Give a whole number from 1 to {self.max_page_size}."})
        return int(text)

    def get_schema_operation_parameters(self, view: Any) -> list[dict[str, Any]]:
        """For the schema: with the range of sizes."""
        parameters: list[dict[str, Any]] = super().get_schema_operation_parameters(view)
        size = {"type": "integer", "minimum": 1, "maximum": self.max_page_size, "default": self.page_size}
        return [{**one, "schema": size} if one["name"] == self.page_size_query_param else one for one in parameters]


class NewestFirst(Pages):
    """The newest rows first."""

    ordering = ("-created_at", "-id")
