"""REST: links that share."""

from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from django.urls import reverse
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.generics import ListAPIView
from rest_framework.request import Request
from rest_framework.response import Response

from apps.ops.filters import CREATED, AllowedFilters, Filters, identity
from apps.ops.paging import NewestFirst
from apps.ops.requests import StrictSerializer, body_of
from apps.projects.selectors import graph as graph_of
from apps.runs.selectors import run as run_of
from apps.sharing import selectors, services
from apps.sharing.models import ShareLink
from apps.workspaces import idempotency
from apps.workspaces.api import LIST_ERRORS, PROBLEM, WRITE_ERRORS, WorkspaceAPIView
from apps.workspaces.models import Visibility

FILTERS: Filters = {
    "run": identity("run", "To this run."),
    "graph": identity("graph", "To this graph."),
    **CREATED,
}


class LinkSerializer(serializers.ModelSerializer[ShareLink]):
    created_by = serializers.EmailField(source="created_by.email", allow_null=True, default=None)

    class Meta:
        model = ShareLink
        fields: tuple[str, ...] = ("id", "run", "graph", "hint", "visibility", "created_by", "created_at", "expires_at")
        read_only_fields: tuple[str, ...] = fields


class MadeLinkSerializer(LinkSerializer):
    url = serializers.CharField(
        allow_null=True, help_text="The link itself. It is told here and never again; null in an answer repeated."
    )

    class Meta(LinkSerializer.Meta):
        fields = (*LinkSerializer.Meta.fields, "url")
        read_only_fields = fields


class NewLinkSerializer(StrictSerializer):
    run = serializers.UUIDField(required=False, help_text="What is shared: a run, or")
    graph = serializers.UUIDField(required=False, help_text="a graph, as it is when somebody looks.")
    days = serializers.IntegerField(
        required=False, min_value=1, max_value=services.MOST_DAYS,
        help_text=f"It leads there for so long, {services.DAYS} without it.",
    )  # fmt: skip
    visibility = serializers.ChoiceField(
        choices=Visibility.choices, required=False, help_text="Who may follow it; without it as the workspace says."
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if ("run" in attrs) == ("graph" in attrs):
            raise serializers.ValidationError("Give a run or a graph, and not both.")
        return attrs


class LinkList(WorkspaceAPIView, ListAPIView[ShareLink]):
    """Links by which people who do not belong to the workspace look at one run or graph."""

    serializer_class = LinkSerializer
    pagination_class = NewestFirst
    filter_backends = (AllowedFilters,)
    filters = FILTERS

    def get_queryset(self) -> QuerySet[ShareLink]:
        return selectors.links()

    @extend_schema(operation_id="shares_list", responses={200: LinkSerializer(many=True), **LIST_ERRORS})
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Those that still lead somewhere, newest first; without what they end with, which nobody has kept."""
        return super().get(request, *args, **kwargs)

    @extend_schema(
        operation_id="shares_create", parameters=[idempotency.PARAMETER], request=NewLinkSerializer,
        responses={201: MadeLinkSerializer, **WRITE_ERRORS, 422: PROBLEM},
    )  # fmt: skip
    def post(self, request: Request, slug: str) -> Response:
        """Make a link to look at a run or a graph. It takes nothing, starts nothing and shows nothing else."""
        body = body_of(NewLinkSerializer, request)
        run_id, graph_id = body.pop("run", None), body.pop("graph", None)
        token: str | None = None

        def created() -> UUID:
            nonlocal token
            target = graph_of(graph_id) if run_id is None else run_of(self.workspace, run_id)
            made, token = services.share(self.actor, target, **body)
            return made.pk

        made = selectors.link(idempotency.once(self.actor, request, created))
        url = None if token is None else request.build_absolute_uri(reverse("web:shared", kwargs={"token": token}))
        answer = {**LinkSerializer(made).data, "url": url}
        return Response(answer, status=201, headers={"Cache-Control": "no-store"})


class LinkRevoke(WorkspaceAPIView):
    """The end of a link."""

    @extend_schema(operation_id="shares_revoke", request=None, responses={204: None, **WRITE_ERRORS})
    def post(self, request: Request, slug: str, link_id: UUID) -> Response:
        """Have it lead nowhere from now on; one who manages the workspace may do so with everybody's."""
        services.unshare(self.actor, self.workspace, link_id)
        return Response(status=204)
