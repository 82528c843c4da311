"""Asking for the password of somebody who is signed in already."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import transaction

from apps.accounts.mfa import patience
from apps.accounts.mfa.patience import Kind

if TYPE_CHECKING:
    from apps.accounts.models import User


def check_password(user: User, text: str) -> str:
    """What is wrong with it, to be said to the person; empty when it is right. Guessing is slowed down as of codes."""
    with transaction.atomic():
        counts = patience.held(user)
        if patience.wait_until(counts, (Kind.ACCOUNT,)) is not None:
            return "Too many wrong tries. Wait some minutes, then try again."
        # Django's own check also makes the stored hash stronger where that is due.
        if user.check_password(text):
            patience.forget(user)
            return ""
        patience.count(counts, (Kind.ACCOUNT,))
        return "This is not your password."
