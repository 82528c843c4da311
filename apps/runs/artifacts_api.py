"""REST: artifacts of a workspace, and their files."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote

from asgiref.sync import sync_to_async
from django.core.handlers.asgi import ASGIRequest
from django.db.models import QuerySet
from django.http import HttpResponseBase, StreamingHttpResponse
from django.urls import reverse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework import serializers
from rest_framework.generics import ListAPIView
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from apps.ops import filters
from apps.ops.filters import AllowedFilters
from apps.ops.paging import NewestFirst
from apps.ops.preconditions import EDIT_ERRORS, IF_NONE_MATCH, PARAMETER, Precondition, etag, tagged
from apps.ops.problems import Unavailable
from apps.runs import artifacts, files
from apps.runs.models import Artifact
from apps.workspaces.api import LIST_ERRORS, NOT_FOUND, PROBLEM, WorkspaceAPIView
from apps.workspaces.missing import NotFound


class ArtifactSerializer(serializers.ModelSerializer[Artifact]):
    run = serializers.UUIDField(source="run_id", allow_null=True)
    lineage = serializers.DictField(
        help_text="What it was made from: run, attempt, result_hash, export, artifact, content."
    )
    facts = serializers.DictField(help_text="What is in it.")
    url = serializers.SerializerMethodField(help_text="Of its file.")

    class Meta:
        model = Artifact
        fields = (
            "id", "kind", "run", "name", "media_type", "content", "size", "lineage", "facts", "created_at", "url",
        )  # fmt: skip
        read_only_fields = fields

    def get_url(self, artifact: Artifact) -> str:
        # All artifacts of an answer are of the workspace of its address.
        slug = self.context["view"].workspace.slug
        return reverse("api-artifact-content", kwargs={"slug": slug, "artifact_id": artifact.pk})


class ArtifactList(WorkspaceAPIView, ListAPIView[Artifact]):
    """The workspace's artifacts, newest first: what runs recorded, exports, imported files."""

    serializer_class = ArtifactSerializer
    pagination_class = NewestFirst
    filter_backends = (AllowedFilters,)
    filters = {
        "kind": filters.one_of("kind__in", Artifact.Kind.values, "Of this kind."),
        "run": filters.identity("run", "Of this run."),
        "content": filters.phrase("content", "With this SHA-256."),
        **filters.CREATED,
    }

    def get_queryset(self) -> QuerySet[Artifact]:
        return artifacts.artifacts()

    @extend_schema(operation_id="artifacts_list", responses={200: ArtifactSerializer(many=True), **LIST_ERRORS})
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return super().get(request, *args, **kwargs)


class ArtifactDetail(WorkspaceAPIView):
    """One artifact."""

    @extend_schema(
        operation_id="artifacts_retrieve", parameters=[IF_NONE_MATCH],
        responses={200: ArtifactSerializer, **NOT_FOUND},
    )  # fmt: skip
    def get(self, request: Request, slug: str, artifact_id: str) -> Response:
        found = artifacts.artifact(self.workspace, artifact_id)
        return tagged(request, etag(artifacts.REVISION), ArtifactSerializer(found, context={"view": self}).data)

    @extend_schema(
        operation_id="artifacts_destroy", parameters=[PARAMETER],
        responses={204: None, **NOT_FOUND, 403: PROBLEM, **EDIT_ERRORS},
    )  # fmt: skip
    def delete(self, request: Request, slug: str, artifact_id: str) -> Response:
        """Delete it. Its file goes soon after, unless another artifact has the same content."""
        artifacts.delete_artifact(self.actor, self.workspace, artifact_id, Precondition.of(request))
        return Response(status=204)


class AnyType(DefaultContentNegotiation):
    """Answers whatever the client accepts: a file has the media type that it has, and a refusal is JSON."""

    def select_renderer(
        self, request: Request, renderers: Any, format_suffix: str | None = None
    ) -> tuple[BaseRenderer, str]:
        return renderers[0], renderers[0].media_type


class ArtifactContent(WorkspaceAPIView):
    """The file of an artifact."""

    content_negotiation_class = AnyType

    @extend_schema(
        operation_id="artifacts_content_retrieve",
        responses={
            (200, "*/*"): OpenApiResponse(OpenApiTypes.BINARY, "The file, in its media type."),
            **NOT_FOUND, 503: PROBLEM,
        },
    )  # fmt: skip
    def get(self, request: Request, slug: str, artifact_id: str) -> HttpResponseBase:
        """As a download. Its ETag is the SHA-256 of the content."""
        found = artifacts.artifact(self.workspace, artifact_id)
        try:
            stream = files.opened(files.stored(self.workspace.id, found.content))
        except FileNotFoundError as missing:
            raise NotFound(f"file of artifact {artifact_id}") from missing
        except files.AWAY as away:
            raise Unavailable("The storage cannot be reached. Ask again soon.", "storage_away") from away
        pieces = files.chunks(stream)
        # An ASGI server would read a plain iterator to its end before the first byte leaves.
        asgi = isinstance(request._request, ASGIRequest)
        # Whatever is text here was written or checked as UTF-8; a browser is left nothing to guess.
        media = f"{found.media_type}; charset=utf-8" if found.media_type.startswith("text/") else found.media_type
        response = StreamingHttpResponse(_aside(pieces) if asgi else pieces, content_type=media)
        response["Content-Length"] = str(found.size)
        response["ETag"] = f'"{found.content}"'
        response["Content-Disposition"] = _attachment(found.name)
        response["X-Content-Type-Options"] = "nosniff"
        response["Content-Security-Policy"] = "sandbox; default-src 'none'"
        return response


async def _aside(pieces: Any) -> AsyncIterator[bytes]:
    following = sync_to_async(lambda: next(pieces, b""), thread_sensitive=False)
    while piece := await following():
        yield piece


def _attachment(name: str) -> str:
    plain = re.sub(r"[^A-Za-z0-9._-]", "_", name)
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"
