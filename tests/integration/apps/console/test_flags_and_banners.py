"""What operators switch for the whole site, and what they tell everybody."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from authenticators import Person
from django.core.cache import cache
from django.core.exceptions import PermissionDenied
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from tenants import PASSWORD

from apps.accounts.models import User
from apps.accounts.services import register
from apps.console import banners, flags
from apps.console.flags import FLAGS, SHARE_LINKS, SIGN_UP, SUBMIT_RUNS
from apps.console.models import Banner, Flag, OperatorEvent
from apps.console.rights import Right
from apps.ops.refusal import Invalid
from apps.workspaces.missing import NotFound
from apps.workspaces.models import AuditEvent
from apps.workspaces.scope import scope

pytestmark = pytest.mark.django_db

WHY = "the storage is being moved"


@pytest.fixture
def switch(root: Person, django_capture_on_commit_callbacks: Any) -> Callable[..., None]:
    def do(name: str, on: bool | None, workspace: Any = None) -> None:
        with django_capture_on_commit_callbacks(execute=True):
            if workspace is None:
                flags.set_flag(root.user, name, bool(on), WHY)
            else:
                flags.set_for_workspace(root.user, name, workspace.pk, on, WHY)

    return do


@pytest.fixture
def put_up(root: Person, django_capture_on_commit_callbacks: Any) -> Callable[..., Banner]:
    def do(text: str, **more: Any) -> Banner:
        given = {"severity": "info", "begins_at": None, "ends_at": None, "dismissible": True, **more}
        with django_capture_on_commit_callbacks(execute=True):
            return banners.put_up(root.user, text, reason=WHY, **given)

    return do


def test_all_are_on_until_somebody_says_otherwise() -> None:
    assert all(flags.is_on(name) for name in FLAGS)


def test_new_runs_are_switched_off_for_all_and_for_one(ann: Any, bob: Any, switch: Any) -> None:
    switch(SUBMIT_RUNS, False)
    for one in (ann, bob):
        answer = one.post("/runs/", {"graph": str(one.graph.pk)})
        assert (answer.status_code, answer.json()["code"]) == (403, "switched_off")
        form = one.client.post(f"/w/{one.workspace.slug}/graphs/{one.graph.pk}/run/", {})
        assert form.status_code == 403
        assert "switched this off for a time" in form.content.decode()
    assert ann.get("/runs/").status_code == 200
    switch(SUBMIT_RUNS, True, ann.workspace)
    ann.submit()
    assert bob.post("/runs/", {"graph": str(bob.graph.pk)}).status_code == 403
    switch(SUBMIT_RUNS, True)
    switch(SUBMIT_RUNS, False, ann.workspace)
    bob.submit()
    assert ann.post("/runs/", {"graph": str(ann.graph.pk)}).status_code == 403
    switch(SUBMIT_RUNS, None, ann.workspace)
    ann.submit()


def test_new_links_are_switched_off(ann: Any, switch: Any) -> None:
    switch(SHARE_LINKS, False)
    answer = ann.client.post(f"/w/{ann.workspace.slug}/shares/", {"graph": str(ann.graph.pk), "days": "7"})
    assert answer.status_code == 422
    assert "switched this off for a time" in answer.content.decode()


def test_signing_up_is_switched_off(switch: Any) -> None:
    new = {"email": "new@example.org", "password1": PASSWORD, "password2": PASSWORD}
    switch(SIGN_UP, False)
    Client().post(reverse("account_signup"), new)
    assert not User.objects.filter(email="new@example.org").exists()
    switch(SIGN_UP, True)
    Client().post(reverse("account_signup"), new)
    assert User.objects.filter(email="new@example.org").exists()


def test_each_change_is_logged_once_with_its_reason(console: Client, ann: Any, events: Any) -> None:
    path = f"/admin/flags/{SUBMIT_RUNS}/"
    assert console.post(path, {"act": "switch", "switch-reason": WHY}).status_code == 302
    assert events() == ["flag.set"]
    given = {"set_apart-workspace": str(ann.workspace.pk), "set_apart-state": "on", "set_apart-reason": WHY}
    assert console.post(path, {"act": "set_apart", **given}).status_code == 302
    assert events() == ["flag.set_for_workspace"]
    assert [(one.reason, one.object_id) for one in OperatorEvent.objects.filter(action__startswith="flag")] == [
        (WHY, SUBMIT_RUNS)
    ] * 2
    found = Flag.objects.get(pk=SUBMIT_RUNS)
    assert (found.on, found.workspaces) == (False, {str(ann.workspace.pk): True})
    assert console.post(path, {"act": "switch", "switch-reason": ""}).status_code == 422
    assert console.get("/admin/flags/nobody-asks-for-it/").status_code == 404
    assert console.post(f"/admin/flags/{SIGN_UP}/", {"act": "set_apart", **given}).status_code == 400


def test_the_workspace_that_is_set_apart_is_told(root: Person, ann: Any, bob: Any) -> None:
    def told(tenant: Any) -> list[Any]:
        with scope(tenant.workspace.pk):
            rows = AuditEvent.objects.filter(action="flag.set").order_by("at")
            return [(row.actor.email, row.object_id, row.data) for row in rows.select_related("actor")]

    for on in (False, None):
        flags.set_for_workspace(root.user, SHARE_LINKS, ann.workspace.pk, on, WHY)
    of = ("root@example.org", str(ann.workspace.pk))
    assert told(ann) == [
        (*of, {"flag": SHARE_LINKS, "reason": WHY, "on": False, "on_before": None}),
        (*of, {"flag": SHARE_LINKS, "reason": WHY, "on": None, "on_before": False}),
    ]
    assert told(bob) == []


def test_a_workspace_that_there_is_not_is_not_set_apart(console: Client, root: Person, events: Any) -> None:
    mistyped = uuid4()
    given = {"set_apart-workspace": str(mistyped), "set_apart-state": "off", "set_apart-reason": WHY}
    answer = console.post(f"/admin/flags/{SUBMIT_RUNS}/", {"act": "set_apart", **given})
    assert answer.status_code == 422
    assert "There is no such workspace." in answer.content.decode()
    for on in (True, False, None):
        with pytest.raises(Invalid, match="no such workspace"):
            flags.set_for_workspace(root.user, SUBMIT_RUNS, mistyped, on, WHY)
    assert events() == []
    assert not Flag.objects.filter(pk=SUBMIT_RUNS).exists()
    # One that was purged meanwhile is tidied away.
    Flag.objects.create(name=SUBMIT_RUNS, on=True, workspaces={str(mistyped): False})
    flags.set_for_workspace(root.user, SUBMIT_RUNS, mistyped, None, WHY)
    assert Flag.objects.get(pk=SUBMIT_RUNS).workspaces == {}


class Harmful:
    """Makes a folder in whoever unpickles it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self._folder),)


