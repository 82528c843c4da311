"""API keys: who may make them, what they open, and what is kept of them."""

import hashlib
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.utils import timezone

from apps.runs import services
from apps.workspaces import keys
from apps.workspaces.members import add_member
from apps.workspaces.models import ApiKey, AuditEvent, Role
from apps.workspaces.scope import scope

pytestmark = pytest.mark.django_db


def with_key(secret: str) -> Client:
    """A program: no cookies, no CSRF token, a key."""
    return Client(enforce_csrf_checks=True, headers={"Authorization": f"Bearer {secret}"})


@pytest.fixture
def secret(ann: Any) -> str:
    return keys.create_key(ann.user, ann.workspace, "Laptop")[1]


def test_a_key_made_by_the_api_opens_the_workspace_and_its_secret_is_kept_nowhere(ann: Any) -> None:
    made = ann.post("/keys/", {"name": "Laptop", "expires_in_days": 30})
    assert (made.status_code, made.headers["Cache-Control"]) == (201, "no-store")
    secret = made.json()["secret"]
    (listed,) = ann.get("/keys/").json()
    assert "secret" not in listed
    assert secret.startswith(listed["hint"])
    with scope(ann.workspace.id):
        row = ApiKey.objects.values().get()
        events = list(AuditEvent.objects.values_list("data", flat=True))
    # Keyed: whoever has the database alone cannot tell whether a secret is the right one.
    assert row["digest"] != hashlib.sha256(secret.encode()).hexdigest()
    assert len(bytes.fromhex(row["digest"])) == 32
    assert secret not in str(row) + str(events)

    program = with_key(secret)
    assert program.get("/api/v1/me/").json()["email"] == ann.user.email
    assert program.get("/api/v1/me/").json()["key"]["name"] == "Laptop"
    submitted = program.post(
        f"{ann.root}/runs/", {"graph": str(ann.graph.pk), "ticks": 10}, content_type="application/json"
    )
    assert submitted.status_code == 201
    with scope(ann.workspace.id):
        assert ApiKey.objects.get().last_used_at is not None


@pytest.mark.parametrize("wrong", ["atk_nothing", "", "x" * 500, "atk_" + "x" * 500, "atk_\x00"])
def test_a_key_that_is_none_is_401_with_a_bearer_challenge_also_beside_a_session(ann: Any, wrong: str) -> None:
    for client in (Client(), ann.client):
        response = client.get(f"{ann.root}/projects/", headers={"Authorization": f"Bearer {wrong}"})
        assert response.status_code == 401
        assert response.headers["WWW-Authenticate"] == 'Bearer realm="attractor"'
        assert response.json()["code"] == "authentication_failed"


def test_a_key_opens_one_workspace_only_though_its_owner_belongs_to_two(ann: Any, bob: Any, secret: str) -> None:
    add_member(bob.user, bob.workspace, ann.user, Role.EDITOR)
    assert ann.client.get(f"{bob.root}/projects/").status_code == 200
    program = with_key(secret)
    assert program.get(f"{bob.root}/projects/").status_code == 404
    assert [one["slug"] for one in program.get("/api/v1/workspaces/").json()] == [ann.workspace.slug]
    holder = keys.holder_of(secret)
    assert holder is not None
    with pytest.raises(keys.NotFound):  # services hold it too, whatever a view lets through
        services.submit(holder, bob.workspace, bob.graph)


def test_a_key_is_over_when_it_expires_is_revoked_or_its_owner_leaves(ann: Any) -> None:
    key, secret = keys.create_key(ann.user, ann.workspace, "short", expires_in_days=1)
    program = with_key(secret)
    assert program.get(f"{ann.root}/runs/").status_code == 200
    with scope(ann.workspace.id):
        ApiKey.objects.filter(pk=key.pk).update(expires_at=timezone.now() - timedelta(seconds=1))
    assert program.get(f"{ann.root}/runs/").status_code == 401
    with scope(ann.workspace.id):
        ApiKey.objects.filter(pk=key.pk).update(expires_at=None)
    ann.user.is_active = False
    ann.user.save()
    assert program.get(f"{ann.root}/runs/").status_code == 401
    ann.user.is_active = True
    ann.user.save()
    assert program.get(f"{ann.root}/runs/").status_code == 200
    assert ann.post(f"/keys/{key.pk}/revoke/", {}).status_code == 204
    assert program.get(f"{ann.root}/runs/").status_code == 401


