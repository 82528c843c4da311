"""REST: sweeps and fits of graphs, and their points."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.generics import ListAPIView
from rest_framework.pagination import CursorPagination
from rest_framework.request import Request
from rest_framework.response import Response

from apps.ops.requests import StrictSerializer, body_of
from apps.projects.selectors import graph
from apps.runs import fits, points, selectors, sweeps
from apps.runs.models import Run, RunPoint
from apps.runs.serializers import RunErrorSerializer, SubmittedRunSerializer, run_json
from apps.workspaces import idempotency
from apps.workspaces.api import NOT_FOUND, PROBLEM, WRITE_ERRORS, WorkspaceAPIView
from apps.workspaces.scope import scope

_TARGET = 130
SEED = "seed"  # as `attractor.sweep_axis` has it, which brings torch
_SEED = "0 to 2^63 - 1; drawn when left out."
_MAX_SECONDS = "Time for which it may hold workers, in all, before it fails; the quota's when left out."


class EndField(serializers.FloatField):
    """An end of a range. A whole number stays one: seeds are, and above 2^53 a float is another."""

    def to_internal_value(self, data: Any) -> float:
        if isinstance(data, int) and not isinstance(data, bool) and 0 <= data < 2**63:
            return data
        return super().to_internal_value(data)


class AxisSerializer(StrictSerializer):
    """Either `values`, or `min` and `max`."""

    target = serializers.CharField(max_length=_TARGET, help_text="`node.param`, or `seed`.")
    values = serializers.ListField(
        child=serializers.JSONField(), required=False, min_length=1, max_length=100_000, help_text="One by one."
    )
    min = EndField(required=False)
    max = EndField(required=False)
    steps = serializers.IntegerField(required=False, min_value=2, help_text="Values of a grid, both ends among them.")
    scale = serializers.ChoiceField(["lin", "log"], required=False, help_text="`lin` unless said.")

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        ranged = {"min", "max", "steps", "scale"} & attrs.keys()
        if ("values" in attrs) == bool(ranged):
            raise serializers.ValidationError("Send either values, or min and max, not both and not neither.")
        missing = {"min", "max"} - attrs.keys()
        if ranged and missing:
            raise serializers.ValidationError(dict.fromkeys(sorted(missing), "A range has both ends."))
        if ranged and attrs["target"] != SEED:
            attrs |= {name: float(attrs[name]) for name in ("min", "max")}
        return attrs


class MetricSerializer(StrictSerializer):
    port = serializers.CharField(max_length=_TARGET, help_text="`node.port` of a scalar output.")
    reduce = serializers.ChoiceField(["last", "mean", "min", "max"], default="last")
    start = serializers.IntegerField(default=0, min_value=0, help_text="Only values from this tick on count.")


class NewSweepSerializer(StrictSerializer):
    graph = serializers.UUIDField()
    axes = serializers.ListField(child=AxisSerializer(), min_length=1, max_length=32)
    sampling = serializers.ChoiceField(["grid", "random", "sobol"], default="grid")
    points = serializers.IntegerField(
        required=False, min_value=1, help_text="How many are drawn; a grid has as many as its axes give."
    )
    metrics = serializers.ListField(
        child=MetricSerializer(), required=False, max_length=64,
        help_text="Left out: the last value of every scalar output.",
    )  # fmt: skip
    seed = serializers.IntegerField(required=False, help_text=_SEED)
    ticks = serializers.IntegerField(required=False, help_text="Length of the run of every point.")
    max_seconds = serializers.IntegerField(required=False, help_text=_MAX_SECONDS)


class FittedSerializer(StrictSerializer):
    target = serializers.CharField(max_length=_TARGET, help_text="`node.param` of a live number with a fraction.")
    min = serializers.FloatField(required=False)
    max = serializers.FloatField(required=False)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if ("min" in attrs) != ("max" in attrs):
            raise serializers.ValidationError("Send both bounds, or none.")
        return attrs


class LossSerializer(StrictSerializer):
    """The mean of (value − target)² over the elements of a port and the ticks from `start` on."""

    port = serializers.CharField(max_length=_TARGET, help_text="`node.port` of an output of real numbers.")
    target = serializers.JSONField(
        help_text="A number, or lists of the port's shape; with one more axis in front one such for every tick."
    )
    start = serializers.IntegerField(default=0, min_value=0)


class NewFitSerializer(StrictSerializer):
    graph = serializers.UUIDField()
    params = serializers.ListField(child=FittedSerializer(), min_length=1, max_length=64)
    loss = LossSerializer()
    iterations = serializers.IntegerField(default=100, min_value=1)
    rate = serializers.FloatField(
        default=0.02, min_value=1e-9, max_value=10.0, help_text="Adam's step size, in units of a parameter's range."
    )
    window = serializers.IntegerField(
        required=False,
        min_value=1,
        max_value=100_000,
        help_text="Ticks between cuts of the gradient; 100 unless said.",
    )
    seed = serializers.IntegerField(required=False, help_text=_SEED)
    ticks = serializers.IntegerField(required=False, help_text="Length of every evaluation.")
    max_seconds = serializers.IntegerField(required=False, help_text=_MAX_SECONDS)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        targets = [one["target"] for one in attrs["params"]]
        if len(set(targets)) < len(targets):
            raise serializers.ValidationError({"params": "A parameter is there twice."})
        return attrs


class RerunSerializer(StrictSerializer):
    max_seconds = serializers.IntegerField(
        required=False, help_text="Time for which it may hold workers before it fails; that of the other when left out."
    )


class RunPointSerializer(serializers.ModelSerializer[RunPoint]):
    params = serializers.DictField()
    metrics = serializers.DictField(child=serializers.FloatField(allow_null=True))
    error = RunErrorSerializer(allow_null=True)

    class Meta:
        model = RunPoint
        fields = ("index", "state", "params", "seed", "metrics", "error", "result_hash", "carried", "finished_at")


class ApplySerializer(StrictSerializer):
    onto_newest = serializers.BooleanField(
        default=False, help_text="Also when the graph has a newer version than the fitted one: onto that one."
    )


class AppliedSerializer(serializers.Serializer[Any]):
    graph = serializers.UUIDField()
    version = serializers.IntegerField()
    content_hash = serializers.CharField()


class InOrder(CursorPagination):
    """Points by their number."""

    ordering = ("index",)
    page_size = 200
    page_size_query_param = "page_size"
    max_page_size = 1000


class Submission(WorkspaceAPIView):
    """Queues a run: the transaction is the view's own, so that the answer says whether the broker was told."""

    large_body = True

    own_scope = ("POST",)

    def submitted(self, request: Request, submit: Callable[[], Run]) -> Response:
        warnings: list[str] = []

        def made() -> UUID:
            nonlocal warnings
            run = submit()
            warnings = run.warnings  # filled when the transaction has ended
            return run.pk

        with scope(self.workspace.id, self.actor.pk):
            run_id = idempotency.once(self.actor, request, made)
        answer = run_json(selectors.shown_run(self.workspace, run_id))
        return Response({**answer, "warnings": warnings}, status=201)


