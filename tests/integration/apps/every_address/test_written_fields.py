"""Every field of every table and serializer, sent to every address that writes: what a request may not set is refused
by name or ignored, and the database is asked what was changed.

`footprints.json` says for each address which columns a request of it changes, and of which tables it makes rows; with
`WRITE_FOOTPRINTS=1` it is written anew, and is to be read then like any other change.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from actors import Actor, members
from addresses import FIT, SPEC, SWEEP, Place, Row, fill, write
from django.apps import apps
from django.test import Client
from django.urls import get_resolver
from done_writes import MAKES, NOTHING_WRITTEN, OWNED, READY, ROWS, client_of, row_of
from rest_framework.serializers import BaseSerializer
from row_changes import Rows, footprint, taken_back
from tenants import logged_in

from apps.accounts.models import User
from apps.ops.problems import LISTED
from apps.ops.requests import StrictSerializer
from apps.workspaces.models import ApiKey, AuditEvent, Invitation, Membership, Role
from apps.workspaces.scope import scope
from apps.workspaces.selectors import workspaces_of

BASELINE = Path(__file__).with_name("footprints.json")
WRITES = sorted(one for one in ROWS if one[1] != "get")

# What a body may hold, written out by hand. None: the address reads no body.
TAKES: dict[tuple[str, str], str | None] = {
    ("api-workspace", "patch"): "name new_address allowed_domains default_visibility",
    ("api-workspace", "delete"): None,
    ("api-workspace-restore", "post"): None,
    ("api-leave", "post"): None,
    ("api-transfer", "post"): "member",
    ("api-member", "patch"): "role",
    ("api-member", "delete"): None,
    ("api-invitations", "post"): "email role",
    ("api-invitation-resend", "post"): None,
    ("api-invitation-revoke", "post"): None,
    ("api-shares", "post"): "run graph days visibility",
    ("api-share-revoke", "post"): None,
    ("api-projects", "post"): "name",
    ("api-project", "patch"): "name archived",
    ("api-project", "delete"): None,
    ("api-graphs", "post"): "project name spec preset",
    ("api-graph", "put"): "name spec",
    ("api-graph", "patch"): "name spec archived",
    ("api-graph", "delete"): None,
    ("api-graph-check", "post"): "spec ticks",
    ("api-graph-restore", "post"): None,
    ("api-runs", "post"): "graph seed ticks max_seconds record",
    ("api-runs-cancel", "post"): "runs",
    ("api-run-cancel", "post"): "",
    ("api-run-pause", "post"): "",
    ("api-run-resume", "post"): "",
    ("api-run-controls", "post"): "target value",
    ("api-run-triggers", "post"): "target",
    ("api-sweeps", "post"): "graph axes sampling points metrics seed ticks max_seconds",
    ("api-fits", "post"): "graph params loss iterations rate window seed ticks max_seconds",
    ("api-run-rerun", "post"): "max_seconds",
    ("api-run-reproduce", "post"): "",
    ("api-run-apply", "post"): "onto_newest",
    ("api-run-exports", "post"): "format ports",
    ("api-run-recording-retry", "post"): "",
    ("api-export-cancel", "post"): "",
    ("api-artifact", "delete"): None,
    ("api-imports", "post"): None,
    ("api-retention", "put"): "artifact_days checkpoint_days",
    ("api-workspace-security", "put"): "require_mfa",
    ("api-keys", "post"): "name expires_in_days verbs networks of_workspace",
    ("api-key-rotate", "post"): "old_hours",
    ("api-key-revoke", "post"): None,
    ("api-webhooks", "post"): "url events description",
    ("api-webhook", "patch"): "url events description active",
    ("api-webhook", "delete"): None,
    ("api-webhook-secret", "post"): None,
    ("api-webhook-ping", "post"): None,
    ("api-webhook-replay", "post"): None,
    ("api-workspaces", "post"): "name",
    ("api-invitation-accept", "post"): "token",
    ("web:new_workspace", "post"): "name",
    ("web:invitation", "post"): "",
    ("web:projects", "post"): "name",
    ("web:submit_run", "post"): "seed ticks max_seconds",
    ("web:keys", "post"): "name days verbs bounded networks owner",
    ("web:rotate_key", "post"): "",
    ("web:revoke_key", "post"): "",
    ("web:workspace_security", "post"): "require_mfa",
    ("web:settings", "post"): "name domains visibility new_address",
    ("web:set_retention", "post"): "artifact_days checkpoint_days",
    ("web:delete_workspace", "post"): "name",
    ("web:restore_workspace", "post"): "",
    ("web:leave", "post"): "",
    ("web:members", "post"): "email role",
    ("web:change_role", "post"): "role",
    ("web:remove_member", "post"): "",
    ("web:transfer", "post"): "",
    ("web:resend_invitation", "post"): "",
    ("web:revoke_invitation", "post"): "",
    ("web:shares", "post"): "run graph days visibility",
    ("web:unshare", "post"): "",
    ("web:webhooks", "post"): "url events description revision was",
    ("web:webhook", "post"): "url events description revision was",
    ("web:rotate_webhook", "post"): "",
    ("web:switch_webhook", "post"): "active",
    ("web:ping_webhook", "post"): "",
    ("web:replay_delivery", "post"): "",
    ("web:delete_webhook", "post"): "",
    ("web:use_preset", "post"): "project",
}  # fmt: skip

# Bodies with all that they may hold, where the address's own row does not send it.
FULL: dict[tuple[str, str], Any] = {
    ("api-workspace", "patch"): lambda _: {
        "name": "full", "new_address": True, "allowed_domains": ["example.org"], "default_visibility": "anyone",
    },
    ("api-shares", "post"): lambda place: {"run": str(place.over.pk), "days": 3, "visibility": "anyone"},
    ("api-project", "patch"): lambda _: {"name": "full", "archived": True},
    ("api-graph", "patch"): lambda _: {"name": "full", "spec": SPEC, "archived": False},
    ("api-runs", "post"): lambda place: {
        "graph": str(place.tenant.graph.pk), "seed": 1, "ticks": 10, "max_seconds": 60,
        "record": [{"node": "osc", "port": "sync", "every": 2}],
    },
    ("api-sweeps", "post"): lambda place: {
        "graph": str(place.tenant.graph.pk), **SWEEP, "metrics": [{"port": "osc.sync"}], "seed": 1, "ticks": 10,
        "max_seconds": 60,
    },
    ("api-fits", "post"): lambda place: {
        "graph": str(place.tenant.graph.pk), **FIT, "window": 5, "seed": 1, "ticks": 10, "max_seconds": 60,
    },
    ("api-run-rerun", "post"): lambda _: {"max_seconds": 60},
    ("api-run-apply", "post"): lambda _: {"onto_newest": True},
    ("api-run-exports", "post"): lambda _: {"format": "npz", "ports": ["osc.sync"]},
    ("api-keys", "post"): lambda _: {
        "name": "full", "expires_in_days": 3, "verbs": ["run.submit"], "networks": ["203.0.113.0/24"],
        "of_workspace": False,
    },
    ("api-key-rotate", "post"): lambda _: {"old_hours": 0},
    ("api-webhooks", "post"): lambda _: {
        "url": "https://example.org/full", "events": ["run.failed"], "description": "full",
    },
    ("api-webhook", "patch"): lambda _: {
        "url": "https://example.org/full", "events": ["run.failed"], "description": "full", "active": False,
    },
}  # fmt: skip
MORE = {
    ("api-workspace", "patch"): {"workspaces_workspace.allowed_domains", "workspaces_workspace.default_visibility"},
    ("api-graph", "patch"): {"projects_graph.name", "+projects_graphversion", "projects_graph.latest_number"},
    ("api-project", "patch"): {"projects_project.archived_at"},
    ("api-webhook", "patch"): {
        "webhooks_webhook.url", "webhooks_webhook.events", "webhooks_webhook.description",
    },
}  # fmt: skip
"""What a body with everything changes beyond what the address's own row does."""

