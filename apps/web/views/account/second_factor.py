"""The step of a login in which the second factor is asked for, setting up an authenticator app, and recovery codes."""

from __future__ import annotations

from django.contrib import messages
from django.contrib.auth import SESSION_KEY
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST
from django_otp import login as bind

from apps.accounts.mfa import codes, enrolment, secret, stage
from apps.accounts.mfa.challenges import Purpose
from apps.accounts.proof import proof_required
from apps.web.qr_code import draw
from apps.web.views.account.back import back_of
from apps.web.views.account.factors import answered, offer
from apps.web.views.account.recovery_codes import recovery_codes
from apps.web.views.request import SignedInRequest

MAX_CODE = 64


@never_cache
@sensitive_post_parameters("code", "passkey")
@require_http_methods(["GET", "HEAD", "POST"])
def second_factor(request: HttpRequest) -> HttpResponse:
    """Asks who is signing in for a code or a passkey; POST takes one and ends the login."""
    waiting = stage.pending(request)
    if waiting is None:
        return redirect("account_login")
    person, problem, passkey_problem = stage.person_of(waiting), "", ""
    if request.method == "POST" and "passkey" in request.POST:
        answer = answered(request, person, Purpose.SIGN_IN)
        if answer.passkey is not None:
            return stage.finish(request, waiting, answer.passkey)
        passkey_problem = answer.problem
    elif request.method == "POST":
        verdict = codes.check(person, request.POST.get("code", "")[:MAX_CODE])
        if verdict.device is not None:
            response = stage.finish(request, waiting, verdict.device)
            if verdict.recovery_left is not None:
                _warn_of_few(request, verdict.recovery_left)
            return response
        problem = verdict.problem
    context = {"problem": problem, "offer": offer(request, person, Purpose.SIGN_IN, passkey_problem)}
    status = 422 if problem or passkey_problem else 200
    return render(request, "web/account/second_factor.html", context, status=status)


@require_POST
def abort_sign_in(request: HttpRequest) -> HttpResponse:
    """Signs nobody in after all."""
    waiting = stage.pending(request)
    if waiting is not None:
        waiting.abort()
    return redirect("account_login")


@never_cache
@sensitive_post_parameters("code")
@require_http_methods(["GET", "HEAD", "POST"])
@proof_required
def enrol(request: SignedInRequest) -> HttpResponse:
    """Sets an authenticator app up. POST without a code draws a secret, with one confirms it; who had no second factor
    yet is shown recovery codes."""
    back = back_of(request)
    if enrolment.has_app(request.user):
        return redirect(back or "web:account_security")
    problem = ""
    if request.method == "POST" and "code" not in request.POST:
        enrolment.begin(request.user)
        return redirect(request.get_full_path())
    if request.method == "POST":
        done = enrolment.confirm(request.user, request.POST["code"][:MAX_CODE], request.session.session_key)
        if done is not None:
            device, new = done
            if not new:
                messages.success(request, "Codes of the app open your account too.")
                return redirect(back or "web:account_security")
            # What could be known of the session before is worth nothing after.
            request.session.cycle_key()
            bind(request, device)
            messages.success(request, "Two-step sign-in is on.")
            return recovery_codes(request, new, back)
        problem = "This code is not right. Look whether the clock of your phone is, and take the next code."
    device_begun = enrolment.begun(request.user)
    context = {"problem": problem, "begun": device_begun is not None, "next": back}
    if device_begun is not None:
        drawn = secret.opened(device_begun.key)
        context |= {"qr": draw(secret.address(drawn, request.user.email)), "secret": secret.written(drawn)}
    return render(request, "web/account/enrol.html", context, status=422 if problem else 200)


@never_cache
@require_POST
@proof_required
def renew_codes(request: SignedInRequest) -> HttpResponse:
    """New recovery codes, shown this once."""
    return recovery_codes(request, enrolment.renew_recovery_codes(request.user), "")


@require_POST
@proof_required
def switch_off(request: SignedInRequest) -> HttpResponse:
    """Asks for no second step any more."""
    enrolment.switch_off(request.user)
    messages.success(request, "Two-step sign-in is off. Your recovery codes are worthless now.")
    return redirect("web:account_security")


def _warn_of_few(request: HttpRequest, left: int) -> None:
    # A message of the login itself would say it before anybody is signed in.
    if SESSION_KEY in request.session:
        messages.warning(request, f"A recovery code was used up; {left} are left. Make new ones in Security.")
