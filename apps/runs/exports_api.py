"""REST: exports of runs, and the formats that they allow."""

from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.generics import ListAPIView
from rest_framework.request import Request
from rest_framework.response import Response

from apps.ops import filters
from apps.ops.filters import AllowedFilters
from apps.ops.paging import NewestFirst
from apps.ops.requests import StrictSerializer, body_of
from apps.runs import exports, selectors
from apps.runs.api import NothingSerializer
from apps.runs.artifacts_api import ArtifactSerializer
from apps.runs.models import Export
from apps.runs.outages import Cause
from apps.workspaces import idempotency
from apps.workspaces.api import LIST_ERRORS, NOT_FOUND, PROBLEM, WRITE_ERRORS, WorkspaceAPIView
from apps.workspaces.scope import reading, scope

AWAY = (Cause.STORAGE.value, Cause.DATABASE.value)
FORMATS = ("csv", "hdf5", "midi", "netcdf", "npz", "parquet", "png", "wav")


class NewExportSerializer(StrictSerializer):
    format = serializers.ChoiceField(choices=FORMATS)
    ports = serializers.ListField(
        child=serializers.CharField(max_length=130), max_length=256, required=False,
        help_text="`node.port` of what is written; left out: all that the format takes.",
    )  # fmt: skip


class ExportErrorSerializer(serializers.Serializer[Any]):
    code = serializers.CharField()
    message = serializers.CharField()
    mend = serializers.CharField()


class WaitingSerializer(serializers.Serializer[Any]):
    """What is put off because something that it needs is away; it goes on by itself."""

    waits_for = serializers.ChoiceField(choices=AWAY)
    next_try = serializers.DateTimeField(source="due_at")
    since = serializers.DateTimeField(source="put_off_since", help_text="When it was put off first.")
    tries = serializers.IntegerField(source="put_offs", help_text="That found something away.")
    message = serializers.SerializerMethodField()

    def get_message(self, row: Any) -> str:
        return str(row.waiting(row.due_at))


class ExportSerializer(serializers.ModelSerializer[Export]):
    run = serializers.UUIDField(source="run_id")
    format = serializers.ChoiceField(choices=FORMATS)
    ports = serializers.ListField(child=serializers.CharField())
    error = ExportErrorSerializer(allow_null=True)
    waiting = serializers.SerializerMethodField(
        help_text="Why a queued export is not written now; null: its turn comes."
    )
    artifact = ArtifactSerializer(allow_null=True, help_text="Its file, once there is one that was not deleted.")

    @extend_schema_field(WaitingSerializer(allow_null=True))
    def get_waiting(self, found: Export) -> dict[str, Any] | None:
        return dict(WaitingSerializer(found).data) if found.state == "queued" and found.waits_for else None

    class Meta:
        model = Export
        fields = (
            "id", "run", "format", "ports", "state", "progress", "waiting", "error", "artifact", "created_at",
            "finished_at",
        )  # fmt: skip
        read_only_fields = fields


class FormatSerializer(serializers.Serializer[Any]):
    format = serializers.ChoiceField(choices=FORMATS)
    ports = serializers.ListField(
        child=serializers.CharField(), help_text="Ports that it takes; a table of points has none."
    )
    one = serializers.BooleanField(help_text="Whether a file holds one port only.")


class RunFormats(WorkspaceAPIView):
    """In which formats what a run left can be exported."""

    @extend_schema(operation_id="runs_formats_list", responses={200: FormatSerializer(many=True), **NOT_FOUND})
    def get(self, request: Request, slug: str, run_id: str) -> Response:
        """Empty while the run goes on, and when there is nothing to export."""
        from attractor.exporting.formats import FORMATS as KNOWN

        run = selectors.run(self.workspace, run_id)
        with reading(self.workspace.id):
            found = exports.formats_of(run)
        return Response([{"format": name, "ports": ports, "one": KNOWN[name].one} for name, ports in found.items()])


class RunExports(WorkspaceAPIView, ListAPIView[Export]):
    """The exports of a run, newest first."""

    serializer_class = ExportSerializer
    pagination_class = NewestFirst
    filter_backends = (AllowedFilters,)
    filters = {
        "state": filters.one_of("state__in", Export.State.values, "In this state."),
        "format": filters.one_of("format__in", FORMATS, "In this format."),
        **filters.CREATED,
    }
    # A small one is written between the commit that makes it and the answer.
    own_scope = ("POST",)

    def get_queryset(self) -> QuerySet[Export]:
        return exports.exports_of(selectors.run_alone(self.workspace, self.kwargs["run_id"]))

    @extend_schema(operation_id="runs_exports_list", responses={200: ExportSerializer(many=True), **LIST_ERRORS})
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return super().get(request, *args, **kwargs)

    @extend_schema(
        operation_id="runs_exports_create", parameters=[idempotency.PARAMETER], request=NewExportSerializer,
        responses={201: ExportSerializer, **WRITE_ERRORS, 409: PROBLEM, 422: PROBLEM},
    )  # fmt: skip
    def post(self, request: Request, slug: str, run_id: str) -> Response:
        """Export what a run recorded, or the points of a sweep or fit, once it is over.

        A small export has its artifact in the answer, a large one is written in the background: ask for it again. While
        the storage or the database is away it stays queued, and `waiting` says when it is tried next. 400 for a format
        that does not take the ports (it names those that do), 409 when there is nothing to export, 429 when the storage
        quota does not have the room.
        """
        body = body_of(NewExportSerializer, request)
        run = selectors.run(self.workspace, run_id)

        def submitted() -> UUID:
            return exports.submit_export(self.actor, run, body["format"], body.get("ports", [])).pk

        with scope(self.workspace.id, self.actor.pk):
            export_id = idempotency.once(self.actor, request, submitted)
        if exports.at_once(exports.export(self.workspace, export_id)):
            exports.write_export(self.workspace.id, export_id)
        return Response(_shown(self, exports.export(self.workspace, export_id)), status=201)


class ExportDetail(WorkspaceAPIView):
    """One export."""

    @extend_schema(operation_id="exports_retrieve", responses={200: ExportSerializer, **NOT_FOUND})
    def get(self, request: Request, slug: str, export_id: str) -> Response:
        return Response(_shown(self, exports.export(self.workspace, export_id)))


class ExportCancel(WorkspaceAPIView):
    """Stop an export."""

    @extend_schema(
        operation_id="exports_cancel", request=NothingSerializer,
        responses={200: ExportSerializer, **WRITE_ERRORS, 409: PROBLEM},
    )  # fmt: skip
    def post(self, request: Request, slug: str, export_id: str) -> Response:
        """409 when it has ended."""
        body_of(NothingSerializer, request)
        found = exports.cancel_export(self.actor, exports.export(self.workspace, export_id))
        return Response(_shown(self, found))


def _shown(view: WorkspaceAPIView, found: Export) -> dict[str, Any]:
    return dict(ExportSerializer(found, context={"view": view}).data)
