"""Sessions of people with a second factor that have not shown it are nobody's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from django.contrib.auth.models import AnonymousUser

from apps.accounts.mfa import factors

if TYPE_CHECKING:
    from apps.accounts.models import User


def admitted(user: User | AnonymousUser, session: Mapping[str, Any]) -> User | AnonymousUser:
    """The person of a session, if the session has shown what is asked for; else nobody.

    Who came with an API key passes: a key is no session, and was made by somebody who had shown it.
    """
    if not user.is_authenticated or user.mfa_since is None or user.api_key is not None:
        return user
    return user if _shown(user, session) else AnonymousUser()


def _shown(user: User, session: Mapping[str, Any]) -> bool:
    """Whether the session was bound to a factor that the person has now."""
    # django-otp's middleware has looked it up for a page; for a socket nobody has.
    device = user.otp_device if hasattr(user, "otp_device") else factors.named_in(session)
    return factors.is_of(user, device)
