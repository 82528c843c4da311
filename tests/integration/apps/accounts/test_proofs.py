"""Before something dangerous: a code, or the password where there is no second factor."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest
from authenticators import PASSWORD, Clock, whose
from django.test import Client
from django.urls import reverse

from apps.accounts.models import User
from apps.accounts.services import register
from apps.runs.models import Retention
from apps.workspaces import invitations
from apps.workspaces.members import add_member
from apps.workspaces.models import ApiKey, AuditEvent, Invitation, Membership, Role
from apps.workspaces.scope import scope
from apps.workspaces.selectors import workspaces_of

pytestmark = pytest.mark.django_db

PROVE = "/account/prove/"


def long_ago(client: Client) -> None:
    """Let the proof of the client's session be as old as it may be, and a second more."""
    session = client.session
    session["proof_at"] -= 10 * 60 + 1
    session.save()


@pytest.fixture
def ada(db: None) -> User:
    return register("ada@example.org", PASSWORD)


@pytest.fixture
def stale(ada: User) -> Client:
    client = Client()
    client.post(reverse("account_login"), {"login": ada.email, "password": PASSWORD})
    long_ago(client)
    return client


def invited(user: User, role: str) -> UUID:
    """An open invitation to the person's workspace."""
    (workspace,) = workspaces_of(user)
    return invitations.invite(user, workspace, f"{role}@example.net", role, str).pk


def own_row(user: User) -> UUID:
    (workspace,) = workspaces_of(user)
    with scope(workspace.id):
        return Membership.objects.get(user=user).pk


def another(user: User, role: Role) -> UUID:
    """Another member of the person's workspace."""
    (workspace,) = workspaces_of(user)
    return add_member(user, workspace, register(f"{role.value}@example.org", PASSWORD), role).pk


def dangerous(user: User) -> list[tuple[str, dict[str, str]]]:
    (workspace,) = workspaces_of(user)
    members, own, viewer = f"/w/{workspace.slug}/members", own_row(user), another(user, Role.VIEWER)
    admin = another(user, Role.ADMIN)
    new = {"password1": "new of mallory", "password2": "new of mallory"}
    return [
        ("/accounts/email/", {"action_add": "", "email": "mallory@example.org"}),
        ("/accounts/password/change/", {"oldpassword": PASSWORD, **new}),
        ("/accounts/password/set/", new),
        ("/accounts/3rdparty/", {"account": "1"}),
        ("/account/two-step/", {}),
        ("/account/two-step/off/", {}),
        ("/account/two-step/recovery/", {}),
        ("/account/sessions/end/", {}),
        ("/account/export/", {}),
        ("/account/delete/", {"email": user.email}),
        (f"/w/{workspace.slug}/keys/", {"name": "of mallory"}),
        (f"/w/{workspace.slug}/keys/{UUID(int=0)}/rotate/", {}),
        (f"/w/{workspace.slug}/security/", {"require_mfa": "true"}),
        (f"/w/{workspace.slug}/settings/delete/", {"name": workspace.name}),
        (f"{members}/{UUID(int=0)}/transfer/", {}),
        (f"{members}/", {"email": "mallory@example.org", "role": "owner"}),
        (f"{members}/", {"email": "mallory@example.org", "role": "admin"}),
        (f"{members}/{viewer}/role/", {"role": "owner"}),
        (f"{members}/{viewer}/role/", {"role": "admin"}),
        (f"{members}/{admin}/role/", {"role": "viewer"}),
        (f"{members}/{admin}/remove/", {}),
        (f"{members}/{own}/remove/", {}),
        (f"/w/{workspace.slug}/invitations/{invited(user, 'admin')}/resend/", {}),
        (f"/w/{workspace.slug}/settings/retention/", {"artifact_days": "1", "checkpoint_days": "0"}),
    ]  # fmt: skip


def test_what_is_dangerous_asks_first(ada: User, stale: Client) -> None:
    (workspace,) = workspaces_of(ada)
    asked = dangerous(ada)
    with scope(workspace.id):
        before = AuditEvent.objects.count()
    for path, form in asked:
        answer = stale.post(path, form)
        assert (answer.status_code, answer.url.split("?")[0]) == (302, PROVE), path
    ada.refresh_from_db()
    assert ada.check_password(PASSWORD)
    assert ada.is_active
    with scope(workspace.id):
        assert not ApiKey.objects.exists()
        assert not Retention.objects.exists()
        assert AuditEvent.objects.count() == before
        workspace.refresh_from_db()
    assert workspace.delete_at is None


def test_the_api_says_where_to_prove_it(ada: User, stale: Client) -> None:
    (workspace,) = workspaces_of(ada)
    root = f"/api/v1/workspaces/{workspace.slug}"
    viewer, admin, offer = another(ada, Role.VIEWER), another(ada, Role.ADMIN), invited(ada, "owner")
    json, any_state = {"content_type": "application/json"}, {"headers": {"If-Match": "*"}}
    guest = "mallory@example.org"
    for answer in (
        stale.post(f"{root}/invitations/", {"email": guest, "role": "owner"}, **json),
        stale.post(f"{root}/invitations/", {"email": guest, "role": "admin"}, **json),
        stale.post(f"{root}/invitations/{offer}/resend/", {}, **json),
        stale.patch(f"{root}/members/{viewer}/", {"role": "owner"}, **json, **any_state),
        stale.patch(f"{root}/members/{viewer}/", {"role": "admin"}, **json, **any_state),
        stale.patch(f"{root}/members/{admin}/", {"role": "viewer"}, **json, **any_state),
        stale.delete(f"{root}/members/{admin}/", **any_state),
        stale.put(f"{root}/retention/", {"artifact_days": 1, "checkpoint_days": 0}, **json, **any_state),
        stale.post(f"{root}/keys/", {"name": "x"}, content_type="application/json"),
        stale.post(f"{root}/keys/{UUID(int=0)}/rotate/", {}, content_type="application/json"),
        stale.put(f"{root}/security/", {"require_mfa": False}, content_type="application/json"),
        stale.post(f"{root}/transfer/", {"member": str(UUID(int=0))}, content_type="application/json"),
        stale.delete(f"{root}/"),
    ):
        assert answer.status_code == 403
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert answer.json()["code"] == "proof_needed"
        assert PROVE in answer.json()["problems"][0]["mend"]


