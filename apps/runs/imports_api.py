"""REST: files that are brought into a workspace."""

from __future__ import annotations

import io
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any, cast
from uuid import UUID

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.parsers import BaseParser
from rest_framework.request import Request
from rest_framework.response import Response

from apps.ops.parsers import BoundedJSONParser
from apps.ops.problems import EncodingNotTaken, PayloadTooLarge, Unavailable
from apps.ops.requests import StrictSerializer
from apps.runs import artifacts, imports, scratch
from apps.runs.artifacts_api import ArtifactSerializer
from apps.workspaces import idempotency, plans
from apps.workspaces.api import PROBLEM, WRITE_ERRORS, WorkspaceAPIView

CHUNK = 2**20
EXPECT_BYTES = 20_000


class ExpectedColumnSerializer(StrictSerializer):
    name = serializers.CharField(max_length=200)
    unit = serializers.CharField(max_length=40, required=False, allow_blank=True)
    kind = serializers.ChoiceField(["number", "complex", "bool", "text"], required=False)
    nan = serializers.BooleanField(required=False)
    min = serializers.FloatField(required=False)
    max = serializers.FloatField(required=False)


class FileParser(BaseParser):
    """Leaves the body where it is: the view copies it, once it knows that it may."""

    media_type = "application/octet-stream"

    def parse(self, stream: IO[bytes], media_type: str | None = None, parser_context: Any = None) -> Any:
        return stream


class ImportList(WorkspaceAPIView):
    """Bring a file."""

    parser_classes = (FileParser,)
    own_scope = ("POST",)

    @extend_schema(
        operation_id="imports_create",
        parameters=[
            idempotency.PARAMETER,
            OpenApiParameter("name", str, required=True, description="Of the file; its suffix says the format."),
            OpenApiParameter(
                "expect", str,
                description="JSON: a list of columns that it must have, each {name, unit, kind, nan, min, max}.",
            ),
        ],
        request={"application/octet-stream": OpenApiTypes.BINARY},
        responses={201: ArtifactSerializer, **WRITE_ERRORS, 422: PROBLEM, 503: PROBLEM},
    )  # fmt: skip
    def post(self, request: Request, slug: str) -> Response:
        """Import a table or arrays (.csv, .parquet, .npz, .h5, .wav): the body is the file, as it is.

        422 lists everything that is wrong with it, by row and column. The file is kept as it came.
        """
        allowed = plans.quotas(self.workspace.pk).upload
        imports.may_import(self.actor, self.workspace, _declared(request, allowed))
        name, expected = _asked(request)
        folder = scratch.folder("import")
        try:
            path = folder / "file"
            _copy(cast(IO[bytes], request.data), path, allowed)
            made = self._made(request, path, name, expected)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        found = artifacts.artifact(self.workspace, made)
        return Response(ArtifactSerializer(found, context={"view": self}).data, status=201)

    def _made(self, request: Request, path: Path, name: str, expected: list[Mapping[str, Any]]) -> UUID:
        def once(content: str, keep: Callable[[], UUID]) -> UUID:
            return idempotency.once(self.actor, request, keep, said=[content, name, expected])

        try:
            return imports.import_file(self.actor, self.workspace, path, name, expected, once)
        except imports.StorageAway as away:
            raise Unavailable("The storage does not take the file. Send it again soon.", "storage_away") from away
        except imports.Busy as busy:
            raise Unavailable("Too many files are being checked. Send it again soon.", "busy") from busy


def _asked(request: Request) -> tuple[str, list[Mapping[str, Any]]]:
    """Name and expected columns. Raises ValidationError."""
    name = request.query_params.get("name", "")
    faults: dict[str, Any] = {}
    if not (0 < len(name) <= 200 and name.isprintable()) or set(name) & set('/\\:*?"<>|') or name.startswith("."):
        faults["name"] = "Give 1 to 200 printable characters, without slashes and a leading dot."
    expected: list[Mapping[str, Any]] = []
    text = request.query_params.get("expect")
    if text is not None:
        given = BoundedJSONParser().parse(io.BytesIO(text[: EXPECT_BYTES + 1].encode("utf-8", "surrogatepass")))
        if len(text) > EXPECT_BYTES or not isinstance(given, list):
            faults["expect"] = f"Give a JSON list of at most {EXPECT_BYTES} characters."
        else:
            columns = ExpectedColumnSerializer(data=given, many=True)
            if columns.is_valid():
                expected = [dict(one) for one in columns.validated_data]
            else:
                faults["expect"] = columns.errors
    if unknown := set(request.query_params) - {"name", "expect"}:
        faults[sorted(unknown)[0][:60]] = "There is no such parameter; there are name, expect."
    if faults:
        raise serializers.ValidationError(faults)
    return name, expected


def _declared(request: Request, allowed: int) -> int:
    """Bytes that the request says it has. Refuses what is too large, or compressed, unread."""
    if request.META.get("HTTP_CONTENT_ENCODING", "identity").strip().lower() != "identity":
        raise EncodingNotTaken
    declared = int(request.META.get("CONTENT_LENGTH") or 0)
    if declared > allowed:
        raise PayloadTooLarge(f"A file may have {allowed} bytes. Split it.")
    return declared


def _copy(stream: IO[bytes], path: Path, allowed: int) -> None:
    size = 0
    with path.open("wb") as file:
        while piece := stream.read(CHUNK):
            size += len(piece)
            if size > allowed:
                raise PayloadTooLarge(f"A file may have {allowed} bytes. Split it.")
            file.write(piece)
