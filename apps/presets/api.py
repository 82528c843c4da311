"""REST: presets and node kinds."""

from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.generics import ListAPIView
from rest_framework.pagination import CursorPagination
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from apps.presets.models import AcceptanceVerdict, Preset
from apps.presets.selectors import gallery, latest_verdicts, preset
from apps.workspaces.api import NOT_FOUND, PROBLEM


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


class ByCategory(CursorPagination):
    ordering = ("category", "title", "id")
    page_size = 100


class PresetList(ListAPIView[Preset]):
    """The built-in presets, by category."""

    serializer_class = PresetSummarySerializer
    pagination_class = ByCategory

    def get_queryset(self) -> QuerySet[Preset]:
        return gallery().defer("document")


class PresetDetail(APIView):
    """One preset with its document and the verdicts of its acceptance."""

    @extend_schema(operation_id="presets_retrieve", responses={200: PresetSerializer, **NOT_FOUND})
    def get(self, request: Request, preset_id: str) -> Response:
        return Response(PresetSerializer(preset(preset_id)).data)


class NodeKindsSerializer(serializers.Serializer[Any]):
    results = serializers.ListField(
        child=serializers.DictField(), help_text="Declarations: kind, title, ports, parameters, equation, references."
    )


class NodeKinds(APIView):
    """The node kinds of this installation, each as it declares itself."""

    @extend_schema(operation_id="nodes_list", responses={200: NodeKindsSerializer, 401: PROBLEM})
    def get(self, request: Request) -> Response:
        from attractor import Registry  # brings torch, which not every process with addresses needs

        return Response({"results": [cls.declaration() for cls in Registry.default().kinds().values()]})