def test_a_page_runs_nothing_that_lies_in_valkey(ann: Any, switch: Any, put_up: Any, tmp_path: Path) -> None:
    switch(SUBMIT_RUNS, False)
    put_up("Back at noon.")
    server = cache._cache.get_client(write=True)
    for board in ("console:flags", "console:banners"):
        server.set(cache.make_key(board), pickle.dumps(Harmful(tmp_path / "harm")), ex=60)
    assert "Back at noon." in ann.client.get("/presets/").content.decode()
    assert ann.post("/runs/", {"graph": str(ann.graph.pk)}).json()["code"] == "switched_off"
    assert not (tmp_path / "harm").exists()


def test_all_that_the_site_keeps_in_the_cache_is_json(ann: Any, switch: Any, put_up: Any) -> None:
    """Flags, banners, and what is counted of sign-ins, sign-ups and mails."""
    switch(SHARE_LINKS, False, ann.workspace)
    put_up("Back at noon.", ends_at=timezone.now() + timedelta(days=1))
    for _ in range(2):
        assert "Back at noon." in ann.client.get("/presets/").content.decode()
        assert not flags.is_on(SHARE_LINKS, ann.workspace.pk)
    browser = Client()
    for name, fields in (
        ("account_login", {"login": ann.user.email, "password": "wrong"}),
        ("account_reset_password", {"email": ann.user.email}),
        ("account_signup", {"email": "new@example.org", "password1": PASSWORD, "password2": PASSWORD}),
    ):
        assert browser.post(reverse(name), fields).status_code in (200, 302, 422), name
    server = cache._cache.get_client()
    keys = list(server.scan_iter(match=cache.make_key("*")))
    assert {cache.make_key("console:flags").encode(), cache.make_key("console:banners").encode()} <= set(keys)
    assert len(keys) > 4, keys
    for key in keys:
        json.loads(server.get(key).decode())


def test_nobody_switches_without_the_right(operator: Callable[..., Person], ann: Any) -> None:
    olga = operator(*(set(Right) - {Right.SITE})).user
    for do in (
        lambda: flags.set_flag(olga, SUBMIT_RUNS, False, WHY),
        lambda: flags.set_for_workspace(olga, SUBMIT_RUNS, ann.workspace.pk, False, WHY),
        lambda: banners.put_up(olga, "x", "info", None, None, True, WHY),
    ):
        with pytest.raises(PermissionDenied):
            do()


def test_a_flag_of_the_site_is_of_no_workspace(root: Person, ann: Any) -> None:
    with pytest.raises(NotFound):
        flags.set_for_workspace(root.user, SIGN_UP, ann.workspace.pk, False, WHY)


LOOKS = (
    "import sys, django; django.setup()\n"
    "from apps.console import banners, flags\n"
    "for line in sys.stdin:\n"
    "    print(flags.is_on('submit-runs'), [one.text for one in banners.shown()], flush=True)\n"
)


