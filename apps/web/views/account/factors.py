"""What a page offers that asks a person for the second step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.http import HttpRequest
from django.urls import reverse

from apps.accounts.mfa import assertions, enrolment
from apps.accounts.mfa.passkeys import passkeys
from apps.accounts.mfa.relying_party import Elsewhere, relying_party

if TYPE_CHECKING:
    from apps.accounts.mfa.assertions import Answer
    from apps.accounts.mfa.challenges import Purpose
    from apps.accounts.models import User

MAX_ANSWER = 32_768
"""Of what a browser says of a passkey, characters."""


@dataclass(frozen=True, slots=True)
class Offer:
    """The ways by which a person can take the second step.

    Attributes:
        app: whether an authenticator app is one of them; recovery codes always are.
        options: where the browser asks what a passkey is to sign; empty when none can be used here.
        hindrance: why none of the person's passkeys can be used here; empty when one can, or there is none.
        elsewhere: where they can, as an origin; empty when that is not known.
        problem: what was wrong with a passkey just now.
    """

    app: bool
    options: str = ""
    hindrance: str = ""
    elsewhere: str = ""
    problem: str = ""


def offer(request: HttpRequest, user: User, purpose: Purpose, problem: str = "") -> Offer:
    """What this person can use at the address by which the page was opened."""
    app, hosts = enrolment.has_app(user), sorted(set(passkeys(user).values_list("rp_id", flat=True)))
    if not hosts:
        return Offer(app, problem=problem)
    party = relying_party(request)
    if isinstance(party, Elsewhere):
        return Offer(app, hindrance=party.reason, elsewhere=party.origin, problem=problem)
    if party.id not in hosts:
        return Offer(
            app, hindrance=f"Your passkeys were made for {', '.join(hosts)} and work there only.", problem=problem
        )
    return Offer(app, options=reverse("web:passkey_options", args=[purpose]), problem=problem)


def answered(request: HttpRequest, user: User, purpose: Purpose) -> Answer:
    """What became of the passkey that the form of such a page brings."""
    text, party = request.POST.get("passkey", ""), relying_party(request)
    if isinstance(party, Elsewhere):
        return assertions.Answer(None, party.reason)
    if not text:
        return assertions.Answer(None, "Nothing came from a passkey. That needs JavaScript; without it use a code.")
    return assertions.check(user, text[:MAX_ANSWER], party, purpose, request.session.session_key)
