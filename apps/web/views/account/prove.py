"""The page on which somebody who is signed in proves to be still there."""

from __future__ import annotations

from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from apps.accounts import proof
from apps.accounts.mfa import codes
from apps.accounts.mfa.challenges import Purpose
from apps.accounts.passwords import check_password
from apps.web.views.account.back import back_of
from apps.web.views.account.factors import answered, offer
from apps.web.views.account.signed_in import signed_in
from apps.web.views.request import SignedInRequest

MAX_CODE = 64


@never_cache
@sensitive_post_parameters("code", "passkey", "password")
@require_http_methods(["GET", "HEAD", "POST"])
@signed_in
def prove(request: SignedInRequest) -> HttpResponse:
    """Asks for a second factor where there is one, else for the password; who has neither signs in anew."""
    back, user, problem, passkey_problem = back_of(request), request.user, "", ""
    by_code, by_password = user.mfa_since is not None, user.mfa_since is None and user.has_usable_password()
    if request.method == "POST":
        if by_code and "passkey" in request.POST:
            passkey_problem = answered(request, user, Purpose.PROVE).problem
        elif by_code:
            problem = codes.check(user, request.POST.get("code", "")[:MAX_CODE]).problem
        elif by_password:
            problem = check_password(user, request.POST.get("password", ""))
        else:
            problem = "Your account has neither a password nor codes: sign out, and in again."
        if not problem and not passkey_problem:
            proof.give(request, user)
            return redirect(back or "web:account_security")
    context = {
        "problem": problem, "by_code": by_code, "by_password": by_password, "next": back,
        "offer": offer(request, user, Purpose.PROVE, passkey_problem) if by_code else None,
    }  # fmt: skip
    status = 422 if problem or passkey_problem else 200
    return render(request, "web/account/prove.html", context, status=status)