@pytest.mark.django_db(transaction=True)
def test_another_process_knows_of_a_change_within_seconds(clock: Any, eventually: Any) -> None:
    root = register("root@example.org", PASSWORD, is_staff=True, is_superuser=True)
    root.mfa_since = timezone.now()
    root.save()
    other = subprocess.Popen([sys.executable, "-c", LOOKS], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert other.stdin is not None
    assert other.stdout is not None

    def told() -> str:
        other.stdin.write("?\n")
        other.stdin.flush()
        return other.stdout.readline().strip()

    try:
        assert told() == "True []"
        flags.set_flag(root, SUBMIT_RUNS, False, WHY)
        made = banners.put_up(root, "Back at noon.", "info", None, None, True, WHY)
        eventually(lambda: told() == "False ['Back at noon.']", "the other process to know")
        flags.set_flag(root, SUBMIT_RUNS, True, WHY)
        banners.take_down(root, made.pk, WHY)
        eventually(lambda: told() == "True []", "the other process to know")
    finally:
        other.stdin.close()
        other.wait(30)


def pages_of(one: Any, run: Any) -> list[str]:
    return [
        "/presets/", "/account/", "/account/security/", f"/w/{one.workspace.slug}/",
        f"/w/{one.workspace.slug}/runs/", f"/w/{one.workspace.slug}/runs/{run.pk}/",
        f"/w/{one.workspace.slug}/graphs/{one.graph.pk}/", f"/w/{one.workspace.slug}/members/", "/nowhere/",
    ]  # fmt: skip


def test_a_banner_is_on_every_page_also_those_of_react_and_of_nobody(ann: Any, console: Client, put_up: Any) -> None:
    run = ann.submit()
    put_up("Down <b>tonight</b> from 22:00.", severity="warning")
    seen = [(ann.client, page) for page in pages_of(ann, run)]
    seen += [(Client(), page) for page in ("/", "/accounts/login/", "/accounts/signup/", "/presets/", "/notices/")]
    seen += [(console, "/admin/"), (console, "/admin/people/")]
    for client, page in seen:
        shown = client.get(page).content.decode()
        assert "Down &lt;b&gt;tonight&lt;/b&gt; from 22:00." in shown, page
        assert "Please note:" in shown, page
        if page != "/notices/":
            assert 'aria-live="polite"' in shown, page


def test_it_is_shown_from_then_until_then_the_urgent_first(put_up: Any) -> None:
    now = timezone.now()
    put_up("later", begins_at=now + timedelta(hours=1))
    put_up("over", begins_at=now - timedelta(hours=2), ends_at=now - timedelta(hours=1))
    put_up("calm")
    put_up("soon over", severity="critical", ends_at=now + timedelta(hours=1))
    assert [one.text for one in banners.shown()] == ["soon over", "calm"]


def test_a_reader_puts_it_away_if_that_is_allowed(put_up: Any) -> None:
    calm, urgent = put_up("calm"), put_up("urgent", severity="critical", dismissible=False)
    client = Client()
    for one in (calm, urgent):
        answer = client.post(f"/notices/{one.pk}/dismiss/", {"next": "/presets/"})
        assert answer.url == "/presets/"
    shown = client.get("/").content.decode()
    assert "calm" not in shown
    assert "urgent" in shown
    assert shown.count("/dismiss/") == 0
    assert "calm" in Client().get("/").content.decode()
    assert client.post(f"/notices/{calm.pk}/dismiss/", {"next": "https://evil.example/"}).url == "/"


def test_one_is_put_up_and_taken_down_in_the_console(
    console: Client, events: Any, django_capture_on_commit_callbacks: Any
) -> None:
    given = {"text": "Hello all", "severity": "info", "dismissible": "on", "reason": WHY}
    posted = {f"put_up-{name}": value for name, value in given.items()}
    with django_capture_on_commit_callbacks(execute=True):
        assert console.post("/admin/banners/", {"act": "put_up", **posted}).status_code == 302
    assert "Hello all" in Client().get("/").content.decode()
    made = Banner.objects.get()
    taken = {"act": "take_down", "take_down-banner": str(made.pk), "take_down-reason": WHY}
    with django_capture_on_commit_callbacks(execute=True):
        assert console.post("/admin/banners/", taken).status_code == 302
    assert "Hello all" not in Client().get("/").content.decode()
    assert events() == ["banner.put_up", "banner.take_down"]
    wrong = {**posted, "put_up-ends_at": "2020-01-01 00:00"}
    assert console.post("/admin/banners/", {"act": "put_up", **wrong}).status_code == 422


@pytest.mark.parametrize("text", ["", "x" * 501])
def test_a_banner_that_is_none_is_refused(root: Person, text: str) -> None:
    with pytest.raises(Invalid):
        banners.put_up(root.user, text, "info", None, None, True, WHY)
