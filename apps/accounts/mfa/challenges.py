"""What a passkey is given to sign: random, for one person in one session and for one purpose, good once.

A session has one at a time; a newer one takes the place of the older. They are rows, because of two requests that bring
the same answer at once only one can delete a row.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from django.db import transaction
from django.utils import timezone
from webauthn.helpers import generate_challenge

from apps.accounts.models import PasskeyChallenge

if TYPE_CHECKING:
    from apps.accounts.models import User

Purpose = PasskeyChallenge.Purpose
LIFETIME: Final = timedelta(minutes=6)
"""A little longer than browsers are told to wait for the person (`ceremony.TIMEOUT_MS`)."""


def draw(user: User, purpose: Purpose, session_key: str | None) -> bytes:
    """A new one for this session."""
    now, value = timezone.now(), generate_challenge()
    with transaction.atomic():
        # Those that were never answered; nobody else looks for them.
        PasskeyChallenge.objects.filter(expires_at__lte=now).delete()
        PasskeyChallenge.objects.update_or_create(
            session_key=session_key,
            defaults={"user": user, "purpose": purpose, "value": value, "expires_at": now + LIFETIME},
        )
    return value


def take(user: User, purpose: Purpose, session_key: str | None) -> bytes | None:
    """Use up the session's challenge; None when there is none, it is too old, or was drawn for something else.

    It is gone whatever becomes of the answer: it must not be called inside a transaction that may be rolled back.
    """
    found = PasskeyChallenge.objects.filter(session_key=session_key).first()
    if found is None:
        return None
    # Of several who have read it, one deletes it.
    deleted, _ = PasskeyChallenge.objects.filter(pk=found.pk).delete()
    if not deleted or found.user_id != user.pk or found.purpose != purpose or found.expires_at <= timezone.now():
        return None
    return bytes(found.value)
