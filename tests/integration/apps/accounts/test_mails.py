"""Mails as a real SMTP server gets them: text and HTML that say the same, to the right people."""

from __future__ import annotations

import re
from collections.abc import Iterator
from email.message import EmailMessage
from html import unescape
from typing import Any

import pytest
from authenticators import PASSWORD
from django.core.cache import cache
from django.test import Client
from django.urls import reverse

from apps.accounts.mfa import codes, patience
from apps.accounts.models import AccountEvent, User
from apps.accounts.notices import Notice, tell
from apps.accounts.services import register
from tests.inbox import Inbox, smtp_server

pytestmark = pytest.mark.django_db


@pytest.fixture
def inbox(settings: Any) -> Iterator[Inbox]:
    """The mailbox behind the SMTP server that the site sends to."""
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_USE_TLS = "127.0.0.1", False
    with smtp_server() as (opened, settings.EMAIL_PORT):
        yield opened


def words(html: str) -> str:
    body = html.split("</h1>")[1]
    return "".join(unescape(re.sub(r"<[^>]+>", " ", body)).split())


def check(message: EmailMessage, to: str) -> str:
    """The text, once the message has the form it must have."""
    assert message.get_content_type() == "multipart/alternative"
    text, html = message.iter_parts()
    assert (text.get_content_type(), html.get_content_type()) == ("text/plain", "text/html")
    assert message["To"] == to
    assert message["From"]
    assert message["Message-ID"]
    assert "\n" not in message["Subject"]
    said = text.get_content()
    assert words(html.get_content()) == "".join(said.split())
    assert not re.search(r"<(script|img|link|iframe)", html.get_content())
    return str(said)


def test_signing_up_changing_and_resetting(
    inbox: Inbox, settings: Any, django_capture_on_commit_callbacks: Any
) -> None:
    settings.ACCOUNT_EMAIL_VERIFICATION = "mandatory"
    client = Client()
    form = {"email": "ada@example.org", "password1": PASSWORD, "password2": PASSWORD}
    client.post(reverse("account_signup"), form)
    text = check(inbox.messages.pop(), "ada@example.org")
    link = re.search(r"https?://testserver(/\S+)", text)
    assert link is not None
    client.post(link.group(1))
    client.post(reverse("account_login"), {"login": "ada@example.org", "password": PASSWORD})
    assert client.get("/api/v1/me/").status_code == 200
    client.post(reverse("account_reset_password"), {"email": "ada@example.org"})
    check(inbox.messages.pop(), "ada@example.org")
    client.post(reverse("account_reset_password"), {"email": "nobody@example.org"})
    check(inbox.messages.pop(), "nobody@example.org")
    cache.clear()  # which remembers that this address got a mail a moment ago
    Client().post(reverse("account_signup"), form)
    check(inbox.messages.pop(), "ada@example.org")
    assert not inbox.messages


@pytest.mark.parametrize("notice", [one for one in Notice if one.subject], ids=lambda one: one.action)
def test_every_notice_is_noted_and_told(inbox: Inbox, notice: Notice, django_capture_on_commit_callbacks: Any) -> None:
    user = register("ada@example.org", PASSWORD, "Ada <b>Lovelace</b>")
    facts = {name: f"<{name}>" for name in re.findall(r"\{(\w+)\}", notice.text)}
    with django_capture_on_commit_callbacks(execute=True):
        tell(user, notice, **facts)
    (message,) = inbox.messages
    said = check(message, "ada@example.org")
    assert "Ada <b>Lovelace</b>" in said
    assert all(value in said for value in facts.values())
    assert AccountEvent.objects.get(action=notice.action).data == facts


def test_what_is_rolled_back_is_not_told(inbox: Inbox, django_capture_on_commit_callbacks: Any) -> None:
    from django.db import transaction

    user = register("ada@example.org", PASSWORD)
    with django_capture_on_commit_callbacks(execute=True), transaction.atomic():
        tell(user, Notice.MFA_OFF)
        transaction.set_rollback(True)
    assert not inbox.messages
    assert not AccountEvent.objects.filter(action="mfa.off").exists()


def test_a_server_of_mail_that_is_away_holds_up_nothing(
    inbox: Inbox, settings: Any, django_capture_on_commit_callbacks: Any
) -> None:
    settings.EMAIL_PORT = 1
    user = register("ada@example.org", PASSWORD)
    with django_capture_on_commit_callbacks(execute=True):
        tell(user, Notice.MFA_OFF)
    assert AccountEvent.objects.filter(action="mfa.off").exists()


def test_a_mail_says_from_where(inbox: Inbox, enrolled: Any, django_capture_on_commit_callbacks: Any) -> None:
    eve = enrolled()
    client = Client(REMOTE_ADDR="192.0.2.7", headers={"User-Agent": "Mozilla/5.0 (X11; Linux) Firefox/140.0"})
    eve.half_in(client)
    with django_capture_on_commit_callbacks(execute=True):
        for _ in range(patience.WARN_AFTER):
            client.post(reverse("web:second_factor"), {"code": "x"})
    (message,) = inbox.messages
    said = check(message, eve.user.email)
    assert "192.0.2.7, Firefox on Linux" in said
    assert "http://testserver/account/security/" in said
    assert codes.check(User.objects.get(pk=eve.user.pk), eve.recovery[0]).device is not None