SUBMITTED: dict[int, Any] = {201: SubmittedRunSerializer, **WRITE_ERRORS, 422: PROBLEM, 429: PROBLEM}


def _named(body: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: body[name] for name in names if name in body}


class SweepList(Submission):
    """Sweeps of the workspace's graphs; they are runs, and listed among them."""

    @extend_schema(
        operation_id="sweeps_create", parameters=[idempotency.PARAMETER], request=NewSweepSerializer,
        responses=SUBMITTED,
    )  # fmt: skip
    def post(self, request: Request, slug: str) -> Response:
        """Queue a sweep: a graph's newest version at many points.

        422 when it can never run (graph, axes, metrics, too many points), 429 when the workspace's quota is used up.
        """
        body = body_of(NewSweepSerializer, request)
        design = _named(body, "axes", "sampling", "points", "metrics")
        return self.submitted(
            request,
            lambda: sweeps.submit_sweep(
                self.actor,
                self.workspace,
                graph(body["graph"]),
                design,
                body.get("seed"),
                body.get("ticks"),
                body.get("max_seconds"),
            ),
        )


class FitList(Submission):
    """Fits of the workspace's graphs; they are runs, and listed among them."""

    @extend_schema(
        operation_id="fits_create", parameters=[idempotency.PARAMETER], request=NewFitSerializer, responses=SUBMITTED
    )
    def post(self, request: Request, slug: str) -> Response:
        """Queue a fit: live parameters of a graph's newest version that make a loss small, by gradients (Adam).

        422 when it can never run (graph, parameters, loss, no gradient), 429 when the workspace's quota is used up.
        """
        body = body_of(NewFitSerializer, request)
        design = _named(body, "params", "loss", "iterations", "rate", "window")
        return self.submitted(
            request,
            lambda: fits.submit_fit(
                self.actor,
                self.workspace,
                graph(body["graph"]),
                design,
                body.get("seed"),
                body.get("ticks"),
                body.get("max_seconds"),
            ),
        )