PARTS = {
    "AxisSerializer", "MetricSerializer", "FittedSerializer", "LossSerializer", "RecordedPortSerializer",
    "ExpectedColumnSerializer",
}  # fmt: skip
"""Serializers of what is inside of a body, or in the query."""

SENTINEL = "hostile-sentinel"
VERDICTS = {
    "state": "succeeded", "role": "owner", "plan": "Team", "progress": 1.0, "tick": 987_654_321,
    "revision": 987_654_321, "archived_at": "2001-02-03T04:05:06Z", "delete_at": "2001-02-03T04:05:06Z",
    "created_at": "2001-02-03T04:05:06Z",
}  # fmt: skip
MORE_NAMES = {
    "pk", "_method", "_state", "__class__", "owner", "roles", "permissions", "groups", "user_permissions", "csrf",
    "workspace__slug", "workspace.id", "project__workspace", "constructor", "__proto__",
}  # fmt: skip


def names() -> list[str]:
    """Of every column and relation of our tables, and every field of every serializer."""
    assert get_resolver().url_patterns  # which imports them
    found = set(MORE_NAMES)
    for model in apps.get_models():
        for field in model._meta.get_fields():
            found |= {field.name, getattr(field, "attname", field.name)}
    for serializer in _below(BaseSerializer):
        if serializer.__module__.startswith("apps."):
            found |= set(getattr(serializer, "_declared_fields", ()))
            found |= set(getattr(getattr(serializer, "Meta", None), "fields", ()))
    return sorted(found - {"csrfmiddlewaretoken"})


