"""What a list may be narrowed by: an allow-list for each, and a 400 that names it for everything else."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from django.db.models import QuerySet
from django.utils.dateparse import parse_datetime
from drf_spectacular.utils import OpenApiParameter
from rest_framework.filters import BaseFilterBackend
from rest_framework.request import Request
from rest_framework.serializers import ErrorDetail, ValidationError
from rest_framework.views import APIView

_SLUG: Final = re.compile(r"[A-Za-z0-9_-]{1,100}")
_NUMBER: Final = re.compile(r"[0-9]{1,18}")


class Unreadable(ValueError):
    """A value that a filter does not take; the text says what it takes."""


@dataclass(frozen=True, slots=True)
class Filter:
    """One query parameter.

    Attributes:
        lookup: the field lookup that takes the value; None where the view itself does something with it.
        description: for the schema.
        schema: OpenAPI's schema of the value.
        read: the value of a text; raises `Unreadable`.
    """

    lookup: str | None
    description: str
    schema: Mapping[str, Any]
    read: Callable[[str], Any]


Filters = Mapping[str, Filter]


def one_of(lookup: str | None, values: Iterable[str], description: str) -> Filter:
    """One or more of some names, separated by commas; the lookup is given a list."""
    names = tuple(values)

    def read(text: str) -> list[str]:
        given = text.split(",")
        if not set(given) <= set(names):
            raise Unreadable(f"Give one or more of {', '.join(names)}, separated by commas.")
        return given

    array = {"type": "array", "items": {"type": "string", "enum": list(names)}}
    return Filter(lookup, f"{description} Several are separated by commas.", array, read)


def identity(lookup: str, description: str) -> Filter:
    """A UUID."""

    def read(text: str) -> UUID:
        try:
            return UUID(text)
        except ValueError:
            raise Unreadable("Give a UUID.") from None

    return Filter(lookup, description, {"type": "string", "format": "uuid"}, read)


def slug(lookup: str, description: str) -> Filter:
    """A short name of letters, digits, - and _."""

    def read(text: str) -> str:
        if not _SLUG.fullmatch(text):
            raise Unreadable("Give a name of letters, digits, - and _.")
        return text

    return Filter(lookup, description, {"type": "string"}, read)


def phrase(lookup: str, description: str, wrap: Callable[[str], Any] = str) -> Filter:
    """A text of at most 200 characters; the lookup is given what `wrap` makes of it."""

    def read(text: str) -> Any:
        if not (0 < len(text) <= 200 and text.isprintable()):
            raise Unreadable("Give 1 to 200 printable characters.")
        return wrap(text)

    return Filter(lookup, description, {"type": "string"}, read)


def moment(lookup: str, description: str) -> Filter:
    """A time with its offset from UTC, as RFC 3339 writes it."""

    def read(text: str) -> datetime:
        try:
            # In a query a plus means a space.
            found = parse_datetime(text.replace(" ", "+"))
        except ValueError:
            found = None
        if found is None or found.tzinfo is None or not 1970 <= found.year < 9000:
            raise Unreadable("Give a time such as 2026-01-31T12:00:00Z.")
        return found

    return Filter(lookup, description, {"type": "string", "format": "date-time"}, read)


def flag(description: str) -> Filter:
    """true or false; the view asks for it with `flagged`."""

    def read(text: str) -> bool:
        if text not in ("true", "false"):
            raise Unreadable("Give true or false.")
        return text == "true"

    return Filter(None, description, {"type": "boolean"}, read)


def whole(description: str) -> Filter:
    """A whole number, 0 or more; the view asks for it with `given`."""

    def read(text: str) -> int:
        if not _NUMBER.fullmatch(text):
            raise Unreadable("Give a whole number of at most 18 digits.")
        return int(text)

    return Filter(None, description, {"type": "integer", "minimum": 0}, read)


CREATED: Final[Filters] = {
    "created_by": identity("created_by", "Made by this person."),
    "created_after": moment("created_at__gte", "Made at this time or later."),
    "created_before": moment("created_at__lt", "Made before this time."),
}


def given(request: Request, filters: Filters, besides: Iterable[str] = ()) -> dict[str, Any]:
    """The values of the filters that a request names.

    Args:
        besides: other parameters that the address knows.

    Raises:
        ValidationError: a parameter is unknown, comes twice, or has a value that its filter does not take.
    """
    known = (*filters, *besides)
    values, faults = {}, {}
    for name, texts in request.query_params.lists():
        if name not in known:
            shown = name if name.isprintable() else "query"
            faults[shown[:60]] = [
                ErrorDetail(f"There is no such filter; there are {', '.join(known)}.", code="unknown")
            ]
        elif len(texts) > 1:
            faults[name] = [ErrorDetail("It is given more than once.", code="repeated")]
        elif name in filters:
            try:
                values[name] = filters[name].read(texts[0])
            except Unreadable as wrong:
                faults[name] = [ErrorDetail(str(wrong), code="unreadable")]
    if faults:
        raise ValidationError(faults)
    return values


def parameters(filters: Filters) -> list[OpenApiParameter]:
    """The filters as the schema says them."""
    return [
        OpenApiParameter(name, dict(one.schema), description=one.description, explode=False)
        for name, one in filters.items()
    ]


class AllowedFilters(BaseFilterBackend):
    """Narrows a list view by the filters in its attribute `filters`."""

    def filter_queryset(self, request: Request, queryset: QuerySet[Any], view: APIView) -> QuerySet[Any]:
        paginator = view.paginator  # type: ignore[attr-defined]
        besides = (paginator.cursor_query_param, paginator.page_size_query_param)
        filters: Filters = view.filters  # type: ignore[attr-defined]
        for name, value in given(request, filters, besides).items():
            lookup = filters[name].lookup
            if lookup is not None:
                queryset = queryset.filter(**{lookup: value})
        return queryset

    def get_schema_operation_parameters(self, view: Any) -> list[dict[str, Any]]:
        """For the schema."""
        return [
            {
                "name": name, "in": "query", "required": False, "description": one.description,
                "schema": dict(one.schema), **({"explode": False, "style": "form"} if "items" in one.schema else {}),
            }
            for name, one in view.filters.items()
        ]  # fmt: skip


def flagged(request: Request, name: str) -> bool:
    """Whether a flag is set that chooses what a list begins with; the filter backend says what is wrong with it."""
    return request.query_params.get(name) == "true"
