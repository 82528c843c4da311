"""Runs as JSON, for the API and for the first message of a socket."""

from dataclasses import asdict
from functools import cache
from typing import Any
from uuid import UUID

from django.urls import get_script_prefix, reverse
from drf_spectacular.utils import extend_schema_field, inline_serializer
from rest_framework import serializers

from apps.ops.representation import represented
from apps.runs.models import Run, RunCommand, RunEvent
from apps.runs.selectors import place_of

_ACTIONS = (
    "events", "result", "cancel", "pause", "resume", "controls", "triggers", "points", "rerun", "apply", "manifest",
    "reproducibility", "reproduce", "verdict", "formats", "exports", "recording",
)  # fmt: skip


class RunGraphSerializer(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    name = serializers.CharField()
    version = serializers.IntegerField()
    content_hash = serializers.CharField()


class RunGraphWithSpecSerializer(RunGraphSerializer):
    spec = serializers.DictField()


class RunPresetSerializer(serializers.Serializer[Any]):
    id = serializers.CharField()
    title = serializers.CharField()


class RunPresetWithControlsSerializer(RunPresetSerializer):
    controls = serializers.ListField(child=serializers.DictField())
    actions = serializers.ListField(child=serializers.DictField())


class RunErrorSerializer(serializers.Serializer[Any]):
    code = serializers.CharField()
    node = serializers.CharField(allow_null=True)
    tick = serializers.IntegerField(allow_null=True)
    message = serializers.CharField()
    mend = serializers.CharField()


_Urls = inline_serializer("RunUrls", {name: serializers.CharField() for name in (*_ACTIONS, "artifacts", "socket")})


@cache
def _patterns(prefix: str) -> dict[str, str]:
    """The addresses of a run with {slug} and {run_id} in place of its own: to look one up takes longer than to fill it
    in, and a run has many. `prefix` is where the site begins, which `reverse` puts in front."""
    slug, run_id = "a-slug-that-nobody-has", UUID(int=2**128 - 1)
    urls = {name: reverse(f"api-run-{name}", kwargs={"slug": slug, "run_id": run_id}) for name in _ACTIONS}
    urls["artifacts"] = f"{reverse('api-artifacts', kwargs={'slug': slug})}?run={run_id}"
    urls["socket"] = f"/ws/v1/workspaces/{slug}/runs/{run_id}/"
    return {name: url.replace(slug, "{slug}").replace(str(run_id), "{run_id}") for name, url in urls.items()}


class RunSummarySerializer(serializers.ModelSerializer[Run]):
    """A run as lists show it."""

    error = RunErrorSerializer(allow_null=True)
    origin = serializers.UUIDField(source="origin_id", allow_null=True)
    graph = serializers.SerializerMethodField()
    preset = serializers.SerializerMethodField()
    urls = serializers.SerializerMethodField()

    class Meta:
        model = Run
        fields: tuple[str, ...] = (
            "id", "kind", "origin", "points_total", "points_done", "points_failed",
            "state", "paused", "seed", "ticks", "tick", "progress", "eta_s", "ticks_per_s", "max_seconds",
            "error", "result_hash", "graph", "preset", "created_at", "started_at", "finished_at", "urls",
        )  # fmt: skip
        read_only_fields: tuple[str, ...] = fields

    @extend_schema_field(RunGraphSerializer)
    def get_graph(self, run: Run) -> dict[str, Any]:
        version = run.graph_version
        return {
            "id": str(version.graph_id),
            "name": version.graph.name,
            "version": version.number,
            "content_hash": version.content_hash,
        }

    @extend_schema_field(RunPresetSerializer(allow_null=True))
    def get_preset(self, run: Run) -> dict[str, Any] | None:
        preset = run.graph_version.graph.preset
        return None if preset is None else {"id": preset.pk, "title": preset.title}

    @extend_schema_field(_Urls)
    def get_urls(self, run: Run) -> dict[str, str]:
        address = {"slug": run.workspace.slug, "run_id": run.pk}
        return {name: pattern.format(**address) for name, pattern in _patterns(get_script_prefix()).items()}


class RunPlaceSerializer(serializers.Serializer[Any]):
    position = serializers.IntegerField(help_text="1 for the run that is taken next.")
    starts_in_s = serializers.FloatField(allow_null=True, help_text="Estimated seconds until a worker takes it.")


class RunHelloSerializer(RunSummarySerializer):
    """A run without the graph's spec and the result, with the preset's controls and actions, and its place in the
    queue."""

    queue = serializers.SerializerMethodField()
    design = serializers.DictField(allow_null=True, help_text="What a sweep or a fit computes.")
    recording = serializers.ListField(
        child=serializers.DictField(), help_text="{node, port, every} of what it records."
    )

    class Meta(RunSummarySerializer.Meta):
        fields = (*RunSummarySerializer.Meta.fields, "design", "recording", "recording_bytes", "queue")
        read_only_fields: tuple[str, ...] = fields

    @extend_schema_field(RunPlaceSerializer(allow_null=True))
    def get_queue(self, run: Run) -> dict[str, Any] | None:
        place = place_of(run)
        return None if place is None else asdict(place)

    @extend_schema_field(RunPresetWithControlsSerializer(allow_null=True))
    def get_preset(self, run: Run) -> dict[str, Any] | None:
        preset = run.graph_version.graph.preset
        if preset is None:
            return None
        return {
            "id": preset.pk,
            "title": preset.title,
            "controls": preset.document.get("controls", []),
            "actions": preset.document.get("actions", []),
        }


class RunSerializer(RunHelloSerializer):
    """A run with everything."""

    result = serializers.DictField(allow_null=True)

    class Meta(RunHelloSerializer.Meta):
        fields = (*RunHelloSerializer.Meta.fields, "result")
        read_only_fields: tuple[str, ...] = fields

    @extend_schema_field(RunGraphWithSpecSerializer)
    def get_graph(self, run: Run) -> dict[str, Any]:
        return {**super().get_graph(run), "spec": run.graph_version.spec}


class SubmittedRunSerializer(RunSerializer):
    """A run that was just queued."""

    warnings = serializers.ListField(
        child=serializers.CharField(), help_text="What did not go as it should, though the run is kept."
    )

    class Meta(RunSerializer.Meta):
        fields = (*RunSerializer.Meta.fields, "warnings")
        read_only_fields: tuple[str, ...] = fields


class RunEventSerializer(serializers.ModelSerializer[RunEvent]):
    payload = serializers.DictField()

    class Meta:
        model = RunEvent
        fields = ("seq", "kind", "tick", "payload", "at")
        read_only_fields = fields


class RunCommandSerializer(serializers.ModelSerializer[RunCommand]):
    payload = serializers.DictField()

    class Meta:
        model = RunCommand
        fields = ("seq", "kind", "payload", "created_at", "applied_at", "applied_tick")
        read_only_fields = fields


def run_json(run: Run) -> dict[str, Any]:
    """Everything about a run, as `GET …/runs/<id>/` gives it. Needs a run of `selectors.run`."""
    return represented(RunSerializer, run)


def hello_json(run: Run) -> dict[str, Any]:
    """The same without the graph's spec and the result. Needs a run of `selectors.run`."""
    return represented(RunHelloSerializer, run)
