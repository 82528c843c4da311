"""Who is let in to watch a run, many at once, on real rows."""

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from apps.accounts.models import Session, User
from apps.live.login import Caller, users_of
from apps.live.selectors import Knock, let_in
from apps.workspaces.keys import create_key
from apps.workspaces.members import add_member
from apps.workspaces.models import Role
from tests.integration.apps.tenants import join, logged_in

pytestmark = pytest.mark.django_db


def by_login(tenant: Any) -> Caller:
    return Caller(session_key=tenant.client.session.session_key)


def by_key(tenant: Any) -> Caller:
    return Caller(secret=create_key(tenant.user, tenant.workspace, "of the test")[1], address="127.0.0.1")


def test_each_of_many_gets_the_answer_to_the_own_question(ann: Any, bob: Any) -> None:
    add_member(ann.user, ann.workspace, bob.user, Role.VIEWER)
    hers, his = ann.submit(), bob.submit()
    here, there = ann.workspace.slug, bob.workspace.slug
    asked = {
        Knock(by_login(ann), here, hers.pk): "owner",
        Knock(by_login(bob), here, hers.pk): "viewer",
        Knock(by_login(bob), None, hers.pk): "viewer",
        Knock(by_login(bob), None, his.pk): "owner",
        Knock(by_key(ann), None, hers.pk): "owner",
        # Not a member there; a run of elsewhere; a run that is none; nobody, by each way.
        Knock(by_login(ann), there, his.pk): None,
        Knock(by_login(ann), here, his.pk): None,
        Knock(by_login(ann), None, his.pk): None,
        Knock(by_login(ann), here, uuid4()): None,
        # A key opens its own workspace only, though its holder belongs to another.
        Knock(by_key(bob), here, hers.pk): None,
        Knock(by_key(bob), None, hers.pk): None,
        Knock(Caller(), here, hers.pk): None,
        Knock(Caller(session_key="x" * 32), here, hers.pk): None,
        Knock(Caller(secret="atk_" + "x" * 43), here, hers.pk): None,
    }
    together = let_in(list(asked))
    assert [found and found[1].role for found in together] == list(asked.values())
    assert [let_in([knock]) for knock in asked] == [[found] for found in together]
    for knock, found in zip(asked, together, strict=True):
        if found is not None:
            assert (found[0].run.pk, found[0].nodes) == (knock.run_id, frozenset({"osc"}))
            assert found[1].session_key == knock.caller.session_key


def spoil(session: Session, **values: Any) -> None:
    store = session.get_session_store_class()(session.session_key)
    for name, value in values.items():
        store[name] = value
    store.save()


@pytest.mark.parametrize(
    "spoilt",
    [
        lambda session, user: Session.objects.filter(pk=session.pk).update(expire_date=timezone.now()),
        lambda session, user: User.objects.filter(pk=user.pk).update(is_active=False),
        lambda session, user: User.objects.filter(pk=user.pk).update(password="another"),
        lambda session, user: spoil(session, **{HASH_SESSION_KEY: "another"}),
        lambda session, user: spoil(session, **{BACKEND_SESSION_KEY: "django.contrib.auth.backends.ModelBackend"}),
        lambda session, user: Session.objects.filter(pk=session.pk).update(session_data="not signed"),
        lambda session, user: User.objects.filter(pk=user.pk).update(mfa_since=timezone.now() - timedelta(days=1)),
    ],
    ids=["over", "account", "password", "digest", "way in", "data", "second factor"],
)
def test_a_session_that_is_not_good_is_nobodys_and_spoils_no_other(ann: Any, bob: Any, spoilt: Any) -> None:
    callers = [by_login(ann), by_login(bob)]
    assert users_of(callers) == dict(zip(callers, (ann.user, bob.user), strict=True))
    spoilt(Session.objects.get(session_key=callers[0].session_key), ann.user)
    assert users_of(callers) == dict(zip(callers, (None, bob.user), strict=True))


def test_more_of_one_person_or_for_one_run_cost_no_more(ann: Any) -> None:
    run = ann.submit()
    friends = [join(ann, role) for role in (Role.EDITOR, Role.VIEWER)]
    slug = ann.workspace.slug

    def statements(people: list[User], each: int) -> int:
        knocks = [
            Knock(Caller(session_key=logged_in(user).session.session_key), slug, run.pk)
            for user in people
            for _ in range(each)
        ]
        with CaptureQueriesContext(connection) as queries:
            assert None not in let_in(knocks)
        return len(queries)

    alone = statements([ann.user], 1)
    assert statements([ann.user], 20) == alone
    another = statements([ann.user, *friends[:1]], 10) - alone
    assert statements([ann.user, *friends], 10) == alone + 2 * another
    # Nothing but the own membership is read for one more person.
    assert another <= 5, "SAVEPOINT, scope, membership, scope as before, RELEASE"
