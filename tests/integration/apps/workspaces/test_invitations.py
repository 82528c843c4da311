"""Invitations: to whom they go, who accepts them, and what is offered when they are accepted."""

from __future__ import annotations

import email
import re
import time
from collections.abc import Callable
from datetime import timedelta
from email import policy
from types import SimpleNamespace
from typing import Any

import pytest
from allauth.account.models import EmailAddress
from django.core import mail
from django.core.exceptions import PermissionDenied
from django.test import Client
from django.utils import timezone
from tenants import PASSWORD

from apps.accounts.models import User
from apps.accounts.services import register
from apps.ops.refusal import Invalid
from apps.workspaces import deletion, invitations, members
from apps.workspaces.models import AuditEvent, Invitation, Membership, Role
from apps.workspaces.refusals import InvitationVoid
from apps.workspaces.scope import scope
from apps.workspaces.services import change_workspace, create_workspace

GUEST = "guest@example.net"


def person(address: str, *, verified: bool = True) -> User:
    user = register(address, PASSWORD)
    EmailAddress.objects.create(user=user, email=address, verified=verified, primary=True)
    return user


def logged_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def roles(tenant: Any) -> list[str]:
    with scope(tenant.workspace.id):
        return sorted(Membership.objects.values_list("role", flat=True))


@pytest.fixture
def invite(ann: Any) -> Callable[..., str]:
    """Invites and tells the token, which else only the message has."""

    def make(address: str = GUEST, role: str = "editor", actor: User | None = None) -> str:
        tokens: list[str] = []

        def link(token: str) -> str:
            tokens.append(token)
            return f"https://testserver/invitations/{token}/"

        invitations.invite(actor or ann.user, ann.workspace, address, role, link)
        return tokens[0]

    return make


@pytest.mark.django_db
def test_the_message_is_mime_with_text_and_html_and_leads_to_the_invitation(
    ann: Any, django_capture_on_commit_callbacks: Any
) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        made = ann.post("/invitations/", {"email": "Guest@Example.NET", "role": "editor"})
    assert made.status_code == 201
    (sent,) = mail.outbox
    assert sent.to == [GUEST]
    # As a reader of mail takes it apart, from the bytes that go over the wire.
    parsed = email.message_from_bytes(sent.message().as_bytes(), policy=policy.default)
    assert parsed.get_content_type() == "multipart/alternative"
    text, html = (parsed.get_body((kind,)).get_content() for kind in ("plain", "html"))  # type: ignore[union-attr]
    (address,) = set(re.findall(r"http://testserver(/invitations/inv_[\w-]+/)", text + html))
    for part in (text, html):
        assert address in part
        assert "Editor" in part
    page = logged_in(person(GUEST)).get(address).content.decode()
    assert "Accept the invitation" in page
    token = address.split("/")[2]
    assert token not in made.content.decode() + ann.get("/invitations/").content.decode()
    assert made.json()["mailed_at"] is None  # it is sent when everything is committed
    assert ann.get("/invitations/").json()["results"][0]["mailed_at"] is not None
    with scope(ann.workspace.id):
        assert token not in str(list(Invitation.objects.values())) + str(list(AuditEvent.objects.values()))


@pytest.mark.django_db
def test_a_name_cannot_add_headers_or_markup_to_the_message(ann: Any, django_capture_on_commit_callbacks: Any) -> None:
    ann.user.name = "Eve\r\nBcc: all@example.org <b>now</b>"
    ann.user.save()
    with django_capture_on_commit_callbacks(execute=True):
        invitations.invite(ann.user, ann.workspace, GUEST, "viewer", str)
    parsed = email.message_from_bytes(mail.outbox[0].message().as_bytes(), policy=policy.default)
    assert parsed["Bcc"] is None
    assert parsed["To"] == GUEST
    assert "<b>now" not in parsed.get_body(("html",)).get_content()  # type: ignore[union-attr]


