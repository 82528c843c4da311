"""What operators do with accounts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from allauth.account.models import EmailAddress
from authenticators import PASSWORD, Person, whose
from console_browser import enter
from django.core import mail
from django.core.exceptions import PermissionDenied
from django.core.management import CommandError, call_command
from django.db import IntegrityError, transaction
from django.test import Client
from django.urls import reverse

from apps.accounts.models import AccountEvent, Session, TotpDevice, User
from apps.accounts.services import register
from apps.console import people
from apps.console.models import OperatorEvent
from apps.console.rights import Right
from apps.ops.refusal import Invalid
from apps.workspaces.keys import create_key, holder_of
from apps.workspaces.missing import NotFound
from apps.workspaces.models import Membership, Role
from apps.workspaces.scope import scope

pytestmark = pytest.mark.django_db

WHY = "asked for by mail, ticket 7"


def act(client: Client, user: User, name: str, **fields: Any) -> Any:
    given = {f"{name}-{key}": value for key, value in {"reason": WHY, **fields}.items()}
    return client.post(f"/admin/people/{user.pk}/", {"act": name, **given})


def last_event(user: User) -> AccountEvent:
    found = AccountEvent.objects.filter(user=user).order_by("-at").first()
    assert found is not None
    return found


def test_an_account_is_found_and_shown(console: Client, ann: Any, bob: Any) -> None:
    listed = console.get("/admin/people/?q=ANN").content.decode()
    assert ann.user.email in listed
    assert bob.user.email not in listed
    page = console.get(f"/admin/people/{ann.user.pk}/").content.decode()
    for part in (ann.user.email, str(ann.user.pk), "Switch the account off", "Sign out everywhere"):
        assert part in page
    assert ann.user.password not in page
    assert console.get("/admin/people/00000000-0000-0000-0000-000000000000/").status_code == 404


def test_one_that_is_switched_off_is_shut_everywhere(
    console: Client, ann: Any, events: Any, django_capture_on_commit_callbacks: Any
) -> None:
    _, secret = create_key(ann.user, ann.workspace, "k")
    assert whose(ann.client) == ann.user.email
    with django_capture_on_commit_callbacks(execute=True):
        assert act(console, ann.user, "deactivate").status_code == 302
    assert whose(ann.client) is None
    assert holder_of(secret) is None
    again = Client()
    again.post(reverse("account_login"), {"login": ann.user.email, "password": PASSWORD})
    assert whose(again) is None
    assert events() == ["person.deactivate"]
    (event,) = OperatorEvent.objects.filter(action="person.deactivate")
    assert (event.reason, event.object_id, event.operator.email) == (WHY, str(ann.user.pk), "root@example.org")
    assert event.request_id
    told = last_event(ann.user)
    assert (told.action, told.data, told.address) == ("operator.deactivate", {"reason": WHY}, None)
    assert mail.outbox[-1].to == [ann.user.email]
    assert WHY in mail.outbox[-1].body
    assert act(console, ann.user, "deactivate").status_code == 400, "it is not offered twice"

    assert act(console, ann.user, "reactivate").status_code == 302
    again.post(reverse("account_login"), {"login": ann.user.email, "password": PASSWORD})
    assert whose(again) == ann.user.email
    assert holder_of(secret) == ann.user
    assert events() == ["person.reactivate"]


def test_signed_out_everywhere(console: Client, ann: Any, bob: Any, events: Any) -> None:
    assert act(console, ann.user, "sign_out").status_code == 302
    assert (whose(ann.client), whose(bob.client)) == (None, bob.user.email)
    assert not Session.objects.filter(user=ann.user).exists()
    assert events() == ["person.sign_out"]
    assert last_event(ann.user).action == "operator.sign_out"


def test_a_lost_second_factor_is_reset(
    console: Client, enrolled: Any, events: Any, django_capture_on_commit_callbacks: Any
) -> None:
    eve = enrolled("eve")
    browser = eve.signed_in()
    session = console.session
    session["proof_at"] -= 3600
    session.save()
    stale = act(console, eve.user, "reset_second_factor")
    assert stale.url.startswith(reverse("web:prove")), "it is asked who does that"
    assert events() == []
    session["proof_at"] += 3600
    session.save()
    mail.outbox.clear()
    with django_capture_on_commit_callbacks(execute=True):
        assert act(console, eve.user, "reset_second_factor").status_code == 302
    eve.user.refresh_from_db()
    assert eve.user.mfa_since is None
    assert not TotpDevice.objects.filter(user=eve.user).exists()
    assert whose(browser) is None
    assert events() == ["person.reset_second_factor"]
    told = last_event(eve.user)
    assert (told.action, told.data, told.address) == ("operator.mfa_reset", {"reason": WHY}, None)
    (sent,) = mail.outbox
    assert sent.to == [eve.user.email]
    assert "An operator of this site" in sent.body
    assert WHY in sent.body
    assert "Was this you?" not in sent.body, "it was not, and there may be something to do"


@pytest.mark.django_db(transaction=True)
def test_the_confirmation_is_sent_again(transactional_db: None, console: Client, ann: Any, events: Any) -> None:
    EmailAddress.objects.create(user=ann.user, email=ann.user.email, primary=True)
    mail.outbox.clear()
    assert act(console, ann.user, "resend_confirmation").status_code == 302
    (sent,) = mail.outbox
    assert sent.to == [ann.user.email]
    link = next(word for word in sent.body.split() if "/accounts/confirm-email/" in word)
    Client().post(link.partition("testserver")[2])
    assert EmailAddress.objects.get(user=ann.user).verified
    assert events() == ["person.resend_confirmation"]
    told = AccountEvent.objects.get(user=ann.user, action="operator.resend_confirmation")
    assert (told.data, told.address) == ({"email": ann.user.email, "reason": WHY}, None)
    assert act(console, ann.user, "resend_confirmation").status_code == 400


def test_whoever_is_looked_at_is_noted(console: Client, root: Person, ann: Any) -> None:
    console.get("/admin/people/?q=ann&state=active")
    console.get(f"/admin/people/{ann.user.pk}/")
    rows = OperatorEvent.objects.filter(action__in=("people.list", "person.look")).order_by("at")
    assert [(row.action, row.operator, row.object_id, row.data, row.address) for row in rows] == [
        ("people.list", root.user, "", {"sought": "ann", "state": "active"}, "127.0.0.1"),
        ("person.look", root.user, str(ann.user.pk), {}, "127.0.0.1"),
    ]
    assert all(row.request_id for row in rows)


@pytest.mark.parametrize("reason", ["", "  ", "x" * 501])
def test_nothing_is_done_without_a_reason(console: Client, root: Person, ann: Any, events: Any, reason: str) -> None:
    assert act(console, ann.user, "deactivate", reason=reason).status_code == 422
    with pytest.raises(Invalid):
        people.deactivate(root.user, ann.user.pk, reason)
    ann.user.refresh_from_db()
    assert ann.user.is_active
    assert events() == []


def test_nobody_does_it_to_oneself_or_another_operator(
    console: Client, root: Person, operator: Callable[..., Person], events: Any
) -> None:
    olga, otto = operator(Right.PEOPLE), operator(Right.PEOPLE, name="otto")
    doings = (people.deactivate, people.sign_out, people.reset_second_factor, people.resend_confirmation)
    for actor, other in ((olga, olga), (olga, otto), (olga, root), (root, root)):
        for do in doings:
            with pytest.raises(PermissionDenied):
                do(actor.user, other.user.pk, WHY)
    assert act(enter(olga), otto.user, "deactivate").status_code == 400
    assert events() == []
    people.sign_out(root.user, otto.user.pk, WHY)


def test_the_machine_of_a_workspace_is_no_person(root: Person, ann: Any) -> None:
    create_key(ann.user, ann.workspace, "k", of_workspace=True)
    with scope(ann.workspace.pk):
        machine = Membership.objects.get(role=Role.API)
    with pytest.raises(NotFound):
        people.deactivate(root.user, machine.user_id, WHY)


def test_only_a_superuser_makes_operators(
    console: Client, operator: Callable[..., Person], enrolled: Any, events: Any
) -> None:
    eve, olga = enrolled("eve"), operator(*Right)
    with pytest.raises(PermissionDenied):
        people.set_rights(olga.user, eve.user.pk, True, [Right.LOOK], WHY)
    assert act(console, eve.user, "set_rights", staff="on", chosen=["look", "read_audit"]).status_code == 302
    assert events() == ["person.set_rights"]
    found = User.objects.get(pk=eve.user.pk)
    assert (found.is_staff, people.rights_of(found)) == (True, [Right.LOOK, Right.AUDIT])
    eve.user = found
    inside = enter(eve)
    assert [inside.get(f"/admin/{name}/").status_code for name in ("workspaces", "audit", "people")] == [200, 200, 403]
    assert act(console, eve.user, "set_rights").status_code == 302
    assert inside.get("/admin/").status_code == 302
    assert people.rights_of(User.objects.get(pk=eve.user.pk)) == []


def test_whoever_has_the_shell_takes_a_superuser_s_rights_away(
    console: Client, root: Person, ann: Any, events: Any, django_capture_on_commit_callbacks: Any
) -> None:
    refused = act(console, root.user, "set_rights")
    assert refused.status_code == 400, "it is not offered on one's own page"
    assert console.get("/admin/").status_code == 200
    mail.outbox.clear()
    with django_capture_on_commit_callbacks(execute=True):
        call_command("withdraw_superuser", " ROOT@example.org", "--reason", WHY)
    found = User.objects.get(pk=root.user.pk)
    assert (found.is_superuser, found.is_staff, found.is_active) == (False, False, True)
    assert console.get("/admin/").status_code == 302
    assert whose(console) is None
    assert events() == ["person.withdraw_superuser"]
    event = OperatorEvent.objects.get(action="person.withdraw_superuser")
    assert (event.operator, event.object_id, event.reason) == (None, str(root.user.pk), WHY)
    assert WHY in mail.outbox[-1].body
    with pytest.raises(PermissionDenied):
        people.sign_out(found, ann.user.pk, WHY)
    for email, reason in (("root@example.org", WHY), ("nobody@example.org", WHY), ("root@example.org", " ")):
        with pytest.raises(CommandError):
            call_command("withdraw_superuser", email, "--reason", reason)


def test_the_log_of_operators_stays(console: Client, ann: Any) -> None:
    act(console, ann.user, "sign_out")
    event = OperatorEvent.objects.filter(action="person.sign_out").get()
    event.reason = "forged"
    with pytest.raises(IntegrityError, match="never changed"), transaction.atomic():
        event.save()
    with pytest.raises(IntegrityError, match="never deleted"), transaction.atomic():
        OperatorEvent.objects.filter(pk=event.pk).delete()


def test_who_has_no_such_account_is_not_registered_anew(console: Client) -> None:
    user = register("x@example.org", PASSWORD)
    User.objects.filter(pk=user.pk).update(is_active=False, deleted_at="2026-01-01T00:00:00Z")
    assert act(console, user, "reactivate").status_code == 422
    user.refresh_from_db()
    assert not user.is_active
