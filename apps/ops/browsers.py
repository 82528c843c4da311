"""The headers that every answer has, whatever it is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from django.conf import settings
from django.http import HttpRequest, HttpResponse

POLICY: Final = "Content-Security-Policy"
BARE: Final = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
"""The policy of what is no page: should a browser show it as one, it can do nothing."""


class AnswerHeaders:
    """Says to whom an answer belongs, and what a browser may do with it.

    Answers are for whoever asked and for now: no cache keeps them, unless the view says otherwise. Files that a browser
    loads for all pages are WhiteNoise's, which says so itself. Cross-Origin-Embedder-Policy is left out: all it would
    bring is clocks and shared memory that no page of ours needs.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        headers = response.headers
        headers.setdefault("Cache-Control", "no-store")
        headers.setdefault("Cross-Origin-Resource-Policy", "same-origin")
        headers.setdefault("Permissions-Policy", settings.PERMISSIONS_POLICY)
        if headers.get("Content-Type", "").partition(";")[0].strip() != "text/html":
            headers.setdefault(POLICY, BARE)
        return response
