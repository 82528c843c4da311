"""Proof that the one who is signed in is still there, before something dangerous is done.

Signing in is a proof, and so is a code (with a second factor) or the password (without one) given on a page of its own.
It holds for `accounts.proof_minutes`, in the session in which it was given.

    @proof_required                     # a page
    proof.demand(request)               # the API: 403 `proof_needed` unless the session has one
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Any, Concatenate, Final, ParamSpec
from urllib.parse import urlencode, urlsplit

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.urls import reverse

from apps.accounts import acting
from apps.ops.refusal import Fault, Refusal

if TYPE_CHECKING:
    from apps.accounts.models import User

_AT: Final = "proof_at"
_OF: Final = "proof_of"
P = ParamSpec("P")


class ProofNeeded(Refusal):
    """The session's last proof is too old for this."""

    status = 403
    code = "proof_needed"
    title = "Prove first that it is you"


def note(request: HttpRequest, user: User) -> None:
    """The person has just given a proof in this session."""
    request.session[_AT] = int(time.time())
    request.session[_OF] = str(user.pk)


def give(request: HttpRequest, user: User) -> None:
    """The person has given a proof on the page that asks for one: noted, in a session under a new key.

    Whoever knew the key before has nothing of the proof.
    """
    request.session.cycle_key()
    note(request, user)


def is_fresh(request: HttpRequest) -> bool:
    """Whether the session's proof still holds."""
    at = request.session.get(_AT)
    if not isinstance(at, int) or request.session.get(_OF) != str(request.user.pk):
        return False
    return 0 <= time.time() - at < settings.ATTRACTOR.accounts.proof_minutes * 60


def demand(request: HttpRequest) -> None:
    """Raises `ProofNeeded` without a fresh proof; who comes with an API key is bounded by the key instead.

    Raises `WhileImpersonating` for an operator in another's name, who has no proof to give.
    """
    acting.refuse()
    if not getattr(request, "with_key", False) and not is_fresh(request):
        raise ProofNeeded(
            [
                Fault(
                    "session",
                    "It was proven too long ago that it is you.",
                    f"Open {reverse('web:prove')} and prove it.",
                )
            ]
        )


def ask(request: HttpRequest) -> HttpResponseRedirect:
    """To the page where a proof is given, and back to where the person was. Raises `WhileImpersonating`."""
    acting.refuse()
    if request.method not in ("GET", "HEAD"):
        messages.info(request, "Confirm that it is you, then do it again: nothing was changed yet.")
    back = request.get_full_path() if request.method in ("GET", "HEAD") else _page_of(request)
    return HttpResponseRedirect(f"{reverse('web:prove')}?{urlencode({'next': back})}")


def proof_required(
    view: Callable[Concatenate[Any, P], HttpResponseBase],
) -> Callable[Concatenate[Any, P], HttpResponseBase]:
    """A page that needs a fresh proof, to look at as to change. Who is not signed in is asked to."""

    @wraps(view)
    def guarded(request: Any, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
        if not request.user.is_authenticated:
            return redirect_to_login(request.get_full_path())
        acting.refuse()
        return view(request, *args, **kwargs) if is_fresh(request) else ask(request)

    return guarded


def _page_of(request: HttpRequest) -> str:
    """The page whose form was sent."""
    referer = urlsplit(request.headers.get("Referer", ""))
    return referer.path if referer.path and referer.netloc == request.get_host() else reverse("web:account_security")
