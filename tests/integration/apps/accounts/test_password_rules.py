"""What may be a password, and what happens to it between the form and the hash."""

from __future__ import annotations

from datetime import datetime, timedelta
from html.parser import HTMLParser
from typing import Any

import pytest
from authenticators import whose
from django.contrib.auth import password_validation
from django.contrib.auth.hashers import PBKDF2PasswordHasher
from django.contrib.auth.tokens import PasswordResetTokenGenerator
from django.core import mail
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from apps.accounts.models import User
from apps.accounts.services import register

pytestmark = pytest.mark.django_db

MIXED = " Grüße – 猫 ∑ with spaces at both ends  "


NAME = "Grace Brewster Hopper"


def sign_up(password: str, email: str = "ada@example.org", name: str = "") -> Any:
    form = {"name": name, "email": email, "password1": password, "password2": password}
    return Client().post(reverse("account_signup"), form)


def log_in(password: str, email: str = "ada@example.org") -> Client:
    client = Client()
    client.post(reverse("account_login"), {"login": email, "password": password})
    return client


@pytest.mark.parametrize(
    "password", ["x9!", "sevenly", "12345678", "Password1", "iloveyou1", "attractor2026", "ADA@example.org"]
)
def test_what_is_short_or_known_is_refused(password: str) -> None:
    assert sign_up(password).status_code == 200
    assert not User.objects.exists()


@pytest.mark.parametrize("password", [NAME, NAME.lower(), "GraceBrewsterHopper", "Grace Brewster Hoppe7"])
def test_one_s_own_name_is_no_password(password: str) -> None:
    answer = sign_up(password, "rear-admiral@example.org", NAME)
    assert answer.status_code == 200
    assert "too similar to the name" in answer.content.decode()
    assert not User.objects.exists()
    # Who is called otherwise may have it.
    assert sign_up(password, "rear-admiral@example.org", "Ada").status_code == 302
    user = register("ada@example.org", MIXED, NAME)
    for kind in ("change", "reset"):
        new, client = {"password1": password, "password2": password}, Client()
        if kind == "change":
            client = log_in(MIXED)
            answer = client.post("/accounts/password/change/", {"oldpassword": MIXED, **new})
        else:
            client.post(reverse("account_reset_password"), {"email": user.email})
            path = next(part for part in mail.outbox[-1].body.split() if "/password/reset/key/" in part)
            form = client.get(path.partition("testserver")[2], follow=True).redirect_chain[-1][0]
            answer = client.post(form, new)
        assert "too similar to the name" in answer.content.decode(), kind
    assert whose(log_in(MIXED)) == "ada@example.org"


@pytest.mark.parametrize(
    "password",
    ["90418823557206", "qzvkwxjmrtpl", "QZVKWXJMRTPL", "§§§ ¿¿¿ ***", MIXED, "long " * 26, "長い合言葉はよいもの"],
)
def test_any_signs_and_any_length_are_taken_and_each_of_them_counts(password: str) -> None:
    assert sign_up(password).status_code == 302
    assert whose(log_in(password)) == "ada@example.org"
    # Nothing is cut off, folded or stripped.
    for other in (password[:-1], password.strip() if password != password.strip() else f"{password} ",
                  password.swapcase() if password != password.swapcase() else f" {password}"):  # fmt: skip
        assert whose(log_in(other)) is None, other


def test_the_last_of_two_hundred_signs_counts() -> None:
    assert sign_up("ab3 " * 50).status_code == 302
    assert whose(log_in("ab3 " * 49 + "ab3")) is None
    assert whose(log_in("ab3 " * 50)) == "ada@example.org"


def test_a_new_password_is_held_to_the_same_rules_wherever_it_is_set() -> None:
    register("ada@example.org", MIXED)
    client = log_in(MIXED)
    form = {"oldpassword": MIXED, "password1": "Password1", "password2": "Password1"}
    assert client.post("/accounts/password/change/", form).status_code == 200
    good = {"password1": "new and long enough", "password2": "new and long enough"}
    client.post("/accounts/password/change/", {"oldpassword": "wrong", **good})
    assert whose(log_in(MIXED)) == "ada@example.org", "without the old password nothing is changed"


def test_the_list_of_known_passwords_has_more_than_three_thousand_that_would_do() -> None:
    known = password_validation.CommonPasswordValidator().passwords
    assert len([one for one in known if len(one) >= 8]) > 3000


def test_a_password_stays_good_however_old_it_is() -> None:
    user = register("ada@example.org", MIXED)
    long_ago = timezone.now() - timedelta(days=5 * 365)
    User.objects.filter(pk=user.pk).update(date_joined=long_ago, last_login=long_ago)
    client = log_in(MIXED)
    assert whose(client) == "ada@example.org"
    assert client.get("/account/").status_code == 200, "and no other page comes first"


def test_a_link_that_sets_a_password_opens_for_an_hour_and_once(monkeypatch: pytest.MonkeyPatch) -> None:
    register("ada@example.org", MIXED)
    Client().post(reverse("account_reset_password"), {"email": "ada@example.org"})
    link = next(part for part in mail.outbox[-1].body.split() if "/password/reset/key/" in part)
    path = link.partition("testserver")[2]

    def shown_after(minutes: int) -> bool:
        at = datetime.now() + timedelta(minutes=minutes)
        with monkeypatch.context() as patch:
            patch.setattr(PasswordResetTokenGenerator, "_now", lambda _: at)
            return b"password1" in Client().get(path, follow=True).content

    assert (shown_after(59), shown_after(61)) == (True, False)
    client = Client()
    form = client.get(path, follow=True).redirect_chain[-1][0]
    client.post(form, {"password1": "something else altogether", "password2": "something else altogether"})
    assert not shown_after(0)


def test_passwords_are_kept_by_a_slow_hash_in_production(settings: Any) -> None:
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.PBKDF2PasswordHasher"]
    user = register("ada@example.org", MIXED)
    algorithm, iterations, salt, _ = user.password.split("$")
    # OWASP Password Storage Cheat Sheet: 600,000 iterations of PBKDF2 with HMAC-SHA-256.
    assert (algorithm, int(iterations) >= 600_000, len(salt) >= 22) == ("pbkdf2_sha256", True, True)
    assert int(iterations) == PBKDF2PasswordHasher.iterations


class Fields(HTMLParser):
    """The fields of a page in which a password is typed, and whatever would stand in the way of pasting."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[dict[str, str | None]] = []
        self.stopping: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        known = dict(attrs)
        self.stopping += [name for name, _ in attrs if name.startswith("on")]
        if tag == "input" and "password" in str(known.get("name", "")):
            self.found.append(known)


@pytest.mark.parametrize(
    ("page", "kinds"),
    [
        ("/accounts/login/", ["current-password"]),
        ("/accounts/signup/", ["new-password", "new-password"]),
        ("/accounts/password/change/", ["current-password", "new-password", "new-password"]),
    ],
)
def test_fields_hide_what_is_typed_and_let_managers_of_passwords_help(page: str, kinds: list[str]) -> None:
    register("ada@example.org", MIXED)
    client = log_in(MIXED) if "change" in page else Client()
    fields = Fields(client.get(page).content.decode())
    assert [one["type"] for one in fields.found] == ["password"] * len(kinds)
    assert [one.get("autocomplete") for one in fields.found] == kinds
    assert [one for one in fields.found if "maxlength" in one] == []
    assert fields.stopping == []
