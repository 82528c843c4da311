"""Who sends an API request."""

from typing import Any

from drf_spectacular.authentication import SessionScheme
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework.authentication import BaseAuthentication, SessionAuthentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request


class KeyLogin(BaseAuthentication):
    """The API key that `KeyMiddleware` has found. Names a challenge, so that an anonymous request is 401."""

    def authenticate(self, request: Request) -> tuple[Any, Any] | None:
        if not getattr(request._request, "with_key", False):
            return None
        user = request._request.user
        if not user.is_authenticated:
            raise AuthenticationFailed("This API key is not known, has expired or was revoked. Make a new one.")
        return user, user.api_key

    def authenticate_header(self, request: Request) -> str:
        return 'Bearer realm="attractor"'


class KeyLoginScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """What the schema says about `KeyLogin`; registered by being defined."""

    target_class = "apps.accounts.authentication.KeyLogin"
    name = "apiKey"

    def get_security_definition(self, auto_schema: Any) -> dict[str, Any]:
        return {"type": "http", "scheme": "bearer", "description": "An API key of one workspace, `atk_…`."}


class SessionLogin(SessionAuthentication):
    """The session of the site, with CSRF protection."""


class SessionLoginScheme(SessionScheme):  # type: ignore[no-untyped-call]
    """What the schema says about `SessionLogin`; registered by being defined."""

    target_class = "apps.accounts.authentication.SessionLogin"
