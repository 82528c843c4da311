"""Sign-up, login and reset by e-mail, through the real forms."""

import re
from typing import Any

import pytest
from django.core import mail
from django.core.cache import cache
from django.db import IntegrityError, connection
from django.test import Client
from django.urls import reverse

from apps.accounts.models import User
from apps.accounts.services import register
from apps.projects.models import Project
from apps.workspaces.models import AuditEvent, Membership
from apps.workspaces.scope import scope
from apps.workspaces.selectors import workspaces_of

PASSWORD = "correct horse battery staple"
pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _no_mail_was_sent_yet() -> None:
    """The cache remembers which address got a mail lately, and there is one cache for all tests."""
    cache.clear()


def sign_up(email: str, client: Client | None = None, **fields: str) -> Any:
    body = {"email": email, "password1": PASSWORD, "password2": PASSWORD, **fields}
    return (client or Client()).post(reverse("account_signup"), body)


def test_signing_up_brings_a_workspace_and_a_first_project() -> None:
    client = Client()
    response = sign_up("Ada@Example.org", client, name="Ada Lovelace")
    assert response.status_code == 302
    user = User.objects.get()
    assert (user.email, user.name) == ("ada@example.org", "Ada Lovelace")
    (workspace,) = workspaces_of(user)
    assert workspace.personal
    assert workspace.name == "Ada Lovelace's workspace"
    assert workspace.slug.startswith("ada-lovelace-")
    with scope(workspace.id):
        assert Membership.objects.get().role == "owner"
        assert Project.objects.count() == 1
        assert set(AuditEvent.objects.values_list("action", flat=True)) == {"workspace.create", "project.create"}
    assert client.get("/api/v1/workspaces/").json()[0]["slug"] == workspace.slug


def test_a_name_is_optional() -> None:
    assert sign_up("grace@example.org").status_code == 302
    (workspace,) = workspaces_of(User.objects.get())
    assert workspace.name == "grace's workspace"


def test_nothing_is_left_when_the_project_cannot_be_made(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> None:
        raise RuntimeError("no project today")

    monkeypatch.setattr("apps.accounts.services.first_project", broken)
    with pytest.raises(RuntimeError):
        sign_up("ada@example.org")
    assert not User.objects.exists()
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config('app.user_id', '', true)")
    # The workspace went with the user: nobody could ever see or remove it.
    from apps.workspaces.models import Workspace

    assert not Workspace.objects.exists()


def test_two_spellings_of_an_address_are_one_person() -> None:
    sign_up("ada@example.org")
    assert sign_up("ADA@example.org").status_code == 200
    assert User.objects.count() == 1
    with pytest.raises(IntegrityError):
        User.objects.bulk_create([User(email="Ada@Example.org")])


def test_a_known_address_is_not_given_away_where_mail_is_verified(settings: Any) -> None:
    settings.ACCOUNT_EMAIL_VERIFICATION = "mandatory"
    register("ada@example.org", PASSWORD)
    known = sign_up("ada@example.org")
    new = sign_up("grace@example.org")
    assert (new.status_code, new.url) == (known.status_code, known.url)
    assert User.objects.count() == 2
    to_ada, to_grace = mail.outbox
    assert "already" in to_ada.body
    assert "confirm" in to_grace.body


def test_the_reset_form_answers_alike_for_known_and_unknown_addresses() -> None:
    sign_up("ada@example.org")
    known = Client().post(reverse("account_reset_password"), {"email": "ada@example.org"})
    unknown = Client().post(reverse("account_reset_password"), {"email": "nobody@example.org"})
    assert (known.status_code, known.url) == (unknown.status_code, unknown.url)


def test_a_forgotten_password_is_reset_by_the_link_in_the_mail() -> None:
    sign_up("ada@example.org")
    mail.outbox.clear()
    client = Client()
    client.post(reverse("account_reset_password"), {"email": "ADA@example.org"})
    link = re.search(r"https?://testserver(/\S+)", mail.outbox[0].body)
    assert link is not None
    form = client.get(link.group(1), follow=True)
    new = "an entirely different secret"
    client.post(form.redirect_chain[-1][0], {"password1": new, "password2": new})
    assert not Client().login(email="ada@example.org", password=PASSWORD)
    assert Client().login(email="ada@example.org", password=new)


def test_login_and_logout_by_mail() -> None:
    sign_up("ada@example.org")
    client = Client()
    assert client.get("/api/v1/workspaces/").status_code == 401
    response = client.post(reverse("account_login"), {"login": "Ada@example.org", "password": PASSWORD})
    assert response.status_code == 302
    assert client.get("/api/v1/workspaces/").status_code == 200
    client.post(reverse("account_logout"))
    assert client.get("/api/v1/workspaces/").status_code == 401


def test_sign_up_can_be_closed(settings: Any) -> None:
    accounts = settings.ATTRACTOR.accounts.model_copy(update={"open_signup": False})
    settings.ATTRACTOR = settings.ATTRACTOR.model_copy(update={"accounts": accounts})
    sign_up("ada@example.org")
    assert not User.objects.exists()


@pytest.mark.parametrize("verification", ["none", "mandatory"])
def test_an_address_taken_while_the_form_was_checked_is_answered_like_a_known_one(
    verification: str, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.ACCOUNT_EMAIL_VERIFICATION = verification
    register("ada@example.org", PASSWORD)
    # What the losing one of two requests has seen: nobody had the address yet.
    monkeypatch.setattr("allauth.account.internal.flows.manage_email.assess_unique_email", lambda *_, **__: True)
    response = sign_up("ada@example.org")
    assert response.status_code == 302
    assert User.objects.count() == 1
    if verification == "mandatory":
        assert "already" in mail.outbox[0].body
    else:
        assert response.url == reverse("account_login")


@pytest.mark.django_db(transaction=True)
def test_the_same_address_twice_at_once_is_one_account_and_no_error(at_once: Any) -> None:
    statuses = at_once(lambda _: sign_up("ada@example.org").status_code, 2)
    assert all(status < 500 for status in statuses), statuses
    assert User.objects.count() == 1
    assert len(workspaces_of(User.objects.get())) == 1


def test_staff_can_use_the_admin(enrolled: Any) -> None:
    root = enrolled("root", is_staff=True, is_superuser=True)
    client = root.signed_in()
    root.clock.next_step()
    client.post("/admin/login/", {"code": root.code()})
    for path in (
        "/admin/",
        "/admin/people/",
        f"/admin/people/{root.user.pk}/",
        "/admin/presets/preset/",
    ):
        assert client.get(path).status_code == 200, path
    assert client.get("/admin/presets/preset/add/").status_code == 403
