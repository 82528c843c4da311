"""REST: what several runs recorded of a port, to be laid over each other."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import ValidationError

from apps.ops.problems import Unavailable
from apps.runs import files
from apps.runs.comparisons import MOST
from apps.runs.comparisons_api import PAGE_SIZE, RUNS, cursor_of, ids_of, next_page, number_of, run_of
from apps.runs.overlays import FEWEST_POINTS, MOST_POINTS, USUAL_POINTS, overlay
from apps.workspaces.api import LIST_ERRORS, PROBLEM, WorkspaceAPIView

AXES = ("seconds", "ticks")
MOST_ELEMENT = 2**31 - 1
PORT_LENGTH = 130
LEFT_OUT = (
    "nothing_recorded", "run_not_over", "recording_pending", "recording_gone", "recording_damaged",
    "port_not_recorded", "no_such_element",
)  # fmt: skip


class SeriesSerializer(serializers.Serializer[Any]):
    run = serializers.UUIDField()
    samples = serializers.IntegerField(help_text="Values that it has.")
    not_finite = serializers.IntegerField(help_text="How many of them are no finite numbers.")
    thinned = serializers.BooleanField(
        help_text="Whether there are fewer here: the smallest and the largest of each of even intervals, and both ends."
    )
    x = serializers.ListField(child=serializers.FloatField(), help_text="Growing.")
    y = serializers.ListField(child=serializers.FloatField(allow_null=True), help_text="Null: not finite.")


class LeftOutSerializer(serializers.Serializer[Any]):
    run = serializers.UUIDField()
    code = serializers.ChoiceField(choices=LEFT_OUT)
    message = serializers.CharField()


class OverlaySerializer(serializers.Serializer[Any]):
    port = serializers.CharField()
    unit = serializers.CharField(allow_blank=True)
    axis = serializers.ChoiceField(choices=AXES)
    element = serializers.IntegerField()
    count = serializers.IntegerField(help_text="Of all runs that are compared.")
    next = serializers.CharField(allow_null=True, help_text="Address of the next page.")
    results = SeriesSerializer(many=True, help_text="Of the runs of this page.")
    left_out = LeftOutSerializer(many=True, help_text="Runs of this page that have no series, and why.")


class RunsSeries(WorkspaceAPIView):
    """Recorded series of runs, to be laid over each other."""

    # The files are read when the rows have been: no connection waits for the storage.
    own_scope = ("GET",)

    @extend_schema(
        operation_id="runs_compare_series",
        parameters=[
            RUNS,
            OpenApiParameter(
                "port", {"type": "string", "minLength": 1, "maxLength": PORT_LENGTH}, required=True,
                description="`node.port`, one of `recorded`.",
            ),
            OpenApiParameter(
                "axis", str, enum=AXES, default="seconds", description="Simulated time, or ticks of the run."
            ),
            OpenApiParameter(
                "element", {"type": "integer", "minimum": 0, "maximum": MOST_ELEMENT, "default": 0},
                description="Which number of a value that has several, counted along its last axis first.",
            ),
            OpenApiParameter(
                "points", {
                    "type": "integer", "minimum": FEWEST_POINTS, "maximum": MOST_POINTS, "default": USUAL_POINTS,
                },
                description="Of each run, at most.",
            ),
            OpenApiParameter("cursor", str, description="Of the page, as `next` has it."),
            OpenApiParameter(
                "page_size", {"type": "integer", "minimum": 1, "maximum": MOST, "default": PAGE_SIZE},
                description="Runs on a page, at most: pages of long recordings have fewer.",
            ),
        ],
        responses={200: OverlaySerializer, **LIST_ERRORS, 409: PROBLEM, 503: PROBLEM},
    )  # fmt: skip
    def get(self, request: Request, slug: str) -> Response:
        """What 2 to 100 runs recorded of one port, thinned without losing an extreme.

        A signal is the row of its samples, a complex number its magnitude. Runs that have no such recording are in
        `left_out` with the reason; 409 when none has it (`recording_pending`: ask again; `nothing_recorded`). A run
        that is not there is 404 for all of them.
        """
        asked = request.query_params
        port, axis = asked.get("port", ""), asked.get("axis", "seconds")
        if not port or "\x00" in port or len(port) > PORT_LENGTH:
            raise ValidationError({"port": "Give one of the ports in `recorded`."})
        if axis not in AXES:
            raise ValidationError({"axis": f"Give {' or '.join(AXES)}."})
        run_ids = ids_of(asked.get("runs", ""))
        element = number_of("element", asked.get("element", "0"), 0, MOST_ELEMENT)
        points = number_of("points", asked.get("points", str(USUAL_POINTS)), FEWEST_POINTS, MOST_POINTS)
        size = number_of("page_size", asked.get("page_size", str(PAGE_SIZE)), 1, MOST)
        cursor = asked.get("cursor", "")
        after = run_of(cursor, run_ids) if cursor else None
        try:
            found = overlay(
                self.workspace, run_ids, port,
                element=element, seconds=axis == "seconds", points=points, after=after, at_most=size,
            )  # fmt: skip
        except files.AWAY as away:
            raise Unavailable("The storage cannot be reached. Ask again soon.", "storage_away") from away
        body = {
            "port": port, "unit": found.unit, "axis": axis, "element": element, "count": len(run_ids),
            "next": next_page(request, None if found.last is None else cursor_of(found.last)),
            "results": found.series, "left_out": found.left_out,
        }  # fmt: skip
        return Response(OverlaySerializer(body).data)
