"""What an API key is bound to: verbs, networks, an owner, a secret that changes; and where it must never be."""

from __future__ import annotations

import hashlib
import hmac
import io
import logging
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.core.exceptions import PermissionDenied
from django.db import connection
from django.test import Client
from django.utils import timezone
from pydantic import SecretStr

from apps.accounts.models import User
from apps.ops.refusal import Invalid
from apps.workspaces import keys, members
from apps.workspaces.digests import digests_of, naming
from apps.workspaces.models import ApiKey, AuditEvent, Membership, Role
from apps.workspaces.permissions import BY_KEY, Verb
from apps.workspaces.scope import scope
from config import logs

pytestmark = pytest.mark.django_db


def with_key(secret: str, **more: Any) -> Client:
    return Client(enforce_csrf_checks=True, headers={"Authorization": f"Bearer {secret}"}, **more)


def row(tenant: Any) -> dict[str, Any]:
    with scope(tenant.workspace.pk):
        return ApiKey.objects.values().get()


def change(settings: Any, section: str, **values: Any) -> None:
    chosen = getattr(settings.ATTRACTOR, section).model_copy(update=values)
    settings.ATTRACTOR = settings.ATTRACTOR.model_copy(update={section: chosen})


# --- What it allows -------------------------------------------------------------------------------------------------

ASKS: dict[str, Callable[[Any, Client], Any]] = {
    "project.write": lambda ann, program: program.post(
        f"{ann.root}/projects/", {"name": "p"}, content_type="application/json"
    ),
    "run.submit": lambda ann, program: program.post(
        f"{ann.root}/runs/", {"graph": str(ann.graph.pk), "ticks": 5}, content_type="application/json"
    ),
    "webhook.manage": lambda ann, program: program.get(f"{ann.root}/webhooks/"),
    "audit.read": lambda ann, program: program.get(f"{ann.root}/audit/"),
}


@pytest.mark.parametrize("verb", ASKS)
def test_a_scoped_key_allows_reading_and_what_it_names(ann: Any, verb: str) -> None:
    made = ann.post("/keys/", {"name": "k", "verbs": [verb]}).json()
    program = with_key(made["secret"])
    assert program.get(f"{ann.root}/projects/").status_code == 200
    assert set(program.get(f"{ann.root}/").json()["may"]) == {"workspace.read", verb}
    for other, ask in ASKS.items():
        status = ask(ann, program).status_code
        assert (status < 300) == (other == verb), (other, status)
        assert other == verb or status == 403


def test_a_key_never_allows_more_than_its_holder_may(ann: Any, member_of: Callable[..., User]) -> None:
    editor = member_of(ann, Role.EDITOR)
    for verb in (Verb.MANAGE_WEBHOOKS, Verb.MANAGE_WORKSPACE, "god"):
        with pytest.raises(Invalid):
            keys.create_key(editor, ann.workspace, "k", verbs=[verb])
    _, secret = keys.create_key(editor, ann.workspace, "k", verbs=["run.submit"])
    with scope(ann.workspace.pk):
        member = Membership.objects.get(user=editor)
    members.change_role(ann.user, ann.workspace, member.pk, Role.VIEWER)
    assert ASKS["run.submit"](ann, with_key(secret)).status_code == 403


# --- Whose it is ----------------------------------------------------------------------------------------------------


def test_a_key_of_the_workspace_outlives_who_made_it(ann: Any, member_of: Callable[..., User]) -> None:
    admin = member_of(ann, Role.ADMIN)
    key, secret = keys.create_key(admin, ann.workspace, "CI", of_workspace=True)
    with scope(ann.workspace.pk):
        member = Membership.objects.get(user=admin)
    members.remove_member(ann.user, ann.workspace, member.pk)
    program = with_key(secret)
    assert ASKS["run.submit"](ann, program).status_code == 201
    # As the machine, which manages nothing.
    assert ASKS["webhook.manage"](ann, program).status_code == 403
    with scope(ann.workspace.pk):
        entry = AuditEvent.objects.get(action="run.submit")
    assert entry.key == key.pk
    assert entry.actor_id not in (admin.pk, ann.user.pk)


def test_only_who_manages_the_workspace_makes_its_keys(ann: Any, member_of: Callable[..., User]) -> None:
    editor = member_of(ann, Role.EDITOR)
    with pytest.raises(PermissionDenied):
        keys.create_key(editor, ann.workspace, "CI", of_workspace=True)
    keys.create_key(ann.user, ann.workspace, "CI", of_workspace=True)
    assert keys.keys(editor, ann.workspace) == []


