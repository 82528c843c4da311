"""What ends with a login."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.signals import user_logged_out
from django.dispatch import receiver
from django.http import HttpRequest

from apps.accounts import acting
from apps.accounts.models import User
from apps.accounts.notices import Notice, tell
from apps.console import impersonation


@receiver(user_logged_out)
def signed_out(request: HttpRequest | None, **_: Any) -> None:
    """An impersonation ends with the session in which it goes on, and it is the operator who has signed out."""
    session = getattr(request, "session", None)
    if session is None or impersonation.KEY not in session:
        return
    as_ = acting.current()
    if as_ is not None:
        impersonation.end(as_.id, as_.operator_id)
        tell(User.objects.get(pk=as_.operator_id), Notice.SIGNED_OUT)
    elif request is not None and request.user.is_authenticated:
        # At the console's own sign-out, where the operator is the operator.
        impersonation.leave(request)
