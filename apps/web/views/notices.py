"""What the operators tell everybody: for pages that stay open, and putting it away."""

from __future__ import annotations

from typing import Final
from uuid import UUID

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from apps.console import banners
from apps.web.views.account.back import back_of

COOKIE: Final = "dismissed_notices"
MOST: Final = 20
DAYS: Final = 30


def dismissed(request: HttpRequest) -> list[str]:
    """Ids of what this browser has put away."""
    return request.COOKIES.get(COOKIE, "").split(".")[:MOST]


@never_cache
@require_safe
def notices(request: HttpRequest) -> HttpResponse:
    """The banners alone; pages ask again and again."""
    back = back_of(request) or "/"
    return render(request, "web/notices.html", {"notices": banners.shown(dismissed(request)), "back": back})


@require_POST
def dismiss(request: HttpRequest, banner_id: UUID) -> HttpResponse:
    """Shows this browser a banner no more, if it is one that can be put away."""
    answer = redirect(back_of(request) or "web:landing")
    kept = [str(banner_id), *(one for one in dismissed(request) if one and one != str(banner_id))][:MOST]
    answer.set_cookie(
        COOKIE, ".".join(kept), max_age=DAYS * 86400, httponly=True, samesite="Lax",
        secure=settings.SESSION_COOKIE_SECURE,
    )  # fmt: skip
    return answer
