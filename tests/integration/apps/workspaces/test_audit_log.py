"""The audit log: what it holds, who finds it, and the file that is made of it."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from apps.accounts.models import User
from apps.projects.services import create_project
from apps.workspaces import keys
from apps.workspaces.models import AuditEvent, Role
from apps.workspaces.scope import scope
from apps.workspaces.services import audit, change_workspace

pytestmark = pytest.mark.django_db


def logged_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def found(tenant: Any, **query: str) -> list[dict[str, Any]]:
    answer = tenant.client.get(f"{tenant.root}/audit/", query)
    assert answer.status_code == 200, answer.content
    return list(answer.json()["results"])


def test_the_digests_of_a_change_are_chained(ann: Any) -> None:
    """What a row was after one change is what it was before the next."""
    for name in ("one", "two", "one"):
        change_workspace(ann.user, ann.workspace, name=name)
    newest = found(ann, action="workspace.change")
    assert [one["data"]["name"] for one in newest] == ["one", "two", "one"]
    assert newest[0]["before"] == newest[1]["after"]
    assert newest[1]["before"] == newest[2]["after"]
    assert newest[0]["before"] != newest[0]["after"]


def test_what_is_made_was_not_there_and_what_is_deleted_is_not_there_any_more(ann: Any) -> None:
    key, _ = keys.create_key(ann.user, ann.workspace, "k")
    keys.revoke_key(ann.user, ann.workspace, key.pk)
    revoked, made = found(ann, object=str(key.pk))
    assert (made["action"], made["before"], revoked["action"], revoked["after"]) == (
        "key.create", "", "key.revoke", "",
    )  # fmt: skip
    assert made["after"] == revoked["before"] != ""


def test_an_entry_names_the_request_and_the_key_it_was_done_by(ann: Any) -> None:
    key, secret = keys.create_key(ann.user, ann.workspace, "k")
    program = Client(headers={"Authorization": f"Bearer {secret}", "X-Request-ID": "a-request-of-mine"})
    answer = program.post(f"{ann.root}/projects/", {"name": "p"}, content_type="application/json")
    assert answer.status_code == 201
    # The number is the site's, and not what somebody would like to read in the log.
    assert answer.headers["X-Request-ID"] != "a-request-of-mine"
    (entry,) = found(ann, request=answer.headers["X-Request-ID"])
    assert (entry["action"], entry["key"], entry["actor"]) == ("project.create", str(key.pk), ann.user.email)


def test_the_filters_narrow_it(ann: Any, member_of: Callable[..., User]) -> None:
    editor = member_of(ann, Role.EDITOR)
    create_project(editor, ann.workspace, "of the editor")
    everything = found(ann)
    (own,) = [one for one in everything if one["actor"] == editor.email]
    for query in (
        {"actor": str(editor.pk)}, {"email": editor.email.upper()}, {"object": own["object_id"]},
        {"object_type": "projects.project", "after": own["at"]}, {"action": "project.create", "email": editor.email},
    ):  # fmt: skip
        assert [one["id"] for one in found(ann, **query)] == [own["id"]], query
    assert {one["action"].partition(".")[0] for one in found(ann, kind="member")} == {"member"}
    later = (timezone.now() + timedelta(minutes=1)).isoformat()
    assert found(ann, after=later) == []
    assert len(found(ann, before=later)) == len(everything)


@pytest.mark.parametrize(
    "query", ["?data=x", "?action=", "?actor=me", "?after=yesterday", "?action=a&action=b", "?order=at"]
)
def test_what_is_no_filter_is_400_with_those_there_are(ann: Any, query: str) -> None:
    for address in (f"{ann.root}/audit/{query}", f"{ann.root}/audit/export/{query}"):
        answer = ann.client.get(address)
        assert (answer.status_code, answer.json()["code"]) == (400, "invalid_request")


def test_pages_by_a_cursor_miss_nothing_and_repeat_nothing(ann: Any) -> None:
    with scope(ann.workspace.pk):
        for number in range(25):
            audit(ann.user, "test.note", ann.project, number=number)
    seen, url = [], f"{ann.root}/audit/?action=test.note&page_size=10"
    while url:
        answer = ann.client.get(url).json()
        seen += [one["data"]["number"] for one in answer["results"]]
        with scope(ann.workspace.pk):
            audit(ann.user, "test.note", ann.project, number=-1)  # what comes meanwhile shifts nothing
        url = answer["next"]
    assert seen == list(range(24, -1, -1))


def test_it_is_read_by_owners_and_administrators_only(ann: Any, bob: Any, member_of: Callable[..., User]) -> None:
    for role, status in ((Role.ADMIN, 200), (Role.EDITOR, 403), (Role.VIEWER, 403)):
        client = logged_in(member_of(ann, role))
        for address in (f"{ann.root}/audit/", f"{ann.root}/audit/export/", f"/w/{ann.workspace.slug}/audit/"):
            assert client.get(address).status_code == status, (role, address)
    assert bob.client.get(f"{ann.root}/audit/").status_code == 404


def test_the_file_holds_every_entry_as_the_list_does(ann: Any) -> None:
    listed = found(ann)
    lines = ann.client.get(f"{ann.root}/audit/export/?as=jsonl")
    assert lines.headers["Content-Type"] == "application/jsonl"
    assert 'filename="audit.jsonl"' in lines.headers["Content-Disposition"]
    assert [json.loads(line) for line in lines.getvalue().decode().splitlines()] == listed
    table = ann.client.get(f"{ann.root}/audit/export/")
    rows = list(csv.DictReader(io.StringIO(table.getvalue().decode())))
    assert [row["id"] for row in rows] == [one["id"] for one in listed]
    assert [json.loads(row["data"]) for row in rows] == [one["data"] for one in listed]
    narrowed = ann.client.get(f"{ann.root}/audit/export/?as=jsonl&action=workspace.create").getvalue().decode()
    assert len(narrowed.splitlines()) == 1


def test_a_spreadsheet_computes_nothing_of_it(ann: Any) -> None:
    with scope(ann.workspace.pk):
        AuditEvent.objects.create(
            workspace_id=ann.workspace.pk, action="=HYPERLINK(1)", object_type="+x", object_id="@y", data={}
        )
    rows = list(csv.reader(io.StringIO(ann.client.get(f"{ann.root}/audit/export/").getvalue().decode())))
    assert not [cell for row in rows for cell in row if cell[:1] in ("=", "+", "-", "@")]


def test_the_page_searches_and_says_what_is_wrong(ann: Any) -> None:
    page = f"/w/{ann.workspace.slug}/audit/"
    everything = ann.client.get(f"{page}?email=&action=&after=").content.decode()
    assert "workspace.create" in everything
    narrowed = ann.client.get(f"{page}?action=project.create").content.decode()
    assert "<code>project.create</code>" in narrowed
    assert "<code>workspace.create</code>" not in narrowed
    wrong = ann.client.get(f"{page}?after=yesterday")
    assert wrong.status_code == 400
    assert "Give a time such as" in wrong.content.decode()
    assert "Nothing matches" in ann.client.get(f"{page}?action=no.such").content.decode()
    assert ann.client.get(f"{page}export/?as=csv&email=&action=project.create").status_code == 200


def test_the_page_leads_to_older_entries(ann: Any) -> None:
    with scope(ann.workspace.pk):
        for number in range(60):
            audit(ann.user, "test.note", ann.project, number=number)
    page = f"/w/{ann.workspace.slug}/audit/"
    first = ann.client.get(f"{page}?action=test.note").content.decode()
    assert first.count("<code>test.note</code>") == 50
    (link,) = [part.partition('"')[0] for part in first.split(f'href="{page}?') if "cursor=" in part.partition('"')[0]]
    assert ann.client.get(f"{page}?{link.replace('&amp;', '&')}").content.decode().count("<code>test.note</code>") == 10
