"""Acting in somebody's name: how it begins and ends, what it allows, and who hears of it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from authenticators import Person, whose
from console_browser import enter
from django.core import mail
from django.core.exceptions import PermissionDenied
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from tenants import PASSWORD

from apps.accounts.models import AccountEvent, Session, User
from apps.console import impersonation, people
from apps.console.impersonation import NotInTheirName
from apps.console.models import Impersonation, OperatorEvent
from apps.console.rights import Right
from apps.live.login import Caller
from apps.live.permit import Permit
from apps.live.selectors import Knock, let_in, permits_now
from apps.ops.refusal import Invalid
from apps.runs import artifacts
from apps.runs.models import Artifact, Export, Run
from apps.workspaces.keys import create_key
from apps.workspaces.members import add_member
from apps.workspaces.models import ApiKey, AuditEvent, Membership, Role, Workspace
from apps.workspaces.scope import scope
from apps.workspaces.selectors import membership

pytestmark = pytest.mark.django_db

WHY = "sees an empty page, ticket 9"
END = "/account/impersonation/end/"


def begin(client: Client, user: User, **fields: Any) -> Any:
    given = {"minutes": "10", "reason": WHY, **fields}
    posted = {f"impersonate-{name}": value for name, value in given.items()}
    return client.post(f"/admin/people/{user.pk}/", {"act": "impersonate", **posted})


@pytest.fixture
def acting(console: Client, ann: Any) -> Client:
    """The superuser's browser, in Ann's name."""
    mail.outbox.clear()
    answer = begin(console, ann.user)
    assert (answer.status_code, answer.url) == (302, "/")
    return console


def log_of(tenant: Any) -> list[AuditEvent]:
    with scope(tenant.workspace.pk):
        return list(AuditEvent.objects.select_related("actor").order_by("at"))


def actions(user: User) -> list[str]:
    return list(AccountEvent.objects.filter(user=user).order_by("at").values_list("action", flat=True))


def over() -> None:
    """Let the time of all be over."""
    now = timezone.now()
    Impersonation.objects.update(began_at=now - timedelta(hours=1), until=now - timedelta(seconds=1))


def test_from_beginning_to_end(
    console: Client, root: Person, ann: Any, events: Any, django_capture_on_commit_callbacks: Any
) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        assert begin(console, ann.user).url == "/"
    assert whose(console) == ann.user.email
    assert console.get(f"/w/{ann.workspace.slug}/").status_code == 200
    assert console.get(f"{ann.root}/projects/").status_code == 200
    for page in (f"/w/{ann.workspace.slug}/", "/presets/", "/account/sessions/"):
        shown = console.get(page).content.decode()
        assert f"You act in the name of {ann.user.email}" in shown, page
        assert f'action="{END}"' in shown, page
    assert "You act in the name of" not in ann.client.get("/presets/").content.decode()
    assert console.get("/admin/people/").status_code == 200, "in the console the operator is the operator"

    made = console.post(f"{ann.root}/projects/", {"name": "by both"}, content_type="application/json")
    assert made.status_code == 201
    written = log_of(ann)[-1]
    assert (written.action, written.actor, written.data["impersonated_by"]) == (
        "project.create", ann.user, "root@example.org"
    )  # fmt: skip
    console.post(f"/w/{ann.workspace.slug}/projects/", {"name": "by a form"})
    assert log_of(ann)[-1].data["impersonated_by"] == "root@example.org"

    assert events() == ["impersonation.begin"]
    assert actions(ann.user)[-1] == "operator.impersonate.begin"
    told = AccountEvent.objects.filter(user=ann.user).latest("at")
    assert (told.data["operator"], told.data["reason"], told.address) == ("root@example.org", WHY, None)
    assert "An operator acts in your name" in ann.client.get("/account/security/").content.decode()
    (sent,) = [one for one in mail.outbox if one.to == [ann.user.email]]
    assert "root@example.org" in sent.body
    assert WHY in sent.body
    (entry,) = [one for one in log_of(ann) if one.action == "impersonation.begin"]
    assert (entry.actor.email, entry.data["impersonated"], entry.data["reason"]) == (
        "root@example.org", ann.user.email, WHY
    )  # fmt: skip
    assert "impersonation.begin" in ann.client.get(f"/w/{ann.workspace.slug}/audit/").content.decode()

    assert console.post(END).url == "/"
    assert whose(console) == "root@example.org"
    assert console.get(f"/w/{ann.workspace.slug}/").status_code == 404
    assert events() == ["impersonation.end"]
    assert actions(ann.user)[-1] == "operator.impersonate.end"
    assert log_of(ann)[-1].action == "impersonation.end"
    console.post(END)
    assert events() == [], "it ends once"
    ann.client.post(f"{ann.root}/projects/", {"name": "alone"}, content_type="application/json")
    assert "impersonated_by" not in log_of(ann)[-1].data


def test_it_is_told_in_every_workspace_of_the_person_and_no_other(console: Client, ann: Any, bob: Any) -> None:
    add_member(bob.user, bob.workspace, ann.user, Role.VIEWER)
    begin(console, ann.user)
    assert [log_of(one)[-1].action for one in (ann, bob)] == ["impersonation.begin"] * 2
    console.post(END)
    assert [log_of(one)[-1].action for one in (ann, bob)] == ["impersonation.end"] * 2


def test_it_gives_no_more_than_the_person_has(acting: Client, ann: Any, bob: Any) -> None:
    assert acting.get(f"/w/{bob.workspace.slug}/").status_code == 404
    with scope(ann.workspace.pk):
        Membership.objects.filter(user=ann.user).update(role=Role.VIEWER)
    assert acting.post(f"{ann.root}/projects/", {"name": "x"}, content_type="application/json").status_code == 403


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("post", "/accounts/password/change/", {"oldpassword": PASSWORD, "password1": "nu", "password2": "nu"}),
        ("get", "/accounts/password/change/", {}),
        ("post", "/accounts/email/", {"action_add": "", "email": "mallory@example.org"}),
        ("post", "/accounts/3rdparty/", {"account": "1"}),
        ("get", "/account/prove/", {}),
        ("post", "/account/prove/", {"password": PASSWORD}),
        ("get", "/account/two-step/", {}),
        ("post", "/account/two-step/off/", {}),
        ("post", "/account/two-step/recovery/", {}),
        ("get", "/account/export/", {}),
        ("post", "/account/export/", {}),
        ("post", "/account/delete/", {"email": "ann@example.org"}),
        ("post", "/account/", {"name": "Mallory"}),
        ("post", "/account/sessions/end/", {}),
        ("post", "/workspaces/new/", {"name": "x"}),
        ("post", "{w}/keys/", {"name": "of mallory"}),
        ("post", "{w}/members/", {"email": "mallory@example.org", "role": "owner"}),
        ("post", "{w}/members/leave/", {}),
        ("post", "{w}/members/{bob}/role/", {"role": "viewer"}),
        ("post", "{w}/members/{bob}/transfer/", {}),
        ("post", "{w}/members/{bob}/remove/", {}),
        ("post", "{w}/settings/delete/", {"name": "{name}"}),
        ("post", "{w}/security/", {"require_mfa": "true"}),
        ("post", "{w}/webhooks/", {"url": "https://mallory.example/", "events": "run.failed"}),
        ("post", "{w}/shares/", {"graph": "{graph}", "days": "7"}),
    ],
)
def test_what_is_dangerous_is_refused(
    acting: Client, ann: Any, bob: Any, method: str, path: str, body: dict[str, str]
) -> None:
    """And nothing of it is done, although the operator's own proof is fresh."""
    member = add_member(ann.user, ann.workspace, bob.user, Role.OWNER)
    with scope(ann.workspace.pk):
        before = [list(model.objects.order_by("pk").values()) for model in (Workspace, Membership, ApiKey)]
    people = list(User.objects.order_by("pk").values("email", "password", "mfa_since", "name", "deleted_at"))
    filled = {"w": f"/w/{ann.workspace.slug}", "bob": member.pk, "name": ann.workspace.name, "graph": ann.graph.pk}
    given = {key: value.format(**filled) for key, value in body.items()}
    answer = getattr(acting, method)(path.format(**filled), given)
    assert answer.status_code == 403, answer.content
    with scope(ann.workspace.pk):
        assert [list(model.objects.order_by("pk").values()) for model in (Workspace, Membership, ApiKey)] == before
    assert list(User.objects.order_by("pk").values("email", "password", "mfa_since", "name", "deleted_at")) == people
    assert whose(acting) == ann.user.email


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("post", "/keys/", {"name": "k"}),
        ("delete", "/", {}),
        ("post", "/invitations/", {"email": "mallory@example.org", "role": "owner"}),
        ("put", "/security/", {"require_mfa": True}),
        ("post", "/webhooks/", {"url": "https://mallory.example/", "events": ["run.failed"]}),
    ],
)
def test_neither_does_the_api(acting: Client, ann: Any, method: str, path: str, body: Any) -> None:
    answer = getattr(acting, method)(
        f"{ann.root}{path}", body, content_type="application/json", headers={"If-Match": "*"}
    )  # fmt: skip
    assert (answer.status_code, answer.json()["code"]) == (403, "impersonating")


