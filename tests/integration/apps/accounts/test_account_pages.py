"""One's own account: profile, sessions, address, password, data, and leaving."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from allauth.account.models import EmailAddress
from authenticators import PASSWORD, whose
from django.contrib.sessions.backends.base import UpdateError
from django.core import mail
from django.core.files.base import ContentFile
from django.core.files.storage import storages
from django.db import connection
from django.test import Client
from django.urls import reverse

from apps.accounts import deletion
from apps.accounts.export import LEFT_OUT
from apps.accounts.models import AccountEvent, Session, User
from apps.accounts.services import register
from apps.live.permit import Permit
from apps.live.selectors import permits_now
from apps.workspaces import members
from apps.workspaces.deletion import purge, to_purge
from apps.workspaces.keys import create_key, holder_of, rotate_key
from apps.workspaces.members import add_member
from apps.workspaces.models import AuditEvent, Invitation, Membership, Role, Workspace
from apps.workspaces.rows import WorkspaceModel
from apps.workspaces.scope import scope
from apps.workspaces.selectors import membership, workspaces_of

pytestmark = pytest.mark.django_db

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
PHONE = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 19_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "
    "Version/19.0 Mobile/15E148 Safari/604.1"
)


def signed_in(user: User, **more: Any) -> Client:
    client = Client(**more)
    answer = client.post(reverse("account_login"), {"login": user.email, "password": PASSWORD})
    assert answer.status_code == 302
    return client


@pytest.fixture
def ada(db: None) -> User:
    user = register("ada@example.org", PASSWORD, "Ada")
    EmailAddress.objects.create(user=user, email=user.email, verified=True, primary=True)
    return user


def link_in(message: Any) -> str:
    found = re.search(r"https?://testserver(/\S+)", message.body)
    assert found is not None
    return found.group(1)


# --- Profile ---


def test_times_are_said_as_the_reader_s_clock_does(ann: Any) -> None:
    run = ann.submit()
    page = "/account/security/"
    hour = AccountEvent.objects.filter(user=ann.user).latest("at").at.hour
    assert f", {hour:02d}:" in ann.client.get(page).content.decode()
    form = {"name": "Ann L", "time_zone": "Asia/Kolkata", "theme": "dark"}
    assert ann.client.post("/account/", form).status_code == 302
    ann.user.refresh_from_db()
    assert (ann.user.name, ann.user.time_zone, ann.user.theme) == ("Ann L", "Asia/Kolkata", "dark")
    at = AccountEvent.objects.get(action="profile.change").at
    minute = (at.hour * 60 + at.minute + 330) % 1440
    assert f", {minute // 60:02d}:{minute % 60:02d}" in ann.client.get(page).content.decode()
    # The API speaks of UTC, whoever asks.
    assert ann.get(f"/runs/{run.pk}/").json()["created_at"].endswith("Z")


def test_the_theme_of_the_profile_is_that_of_a_new_browser(ada: User) -> None:
    first = signed_in(ada)
    first.post("/account/", {"name": "Ada", "time_zone": "UTC", "theme": "dark"})
    assert 'data-theme="dark"' in signed_in(ada).get("/account/").content.decode()
    assert "data-theme=" not in Client().get("/").content.decode().split("</head>")[0]
    first.post("/account/", {"name": "Ada", "time_zone": "UTC", "theme": ""})
    assert ' data-theme="' not in first.get("/account/").content.decode().split("<body")[0]


@pytest.mark.parametrize(("field", "value"), [("name", "x" * 121), ("name", "a\x00b"), ("time_zone", "Mars/Olympus"),
                                              ("time_zone", "../../etc/passwd"), ("theme", "pink")])  # fmt: skip
def test_a_profile_that_cannot_be(ada: User, field: str, value: str) -> None:
    form = {"name": "Ada", "time_zone": "UTC", "theme": "", field: value}
    answer = signed_in(ada).post("/account/", form)
    assert answer.status_code == 422
    assert 'aria-invalid="true"' in answer.content.decode()
    ada.refresh_from_db()
    assert (ada.name, ada.time_zone, ada.theme) == ("Ada", "UTC", "")


# --- Sessions ---


def test_sessions_say_what_where_and_when(ada: User) -> None:
    here = signed_in(ada, headers={"User-Agent": FIREFOX}, REMOTE_ADDR="192.0.2.7")
    signed_in(ada, headers={"User-Agent": PHONE}, REMOTE_ADDR="2001:db8::1")
    page = here.get("/account/sessions/").content.decode()
    for text in ("Firefox on Linux", "192.0.2.7", "Safari on iPhone", "2001:db8::1", "This one"):
        assert text in page, text
    assert here.session.session_key not in page, "the key of a session is its secret"


def test_a_browser_is_signed_out_from_another(ada: User, bob: Any) -> None:
    here, there = signed_in(ada), signed_in(ada)
    session = Session.objects.get(session_key=there.session.session_key)
    assert bob.client.post(f"/account/sessions/{session.id}/end/").status_code == 404
    assert whose(there) == ada.email
    (workspace,) = workspaces_of(ada)
    permit = Permit.of(ada, membership(ada, workspace.slug), session.session_key)
    assert permits_now([permit]) == {permit: permit}
    assert here.post(f"/account/sessions/{session.id}/end/").status_code == 302
    assert (whose(here), whose(there)) == (ada.email, None)
    assert permits_now([permit]) == {permit: None}, "its sockets close"
    assert "session.end" in AccountEvent.objects.values_list("action", flat=True)


def test_all_the_others_are_signed_out(ada: User, bob: Any) -> None:
    here, *others = (signed_in(ada) for _ in range(3))
    assert here.post("/account/sessions/end/").status_code == 302
    assert [whose(one) for one in (here, *others)] == [ada.email, None, None]
    assert whose(bob.client) == bob.user.email


def test_an_ended_session_is_not_written_back_by_a_request_that_was_under_way(ada: User) -> None:
    client = signed_in(ada)
    store = client.session
    store["later"] = 1
    Session.objects.all().delete()
    with pytest.raises(UpdateError):
        store.save()
    assert not Session.objects.exists()


# --- Address and password ---


def test_a_new_address_counts_once_it_is_confirmed(ada: User, django_capture_on_commit_callbacks: Any) -> None:
    client = signed_in(ada)
    mail.outbox.clear()
    with django_capture_on_commit_callbacks(execute=True):
        client.post("/accounts/email/", {"action_add": "", "email": "Lovelace@Example.org"})
    sent = {one.to[0]: one for one in mail.outbox}
    assert set(sent) == {"ada@example.org", "lovelace@example.org"}
    assert "lovelace@example.org" in sent["ada@example.org"].body
    ada.refresh_from_db()
    assert ada.email == "ada@example.org"
    assert "lovelace@example.org" in client.get("/accounts/email/").content.decode()
    mail.outbox.clear()
    with django_capture_on_commit_callbacks(execute=True):
        Client().post(link_in(sent["lovelace@example.org"]))
    ada.refresh_from_db()
    assert ada.email == "lovelace@example.org"
    assert [one.to for one in mail.outbox] == [["ada@example.org"]], "the old address is told"
    assert {"email.ask", "email.change"} <= set(AccountEvent.objects.values_list("action", flat=True))
    assert not Client().login(email="ada@example.org", password=PASSWORD)
    assert Client().login(email="lovelace@example.org", password=PASSWORD)


def test_an_address_that_became_somebody_else_s_meanwhile(ada: User) -> None:
    client = signed_in(ada)
    mail.outbox.clear()
    client.post("/accounts/email/", {"action_add": "", "email": "grace@example.org"})
    link = link_in(next(one for one in mail.outbox if one.to == ["grace@example.org"]))
    grace = register("grace@example.org", PASSWORD)
    EmailAddress.objects.create(user=grace, email=grace.email, verified=True, primary=True)
    assert Client().post(link).status_code < 500
    ada.refresh_from_db()
    assert ada.email == "ada@example.org"


def test_a_known_address_is_not_given_away_by_the_form(ada: User) -> None:
    register("grace@example.org", PASSWORD)
    client = signed_in(ada)
    answers = [client.post("/accounts/email/", {"action_add": "", "email": email})
               for email in ("grace@example.org", "nobody@example.org")]  # fmt: skip
    assert [one.status_code for one in answers] == [302, 302]


def test_a_new_password_ends_the_other_sessions_and_is_told(ada: User, django_capture_on_commit_callbacks: Any) -> None:
    here, there = signed_in(ada), signed_in(ada)
    mail.outbox.clear()
    new = "an entirely different secret"
    form = {"oldpassword": PASSWORD, "password1": new, "password2": new}
    with django_capture_on_commit_callbacks(execute=True):
        assert here.post("/accounts/password/change/", form).status_code == 302
    assert (whose(here), whose(there)) == (ada.email, None)
    assert [one.subject for one in mail.outbox] == ["Your password was changed"]
    assert Session.objects.filter(user=ada).count() == 1


def test_a_reset_ends_every_session(ada: User, django_capture_on_commit_callbacks: Any) -> None:
    here = signed_in(ada)
    mail.outbox.clear()
    client = Client()
    client.post(reverse("account_reset_password"), {"email": ada.email})
    form = client.get(link_in(mail.outbox[0]), follow=True).redirect_chain[-1][0]
    new = "an entirely different secret"
    with django_capture_on_commit_callbacks(execute=True):
        client.post(form, {"password1": new, "password2": new})
    assert whose(here) is None
    assert not Session.objects.filter(user=ada).exists()
    assert mail.outbox[-1].subject == "Your password was reset"


def test_events_of_an_account_are_not_changed(ada: User) -> None:
    from django.db import IntegrityError

    signed_in(ada)
    with pytest.raises(IntegrityError, match="written once"):
        AccountEvent.objects.update(action="nothing")


# --- Data ---


def test_the_export_has_everything_but_secrets(ann: Any, bob: Any) -> None:
    run = ann.submit()
    _, secret = create_key(ann.user, ann.workspace, "laptop")
    add_member(bob.user, bob.workspace, ann.user, Role.EDITOR)
    bob.submit()
    of_ann = bob.post("/projects/", {"name": "of bob"})
    assert of_ann.status_code == 201
    answer = ann.client.post("/account/export/")
    text = b"".join(answer.streaming_content).decode()
    data = json.loads(text)
    assert answer.headers["Content-Disposition"] == 'attachment; filename="attractor-account.json"'
    assert data["account"][0]["email"] == ann.user.email
    own, others = data["workspaces"]
    if own["workspace"]["id"] != str(ann.workspace.pk):
        own, others = others, own
    assert [one["id"] for one in own["runs.run"]] == [str(run.pk)]
    assert [one["name"] for one in own["workspaces.apikey"]] == ["laptop"]
    assert own["projects.graph"]
    # Of a workspace of others only what names the person.
    assert others["runs.run"] == []
    assert [one["user_id"] for one in others["workspaces.membership"]] == [str(ann.user.pk)]
    for hidden in (secret, ann.user.password, ann.client.session.session_key, bob.user.email, "of bob"):
        assert hidden not in text, hidden
    names = {model._meta.label_lower for model in WorkspaceModel.__subclasses__()}
    assert names <= set(own), "every table of a workspace"


def test_a_workspace_in_which_only_a_machine_is_beside_is_exported_whole(ann: Any, bob: Any) -> None:
    create_key(ann.user, ann.workspace, "ours", of_workspace=True)
    # Rows that do not name her: by somebody who has gone.
    add_member(ann.user, ann.workspace, bob.user, Role.EDITOR)
    made = bob.client.post(f"{ann.root}/projects/", {"name": "by bob"}, content_type="application/json")
    assert made.status_code == 201

    def projects() -> set[str]:
        data = json.loads(b"".join(ann.client.post("/account/export/").streaming_content))
        (own,) = data["workspaces"]
        return {one["name"] for one in own["projects.project"]}

    assert "by bob" not in projects()
    members.leave(bob.user, ann.workspace)
    assert {"by bob", ann.project.name} <= projects()


def test_no_digest_of_a_secret_is_exported(ann: Any) -> None:
    key, _ = create_key(ann.user, ann.workspace, "laptop")
    first = key.digest
    key, _ = rotate_key(ann.user, ann.workspace, key.pk)
    assert key.old_digest == first != key.digest
    text = b"".join(ann.client.post("/account/export/").streaming_content).decode()
    assert key.hint in text
    assert first not in text
    assert key.digest not in text
    # `digests` of a result are its numbers' and open nothing.
    models = (*WorkspaceModel.__subclasses__(), Session, User)
    named = {field.attname for model in models for field in model._meta.concrete_fields if "digest" in field.attname}
    assert named - {"digests"} == {"digest", "old_digest"}
    assert named - {"digests"} <= LEFT_OUT


# --- Leaving ---


def rows_of(workspace_id: Any) -> dict[str, int]:
    """Rows of every table with a workspace, counted past the managers."""
    found = {}
    with scope(workspace_id), connection.cursor() as cursor:
        cursor.execute(
            "SELECT c.relname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid "
            "WHERE c.relkind = 'r' AND a.attname = 'workspace_id' AND c.relnamespace = 'public'::regnamespace"
        )
        for (table,) in cursor.fetchall():
            cursor.execute(f'SELECT count(*) FROM "{table}"')  # noqa: S608 a name of the catalogue
            found[table] = cursor.fetchone()[0]
        cursor.execute("SELECT count(*) FROM workspaces_workspace WHERE id = %s", [workspace_id])
        found["workspaces_workspace"] = cursor.fetchone()[0]
    return {table: count for table, count in found.items() if count}


def files_of(workspace_id: Any) -> list[str]:
    storage = storages["default"]

    def below(place: str) -> list[str]:
        try:
            folders, names = storage.listdir(place)
        except FileNotFoundError:
            return []
        return [f"{place}/{name}" for name in names] + [one for name in folders for one in below(f"{place}/{name}")]

    return below(f"artifacts/{workspace_id}") + below(f"runs/{workspace_id}")


def test_a_deleted_account_leaves_no_rows_and_no_files(
    ann: Any, ended_run: Any, django_capture_on_commit_callbacks: Any
) -> None:
    run = ended_run(ann)
    storages["default"].save(f"runs/{ann.workspace.pk}/{run.pk}/checkpoints/x/y", ContentFile(b"z"))
    _, secret = create_key(ann.user, ann.workspace, "laptop")
    assert len(rows_of(ann.workspace.pk)) > 8
    assert files_of(ann.workspace.pk)
    mail.outbox.clear()
    wrong = ann.client.post("/account/delete/", {"email": "somebody@example.org"})
    assert wrong.status_code == 422
    with django_capture_on_commit_callbacks(execute=True):
        done = ann.client.post("/account/delete/", {"email": " ANN@example.org"})
    assert (done.status_code, done.url) == (302, "/")
    assert rows_of(ann.workspace.pk) == {}
    assert files_of(ann.workspace.pk) == []
    assert whose(ann.client) is None
    assert holder_of(secret) is None
    assert not Client().login(email="ann@example.org", password=PASSWORD)
    left = User.objects.get(pk=ann.user.pk)
    assert "ann" not in json.dumps([left.email, left.name])
    assert not left.is_active
    assert list(AccountEvent.objects.filter(user=left).values_list("action", flat=True)) == ["account.delete"]
    assert [(one.subject, one.to) for one in mail.outbox] == [("Your account was deleted", ["ann@example.org"])]
    # The address is free.
    assert register("ann@example.org", PASSWORD).pk != ann.user.pk


def test_in_workspaces_of_others_the_work_stays_without_the_name(ann: Any, bob: Any) -> None:
    add_member(bob.user, bob.workspace, ann.user, Role.ADMIN)
    made = ann.client.post(f"{bob.root}/projects/", {"name": "by ann"}, content_type="application/json")
    assert made.status_code == 201
    _, secret = create_key(ann.user, bob.workspace, "laptop")
    offer = {"email": "guest@example.org", "role": "editor"}
    assert ann.client.post(f"{bob.root}/invitations/", offer, content_type="application/json").status_code == 201
    deletion.delete_account(ann.user)
    with scope(bob.workspace.pk):
        assert list(Membership.objects.values_list("user", flat=True)) == [bob.user.pk]
        event = AuditEvent.objects.filter(action="member.leave").get()
        assert event.actor_id == ann.user.pk
        # As who leaves by pressing the button: the row is gone, and what it opened with it.
        assert (bool(event.before), event.after) == (True, "")
        assert {name: event.data[name] for name in ("role", "keys", "invitations")} == {
            "role": "admin", "keys": 1, "invitations": 1,
        }  # fmt: skip
        assert Invitation.objects.get().revoked_at is not None
    assert holder_of(secret) is None
    assert "by ann" in bob.get("/projects/").content.decode()
    assert "ann@example.org" not in bob.client.get(f"/w/{bob.workspace.slug}/").content.decode()


@pytest.mark.parametrize("obstacle", ["others", "runs"])
def test_what_is_in_the_way_is_named(ann: Any, bob: Any, obstacle: str) -> None:
    if obstacle == "others":
        add_member(ann.user, ann.workspace, bob.user, Role.ADMIN)
    else:
        ann.submit()
    answer = ann.client.post("/account/delete/", {"email": ann.user.email})
    assert answer.status_code == 422
    text = answer.content.decode()
    assert "workspace" in text
    assert ("only owner" if obstacle == "others" else "not over") in text
    ann.user.refresh_from_db()
    assert ann.user.is_active
    assert rows_of(ann.workspace.pk)
    if obstacle == "others":
        with scope(ann.workspace.pk):
            Membership.objects.filter(user=bob.user).update(role=Role.OWNER)
        assert ann.client.post("/account/delete/", {"email": ann.user.email}).status_code == 302
        with scope(ann.workspace.pk):
            assert Workspace.objects.filter(pk=ann.workspace.pk).exists()


def test_files_that_could_not_be_reached_are_deleted_later(
    ann: Any, ended_run: Any, monkeypatch: pytest.MonkeyPatch, django_capture_on_commit_callbacks: Any
) -> None:
    ended_run(ann)

    def away(*_: Any) -> None:
        raise ConnectionError("no storage today")

    with monkeypatch.context() as patch:
        patch.setattr(type(storages["default"]), "listdir", away)
        with django_capture_on_commit_callbacks(execute=True):
            deletion.delete_account(ann.user)
    assert files_of(ann.workspace.pk)
    assert to_purge() == [ann.workspace.pk]
    assert purge(ann.workspace.pk)
    assert files_of(ann.workspace.pk) == []
    assert rows_of(ann.workspace.pk) == {}


def test_what_was_done_is_said_in_words(ada: User) -> None:
    client = signed_in(ada)
    client.post(reverse("web:account_profile"), {"name": "Ada", "time_zone": "Asia/Tokyo", "theme": ""})
    page = client.get(reverse("web:account_security")).content.decode()
    assert "Signed in" in page
    assert "The profile was changed" in page
    assert " JST" in page
    for action in AccountEvent.objects.values_list("action", flat=True):
        assert f">{action}<" not in page


def test_too_many_tries_have_a_page_with_a_way_on(settings: Any) -> None:
    settings.ACCOUNT_RATE_LIMITS = {"reset_password": "1/m/ip"}
    client = Client()
    answers = [client.post(reverse("account_reset_password"), {"email": "x@example.org"}) for _ in range(2)]
    assert [one.status_code for one in answers] == [302, 429]
    assert "Go home" in answers[1].content.decode()
