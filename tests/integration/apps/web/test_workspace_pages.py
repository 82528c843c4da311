"""The pages of a workspace itself, as a browser without JavaScript gets them."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Callable
from datetime import UTC
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.core import mail
from django.test import Client
from django.utils import timezone

from apps.accounts.models import User
from apps.runs import services
from apps.runs.retention import retention
from apps.sharing.services import share
from apps.workspaces import invitations, keys
from apps.workspaces.models import AuditEvent, Membership, Role, Workspace
from apps.workspaces.scope import scope

pytestmark = pytest.mark.django_db


def text(response: Any) -> str:
    """What a page says, without tags."""
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", response.content.decode())).split())


def logged_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def root(tenant: Any) -> str:
    return f"/w/{tenant.workspace.slug}"


def member_row(tenant: Any, user: User) -> Membership:
    with scope(tenant.workspace.pk):
        return Membership.objects.get(user=user)


def test_a_workspace_is_made_by_a_form_and_is_in_the_menu(ann: Any) -> None:
    assert Client().get("/workspaces/new/").url == "/accounts/login/?next=/workspaces/new/"  # type: ignore[attr-defined]
    assert ann.client.post("/workspaces/new/", {"name": " "}).status_code == 422
    made = ann.client.post("/workspaces/new/", {"name": "Chaos lab"})
    assert re.fullmatch(r"/w/chaos-lab-\w{8}/members/", made.url)
    page = ann.client.get(made.url).content.decode()
    menu = page.partition('class="menu"')[2].partition("</details>")[0]
    assert "Chaos lab" in menu
    assert ann.workspace.name in html.unescape(menu)
    assert re.search(r'href="/w/chaos-lab-\w+/" aria-current="true"', menu)


def test_the_tabs_are_those_of_the_role(ann: Any, member_of: Callable[..., User]) -> None:
    manager, viewer = ann.client, logged_in(member_of(ann, Role.VIEWER))
    for client, sees in ((manager, True), (viewer, False)):
        page = text(client.get(f"{root(ann)}/members/"))
        assert ("Audit log" in page) is sees
        assert ("Invite somebody" in page) is sees
        assert "Leave this workspace" in page
    assert text(viewer.get(f"{root(ann)}/settings/")).count("Only owners and administrators change the settings") == 1
    assert viewer.post(f"{root(ann)}/settings/", {"name": "x"}).status_code == 403
    assert viewer.post(f"{root(ann)}/settings/retention/", {"checkpoint_days": "0"}).status_code == 403


@pytest.mark.parametrize(
    ("form", "wrong"),
    [
        ({"name": "", "visibility": "anyone"}, "Give the workspace a name"),
        ({"name": "x" * 161, "visibility": "anyone"}, "161 characters"),
        ({"name": "x", "visibility": "anyone", "domains": "not a domain"}, "is no domain"),
        ({"name": "x", "visibility": "all"}, "There is no such choice"),
    ],
)
def test_the_settings_say_what_is_wrong_and_change_nothing(ann: Any, form: dict[str, str], wrong: str) -> None:
    answer = ann.client.post(f"{root(ann)}/settings/", form)
    assert answer.status_code == 422
    assert wrong in text(answer) or form.get("visibility") == "all"
    with scope(ann.workspace.pk):
        assert Workspace.objects.get(pk=ann.workspace.pk).name == ann.workspace.name


def test_the_settings_are_saved_at_the_new_address(ann: Any) -> None:
    form = {"name": "Lab", "visibility": "anyone", "domains": "example.org\nuni.example", "new_address": "on"}
    saved = ann.client.post(f"{root(ann)}/settings/", form)
    assert re.fullmatch(r"/w/lab-\w{8}/settings/", saved.url)
    page = ann.client.get(saved.url)
    assert "example.org\nuni.example" in page.content.decode()
    assert ann.client.get(f"{root(ann)}/settings/").status_code == 404


@pytest.mark.parametrize(
    ("form", "status"),
    [
        ({"artifact_days": "30", "checkpoint_days": "2"}, 302),
        ({"artifact_days": "", "checkpoint_days": "0"}, 302),
        ({"artifact_days": "0", "checkpoint_days": "0"}, 422),
        ({"artifact_days": "x", "checkpoint_days": "0"}, 422),
        ({"artifact_days": "", "checkpoint_days": ""}, 422),
    ],
)
def test_retention_is_set(ann: Any, form: dict[str, str], status: int) -> None:
    assert ann.client.post(f"{root(ann)}/settings/retention/", form).status_code == status
    with scope(ann.workspace.pk):
        kept = retention()
    if status == 302:
        assert (str(kept.artifact_days or ""), str(kept.checkpoint_days)) == tuple(form.values())
    else:
        assert kept.revision == 0


def test_a_role_is_changed_and_a_member_removed(ann: Any, member_of: Callable[..., User]) -> None:
    editor = member_of(ann, Role.EDITOR)
    row = member_row(ann, editor)
    page = f"{root(ann)}/members/{row.pk}/"
    assert "Hand the workspace over" in text(ann.client.get(page))
    assert ann.client.post(f"{page}role/", {"role": "viewer"}).status_code == 302
    assert member_row(ann, editor).role == Role.VIEWER
    assert ann.client.post(f"{page}remove/").status_code == 302
    assert logged_in(editor).get(f"{root(ann)}/").status_code == 404


def test_what_cannot_be_done_is_said_on_the_next_page(ann: Any) -> None:
    own = member_row(ann, ann.user)
    for address, form in (
        (f"members/{own.pk}/role/", {"role": "viewer"}), (f"members/{own.pk}/remove/", {}), ("members/leave/", {}),
    ):  # fmt: skip
        answer = ann.client.post(f"{root(ann)}/{address}", form, follow=True)
        assert "Make somebody else an owner first" in text(answer), address
    assert member_row(ann, ann.user).role == Role.OWNER


def test_an_invitation_is_made_sent_again_and_taken_back(ann: Any) -> None:
    page = f"{root(ann)}/members/"
    assert "e-mail address such as" in text(ann.client.post(page, {"email": "nobody", "role": "viewer"}))
    assert ann.client.post(page, {"email": "guest@example.net", "role": "viewer"}).status_code == 302
    assert "guest@example.net" in text(ann.client.get(page))
    assert "invited already" in text(ann.client.post(page, {"email": "guest@example.net", "role": "viewer"}))
    with scope(ann.workspace.pk):
        (open_one,) = invitations.invitations()
    assert ann.client.post(f"{root(ann)}/invitations/{open_one.pk}/resend/").status_code == 302
    assert ann.client.post(f"{root(ann)}/invitations/{open_one.pk}/revoke/").status_code == 302
    assert "Nobody is waiting" in text(ann.client.get(page))


def test_a_bounded_key_is_made_by_the_form_and_rotated(ann: Any) -> None:
    page = f"{root(ann)}/keys/"
    form = {"name": "CI", "days": "30", "owner": "workspace", "bounded": "on", "verbs": ["run.submit"]}
    wrong = ann.client.post(page, {**form, "networks": "everywhere"})
    assert wrong.status_code == 422
    assert "is no network" in text(wrong)
    assert 'value="run.submit" checked' in wrong.content.decode()
    made = ann.client.post(page, {**form, "networks": "203.0.113.0/24, 2001:db8::/32"})
    assert "Your new key" in text(made)
    (key,) = keys.keys(ann.user, ann.workspace)
    assert (key.owned_by_workspace, key.verbs) == (True, ["run.submit", "workspace.read"])
    assert key.networks == ["2001:db8::/32", "203.0.113.0/24"]
    rotated = ann.client.post(f"{page}{key.pk}/rotate/")
    assert "Your new key" in text(rotated)
    assert "no-store" in rotated.headers["Cache-Control"]
    assert "the secret before until" in text(ann.client.get(page))


def number_in(page: Any) -> str:
    found = re.search(r'name="form" value="([\w-]+)"', page.content.decode())
    assert found is not None
    return found[1]


def test_an_answer_with_a_secret_that_is_loaded_again_makes_nothing_twice(ann: Any) -> None:
    page = f"{root(ann)}/keys/"
    form = {"name": "CI", "days": "30", "form": number_in(ann.client.get(page))}
    assert "Say what the key is for" in text(ann.client.post(page, {**form, "name": ""}))
    assert "Your new key" in text(ann.client.post(page, form))
    again = ann.client.post(page, form, follow=True)
    assert "Your new key" not in text(again)
    assert "This was done already" in text(again)
    (key,) = keys.keys(ann.user, ann.workspace)

    rotation = {"form": number_in(again)}
    assert "Your new key" in text(ann.client.post(f"{page}{key.pk}/rotate/", rotation))
    (drawn,) = keys.keys(ann.user, ann.workspace)
    assert "This was done already" in text(ann.client.post(f"{page}{key.pk}/rotate/", rotation, follow=True))
    assert keys.keys(ann.user, ann.workspace)[0].digest == drawn.digest

    graph = ann.client.get(f"{root(ann)}/graphs/{ann.graph.pk}/")
    link = {"graph": str(ann.graph.pk), "days": "7", "visibility": "anyone", "form": number_in(graph)}
    assert "Your new link" in text(ann.client.post(f"{root(ann)}/shares/", link))
    told = text(ann.client.post(f"{root(ann)}/shares/", link, follow=True))
    assert "This link was made already" in told
    assert told.count("People who are signed in") + told.count("Anyone with the link") == 1


def test_times_are_those_of_the_reader_and_say_so(ann: Any) -> None:
    ann.user.time_zone = "Asia/Tokyo"
    ann.user.save()
    with scope(ann.workspace.pk):
        at = AuditEvent.objects.latest("at").at
    expected = at.astimezone(ZoneInfo("Asia/Tokyo")).strftime("%H:%M:%S JST")
    assert expected in text(ann.client.get(f"{root(ann)}/audit/"))


def test_the_mail_of_an_invitation_speaks_of_utc(ann: Any, django_capture_on_commit_callbacks: Any) -> None:
    # As in a request of somebody who lives there.
    with timezone.override(ZoneInfo("Asia/Tokyo")), django_capture_on_commit_callbacks(execute=True):
        invitations.invite(ann.user, ann.workspace, "guest@example.net", "viewer", str)
    with scope(ann.workspace.pk):
        (made,) = invitations.invitations()
    until = made.expires_at.astimezone(UTC).strftime("%H:%M UTC")
    (sent,) = mail.outbox
    assert until in sent.body
    assert until in sent.alternatives[0].content


def test_a_graph_is_shared_by_the_form_on_its_page(ann: Any) -> None:
    page = ann.client.get(f"{root(ann)}/graphs/{ann.graph.pk}/")
    assert "Make a link" in text(page)
    form = {"graph": str(ann.graph.pk), "days": "7", "visibility": "anyone"}
    made = ann.client.post(f"{root(ann)}/shares/", form)
    address = re.search(r'value="http://testserver(/s/shr_[\w-]+/)"', made.content.decode())
    assert address is not None
    assert ann.graph.name in text(Client().get(address[1]))
    assert address[1] not in ann.client.get(f"{root(ann)}/shares/").content.decode()
    assert ann.client.post(f"{root(ann)}/shares/", {**form, "days": "9999"}).status_code == 422


def test_no_member_is_left_out(ann: Any, member_of: Callable[..., User], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("apps.web.views.members.PAGE_SIZE", 2)
    people = {ann.user, *(member_of(ann, role) for role in (Role.ADMIN, Role.EDITOR, Role.VIEWER))}
    page, seen = f"{root(ann)}/members/", ""
    while page:
        answer = ann.client.get(page)
        shown = text(answer)
        assert "of 2, 4 members" in shown
        seen += shown
        later = re.search(r'href="(\?page=\d+)">Later members', answer.content.decode())
        page = f"{root(ann)}/members/{later[1]}" if later else ""
    assert all(seen.count(f" {one.email} ") == 1 for one in people if one != ann.user)
    monkeypatch.setattr("apps.web.views.members.PAGE_SIZE", 4)
    assert "Later members" not in text(ann.client.get(f"{root(ann)}/members/"))


@pytest.mark.parametrize(("values", "cut"), [(10, False), (30_000, True)])
def test_a_shared_result_that_is_cut_says_so(ann: Any, values: int, cut: bool) -> None:
    run, result = ann.submit(), {"values": list(range(values)), "after_that": "the end"}
    with scope(ann.workspace.pk):
        services.finish(services.claim(run.pk, "w"), "succeeded", result=result, result_hash="h")
    _, token = share(ann.user, run, visibility="anyone")
    shown = text(Client().get(f"/s/{token}/"))
    assert ("the end" in shown) is not cut
    assert ("it goes on after the last line" in shown) is cut
    if cut:
        length = len(json.dumps(result, indent=2))
        assert f"The first 100 000 of {length:,} characters".replace(",", " ") in shown


def test_empty_pages_say_what_belongs_there(ann: Any) -> None:
    assert "No links" in text(ann.client.get(f"{root(ann)}/shares/"))
    assert "Nobody is waiting" in text(ann.client.get(f"{root(ann)}/members/"))
    assert "No keys" in text(ann.client.get(f"{root(ann)}/keys/"))
    usage = text(ann.client.get(f"{root(ann)}/usage/"))
    assert "Plan: Standard" in usage
    assert "Storage" in usage