def test_nothing_is_cancelled_and_no_file_deleted(
    acting: Client, ann: Any, ended_run: Callable[..., Run], django_capture_on_commit_callbacks: Any
) -> None:
    """Neither comes back; a pause does."""
    over, waiting = ended_run(ann), ann.submit()
    with scope(ann.workspace.pk):
        recording = artifacts.recording_of(over)
        assert recording is not None
        export = Export.objects.create(workspace_id=ann.workspace.pk, run=over, format="csv", created_by=ann.user)
    json: dict[str, Any] = {"content_type": "application/json"}
    for answer in (
        acting.delete(f"{ann.root}/artifacts/{recording.pk}/", headers={"If-Match": "*"}),
        acting.post(f"{ann.root}/runs/{waiting.pk}/cancel/", {}, **json),
        acting.post(f"{ann.root}/runs/cancel/", {"runs": [str(waiting.pk)]}, **json),
        acting.post(f"{ann.root}/runs/cancel/", {"runs": [str(over.pk)]}, **json),
        acting.post(f"{ann.root}/exports/{export.pk}/cancel/", {}, **json),
    ):
        assert (answer.status_code, answer.json()["code"]) == (403, "impersonating")
    with scope(ann.workspace.pk):
        assert Artifact.objects.filter(pk=recording.pk).exists()
        assert Export.objects.get().state == Export.State.QUEUED
    assert ann.look(waiting).state == "queued"
    assert acting.post(f"{ann.root}/runs/{waiting.pk}/pause/", {}, **json).status_code == 202
    assert ann.post(f"/runs/{waiting.pk}/cancel/", {}).status_code == 202, "the person does"


