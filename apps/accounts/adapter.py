"""What allauth asks us about accounts."""

from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from django.conf import settings
from django.http import HttpRequest

from apps.accounts.models import UserManager


class AccountAdapter(DefaultAccountAdapter):  # type: ignore[misc]  # allauth is not typed
    """Whether people may sign up by themselves, and one spelling of every address."""

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        return bool(settings.ATTRACTOR.accounts.open_signup)

    def clean_email(self, email: str) -> str:
        return str(super().clean_email(UserManager.normalize_email(email)))

    def save_user(self, request: HttpRequest, user: Any, form: Any, commit: bool = True) -> Any:
        user.name = form.cleaned_data.get("name", "")
        return super().save_user(request, user, form, commit)
