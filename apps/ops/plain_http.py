"""Requests and handshakes of sockets that came without TLS."""

from collections.abc import Callable, Mapping
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


def socket_is_plain(scheme: str, headers: Mapping[bytes, bytes]) -> bool:
    """Whether a handshake came without TLS where the site is served over https: it is refused, as a program's request.

    As `HttpRequest.is_secure` has it, the word of the trusted proxy counts, and without one the scheme of the wire.
    Nothing redirects a handshake, so nobody else would notice that a key was sent in the clear.
    """
    if not settings.SECURE_SSL_REDIRECT:
        return False
    if settings.SECURE_PROXY_SSL_HEADER is not None:
        name, secure = settings.SECURE_PROXY_SSL_HEADER
        said = headers.get(name.removeprefix("HTTP_").replace("_", "-").lower().encode())
        if said is not None:
            # Some proxies tell the scheme of the socket, others that of the request which opens it.
            return said.decode("latin-1").partition(",")[0].strip() not in (secure, "wss")
    return scheme != "wss"


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
