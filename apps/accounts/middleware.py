"""Requests of programs come with a key."""

import re
from collections.abc import Callable
from typing import Final
from urllib.parse import unquote

from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest, HttpResponse, JsonResponse

from apps.ops.callers import address_of
from apps.ops.problems import CONTENT_TYPE, problem_body
from apps.ops.refusal import Fault
from apps.workspaces.keys import PREFIX, holder_of

API = "/api/"
SCHEME = "bearer"
_KEY: Final = re.compile(rf"{PREFIX}[A-Za-z0-9_-]{{16,}}")
_FAULT: Final = Fault(
    "query",
    "There is an API key in the address of the request, where others can read it: in histories and in the logs of "
    "proxies.",
    "Revoke that key, make another, and send it as the header Authorization: Bearer.",
)


def secret_in(authorization: str) -> str | None:
    """The key in an Authorization header (`Bearer atk_…`); None when it holds none."""
    scheme, _, secret = authorization.partition(" ")
    return secret.strip() if scheme.lower() == SCHEME else None


def key_in(address: str) -> bool:
    """Whether a path or query, as it was sent, holds what looks like an API key."""
    return _KEY.search(unquote(address)) is not None


class KeyMiddleware:
    """Lets the API know who holds the key of `Authorization: Bearer …`.

    With such a header a session counts for nothing; with a key that is none the request is nobody's. A key in an
    address is refused, whatever else the request says. Comes after Django's AuthenticationMiddleware and before the one
    of workspaces, which looks at `request.user`.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if key_in(request.META.get("QUERY_STRING", "")) or key_in(request.path_info):
            body = problem_body(
                400, "key_in_address", "An API key never belongs in an address", _FAULT.message, (_FAULT,)
            )
            return JsonResponse(body, status=400, content_type=CONTENT_TYPE)
        secret = secret_in(request.headers.get("Authorization", "")) if request.path_info.startswith(API) else None
        if secret is not None:
            request.user = holder_of(secret, address_of(request)) or AnonymousUser()
        request.with_key = secret is not None  # type: ignore[attr-defined]
        return self.get_response(request)
