"""The admin of the operators: for staff whose session has shown a second factor."""

from collections.abc import Callable
from typing import Any, Final

from csp.constants import NONCE, SELF
from csp.decorators import csp_replace
from django.contrib import messages
from django.contrib.admin import AdminSite
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.views.decorators.cache import never_cache

POLICY: Final = {"script-src": [SELF, NONCE], "style-src": [SELF, NONCE]}
"""How the content policy of the admin differs: Django's templates know of no nonces, and load files of ours alone."""


class OperatorSite(AdminSite):
    """Django's admin without a login of its own: everybody signs in at one door, which asks for the code."""

    site_header = "Attractor"

    def has_permission(self, request: HttpRequest) -> bool:
        """Whether the person is staff and the session has shown the second factor, which must be set up."""
        person: Any = request.user
        return super().has_permission(request) and person.mfa_since is not None and person.is_verified()

    def admin_view(self, view: Callable[..., Any], cacheable: bool = False) -> Callable[..., Any]:
        answered: Callable[..., Any] = csp_replace(POLICY)(super().admin_view(view, cacheable))
        return answered

    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """To the site's login; who is signed in and has no second factor goes to set one up, and others go home."""
        return _elsewhere(request, request.GET.get("next", reverse("admin:index")))


@never_cache
def _elsewhere(request: HttpRequest, back: str) -> HttpResponse:
    person: Any = request.user
    if not person.is_authenticated:
        return redirect_to_login(back)
    if person.is_staff and person.mfa_since is None:
        messages.info(request, "The admin needs two-step sign-in. Set it up first.")
        return redirect_to_login(back, reverse("web:enrol_second_factor"))
    messages.error(request, "The admin is for the operators of this site.")
    return redirect("web:landing")
