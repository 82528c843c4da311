"""What the log says of who came in, who did not, and what was refused; and what it never says."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog
from allauth.account.models import EmailAddress
from authenticators import PASSWORD
from django.test import Client
from django.urls import reverse
from soft_passkeys import SoftPasskey, add, asked, browser

from apps.accounts.models import AccountEvent, User
from apps.accounts.services import register
from apps.workspaces.keys import create_key
from config import logs

pytestmark = pytest.mark.django_db


class Written:
    """The lines of the log."""

    def __init__(self, stream: io.StringIO) -> None:
        self._stream = stream

    @property
    def text(self) -> str:
        return self._stream.getvalue()

    def of(self, event: str) -> list[dict[str, Any]]:
        lines = [json.loads(line) for line in self.text.splitlines()]
        return [line for line in lines if line["event"] == event]


@pytest.fixture
def written() -> Iterator[Written]:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    chosen = logs.configure("DEBUG", "json")["formatters"]["structured"]
    factory = chosen.pop("()")
    handler.setFormatter(factory(**chosen))
    root = logging.getLogger()
    before = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield Written(stream)
    root.removeHandler(handler)
    root.setLevel(before)


@pytest.fixture
def ada(db: None) -> User:
    user = register("ada@example.org", PASSWORD)
    EmailAddress.objects.create(user=user, email=user.email, verified=True, primary=True)
    return user


def test_who_signs_in_is_logged_with_how_when_and_from_where(
    ada: User, written: Written, django_capture_on_commit_callbacks: Any
) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        Client(REMOTE_ADDR="192.0.2.7").post(reverse("account_login"), {"login": ada.email, "password": PASSWORD})
    event = AccountEvent.objects.get(action="sign_in")
    assert (event.data, event.address) == ({"methods": ["password"], "second_factor": False}, "192.0.2.7")
    (line,) = [one for one in written.of("account_event") if one["action"] == "sign_in"]
    assert (line["user_id"], line["address"]) == (str(ada.pk), "192.0.2.7")
    assert line["timestamp"].endswith("Z"), "UTC"
    assert PASSWORD not in written.text


def test_two_steps_are_logged_as_such(enrolled: Any) -> None:
    eve = enrolled()
    eve.signed_in()
    event = AccountEvent.objects.filter(action="sign_in", user=eve.user).latest("at")
    assert event.data == {"methods": ["password"], "second_factor": True}


@pytest.mark.parametrize("known", [True, False])
def test_who_does_not_get_in_is_logged_without_what_was_typed(ada: User, written: Written, known: bool) -> None:
    typed = ada.email if known else "my-password-in-the-wrong-field@example.org"
    client = Client(REMOTE_ADDR="192.0.2.8", headers={"User-Agent": "Mozilla/5.0"})
    client.post(reverse("account_login"), {"login": typed, "password": "wrong horse battery"})
    (line,) = written.of("sign_in_failed")
    assert line | {"timestamp": "", "request_id": ""} == {
        "event": "sign_in_failed", "user_id": str(ada.pk) if known else None, "method": "password",
        "address": "192.0.2.8", "agent": "Mozilla/5.0", "level": "warning", "logger": "apps.accounts.receivers",
        "timestamp": "", "request_id": "",
    }  # fmt: skip
    assert len(line["request_id"]) == 32
    assert "wrong horse" not in written.text
    assert "in-the-wrong-field" not in written.text


def test_a_wrong_code_is_logged(enrolled: Any, written: Written) -> None:
    eve = enrolled()
    eve.half_in().post(reverse("web:second_factor"), {"code": "000000"})
    (line,) = written.of("wrong_second_factor")
    assert (line["user_id"], line["kind"], line["count"]) == (str(eve.user.pk), "totp", 1)


def test_a_passkey_that_proves_nothing_is_logged_with_whose_it_should_be(ada: User, written: Written) -> None:
    client, passkey = browser(), SoftPasskey()
    client.post(reverse("account_login"), {"login": ada.email, "password": PASSWORD})
    assert add(client, passkey).status_code == 200
    half = browser()
    half.post(reverse("account_login"), {"login": ada.email, "password": PASSWORD})
    # Another's key under the same name; nonsense; and nonsense where one is added.
    forged = SoftPasskey(id=passkey.id).signed(asked(half, "sign-in"))
    assert half.post(reverse("web:second_factor"), {"passkey": forged}).status_code == 422
    asked(half, "sign-in")
    assert half.post(reverse("web:second_factor"), {"passkey": "{}"}).status_code == 422
    asked(client, "add")
    assert client.post("/account/passkeys/new/", {"name": "k", "passkey": "{}"}).status_code == 422
    lines = written.of("passkey_refused")
    assert [line["user_id"] for line in lines] == [str(ada.pk)] * 3
    assert all(line["reason"] for line in lines)


def test_what_a_role_does_not_allow_is_logged_with_who_and_what(ann: Any, member_of: Any, written: Written) -> None:
    from tenants import logged_in

    from apps.workspaces.models import Role

    viewer = member_of(ann, Role.VIEWER)
    answer = logged_in(viewer).post(f"{ann.root}/projects/", {"name": "p"}, content_type="application/json")
    assert answer.status_code == 403
    (line,) = written.of("refused")
    assert line["request_id"] == answer.headers["X-Request-ID"]
    told = ("status", "code", "method", "path", "user_id", "workspace_id", "address", "key", "level")
    assert {name: line[name] for name in told} == {
        "status": 403, "code": "permission_denied", "method": "POST", "path": f"{ann.root}/projects/",
        "user_id": str(viewer.pk), "workspace_id": str(ann.workspace.pk), "address": "127.0.0.1", "key": None,
        "level": "warning",
    }  # fmt: skip


def test_a_foreign_workspace_a_bad_body_and_a_key_that_is_none_are_logged(ann: Any, bob: Any, written: Written) -> None:
    bob.client.get(f"{ann.root}/runs/")
    bob.client.get(f"/w/{ann.workspace.slug}/")
    ann.client.post(f"{ann.root}/projects/", "{", content_type="application/json")
    Client(headers={"Authorization": "Bearer atk_" + "x" * 43}).get(f"{ann.root}/runs/")
    key, secret = create_key(ann.user, ann.workspace, "k", verbs=[])
    program = Client(headers={"Authorization": f"Bearer {secret}"})
    program.post(f"{ann.root}/projects/", {"name": "p"}, content_type="application/json")
    lines = written.of("refused")
    assert [(one["status"], one["user_id"], one["key"]) for one in lines] == [
        (404, str(bob.user.pk), None), (404, str(bob.user.pk), None), (400, str(ann.user.pk), None), (401, None, None),
        (403, str(ann.user.pk), str(key.pk)),
    ]  # fmt: skip
    assert secret not in written.text
    assert "x" * 43 not in written.text


def test_nobody_writes_lines_of_the_own_into_the_log(ada: User, written: Written) -> None:
    forged = 'x\r\n{"event": "sign_in", "user_id": "root"}\r\n'
    client = Client(headers={"User-Agent": forged, "X-Request-ID": "chosen-by-the-caller", "X-Forwarded-For": forged})
    client.post(reverse("account_login"), {"login": forged, "password": forged})
    client.post(reverse("account_login"), {"login": ada.email, "password": forged})
    client.get("/nowhere/%0D%0A%7B%22event%22:%20%22sign_in%22%7D/\u2028/")
    structlog.get_logger("ours").info("said", value=forged)
    lines = [json.loads(line) for line in written.text.splitlines()]
    assert {"sign_in_failed", "refused", "said"} <= {line["event"] for line in lines}
    assert "sign_in" not in {line["event"] for line in lines}
    assert {line["request_id"] for line in lines if "request_id" in line}.isdisjoint({"chosen-by-the-caller"})


@pytest.mark.parametrize(
    "address",
    [
        "/accounts/password/reset/key/3-cz6a9v-5d0c1c9d9f3f0d1f0c55a0d5a9b0b8c1/",
        "/accounts/confirm-email/MTI:1tQWcA:dGhpcyBpcyBub3QgYSByZWFsIGtleQ/",
        "/accounts/oidc/campus/login/callback/?code=SplxlOBeZQQYbYS6WxSbIA&state=af0ifjsldkjaf0ifj",
        "/accounts/github/login/callback/?state=af0ifjsldkjaf0ifj&code=SplxlOBeZQQYbYS6WxSbIA",
    ],
)
def test_no_address_in_the_log_opens_anything(written: Written, address: str) -> None:
    logging.getLogger("uvicorn.access").info('%s - "%s %s HTTP/%s" %d', "203.0.113.1:5", "GET", address, "1.1", 302)
    logging.getLogger("django.request").warning("Not Found: %s", address)
    assert written.text.count("(secret)") >= 2
    for part in ("cz6a9v", "dGhpcyBp", "SplxlOBe", "af0ifjs"):
        assert part not in written.text
    logging.getLogger("uvicorn.access").info("GET /w/x/runs/?state=running")
    assert "state=running" in written.text
