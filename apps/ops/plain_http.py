"""Requests that came without TLS."""

from collections.abc import Callable
from typing import Final

from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse

from apps.ops.problems import CONTENT_TYPE, problem_body
from apps.ops.refusal import Fault

API: Final = "/api/"
_FAULT: Final = Fault(
    "scheme",
    "The request came over http, and whatever it held could be read on its way.",
    "Revoke the key that was sent, make another, and use https.",
)


class PlainHttpRefused:
    """Refuses a program's request over plain http where the site is served over https.

    A page is redirected: people type addresses without a scheme. A program that is redirected would go on sending its
    key in the clear, and nobody would notice. Comes before Django's own, which redirects everything.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if settings.SECURE_SSL_REDIRECT and request.path_info.startswith(API) and not request.is_secure():
            body = problem_body(403, "https_needed", "The API is served over https only", _FAULT.message, (_FAULT,))
            return JsonResponse(body, status=403, content_type=CONTENT_TYPE)
        return self.get_response(request)
