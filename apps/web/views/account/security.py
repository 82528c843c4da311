"""How one signs in, and what was done with the account."""

from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from apps.accounts import selectors
from apps.accounts.mfa import enrolment, recovery
from apps.accounts.mfa.passkeys import passkeys
from apps.accounts.notices import Notice
from apps.web.views.account.signed_in import signed_in
from apps.web.views.request import SignedInRequest
from apps.workspaces.selectors import demanding_mfa

RECENT = 10
UNTOLD = {
    Notice.SIGNED_IN: "Signed in",
    Notice.SIGNED_OUT: "Signed out",
    Notice.SESSION_ENDED: "A browser was signed out",
    Notice.SESSIONS_ENDED: "All other browsers were signed out",
    Notice.PROFILE: "The profile was changed",
}
"""What no mail tells. Everything else is called as the subject of its mail."""
WORDS = {one.action: one.subject or UNTOLD.get(one, one.action) for one in Notice}


@never_cache
@require_safe
@signed_in
def security(request: SignedInRequest) -> HttpResponse:
    """The state of everything that guards the account."""
    context = {
        "recovery_left": recovery.left(request.user),
        "events": [
            {"words": WORDS.get(one.action, one.action), "at": one.at, "address": one.address}
            for one in selectors.events(request.user)[:RECENT]
        ],
        "has_app": enrolment.has_app(request.user),
        "passkeys": list(passkeys(request.user)),
        "demanded_by": [workspace.name for workspace in demanding_mfa(request.user)],
    }
    return render(request, "web/account/security.html", context)
