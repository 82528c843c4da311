"""Whether an address has an account is not told, neither by what is said nor by what it costs to answer.

Costs are counted, not timed: the statements that the database is sent and the hashes that are made of passwords, which
are what an answer takes its time for.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from allauth.account.models import EmailAddress
from authenticators import PASSWORD
from django.contrib.auth.hashers import MD5PasswordHasher
from django.core import mail
from django.core.cache import cache
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from apps.accounts.models import User
from apps.accounts.services import register

pytestmark = pytest.mark.django_db
TOKEN = re.compile(r'name="csrfmiddlewaretoken" value="[^"]*"|nonce="[^"]*"')

KIND = re.compile(
    r'^(?:SELECT|INSERT|UPDATE|DELETE|SAVEPOINT|RELEASE|ROLLBACK)|(?<=FROM )"\w+"|(?<=INTO )"\w+"|(?<=UPDATE )"\w+"'
)


@dataclass
class Cost:
    """What an answer took, and what it was."""

    statements: Counter[str] = field(default_factory=Counter)
    hashes: int = 0
    mails: int = 0
    said: tuple[Any, ...] = ()


@pytest.fixture(autouse=True)
def verified(settings: Any) -> None:
    settings.ACCOUNT_EMAIL_VERIFICATION = "mandatory"


@pytest.fixture
def hashes(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    made: list[str] = []
    really = MD5PasswordHasher.encode

    def encode(self: Any, password: str, salt: str, *more: Any) -> str:
        made.append(salt)
        return really(self, password, salt, *more)

    monkeypatch.setattr(MD5PasswordHasher, "encode", encode)
    return made


def person(email: str, *, confirmed: bool = True, **fields: Any) -> User:
    user = register(email, fields.pop("password", PASSWORD), "Some Body")
    EmailAddress.objects.create(user=user, email=email, verified=confirmed, primary=True)
    User.objects.filter(pk=user.pk).update(**fields)
    return user


@contextmanager
def counted(hashes: list[str]) -> Iterator[Cost]:
    cost, before, sent = Cost(), len(hashes), len(mail.outbox)
    with CaptureQueriesContext(connection) as asked:
        yield cost
    # By verb and table: which row is asked for is another matter.
    cost.statements = Counter(" ".join(KIND.findall(one["sql"])[:2]) for one in asked.captured_queries)
    cost.hashes, cost.mails = len(hashes) - before, len(mail.outbox) - sent


def cost_of(path: str, body: dict[str, str], hashes: list[str], email: str, client: Client | None = None) -> Cost:
    cache.clear()
    client = client or Client()
    client.get(path)
    with counted(hashes) as cost:
        answer = client.post(path, body)
    text = TOKEN.sub("", answer.content.decode()).replace(email, "ADDRESS")
    cost.said = (answer.status_code, answer.headers.get("Location"), text)
    return cost


def alike(costs: dict[str, Cost]) -> None:
    first, *others = costs.items()
    for name, cost in others:
        assert cost.said == first[1].said, f"{name} is answered otherwise than {first[0]}"
        assert cost.hashes == first[1].hashes, f"{name}: {cost.hashes} hashes, {first[0]}: {first[1].hashes}"
        assert cost.mails == first[1].mails, name
        assert sum(cost.statements.values()) == sum(first[1].statements.values()), (
            f"{name} has more: {cost.statements - first[1].statements}, less: {first[1].statements - cost.statements}"
        )


def test_at_the_sign_in(hashes: list[str]) -> None:
    person("known@example.org")
    person("unconfirmed@example.org", confirmed=False)
    person("closed@example.org", is_active=False)
    person("by-another-site@example.org", password=None)
    path = reverse("account_login")
    costs = {
        name: cost_of(path, {"login": f"{name}@example.org", "password": "wrong one"}, hashes, f"{name}@example.org")
        for name in ("nobody", "known", "unconfirmed", "closed", "by-another-site")
    }
    assert costs["nobody"].hashes == 1
    alike(costs)


def test_when_a_new_password_is_asked_for(hashes: list[str]) -> None:
    person("known@example.org")
    person("by-another-site@example.org", password=None)
    person("closed@example.org", is_active=False)
    path = reverse("account_reset_password")
    costs = {
        name: cost_of(path, {"email": f"{name}@example.org"}, hashes, f"{name}@example.org")
        for name in ("nobody", "known", "by-another-site", "closed")
    }
    assert costs["nobody"].mails == 1
    alike(costs)


def test_when_somebody_signs_up(hashes: list[str]) -> None:
    person("known@example.org")
    before = User.objects.count()
    path = reverse("account_signup")
    costs = {
        name: cost_of(
            path, {"email": f"{name}@example.org", "password1": PASSWORD, "password2": PASSWORD}, hashes,
            f"{name}@example.org",
        )
        for name in ("nobody", "known")
    }  # fmt: skip
    assert costs["nobody"].mails == 1
    assert User.objects.count() == before + 1
    assert not User.objects.filter(email__endswith=".invalid").exists()
    alike(costs)


def test_when_an_address_is_changed(hashes: list[str]) -> None:
    """By somebody who is signed in, to one that another person has or that nobody has."""
    person("known@example.org")
    costs = {}
    for name in ("nobody", "known"):
        me = person(f"me-{name}@example.org")
        client = Client()
        client.post(reverse("account_login"), {"login": me.email, "password": PASSWORD})
        body = {"email": f"{name}@example.org", "action_add": ""}
        cost = cost_of(reverse("account_email"), body, hashes, f"{name}@example.org", client)
        costs[name] = cost
    alike(costs)


def test_when_somebody_is_invited(hashes: list[str], ann: Any) -> None:
    person("known@example.org")
    costs = {}
    for name in ("nobody", "known"):
        cache.clear()
        ann.get("/invitations/")  # notes when the session was last used, once a minute
        with counted(hashes) as cost:
            answer = ann.client.post(
                f"{ann.root}/invitations/", {"email": f"{name}@example.org", "role": "viewer"},
                content_type="application/json",
            )  # fmt: skip
        cost.said = (answer.status_code, sorted(answer.json()))
        costs[name] = cost
    assert costs["nobody"].said[0] == 201
    alike(costs)
