"""Who belongs to a workspace: roles that are changed, members that go, owners that stay."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.core.exceptions import PermissionDenied
from django.test import Client
from tenants import PASSWORD

from apps.accounts.deletion import delete_account
from apps.accounts.models import User
from apps.accounts.services import register
from apps.sharing.services import share, unshare
from apps.workspaces import keys, members
from apps.workspaces.missing import NotFound
from apps.workspaces.models import AuditEvent, Membership, Role
from apps.workspaces.refusals import LastOwner
from apps.workspaces.scope import scope

pytestmark = pytest.mark.django_db


def membership_of(tenant: Any, user: User) -> Membership:
    with scope(tenant.workspace.id):
        return Membership.objects.get(user=user)


def roles(tenant: Any) -> list[str]:
    with scope(tenant.workspace.id):
        return sorted(Membership.objects.values_list("role", flat=True))


def logged_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


RANKS = {Role.OWNER: 3, Role.ADMIN: 2, Role.EDITOR: 1, Role.VIEWER: 0}
"""Written by hand: nobody gives or takes what is above."""


@pytest.mark.parametrize("actor_role", [Role.OWNER, Role.ADMIN, Role.EDITOR, Role.VIEWER])
@pytest.mark.parametrize("old", list(RANKS))
@pytest.mark.parametrize("new", list(RANKS))
def test_nobody_gives_or_takes_a_role_above_the_own(ann: Any, actor_role: Role, old: Role, new: Role) -> None:
    actor, target = (register(f"{name}@example.net", PASSWORD) for name in ("actor", "target"))
    members.add_member(ann.user, ann.workspace, actor, actor_role)
    members.add_member(ann.user, ann.workspace, target, old)
    row = membership_of(ann, target)
    answer = logged_in(actor).patch(
        f"{ann.root}/members/{row.pk}/", {"role": new.value}, content_type="application/json",
        headers={"If-Match": "*"},
    )  # fmt: skip
    manages = actor_role in (Role.OWNER, Role.ADMIN)
    allowed = manages and max(RANKS[old], RANKS[new]) <= RANKS[actor_role]
    assert answer.status_code == (200 if allowed else 403), answer.content
    assert membership_of(ann, target).role == (new if allowed else old)


def test_a_change_of_role_holds_from_the_next_request_on(ann: Any, member_of: Callable[..., User]) -> None:
    editor = member_of(ann, Role.EDITOR)
    client = logged_in(editor)
    body = {"name": "p"}
    assert client.post(f"{ann.root}/projects/", body, content_type="application/json").status_code == 201
    members.change_role(ann.user, ann.workspace, membership_of(ann, editor).pk, Role.VIEWER)
    assert client.post(f"{ann.root}/projects/", body, content_type="application/json").status_code == 403
    members.remove_member(ann.user, ann.workspace, membership_of(ann, editor).pk)
    assert client.get(f"{ann.root}/projects/").status_code == 404


def test_an_edit_names_the_state_it_was_made_from(ann: Any, member_of: Callable[..., User]) -> None:
    row = membership_of(ann, member_of(ann, Role.VIEWER))
    url = f"{ann.root}/members/{row.pk}/"
    tag = ann.client.get(url).headers["ETag"]

    def give(role: str, **headers: str) -> int:
        sent = ann.client.patch(url, {"role": role}, content_type="application/json", headers=headers)
        return int(sent.status_code)

    assert give("editor") == 428
    assert give("editor", **{"If-Match": tag}) == 200
    assert give("viewer", **{"If-Match": tag}) == 412
    assert ann.client.delete(url, headers={"If-Match": tag}).status_code == 412


def test_the_last_owner_stays_one(ann: Any, member_of: Callable[..., User]) -> None:
    own = membership_of(ann, ann.user)
    member_of(ann, Role.ADMIN)
    with pytest.raises(LastOwner):
        members.leave(ann.user, ann.workspace)
    with pytest.raises(LastOwner):
        members.change_role(ann.user, ann.workspace, own.pk, Role.ADMIN)
    with pytest.raises(LastOwner):
        members.remove_member(ann.user, ann.workspace, own.pk)
    second = member_of(ann, Role.OWNER)
    members.leave(ann.user, ann.workspace)
    assert roles(ann) == ["admin", "owner"]
    with pytest.raises(LastOwner):
        members.leave(second, ann.workspace)


@pytest.mark.django_db(transaction=True)
def test_of_two_owners_who_leave_at_once_one_stays(
    ann: Any, member_of: Callable[..., User], at_once: Callable[..., list[Any]]
) -> None:
    owners = [ann.user, member_of(ann, Role.OWNER)]

    def go(number: int) -> str:
        try:
            members.leave(owners[number], ann.workspace)
        except LastOwner:
            return "stayed"
        return "left"

    assert sorted(at_once(go, 2)) == ["left", "stayed"]
    assert roles(ann) == ["owner"]


@pytest.mark.django_db(transaction=True)
def test_of_two_owners_who_demote_each_other_at_once_one_is_left(
    ann: Any, member_of: Callable[..., User], at_once: Callable[..., list[Any]]
) -> None:
    owners = [ann.user, member_of(ann, Role.OWNER)]
    rows = [membership_of(ann, user) for user in owners]

    def demote(number: int) -> str:
        try:
            members.change_role(owners[number], ann.workspace, rows[1 - number].pk, Role.VIEWER)
        except PermissionDenied:
            return "refused"
        return "demoted"

    assert sorted(at_once(demote, 2)) == ["demoted", "refused"]
    assert roles(ann) == ["owner", "viewer"]


def test_who_leaves_or_is_removed_leaves_no_key_behind(ann: Any, member_of: Callable[..., User]) -> None:
    editor = member_of(ann, Role.EDITOR)
    _, secret = keys.create_key(editor, ann.workspace, "of the editor")
    assert keys.holder_of(secret) is not None
    members.leave(editor, ann.workspace)
    assert keys.holder_of(secret) is None
    members.add_member(ann.user, ann.workspace, editor, Role.EDITOR)
    assert keys.holder_of(secret) is None


@pytest.mark.parametrize("way", ["leaves", "is removed", "deletes the account"])
def test_what_somebody_shared_leads_nowhere_once_they_have_gone(
    ann: Any, member_of: Callable[..., User], way: str
) -> None:
    run, editor = ann.submit(), member_of(ann, Role.EDITOR)
    tokens = [share(editor, one, visibility="anyone")[1] for one in (run, ann.graph)]
    _, of_ann = share(ann.user, run, visibility="anyone")
    link, _ = share(editor, run)
    unshare(editor, ann.workspace, link.pk)
    keys.create_key(editor, ann.workspace, "of the editor")
    assert [Client().get(f"/s/{token}/").status_code for token in tokens] == [200, 200]
    if way == "leaves":
        members.leave(editor, ann.workspace)
    elif way == "is removed":
        members.remove_member(ann.user, ann.workspace, membership_of(ann, editor).pk)
    else:
        delete_account(editor)
    assert [Client().get(f"/s/{token}/").status_code for token in (*tokens, of_ann)] == [404, 404, 200]
    with scope(ann.workspace.pk):
        entry = AuditEvent.objects.filter(action__in=("member.leave", "member.remove")).get()
    assert (entry.data["links"], entry.data["keys"], entry.data["invitations"]) == (2, 1, 0)


def test_a_workspace_is_handed_over(ann: Any, member_of: Callable[..., User]) -> None:
    editor = member_of(ann, Role.EDITOR)
    row = membership_of(ann, editor)
    with pytest.raises(PermissionDenied):
        members.transfer(editor, ann.workspace, row.pk)
    assert ann.post("/transfer/", {"member": str(row.pk)}).status_code == 200
    assert membership_of(ann, editor).role == Role.OWNER
    assert membership_of(ann, ann.user).role == Role.ADMIN
    with pytest.raises(PermissionDenied):
        members.transfer(ann.user, ann.workspace, row.pk)


def test_the_machine_member_is_not_handled_as_a_person(ann: Any) -> None:
    keys.create_key(ann.user, ann.workspace, "CI", of_workspace=True)
    listed = ann.get("/members/").json()["results"]
    (machine,) = [one for one in listed if one["machine"]]
    assert machine["role"] == "api"
    url = f"{ann.root}/members/{machine['id']}/"
    headers = {"If-Match": "*"}
    given = ann.client.patch(url, {"role": "owner"}, content_type="application/json", headers=headers)
    assert (given.status_code, given.json()["code"]) == (409, "machine_member")
    assert ann.client.delete(url, headers=headers).json()["code"] == "machine_member"
    assert ann.post("/transfer/", {"member": machine["id"]}).json()["code"] == "machine_member"


def test_a_key_manages_no_members(ann: Any, member_of: Callable[..., User]) -> None:
    row = membership_of(ann, member_of(ann, Role.VIEWER))
    _, secret = keys.create_key(ann.user, ann.workspace, "k")
    program = Client(headers={"Authorization": f"Bearer {secret}", "If-Match": "*"})
    for answer in (
        program.patch(f"{ann.root}/members/{row.pk}/", {"role": "owner"}, content_type="application/json"),
        program.delete(f"{ann.root}/members/{row.pk}/"),
        program.post(f"{ann.root}/leave/"),
        program.post(f"{ann.root}/transfer/", {"member": str(row.pk)}, content_type="application/json"),
        program.delete(f"{ann.root}/"),
        program.post("/api/v1/workspaces/", {"name": "x"}, content_type="application/json"),
        program.post(
            f"{ann.root}/invitations/", {"email": "x@example.org", "role": "viewer"}, content_type="application/json"
        ),
    ):
        assert answer.status_code == 403, answer.content


def test_a_workspace_is_made_and_found_by_its_maker_only(ann: Any, bob: Any) -> None:
    made = ann.client.post("/api/v1/workspaces/", {"name": "Lab"}, content_type="application/json")
    assert made.status_code == 201
    slug = made.json()["slug"]
    assert ann.client.get(f"/api/v1/workspaces/{slug}/").json()["role"] == "owner"
    assert bob.client.get(f"/api/v1/workspaces/{slug}/").status_code == 404
    assert slug in [one["slug"] for one in ann.client.get("/api/v1/workspaces/").json()]


def test_nobody_owns_more_workspaces_than_one_may(ann: Any, settings: Any) -> None:
    """Each has the quotas of a workspace."""
    chosen = settings.ATTRACTOR.workspaces.model_copy(update={"per_owner": 2})
    settings.ATTRACTOR = settings.ATTRACTOR.model_copy(update={"workspaces": chosen})
    assert ann.client.post("/workspaces/new/", {"name": "second"}).status_code == 302
    assert ann.client.post("/workspaces/new/", {"name": "third"}).status_code == 422
    refused = ann.client.post("/api/v1/workspaces/", {"name": "third"}, content_type="application/json")
    assert (refused.status_code, refused.json()["problems"][0]["place"]) == (422, "name")


def test_a_workspace_that_is_asked_for_twice_is_made_once(ann: Any, bob: Any) -> None:
    def make(client: Client, name: str) -> Any:
        headers = {"Idempotency-Key": "k"}
        return client.post("/api/v1/workspaces/", {"name": name}, content_type="application/json", headers=headers)

    first, again = make(ann.client, "Lab"), make(ann.client, "Lab")
    assert first.json()["id"] == again.json()["id"]
    assert make(ann.client, "Another").status_code == 422
    assert make(bob.client, "Lab").json()["id"] != first.json()["id"]


def test_a_new_address_leaves_nothing_at_the_old_one(ann: Any) -> None:
    changed = ann.client.patch(
        f"{ann.root}/", {"name": "Chaos lab", "new_address": True}, content_type="application/json",
        headers={"If-Match": '"0"'},
    )  # fmt: skip
    assert changed.status_code == 200
    slug = changed.json()["slug"]
    assert slug.startswith("chaos-lab-")
    for address in (f"{ann.root}/", f"{ann.root}/runs/", f"/w/{ann.workspace.slug}/"):
        assert ann.client.get(address).status_code == 404
    assert ann.client.get(f"/w/{slug}/").status_code == 200
    assert changed.headers["ETag"] == '"1"'


@pytest.mark.parametrize("domain", ["example", "exa mple.org", "-a.org", "a..b", "x" * 64 + ".org", "münchen.de"])
def test_what_is_no_domain_is_refused(ann: Any, domain: str) -> None:
    sent = ann.client.patch(
        f"{ann.root}/", {"allowed_domains": [domain]}, content_type="application/json", headers={"If-Match": "*"}
    )
    assert sent.status_code == 422
    assert sent.json()["problems"][0]["place"] == "allowed_domains"


def test_a_stranger_is_nobody_to_the_services(ann: Any, bob: Any) -> None:
    with pytest.raises(NotFound):
        members.leave(bob.user, ann.workspace)
    with pytest.raises(NotFound):
        members.change_role(bob.user, ann.workspace, membership_of(ann, ann.user).pk, Role.VIEWER)