def _below(one: type) -> Iterator[type]:
    for other in one.__subclasses__():
        yield other
        yield from _below(other)


@dataclass(frozen=True)
class Stage:
    place: Place
    rows: Rows
    standing: dict[tuple[str, str], dict[str, Any]]
    who: dict[str, Actor]
    values: dict[str, Any]

    def foreign(self) -> set[str]:
        """What no row of Ann's workspace may hold that did not before."""
        return {SENTINEL, "987654321", "2001-02-03", *map(str, self._bobs())}

    def _bobs(self) -> list[Any]:
        bob = self.place.stranger
        return [bob.workspace.pk, bob.user.pk, bob.project.pk, bob.graph.pk]


@pytest.fixture(scope="module")
def stage(standing_place: Place) -> Stage:
    place, bob = standing_place, standing_place.stranger
    who = {actor.name: actor for actor in members(place.tenant)}
    who["stranger"] = Actor("stranger", logged_in(bob.user))
    for actor in who.values():
        actor.comes().get("/api/v1/me/")
    rows = Rows([place.tenant.workspace.pk, bob.workspace.pk])
    return Stage(place, rows, rows.all(), who, {name: _hostile(name, bob) for name in names()})


def _hostile(name: str, bob: Any) -> Any:
    """What somebody would send who wants more: foreign things, another state, more rights."""
    if name in VERDICTS:
        return VERDICTS[name]
    plain = name.removesuffix("_id")
    if name.startswith(("is_", "may_")) or name in ("personal", "require_mfa", "owned_by_workspace", "verified"):
        return True
    of = {"workspace": bob.workspace.pk, "project": bob.project.pk, "graph": bob.graph.pk, "id": bob.workspace.pk,
          "pk": bob.workspace.pk}  # fmt: skip
    if plain in ("user", "actor", "created_by", "invited_by", "accepted_by", "owner"):
        return str(bob.user.pk)
    return str(of.get(plain, SENTINEL))


def ask(stage: Stage, name: str, method: str, body: Any, who: str = "owner", row: Row | None = None) -> Any:
    row = row or ROWS[name, method]
    place, client = stage.place, stage.who[who].comes()
    return write(client, name, method, fill(name, {**place.ids, **row.ids(place)}), body, row, place)


def workspaces_now(stage: Stage) -> Rows:
    """The rows of all workspaces, those too that somebody has made meanwhile."""
    ids = {stage.place.tenant.workspace.pk, stage.place.stranger.workspace.pk}
    for actor in stage.who.values():
        ids |= {one.pk for one in workspaces_of(User.objects.get(pk=actor.client.session["_auth_user_id"]))}
    return Rows(sorted(ids))


