"""REST: projects, graphs and their versions."""

from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.ops import filters
from apps.ops.filters import AllowedFilters, flagged
from apps.ops.paging import NewestFirst, Pages
from apps.ops.preconditions import EDIT_ERRORS, IF_NONE_MATCH, PARAMETER, Precondition, etag, tagged
from apps.ops.representation import RowList, represented
from apps.ops.requests import StrictSerializer, body_of
from apps.projects import selectors, services
from apps.projects.difference import difference
from apps.projects.models import Graph, GraphVersion, Project
from apps.workspaces import idempotency
from apps.workspaces.api import LIST_ERRORS, NOT_FOUND, PROBLEM, WRITE_ERRORS, WorkspaceAPIView

NAME_LENGTH = 160
IMMUTABLE = "private, max-age=31536000, immutable"

_EDIT_ERRORS: dict[int, Any] = {**WRITE_ERRORS, 409: PROBLEM, **EDIT_ERRORS}


class ProjectSerializer(serializers.ModelSerializer[Project]):
    class Meta:
        model = Project
        fields = ("id", "name", "created_at", "archived_at")


class NewProjectSerializer(StrictSerializer):
    name = serializers.CharField(max_length=NAME_LENGTH)


class _EditSerializer(StrictSerializer):
    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if not attrs:
            raise serializers.ValidationError(f"Send at least one of {', '.join(self.fields)}.")
        return attrs


class ProjectEditSerializer(_EditSerializer):
    name = serializers.CharField(max_length=NAME_LENGTH, required=False)
    archived = serializers.BooleanField(required=False, help_text="false takes an archived project back.")


class GraphSummarySerializer(serializers.ModelSerializer[Graph]):
    project = serializers.UUIDField(source="project_id")
    preset = serializers.CharField(source="preset_id", allow_null=True)
    version = serializers.IntegerField(source="latest_number")

    class Meta:
        model = Graph
        fields: tuple[str, ...] = ("id", "project", "preset", "name", "version", "created_at", "archived_at")


class GraphSerializer(GraphSummarySerializer):
    content_hash = serializers.CharField()
    spec = serializers.DictField(help_text="Nodes, edges and routes of the newest version.")

    class Meta(GraphSummarySerializer.Meta):
        fields = (*GraphSummarySerializer.Meta.fields, "content_hash", "spec")


class NewGraphSerializer(StrictSerializer):
    """Either `preset`, or `name` and `spec`."""

    project = serializers.UUIDField()
    name = serializers.CharField(max_length=NAME_LENGTH, required=False)
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


class GraphReplacementSerializer(StrictSerializer):
    name = serializers.CharField(max_length=NAME_LENGTH)
    spec = serializers.JSONField(help_text="Nodes, edges and routes.")


class GraphEditSerializer(_EditSerializer):
    name = serializers.CharField(max_length=NAME_LENGTH, required=False)
    spec = serializers.JSONField(required=False, help_text="Nodes, edges and routes of the next version.")
    archived = serializers.BooleanField(required=False, help_text="false takes an archived graph back.")


