"""The switch between light and dark, for browsers without JavaScript."""

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseBadRequest
from django.shortcuts import redirect
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_POST

from apps.web.theme import COOKIE, YEAR


@require_POST
def theme(request: HttpRequest) -> HttpResponse:
    """Keeps the choice in the cookie and goes back to where the reader was."""
    chosen = request.POST.get("theme")
    if chosen not in ("light", "dark"):
        return HttpResponseBadRequest("theme is light or dark")
    back = request.POST.get("next", "/")
    if not url_has_allowed_host_and_scheme(back, {request.get_host()}, require_https=request.is_secure()):
        back = "/"
    response = redirect(back)
    # Scripts switch as well, so the cookie is theirs to write; it says nothing about the person.
    response.set_cookie(COOKIE, chosen, max_age=YEAR, samesite="Lax", secure=settings.SESSION_COOKIE_SECURE)
    return response
