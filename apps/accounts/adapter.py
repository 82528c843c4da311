"""What allauth asks us about accounts."""

from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from django.conf import settings
from django.core.mail import EmailMessage
from django.http import HttpRequest
from django.template.loader import render_to_string
from django.urls import reverse

from apps.accounts import mails
from apps.accounts.models import UserManager
from apps.console import flags


class AccountAdapter(DefaultAccountAdapter):  # type: ignore[misc]  # allauth is not typed
    """Whether people may sign up by themselves, one spelling of every address, and what every login goes through."""

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        return bool(settings.ATTRACTOR.accounts.open_signup) and flags.is_on(flags.SIGN_UP)

    def clean_email(self, email: str) -> str:
        return str(super().clean_email(UserManager.normalize_email(email)))

    def save_user(self, request: HttpRequest, user: Any, form: Any, commit: bool = True) -> Any:
        user.name = form.cleaned_data.get("name", "")
        return super().save_user(request, user, form, commit)

    def get_login_stages(self) -> list[str]:
        """Last of all the second factor, whatever the way by which somebody signs in."""
        return [*super().get_login_stages(), "apps.accounts.mfa.stage.SecondFactorStage"]

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
