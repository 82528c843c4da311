"""Who sends an API request."""

from drf_spectacular.authentication import SessionScheme
from rest_framework.authentication import SessionAuthentication
from rest_framework.request import Request


class SessionLogin(SessionAuthentication):
    """The session of the site, with CSRF protection. Names a challenge, so that an anonymous request is 401."""

    def authenticate_header(self, request: Request) -> str:
        return 'Session realm="attractor"'


class SessionLoginScheme(SessionScheme):  # type: ignore[no-untyped-call]
    """What the schema says about `SessionLogin`; registered by being defined."""

    target_class = "apps.accounts.authentication.SessionLogin"
