"""How passwords are looked at."""

from __future__ import annotations

from typing import Any

from allauth.account.auth_backends import AuthenticationBackend

from apps.accounts.lookup import person_with


class PasswordBackend(AuthenticationBackend):  # type: ignore[misc]  # allauth is not typed
    """allauth's, which hashes once whether there is an account or not, and here asks the database alike for both."""

    def _authenticate_by_email(self, email: str, password: str) -> Any:
        return self._check_password(person_with(email), password)