def test_a_key_is_its_holder_s_also_in_that_browser(acting: Client, ann: Any, bob: Any) -> None:
    _, secret = create_key(bob.user, bob.workspace, "k")
    answer = acting.get("/api/v1/me/", headers={"Authorization": f"Bearer {secret}"})
    assert answer.json()["email"] == bob.user.email


def test_it_is_over_with_its_time(acting: Client, ann: Any) -> None:
    over()
    assert whose(acting) == "root@example.org"
    assert [one.action for one in log_of(ann)[-2:]] == ["impersonation.begin", "impersonation.end"]
    (row,) = Impersonation.objects.all()
    assert row.ended_at == row.until


def test_the_sweeper_ends_what_nobody_asks_for_any_more(acting: Client, ann: Any) -> None:
    assert impersonation.end_expired() == 0
    over()
    assert impersonation.end_expired() == 1
    assert log_of(ann)[-1].action == "impersonation.end"
    assert impersonation.end_expired() == 0
    assert whose(acting) == "root@example.org"


def test_it_ends_with_the_login_of_the_operator(acting: Client, root: Person, ann: Any) -> None:
    acting.post(reverse("account_logout"))
    assert whose(acting) is None
    assert Impersonation.objects.get().ended_at is not None
    assert log_of(ann)[-1].action == "impersonation.end"
    assert "sign_out" not in actions(ann.user), "it was not the person who signed out"
    assert actions(root.user)[-1] == "sign_out"
    assert whose(ann.client) == ann.user.email