@pytest.mark.django_db
def test_an_invitation_is_accepted_once(ann: Any, invite: Callable[..., str]) -> None:
    guest, token = person(GUEST), invite()
    client = logged_in(guest)
    page = f"/invitations/{token}/"
    accepted = client.post(page)
    assert (accepted.status_code, accepted.url) == (302, f"/w/{ann.workspace.slug}/")
    assert roles(ann) == ["editor", "owner"]
    members.leave(guest, ann.workspace)
    again = client.post(page)
    assert again.status_code == 409
    assert "accepted already" in again.content.decode()
    assert roles(ann) == ["owner"]
    answer = client.post("/api/v1/invitations/accept/", {"token": token}, content_type="application/json")
    assert (answer.status_code, answer.json()["code"]) == (409, "invitation_void")


@pytest.mark.django_db(transaction=True)
def test_of_many_who_accept_at_once_one_does(
    ann: Any, invite: Callable[..., str], at_once: Callable[..., list[Any]]
) -> None:
    token, guest = invite(), person(GUEST)

    def accept(number: int) -> str:
        try:
            invitations.accept(guest, token)
        except InvitationVoid as refusal:
            return refusal.faults[0].message
        return "in"

    assert sorted(at_once(accept, 6)) == [*["It was accepted already."] * 5, "in"]
    assert roles(ann) == ["editor", "owner"]
    with scope(ann.workspace.id):
        assert AuditEvent.objects.filter(action="invitation.accept").count() == 1


@pytest.mark.django_db
@pytest.mark.parametrize("who", ["another", "unverified"])
def test_it_is_for_its_address_only(ann: Any, invite: Callable[..., str], who: str) -> None:
    token = invite()
    user = person("other@example.net") if who == "another" else person(GUEST, verified=False)
    answer = logged_in(user).post("/api/v1/invitations/accept/", {"token": token}, content_type="application/json")
    assert answer.status_code == 409
    assert "not confirmed" in answer.json()["problems"][0]["message"]
    assert logged_in(user).post(f"/invitations/{token}/").status_code == 409
    assert roles(ann) == ["owner"]


@pytest.mark.django_db
def test_it_is_void_when_its_inviter_could_not_make_it_any_more(
    ann: Any, invite: Callable[..., str], member_of: Callable[..., User]
) -> None:
    admin, guest = member_of(ann, Role.ADMIN), person(GUEST)
    token = invite(role="admin", actor=admin)
    with scope(ann.workspace.id):
        row = Membership.objects.get(user=admin)
    members.change_role(ann.user, ann.workspace, row.pk, Role.EDITOR)
    with pytest.raises(InvitationVoid, match="may not offer"):
        invitations.accept(guest, token)
    members.change_role(ann.user, ann.workspace, row.pk, Role.ADMIN)
    assert invitations.accept(guest, token).role == Role.ADMIN


@pytest.mark.django_db
def test_an_owners_offer_is_void_when_the_owner_is_administrator_by_then(
    ann: Any, invite: Callable[..., str], member_of: Callable[..., User]
) -> None:
    second, guest = member_of(ann, Role.OWNER), person(GUEST)
    token = invite(role="owner", actor=second)
    with scope(ann.workspace.id):
        row = Membership.objects.get(user=second)
    members.change_role(ann.user, ann.workspace, row.pk, Role.ADMIN)
    with pytest.raises(InvitationVoid):
        invitations.accept(guest, token)


@pytest.mark.django_db
@pytest.mark.parametrize("end", ["expired", "revoked", "closing", "domain", "inviter removed", "sent again"])
def test_it_is_void_when(ann: Any, invite: Callable[..., str], member_of: Callable[..., User], end: str) -> None:
    admin, guest = member_of(ann, Role.ADMIN), person(GUEST)
    token = invite(actor=admin)
    with scope(ann.workspace.id):
        made = Invitation.objects.get()
        if end == "expired":
            Invitation.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
        row = Membership.objects.get(user=admin)
    if end == "revoked":
        invitations.revoke(ann.user, ann.workspace, made.pk)
    if end == "closing":
        deletion.close(ann.user, ann.workspace)
    if end == "domain":
        change_workspace(ann.user, ann.workspace, allowed_domains=["example.org"])
    if end == "inviter removed":
        members.remove_member(ann.user, ann.workspace, row.pk)
    if end == "sent again":
        invitations.resend(ann.user, ann.workspace, made.pk, str)
    expected = invitations.NotFound if end == "sent again" else InvitationVoid
    with pytest.raises(expected):
        invitations.accept(guest, token)
    assert "editor" not in roles(ann)


