"""REST: what was done in a workspace."""

from __future__ import annotations

import csv
import io
import json
import tempfile
from typing import Any, cast

from django.db.models import QuerySet
from django.http import FileResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.generics import ListAPIView
from rest_framework.request import Request
from rest_framework.response import Response

from apps.ops.filters import AllowedFilters, Filters, given, identity, moment, one_of, parameters, phrase, slug
from apps.ops.paging import Pages
from apps.workspaces.api import LIST_ERRORS, PROBLEM, WorkspaceAPIView
from apps.workspaces.models import AuditEvent
from apps.workspaces.permissions import Verb, require
from apps.workspaces.selectors import audit_events

FILTERS: Filters = {
    "actor": identity("actor", "Done by this person."),
    "email": phrase("actor__email", "Done by who has this address now.", str.lower),
    "action": phrase("action", "Such as run.submit."),
    "kind": slug("action__startswith", "What the action begins with, such as run or member."),
    "object": phrase("object_id", "Done to what has this id."),
    "object_type": phrase("object_type", "Done to things of this kind, such as runs.run."),
    "key": identity("key", "Done by this API key."),
    "request": phrase("request_id", "Done by this request."),
    "after": moment("at__gte", "At this time or later."),
    "before": moment("at__lt", "Before this time."),
}
FORMATS = ("csv", "jsonl")
COLUMNS = (
    "id", "at", "action", "actor", "actor_id", "key", "object_type", "object_id", "before", "after", "request_id",
    "data",
)  # fmt: skip
MOST_EXPORTED = 200_000
CHUNK = 1000
IN_MEMORY = 2**22


class AuditSerializer(serializers.ModelSerializer[AuditEvent]):
    actor = serializers.EmailField(source="actor.email", allow_null=True, default=None)
    actor_id = serializers.UUIDField(allow_null=True)
    data = serializers.DictField()  # type: ignore[assignment]  # becomes a field; `Serializer.data` stays

    class Meta:
        model = AuditEvent
        fields = COLUMNS
        read_only_fields = fields


class NewestEvents(Pages):
    """The newest events first."""

    ordering = ("-at", "-id")


class _AuditAPIView(WorkspaceAPIView):
    """The log is seen by those only who may read it."""

    def check_permissions(self, request: Request) -> None:
        super().check_permissions(request)
        require(self.actor, Verb.READ_AUDIT, while_closing=True)


class AuditList(_AuditAPIView, ListAPIView[AuditEvent]):
    """What was done in the workspace, newest first."""

    serializer_class = AuditSerializer
    pagination_class = NewestEvents
    filter_backends = (AllowedFilters,)
    filters = FILTERS

    def get_queryset(self) -> QuerySet[AuditEvent]:
        return audit_events()

    @extend_schema(operation_id="audit_list", responses={200: AuditSerializer(many=True), **LIST_ERRORS, 403: PROBLEM})
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Only owners and administrators see it. Every write has one entry, which nobody can change or delete."""
        return super().get(request, *args, **kwargs)


class AuditExport(_AuditAPIView):
    """The log as a file."""

    @extend_schema(
        operation_id="audit_export",
        parameters=[
            *parameters(FILTERS),
            OpenApiParameter("as", str, enum=FORMATS, description="csv (the default) or jsonl."),
        ],
        responses={(200, "text/csv"): OpenApiTypes.STR, (200, "application/jsonl"): OpenApiTypes.STR,
                   **LIST_ERRORS, 403: PROBLEM},
    )  # fmt: skip
    def get(self, request: Request, slug: str) -> Any:
        """All entries that the filters leave, newest first, at most 200,000: narrow it by time for more."""
        return exported(audit_events(), request)


_CHOSEN: Filters = {**FILTERS, "as": one_of(None, FORMATS, "The form of the file.")}


def exported(rows: QuerySet[AuditEvent], request: Request) -> FileResponse:
    """The rows that the request's filters leave, as the file that it asks for. Raises ValidationError."""
    values = given(request, _CHOSEN)
    form = values.pop("as", ["csv"])[0]
    for name, value in values.items():
        rows = rows.filter(**{str(FILTERS[name].lookup): value})
    # Written before the answer leaves, because the scope ends with the view, and not in memory.
    file = tempfile.SpooledTemporaryFile(max_size=IN_MEMORY)  # noqa: SIM115 the answer closes it
    text = io.TextIOWrapper(file, encoding="utf-8", newline="", write_through=True)
    found = (_plain(one) for one in rows[:MOST_EXPORTED].iterator(CHUNK))
    if form == "csv":
        writer = csv.writer(text)
        writer.writerow(COLUMNS)
        writer.writerows([_cell(row[name]) for name in COLUMNS] for row in found)
    else:
        text.writelines(json.dumps(row, default=str) + "\n" for row in found)
    text.detach()
    file.seek(0)
    media = "text/csv; charset=utf-8" if form == "csv" else "application/jsonl"
    return FileResponse(
        file, as_attachment=True, filename=f"audit.{form}", content_type=media, headers={"Cache-Control": "no-store"}
    )


def _plain(event: AuditEvent) -> dict[str, Any]:
    return dict(cast(Any, AuditSerializer(event).data))


def _cell(value: Any) -> str:
    text = json.dumps(value, sort_keys=True) if isinstance(value, dict) else "" if value is None else str(value)
    # A spreadsheet would compute what begins so (CWE-1236).
    return "'" + text if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text
