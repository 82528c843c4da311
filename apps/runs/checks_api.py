"""REST: checks of graphs, with what a run of them would take."""

from dataclasses import asdict
from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.ops.problems import LISTED, FaultSerializer
from apps.ops.requests import StrictSerializer, body_of
from apps.runs.services import DEFAULT_TICKS
from apps.workspaces.api import WRITE_ERRORS, WorkspaceAPIView


class GraphToCheckSerializer(StrictSerializer):
    spec = serializers.JSONField(help_text="Nodes, edges and routes.")
    ticks = serializers.IntegerField(default=DEFAULT_TICKS, min_value=0, max_value=2**63 - 1, help_text="Length.")


class EstimateSerializer(serializers.Serializer[Any]):
    content_hash = serializers.CharField()
    nodes = serializers.IntegerField()
    ticks = serializers.IntegerField()
    memory_bytes = serializers.IntegerField()
    flops_per_tick = serializers.FloatField(help_text="Floating-point operations.")
    flops = serializers.FloatField(help_text="Floating-point operations of all ticks.")
    simulated_s = serializers.FloatField(help_text="Seconds of model time.")
    expected_s = serializers.FloatField(
        allow_null=True,
        help_text="Seconds on a worker, by the speed of this workspace's newest runs; null where there are none.",
    )


class CheckedGraphSerializer(serializers.Serializer[Any]):
    ok = serializers.BooleanField(help_text="Whether it would be taken.")
    problems = FaultSerializer(many=True, help_text=f"At most {LISTED}.")
    estimate = EstimateSerializer(allow_null=True, help_text="null where the graph cannot be run.")


class GraphCheck(WorkspaceAPIView):
    """A look at a graph that is kept nowhere."""

    large_body = True

    @extend_schema(
        operation_id="graphs_check",
        request=GraphToCheckSerializer,
        responses={200: CheckedGraphSerializer, **WRITE_ERRORS},
    )
    def post(self, request: Request, slug: str) -> Response:
        """Every problem of a graph, and the memory, work and time that a run would take. Nothing is saved or queued."""
        body = body_of(GraphToCheckSerializer, request)
        from apps.runs.estimates import checked_estimate  # brings torch, which not every process with addresses needs

        estimate, faults = checked_estimate(body["spec"], body["ticks"])
        return Response({
            "ok": not faults,
            "problems": [fault.as_dict() for fault in faults[:LISTED]],
            "estimate": None if estimate is None else asdict(estimate),
        })  # fmt: skip
