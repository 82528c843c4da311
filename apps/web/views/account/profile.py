"""What people say about themselves."""

from django.conf import settings
from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from apps.accounts.profile import change_profile, time_zones
from apps.ops.refusal import Invalid
from apps.web.theme import COOKIE, YEAR
from apps.web.views.account.signed_in import signed_in
from apps.web.views.request import SignedInRequest


@require_http_methods(["GET", "HEAD", "POST"])
@signed_in
def profile(request: SignedInRequest) -> HttpResponse:
    """Name, time zone and theme. POST changes them."""
    user, errors = request.user, {}
    values = {"name": user.name, "time_zone": user.time_zone, "theme": user.theme}
    if request.method == "POST":
        values = {name: request.POST.get(name, "").strip() for name in values}
        try:
            change_profile(user, **values)
        except Invalid as refusal:
            errors = {fault.place: f"{fault.message} {fault.mend}" for fault in refusal.faults}
        else:
            messages.success(request, "Your profile is saved.")
            response = redirect("web:account_profile")
            if user.theme:
                response.set_cookie(
                    COOKIE, user.theme, max_age=YEAR, samesite="Lax", secure=settings.SESSION_COOKIE_SECURE
                )
            else:
                response.delete_cookie(COOKIE, samesite="Lax")
            return response
    context = {"values": values, "errors": errors, "time_zones": time_zones()}
    return render(request, "web/account/profile.html", context, status=422 if errors else 200)