def test_it_ends_when_another_operator_ends_the_sessions_of_this_one(
    acting: Client, root: Person, enrolled: Any, ann: Any
) -> None:
    chief = enrolled("chief", is_staff=True, is_superuser=True)
    people.sign_out(chief.user, root.user.pk, WHY)
    assert whose(acting) is None
    assert Impersonation.objects.get().ended_at is not None
    assert log_of(ann)[-1].action == "impersonation.end"


def test_it_ends_at_the_console_s_own_sign_out(acting: Client, ann: Any) -> None:
    acting.post("/admin/logout/")
    assert whose(acting) is None
    assert Impersonation.objects.get().ended_at is not None


@pytest.mark.parametrize("change", [{"is_staff": False, "is_superuser": False}, {"is_active": False}])
def test_it_ends_when_the_operator_is_none_any_more(
    acting: Client, root: Person, ann: Any, change: dict[str, bool]
) -> None:
    User.objects.filter(pk=root.user.pk).update(**change)
    assert whose(acting) != ann.user.email


@pytest.mark.parametrize("change", [{"is_staff": True}, {"is_superuser": True}, {"is_active": False}])
def test_it_ends_when_the_person_is_one_in_whose_name_nobody_acts(
    acting: Client, ann: Any, change: dict[str, bool]
) -> None:
    User.objects.filter(pk=ann.user.pk).update(**change)
    assert whose(acting) == "root@example.org"


def test_another_session_of_the_operator_is_the_operator_s(acting: Client, root: Person) -> None:
    assert whose(root.signed_in()) == "root@example.org"


def test_somebody_else_s_session_gains_nothing_by_its_name(acting: Client, bob: Any) -> None:
    session = bob.client.session
    session[impersonation.KEY] = str(Impersonation.objects.get().pk)
    session.save()
    assert whose(bob.client) == bob.user.email
    assert Impersonation.objects.get().ended_at is None, "nor can it end it"


def test_nobody_acts_as_an_operator_a_machine_oneself_or_one_who_is_off(
    console: Client, root: Person, operator: Callable[..., Person], ann: Any, events: Any
) -> None:
    olga = operator(Right.LOOK)
    chief = User.objects.create_superuser("chief@example.org", PASSWORD, is_staff=False)
    create_key(ann.user, ann.workspace, "k", of_workspace=True)
    with scope(ann.workspace.pk):
        machine = Membership.objects.get(role=Role.API).user
    off = User.objects.create_user("off@example.org", PASSWORD, is_active=False)
    for user in (olga.user, chief, machine, off, root.user):
        with pytest.raises(NotInTheirName):
            impersonation.begin(root.user, user.pk, 5, WHY)
        assert begin(console, user).status_code == 400, user.email
    assert whose(console) == "root@example.org"
    assert events() == []


def test_it_needs_the_right_a_reason_a_time_and_a_proof(
    console: Client, operator: Callable[..., Person], root: Person, ann: Any
) -> None:
    olga = operator(*(set(Right) - {Right.IMPERSONATE}))
    with pytest.raises(PermissionDenied):
        impersonation.begin(olga.user, ann.user.pk, 5, WHY)
    assert begin(enter(olga), ann.user).status_code == 403
    for fields in ({"reason": " "}, {"minutes": "0"}, {"minutes": "31"}, {"minutes": ""}):
        assert begin(console, ann.user, **fields).status_code == 422, fields
    with pytest.raises(Invalid):
        impersonation.begin(root.user, ann.user.pk, 31, WHY)
    session = console.session
    session["proof_at"] -= 3600
    session.save()
    assert begin(console, ann.user).url.startswith(reverse("web:prove"))
    assert not Impersonation.objects.exists()


