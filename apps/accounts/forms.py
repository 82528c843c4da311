"""The form with which people sign up."""

from typing import Any

from allauth.account import app_settings
from allauth.account import forms as account
from django import forms
from django.contrib import messages
from django.db import IntegrityError, transaction
from django.http import HttpRequest
from django.shortcuts import redirect

from apps.accounts.models import User
from apps.accounts.services import settle


class SignupForm(account.SignupForm):  # type: ignore[misc]
    """E-mail, password and, if one likes, a name. The account comes with a workspace and a first project."""

    name = forms.CharField(
        max_length=120,
        required=False,
        label="Name",
        help_text="Shown to the people you work with.",
        widget=forms.TextInput(attrs={"autocomplete": "name"}),
    )
    field_order = ("name", "email", "password1", "password2")

    def try_save(self, request: HttpRequest) -> Any:
        try:
            with transaction.atomic():
                return super().try_save(request)
        except IntegrityError:
            if not User.objects.filter(email=self.cleaned_data["email"]).exists():
                raise
        # The same address signed up while this request was checked: answer as for any address that is known.
        if app_settings.EMAIL_VERIFICATION == app_settings.EmailVerificationMethod.MANDATORY:
            self.account_already_exists = True
            return super().try_save(request)
        messages.error(request, "This e-mail address has an account already. Sign in with its password.")
        return None, redirect("account_login")

    def save(self, request: HttpRequest) -> User:
        with transaction.atomic():
            user: User = super().save(request)
            settle(user)
        return user
