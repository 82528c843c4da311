"""Light or dark: the reader's choice, kept in a cookie so that the first byte of a page already knows it."""

from typing import Literal

from django.conf import settings
from django.http import HttpRequest

COOKIE = f"{'__Host-' if settings.HTTPS else ''}theme"
YEAR = 365 * 24 * 3600
Theme = Literal["light", "dark"]


def chosen(request: HttpRequest) -> Theme | None:
    """The theme the reader chose, in this browser or else in the profile; None when the system decides."""
    match request.COOKIES.get(COOKIE):
        case "light":
            return "light"
        case "dark":
            return "dark"
    user = getattr(request, "user", None)
    if user is not None and user.is_authenticated and user.theme in ("light", "dark"):
        return "light" if user.theme == "light" else "dark"
    return None