@pytest.mark.django_db
def test_nobody_invites_above_the_own_role(ann: Any, member_of: Callable[..., User]) -> None:
    admin, editor = member_of(ann, Role.ADMIN), member_of(ann, Role.EDITOR)
    for actor, role in ((admin, "owner"), (editor, "viewer")):
        with pytest.raises(PermissionDenied):
            invitations.invite(actor, ann.workspace, GUEST, role, str)
    for role in ("api", "god"):
        with pytest.raises(Invalid):
            invitations.invite(ann.user, ann.workspace, GUEST, role, str)


@pytest.mark.django_db
def test_every_reason_is_told_at_once(ann: Any) -> None:
    change_workspace(ann.user, ann.workspace, allowed_domains=["example.org"])
    invitations.invite(ann.user, ann.workspace, "twice@example.org", "viewer", str)
    for address, count in (("twice@example.org", 1), ("x@sub.example.org", 1), ("ann@example.org", 1)):
        with pytest.raises(Invalid) as refused:
            invitations.invite(ann.user, ann.workspace, address, "viewer", str)
        assert len(refused.value.faults) == count, address


@pytest.mark.django_db
def test_a_token_that_is_none_is_404_for_everybody(ann: Any) -> None:
    for client in (Client(), ann.client):
        for token in ("inv_nothing", "x", "inv_" + "x" * 300):
            assert client.get(f"/invitations/{token}/").status_code == 404


@pytest.mark.django_db
@pytest.mark.parametrize("verification", ["none", "mandatory"])
def test_who_signs_up_from_the_link_with_its_address_has_confirmed_it(
    ann: Any, invite: Callable[..., str], settings: Any, verification: str
) -> None:
    settings.ACCOUNT_EMAIL_VERIFICATION = verification
    token = invite()
    client = Client()
    page = client.get(f"/invitations/{token}/")
    assert "Sign up" in page.content.decode()
    form = {"email": GUEST, "password1": PASSWORD, "password2": PASSWORD, "next": f"/invitations/{token}/"}
    signed_up = client.post("/accounts/signup/", form)
    assert (signed_up.status_code, signed_up.url) == (302, f"/invitations/{token}/")
    assert "Accept the invitation" in client.get(f"/invitations/{token}/").content.decode()
    assert client.post(f"/invitations/{token}/").status_code == 302
    assert roles(ann) == ["editor", "owner"]
    assert not [one for one in mail.outbox if "onfirm" in one.subject]


@pytest.mark.django_db
def test_the_link_of_another_address_confirms_nothing_on_sign_up(
    ann: Any, invite: Callable[..., str], settings: Any
) -> None:
    settings.ACCOUNT_EMAIL_VERIFICATION = "mandatory"
    token = invite()
    client = Client()
    client.get(f"/invitations/{token}/")
    form = {"email": "other@example.net", "password1": PASSWORD, "password2": PASSWORD}
    client.post("/accounts/signup/", form)
    assert client.get("/api/v1/me/").status_code != 200
    assert not EmailAddress.objects.filter(verified=True).exists()


@pytest.mark.django_db
def test_a_link_gives_no_address_to_an_account_with_another_one(ann: Any, invite: Callable[..., str]) -> None:
    """Somebody is lured to the link of a stranger's invitation, and then signs up or signs in."""
    token = invite("attacker@example.net")
    client = Client()
    client.get(f"/invitations/{token}/")
    form = {"email": "victim@example.net", "password1": PASSWORD, "password2": PASSWORD}
    assert client.post("/accounts/signup/", form).status_code == 302
    client.get(f"/invitations/{token}/")
    assert not EmailAddress.objects.filter(email="attacker@example.net").exists()
    assert not EmailAddress.objects.filter(email="victim@example.net", verified=True).exists()
    assert client.post(f"/invitations/{token}/").status_code == 409


@pytest.mark.django_db
def test_an_account_that_was_there_before_confirms_nothing_by_the_link(ann: Any, invite: Callable[..., str]) -> None:
    user = person(GUEST, verified=False)
    token = invite()
    client = Client()
    client.get(f"/invitations/{token}/")
    client.force_login(user)
    assert client.post(f"/invitations/{token}/").status_code == 409
    assert not EmailAddress.objects.get(user=user).verified