def test_a_key_makes_and_revokes_no_keys(ann: Any, secret: str) -> None:
    program = with_key(secret)
    (own,) = program.get(f"{ann.root}/keys/").json()
    for path, body in (("keys/", {"name": "more"}), (f"keys/{own['id']}/revoke/", {})):
        refused = program.post(f"{ann.root}/{path}", body, content_type="application/json")
        assert (refused.status_code, refused.json()["code"]) == (403, "permission_denied")


def test_an_editor_sees_and_revokes_only_the_own_keys(ann: Any, member_of: Any, secret: str) -> None:
    editor = member_of(ann, Role.EDITOR)
    keys.create_key(editor, ann.workspace, "of the editor")
    with scope(ann.workspace.id):
        of_ann = ApiKey.objects.get(user=ann.user)
    assert [key.name for key in keys.keys(editor, ann.workspace)] == ["of the editor"]
    with pytest.raises(keys.NotFound):
        keys.revoke_key(editor, ann.workspace, of_ann.pk)
    assert {key.name for key in keys.keys(ann.user, ann.workspace)} == {"of the editor", "Laptop"}


def test_the_database_shows_a_key_to_nobody_who_does_not_know_it(ann: Any, secret: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM workspaces_apikey")
        assert cursor.fetchone() == (0,)
        assert keys.holder_of(secret) is not None
        cursor.execute("SELECT count(*) FROM workspaces_apikey")  # the transaction goes on, the digest is forgotten
        assert cursor.fetchone() == (0,)


def test_pages_do_not_take_keys(ann: Any, secret: str) -> None:
    assert with_key(secret).get(f"/w/{ann.workspace.slug}/").status_code == 302


def test_the_page_shows_a_new_key_once_and_revokes_it(ann: Any) -> None:
    page = f"/w/{ann.workspace.slug}/keys/"
    made = ann.client.post(page, {"name": "Notebook", "days": "30"})
    (key,) = keys.keys(ann.user, ann.workspace)
    secret = next(part for part in made.content.decode().split('"') if part.startswith(key.hint))
    assert with_key(secret).get(f"{ann.root}/runs/").status_code == 200
    assert "no-store" in made.headers["Cache-Control"]
    again = ann.client.get(page).content.decode()
    assert "Notebook" in again
    assert secret not in again
    assert ann.client.post(f"{page}{key.pk}/revoke/").status_code == 302
    assert keys.keys(ann.user, ann.workspace) == []


@pytest.mark.parametrize(
    "form", [{"name": "", "days": "30"}, {"name": "x" * 81, "days": "30"}, {"name": "x", "days": "7"}]
)
def test_the_page_says_what_is_wrong(ann: Any, form: dict[str, str]) -> None:
    assert ann.client.post(f"/w/{ann.workspace.slug}/keys/", form).status_code == 422
    assert keys.keys(ann.user, ann.workspace) == []


def test_the_page_of_a_viewer_has_no_form(ann: Any, member_of: Any) -> None:
    viewer = Client()
    viewer.force_login(member_of(ann, Role.VIEWER))
    page = viewer.get(f"/w/{ann.workspace.slug}/keys/")
    assert page.status_code == 200
    assert "role of editor" in page.content.decode()


def test_who_manages_the_workspace_draws_no_secret_of_somebody_elses_key(ann: Any, member_of: Any) -> None:
    """With it an administrator would be the owner. The workspace's own keys are another thing, and so is revoking."""
    key, secret = keys.create_key(ann.user, ann.workspace, "of Ann")
    admin = Client()
    admin.force_login(member_of(ann, Role.ADMIN))
    page = f"/w/{ann.workspace.slug}/keys/"
    told = admin.post(f"{ann.root}/keys/{key.pk}/rotate/", {}, content_type="application/json")
    assert (told.status_code, told.headers["Content-Type"]) == (403, "application/problem+json")
    answer = admin.post(f"{page}{key.pk}/rotate/")
    assert answer.status_code == 403
    assert keys.PREFIX not in answer.content.decode()
    assert with_key(secret).get("/api/v1/me/").json()["email"] == ann.user.email
    assert "New secret" not in admin.get(page).content.decode()
    assert "New secret" in ann.client.get(page).content.decode()

    own, _ = keys.create_key(ann.user, ann.workspace, "CI", of_workspace=True)
    assert "New secret" in admin.get(page).content.decode()
    drawn = admin.post(f"{ann.root}/keys/{own.pk}/rotate/", {}, content_type="application/json").json()["secret"]
    assert with_key(drawn).get("/api/v1/me/").json()["email"] != ann.user.email

    revoked = admin.post(f"{ann.root}/keys/{key.pk}/revoke/", content_type="application/json")
    assert revoked.status_code == 204
    assert with_key(secret).get("/api/v1/me/").status_code == 401
