"""REST: several runs side by side."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import ValidationError

from apps.runs.comparisons import FEWEST, MOST, Comparison, Row, TooManyPoints, compare, curves
from apps.runs.overlays import recorded_ports
from apps.runs.serializers import RunSummarySerializer
from apps.workspaces.api import LIST_ERRORS, WorkspaceAPIView
from apps.workspaces.scope import scope

PAGE_SIZE = 25

RUNS = OpenApiParameter("runs", str, required=True, description=f"Ids of {FEWEST} to {MOST} runs, separated by commas.")


class ComparedRunSerializer(RunSummarySerializer):
    """A run with what it was given and what came out."""

    parameters = serializers.DictField(help_text="By name; what it does not have is not there.")
    metrics = serializers.DictField(child=serializers.FloatField())

    class Meta(RunSummarySerializer.Meta):
        fields = (*RunSummarySerializer.Meta.fields, "parameters", "metrics")
        read_only_fields: tuple[str, ...] = fields


class SharedPortSerializer(serializers.Serializer[Any]):
    port = serializers.CharField(help_text="`node.port`.")
    kind = serializers.CharField(help_text="Of its values, in the first run that recorded it.")
    unit = serializers.CharField(allow_blank=True)
    elements = serializers.IntegerField(help_text="Numbers of a value that one may be chosen from.")
    runs = serializers.IntegerField(help_text="How many of the runs recorded it.")


class ComparisonSerializer(serializers.Serializer[Any]):
    count = serializers.IntegerField(help_text="Of all runs that are compared.")
    differing = serializers.ListField(
        child=serializers.CharField(), help_text="Parameters that are not the same in all, exposed controls first."
    )
    common = serializers.ListField(child=serializers.CharField(), help_text="Parameters that are.")
    metrics = serializers.ListField(child=serializers.CharField(), help_text="Numbers that came out of any of them.")
    curves = serializers.ListField(child=serializers.CharField(), help_text="What can be laid over each other.")
    recorded = SharedPortSerializer(
        many=True, help_text="Ports of which at least two runs have a recording: their series can be."
    )
    next = serializers.CharField(allow_null=True, help_text="Address of the next page.")
    results = ComparedRunSerializer(many=True)


class CurveSerializer(serializers.Serializer[Any]):
    run = serializers.UUIDField()
    x = serializers.ListField(child=serializers.FloatField())
    y = serializers.ListField(child=serializers.FloatField(allow_null=True))


class CurvesSerializer(serializers.Serializer[Any]):
    name = serializers.CharField()
    curves = CurveSerializer(many=True)


def ids_of(text: str) -> list[UUID]:
    """The ids in a text. Raises ValidationError unless they are 2 to 100 different ones."""
    try:
        found = list(dict.fromkeys(UUID(one) for one in text.split(",") if one))
    except ValueError:
        raise ValidationError({"runs": "Give UUIDs, separated by commas."}) from None
    if not FEWEST <= len(found) <= MOST:
        raise ValidationError({"runs": f"Give {FEWEST} to {MOST} different runs; these are {len(found)}."})
    return found


def ordered(comparison: Comparison, sort: str) -> list[Row]:
    """All rows in the order of `name` or `-name`; as asked for without one. Raises ValidationError."""
    if not sort:
        return list(comparison.rows)
    try:
        return comparison.sorted_by(sort.removeprefix("-"), descending=sort.startswith("-"))
    except KeyError:
        raise ValidationError({"sort": "Give the name of a parameter or metric of these runs, or -name."}) from None


def page_of(rows: list[Row], cursor: str, size: int) -> tuple[list[Row], str | None]:
    """The page that begins after the run that the cursor names, and the cursor of the next. Raises ValidationError."""
    begin = 0
    if cursor:
        run_ids = [row.run.pk for row in rows]
        begin = run_ids.index(run_of(cursor, run_ids)) + 1
    page = rows[begin : begin + size]
    more = begin + size < len(rows)
    return page, cursor_of(page[-1].run.pk) if more else None


def cursor_of(run_id: UUID) -> str:
    """The cursor of a page that begins after this run."""
    return base64.urlsafe_b64encode(run_id.bytes).decode().rstrip("=")


def run_of(cursor: str, run_ids: Sequence[UUID]) -> UUID:
    """The run that a cursor names. Raises ValidationError unless it is one of these."""
    try:
        found: UUID | None = UUID(bytes=base64.urlsafe_b64decode(cursor + "=="))
    except (ValueError, binascii.Error):
        found = None
    if found is None or found not in run_ids:
        raise ValidationError({"cursor": "Take the cursor of an answer for the same runs."})
    return found


def number_of(name: str, text: str, least: int, most: int) -> int:
    """The whole number in a parameter of the address. Raises ValidationError unless it is from `least` to `most`."""
    if not (text.isascii() and text.isdigit() and len(text) <= len(str(most)) and least <= int(text) <= most):
        raise ValidationError({name: f"Give a whole number from {least} to {most}."})
    return int(text)


def next_page(request: Request, cursor: str | None) -> str | None:
    """The address of this request for the page that a cursor names."""
    if cursor is None:
        return None
    query = request.query_params.copy()
    query["cursor"] = cursor
    return request.build_absolute_uri(f"{request.path}?{query.urlencode()}")


class RunsCompare(WorkspaceAPIView):
    """Runs side by side."""

    @extend_schema(
        operation_id="runs_compare",
        parameters=[
            RUNS,
            OpenApiParameter("sort", str, description="Name of a parameter or metric, `-` before it for descending."),
            OpenApiParameter("cursor", str, description="Of the page, as `next` has it."),
            OpenApiParameter(
                "page_size", {"type": "integer", "minimum": 1, "maximum": MOST, "default": PAGE_SIZE},
                description="Runs on a page.",
            ),
        ],
        responses={200: ComparisonSerializer, **LIST_ERRORS},
    )  # fmt: skip
    def get(self, request: Request, slug: str) -> Response:
        """Parameters and metrics of 2 to 100 runs. A run that is not there is 404 for all of them."""
        asked = request.query_params
        run_ids = ids_of(asked.get("runs", ""))
        size = number_of("page_size", asked.get("page_size", str(PAGE_SIZE)), 1, MOST)
        with scope(self.workspace.id, self.actor.pk):
            found = compare(run_ids)
            recorded = recorded_ports(run_ids)
        page, cursor = page_of(ordered(found, asked.get("sort", "")), asked.get("cursor", ""), size)
        results = [
            {
                **RunSummarySerializer(row.run).data,
                "parameters": dict(row.parameters), "metrics": dict(row.metrics),
            }
            for row in page
        ]  # fmt: skip
        return Response(
            {
                "count": len(found.rows), "differing": found.differing, "common": found.common,
                "metrics": found.metrics, "curves": found.curves,
                "recorded": SharedPortSerializer(recorded, many=True).data,
                "next": next_page(request, cursor), "results": results,
            }
        )  # fmt: skip


class RunsCurves(WorkspaceAPIView):
    """Curves of runs, to be laid over each other."""

    @extend_schema(
        operation_id="runs_compare_curves",
        parameters=[RUNS, OpenApiParameter("name", str, required=True, description="One of `curves`.")],
        responses={200: CurvesSerializer, **LIST_ERRORS},
    )
    def get(self, request: Request, slug: str) -> Response:
        """An output's entries at the end of each run; of sweeps and fits a metric's values, point by point.

        At most 500 values a run; longer ones are thinned out evenly.
        """
        name = request.query_params.get("name", "")
        if not name or "\x00" in name:
            raise ValidationError({"name": "Give one of the names in `curves`."})
        run_ids = ids_of(request.query_params.get("runs", ""))
        try:
            with scope(self.workspace.id, self.actor.pk):
                found = curves(run_ids, name)
        except TooManyPoints as refusal:
            raise ValidationError({"runs": f"{refusal} Give fewer sweeps and fits."}) from None
        return Response(CurvesSerializer({"name": name, "curves": found}).data)
