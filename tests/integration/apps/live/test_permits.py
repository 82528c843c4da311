"""What a round of the doorkeeper reads, on real rows. That sockets are closed by it is tested on a real server."""

from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from apps.accounts.models import User
from apps.live.permit import Permit
from apps.live.selectors import permits_now
from apps.workspaces.keys import create_key
from apps.workspaces.members import add_member
from apps.workspaces.models import ApiKey, Membership, Role, Workspace
from apps.workspaces.scope import scope
from apps.workspaces.selectors import membership
from apps.workspaces.services import create_personal_workspace

pytestmark = pytest.mark.django_db


def by_login(tenant: Any, workspace: Workspace | None = None) -> Permit:
    member = membership(tenant.user, (workspace or tenant.workspace).slug)
    return Permit.of(tenant.user, member, tenant.client.session.session_key)


def by_key(tenant: Any) -> Permit:
    key, _ = create_key(tenant.user, tenant.workspace, "of the test")
    return replace(by_login(tenant), session_key=None, key_id=key.pk)


def test_whoever_is_what_he_was_may_go_on(ann: Any, bob: Any) -> None:
    add_member(ann.user, ann.workspace, bob.user, Role.VIEWER)
    permits = [by_login(ann), by_key(ann), by_login(bob), by_login(bob, ann.workspace), by_key(bob)]
    assert permits_now(permits) == {permit: permit for permit in permits}
    assert [permit.role for permit in permits] == ["owner", "owner", "owner", "viewer", "owner"]


def test_what_is_another_now_is_told(ann: Any, bob: Any) -> None:
    add_member(ann.user, ann.workspace, bob.user, Role.VIEWER)
    there, here = by_login(bob, ann.workspace), by_login(bob)
    with scope(ann.workspace.id):
        Membership.objects.filter(user=bob.user).update(role=Role.EDITOR)
        Workspace.objects.filter(pk=ann.workspace.pk).update(slug="moved")
    assert permits_now([there, here]) == {there: replace(there, role="editor", slug="moved"), here: here}


@pytest.mark.parametrize(
    "taken",
    [
        lambda ann, by: Membership.objects.filter(user=ann.user).delete(),
        lambda ann, by: User.objects.filter(pk=ann.user.pk).update(is_active=False),
        lambda ann, by: User.objects.filter(pk=ann.user.pk).update(password="another"),
    ],
    ids=["membership", "account", "password"],
)
@pytest.mark.parametrize("come", [by_login, by_key])
def test_what_is_taken_away_from_the_person_is_gone_for_every_way_in(ann: Any, bob: Any, come: Any, taken: Any) -> None:
    permit, other = come(ann), come(bob)
    with scope(ann.workspace.id):
        taken(ann, permit)
    assert permits_now([permit, other]) == {permit: None, other: other}


@pytest.mark.parametrize(
    "key",
    [
        lambda permit: ApiKey.objects.filter(pk=permit.key_id).delete(),
        lambda permit: ApiKey.objects.filter(pk=permit.key_id).update(expires_at=timezone.now() - timedelta(seconds=1)),
    ],
    ids=["revoked", "over"],
)
def test_a_key_that_is_revoked_or_over_is_gone(ann: Any, key: Any) -> None:
    permit, login = by_key(ann), by_login(ann)
    with scope(ann.workspace.id):
        key(permit)
    assert permits_now([permit, login]) == {permit: None, login: login}


def test_a_permit_that_no_row_says_is_none(ann: Any, bob: Any) -> None:
    """Neither somebody else's key or workspace, nor no way in at all."""
    key = by_key(bob)
    wrong = [
        replace(by_login(ann), workspace_id=bob.workspace.id),
        replace(by_login(ann), session_key=None),
        replace(by_login(ann), session_key="x" * 32),
        replace(by_key(ann), key_id=key.key_id),
        replace(by_key(ann), key_id=uuid4()),
        replace(key, workspace_id=ann.workspace.id),
    ]
    assert permits_now(wrong) == dict.fromkeys(wrong)


def test_a_round_takes_three_queries_however_many_workspaces_there_are(ann: Any, bob: Any) -> None:
    permits = [by_login(ann)]
    permits += [by_login(bob, create_personal_workspace(bob.user)) for _ in range(30)]
    with CaptureQueriesContext(connection) as queries:
        assert permits_now(permits) == {permit: permit for permit in permits}
    assert len(queries) == 3


def test_nobody_else_sees_rows_of_other_workspaces_by_the_setting_of_the_round(ann: Any, bob: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config('app.looking_at_permits', 'on', true)")
        cursor.execute(
            "SELECT (SELECT count(*) FROM workspaces_workspace) + (SELECT count(*) FROM workspaces_membership)"
            " + (SELECT count(*) FROM workspaces_apikey)"
        )
        assert cursor.fetchone() == (0,)