class RunRerun(Submission):
    """Compute again what failed."""

    @extend_schema(
        operation_id="runs_rerun", parameters=[idempotency.PARAMETER], request=RerunSerializer,
        responses={**SUBMITTED, 409: PROBLEM},
    )  # fmt: skip
    def post(self, request: Request, slug: str, run_id: str) -> Response:
        """Queue a sweep of those points of another that failed or were never computed.

        It has the points that succeeded already, so that in the end it is the whole sweep. `origin` names the other.
        """
        limit = body_of(RerunSerializer, request).get("max_seconds")
        return self.submitted(
            request, lambda: sweeps.rerun_failed(self.actor, selectors.run(self.workspace, run_id), limit)
        )


class RunPoints(WorkspaceAPIView, ListAPIView[RunPoint]):
    """The points of a sweep or the iterations of a fit that are done, in their order."""

    serializer_class = RunPointSerializer
    pagination_class = InOrder

    def get_queryset(self) -> QuerySet[RunPoint]:
        if getattr(self, "swagger_fake_view", False):
            return RunPoint.objects.none()
        found = points.points(selectors.run_alone(self.workspace, self.kwargs["run_id"]))
        state = self.request.query_params.get("state")
        if state is None:
            return found
        if state not in RunPoint.State.values:
            raise serializers.ValidationError({"state": f"Give one of {', '.join(RunPoint.State.values)}."})
        return found.filter(state=state)

    @extend_schema(
        operation_id="runs_points_list",
        parameters=[OpenApiParameter("state", str, enum=RunPoint.State.values, description="Only those.")],
        responses={200: RunPointSerializer(many=True), 400: PROBLEM, **NOT_FOUND},
    )
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return super().get(request, *args, **kwargs)


class RunApply(WorkspaceAPIView):
    """Put fitted values into the graph."""

    @extend_schema(
        operation_id="runs_apply", request=ApplySerializer,
        responses={201: AppliedSerializer, **WRITE_ERRORS, 409: PROBLEM, 422: PROBLEM},
    )  # fmt: skip
    def post(self, request: Request, slug: str, run_id: str) -> Response:
        """Make a new version of the fitted graph with the values that were found as base values.

        409 when the graph has changed since, unless `onto_newest` is true. Applying again makes no further version.
        """
        body = body_of(ApplySerializer, request)
        run = selectors.run(self.workspace, run_id)
        version = fits.apply_fit(self.actor, run, onto_newest=body["onto_newest"])
        answer = {"graph": version.graph_id, "version": version.number, "content_hash": version.content_hash}
        return Response(AppliedSerializer(answer).data, status=201)
