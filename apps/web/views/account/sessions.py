"""Where one is signed in, and signing out there."""

from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from apps.accounts import endings, selectors
from apps.accounts.proof import proof_required
from apps.accounts.visit import device_of
from apps.web.views.account.signed_in import signed_in
from apps.web.views.request import SignedInRequest


@never_cache
@require_safe
@signed_in
def sessions(request: SignedInRequest) -> HttpResponse:
    """Every browser that is signed in: what it is, where it was last seen, and when."""
    here = request.session.session_key
    found = [
        {"row": row, "device": device_of(row.agent), "here": row.session_key == here}
        for row in selectors.sessions(request.user)
    ]
    return render(request, "web/account/sessions.html", {"sessions": found})


@require_POST
@proof_required
def end_session(request: SignedInRequest, session_id: UUID) -> HttpResponse:
    """Signs one browser out."""
    endings.end_session(request.user, session_id)
    messages.success(request, "That browser is signed out.")
    return redirect("web:account_sessions")


@require_POST
@proof_required
def end_other_sessions(request: SignedInRequest) -> HttpResponse:
    """Signs every browser out but this one."""
    ended = endings.end_other_sessions(request.user, request.session.session_key)
    messages.success(request, f"{ended} other browser{'s are' if ended != 1 else ' is'} signed out.")
    return redirect("web:account_sessions")
