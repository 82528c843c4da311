"""What is done with an account is noted, and the person is told."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Any

import structlog
from django.db import transaction
from django.utils import timezone

from apps.accounts import acting, mails, visit
from apps.accounts.models import AccountEvent

if TYPE_CHECKING:
    from apps.accounts.models import User


log = structlog.get_logger(__name__)


class Notice(Enum):
    """What happened: the action of its event, the subject of the mail, and what it says; no mail without a subject.

    The text may name the facts that `tell` is given.
    """

    MFA_ON = (
        "mfa.on", "Two-step sign-in is on",
        "Signing in to your account now asks for a second step too: your {factor}. All other sessions were ended.",
    )  # fmt: skip
    MFA_OFF = (
        "mfa.off", "Two-step sign-in is off",
        "Signing in to your account asks for no second step any more. Your recovery codes are worthless, and so are "
        "passkeys, if you had any.",
    )  # fmt: skip
    APP_ADDED = (
        "mfa.app.add", "An authenticator app was added",
        "Codes of an authenticator app can now be used as the second step of signing in to your account.",
    )  # fmt: skip
    APP_REMOVED = (
        "mfa.app.remove", "Your authenticator app was removed",
        "Codes of your authenticator app open nothing any more, and sessions that were begun with one were ended.",
    )  # fmt: skip
    PASSKEY_ADDED = (
        "mfa.passkey.add", "A passkey was added",
        "The passkey “{name}” can now be used as the second step of signing in to your account.",
    )  # fmt: skip
    PASSKEY_RENAMED = ("mfa.passkey.rename", "", "")
    PASSKEY_REMOVED = (
        "mfa.passkey.remove", "A passkey was removed",
        "The passkey “{name}” opens nothing any more, and sessions that were begun with it were ended.",
    )  # fmt: skip
    PASSKEY_COPIED = (
        "mfa.passkey.copied", "A passkey of yours was refused",
        "Your passkey “{name}” has counted backwards, as a copy of it would. Nobody was let in by it. Sign in another "
        "way and remove it in Security; if you did not use it just now, choose a new password too.",
    )  # fmt: skip
    RECOVERY_RENEWED = (
        "mfa.recovery.renew", "New recovery codes",
        "New recovery codes were made for your account. Those you had before are worthless.",
    )  # fmt: skip
    RECOVERY_USED = (
        "mfa.recovery.use", "A recovery code was used",
        "A recovery code of your account was used as the second step. {left} are left.",
    )  # fmt: skip
    GUESSED = (
        "mfa.guessed", "Wrong codes for your account",
        "{count} wrong codes in a row came for your account, by somebody who knows your password or is signed "
        "in as you. Nobody was let in by them. Choose a new password: whoever it is cannot go on then, and what you "
        "have to wait before the next code is over within a quarter of an hour.",
    )  # fmt: skip
    PASSWORD_CHANGED = ("password.change", "Your password was changed", "The password of your account was changed.")
    PASSWORD_SET = ("password.set", "Your account has a password", "A password was set for your account.")
    PASSWORD_RESET = (
        "password.reset", "Your password was reset",
        "The password of your account was set anew by a link in a mail. All sessions were ended.",
    )  # fmt: skip
    EMAIL_ASKED = (
        "email.ask", "Your e-mail address is to be changed",
        "Somebody signed in to your account wants to change its address to {new}. It is changed once that address is "
        "confirmed.",
    )  # fmt: skip
    EMAIL_CHANGED = (
        "email.change", "Your e-mail address was changed",
        "The address of your account is no longer {old}, but {new}. Mails like this one go there from now on.",
    )  # fmt: skip
    LINKED = (
        "provider.link", "A new way to sign in", "{provider} ({label}) can now be used to sign in to your account.",
    )  # fmt: skip
    UNLINKED = (
        "provider.unlink", "A way to sign in was removed",
        "{provider} can no longer be used to sign in to your account.",
    )  # fmt: skip
    EXPORTED = (
        "account.export", "Your data was downloaded", "Everything that is kept about you was downloaded as a file.",
    )  # fmt: skip
    DEACTIVATED = (
        "operator.deactivate", "Your account was switched off",
        "An operator of this site has switched your account off, for this reason: {reason}\n\n"
        "You are signed out everywhere, and your API keys open nothing.",
    )  # fmt: skip
    REACTIVATED = (
        "operator.reactivate", "Your account works again",
        "An operator of this site has switched your account on again. Sign in as always.",
    )  # fmt: skip
    ENDED_BY_OPERATOR = (
        "operator.sign_out", "You were signed out everywhere",
        "An operator of this site has ended all sessions of your account, for this reason: {reason}",
    )  # fmt: skip
    MFA_RESET = (
        "operator.mfa_reset", "Two-step sign-in was switched off by an operator",
        "An operator of this site has switched two-step sign-in of your account off, for this reason: {reason}\n\n"
        "You are signed out everywhere. Signing in asks for no second step until you set one up again in Security. "
        "Your recovery codes are worthless, and so are passkeys, if you had any.",
    )  # fmt: skip
    # No mail: what was sent is one.
    CONFIRMATION_SENT = ("operator.resend_confirmation", "", "")
    RIGHTS = (
        "operator.rights", "Your rights as an operator were changed",
        "Those who run this site have changed what you may do as an operator, for this reason: {reason}",
    )  # fmt: skip
    IMPERSONATED = (
        "operator.impersonate.begin", "An operator acts in your name",
        "{operator}, an operator of this site, looks at it and works in it in your name until {until} at the latest, "
        "for this reason: {reason}\n\n"
        "Your password, two-step sign-in, API keys and what cannot be taken back are out of reach. Everything that is "
        "written meanwhile names the operator, in the audit log of the workspace and in what was done with your "
        "account.",
    )  # fmt: skip
    IMPERSONATION_ENDED = (
        "operator.impersonate.end", "The operator does not act in your name any more",
        "{operator}, an operator of this site, has stopped acting in your name.",
    )  # fmt: skip
    SIGNED_IN = ("sign_in", "", "")
    SIGNED_OUT = ("sign_out", "", "")
    SESSION_ENDED = ("session.end", "", "")
    SESSIONS_ENDED = ("session.end_others", "", "")
    PROFILE = ("profile.change", "", "")

    def __init__(self, action: str, subject: str, text: str) -> None:
        self.action = action
        self.subject = subject
        self.text = text

    @property
    def by_operator(self) -> bool:
        """Whether it is something that an operator of the site did."""
        return self.action.startswith("operator.")


def tell(user: User, notice: Notice, *, to: str | None = None, **facts: Any) -> None:
    """Note it, and send the mail once it is committed.

    Args:
        to: another address than the person's own.
        facts: JSON, kept with the event and named by the mail's text. No secrets.
    """
    here, as_ = visit.current(), acting.current()
    if as_ is not None:
        facts = {"operator": as_.operator, **facts}
    with transaction.atomic():
        AccountEvent.objects.create(
            user=user, action=notice.action, data=facts, address=here.address,
            request_id=str(structlog.contextvars.get_contextvars().get("request_id", "")),
        )  # fmt: skip
        transaction.on_commit(
            lambda: log.info(
                "account_event", action=notice.action, user_id=str(user.pk), address=here.address, agent=here.agent
            )
        )
        if notice.subject:
            context = {
                "name": user.get_full_name(), "text": notice.text.format(**facts), "visit": here, "at": timezone.now(),
                "by_operator": notice.by_operator,
            }  # fmt: skip
            mails.post("notice", to or user.email, notice.subject, context)
