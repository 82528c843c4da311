"""Requests of programs come with a key."""

from collections.abc import Callable

from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest, HttpResponse

from apps.workspaces.keys import holder_of

API = "/api/"
SCHEME = "bearer"


def secret_in(authorization: str) -> str | None:
    """The key in an Authorization header (`Bearer atk_…`); None when it holds none."""
    scheme, _, secret = authorization.partition(" ")
    return secret.strip() if scheme.lower() == SCHEME else None


class KeyMiddleware:
    """Lets the API know who holds the key of `Authorization: Bearer …`.

    With such a header a session counts for nothing; with a key that is none the request is nobody's. Comes after
    Django's AuthenticationMiddleware and before the one of workspaces, which looks at `request.user`.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        secret = secret_in(request.headers.get("Authorization", "")) if request.path_info.startswith(API) else None
        if secret is not None:
            request.user = holder_of(secret) or AnonymousUser()
        request.with_key = secret is not None  # type: ignore[attr-defined]
        return self.get_response(request)