def test_what_does_little_harm_asks_for_nothing(ada: User, stale: Client) -> None:
    (workspace,) = workspaces_of(ada)
    root, pages = f"/api/v1/workspaces/{workspace.slug}", f"/w/{workspace.slug}"
    json, any_state = {"content_type": "application/json"}, {"headers": {"If-Match": "*"}}
    viewer, offer = another(ada, Role.VIEWER), invited(ada, "editor")
    for path, form in (
        (f"{pages}/members/", {"email": "a@example.net", "role": "editor"}),
        (f"{pages}/members/{viewer}/role/", {"role": "editor"}),
        (f"{pages}/invitations/{offer}/resend/", {}),
        (f"{pages}/settings/retention/", {"artifact_days": "", "checkpoint_days": "9"}),
    ):
        answer = stale.post(path, form)
        assert (answer.status_code, answer.url.startswith(pages)) == (302, True), path
    for answer, status in (
        (stale.post(f"{root}/invitations/", {"email": "b@example.net", "role": "viewer"}, **json), 201),
        (stale.post(f"{root}/invitations/{offer}/resend/", {}, **json), 202),
        (stale.put(f"{root}/retention/", {"artifact_days": None, "checkpoint_days": 20}, **json, **any_state), 200),
        (stale.patch(f"{root}/members/{viewer}/", {"role": "viewer"}, **json, **any_state), 200),
        (stale.delete(f"{root}/members/{viewer}/", **any_state), 204),
    ):
        assert answer.status_code == status, answer.content
    with scope(workspace.id):
        assert Invitation.objects.count() == 3
        assert Retention.objects.get().checkpoint_days == 20


def test_the_password_proves_it_and_leads_back(ada: User, stale: Client) -> None:
    (workspace,) = workspaces_of(ada)
    page = f"/w/{workspace.slug}/keys/"
    asked = stale.post(page, {"name": "x"}, headers={"Referer": f"http://testserver{page}?a=b"})
    assert asked.url == f"{PROVE}?next={page.replace('/', '%2F')}"
    assert stale.post(asked.url, {"password": "wrong", "next": page}).status_code == 422
    assert stale.post(asked.url, {"password": PASSWORD, "next": page}).url == page
    assert b"atk_" in stale.post(page, {"name": "x"}).content
    long_ago(stale)
    assert stale.post(page, {"name": "x"}).status_code == 302


@pytest.mark.parametrize("back", ["https://evil.example.org/", "//evil.example.org", "javascript:alert(1)"])
def test_it_leads_nowhere_else(stale: Client, back: str) -> None:
    assert stale.post(PROVE, {"password": PASSWORD, "next": back}).url == reverse("web:account_security")


def test_with_a_second_factor_only_a_code_proves_it(enrolled: Any, clock: Clock) -> None:
    eve = enrolled()
    client = eve.signed_in()
    long_ago(client)
    assert client.post(PROVE, {"password": PASSWORD}).status_code == 422
    used = eve.code()
    assert client.post(PROVE, {"code": used}).status_code == 422, "it has signed in with this one"
    clock.next_step()
    assert client.post(PROVE, {"code": eve.code()}).status_code == 302
    assert client.post("/account/two-step/off/").status_code == 302
    eve.user.refresh_from_db()
    assert eve.user.mfa_since is None


def test_a_proof_belongs_to_its_session_and_person(ada: User, stale: Client) -> None:
    fresh = Client()
    fresh.post(reverse("account_login"), {"login": ada.email, "password": PASSWORD})
    assert stale.get("/accounts/email/").status_code == 302
    assert fresh.get("/accounts/email/").status_code == 200
    other = register("grace@example.org", PASSWORD)
    session = fresh.session
    session["_auth_user_id"], session["_auth_user_hash"] = str(other.pk), other.get_session_auth_hash()
    session.save()
    assert whose(fresh) == other.email
    assert fresh.get("/accounts/email/").status_code == 302


def test_guessing_the_password_is_slowed_down(stale: Client) -> None:
    answers = [stale.post(PROVE, {"password": f"guess {number}"}) for number in range(12)]
    assert "Too many wrong tries" in answers[-1].content.decode()
    assert "Too many wrong tries" in stale.post(PROVE, {"password": PASSWORD}).content.decode()


def test_who_has_neither_is_told_to_sign_in_anew(db: None) -> None:
    user = register("ada@example.org", None)
    client = Client()
    client.force_login(user)
    long_ago(client)
    assert "sign in again" in client.get(PROVE).content.decode()
    assert client.post(PROVE, {"password": "", "code": ""}).status_code == 422
