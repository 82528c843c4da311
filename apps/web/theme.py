"""Light or dark: the reader's choice, kept in a cookie so that the first byte of a page already knows it."""

from typing import Literal

from django.http import HttpRequest

COOKIE = "theme"
YEAR = 365 * 24 * 3600
Theme = Literal["light", "dark"]


def chosen(request: HttpRequest) -> Theme | None:
    """The theme the reader chose; None when the system decides."""
    match request.COOKIES.get(COOKIE):
        case "light":
            return "light"
        case "dark":
            return "dark"
    return None
