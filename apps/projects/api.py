"""REST: projects and graphs of a workspace."""

from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.generics import ListAPIView
from rest_framework.request import Request
from rest_framework.response import Response

from apps.ops.paging import NewestFirst
from apps.ops.requests import StrictSerializer, body_of
from apps.projects import selectors, services
from apps.projects.models import Graph, Project
from apps.workspaces import idempotency
from apps.workspaces.api import NOT_FOUND, PROBLEM, WRITE_ERRORS, WorkspaceAPIView


class ProjectSerializer(serializers.ModelSerializer[Project]):
    class Meta:
        model = Project
        fields = ("id", "name", "created_at")


class NewProjectSerializer(StrictSerializer):
    name = serializers.CharField(max_length=160)


class GraphSummarySerializer(serializers.ModelSerializer[Graph]):
    project = serializers.UUIDField(source="project_id")
    preset = serializers.CharField(source="preset_id", allow_null=True)
    version = serializers.IntegerField(source="latest_number")

    class Meta:
        model = Graph
        fields: tuple[str, ...] = ("id", "project", "preset", "name", "version", "created_at")


class GraphSerializer(GraphSummarySerializer):
    content_hash = serializers.CharField()
    spec = serializers.DictField(help_text="Nodes, edges and routes of the newest version.")

    class Meta(GraphSummarySerializer.Meta):
        fields = (*GraphSummarySerializer.Meta.fields, "content_hash", "spec")


class NewGraphSerializer(StrictSerializer):
    """Either `preset`, or `name` and `spec`."""

    project = serializers.UUIDField()
    name = serializers.CharField(max_length=160, required=False)
    spec = serializers.JSONField(required=False, help_text="Nodes, edges and routes.")
    preset = serializers.SlugField(required=False)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if ("preset" in attrs) == ("spec" in attrs):
            raise serializers.ValidationError("Send either a preset or a spec, not both and not neither.")
        if "spec" in attrs and "name" not in attrs:
            raise serializers.ValidationError({"name": "A graph of your own needs a name."})
        if "preset" in attrs and "name" in attrs:
            raise serializers.ValidationError({"name": "A graph made from a preset takes the preset's title."})
        return attrs


def graph_json(graph: Graph) -> dict[str, Any]:
    """A graph with its newest version."""
    version = selectors.latest_version(graph)
    summary = GraphSummarySerializer(graph).data
    return {**summary, "content_hash": version.content_hash, "spec": version.spec}


class ProjectList(WorkspaceAPIView, ListAPIView[Project]):
    """The workspace's projects, newest first."""

    serializer_class = ProjectSerializer
    pagination_class = NewestFirst

    def get_queryset(self) -> QuerySet[Project]:
        return selectors.projects()

    @extend_schema(
        parameters=[idempotency.PARAMETER],
        request=NewProjectSerializer,
        responses={201: ProjectSerializer, **WRITE_ERRORS},
    )
    def post(self, request: Request, slug: str) -> Response:
        """Make a project."""
        body = body_of(NewProjectSerializer, request)
        made = idempotency.once(
            self.actor, request, lambda: services.create_project(self.actor, self.workspace, body["name"]).pk
        )
        return Response(ProjectSerializer(selectors.project(made)).data, status=201)


class GraphList(WorkspaceAPIView, ListAPIView[Graph]):
    """The workspace's graphs, newest first."""

    serializer_class = GraphSummarySerializer
    pagination_class = NewestFirst

    def get_queryset(self) -> QuerySet[Graph]:
        return selectors.graphs()

    @extend_schema(
        parameters=[idempotency.PARAMETER],
        request=NewGraphSerializer,
        responses={201: GraphSerializer, **WRITE_ERRORS, 422: PROBLEM},
    )
    def post(self, request: Request, slug: str) -> Response:
        """Make a graph, from a preset or from a spec. A spec that cannot run is 422 with every problem."""
        body = body_of(NewGraphSerializer, request)

        def created() -> UUID:
            project = selectors.project(body["project"])
            if "preset" in body:
                return services.use_preset(self.actor, self.workspace, project, body["preset"]).pk
            return services.create_graph(self.actor, self.workspace, project, body["name"], body["spec"]).pk

        made = idempotency.once(self.actor, request, created)
        return Response(graph_json(selectors.graph(made)), status=201)


class GraphDetail(WorkspaceAPIView):
    """One graph with its newest version."""

    @extend_schema(operation_id="graphs_retrieve", responses={200: GraphSerializer, **NOT_FOUND})
    def get(self, request: Request, slug: str, graph_id: str) -> Response:
        return Response(graph_json(selectors.graph(graph_id)))
