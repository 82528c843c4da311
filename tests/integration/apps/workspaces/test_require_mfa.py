"""A workspace that asks for two-step sign-in: by pages, by the API and by sockets."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from authenticators import Person
from django.core.exceptions import PermissionDenied
from django.test import Client

from apps.live.login import Caller
from apps.live.permit import Permit
from apps.live.selectors import Knock, let_in, permits_now
from apps.ops.refusal import Invalid
from apps.presets.models import Preset
from apps.workspaces.deletion import close
from apps.workspaces.keys import create_key
from apps.workspaces.members import add_member
from apps.workspaces.models import AuditEvent, Role, Workspace
from apps.workspaces.scope import scope
from apps.workspaces.selectors import membership
from apps.workspaces.services import set_require_mfa

pytestmark = pytest.mark.django_db


@pytest.fixture
def strict(ann: Any, enrolled: Callable[..., Person]) -> Any:
    """Ann's workspace, which asks for an authenticator. Eve owns it too and has one; Ann has none."""
    ann.eve = enrolled()
    add_member(ann.user, ann.workspace, ann.eve.user, Role.OWNER)
    ann.eve.user.refresh_from_db()
    ann.run = ann.submit()
    _, ann.key = create_key(ann.user, ann.workspace, "of ann")
    ann.permit = Permit.of(ann.user, membership(ann.user, ann.workspace.slug), ann.client.session.session_key)
    set_require_mfa(ann.eve.user, ann.workspace, True)
    return ann


def test_a_member_without_it_is_led_to_set_it_up(strict: Any) -> None:
    for path in ("", "projects/", "runs/", "keys/"):
        page = f"/w/{strict.workspace.slug}/{path}"
        answer = strict.client.get(page)
        assert (answer.status_code, answer.url) == (302, f"/account/two-step/?next={page}")
    before = strict.client.post(f"/w/{strict.workspace.slug}/projects/", {"name": "x"})
    assert before.url == "/account/two-step/?next=/"


def test_the_api_says_what_is_missing_and_the_mend(strict: Any) -> None:
    for answer in (strict.get("/"), strict.get("/runs/"), strict.post("/projects/", {"name": "x"})):
        assert answer.status_code == 403
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert answer.json()["code"] == "mfa_required"
        assert answer.json()["problems"][0]["mend"] == "Set it up in Security of your account."


def test_a_form_that_names_the_workspace_does_not_go_past_it(strict: Any) -> None:
    Preset.objects.create(id="p", version=1, title="P", category="x", summary="x", content_hash="x", document={})
    answer = strict.client.post("/presets/p/use/", {"project": f"{strict.workspace.slug}/{strict.project.pk}"})
    assert (answer.status_code, answer.url) == (302, "/account/two-step/?next=/")


def test_sockets_stay_shut_and_open_ones_end(strict: Any) -> None:
    eve = strict.eve.signed_in()
    without, with_it, key = (
        Caller(session_key=strict.permit.session_key),
        Caller(session_key=eve.session.session_key),
        Caller(secret=strict.key),
    )
    for slug in (strict.workspace.slug, None):
        shut, *opened = let_in([Knock(caller, slug, strict.run.pk) for caller in (without, with_it, key)])
        assert shut is None
        assert [found and found[0].run for found in opened] == [strict.run, strict.run]
    assert permits_now([strict.permit]) == {strict.permit: None}
    set_require_mfa(strict.eve.user, strict.workspace, False)
    assert permits_now([strict.permit]) == {strict.permit: strict.permit}


def test_keys_go_on(strict: Any) -> None:
    answer = Client().get(f"{strict.root}/runs/", headers={"Authorization": f"Bearer {strict.key}"})
    assert answer.status_code == 200


def test_who_has_it_enters(strict: Any) -> None:
    client = strict.eve.signed_in()
    assert client.get(f"/w/{strict.workspace.slug}/").status_code == 200
    assert client.get(f"{strict.root}/").json()["require_mfa"] is True


def test_only_owners_who_have_it_ask_for_it(ann: Any, member_of: Callable[..., Any]) -> None:
    with pytest.raises(Invalid, match="keep yourself out"):
        set_require_mfa(ann.user, ann.workspace, True)
    for role in set(Role) - {Role.OWNER}:
        with pytest.raises(PermissionDenied):
            set_require_mfa(member_of(ann, role), ann.workspace, False)
    with scope(ann.workspace.id):
        assert not Workspace.objects.get(pk=ann.workspace.pk).require_mfa


def test_asking_for_it_is_noted_once(strict: Any) -> None:
    with scope(strict.workspace.id):
        event = AuditEvent.objects.get(action="workspace.require_mfa")
    assert (event.actor, event.data) == (strict.eve.user, {"required": True, "required_before": False})


def test_an_owner_asks_for_it_on_the_page(ann: Any, enrolled: Callable[..., Person]) -> None:
    page = f"/w/{ann.workspace.slug}/security/"
    refused = ann.client.post(page, {"require_mfa": "true"})
    assert refused.status_code == 422
    assert b"keep yourself out" in refused.content
    eve = enrolled()
    add_member(ann.user, ann.workspace, eve.user, Role.OWNER)
    client = eve.signed_in()
    assert ann.user.email in client.get(page).content.decode()
    assert client.post(page, {"require_mfa": "true"}).status_code == 302
    assert ann.client.get(page).status_code == 302
    stale = {"content_type": "application/json", "headers": {"If-Match": '"0"'}}
    assert client.put(f"{ann.root}/security/", {"require_mfa": False}, **stale).status_code == 412
    tag = client.get(f"{ann.root}/security/").headers["ETag"]
    answer = client.put(
        f"{ann.root}/security/", {"require_mfa": False}, content_type="application/json", headers={"If-Match": tag}
    )
    assert answer.json() == {"require_mfa": False}
    assert ann.client.get(page).status_code == 200


def test_the_export_of_an_account_does_not_go_past_it(strict: Any) -> None:
    """Of a workspace that the person cannot enter it holds the name; once there is a second factor all of it."""
    bare = json.loads(b"".join(strict.client.post("/account/export/").streaming_content))
    (found,) = bare["workspaces"]
    assert found["workspace"] == {"id": str(strict.workspace.pk), "name": strict.workspace.name}
    assert set(found) == {"workspace", "left_out"}
    assert str(strict.run.pk) not in str(bare)
    whole = json.loads(b"".join(strict.eve.signed_in().post("/account/export/").streaming_content))
    assert any("runs.run" in one for one in whole["workspaces"])


def test_the_page_of_a_workspace_that_is_being_deleted_can_be_looked_at(ann: Any) -> None:
    page = f"/w/{ann.workspace.slug}/security/"
    close(ann.user, ann.workspace)
    assert ann.client.get(page).status_code == 200
    assert ann.client.post(page, {"require_mfa": "false"}).status_code == 403