def test_nobody_signs_in_as_the_machine(ann: Any) -> None:
    keys.create_key(ann.user, ann.workspace, "CI", of_workspace=True)
    machine = User.objects.get(email__endswith="@machine.invalid")
    assert not machine.has_usable_password()
    for password in ("", "!", machine.password):
        client = Client()
        client.post("/accounts/login/", {"login": machine.email, "password": password})
        assert client.get("/").status_code == 200, "the page of the anonymous"


# --- Where it opens from --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("proxy", "peer", "forwarded", "opens"),
    [
        (False, "203.0.113.9", None, True),
        (False, "198.51.100.1", None, False),
        (False, "2001:db8::7", None, True),
        # Without a proxy in front everybody can write the header.
        (False, "198.51.100.1", "203.0.113.9", False),
        (True, "10.0.0.1", "203.0.113.9", True),
        (True, "10.0.0.1", "198.51.100.1", False),
        # What stands before the proxy's own entry is the caller's word.
        (True, "10.0.0.1", "203.0.113.9, 198.51.100.1", False),
        (True, "10.0.0.1", "198.51.100.1, 203.0.113.9", True),
    ],
)
def test_a_key_opens_from_its_networks_only(
    ann: Any, settings: Any, proxy: bool, peer: str, forwarded: str | None, opens: bool
) -> None:
    change(settings, "web", behind_proxy=proxy)
    made = ann.post("/keys/", {"name": "k", "networks": ["203.0.113.0/24", "2001:db8::/32"]})
    more = {"REMOTE_ADDR": peer} | ({"HTTP_X_FORWARDED_FOR": forwarded} if forwarded else {})
    answer = Client(headers={"Authorization": f"Bearer {made.json()['secret']}"}).get(f"{ann.root}/runs/", **more)
    assert answer.status_code == (200 if opens else 401)
    if opens:
        assert row(ann)["last_used_from"] == (forwarded or peer).rpartition(", ")[2]


@pytest.mark.parametrize("networks", [["203.0.113.1/24"], ["everywhere"], ["10.0.0.0/8"] * 21])
def test_what_is_no_network_is_refused_with_its_place(ann: Any, networks: list[str]) -> None:
    refused = ann.post("/keys/", {"name": "k", "networks": networks})
    assert refused.status_code in (400, 422)
    assert refused.json()["problems"][0]["place"].startswith("networks")


# --- Its secret -----------------------------------------------------------------------------------------------------


def test_a_rotation_leaves_no_gap_and_ends_by_itself(ann: Any) -> None:
    made = ann.post("/keys/", {"name": "k"}).json()
    rotated = ann.post(f"/keys/{made['id']}/rotate/", {"old_hours": 2})
    assert (rotated.status_code, rotated.headers["Cache-Control"]) == (200, "no-store")
    new = rotated.json()["secret"]
    assert new != made["secret"]
    for secret in (made["secret"], new):
        assert with_key(secret).get(f"{ann.root}/runs/").status_code == 200
    with scope(ann.workspace.pk):
        until = ApiKey.objects.get().old_until
        assert timedelta(hours=1.9) < until - timezone.now() <= timedelta(hours=2)
        ApiKey.objects.update(old_until=timezone.now() - timedelta(seconds=1))
    assert with_key(made["secret"]).get(f"{ann.root}/runs/").status_code == 401
    assert with_key(new).get(f"{ann.root}/runs/").status_code == 200
    at_once = ann.post(f"/keys/{made['id']}/rotate/", {"old_hours": 0}).json()["secret"]
    assert with_key(new).get(f"{ann.root}/runs/").status_code == 401
    assert with_key(at_once).get(f"{ann.root}/runs/").status_code == 200


def test_the_digest_is_hmac_sha_256_under_the_pepper(ann: Any, settings: Any) -> None:
    pepper = "p" * 40
    change(settings, "security", key_pepper=SecretStr(pepper))
    _, secret = keys.create_key(ann.user, ann.workspace, "k")
    assert row(ann)["digest"] == hmac.new(pepper.encode(), secret.encode(), hashlib.sha256).hexdigest()


def test_while_the_pepper_is_changed_keys_open_and_are_digested_anew(ann: Any, settings: Any) -> None:
    old, new = SecretStr("o" * 40), SecretStr("n" * 40)
    change(settings, "security", key_pepper=old)
    _, secret = keys.create_key(ann.user, ann.workspace, "k")
    change(settings, "security", key_pepper=new, old_key_pepper=old)
    assert with_key(secret).get(f"{ann.root}/runs/").status_code == 200
    change(settings, "security", key_pepper=new, old_key_pepper=None)
    assert with_key(secret).get(f"{ann.root}/runs/").status_code == 200
    change(settings, "security", key_pepper=SecretStr("x" * 40))
    assert with_key(secret).get(f"{ann.root}/runs/").status_code == 401