def test_every_write_says_what_it_takes() -> None:
    assert set(TAKES) == set(WRITES)
    assert set(FULL) <= set(TAKES)
    assert len(names()) > 200


def test_what_is_said_to_be_taken_is_what_serializers_declare() -> None:
    declared = {
        frozenset(one._declared_fields)  # type: ignore[attr-defined]
        for one in _below(StrictSerializer)
        if one.__module__.startswith("apps.") and one.__name__ not in PARTS and not one.__name__.startswith("_")
    } - {frozenset()}
    mine = {frozenset(text.split()) for (name, _), text in TAKES.items() if text and name.startswith("api-")}
    assert mine == declared


SAYING = [one for one in WRITES if one[0].startswith("api-") and TAKES[one] is not None]


@pytest.mark.parametrize(("name", "method"), SAYING)
def test_a_field_that_is_not_declared_is_refused_by_name(stage: Stage, name: str, method: str) -> None:
    """Of an owner, who may most, and of an editor; the rest of the body would be taken."""
    takes = set(str(TAKES[name, method]).split())
    undeclared = [one for one in stage.values if one not in takes]
    size = LISTED - 10
    for who in ("owner", "editor"):
        for start in range(0, len(undeclared), size):
            some = undeclared[start : start + size]
            body = {**ROWS[name, method].body(stage.place), **{one: stage.values[one] for one in some}}
            with taken_back():
                response = ask(stage, name, method, body, who)
                changed = footprint(stage.standing, stage.rows.all())
            if who == "editor" and response.status_code == 403:
                assert not changed
                continue
            assert response.status_code == 400, response.content
            refused = {problem["place"] for problem in response.json()["problems"]}
            assert set(some) <= refused, set(some) - refused
            assert not changed


@pytest.mark.parametrize(("name", "method"), WRITES)
def test_a_request_changes_what_it_says_and_nothing_else(
    stage: Stage, tmp_path: Path, name: str, method: str
) -> None:  # fmt: skip
    """Plainly; with everything that it takes; and with every field there is where none is looked at."""
    takes, who = TAKES[name, method], client_of(stage.place, name, method)

    def done(body_of: Any = None) -> tuple[Row, Any, Any, Any]:
        """The row, the answer, and all rows before and after."""
        row = row_of(stage.place, tmp_path / uuid4().hex, name, method)
        moved = (name, method) in {*READY, *MAKES}
        rows = workspaces_now(stage) if moved else stage.rows
        before = rows.all() if moved else stage.standing
        body = row.body(stage.place)
        response = ask(stage, name, method, body if body_of is None else body_of(body), who, row)
        return row, response, before, (workspaces_now(stage) if (name, method) in MAKES else rows).all()

    with taken_back():
        row, response, before, after = done()
        status, plain = response.status_code, footprint(before, after)
    assert status == row.owner < 400, response.content
    assert bool(plain) is ((name, method) not in NOTHING_WRITTEN)
    _compare(f"{method} {name}", plain)
    if (name, method) in FULL:
        body = FULL[name, method](stage.place)
        missing = set(str(takes).split()) - set(body)
        assert missing <= {"graph", "preset", "points", "value"}, missing
        with taken_back():
            _, full, before, after = done(lambda _: body)
            changed = footprint(before, after)
        assert full.status_code == row.owner, full.content
        assert set(changed) <= set(plain) | MORE.get((name, method), set())
    if takes is None or name.startswith("web:"):
        known = set((takes or "").split())
        more = {one: value for one, value in stage.values.items() if one not in known}
        with taken_back():
            _, everything, before, after = done(lambda body: {**body, **more} if isinstance(body, Mapping) else body)
        assert everything.status_code == status, everything.content[:2000]
        assert footprint(before, after) == plain
        own = {str(stage.place.stranger.user.pk)} if who == "stranger" else set()
        assert not [one for one in _smuggled(stage, before, after) if one.rpartition(" ")[2] not in own]


