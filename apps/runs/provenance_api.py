"""REST: what a run was made of, and making it again."""

from dataclasses import asdict
from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.ops.requests import body_of
from apps.runs import selectors
from apps.runs.api import NothingSerializer
from apps.runs.manifests import manifest_of
from apps.runs.models import Reproduction, Run
from apps.runs.points_api import SUBMITTED, Submission
from apps.runs.reproductions import prospect, reproduce
from apps.runs.verdicts import sentence
from apps.workspaces import idempotency
from apps.workspaces.api import NOT_FOUND, PROBLEM, WorkspaceAPIView
from apps.workspaces.missing import NotFound
from apps.workspaces.scope import reading


class ControlChangeSerializer(serializers.Serializer[Any]):
    tick = serializers.IntegerField()
    target = serializers.CharField()
    value = serializers.JSONField(help_text="True for a trigger.")


class ManifestGraphSerializer(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    version = serializers.IntegerField()
    content_hash = serializers.CharField()


class ManifestSerializer(serializers.Serializer[Any]):
    """Everything that is needed to compute a run again. What is not known yet is null."""

    run = serializers.UUIDField()
    kind = serializers.ChoiceField(choices=Run.Kind.choices)
    state = serializers.CharField()
    origin = serializers.UUIDField(allow_null=True, help_text="The run that this one repeats or reproduces.")
    graph = ManifestGraphSerializer()
    graph_hash = serializers.CharField()
    seed = serializers.IntegerField()
    ticks = serializers.IntegerField()
    design = serializers.DictField(allow_null=True, help_text="Of a sweep or a fit.")
    tier = serializers.CharField(allow_null=True, default=None)
    tier_reason = serializers.CharField(allow_null=True, default=None)
    device = serializers.CharField(allow_null=True, default=None, help_text="Class of the device.")
    versions = serializers.DictField(child=serializers.CharField(), allow_null=True, default=None)
    kinds = serializers.DictField(
        child=serializers.IntegerField(), allow_null=True, default=None, help_text="Versions of the kinds of nodes."
    )
    weights = serializers.DictField(
        child=serializers.DictField(), allow_null=True, default=None, help_text="By node, with SHA-256."
    )
    control_log = ControlChangeSerializer(many=True)
    result_hash = serializers.CharField(allow_blank=True)


class CircumstanceSerializer(serializers.Serializer[Any]):
    """Something that is not as it was; equal results are not promised then, and a difference is no fault by itself."""

    what = serializers.CharField(help_text="`tier`, `device`, `versions.torch`, `kinds.osc.array`, `weights.detector`.")
    then = serializers.JSONField(allow_null=True)
    now = serializers.JSONField(allow_null=True)


class ObstacleSerializer(serializers.Serializer[Any]):
    place = serializers.CharField()
    message = serializers.CharField()
    mend = serializers.CharField()


class ProspectSerializer(serializers.Serializer[Any]):
    possible = serializers.BooleanField()
    faults = ObstacleSerializer(many=True, help_text="Why not.")
    changed = CircumstanceSerializer(many=True)
    note = serializers.CharField(
        allow_blank=True, help_text="What it cannot be compared by, because the trail of the run is gone."
    )


class FirstDifferenceSerializer(serializers.Serializer[Any]):
    """Of a run: `tick`, `since` and `places`. Of a sweep or a fit: `point` and `params`."""

    tick = serializers.IntegerField(required=False, help_text="The first tick that is known to differ.")
    since = serializers.IntegerField(
        required=False, help_text="The last tick before it that is known to be equal; -1 when none is."
    )
    places = serializers.ListField(
        child=serializers.CharField(), required=False,
        help_text="`node.port` of all that differ in that tick, the one where it began first.",
    )  # fmt: skip
    hidden = serializers.BooleanField(
        required=False, help_text="Every port said the same; `places` are nodes whose state at the end differs."
    )
    point = serializers.IntegerField(required=False)
    params = serializers.DictField(required=False)


class ReproductionVerdictSerializer(serializers.Serializer[Any]):
    """What came of a reproduction."""

    run = serializers.UUIDField()
    of = serializers.UUIDField(allow_null=True, help_text="The run that it reproduces; null when that was deleted.")
    state = serializers.CharField(help_text="Of the run; the verdict of one that did not succeed stays `waiting`.")
    verdict = serializers.ChoiceField(choices=Reproduction.Verdict.choices)
    expected = serializers.CharField(help_text="Result hash of the run that it reproduces.")
    result_hash = serializers.CharField(allow_blank=True)
    first = FirstDifferenceSerializer(allow_null=True)
    changed = CircumstanceSerializer(many=True)
    message = serializers.CharField()


class RunManifest(WorkspaceAPIView):
    """What a run was made of."""

    @extend_schema(operation_id="runs_manifest_retrieve", responses={200: ManifestSerializer, **NOT_FOUND})
    def get(self, request: Request, slug: str, run_id: str) -> Response:
        """Graph, seed, length, tier, device, versions, weights and control log: enough to compute the run again."""
        run = selectors.run(self.workspace, run_id)
        return Response(ManifestSerializer(manifest_of(run)).data)


class RunReproducibility(WorkspaceAPIView):
    """Whether a run can be reproduced."""

    @extend_schema(operation_id="runs_reproducibility_retrieve", responses={200: ProspectSerializer, **NOT_FOUND})
    def get(self, request: Request, slug: str, run_id: str) -> Response:
        """Look here before reproducing it: what stands in the way, and what is not as it was."""
        found = prospect(selectors.run(self.workspace, run_id))
        faults, changed = [one.as_dict() for one in found.faults], [asdict(one) for one in found.changed]
        shown = {"possible": not found.faults, "faults": faults, "changed": changed, "note": found.note}
        return Response(ProspectSerializer(shown).data)


class RunReproduce(Submission):
    """Compute a run again."""

    @extend_schema(
        operation_id="runs_reproduce", parameters=[idempotency.PARAMETER], request=NothingSerializer,
        responses={**SUBMITTED, 409: PROBLEM},
    )  # fmt: skip
    def post(self, request: Request, slug: str, run_id: str) -> Response:
        """Queue a run with the graph version, seed, length, tier and control log of another.

        `origin` names the other. When it is over, its verdict says whether it is equal, or where it first differs. 409
        when the other did not succeed, or its graph or weights are not there any more.
        """
        body_of(NothingSerializer, request)
        return self.submitted(request, lambda: reproduce(self.actor, selectors.run(self.workspace, run_id)))


class RunVerdict(WorkspaceAPIView):
    """What came of a reproduction."""

    @extend_schema(operation_id="runs_verdict_retrieve", responses={200: ReproductionVerdictSerializer, **NOT_FOUND})
    def get(self, request: Request, slug: str, run_id: str) -> Response:
        """Equal, or where it first differs; 404 for a run that reproduces none."""
        run = selectors.run_alone(self.workspace, run_id)
        with reading(self.workspace.id):
            held = selectors.reproduction(run)
        if held is None:
            raise NotFound(f"verdict of run {run_id}")
        return Response(
            ReproductionVerdictSerializer(
                {
                    "run": run.pk, "of": run.origin_id, "state": run.state, "verdict": held.verdict,
                    "expected": held.expected, "result_hash": run.result_hash, "first": held.first,
                    "changed": held.changed,
                    "message": _not_compared(run) or sentence(held),
                }
            ).data
        )  # fmt: skip


def _not_compared(run: Run) -> str | None:
    if run.is_final and run.state != "succeeded":
        return f"Not compared: the reproduction itself {'failed' if run.state == 'failed' else 'was cancelled'}."
    return None