def test_in_somebody_s_name_nobody_goes_on_to_another(acting: Client, root: Person, ann: Any, bob: Any) -> None:
    """From the console, where the operator is the operator, the first ends before the second begins."""
    assert begin(acting, bob.user).status_code == 302
    assert whose(acting) == bob.user.email
    assert Impersonation.objects.filter(ended_at=None).count() == 1
    assert log_of(ann)[-1].action == "impersonation.end"


def test_sockets_are_the_person_s_and_close_with_it(acting: Client, root: Person, ann: Any, bob: Any) -> None:
    run, foreign = ann.submit(), bob.submit()
    caller = Caller(session_key=acting.session.session_key)
    found, none = let_in([Knock(caller, None, run.pk), Knock(caller, None, foreign.pk)])
    assert found is not None
    watched, permit = found
    assert watched.run.pk == run.pk
    assert permit.impersonation_id == Impersonation.objects.get().pk
    assert none is None
    own = Permit.of(ann.user, membership(ann.user, ann.workspace.slug), ann.client.session.session_key)
    assert permits_now([permit, own]) == {permit: permit, own: own}
    acting.post(END)
    assert permits_now([permit, own]) == {permit: None, own: own}


def _unstaffed(root: User, olga: User, ann: User) -> None:
    people.set_rights(root, olga.pk, False, [], WHY)


def _with_fewer_rights(root: User, olga: User, ann: User) -> None:
    people.set_rights(root, olga.pk, True, set(Right) - {Right.IMPERSONATE}, WHY)


def _made_an_operator(root: User, olga: User, ann: User) -> None:
    people.set_rights(root, ann.pk, True, [Right.LOOK], WHY)


def _without_permission(root: User, olga: User, ann: User) -> None:
    olga.user_permissions.clear()


def _made_a_superuser(root: User, olga: User, ann: User) -> None:
    User.objects.filter(pk=ann.pk).update(is_superuser=True)


def _without_a_factor(root: User, olga: User, ann: User) -> None:
    User.objects.filter(pk=olga.pk).update(mfa_since=None)


@pytest.mark.parametrize(
    ("change", "ends"),
    [
        (_unstaffed, True), (_with_fewer_rights, True), (_made_an_operator, True), (_without_permission, False),
        (_made_a_superuser, False), (_without_a_factor, False), (lambda *_: over(), False),
    ],
)  # fmt: skip
def test_sockets_close_when_it_may_not_go_on(
    operator: Callable[..., Person], root: Person, ann: Any, change: Any, ends: bool
) -> None:
    """Also when no request of the operator comes any more; `ends`: it is over in the logs too."""
    olga = operator(Right.PEOPLE, Right.IMPERSONATE)
    browser = enter(olga)
    assert begin(browser, ann.user).url == "/"
    (found,) = let_in([Knock(Caller(session_key=browser.session.session_key), None, ann.submit().pk)])
    assert found is not None
    permit = found[1]
    assert permits_now([permit]) == {permit: permit}
    change(root.user, olga.user, ann.user)
    assert permits_now([permit]) == {permit: None}
    assert (Impersonation.objects.get().ended_at is not None) is ends
    assert (log_of(ann)[-1].action == "impersonation.end") is ends
    assert whose(browser) != ann.user.email


def test_the_session_stays_the_operator_s(acting: Client, root: Person, ann: Any) -> None:
    """Among the person's own there is none more, and who signs the person out does not sign the operator out."""
    assert Session.objects.get(session_key=acting.session.session_key).user == root.user
    assert acting.session.session_key not in ann.client.get("/account/sessions/").content.decode()
    assert OperatorEvent.objects.get(action="impersonation.begin").object_id == str(ann.user.pk)
