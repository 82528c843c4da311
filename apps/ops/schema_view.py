"""The schema of the API, written once in a process.

It says the same to everybody for as long as the code is the same, and to write it takes seconds.
"""

from __future__ import annotations

import hashlib
import threading
from dataclasses import dataclass
from typing import Any, Final, final

from django.http import HttpResponse
from django.utils.cache import get_conditional_response
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.utils import extend_schema
from drf_spectacular.views import SpectacularAPIView
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request

from apps.ops.counted import CountedAPIView


@dataclass(frozen=True, slots=True)
class Document:
    """The schema in one format, and its entity tag."""

    text: bytes
    etag: str


@final
class Documents:
    """The schema in each format that was asked for; whoever asks first waits, and whoever asks meanwhile waits too."""

    def __init__(self) -> None:
        self._writing = threading.Lock()
        self._schema: Any = None
        self._kept: dict[type[BaseRenderer], Document] = {}

    def of(self, renderer: BaseRenderer) -> Document:
        with self._writing:
            kept = self._kept.get(type(renderer))
            if kept is None:
                if self._schema is None:
                    self._schema = SchemaGenerator().get_schema(request=None, public=True)  # type: ignore[no-untyped-call]
                text = renderer.render(self._schema)
                text = text.encode() if isinstance(text, str) else text
                digest = hashlib.sha256(text).hexdigest()[:32]
                kept = self._kept[type(renderer)] = Document(text, f'"{digest}"')
            return kept


DOCUMENTS: Final = Documents()
"""The process's own."""


class SchemaView(CountedAPIView, SpectacularAPIView):
    """The schema, as YAML or JSON."""

    @extend_schema(exclude=True)
    def get(self, request: Request, *args: Any, **kwargs: Any) -> HttpResponse:
        renderer = request.accepted_renderer
        document = DOCUMENTS.of(renderer)
        charset = f"; charset={renderer.charset}" if renderer.charset else ""
        answer = HttpResponse(document.text, content_type=f"{renderer.media_type}{charset}")
        answer.headers["Content-Disposition"] = f'inline; filename="attractor.{renderer.format}"'
        answer.headers["ETag"] = document.etag
        answer.headers["Cache-Control"] = "private, no-cache"
        return get_conditional_response(request._request, etag=document.etag, response=answer) or answer
