"""REST: presets and node kinds."""

from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.generics import ListAPIView
from rest_framework.request import Request
from rest_framework.response import Response

from apps.ops import filters
from apps.ops.counted import CountedAPIView
from apps.ops.filters import AllowedFilters
from apps.ops.paging import Pages
from apps.ops.preconditions import IF_NONE_MATCH, tagged
from apps.presets.models import AcceptanceVerdict, Preset
from apps.presets.selectors import gallery, latest_verdicts, node_catalogue, preset
from apps.workspaces.api import LIST_ERRORS, NO_ENTRY, NOT_FOUND
from apps.workspaces.missing import NotFound


class VerdictSerializer(serializers.ModelSerializer[AcceptanceVerdict]):
    class Meta:
        model = AcceptanceVerdict
        fields = ("tier", "passed", "seeds", "numbers", "code_version", "graph_hash", "applies", "at")


class PresetSummarySerializer(serializers.ModelSerializer[Preset]):
    tags = serializers.ListField(child=serializers.CharField())

    class Meta:
        model = Preset
        fields: tuple[str, ...] = ("id", "version", "title", "category", "tags", "summary", "content_hash")


class PresetSerializer(PresetSummarySerializer):
    document = serializers.DictField(help_text="The preset's JSON, schema v2.")
    verdicts = serializers.SerializerMethodField(help_text="The newest verdict of each acceptance tier.")

    class Meta(PresetSummarySerializer.Meta):
        fields = (*PresetSummarySerializer.Meta.fields, "document", "verdicts")

    @extend_schema_field(VerdictSerializer(many=True))
    def get_verdicts(self, of: Preset) -> list[dict[str, Any]]:
        return list(VerdictSerializer(latest_verdicts(of), many=True).data)


class ByCategory(Pages):
    ordering = ("category", "title", "id")
    page_size = 100


class PresetList(CountedAPIView, ListAPIView[Preset]):
    """The built-in presets, by category."""

    serializer_class = PresetSummarySerializer
    pagination_class = ByCategory
    filter_backends = (AllowedFilters,)
    filters = {
        "category": filters.phrase("category", "Of this category."),
        "tag": filters.phrase("tags__contains", "With this tag.", wrap=lambda tag: [tag]),
    }

    def get_queryset(self) -> QuerySet[Preset]:
        return gallery().defer("document")

    @extend_schema(responses={200: PresetSummarySerializer(many=True), **LIST_ERRORS})
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return super().get(request, *args, **kwargs)


class PresetDetail(CountedAPIView):
    """One preset with its document and the verdicts of its acceptance."""

    @extend_schema(operation_id="presets_retrieve", responses={200: PresetSerializer, **NOT_FOUND})
    def get(self, request: Request, preset_id: str) -> Response:
        return Response(PresetSerializer(preset(preset_id)).data)


class NodeKindsSerializer(serializers.Serializer[Any]):
    results = serializers.ListField(
        child=serializers.DictField(), help_text="Declarations: kind, title, ports, parameters, equation, references."
    )


_KINDS_CACHE = "private, max-age=300"


class NodeKinds(CountedAPIView):
    """The node kinds of this installation, each as it declares itself."""

    @extend_schema(
        operation_id="nodes_list", parameters=[IF_NONE_MATCH], responses={200: NodeKindsSerializer, **NO_ENTRY}
    )
    def get(self, request: Request) -> Response:
        catalogue = node_catalogue()
        return tagged(request, catalogue.etag, {"results": list(catalogue.declarations.values())}, _KINDS_CACHE)


class NodeKindDetail(CountedAPIView):
    """One node kind: its ports, parameters (unit, default, range, live or structural), equation and references."""

    @extend_schema(
        operation_id="nodes_retrieve",
        parameters=[IF_NONE_MATCH],
        responses={200: {"type": "object", "additionalProperties": True}, **NOT_FOUND},
    )
    def get(self, request: Request, kind: str) -> Response:
        catalogue = node_catalogue()
        if kind not in catalogue.declarations:
            raise NotFound(f"node kind {kind}")
        return tagged(request, catalogue.etag, catalogue.declarations[kind], _KINDS_CACHE)