class PersonSerializer(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    name = serializers.CharField(source="get_full_name")


class GraphVersionSummarySerializer(serializers.ModelSerializer[GraphVersion]):
    created_by = PersonSerializer(allow_null=True, help_text="null when the account is gone.")

    class Meta:
        model = GraphVersion
        fields: tuple[str, ...] = ("number", "content_hash", "created_by", "created_at")


class GraphVersionSerializer(GraphVersionSummarySerializer):
    spec = serializers.DictField(help_text="Nodes, edges and routes.")

    class Meta(GraphVersionSummarySerializer.Meta):
        fields = (*GraphVersionSummarySerializer.Meta.fields, "spec")


class ChangeSerializer(serializers.Serializer[Any]):
    """One setting; one that is left out in a graph has its default there."""

    field = serializers.CharField(help_text="Such as `params.N`, `kind`, `title`, `delay`.")
    change = serializers.ChoiceField(choices=("added", "removed", "changed"))
    old = serializers.JSONField(required=False, help_text="Not there if it was added.")
    new = serializers.JSONField(required=False, help_text="Not there if it was removed.")


class ChangedNodeSerializer(serializers.Serializer[Any]):
    id = serializers.CharField()
    changes = ChangeSerializer(many=True)


class ChangedLinkSerializer(serializers.Serializer[Any]):
    src = serializers.CharField()
    dst = serializers.CharField()
    changes = ChangeSerializer(many=True)


class _PartsSerializer(serializers.Serializer[Any]):
    added = serializers.ListField(child=serializers.DictField())
    removed = serializers.ListField(child=serializers.DictField())
    reordered = serializers.ListField(
        child=serializers.CharField(), help_text="Ports whose edges come in another order, where that counts."
    )


class NodeDifferenceSerializer(_PartsSerializer):
    changed = ChangedNodeSerializer(many=True)


class LinkDifferenceSerializer(_PartsSerializer):
    changed = ChangedLinkSerializer(many=True)


class GraphDifferenceSerializer(serializers.Serializer[Any]):
    """What must be done to one version to get the other."""

    older = GraphVersionSummarySerializer()
    newer = GraphVersionSummarySerializer()
    computes_the_same = serializers.BooleanField(help_text="Nothing differs but titles and positions.")
    nodes = NodeDifferenceSerializer()
    edges = LinkDifferenceSerializer()
    routes = LinkDifferenceSerializer()
    audio = ChangeSerializer(many=True)


def graph_json(graph: Graph) -> dict[str, Any]:
    """A graph with its newest version."""
    version = selectors.latest_version(graph)
    summary = represented(GraphSummarySerializer, graph)
    return {**summary, "content_hash": version.content_hash, "spec": version.spec}


def _answer(graph: Graph, status: int = 200) -> Response:
    return Response(graph_json(graph), status=status, headers={"ETag": etag(graph.revision)})


class ProjectList(WorkspaceAPIView, RowList):
    """The workspace's projects, newest first."""

    serializer_class = ProjectSerializer
    pagination_class = NewestFirst
    filter_backends = (AllowedFilters,)
    filters = {"archived": filters.flag("The archived ones in place of those in use."), **filters.CREATED}

    def get_queryset(self) -> QuerySet[Project]:
        return selectors.projects(archived=flagged(self.request, "archived"))

    @extend_schema(responses={200: ProjectSerializer(many=True), **LIST_ERRORS})
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return super().get(request, *args, **kwargs)

    @extend_schema(
        parameters=[idempotency.PARAMETER],
        request=NewProjectSerializer,
        responses={201: ProjectSerializer, **WRITE_ERRORS, 422: PROBLEM},
    )
    def post(self, request: Request, slug: str) -> Response:
        """Make a project."""
        body = body_of(NewProjectSerializer, request)
        made = idempotency.once(
            self.actor, request, lambda: services.create_project(self.actor, self.workspace, body["name"]).pk
        )
        project = selectors.project(made)
        return Response(represented(ProjectSerializer, project), status=201, headers={"ETag": etag(project.revision)})


class ProjectDetail(WorkspaceAPIView):
    """One project."""

    @extend_schema(
        operation_id="projects_retrieve", parameters=[IF_NONE_MATCH], responses={200: ProjectSerializer, **NOT_FOUND}
    )
    def get(self, request: Request, slug: str, project_id: UUID) -> Response:
        project = selectors.project(project_id)
        return tagged(request, etag(project.revision), represented(ProjectSerializer, project))

    @extend_schema(
        operation_id="projects_partial_update",
        parameters=[PARAMETER],
        request=ProjectEditSerializer,
        responses={200: ProjectSerializer, **_EDIT_ERRORS},
    )
    def patch(self, request: Request, slug: str, project_id: UUID) -> Response:
        """Rename the project, archive it or take it back."""
        return self._edit(request, project_id, **body_of(ProjectEditSerializer, request))

    @extend_schema(operation_id="projects_destroy", parameters=[PARAMETER], responses={204: None, **_EDIT_ERRORS})
    def delete(self, request: Request, slug: str, project_id: UUID) -> Response:
        """Archive the project with its graphs. Nothing is lost: what was run stays, and it can be taken back."""
        self._edit(request, project_id, archived=True)
        return Response(status=204)

    def _edit(self, request: Request, project_id: UUID, **changes: Any) -> Response:
        expected = Precondition.of(request)
        project = services.edit_project(self.actor, self.workspace, project_id, expected, **changes)
        return Response(represented(ProjectSerializer, project), headers={"ETag": etag(project.revision)})


class GraphList(WorkspaceAPIView, RowList):
    """The workspace's graphs, newest first."""

    large_body = True

    serializer_class = GraphSummarySerializer
    pagination_class = NewestFirst
    filter_backends = (AllowedFilters,)
    filters = {
        "project": filters.identity("project", "Of this project."),
        "preset": filters.slug("preset", "Made from this preset."),
        "archived": filters.flag("The archived ones in place of those in use."),
        **filters.CREATED,
    }

    def get_queryset(self) -> QuerySet[Graph]:
        return selectors.graphs(archived=flagged(self.request, "archived"))

    @extend_schema(responses={200: GraphSummarySerializer(many=True), **LIST_ERRORS})
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return super().get(request, *args, **kwargs)

    @extend_schema(
        parameters=[idempotency.PARAMETER],
        request=NewGraphSerializer,
        responses={201: GraphSerializer, **WRITE_ERRORS, 409: PROBLEM, 422: PROBLEM},
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
        return _answer(selectors.graph_alone(made), 201)


class GraphDetail(WorkspaceAPIView):
    """One graph with its newest version."""

    large_body = True

    @extend_schema(
        operation_id="graphs_retrieve", parameters=[IF_NONE_MATCH], responses={200: GraphSerializer, **NOT_FOUND}
    )
    def get(self, request: Request, slug: str, graph_id: UUID) -> Response:
        graph = selectors.graph_alone(graph_id)
        return tagged(request, etag(graph.revision), graph_json(graph))

    @extend_schema(
        operation_id="graphs_update",
        parameters=[PARAMETER],
        request=GraphReplacementSerializer,
        responses={200: GraphSerializer, **_EDIT_ERRORS, 422: PROBLEM},
    )
    def put(self, request: Request, slug: str, graph_id: UUID) -> Response:
        """Give the graph this name, and a next version with this spec unless the newest has it."""
        return self._edit(request, graph_id, **body_of(GraphReplacementSerializer, request))

    @extend_schema(
        operation_id="graphs_partial_update",
        parameters=[PARAMETER],
        request=GraphEditSerializer,
        responses={200: GraphSerializer, **_EDIT_ERRORS, 422: PROBLEM},
    )
    def patch(self, request: Request, slug: str, graph_id: UUID) -> Response:
        """Rename the graph, give it a next version, archive it or take it back."""
        return self._edit(request, graph_id, **body_of(GraphEditSerializer, request))

    @extend_schema(operation_id="graphs_destroy", parameters=[PARAMETER], responses={204: None, **_EDIT_ERRORS})
    def delete(self, request: Request, slug: str, graph_id: UUID) -> Response:
        """Archive the graph: it leaves the lists and is not run. Versions and runs stay, and it can be taken back."""
        self._edit(request, graph_id, archived=True)
        return Response(status=204)

    def _edit(self, request: Request, graph_id: UUID, **changes: Any) -> Response:
        expected = Precondition.of(request)
        return _answer(services.edit_graph(self.actor, self.workspace, graph_id, expected, **changes))


class NewestVersionFirst(Pages):
    ordering = ("-number",)


class GraphVersionList(WorkspaceAPIView, RowList):
    """The versions of a graph, newest first."""

    serializer_class = GraphVersionSummarySerializer
    pagination_class = NewestVersionFirst
    filter_backends = (AllowedFilters,)
    filters = {**filters.CREATED, "content_hash": filters.phrase("content_hash", "That compute this.")}

    def get_queryset(self) -> QuerySet[GraphVersion]:
        return selectors.versions(selectors.graph_alone(self.kwargs["graph_id"]))

    @extend_schema(
        operation_id="graphs_versions_list", responses={200: GraphVersionSummarySerializer(many=True), **LIST_ERRORS}
    )
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return super().get(request, *args, **kwargs)


class GraphVersionDetail(WorkspaceAPIView):
    """One version of a graph, which never changes."""

    @extend_schema(
        operation_id="graphs_versions_retrieve",
        parameters=[IF_NONE_MATCH],
        responses={200: GraphVersionSerializer, **NOT_FOUND},
    )
    def get(self, request: Request, slug: str, graph_id: UUID, number: int) -> Response:
        version = selectors.version(selectors.graph_alone(graph_id), number)
        return tagged(request, f'"{version.pk}"', represented(GraphVersionSerializer, version), IMMUTABLE)


class GraphVersionRestore(WorkspaceAPIView):
    """Going back to an old version."""

    @extend_schema(
        operation_id="graphs_versions_restore",
        parameters=[PARAMETER],
        request=None,
        responses={200: GraphSerializer, **_EDIT_ERRORS, 422: PROBLEM},
    )
    def post(self, request: Request, slug: str, graph_id: UUID, number: int) -> Response:
        """Make a next version that is equal to this one, unless the newest is. No version is overwritten."""
        expected = Precondition.of(request)
        return _answer(services.restore_version(self.actor, self.workspace, graph_id, number, expected))


_DIFFERENCE = {
    "older": filters.whole("Number of a version; the one before `newer` when left out."),
    "newer": filters.whole("Number of a version; the newest when left out."),
}


class GraphDifference(WorkspaceAPIView):
    """What differs between two versions of a graph."""

    @extend_schema(
        operation_id="graphs_diff_retrieve",
        parameters=filters.parameters(_DIFFERENCE),
        responses={200: GraphDifferenceSerializer, 400: PROBLEM, **NOT_FOUND},
    )
    def get(self, request: Request, slug: str, graph_id: UUID) -> Response:
        """Parts that were added, removed and changed, setting by setting; not a comparison of texts."""
        numbers = filters.given(request, _DIFFERENCE)
        graph = selectors.graph_alone(graph_id)
        newer = selectors.version(graph, numbers.get("newer", graph.latest_number))
        older = selectors.version(graph, numbers.get("older", max(newer.number - 1, 1)))
        found = difference(older.spec, newer.spec)
        return Response({
            "older": represented(GraphVersionSummarySerializer, older),
            "newer": represented(GraphVersionSummarySerializer, newer),
            "computes_the_same": found.computes_the_same,
            **found.as_dict(),
        })  # fmt: skip
