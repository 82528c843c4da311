"""What somebody sees who follows the link of an invitation."""

from __future__ import annotations

from datetime import datetime

from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from apps.accounts.models import User
from apps.workspaces import invitations
from apps.workspaces.invitations import OPENED
from apps.workspaces.models import Invitation, Role
from apps.workspaces.refusals import InvitationVoid


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def invitation(request: HttpRequest, token: str) -> HttpResponse:
    """Where one is invited, by whom, and as what. POST accepts, for who is signed in.

    Only a message to the address holds the token: who opens it and then signs up with this very address has confirmed
    it. Nobody's address is confirmed so who had the account before, or signs up with another one: a link that somebody
    is lured to must not give a stranger's address to the own account.
    """
    found, workspace = invitations.of_token(token)
    user = request.user if request.user.is_authenticated else None
    if user is None:
        opened = {"invitation": str(found.pk), "email": found.email, "at": timezone.now().isoformat()}
        if not found.over:
            request.session[OPENED] = opened
    else:
        _confirm(request, user, found)
    void = invitations.why_void(user, token)
    if request.method == "POST" and user is not None:
        try:
            made = invitations.accept(user, token)
        except InvitationVoid as refusal:
            void = " ".join(f"{fault.message} {fault.mend}" for fault in refusal.faults)
        else:
            messages.success(request, f"You belong to {made.workspace.name} now.")
            return redirect("web:workspace", slug=made.workspace.slug)
    context = {
        "invitation": found,
        "inviting": workspace.name,
        "role": Role(found.role).label,
        "void": void,
        "signed_in": user is not None,
        "others": user is not None and user.email != found.email and not found.over,
        "open_signup": settings.ATTRACTOR.accounts.open_signup,
    }
    # A page that only says no is no error; what was sent and refused is.
    return render(request, "web/invitation.html", context, status=409 if void and request.method == "POST" else 200)


def _confirm(request: HttpRequest, user: User, found: Invitation) -> None:
    opened = request.session.get(OPENED)
    if opened is None or opened["invitation"] != str(found.pk):
        return
    if user.date_joined >= datetime.fromisoformat(opened["at"]):
        invitations.confirm_address(user, found)
    del request.session[OPENED]