@pytest.mark.django_db
def test_a_server_of_mail_that_is_away_is_seen_on_the_page(
    ann: Any, settings: Any, django_capture_on_commit_callbacks: Any
) -> None:
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 9  # nobody listens there
    with django_capture_on_commit_callbacks(execute=True):
        invitations.invite(ann.user, ann.workspace, GUEST, "viewer", str)
    assert "Not sent" in ann.client.get(f"/w/{ann.workspace.slug}/members/").content.decode()


def written(tenant: Any) -> list[Any]:
    with scope(tenant.workspace.id):
        return [*Invitation.objects.order_by("pk").values(), *AuditEvent.objects.order_by("at").values()]


@pytest.mark.django_db
def test_nobody_is_flooded_with_invitations(
    ann: Any, bob: Any, monkeypatch: Any, django_capture_on_commit_callbacks: Any
) -> None:
    """Neither by sending again, nor by taking back and inviting anew, nor from another workspace."""
    with django_capture_on_commit_callbacks(execute=True):
        made = ann.post("/invitations/", {"email": GUEST, "role": "viewer"}).json()
        assert ann.post(f"/invitations/{made['id']}/resend/", {}).status_code == 202
        assert ann.client.post(f"/w/{ann.workspace.slug}/invitations/{made['id']}/resend/").status_code == 302
        before = written(ann)
        refused = ann.post(f"/invitations/{made['id']}/resend/", {})
        assert refused.status_code == 422
        assert refused.json()["problems"][0]["place"] == "email"
        assert "went to this address" in refused.json()["problems"][0]["message"]
        page = ann.client.post(f"/w/{ann.workspace.slug}/invitations/{made['id']}/resend/", follow=True)
        assert "went to this address" in page.content.decode()
        assert written(ann) == before, "the message before still opens it"
        assert ann.post(f"/invitations/{made['id']}/revoke/", {}).status_code == 204
        assert ann.post("/invitations/", {"email": GUEST.upper(), "role": "viewer"}).status_code == 422
        assert bob.post("/invitations/", {"email": GUEST, "role": "viewer"}).status_code == 422
        form = bob.client.post(f"/w/{bob.workspace.slug}/members/", {"email": GUEST, "role": "viewer"})
        assert "went to this address" in form.content.decode()
        assert bob.post("/invitations/", {"email": "else@example.net", "role": "viewer"}).status_code == 201
    assert [sent.to for sent in mail.outbox] == [[GUEST]] * 3 + [["else@example.net"]]
    later = time.time() + 601
    clock = SimpleNamespace(time=lambda: later, monotonic=time.monotonic, sleep=time.sleep)
    monkeypatch.setattr("allauth.core.internal.ratelimit.time", clock)
    assert bob.post("/invitations/", {"email": GUEST, "role": "viewer"}).status_code == 201


@pytest.mark.django_db
def test_a_person_and_a_workspace_send_so_many_a_day(
    ann: Any, bob: Any, member_of: Callable[..., User], settings: Any
) -> None:
    chosen = settings.ATTRACTOR.workspaces.model_copy(update={"invitations_per_day": 2})
    settings.ATTRACTOR = settings.ATTRACTOR.model_copy(update={"workspaces": chosen})
    admin, another = member_of(ann, Role.ADMIN), create_workspace(ann.user, "another")

    def why(actor: User, workspace: Any, name: str) -> str:
        try:
            invitations.invite(actor, workspace, f"{name}@example.net", "viewer", str)
        except Invalid as refused:
            (fault,) = refused.faults
            return fault.message
        return ""

    assert [why(ann.user, ann.workspace, name) for name in "ab"] == ["", ""]
    assert "You have sent 2" in why(ann.user, ann.workspace, "c")
    assert "You have sent 2" in why(ann.user, another, "c"), "nor from another workspace"
    assert "from this workspace" in why(admin, ann.workspace, "c"), "nor by another person"
    assert [why(bob.user, bob.workspace, name) for name in "ac"] == ["", ""], "what was refused counts for nobody"
