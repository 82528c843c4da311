"""Who may send a long body: whoever has a key or a session that opens something, as the whole application asks it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.utils import timezone
from tenants import Tenant, logged_in

from apps.accounts.models import Session, User
from apps.live.login import is_somebody
from apps.workspaces import keys
from apps.workspaces.models import ApiKey
from apps.workspaces.scope import scope

pytestmark = pytest.mark.django_db


def asked(peer: str = "127.0.0.1", **headers: str) -> dict[str, Any]:
    """The scope of a request that brings a file."""
    path = "/api/v1/workspaces/ann/imports/"
    return {
        "type": "http", "method": "POST", "path": path, "raw_path": path.encode(), "query_string": b"name=a.csv",
        "headers": [(b"host", b"testserver"), *((name.encode(), value.encode()) for name, value in headers.items())],
        "client": (peer, 5), "server": ("testserver", 80), "scheme": "http", "http_version": "1.1", "root_path": "",
    }  # fmt: skip


def cookie(session_key: str) -> dict[str, str]:
    return {"cookie": f"theme=dark; {django_settings.SESSION_COOKIE_NAME}={session_key}"}


def test_a_session_that_holds_is_somebody_s(ann: Tenant) -> None:
    key = str(logged_in(ann.user).session.session_key)
    assert is_somebody(asked(**cookie(key)))
    for other in (key[:-1], key[::-1], "", "x"):
        assert not is_somebody(asked(**cookie(other)))
    assert not is_somebody(asked(cookie=key))
    assert not is_somebody(asked())
    # A header that holds no key makes nothing of the session, as everywhere in the API.
    assert not is_somebody(asked(**cookie(key), authorization="Bearer x"))


def test_one_that_is_over_or_of_nobody_any_more_is_nobody_s(ann: Tenant) -> None:
    key = str(logged_in(ann.user).session.session_key)
    Session.objects.filter(session_key=key).update(seen_at=timezone.now() - timedelta(days=30))
    assert not is_somebody(asked(**cookie(key)))
    key = str(logged_in(ann.user).session.session_key)
    User.objects.filter(pk=ann.user.pk).update(is_active=False)
    assert not is_somebody(asked(**cookie(key)))


def test_a_session_without_its_second_factor_is_nobody_s(enrolled: Any) -> None:
    eve = enrolled("eve")
    assert not is_somebody(asked(**cookie(str(logged_in(eve.user).session.session_key))))


def test_a_key_that_opens_is_somebody_s(ann: Tenant) -> None:
    _, secret = keys.create_key(ann.user, ann.workspace, "k", networks=["192.0.2.0/24"])
    bearer = {"authorization": f"Bearer {secret}"}
    assert is_somebody(asked("192.0.2.7", **bearer))
    assert not is_somebody(asked("198.51.100.7", **bearer))
    assert not is_somebody(asked("192.0.2.7", authorization=f"Bearer {secret[:-1]}"))
    with scope(ann.workspace.pk):
        ApiKey.objects.update(expires_at=timezone.now())
    assert not is_somebody(asked("192.0.2.7", **bearer))
