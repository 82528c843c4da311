"""Adding, naming and removing passkeys, and what browsers ask them to sign."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST
from django_otp import DEVICE_ID_SESSION_KEY
from django_otp import login as bind

from apps.accounts import proof, visit
from apps.accounts.mfa import enrolment, passkeys, stage
from apps.accounts.mfa.challenges import Purpose
from apps.accounts.mfa.factors import factors
from apps.accounts.mfa.relying_party import Elsewhere, RelyingParty, relying_party
from apps.accounts.models import Passkey
from apps.accounts.proof import proof_required
from apps.ops.refusal import Fault, Invalid, Refusal
from apps.web.views.account.back import back_of
from apps.web.views.account.factors import MAX_ANSWER
from apps.web.views.account.recovery_codes import recovery_codes
from apps.web.views.outcome import errors_of
from apps.web.views.request import SignedInRequest

if TYPE_CHECKING:
    from apps.accounts.mfa.factors import Factor
    from apps.accounts.models import User


@never_cache
@sensitive_post_parameters("passkey")
@require_http_methods(["GET", "HEAD", "POST"])
@proof_required
def add_passkey(request: SignedInRequest) -> HttpResponse:
    """Asks for a name and the browser for a passkey. POST keeps it; a first factor brings recovery codes."""
    party, user, errors = relying_party(request), request.user, {}
    name = request.POST.get("name", visit.current().device)[: passkeys.MAX_NAME + 1]
    if request.method == "POST":
        try:
            made, codes = _added(request, party, name)
        except Refusal as refusal:
            errors = errors_of(refusal)
        else:
            if not codes:
                messages.success(request, f"The passkey “{made.name}” was added.")
                return redirect(back_of(request) or "web:account_security")
            # What could be known of the session before is worth nothing after.
            request.session.cycle_key()
            bind(request, made)
            messages.success(request, "Two-step sign-in is on.")
            return recovery_codes(request, codes, back_of(request))
    context = {
        "elsewhere": party if isinstance(party, Elsewhere) else None, "name": name, "errors": errors,
        "first": user.mfa_since is None, "next": back_of(request),
        "options": reverse("web:passkey_options", args=[Purpose.ADD]),
    }  # fmt: skip
    return render(request, "web/account/add_passkey.html", context, status=422 if errors else 200)


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@proof_required
def passkey(request: SignedInRequest, passkey_id: int) -> HttpResponse:
    """One passkey. POST gives it another name."""
    found = passkeys.passkeys(request.user).filter(pk=passkey_id).first()
    if found is None:
        raise Http404("There is no such passkey.")
    name, errors = request.POST.get("name", "") if request.method == "POST" else found.name, {}
    if request.method == "POST":
        try:
            passkeys.rename(request.user, passkey_id, name)
        except Invalid as refusal:
            errors = errors_of(refusal)
        else:
            messages.success(request, "The passkey has another name.")
            return redirect("web:account_security")
    context = {"passkey": found, "name": name, "errors": errors}
    return render(request, "web/account/passkey.html", context, status=422 if errors else 200)


@require_POST
@proof_required
def remove_passkey(request: SignedInRequest, passkey_id: int) -> HttpResponse:
    """Takes a passkey away, if it is not the last factor."""
    try:
        removed = passkeys.remove(request.user, passkey_id, request.session.session_key)
    except Passkey.DoesNotExist:
        raise Http404("There is no such passkey.") from None
    except Refusal as refusal:
        _refuse(request, refusal)
    else:
        _keep_session(request, removed)
        messages.success(request, f"The passkey “{removed.name}” was removed.")
    return redirect("web:account_security")


@require_POST
@proof_required
def remove_app(request: SignedInRequest) -> HttpResponse:
    """Takes the authenticator app away, if it is not the last factor."""
    try:
        removed = enrolment.remove_app(request.user, request.session.session_key)
    except Refusal as refusal:
        _refuse(request, refusal)
    else:
        if removed is not None:
            _keep_session(request, removed)
        messages.success(request, "The authenticator app was removed.")
    return redirect("web:account_security")


@never_cache
@require_POST
def passkey_options(request: HttpRequest, purpose: str) -> JsonResponse:
    """What a browser is to ask its passkeys, as JSON; `problem` says to the person why it is to ask nothing."""
    if purpose not in Purpose.values:
        raise Http404("There is no such purpose.")
    party, session_key = relying_party(request), request.session.session_key
    if isinstance(party, Elsewhere):
        return _told(409, party.reason)
    user = _asked(request, Purpose(purpose))
    if user is None:
        return _told(403, "Your sign-in is over. Load this page again.")
    if purpose == Purpose.ADD and not proof.is_fresh(request):
        return _told(403, "It was proven too long ago that it is you. Load this page again.")
    try:
        if purpose == Purpose.ADD:
            return JsonResponse(passkeys.to_add(user, party, session_key))
        return JsonResponse(passkeys.to_show(user, party, Purpose(purpose), session_key))
    except Refusal as refusal:
        return _told(refusal.status, " ".join(f"{fault.message} {fault.mend}" for fault in refusal.faults))


def _asked(request: HttpRequest, purpose: Purpose) -> User | None:
    """Whose passkey it is about: of who is signing in, else of who is signed in."""
    if purpose == Purpose.SIGN_IN:
        waiting = stage.pending(request)
        return stage.person_of(waiting) if waiting is not None else None
    user: Any = request.user
    return user if user.is_authenticated else None


def _added(request: SignedInRequest, party: RelyingParty | Elsewhere, name: str) -> tuple[Passkey, list[str]]:
    text = request.POST.get("passkey", "")
    if isinstance(party, Elsewhere):
        raise Invalid([Fault("passkey", party.reason, "")])
    if not text:
        raise Invalid([Fault("passkey", "Nothing came from a passkey.", "Adding one needs JavaScript.")])
    return passkeys.add(request.user, party, name, text[:MAX_ANSWER], request.session.session_key)


def _keep_session(request: SignedInRequest, removed: Factor) -> None:
    """The session in which a factor was taken away goes on by another one, when it was begun with that."""
    if request.session.get(DEVICE_ID_SESSION_KEY) == removed.persistent_id:
        bind(request, factors(request.user)[0])


def _refuse(request: HttpRequest, refusal: Refusal) -> None:
    messages.error(request, " ".join(f"{fault.message} {fault.mend}" for fault in refusal.faults))


def _told(status: int, problem: str) -> JsonResponse:
    return JsonResponse({"problem": problem}, status=status)
