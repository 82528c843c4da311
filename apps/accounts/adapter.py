"""What allauth asks us about accounts."""

from typing import Any, Final

import structlog
from allauth.account.adapter import DefaultAccountAdapter
from allauth.core import context as here
from django.conf import settings
from django.core.exceptions import PermissionDenied, ValidationError
from django.core.mail import EmailMessage
from django.http import HttpRequest
from django.template.loader import render_to_string
from django.urls import reverse

from apps.accounts import guesses, mails, visit
from apps.accounts.models import UserManager
from apps.console import flags
from apps.workspaces import invitations

log = structlog.get_logger(__name__)

ANYBODYS: Final = frozenset(
    f"account/email/{name}" for name in ("password_reset_key", "unknown_account", "account_already_exists")
)
"""Mails that anybody can have sent to any address."""


class AccountAdapter(DefaultAccountAdapter):  # type: ignore[misc]  # allauth is not typed
    """Whether people may sign up by themselves, one spelling of every address, and what every login goes through."""

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        return bool(settings.ATTRACTOR.accounts.open_signup) and flags.is_on(flags.SIGN_UP)

    def clean_email(self, email: str) -> str:
        return str(super().clean_email(UserManager.normalize_email(email)))

    def is_email_verified(self, request: HttpRequest, email: str) -> bool:
        """Also the address of an invitation that was opened in this browser: only a mail to it has the link."""
        opened = invitations.opened_for(request.session)
        return opened == UserManager.normalize_email(email) or bool(super().is_email_verified(request, email))

    def save_user(self, request: HttpRequest, user: Any, form: Any, commit: bool = True) -> Any:
        user.name = form.cleaned_data.get("name", "")
        return super().save_user(request, user, form, commit)

    def get_login_stages(self) -> list[str]:
        """Last of all the second factor, whatever the way by which somebody signs in."""
        return [*super().get_login_stages(), "apps.accounts.mfa.stage.SecondFactorStage"]

    def get_client_ip(self, request: HttpRequest) -> str:
        """The word of the proxy in front, as everywhere else."""
        address = visit.address_of(request)
        if address is None:
            raise PermissionDenied("The address of the caller is not known.")
        return address

    def pre_authenticate(self, request: HttpRequest, **credentials: Any) -> None:
        """Counts the try; allauth takes it back when the password is right. Raises ValidationError for one too many."""
        self._login_failed_rl_usage = guesses.count(request, str(credentials.get("email", "")))
        if self._login_failed_rl_usage is None:
            raise ValidationError(guesses.REFUSED, code="too_many_login_attempts")

    def _delete_login_attempts_cached_email(self, request: HttpRequest, **credentials: Any) -> None:
        guesses.forget(request, str(credentials.get("email", "")))

    def send_mail(self, template_prefix: str, email: str, context: dict[str, Any]) -> None:
        """Not more than some to one address of those that anybody can cause: the last ones are still good."""
        if template_prefix in ANYBODYS and not guesses.may_mail(here.request, email):
            log.info("mail_left_out", template=template_prefix)
            return
        super().send_mail(template_prefix, email, context)

    def get_password_change_redirect_url(self, request: HttpRequest) -> str:
        return reverse("web:account_security")

    def format_email_subject(self, subject: str) -> str:
        """Without the name of a Django site in front: there is one site."""
        return subject

    def render_mail(
        self,
        template_prefix: str,
        email: str | list[str],
        context: dict[str, Any],
        headers: dict[str, str] | None = None,
    ) -> EmailMessage:
        """allauth's texts as text and as HTML."""
        (to,) = [email] if isinstance(email, str) else email
        subject = render_to_string(f"{template_prefix}_subject.txt", context).strip()
        text = render_to_string(f"{template_prefix}_message.txt", context, context.get("request")).strip() + "\n"
        return mails.mail(to, subject, text, headers)