def test_a_change_of_the_sites_key_ends_no_key_while_the_old_one_is_known(ann: Any, settings: Any) -> None:
    _, secret = keys.create_key(ann.user, ann.workspace, "k")
    settings.SECRET_KEY_FALLBACKS, settings.SECRET_KEY = [settings.SECRET_KEY], "another-key" * 6
    assert keys.holder_of(secret) is not None
    settings.SECRET_KEY_FALLBACKS = []
    assert keys.holder_of(secret) is not None, "it was digested anew"


def test_a_key_from_before_there_was_a_pepper_opens_and_is_digested_anew(ann: Any) -> None:
    _, secret = keys.create_key(ann.user, ann.workspace, "k")
    with scope(ann.workspace.pk):
        ApiKey.objects.update(digest=hashlib.sha256(secret.encode()).hexdigest())
    assert with_key(secret).get(f"{ann.root}/runs/").status_code == 200
    assert row(ann)["digest"] != hashlib.sha256(secret.encode()).hexdigest()
    assert with_key(secret).get(f"{ann.root}/runs/").status_code == 200


def test_the_database_shows_a_key_by_its_old_secret_too_and_no_other(ann: Any, bob: Any) -> None:
    key, secret = keys.create_key(ann.user, ann.workspace, "k")
    keys.create_key(bob.user, bob.workspace, "of bob")
    keys.rotate_key(ann.user, ann.workspace, key.pk)
    with naming(digests_of(secret)), connection.cursor() as cursor:
        cursor.execute("SELECT id FROM workspaces_apikey")
        assert cursor.fetchall() == [(key.pk,)]


# --- Where it must never be -----------------------------------------------------------------------------------------


@pytest.fixture
def logged(settings: Any) -> Any:
    """Everything that is logged, as it is written."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    chosen = logs.configure("DEBUG", "json")["formatters"]["structured"]
    factory = chosen.pop("()")
    handler.setFormatter(factory(**chosen))
    root = logging.getLogger()
    before = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield stream
    root.removeHandler(handler)
    root.setLevel(before)


@pytest.mark.parametrize("name", ["key", "api_key", "access_token", "anything"])
@pytest.mark.parametrize("encoded", [False, True])
def test_a_key_in_an_address_is_refused_and_not_logged(ann: Any, logged: Any, name: str, encoded: bool) -> None:
    _, secret = keys.create_key(ann.user, ann.workspace, "k")
    text = secret.replace("atk_", "%61tk%5F") if encoded else secret
    for client in (Client(), ann.client, with_key(secret)):
        answer = client.get(f"{ann.root}/runs/?{name}={text}")
        assert (answer.status_code, answer.json()["code"]) == (400, "key_in_address")
        assert "Authorization: Bearer" in answer.json()["problems"][0]["mend"]
        assert secret not in answer.content.decode()
    assert Client().get(f"/presets/?q={text}").status_code == 400
    # As the web server writes it, before anything of ours has looked.
    logging.getLogger("uvicorn.access").info(
        '%s - "%s %s HTTP/%s" %d', "203.0.113.1:5", "GET", f"{ann.root}/runs/?{name}={text}", "1.1", 400
    )
    logging.getLogger("django.request").warning("Bad Request: %s", secret, extra={"secret": secret})
    written = logged.getvalue()
    assert "runs/?" in written, "else nothing would be shown"
    for part in (secret, text, secret.removeprefix("atk_")):
        assert part not in written


def test_no_token_in_an_address_is_logged(logged: Any) -> None:
    for path in ("/s/shr_" + "a1-_" * 8 + "/", "/invitations/inv_" + "a1-_" * 8 + "/"):
        logging.getLogger("uvicorn.access").info('"GET %s"', path)
        logging.getLogger("django.request").warning("Not Found: %s", path)
    written = logged.getvalue()
    assert "Not Found: /s/" in written
    assert "a1-_a1" not in written


def test_no_verb_is_offered_that_manages_people_or_keys() -> None:
    assert {Verb.MANAGE_WORKSPACE, Verb.OWN_WORKSPACE, Verb.MAKE_KEY, Verb.SHARE}.isdisjoint(BY_KEY)
