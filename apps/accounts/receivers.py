"""What is noted and told when Django or allauth has done something with an account."""

from __future__ import annotations

from typing import Any

import structlog
from allauth.account import signals as account
from allauth.account.authentication import get_authentication_records
from django.contrib.auth.signals import user_logged_in, user_logged_out, user_login_failed
from django.db import transaction
from django.dispatch import receiver
from django.http import HttpRequest

from apps.accounts import acting, known_browsers, proof, visit
from apps.accounts.mfa import patience
from apps.accounts.models import Session, User, UserManager
from apps.accounts.notices import Notice, tell

log = structlog.get_logger(__name__)


@receiver(user_logged_in)
def signed_in(request: HttpRequest, user: User, **_: Any) -> None:
    proof.note(request, user)
    known_browsers.note(request, user.email)
    methods = [one["method"] for one in get_authentication_records(request, user)]
    tell(user, Notice.SIGNED_IN, methods=methods, second_factor=user.mfa_since is not None)


@receiver(user_logged_out)
def signed_out(user: User | None, **_: Any) -> None:
    # In another's name it is the operator who signs out; `apps.console.receivers` notes that.
    if user is not None and user.is_authenticated and acting.current() is None:
        tell(user, Notice.SIGNED_OUT)


@receiver(account.password_changed)
def password_changed(request: HttpRequest, user: User, **_: Any) -> None:
    _password_is_new(user, Notice.PASSWORD_CHANGED, request.session.session_key, ends_waits=True)


@receiver(account.password_set)
def password_set(request: HttpRequest, user: User, **_: Any) -> None:
    _password_is_new(user, Notice.PASSWORD_SET, request.session.session_key, ends_waits=True)


@receiver(account.password_reset)
def password_reset(request: HttpRequest, user: User, **_: Any) -> None:
    # Who reads the person's mails is not held up by what others type, here too.
    known_browsers.note(request, user.email)
    # Of two steps the mail proves one. If it ended the waits of the other too, who reads the mailbox could reset the
    # password after every few guesses.
    _password_is_new(user, Notice.PASSWORD_RESET, None, ends_waits=user.mfa_since is None)


def _password_is_new(user: User, notice: Notice, kept: str | None, *, ends_waits: bool) -> None:
    """Who knew the old password has lost: the sessions end. What is half signed in ends by itself (`mfa.stage`)."""
    with transaction.atomic():
        Session.objects.filter(user=user).exclude(session_key=kept).delete()
        if ends_waits:
            patience.forget(user)
        tell(user, notice)


@receiver(account.email_added)
def email_asked(user: User, email_address: Any, **_: Any) -> None:
    tell(user, Notice.EMAIL_ASKED, new=email_address.email)


@receiver(account.email_changed)
def email_changed(user: User, from_email_address: Any, to_email_address: Any, **_: Any) -> None:
    if from_email_address is not None and from_email_address.email != to_email_address.email:
        old, new = from_email_address.email, to_email_address.email
        tell(user, Notice.EMAIL_CHANGED, to=old, old=old, new=new)


@receiver(user_login_failed)
def not_signed_in(credentials: dict[str, Any], **_: Any) -> None:
    """Into the log only: who types wrong passwords for somebody else must not fill that account's page."""
    # The address is not written down: people type passwords into the wrong field.
    typed = UserManager.normalize_email(str(credentials.get("email") or credentials.get("username") or ""))
    known = User.objects.filter(email=typed).values_list("pk", flat=True).first()
    here = visit.current()
    log.warning(
        "sign_in_failed", user_id=None if known is None else str(known), method="password", address=here.address,
        agent=here.agent,
    )  # fmt: skip