def _smuggled(
    stage: Stage, standing: Mapping[tuple[str, str], Any], after: Mapping[tuple[str, str], Any]
) -> list[str]:  # fmt: skip
    """New texts in rows that only what was sent too much can have brought there."""
    found = []
    for key, row in after.items():
        if row == standing.get(key):
            continue
        before, now = str(standing.get(key, "")), str(row)
        found += [f"{key}: {one}" for one in stage.foreign() if one in now and one not in before]
    return found


def _compare(name: str, found: list[str]) -> None:
    known = json.loads(BASELINE.read_text(encoding="utf-8")) if BASELINE.exists() else {}
    if os.environ.get("WRITE_FOOTPRINTS"):
        known[name] = found
        BASELINE.write_text(json.dumps(known, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    assert known.get(name) == found


def test_the_footprints_are_those_of_the_writes() -> None:
    assert set(json.loads(BASELINE.read_text(encoding="utf-8"))) == {f"{method} {name}" for name, method in WRITES}


# --- Fields that only some may set ------------------------------------------------------------------------------------

RAISED: list[tuple[str, str, str, Any, int]] = [
    # Nobody gives a role above the own one, and people do not have the machine's.
    ("administrator", "api-member", "patch", {"role": "owner"}, 403),
    ("administrator", "api-invitations", "post", {"email": "new@example.net", "role": "owner"}, 403),
    ("administrator", "web:members", "post", {"email": "new@example.net", "role": "owner"}, 403),
    ("administrator", "web:change_role", "post", {"role": "owner"}, 403),
    ("editor", "api-member", "patch", {"role": "admin"}, 403),
    ("owner", "api-member", "patch", {"role": "api"}, 400),
    ("owner", "api-invitations", "post", {"email": "new@example.net", "role": "api"}, 400),
    ("owner", "web:members", "post", {"email": "new@example.net", "role": "api"}, 422),
    ("owner", "web:change_role", "post", {"role": "api"}, 302),
    ("owner", "web:change_role", "post", {"role": "god"}, 302),
    # A key is the workspace's own by the word of who manages it, and allows nothing that keys never do.
    ("editor", "api-keys", "post", {"name": "x", "of_workspace": True}, 403),
    ("editor", "web:keys", "post", {"name": "x", "owner": "workspace"}, 403),
    ("editor", "api-keys", "post", {"name": "x", "verbs": ["webhook.manage"]}, 422),
    ("editor", "web:keys", "post", {"name": "x", "bounded": "on", "verbs": ["audit.read"]}, 422),
    ("owner", "api-keys", "post", {"name": "x", "verbs": ["workspace.own"]}, 400),
    ("owner", "web:keys", "post", {"name": "x", "bounded": "on", "verbs": ["workspace.own"]}, 422),
    ("owner", "api-keys", "post", {"name": "x", "of_workspace": True, "verbs": ["webhook.manage"]}, 422),
    # Nested objects refuse as well.
    ("owner", "api-sweeps", "post", {"axes": [{**SWEEP["axes"][0], "workspace_id": "x"}]}, 400),
    ("owner", "api-fits", "post", {**FIT, "params": [{**FIT["params"][0], "run": "x"}]}, 400),
    ("owner", "api-fits", "post", {**FIT, "loss": {**FIT["loss"], "state": "x"}}, 400),
    ("owner", "api-runs", "post", {"record": [{"node": "osc", "port": "sync", "run_id": "x"}]}, 400),
]


@pytest.mark.parametrize(("who", "name", "method", "body", "status"), RAISED)
def test_a_value_that_is_not_for_this_role(
    stage: Stage, who: str, name: str, method: str, body: dict[str, Any], status: int
) -> None:
    whole = {**OWNED[name, method].body(stage.place), **body}
    with taken_back():
        response = ask(stage, name, method, whole, who)
        changed = footprint(stage.standing, stage.rows.all())
    assert response.status_code == status, response.content
    assert not changed


@pytest.mark.parametrize("who", ["owner", "administrator", "editor"])
def test_what_is_made_is_its_makers_in_the_own_workspace(stage: Stage, tmp_path: Path, who: str) -> None:
    """Who made it, and where, is nobody's to say."""
    place, user_id = stage.place, stage.who[who].client.session["_auth_user_id"]
    seen = 0
    for name, method in (one for one in WRITES if one in OWNED):
        with taken_back():
            row = row_of(place, tmp_path / uuid4().hex, name, method)
            before = stage.rows.all() if (name, method) in READY else stage.standing
            ask(stage, name, method, row.body(place), who, row)
            after = stage.rows.all()
        for key in after.keys() - before.keys():
            made = after[key]
            assert made.get("workspace_id", str(place.tenant.workspace.pk)) == str(place.tenant.workspace.pk), key
            for column in ("created_by_id", "invited_by_id", "actor_id"):
                # The system itself writes small exports at once.
                if made.get(column) is not None:
                    assert made[column] == user_id, (name, key, column)
                    seen += 1
    assert seen > 20


def test_an_administrator_touches_no_owner(stage: Stage) -> None:
    """Nor the invitation of one, which only owners send."""
    place = stage.place
    with taken_back():
        with scope(place.tenant.workspace.pk):
            owner = Membership.objects.get(user=place.tenant.user)
            Invitation.objects.filter(pk=place.ids["invitation_id"]).update(role=Role.OWNER)
        standing = stage.rows.all()
        for name, method in (
            ("api-member", "patch"), ("api-member", "delete"), ("web:change_role", "post"),
            ("web:remove_member", "post"), ("api-invitation-resend", "post"), ("web:resend_invitation", "post"),
        ):  # fmt: skip
            row = OWNED[name, method]
            mine = Row(row.owner, row.body, row.writes, headers=row.headers, ids=lambda _: {"member_id": owner.pk})
            with taken_back():
                response = ask(stage, name, method, row.body(place), "administrator", mine)
                assert response.status_code == 403, name
                assert not footprint(standing, stage.rows.all())


def test_who_signs_up_is_no_operator(stage: Stage) -> None:
    """Whatever the form of signing up is sent beside what it asks for."""
    secret = "correct horse battery staple"
    form = {"email": "eager@example.org", "password1": secret, "password2": secret, "name": "Eager"}
    hostile = {name: value for name, value in stage.values.items() if name not in form}
    with taken_back():
        answer = Client().post("/accounts/signup/", {**hostile, **form})
        assert answer.status_code == 302, answer.content
        made = User.objects.get(email="eager@example.org")
        assert (made.is_staff, made.is_superuser, made.is_active, made.mfa_since) == (False, False, True, None)
        assert str(made.pk) not in stage.foreign()
        assert not made.groups.exists()
        assert not made.user_permissions.exists()
        after = stage.rows.all()
        assert not _smuggled(stage, stage.standing, after)
        with scope(stage.place.stranger.workspace.pk):
            assert not Membership.objects.filter(user=made).exists()


@pytest.mark.parametrize("who", ["owner", "viewer"])
def test_a_profile_is_name_zone_and_theme(stage: Stage, who: str) -> None:
    form = {"name": "Else", "time_zone": "Europe/Vienna", "theme": "dark"}
    hostile = {name: value for name, value in stage.values.items() if name not in form}
    with taken_back():
        answer = stage.who[who].comes().post("/account/", {**hostile, **form})
        after = stage.rows.all()
        changed = footprint(stage.standing, after)
    assert answer.status_code == 302
    assert {one for one in changed if one.startswith("accounts_user.")} <= {
        "accounts_user.name", "accounts_user.time_zone", "accounts_user.theme",
    }  # fmt: skip
    assert {one for one in changed if not one.startswith("accounts_user.")} <= {"+accounts_accountevent"}
    assert not _smuggled(stage, stage.standing, after)


def test_a_key_cannot_be_given_to_somebody_else(stage: Stage) -> None:
    """Whose it is, is nobody's to say; the log says by which key a thing was done."""
    place = stage.place
    with taken_back():
        made = ask(stage, "api-keys", "post", {"name": "mine"}, "editor").json()
        with scope(place.tenant.workspace.pk):
            key = ApiKey.objects.get(pk=made["id"])
            assert str(key.user_id) == stage.who["editor"].client.session["_auth_user_id"]
            assert AuditEvent.objects.filter(object_id=made["id"], action="key.create", actor_id=key.user_id).exists()
