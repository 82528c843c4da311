"""Whose an e-mail address is."""

from __future__ import annotations

from allauth.account.models import EmailAddress

from apps.accounts.models import User


def person_with(email: str) -> User | None:
    """Who signs in with an address: whose confirmed one it is, else whose account has it.

    The same two statements whether there is anybody or not, so that the time does not tell.
    """
    email = email.strip().lower()
    noted = EmailAddress.objects.filter(email=email).select_related("user").order_by("-verified", "pk").first()
    of_account = User.objects.filter(email=email).first()
    if noted is not None and (noted.verified or of_account is None):
        person: User = noted.user
        return person
    return of_account
