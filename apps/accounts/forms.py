"""The forms with which people sign up and ask for a new password."""

from __future__ import annotations

import secrets
from typing import Any
from uuid import uuid4

from allauth.account import app_settings
from allauth.account import forms as account
from allauth.account.adapter import get_adapter
from allauth.account.models import EmailAddress
from django import forms
from django.contrib import messages
from django.db import IntegrityError, transaction
from django.http import HttpRequest
from django.shortcuts import redirect

from apps.accounts.lookup import person_with
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
    account_already_exists: bool  # which allauth sets while it cleans

    def clean(self) -> dict[str, Any]:
        """Holds the password against the name too; allauth knows of the address only."""
        cleaned: dict[str, Any] = super().clean()
        # Not there if something was wrong with it already.
        if password := cleaned.get("password1"):
            person = User(email=cleaned.get("email", ""), name=cleaned.get("name", ""))
            try:
                get_adapter().clean_password(password, user=person)
            except forms.ValidationError as refused:
                self.add_error("password1", refused)
        return cleaned

    def try_save(self, request: HttpRequest) -> Any:
        try:
            with transaction.atomic():
                if self.account_already_exists:
                    self._rehearse(request)
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

    def _rehearse(self, request: HttpRequest) -> None:
        """The work that an address without an account would have caused, taken back: how long the answer takes says
        nothing of whether there is one."""
        said = self.cleaned_data["email"]
        with transaction.atomic():
            self.account_already_exists = False
            self.cleaned_data["email"] = f"{secrets.token_hex(16)}@rehearsal.invalid"
            try:
                self.save(request)
            finally:
                self.account_already_exists = True
                self.cleaned_data["email"] = said
            transaction.set_rollback(True)

    def save(self, request: HttpRequest) -> User:
        with transaction.atomic():
            user: User = super().save(request)
            settle(user)
        return user


class ResetPasswordForm(account.ResetPasswordForm):  # type: ignore[misc]
    """Takes the same statements whether the address has an account or not."""

    def clean_email(self) -> str:
        email = str(get_adapter().clean_email(self.cleaned_data["email"].lower()))
        person = person_with(email)
        self.users = [person] if person is not None and person.is_active else []
        return email

    def save(self, request: HttpRequest, **more: Any) -> str:
        if not self.users:
            # What a token asks for of the person whom it is made for.
            nobody = EmailAddress.objects.filter(user_id=uuid4())
            nobody.filter(email=self.cleaned_data["email"]).exists()
            list(nobody.values_list("email", flat=True))
        return str(super().save(request, **more))
