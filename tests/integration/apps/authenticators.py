"""People with a second factor, their authenticator and their browsers."""

from __future__ import annotations

import base64
from dataclasses import dataclass

from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor.totp import TOTP
from django.test import Client
from django.urls import reverse

from apps.accounts.models import User

PASSWORD = "correct horse battery staple"


class Clock:
    """The time that codes are looked at with; it stands still unless it is told."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def next_step(self) -> None:
        self.now += 30


@dataclass
class Person:
    """Somebody with an authenticator of another make than the site's: that of the package cryptography."""

    user: User
    secret: bytes
    recovery: list[str]
    clock: Clock

    def code(self, steps: int = 0) -> str:
        """What the authenticator shows so many steps from now."""
        app = TOTP(self.secret, 6, SHA1(), 30, enforce_key_length=False)  # noqa: S303 as RFC 6238 has it
        return app.generate(int(self.clock.now) + 30 * steps).decode()

    def half_in(self, client: Client | None = None, **more: str) -> Client:
        """A browser that has given the password."""
        client = client or Client()
        answer = client.post(reverse("account_login"), {"login": self.user.email, "password": PASSWORD, **more})
        assert (answer.status_code, answer.url) == (302, reverse("web:second_factor"))
        return client

    def signed_in(self) -> Client:
        """A browser that has given everything."""
        client = self.half_in()
        self.clock.next_step()
        assert client.post(reverse("web:second_factor"), {"code": self.code()}).status_code == 302
        assert whose(client) == self.user.email
        return client


def whose(client: Client) -> str | None:
    """Whom the API takes the browser for."""
    answer = client.get("/api/v1/me/")
    return answer.json()["email"] if answer.status_code == 200 else None


def secret_on(page: str) -> bytes:
    """The secret that a page of the enrolment shows to be typed."""
    text = page.split('id="secret"')[1].split('value="')[1].split('"', maxsplit=1)[0].replace(" ", "")
    return base64.b32decode(text + "=" * (-len(text) % 8))
